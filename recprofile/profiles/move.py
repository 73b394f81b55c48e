"""Moves the profiles of users whose events are in the store, within the transaction of a change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import sqlalchemy as sa

from recprofile.artifacts import Profiles
from recprofile.errors import ArtifactError
from recprofile.profiles.again import of_facts
from recprofile.profiles.base import Base
from recprofile.profiles.kept import arrays_to_bytes
from recprofile.profiles.people import People, load_people, load_profiles, small_data
from recprofile.profiles.rebuild import EXACT, Parity, parity, rebuild, stored_as
from recprofile.profiles.stages import Stages
from recprofile.profiles.tables import insert_columns, profiles


@dataclass(frozen=True, eq=False)
class Moved:
    """Users with their profiles after the events, and how far those are from ones made anew."""

    people: People
    after: Profiles
    parity: Parity


def move(connection: sa.Connection, base: Base, stages: Stages, names: Sequence[str], events: pl.DataFrame) -> Moved:
    """The profiles of these users with the events taken in; all their events are in the store, these included.

    Raises ArtifactError when the updater gives something else than these users in this space.
    """
    updater, update = stages.updater, stages.update
    assert update is not None
    people = load_people(connection, stages.plan.name, names)
    who = people.names
    stored = load_profiles(connection, base, [people.keys[name] for name in who])
    every, log = small_data(base, who, people.log, of_facts(base.facts["preprocess"], stages.registry))
    rebuilt = rebuild(base, stages.fuser, every, stages.context(stages.fuse or update), stored=stored.vectors)
    before = stored_as(rebuilt, base, stored.vectors, stored.known, state=stored.state)
    new = np.flatnonzero(log["event_id"].is_in(events["event_id"].implode()).to_numpy())
    here = np.arange(every.n_users) < len(who)
    alone = every.keep(users=here)
    after: object = updater.update(before, every.train.take(new), alone, stages.context(update))
    if (
        not isinstance(after, Profiles)
        or after.users != before.users
        or after.user_vectors.shape != before.user_vectors.shape
    ):
        raise ArtifactError(
            f"{update.offer.pinned} gave profiles of other users, or of another space, than it was given"
        )
    apart = parity(base, after.user_vectors, rebuilt)
    if updater.exact and apart.largest > EXACT:
        stages.warn(
            f"{update.offer.pinned}: profiles differ by {apart.largest:.1e} from ones made anew, "
            f"which an exact updater must keep below {EXACT:.0e}"
        )
    return Moved(people, after, apart)


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
