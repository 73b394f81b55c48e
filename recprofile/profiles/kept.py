"""What a store keeps in binary: Packs, the base of a publication, items that came since."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa
from numpy.typing import NDArray

from recprofile.artifacts import Pack
from recprofile.profiles.base import LABEL, Base
from recprofile.profiles.tables import artifacts, items

PIECE = 1 << 26  # bytes in one value of the database


def put_pack(connection: sa.Connection, version: int, name: str, pack: Pack) -> None:
    """Keep a Pack with a version."""
    parts = {"arrays": arrays_to_bytes(pack.arrays), "values": json.dumps(dict(pack.values)).encode()}
    for title, table in pack.tables.items():
        parts[f"table/{title}"] = table_to_bytes(table)
    for title, data in parts.items():
        for part, at in enumerate(range(0, max(len(data), 1), PIECE)):
            row = {"version": version, "name": f"{name}/{title}", "part": part, "data": data[at : at + PIECE]}
            connection.execute(artifacts.insert(), row)


def get_pack(connection: sa.Connection, version: int, name: str) -> Pack | None:
    """The Pack that was kept, or None."""
    query = (
        sa.select(artifacts.c.name, artifacts.c.data)
        .where(artifacts.c.version == version, artifacts.c.name.startswith(f"{name}/", autoescape=True))
        .order_by(artifacts.c.name, artifacts.c.part)
    )
    parts: dict[str, bytes] = {}
    for title, data in connection.execute(query):
        key = title.removeprefix(f"{name}/")
        parts[key] = parts.get(key, b"") + data
    if not parts:
        return None
    tables = {t.removeprefix("table/"): table_of_bytes(d) for t, d in parts.items() if t.startswith("table/")}
    return Pack(arrays_of_bytes(parts["arrays"]), tables, json.loads(parts["values"]))


def drop_pack(connection: sa.Connection, version: int, name: str) -> None:
    """Remove a Pack from a version."""
    mine = artifacts.c.name.startswith(f"{name}/", autoescape=True)
    connection.execute(artifacts.delete().where(artifacts.c.version == version, mine))


def load_base(connection: sa.Connection, version: int, *, until: int | None = None) -> Base:
    """The base of a publication, with the items that came since, or those that had come at a version."""
    pack = get_pack(connection, version, "base")
    assert pack is not None  # written in the transaction of the version
    base = Base.unpack(pack, version)
    query = sa.select(items).where(items.c.base == version)
    if until is not None:
        query = query.where(items.c.version <= until)
    rows = connection.execute(query.order_by(items.c.id)).all()
    return base.grown(_items_of(base, rows)) if rows else base


def load_facts(connection: sa.Connection, version: int) -> dict[str, Any]:
    """The facts of a publication's base, without the rest of it."""
    query = sa.select(artifacts.c.data).where(artifacts.c.version == version, artifacts.c.name == "base/values")
    facts: dict[str, Any] = json.loads(b"".join(connection.execute(query.order_by(artifacts.c.part)).scalars()))
    return facts


def load_attributes(connection: sa.Connection, version: int) -> tuple[pl.Series, pl.DataFrame]:
    """Ids as text, and attributes as they came, of the items that came after a publication."""
    query = sa.select(items.c.item, items.c.given).where(items.c.base == version).order_by(items.c.id)
    rows = connection.execute(query).all()
    names = pl.Series("id", [row.item for row in rows], pl.String)
    return names, pl.DataFrame([json.loads(row.given) for row in rows], infer_schema_length=None)


def put_items(connection: sa.Connection, base: Base, version: int, new: Base, given: pl.DataFrame) -> None:
    """Keep items that came after the publication; `given` are their attributes as they came."""
    for at, name in enumerate(new.names):  # few: those of a whole new catalogue come by a new run
        raw: dict[str, NDArray[Any]] = {f"raw/{n}": v[at : at + 1] for n, (v, _) in new.raw.items()}
        raw |= {f"missing/{n}": m[at : at + 1] for n, (_, m) in new.raw.items()}
        row = new.catalogue[at]
        values = {
            "base": base.version,
            "version": version,
            "item": name,
            "label": row[LABEL][0],
            "attributes": row.write_json(),
            "given": json.dumps(given.row(at, named=True), default=str) if given.width else "{}",
            "raw": arrays_to_bytes(raw),
            "vector": new.vectors[at].tobytes(),
        }
        connection.execute(items.insert(), values)


def _items_of(base: Base, rows: Sequence[Any]) -> Base:
    """Items that came after the publication, alone."""
    stored = [arrays_of_bytes(row.raw) for row in rows]
    n = len(rows)
    return replace(
        base,
        names=pl.Series("id", [row.item for row in rows], pl.String),
        catalogue=_attributes(base, [row.attributes for row in rows]),
        vectors=np.stack([np.frombuffer(row.vector, np.float32) for row in rows]),
        raw={
            name: (
                np.concatenate([one[f"raw/{name}"] for one in stored]),
                np.concatenate([one[f"missing/{name}"] for one in stored]),
            )
            for name in base.raw
        },
        trained=np.zeros(n, np.bool_),
        positives=np.zeros(n, np.int64),
        added=0,
    )


def _attributes(base: Base, rows: list[str]) -> pl.DataFrame:
    schema = base.catalogue.schema
    return pl.concat([base.catalogue.clear(), *(pl.read_json(row.encode(), schema=schema) for row in rows)])


def arrays_to_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays as safetensors."""
    from safetensors.numpy import save  # noqa: PLC0415 - costs 50 ms that `validate` need not pay

    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


def arrays_of_bytes(data: bytes) -> dict[str, NDArray[Any]]:
    """The inverse of `arrays_to_bytes`."""
    from safetensors.numpy import load  # noqa: PLC0415 - as above

    return load(data)


def table_to_bytes(table: pl.DataFrame) -> bytes:
    """A table as Parquet."""
    out = io.BytesIO()
    table.write_parquet(out)
    return out.getvalue()


def table_of_bytes(data: bytes) -> pl.DataFrame:
    """The inverse of `table_to_bytes`."""
    return pl.read_parquet(io.BytesIO(data))
