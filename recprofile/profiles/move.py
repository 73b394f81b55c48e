"""Moves the profiles of users whose events are in the store, within the transaction of a change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from recprofile.artifacts import Profiles
from recprofile.components import Context, Fuser, Updater
from recprofile.errors import ArtifactError
from recprofile.profiles.again import of_facts
from recprofile.profiles.base import Base
from recprofile.profiles.edits import cards_with, load_edits, load_texts
from recprofile.profiles.kept import arrays_to_bytes
from recprofile.profiles.people import People, load_people, load_profiles, small_data
from recprofile.profiles.rebuild import EXACT, Parity, encoders_again, parity, rebuild, stored_as
from recprofile.profiles.stages import Stages, component_of
from recprofile.profiles.tables import insert_columns, profiles
from recprofile.registry import Registry

UPDATER = "fold-in"  # what takes in edits where the recipe has no update stage


@dataclass(frozen=True)
class Hands:
    """The components that make and move profiles of a recipe, with their Contexts."""

    recipe: str
    registry: Registry
    fuser: Fuser[Any] | None
    updater: Updater[Any]
    named: str
    warn: Callable[[str], None]
    fusing: Context
    updating: Context

    @classmethod
    def of(cls, stages: Stages) -> Hands:
        """Those of a Plan."""
        updater, update = stages.updater, stages.update
        assert update is not None
        fusing, updating = stages.context(stages.fuse or update), stages.context(update)
        recipe, named = stages.plan.name, update.offer.pinned
        return cls(recipe, stages.registry, stages.fuser, updater, named, stages.warn, fusing, updating)

    @classmethod
    def kept(cls, base: Base, registry: Registry, recipe: str, warn: Callable[[str], None]) -> Hands:
        """Those that a publication names, without its Plan."""
        fuse, update = base.facts["fuse"], base.facts["update"]
        fuser = component_of(fuse, "fuse", registry) if fuse else None
        said = update or {"use": registry.find(UPDATER, "update", None).pinned, "params": {}}
        updater = component_of(said, "update", registry)
        assert isinstance(updater, Updater)
        assert fuser is None or isinstance(fuser, Fuser)
        return cls(recipe, registry, fuser, updater, said["use"], warn, Context("fuse"), Context("update"))


@dataclass(frozen=True, eq=False)
class Moved:
    """Users with their profiles after the events, and how far those are from ones made anew."""

    people: People
    after: Profiles
    parity: Parity


def move(
    connection: sa.Connection, base: Base, hands: Hands, names: Sequence[str], events: pl.DataFrame | None = None
) -> Moved:
    """The profiles of these users with the events taken in; all their events are in the store, these included.

    What people say of themselves counts as it stands in the store, and blocks whose encoder makes users anew are made
    anew. Raises ArtifactError when the updater gives something else than these users in this space.
    """
    people = load_people(connection, hands.recipe, names)
    who = people.names
    stored = load_profiles(connection, base, [people.keys[name] for name in who])
    every, log = small_data(base, who, people.log, of_facts(base.facts["preprocess"], hands.registry))
    again = encoders_again(base, hands.registry)
    said = load_edits(connection, people.keys)
    rebuilt = rebuild(base, hands.fuser, every, hands.fusing, again=again, stored=stored.vectors, edits=said)
    before = stored_as(rebuilt, base, stored.vectors, stored.known, state=stored.state)
    ids = pl.Series("event_id", [], pl.String) if events is None else events["event_id"]
    new = np.flatnonzero(log["event_id"].is_in(ids.implode()).to_numpy())
    here = np.arange(every.n_users) < len(who)
    alone = every.keep(users=here)
    after: object = hands.updater.update(before, every.train.take(new), alone, hands.updating)
    if (
        not isinstance(after, Profiles)
        or after.users != before.users
        or after.user_vectors.shape != before.user_vectors.shape
    ):
        raise ArtifactError(f"{hands.named} gave profiles of other users, or of another space, than it was given")
    after = _made_anew(base, after, rebuilt)
    cards = cards_with(rebuilt.cards, load_texts(connection, people.keys), who)
    apart = parity(base, after.user_vectors, rebuilt)
    if hands.updater.exact and apart.largest > EXACT:
        hands.warn(
            f"{hands.named}: profiles differ by {apart.largest:.1e} from ones made anew, "
            f"which an exact updater must keep below {EXACT:.0e}"
        )
    return Moved(people, replace(after, cards=cards), apart)


def _made_anew(base: Base, after: Profiles, rebuilt: Profiles) -> Profiles:
    """With the blocks whose encoder makes users anew, which is nothing that an updater could know."""
    mine = [block for block in base.facts["blocks"] if block["name"] in base.facts["again"]]
    if not mine:
        return after
    vectors = after.user_vectors.copy()
    for block in mine:
        columns = slice(block["start"], block["stop"])
        vectors[:, columns] = rebuilt.user_vectors[:, columns]
    return replace(after, user_vectors=vectors, known=np.asarray(vectors.any(axis=1)))


def write_profiles(connection: sa.Connection, version: int, keys: Sequence[int], after: Profiles) -> None:
    """Write the profiles of users, by their rows in the store, as those of a version, in place of what it had."""
    size = after.dim * 4
    block = memoryview(np.ascontiguousarray(after.user_vectors).tobytes())
    vectors = [bytes(block[at * size : (at + 1) * size]) for at in range(len(keys))]
    state = [None] * len(keys) if not after.state else [
        arrays_to_bytes({name: values[at : at + 1] for name, values in after.state.items()}) for at in range(len(keys))
    ]  # fmt: skip
    cards: list[str | None] = [None] * len(keys)
    if after.cards.width:
        text = dict(after.cards.select(pl.col("user").cast(pl.String), "text").iter_rows())
        cards = [text.get(str(user)) for user in after.users.ids]
    columns = {"user": list(keys), "vector": vectors, "known": after.known.tolist(), "state": state, "card": cards}
    insert_columns(connection, profiles, {**columns, "version": version})


def write_again(connection: sa.Connection, version: int, moved: Moved) -> None:
    """Write moved profiles in place of those that the version has of the same users."""
    keys = [moved.people.keys[name] for name in moved.people.names]
    for key in keys:  # users of updates, or with edits, since the last publication
        connection.execute(profiles.delete().where(profiles.c.user == key, profiles.c.version == version))
    write_profiles(connection, version, keys, moved.after)
