"""One person as a store holds them, or a history that somebody names: what cards, lists and differences are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from recprofile.artifacts import Dataset, FloatArray, Profiles
from recprofile.components import Context, Fuser
from recprofile.errors import RunError, did_you_mean, quoted
from recprofile.interests import NO_EDITS
from recprofile.profiles.again import of_facts
from recprofile.profiles.base import Base
from recprofile.profiles.edits import load_edits
from recprofile.profiles.kept import load_base
from recprofile.profiles.people import frame_of, load_people, load_profiles, small_data
from recprofile.profiles.rebuild import encoders_again, rebuild, stored_as
from recprofile.profiles.stages import component_of
from recprofile.profiles.store import Store
from recprofile.profiles.tables import profiles, users
from recprofile.profiles.versions import Version, all_versions, publication, recipes
from recprofile.registry import Registry

SOMEBODY = "\x00"  # the user whose history was named


@dataclass(frozen=True, eq=False)
class Person:
    """A user at a version: `log` their events, `profile` of them alone, `data` of them and of one who stands for all
    others; `written` the version in which the profile was written.
    """

    user: int | str
    base: Base
    publication: Version
    written: Version | None
    log: pl.DataFrame
    data: Dataset
    profile: Profiles


def recipe_in(connection: sa.Connection, store: Store, wanted: str | None) -> str:
    """The recipe that a person means: the one they name, else the one published last."""
    known = recipes(connection)
    if wanted is None and known:
        return known[-1]
    if wanted in known and wanted is not None:
        return wanted
    helps = did_you_mean(wanted or "", known, label="it has profiles of") or (
        "publish some: recprofile publish RECIPE",
    )
    what = f"profiles of {quoted(wanted)}" if wanted else "profiles"
    raise RunError.of("RP608", f"no {what} in {quoted(store.shown)}", help=helps)


def user_in(connection: sa.Connection, store: Store, recipe: str, user: str) -> Any:  # noqa: ANN401 - a database row
    """The row of a user; raises RunError RP607 with ids like it."""
    query = sa.select(users).where(users.c.recipe == recipe)
    row = connection.execute(query.where(users.c.user == user)).first()
    if row is not None:
        return row
    like = sa.or_(users.c.user.icontains(user, autoescape=True), users.c.user.istartswith(user[:2], autoescape=True))
    some = connection.execute(sa.select(users.c.user).where(users.c.recipe == recipe, like).limit(20_000)).scalars()
    near = get_close_matches(user, list(some), n=5, cutoff=0.5)
    helps = (f"users like that: {', '.join(near)}",) if near else ()
    raise RunError.of("RP607", f"no user {quoted(user)} in {quoted(store.shown)}", help=helps)


def outside(row: Any) -> int | str:  # noqa: ANN401 - a database row
    """A user's id in its own type."""
    return int(row.user) if row.whole else str(row.user)


def versions_of(connection: sa.Connection, recipe: str, key: int) -> list[Version]:
    """The versions in which a user's profile was written, the first first."""
    mine = set(connection.execute(sa.select(profiles.c.version).where(profiles.c.user == key)).scalars())
    return [version for version in all_versions(connection, recipe) if version.id in mine]


def person(
    connection: sa.Connection, store: Store, registry: Registry, recipe: str, user: str, *, at: Version | None = None
) -> Person:
    """A user as they are, or were at a version. Raises RunError RP607 for a user that the store does not know."""
    row = user_in(connection, store, recipe, user)
    mine = [v for v in versions_of(connection, recipe, row.id) if at is None or v.number <= at.number]
    base_id = mine[-1].base if mine else publication(connection, store, recipe).id
    until = at.id if at is not None else None
    base = load_base(connection, base_id, until=until)
    published = next(v for v in all_versions(connection, recipe) if v.id == base_id)
    people = load_people(connection, recipe, [user], until=until)
    stored = load_profiles(connection, base, [row.id], until=until)
    told = load_edits(connection, people.keys, until=until)
    data, rebuilt = _rebuilt(base, registry, user, people.log, stored=stored.vectors, edits=told)
    profile = stored_as(rebuilt, base, stored.vectors, stored.known)
    return Person(outside(row), base, published, mine[-1] if mine else None, people.log, data, profile)


def somebody(connection: sa.Connection, store: Store, registry: Registry, recipe: str, items: Sequence[str]) -> Person:
    """Nobody that the store knows: a profile made of these items alone, each a positive event of weight 1.

    Raises RunError RP607 for an item that the store does not know.
    """
    published = publication(connection, store, recipe)
    base = load_base(connection, published.id)
    for item in items:
        if base.ids.codes([item])[0] < 0:
            helps = did_you_mean(item, base.names.to_list(), label="items", most=5)
            raise RunError.of("RP607", f"no item {quoted(item)} in {quoted(store.shown)}", help=helps)
    log = frame_of([(str(n), SOMEBODY, item, 1.0, 0, True, 0) for n, item in enumerate(dict.fromkeys(items))])
    data, rebuilt = _rebuilt(base, registry, SOMEBODY, log)
    profile = replace(rebuilt, item_vectors=base.vectors)
    return Person("", base, published, None, log, data, profile)


def of_training(registry: Registry, who: Person) -> Person:
    """The same person among the items of the run alone, without those that came later."""
    base = who.base.original()
    data, rebuilt = _rebuilt(base, registry, who.data.users.ids.ids[0], who.log, stored=who.profile.user_vectors)
    profile = stored_as(rebuilt, base, who.profile.user_vectors, who.profile.known)
    return replace(who, base=base, data=data, profile=profile)


def _rebuilt(
    base: Base,
    registry: Registry,
    user: str,
    log: pl.DataFrame,
    *,
    stored: FloatArray | None = None,
    edits: pl.DataFrame = NO_EDITS,
) -> tuple[Dataset, Profiles]:
    # A history that somebody names has no weights of a file, which is what learning stages are made for.
    again = of_facts(base.facts["preprocess"], registry, learning=user != SOMEBODY)
    data, _ = small_data(base, pl.Series("user", [user]), log, again)
    fuse = base.facts["fuse"]
    fuser = component_of(fuse, "fuse", registry) if fuse else None
    assert fuser is None or isinstance(fuser, Fuser)
    rebuilt = rebuild(base, fuser, data, Context(), again=encoders_again(base, registry), stored=stored, edits=edits)
    return data, rebuilt if fuser else replace(rebuilt, known=np.asarray(rebuilt.known))
