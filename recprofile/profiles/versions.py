"""The versions of a recipe's profiles: which there are, and how one is begun and closed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from recprofile.errors import RunError, did_you_mean, quoted
from recprofile.profiles.store import Store
from recprofile.profiles.tables import versions


@dataclass(frozen=True)
class Version:
    """One change of a recipe's profiles. `number` counts within the recipe, `id` within the store."""

    id: int
    recipe: str
    number: int
    kind: str
    base: int
    created: str
    asof: int | None
    events: int
    users: int
    facts: Mapping[str, Any]
    parity: Mapping[str, Any] | None
    provenance: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain values, less what is the same in every version of a publication."""
        hidden = ("id", "base", "provenance")
        return {name: value for name, value in vars(self).items() if name not in hidden}


def all_versions(connection: sa.Connection, recipe: str) -> list[Version]:
    """The versions of a recipe, the first first."""
    query = sa.select(versions).where(versions.c.recipe == recipe).order_by(versions.c.number)
    return [Version(**row._mapping) for row in connection.execute(query)]


def newest(connection: sa.Connection, recipe: str, kind: str | None = None) -> Version | None:
    """The last version of a recipe, or the last of a kind."""
    query = sa.select(versions).where(versions.c.recipe == recipe).order_by(versions.c.number.desc()).limit(1)
    row = connection.execute(query if kind is None else query.where(versions.c.kind == kind)).first()
    return None if row is None else Version(**row._mapping)


def publication(connection: sa.Connection, store: Store, recipe: str) -> Version:
    """The publication that a recipe's profiles stand on; raises RunError RP608 when there is none."""
    found = newest(connection, recipe, "publish")
    if found is None:
        known = recipes(connection)
        helps = ("publish it: recprofile publish RECIPE", *did_you_mean(recipe, known, label="it has profiles of"))
        raise RunError.of("RP608", f"no profiles of {quoted(recipe)} in {quoted(store.shown)}", help=helps)
    return found


def recipes(connection: sa.Connection) -> list[str]:
    """The recipes whose profiles the store holds, the last published last."""
    last = sa.select(versions.c.recipe).where(versions.c.kind == "publish").group_by(versions.c.recipe)
    return list(connection.execute(last.order_by(sa.func.max(versions.c.id))).scalars())


def begin(
    connection: sa.Connection, recipe: str, kind: str, *, base: int | None, provenance: Mapping[str, Any]
) -> tuple[int, int]:
    """A new version, to be closed in the same transaction: its id and number. `base` None: it is a publication."""
    last = newest(connection, recipe)
    number = last.number + 1 if last else 1
    row = {
        "recipe": recipe,
        "number": number,
        "kind": kind,
        "base": base or 0,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "events": 0,
        "users": 0,
        "facts": {},
        "provenance": dict(provenance),
    }
    made = connection.execute(versions.insert().values(row)).inserted_primary_key
    assert made is not None
    if base is None:
        connection.execute(versions.update().where(versions.c.id == made[0]).values(base=made[0]))
    return int(made[0]), number


def close(connection: sa.Connection, version: int, **columns: Any) -> None:
    """Write what a version came to."""
    connection.execute(versions.update().where(versions.c.id == version).values(**columns))
