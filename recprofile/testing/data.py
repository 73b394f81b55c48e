"""Small data sets with known answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import polars as pl

from recprofile.artifacts import (
    Block,
    BoolArray,
    Dataset,
    FloatArray,
    IdMap,
    Interactions,
    Pack,
    PositiveRule,
    Profiles,
    Table,
)
from recprofile.components import Context

Event = tuple[Any, ...]


def dataset(
    train: Sequence[Event],
    *,
    test: Sequence[Event] = (),
    valid: Sequence[int] = (),
    items: Mapping[str, Sequence[Any]] | None = None,
    users: Mapping[str, Sequence[Any]] | None = None,
    positive: PositiveRule | None = None,
) -> Dataset:
    """A Dataset from events (user, item), (user, item, weight) or (user, item, weight, time).

    `valid` are rows of `train` held for tuning; `items` and `users` are columns with an `id` column first; ids that
    stand in events only are added.
    """
    every = [*train, *test]
    user_ids = IdMap.of(*(pl.Series(ids) for ids in ([e[0] for e in every], list((users or {}).get("id", ()))) if ids))
    item_ids = IdMap.of(*(pl.Series(ids) for ids in ([e[1] for e in every], list((items or {}).get("id", ()))) if ids))

    def events(rows: Sequence[Event]) -> Interactions:
        weight = np.array([e[2] if len(e) > 2 else 1 for e in rows], np.float32)
        timed = any(len(e) > 3 for e in every)
        return Interactions(
            user_ids.codes([e[0] for e in rows]),
            item_ids.codes([e[1] for e in rows]),
            weight,
            np.array([e[3] for e in rows], np.int64) if timed else None,
            positive.mask(weight) if positive else np.ones(len(rows), np.bool_),
        )

    parts = events(train)
    held = np.zeros(len(train), np.bool_)
    held[list(valid)] = True
    return Dataset(
        _table(user_ids, users), _table(item_ids, items), parts, parts.take(held), events(test), held, positive
    )


def _table(ids: IdMap, columns: Mapping[str, Sequence[Any]] | None) -> Table:
    if not columns:
        return Table(ids)
    given = pl.DataFrame({name: list(values) for name, values in columns.items()}).with_columns(
        pl.col("id").cast(ids.ids.dtype)
    )
    rows = given.with_row_index("row", offset=1)
    frame = ids.ids.rename("id").to_frame().join(rows, on="id", how="left", maintain_order="left")
    where = frame["row"].fill_null(0).to_numpy().astype(np.int32)
    return Table(ids, frame.drop("id", "row"), "toy table", where)


def toy() -> Dataset:
    """Six users, six films, ratings 1 to 5 with times, titles, genres, years and a gender; u6 and i6 have no event."""
    train = [
        ("u1", "i1", 5, 100), ("u1", "i2", 4, 200), ("u1", "i4", 1, 300),
        ("u2", "i1", 4, 110), ("u2", "i2", 5, 210), ("u2", "i3", 4, 310),
        ("u3", "i3", 5, 120), ("u3", "i4", 5, 220), ("u3", "i5", 4, 320),
        ("u4", "i4", 4, 130), ("u4", "i5", 5, 230),
        ("u5", "i2", 4, 140), ("u5", "i5", 2, 240),
    ]  # fmt: skip
    test = [("u1", "i3", 4, 400), ("u2", "i4", 2, 410), ("u4", "i3", 5, 430), ("u5", "i1", 5, 440)]
    items: dict[str, Sequence[Any]] = {
        "id": ["i1", "i2", "i3", "i4", "i5", "i6"],
        "title": ["red planet", "red moon", "blue planet", "quiet river", "river song", None],
        "genres": ["Sci-Fi Action", "Sci-Fi", "Sci-Fi Drama", "Drama", "Drama Music", "Music"],
        "year": [1990, 1995, 1995, 2000, None, 2005],
        "price": [1.5, 2.0, 2.5, None, 4.0, 3.0],
    }
    users: dict[str, Sequence[Any]] = {
        "id": ["u1", "u2", "u3", "u4", "u5", "u6"],
        "gender": ["F", "M", "F", "M", None, "F"],
        "age": [20, 30, 40, None, 60, 25],
    }
    return dataset(train, test=test, valid=[2, 5, 8], items=items, users=users, positive=PositiveRule(">=", 4))


def checkerboard(n: int = 10) -> Dataset:
    """Users and items 0 … n-1 with an event where user + item is even, less the pair (u, u), which is the test.

    A collaborative model must put each user's one missing item first.
    """
    pairs = [(u, i, 1, u * n + i) for u in range(n) for i in range(n) if (u + i) % 2 == 0]
    return dataset([p for p in pairs if p[0] != p[1]], test=[p for p in pairs if p[0] == p[1]])


def context(**changes: Any) -> Context:
    """A Context on the CPU with seed 0."""
    return Context(**{"stage": "test", "device": "cpu", "seed": 0, **changes})


def fused(data: Dataset, item_vectors: FloatArray | None = None) -> Profiles:
    """Profiles with one pooled block 'plot': each user the mean of their positive items' vectors (default: one-hot)."""
    vectors = np.eye(data.n_items, dtype=np.float32) if item_vectors is None else np.asarray(item_vectors, np.float32)
    history = data.positives().copy()
    counts = np.diff(history.indptr)
    history.data = np.repeat(1 / np.maximum(counts, 1), counts).astype(np.float32)
    pool = np.ones(data.n_users, np.float32)
    users = np.asarray(history @ vectors, np.float32)
    block = Block("plot", 0, vectors.shape[1], 1.0, pool)
    return Profiles(data.users.ids, data.items.ids, users, vectors, (block,), counts > 0, history)


def emptied(data: Dataset, what: Literal["users", "items", "events"]) -> Dataset:
    """The data without any user, without any item, or with all of both and no event."""
    if what == "users":
        return data.keep(users=np.zeros(data.n_users, np.bool_))
    if what == "items":
        return data.keep(items=np.zeros(data.n_items, np.bool_))
    none = np.zeros(0, np.int32)
    parts = {name: getattr(data, name).take(none) for name in ("train", "valid", "test")}
    return data.revise(**parts, held=np.zeros(0, np.bool_))


def without_validation(data: Dataset) -> Dataset:
    """The same training events, none of them held for tuning."""
    nothing = data.valid.take(np.zeros(0, np.int32))
    return data.revise(valid=nothing, held=np.zeros(len(data.train), np.bool_))


def without_values(data: Dataset, *, every: int = 1) -> Dataset:
    """The data with each value missing in every so-manieth row of both tables, types kept."""

    def blank(table: Table) -> Table:
        if not table.frame.width:
            return table
        row = pl.int_range(len(table))
        return table.with_columns(*table.frame.select(pl.when(row % every != 0).then(pl.all())))

    return data.revise(users=blank(data.users), items=blank(data.items))


def disturbed(data: Dataset) -> Dataset:
    """The same training part, and all that nothing may be learnt from changed.

    Weights, times, context and what is positive of the validation and test events, as they stand in `valid` and
    `test`; and the attributes of users and items without a training event.
    """

    def later(events: Interactions) -> Interactions:
        time = None if events.time is None else events.time + 1_000_000
        context = events.context.select(_others(one) for one in events.context)
        return Interactions(events.user, events.item, 3 * events.weight + 1, time, ~events.positive, context)

    def attributes(table: Table, cold: BoolArray) -> Table:
        if not table.frame.width:
            return table
        where = pl.Series(cold)
        mixed = [_others(one).zip_with(where, one) for one in table.frame]
        return table.with_columns(*mixed)

    return data.revise(
        users=attributes(data.users, data.cold_users()),
        items=attributes(data.items, data.cold_items()),
        valid=later(data.valid),
        test=later(data.test),
    )


def _others(values: pl.Series) -> pl.Series:
    """Other values of the same type; a propensity stays one, and what is missing no longer is."""
    if values.dtype == pl.Boolean:
        return ~values.fill_null(value=False)
    if values.dtype.is_float():
        return (values / 3).fill_null(1e3)
    if values.dtype.is_integer():
        return (values.fill_null(0) * 3 + 1).cast(values.dtype)
    return (values + " otherwise").fill_null("otherwise") if values.dtype == pl.String else values.reverse()


def training_part(data: Dataset) -> Pack:
    """What stages learn from: training events by outside ids, and the attributes of their users and items."""
    train = data.train
    columns: dict[str, Any] = {
        "user": data.users.ids.outside(train.user),
        "item": data.items.ids.outside(train.item),
        "weight": train.weight,
        "positive": train.positive,
    }
    if train.time is not None:
        columns["time"] = train.time
    tables = {"events": pl.DataFrame(columns), "context": train.context}
    for name, table, cold in (("users", data.users, data.cold_users()), ("items", data.items, data.cold_items())):
        tables[name] = table.with_columns(table.ids.ids.alias("\0id")).frame.filter(pl.Series(~cold))
    return Pack(tables=tables)


def same_pack(a: Pack, b: Pack) -> bool:
    """Whether two artifacts, packed, hold exactly the same."""
    arrays = a.arrays.keys() == b.arrays.keys() and all(
        np.array_equal(a.arrays[name], b.arrays[name], equal_nan=a.arrays[name].dtype.kind == "f") for name in a.arrays
    )
    tables = a.tables.keys() == b.tables.keys() and all(a.tables[name].equals(b.tables[name]) for name in a.tables)
    return arrays and tables and dict(a.values) == dict(b.values)
