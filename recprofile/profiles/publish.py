"""Puts the profiles of a finished run into a store, with the events that they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from recprofile.artifacts import Dataset, Encoded, Pack, Profiles
from recprofile.cache import key_of
from recprofile.errors import DataError, listed
from recprofile.interests import item_names
from recprofile.profiles.again import as_facts, filled_by, of_facts, split
from recprofile.profiles.base import LABEL, Base, published_base
from recprofile.profiles.edits import who_edited
from recprofile.profiles.incoming import event_ids
from recprofile.profiles.kept import load_attributes, put_items, put_pack
from recprofile.profiles.move import Hands, move, write_again, write_profiles
from recprofile.profiles.newcomers import encoded_items, unknown_items
from recprofile.profiles.people import small_data
from recprofile.profiles.rebuild import Parity, encoders_again, parity, rebuild
from recprofile.profiles.stages import Stages
from recprofile.profiles.store import Store
from recprofile.profiles.tables import events, insert_columns, users
from recprofile.profiles.versions import Version, begin, close, newest

SAMPLE = 256  # users whose profiles are made anew, to see that the store holds all that they rest on


@dataclass(frozen=True, eq=False)
class Publication:
    """A finished run as a store takes it.

    `log` are the data with the events as the store keeps them, before the preprocess stages that it does to them
    whenever it makes a profile (`again.split`); `keys` tell the run from others; `revised` says what its preprocess
    stages did that the store does not (`revised.revised`); `candidates` are the ids of the recipe's file of
    candidates, None without one.
    """

    data: Dataset
    profiles: Profiles
    encoded: Mapping[str, Encoded]
    rankers: Mapping[str, Pack]
    keys: Mapping[str, str]
    provenance: Mapping[str, Any]
    log: Dataset
    revised: tuple[Mapping[str, Any], ...] = ()
    candidates: pl.Series | None = None


@dataclass(frozen=True)
class Published:
    """What a publication came to. `is_new` False: the store had it already, and was left as it was."""

    store: str
    version: int
    users: int
    events: int
    parity: Mapping[str, Any] | None
    is_new: bool
    carried: int = 0  # events of earlier updates that the run's data lack, and that were taken in again
    carried_items: int = 0  # likewise, items


def as_published(store: Store, recipe: str, keys: Mapping[str, str]) -> Published | None:
    """What the store has of a run, where the recipe's profiles stand on it; else None."""
    if store.is_empty():
        return None
    with store.read() as connection:
        found = newest(connection, recipe, "publish")
    return _there(store, found) if found and found.provenance.get("digest") == digest(keys) else None


def digest(keys: Mapping[str, str]) -> str:
    """What tells a run from every other."""
    return key_of({"keys": dict(keys)})


def _there(store: Store, found: Version) -> Published:
    return Published(store.shown, found.number, found.users, found.events, found.parity, is_new=False)


def publish(store: Store, stages: Stages, run: Publication) -> Published:
    """Put the profiles of a run into a store as a new version, in one transaction: every user, every event.

    A run that the recipe's profiles stand on already adds nothing. Items and events that earlier updates brought and
    the run's data lack are kept: items encoded anew, users moved by the recipe's update stage. Raises RunError RP608
    where the store cannot be written.
    """
    recipe, data = stages.plan.name, run.data
    store.create()
    made = run.profiles
    if stages.update is not None:
        made = stages.updater.prepare(made, data, stages.context(stages.update))
    base = _base(stages, run)
    log = _log(run.log)
    apart = _parity(base, stages, made, log)
    with store.change() as connection:
        last = newest(connection, recipe, "publish")
        if last is not None and last.provenance.get("digest") == digest(run.keys):
            return _there(store, last)
        provenance = {**run.provenance, "digest": digest(run.keys)}
        version, number = begin(connection, recipe, "publish", base=None, provenance=provenance)
        base = replace(base, version=version)
        put_pack(connection, version, "base", base.pack())
        for id, ranker in run.rankers.items():
            put_pack(connection, version, f"ranker/{id}", ranker)
        known = len(base.names)
        base = _carry_items(connection, base, stages, last)
        names = made.users.ids.cast(pl.String)
        keys = _users(connection, recipe, names, whole=made.users.ids.dtype == pl.Int64)
        write_profiles(connection, version, [keys[name] for name in names], made)
        before = pl.Series(
            list(connection.execute(sa.select(events.c.event_id).where(events.c.recipe == recipe)).scalars()),
            dtype=pl.String,
        )
        put_events(connection, recipe, version, log.filter(~pl.col("event_id").is_in(before.implode())), keys)
        carried = _carry(connection, recipe, base, stages, before.filter(~before.is_in(log["event_id"].implode())))
        _keep_edits(connection, recipe, base, stages, names)
        items = len(base.names) - known
        facts = {"new_users": len(names), "new_items": items, "carried": carried}
        parity_ = apart.to_json() if apart is not None else None
        columns = {"events": log.height, "users": len(names), "asof": made.asof, "facts": facts, "parity": parity_}
        close(connection, version, **columns)
    done = Published(store.shown, number, len(names), log.height, parity_, is_new=True)
    return replace(done, carried=carried, carried_items=items)


def put_events(
    connection: sa.Connection, recipe: str, version: int, log: pl.DataFrame, keys: Mapping[str, int]
) -> None:
    """Write events, in their order."""
    names = ("event_id", "item", "weight", "time", "positive")
    columns = {name: log[name].fill_nan(None).to_list() if name == "weight" else log[name].to_list() for name in names}
    user = log["user"].replace_strict(pl.Series(list(keys), dtype=pl.String), pl.Series(list(keys.values())))
    insert_columns(connection, events, {**columns, "user": user.to_list(), "recipe": recipe, "version": version})


def _users(connection: sa.Connection, recipe: str, names: pl.Series, *, whole: bool) -> dict[str, int]:
    """The rows of users in the store by name, made where there are none."""
    query = sa.select(users.c.user, users.c.id).where(users.c.recipe == recipe)
    there = {row.user for row in connection.execute(query)}
    new = [name for name in names if name not in there]
    insert_columns(connection, users, {"user": new, "recipe": recipe, "whole": whole})
    return {row.user: row.id for row in connection.execute(query)}


def _base(stages: Stages, run: Publication) -> Base:
    data = run.data
    labels = item_names(data).cast(pl.String).rename(LABEL)
    frame = data.items.frame
    catalogue = frame.with_columns(labels) if frame.width else labels.to_frame()
    again = split(stages.plan.of("preprocess")).again
    facts = {
        **stages.facts(),
        "has_time": data.has_time,
        "revised": [dict(one) for one in run.revised],
        "preprocess": as_facts(again, data.learnt),
        "fills": sorted({name for stage in again for name in filled_by(stage)}),
    }
    cold, counts = data.cold_items(), data.item_counts()
    listed = None if run.candidates is None else run.candidates.cast(pl.String)
    return published_base(
        run.profiles, run.encoded, catalogue, trained=~cold, positives=counts, facts=facts, listed=listed
    )


def _log(data: Dataset) -> pl.DataFrame:
    """The training events as the store keeps them."""
    train = data.train
    frame = pl.DataFrame(
        {
            "user": data.users.ids.ids.cast(pl.String).gather(train.user.astype(np.uint32)),
            "item": data.items.ids.ids.cast(pl.String).gather(train.item.astype(np.uint32)),
            "weight": pl.Series(train.weight, dtype=pl.Float32),
            "time": pl.Series([None] * len(train) if train.time is None else train.time, dtype=pl.Int64),
            "positive": train.positive,
        }
    )
    return frame.with_columns(event_ids(frame))


def _parity(base: Base, stages: Stages, made: Profiles, log: pl.DataFrame) -> Parity | None:
    """How far the run's profiles are from those that the store could make of its own events, for some users."""
    n = len(made.users)
    if stages.fuse is None or n == 0:
        return None
    rows = np.unique(np.linspace(0, n - 1, min(n, SAMPLE)).astype(np.int64))
    ids = made.users.ids.cast(pl.String)
    names = ids.gather(rows)
    order = names.sort()
    again = of_facts(base.facts["preprocess"], stages.registry)
    data, _ = small_data(base, order, log.filter(pl.col("user").is_in(names.implode())), again)
    at = made.users.codes(order) if made.users.ids.dtype == pl.String else made.users.codes(order.cast(pl.Int64))
    stored = made.user_vectors[at]
    encoders = encoders_again(base, stages.registry)
    made_anew = rebuild(base, stages.fuser, data, stages.context(stages.fuse), again=encoders, stored=stored)
    return parity(base, stored, made_anew)


def _carry_items(connection: sa.Connection, base: Base, stages: Stages, last: Version | None) -> Base:
    """Take in items that came to the publication before this one, and that the run's data lack."""
    if last is None:
        return base
    unknown = unknown_items(base, load_attributes(connection, last.id))
    if unknown is None:
        return base
    try:
        more = encoded_items(base, stages, *unknown)
    except DataError as error:  # the columns of the items are others now
        names = listed(unknown[0].to_list(), most=5)
        stages.warn(f"items of earlier updates are left out ({names}): {error.problems[0].message}")
        return base
    put_items(connection, base, base.version, more, unknown[1])
    return base.grown(more)


def _carry(connection: sa.Connection, recipe: str, base: Base, stages: Stages, ids: pl.Series) -> int:
    """Take in events of earlier updates that the run's data lack."""
    if len(ids) == 0 or stages.update is None:
        return 0
    query = sa.select(events.c.event_id, users.c.user).join(users, users.c.id == events.c.user)
    rows = connection.execute(query.where(events.c.recipe == recipe, events.c.version != base.version)).all()
    frame = pl.DataFrame([tuple(row) for row in rows], schema=["event_id", "user"], orient="row")
    frame = frame.filter(pl.col("event_id").is_in(ids.implode()))
    moved = move(connection, base, Hands.of(stages), frame["user"].unique().to_list(), frame)
    write_again(connection, base.version, moved)
    return frame.height


def _keep_edits(connection: sa.Connection, recipe: str, base: Base, stages: Stages, names: pl.Series) -> None:
    """What people said of themselves acts on the new profiles, too."""
    mine = sorted(who_edited(connection, recipe) & set(names))
    if mine:
        write_again(
            connection,
            base.version,
            move(connection, base, Hands.kept(base, stages.registry, recipe, stages.warn), mine),
        )
