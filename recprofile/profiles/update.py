"""Takes later events, and new items, into a store: once each, in one transaction, for the users concerned alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from recprofile.artifacts import BoolArray, Dataset, Encoded, FloatArray
from recprofile.errors import DataError
from recprofile.profiles.base import LABEL, WHOLE, Base, load_base, put_item
from recprofile.profiles.move import move, write_profiles
from recprofile.profiles.people import small_data
from recprofile.profiles.publish import put_events
from recprofile.profiles.rebuild import rebuild
from recprofile.profiles.stages import Stages
from recprofile.profiles.store import Store, events, insert_columns, select_in, users
from recprofile.profiles.versions import begin, close, newest, publication
from recprofile.report import item_names

CLOSE = 1e-3  # how far an encoder's vectors of known items may be from those published, as devices differ


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
        stages.same_as(load_base(connection, publication(connection, store, recipe).id).facts)
    with store.change() as connection:
        base = load_base(connection, publication(connection, store, recipe).id)
        stages.same_as(base.facts)
        known = _known_events(connection, recipe, incoming["event_id"].to_list())
        fresh = incoming.unique("event_id", keep="first", maintain_order=True)
        fresh = fresh.filter(~pl.col("event_id").is_in(pl.Series(known, dtype=pl.String).implode()))
        unknown = _unknown_items(base, new)
        duplicates = incoming.height - fresh.height
        if fresh.is_empty() and unknown is None:
            last = newest(connection, recipe)
            assert last is not None
            return Updated(store.shown, recipe, last.number, False, 0, duplicates, 0, 0, 0, 0, None, updater.exact)
        version, number = begin(connection, recipe, "update", base=base.version, provenance=_provenance(stages))
        added = 0
        if unknown is not None:
            added = len(unknown[0])
            more = encoded_items(base, stages, *unknown)
            put_item(connection, base, version, more)
            base = base.grown(more)
        touched, moved_events = _touched(connection, recipe, fresh, unknown)
        new_users = _new_users(connection, recipe, touched, whole=bool(base.facts["users_whole"]))
        query = sa.select(users.c.user, users.c.id).where(users.c.recipe == recipe)
        keys = {row.user: row.id for row in select_in(connection, query, users.c.user, touched)}
        if fresh.height:
            put_events(connection, recipe, version, fresh, keys)
        parity = None
        if touched:
            moved = move(connection, base, stages, touched, moved_events)
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


def has_time(store: Store, recipe: str) -> bool:
    """Whether the events of a recipe's profiles have a time; raises RunError RP608 where nothing is published."""
    with store.read() as connection:
        return bool(load_base(connection, publication(connection, store, recipe).id).facts["has_time"])


def encoded_items(base: Base, stages: Stages, ids: pl.Series, frame: pl.DataFrame) -> Base:
    """New items alone: their vectors as the recipe's encoders give them for these attributes, and in the fused space.

    Encoders learn from the items that were in training when the profiles were published. One that works on behaviour
    knows nothing of a new item, whose part is then zero; so is that of one that gives known items other vectors than
    it did (told).
    """
    n = len(ids)
    nothing = {name: (np.zeros((n, v.shape[1]), np.float32), np.ones(n, np.bool_)) for name, (v, _) in base.raw.items()}
    more = replace(
        base,
        names=ids,
        catalogue=_as_catalogue(base, frame),
        vectors=np.zeros((n, base.dim), np.float32),
        raw=nothing,
        trained=np.zeros(n, np.bool_),
        positives=np.zeros(n, np.int64),
        added=0,
    )
    whole = base.grown(more)
    nobody = pl.Series("user", [], pl.String)
    log = pl.DataFrame(
        schema={
            "event_id": pl.String,
            "user": pl.String,
            "item": pl.String,
            "weight": pl.Float32,
            "time": pl.Int64,
            "positive": pl.Boolean,
        }
    )
    data, _ = small_data(whole, nobody, log)
    raw = {name: _encoded(name, base, stages, data, nothing[name]) for name in base.raw}
    labels = item_names(data).cast(pl.String)[-n:].rename(LABEL)
    more = replace(more, raw=raw, catalogue=more.catalogue.with_columns(labels))
    if stages.fuse is None:
        return more
    fused = rebuild(base.grown(more), stages.fuser, data, stages.context(stages.fuse))
    vectors = fused.item_vectors[-n:].copy()
    for block in base.facts["blocks"]:
        if not block["pooled"] and block["fold_in"] is None and not base.facts["sides"][block["name"]][1]:
            vectors[:, block["start"] : block["stop"]] = 0  # made of users who are not at hand
    return replace(more, vectors=vectors)


def _encoded(
    name: str, base: Base, stages: Stages, data: Dataset, nothing: tuple[FloatArray, BoolArray]
) -> tuple[FloatArray, BoolArray]:
    """An encoder's vectors of the items after the base's, and which are missing."""
    _, of_items, of_users = base.facts["sides"][name]
    if not of_items or of_users:
        return nothing
    encoder, ctx = stages.encoder(name)
    found = Encoded.of(encoder.encode(data, ctx)).items
    old, _ = base.raw[name]
    n = len(old)
    if found is None or found.dim != old.shape[1] or float(np.abs(found.vectors[:n] - old).max(initial=0)) > CLOSE:
        stages.warn(f"{name}: gives known items other vectors than when the profiles were published: left out")
        return nothing
    return found.vectors[n:], found.missing[n:]


def _as_catalogue(base: Base, frame: pl.DataFrame) -> pl.DataFrame:
    """Attributes in the columns and types of the catalogue; raises DataError RP503 for a value of another type."""
    columns = []
    for name, dtype in base.catalogue.schema.items():
        given = frame[name] if name in frame.columns else pl.Series(name, [None] * frame.height, dtype=dtype)
        cast = given.cast(dtype, strict=False)
        if cast.null_count() > given.null_count():
            value = given.filter(cast.is_null() & given.is_not_null())[0]
            message = f"'{value}' in column '{name}' of the new items is no {dtype}, as the known ones are"
            raise DataError.of("RP503", message)
        columns.append(cast)
    return pl.DataFrame(columns)


def _unknown_items(base: Base, new: tuple[pl.Series, pl.DataFrame] | None) -> tuple[pl.Series, pl.DataFrame] | None:
    if new is None:
        return None
    ids, frame = new
    there = pl.Series(base.ids.codes(ids) < 0)
    return (ids.filter(there), frame.filter(there)) if there.any() else None


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
