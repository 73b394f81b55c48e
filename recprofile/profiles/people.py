"""A few users of a store as arrays: their events, and data of them alone that components can work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa
from numpy.typing import NDArray

from recprofile.artifacts import Dataset, FloatArray, IdMap, Interactions, Table
from recprofile.profiles.again import Again, events_again
from recprofile.profiles.base import LABEL, Base
from recprofile.profiles.kept import arrays_of_bytes
from recprofile.profiles.tables import events, profiles, select_in, users

REST = "\U0010ffff"  # the user who stands for all the others: no outside id is this, and it comes last
COLUMNS = {
    "event_id": pl.String, "user": pl.String, "item": pl.String, "weight": pl.Float32, "time": pl.Int64,
    "positive": pl.Boolean, "version": pl.Int64,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class People:
    """Users of a store: `keys` are their rows there by outside id as text, `log` their events in order of arrival."""

    keys: dict[str, int]
    log: pl.DataFrame

    @property
    def names(self) -> pl.Series:
        """Outside ids as text, sorted."""
        return pl.Series("user", sorted(self.keys), pl.String)


@dataclass(frozen=True, eq=False)
class Stored:
    """Profiles as they are stored, for users in an order of their own.

    `vectors` (n, d); `known` bool (n,); `state` by name float64 (n,); `versions` int64 (n,), the version in which each
    was written, 0 where there is none.
    """

    vectors: FloatArray
    known: NDArray[np.bool_]
    state: dict[str, NDArray[np.float64]]
    versions: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Fixed(Dataset):
    """Data of a few users whose items are as they were when the profiles were published.

    What a fuse stage learns from the items in training, as the mean that it takes out, then stays as it was, whatever
    items have had events since.
    """

    trained: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def cold_items(self) -> NDArray[np.bool_]:
        """Items that had no training event."""
        return ~self.trained

    def item_counts(self) -> NDArray[np.int64]:
        """Positive training events that each item had."""
        return self.counts


def frame_of(rows: Sequence[Any]) -> pl.DataFrame:
    """Events as a table, from tuples in the order of COLUMNS."""
    return pl.DataFrame([tuple(row) for row in rows], schema=COLUMNS, orient="row")


def load_people(connection: sa.Connection, recipe: str, names: Sequence[str], *, until: int | None = None) -> People:
    """Users of a recipe with all their events, or those up to a version; who is not in the store is left out."""
    query = sa.select(users.c.user, users.c.id).where(users.c.recipe == recipe)
    keys = {row.user: row.id for row in select_in(connection, query, users.c.user, names)}
    log = sa.select(
        events.c.event_id, users.c.user, events.c.item, events.c.weight, events.c.time, events.c.positive,
        events.c.version, events.c.n,
    ).join(users, users.c.id == events.c.user)  # fmt: skip
    if until is not None:
        log = log.where(events.c.version <= until)
    rows = select_in(connection, log, events.c.user, list(keys.values()))
    return People(keys, frame_of([row[:-1] for row in sorted(rows, key=lambda row: row.n)]))


def load_profiles(
    connection: sa.Connection, base: Base, keys: Sequence[int | None], *, until: int | None = None
) -> Stored:
    """The profiles of these users as they stand since the publication, or stood at a version; zeros where none is."""
    last = sa.select(profiles.c.user, sa.func.max(profiles.c.version).label("version"))
    last = last.where(profiles.c.version >= base.version)
    if until is not None:
        last = last.where(profiles.c.version <= until)
    found: dict[int, Any] = {}
    there = [key for key in keys if key is not None]
    newest = {
        row.user: row.version for row in select_in(connection, last.group_by(profiles.c.user), profiles.c.user, there)
    }
    by_version: dict[int, list[int]] = {}
    for user, version in newest.items():
        by_version.setdefault(version, []).append(user)
    for version, whose in by_version.items():
        query = sa.select(profiles).where(profiles.c.version == version)
        found |= {row.user: row for row in select_in(connection, query, profiles.c.user, whose)}
    n = len(keys)
    vectors, known = np.zeros((n, base.dim), np.float32), np.zeros(n, np.bool_)
    versions = np.zeros(n, np.int64)
    state: dict[str, NDArray[np.float64]] = {}
    for at, key in enumerate(keys):  # users that a change or a person asks for, never all
        row = found.get(key) if key is not None else None
        if row is None:
            continue
        vectors[at] = np.frombuffer(row.vector, np.float32)
        known[at], versions[at] = row.known, row.version
        for name, value in (arrays_of_bytes(row.state) if row.state else {}).items():
            state.setdefault(name, np.zeros(n))[at] = value[0]
    return Stored(vectors, known, state, versions)


def small_data(
    base: Base, names: pl.Series, log: pl.DataFrame, again: Sequence[Again] = ()
) -> tuple[Dataset, pl.DataFrame]:
    """Data of these users alone after the stages that are done again, and the rows of the log of their events.

    They are those that count, with items that the base knows. One more user, the last, stands for all the others: with
    an event for every item that had one in training, so that what is learnt from training items, and how often they
    are listed as known, is as it was. Those events come after all others, and no stage is done to them.
    """
    ids = IdMap(pl.concat([names, pl.Series("user", [REST])]).rename("id"))
    code = base.ids.codes(log["item"])
    usable = log.filter(pl.Series(code >= 0))
    has_time = bool(base.facts["has_time"])
    theirs = Interactions(
        ids.codes(usable["user"]).astype(np.int32),
        code[code >= 0].astype(np.int32),
        usable["weight"].fill_null(float("nan")).to_numpy().astype(np.float32),
        usable["time"].fill_null(0).to_numpy().astype(np.int64) if has_time else None,
        usable["positive"].to_numpy().astype(np.bool_),
    )
    nothing = Interactions.empty(time=has_time)
    bare = Dataset(Table(ids), Table(base.ids), theirs, nothing, nothing, np.zeros(len(theirs), np.bool_), base.rule)
    theirs, rows = events_again(again, bare)
    rest = np.flatnonzero(base.trained)
    n = len(rest)
    train = Interactions(
        np.concatenate([theirs.user, np.full(n, len(names), np.int32)]),
        np.concatenate([theirs.item, rest.astype(np.int32)]),
        np.concatenate([theirs.weight, np.ones(n, np.float32)]),
        None if theirs.time is None else np.concatenate([theirs.time, np.zeros(n, np.int64)]),
        np.concatenate([theirs.positive, base.positives[rest] > 0]),
    )
    held = np.zeros(len(train), np.bool_)
    items = Table(base.ids, base.catalogue.drop(LABEL))
    made = Fixed(
        Table(ids), items, train, nothing, nothing, held, base.rule, trained=base.trained, counts=base.positives
    )
    return made, usable[rows]
