"""Takes later events, and new items, into a store: once each, in one transaction, for the users concerned alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
import sqlalchemy as sa

from recprofile.profiles.base import WHOLE
from recprofile.profiles.kept import load_base, load_facts, put_items
from recprofile.profiles.move import Hands, move, write_profiles
from recprofile.profiles.newcomers import encoded_items, unknown_items
from recprofile.profiles.publish import put_events
from recprofile.profiles.revised import warn_of_weights
from recprofile.profiles.stages import Stages
from recprofile.profiles.store import Store
from recprofile.profiles.tables import events, insert_columns, select_in, users
from recprofile.profiles.versions import begin, close, newest, publication


@dataclass(frozen=True)
class Updated:
    """What an update did. `version` is the recipe's newest, and `is_new` whether this update made it."""

    store: str
    recipe: str
    version: int
    is_new: bool
    events: int  # that were new
    duplicates: int
    waiting: int  # of the new ones: those with items of which nothing is known yet
    users: int  # whose profiles were written
    new_users: int
    new_items: int
    parity: Mapping[str, Any] | None
    exact: bool

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return dict(vars(self))


def update(
    store: Store, stages: Stages, incoming: pl.DataFrame, new: tuple[pl.Series, pl.DataFrame] | None = None
) -> Updated:
    """Take events into the profiles of a recipe; `new` are ids and attributes of items.

    An event whose id the store knows is left out, so that the same file a second time changes nothing. What is killed
    on the way has changed nothing either. Raises RunError RP608 where nothing of the recipe is published, or by other
    stages; RecipeError RP404 where the recipe has no update stage.
    """
    recipe, updater = stages.plan.name, stages.updater
    with store.read() as connection:  # what is wrong is said before the only lock is taken
        stages.same_as(load_facts(connection, publication(connection, store, recipe).id))
    with store.change() as connection:
        base = load_base(connection, publication(connection, store, recipe).id)
        stages.same_as(base.facts)
        known = _known_events(connection, recipe, incoming["event_id"].to_list())
        fresh = incoming.unique("event_id", keep="first", maintain_order=True)
        fresh = fresh.filter(~pl.col("event_id").is_in(pl.Series(known, dtype=pl.String).implode()))
        unknown = unknown_items(base, new)
        duplicates = incoming.height - fresh.height
        if fresh.is_empty() and unknown is None:
            last = newest(connection, recipe)
            assert last is not None
            return Updated(store.shown, recipe, last.number, False, 0, duplicates, 0, 0, 0, 0, None, updater.exact)
        version, number = begin(connection, recipe, "update", base=base.version, provenance=_provenance(stages))
        added = 0
        if unknown is not None:
            added = len(unknown[0])
            ids, frame = unknown
            more = encoded_items(base, stages, ids, frame)
            put_items(connection, base, version, more, frame)
            base = base.grown(more)
        touched, moved_events = _touched(connection, recipe, fresh, unknown)
        new_users = _new_users(connection, recipe, touched, whole=bool(base.facts["users_whole"]))
        query = sa.select(users.c.user, users.c.id).where(users.c.recipe == recipe)
        keys = {row.user: row.id for row in select_in(connection, query, users.c.user, touched)}
        if fresh.height:
            warn_of_weights(base.facts["revised"], stages.warn)
            put_events(connection, recipe, version, fresh, keys)
        parity = None
        if touched:
            moved = move(connection, base, Hands.of(stages), touched, moved_events)
            write_profiles(connection, version, [keys[name] for name in moved.people.names], moved.after)
            parity = moved.parity.to_json()
        waiting = int((base.ids.codes(fresh["item"]) < 0).sum())
        facts = {"new_users": new_users, "new_items": added, "duplicates": duplicates, "waiting": waiting}
        time = fresh["time"].max() if fresh.height else None
        columns = {"events": fresh.height, "users": len(touched), "asof": time, "facts": facts, "parity": parity}
        close(connection, version, **columns)
    return Updated(
        store.shown, recipe, number, True, fresh.height, duplicates, waiting, len(touched), new_users, added, parity,
        updater.exact,
    )  # fmt: skip


@dataclass(frozen=True)
class Takes:
    """What a recipe's stored profiles take: whether their events have a time, and columns whose gaps are filled."""

    has_time: bool
    fills: frozenset[str]


def takes(store: Store, recipe: str) -> Takes:
    """What later events must have; raises RunError RP608 where nothing is published."""
    with store.read() as connection:
        facts = load_facts(connection, publication(connection, store, recipe).id)
    return Takes(bool(facts["has_time"]), frozenset(facts["fills"]))


def _known_events(connection: sa.Connection, recipe: str, ids: list[str]) -> list[str]:
    query = sa.select(events.c.event_id).where(events.c.recipe == recipe)
    return [row[0] for row in select_in(connection, query, events.c.event_id, ids)]


def _touched(
    connection: sa.Connection, recipe: str, fresh: pl.DataFrame, unknown: tuple[pl.Series, pl.DataFrame] | None
) -> tuple[list[str], pl.DataFrame]:
    """Users with new events, or with earlier ones of items that are known from now on; and all those events."""
    taken = fresh.select("event_id", "user")
    if unknown is not None:
        query = sa.select(events.c.event_id, users.c.user).join(users, users.c.id == events.c.user)
        rows = select_in(connection, query.where(events.c.recipe == recipe), events.c.item, unknown[0].to_list())
        waiting = pl.DataFrame(
            [tuple(r) for r in rows], schema={"event_id": pl.String, "user": pl.String}, orient="row"
        )
        taken = pl.concat([taken, waiting])
    return taken["user"].unique().sort().to_list(), taken


def _new_users(connection: sa.Connection, recipe: str, names: list[str], *, whole: bool) -> int:
    query = sa.select(users.c.user).where(users.c.recipe == recipe)
    there = {row.user for row in select_in(connection, query, users.c.user, names)}
    new = pl.Series("user", [name for name in names if name not in there], pl.String)
    numbers = new.str.contains(WHOLE.pattern) if whole else pl.Series([False] * len(new), dtype=pl.Boolean)
    insert_columns(connection, users, {"user": new.to_list(), "whole": numbers.to_list(), "recipe": recipe})
    return len(new)


def _provenance(stages: Stages) -> dict[str, Any]:
    update = stages.update
    assert update is not None
    build = f"{update.offer.plugin.distribution} {update.offer.plugin.version}"
    return {"updater": update.offer.pinned, "params": update.params(), "by": build}
