"""Takes in what people say of themselves, as a version of their profile that acts at once, and can be undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import sqlalchemy as sa

from recprofile.artifacts import Profiles
from recprofile.errors import RunError, did_you_mean, quoted
from recprofile.interests import TagsParams, vocabulary
from recprofile.profiles.again import of_facts
from recprofile.profiles.base import Base
from recprofile.profiles.kept import load_base
from recprofile.profiles.move import Hands, move, write_profiles
from recprofile.profiles.people import load_people, small_data
from recprofile.profiles.person import recipe_in, user_in
from recprofile.profiles.rebuild import encoders_again
from recprofile.profiles.store import Store
from recprofile.profiles.tables import edits, versions
from recprofile.profiles.versions import begin, close, publication
from recprofile.registry import Registry

ALONE = 1.0  # what a tag weighs that a person likes, of whom no other tag is known


@dataclass(frozen=True)
class Asked:
    """An edit as a person types it: `like` tags, with a weight or None, others by name; or `undo` the last one."""

    like: tuple[tuple[str, float | None], ...] = ()
    dislike: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    text: str | None = None
    undo: bool = False


@dataclass(frozen=True)
class Edited:
    """What an edit did. `undone` the number of the version that it took back."""

    store: str
    recipe: str
    user: str
    version: int
    tags: tuple[dict[str, Any], ...] = ()
    text: str | None = None
    undone: int | None = None
    told: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "tags": list(self.tags), "told": list(self.told)}


def edit(
    store: Store,
    registry: Registry,
    user: str,
    asked: Asked,
    *,
    by: str,
    recipe: str | None = None,
    warn: Callable[[str], None],
) -> Edited:
    """Keep an edit, and make the person's profile and card anew with it, in one transaction.

    Raises RunError RP607 for a user or tag that the store does not know (with near names), and where there is nothing
    to undo; RP608 where no stage of the published recipe gives tags.
    """
    with store.read() as connection:  # what is wrong is said before the only lock is taken
        user_in(connection, store, recipe_in(connection, store, recipe), user)
    with store.change() as connection:
        name = recipe_in(connection, store, recipe)
        key = user_in(connection, store, name, user).id
        base = load_base(connection, publication(connection, store, name).id)
        tags = _resolved(connection, base, registry, name, user, asked)
        undone = _last(connection, store, user, key) if asked.undo else None
        version, number = begin(connection, name, "edit", base=base.version, provenance={})
        if undone is None:
            row = {"user": key, "version": version, "by": by, "tags": tags, "text": asked.text}
            connection.execute(edits.insert().values(row))
        else:
            connection.execute(edits.update().where(edits.c.id == undone.id).values(undone=version))
        moved = move(connection, base, Hands.kept(base, registry, name, warn), [user])
        write_profiles(connection, version, [key], moved.after)
        facts = {"tags": len(tags), "text": asked.text is not None, "undoes": undone.number if undone else None}
        close(connection, version, users=1, facts=facts, parity=moved.parity.to_json(), asof=moved.after.asof)
        told = () if _acts(base) else ("the lists of this recipe do not rest on its profiles, and stay as they are",)
    return Edited(store.shown, name, user, number, tuple(tags), asked.text, undone.number if undone else None, told)


def _acts(base: Base) -> bool:
    return any(said["from"].get("fuse") for said in base.facts["rankers"])


def _last(connection: sa.Connection, store: Store, user: str, key: int) -> Any:  # noqa: ANN401 - a database row
    query = sa.select(edits.c.id, versions.c.number).join(versions, versions.c.id == edits.c.version)
    query = query.where(edits.c.user == key, edits.c.undone.is_(None)).order_by(edits.c.id.desc())
    row = connection.execute(query.limit(1)).first()
    if row is None:
        raise RunError.of("RP607", f"no edit of user {quoted(user)} in {quoted(store.shown)} is left to undo")
    return row


def _resolved(  # noqa: PLR0917 - where, whose and what
    connection: sa.Connection, base: Base, registry: Registry, recipe: str, user: str, asked: Asked
) -> list[dict[str, Any]]:
    """The tags of an edit by column, name and weight, those of a person who names none at their own strength."""
    if not (asked.like or asked.dislike or asked.remove):
        return []
    encoders = {id: one for id, one in encoders_again(base, registry).items() if isinstance(one.params, TagsParams)}
    if not encoders:
        helps = ("add '- encode: tags' to the recipe, fuse it, and publish it again: recprofile publish RECIPE",)
        raise RunError.of("RP608", f"the profiles of {quoted(recipe)} have no tags to edit", help=helps)
    people = load_people(connection, recipe, [user])
    data, _ = small_data(base, people.names, people.log, of_facts(base.facts["preprocess"], registry))
    known = pl.concat([vocabulary(data, one.params).names for one in encoders.values()]).unique(["column", "tag"])
    now = move(connection, base, Hands.kept(base, registry, recipe, lambda _: None), [user]).after
    usual = _strongest(now)
    said: list[tuple[str, float]] = [(tag, usual if weight is None else weight) for tag, weight in asked.like]
    said += [(tag, -usual) for tag in asked.dislike] + [(tag, 0.0) for tag in asked.remove]
    return [{**_tag(known, tag), "weight": weight} for tag, weight in said]


def _strongest(profile: Profiles) -> float:
    if "tags" not in profile.cards.columns:
        return ALONE
    found = [abs(one["weight"]) for one in profile.cards["tags"][0]]
    return max(found, default=ALONE)


def _tag(known: pl.DataFrame, wanted: str) -> dict[str, str]:
    """The tag that a person means: by name, or by column and name as 'genre:Drama'; case does not count."""
    rows = list(_named(known, wanted))
    if not rows:
        every = known["tag"].unique().sort().to_list()
        near = did_you_mean(wanted, every, label="tags", most=8)
        raise RunError.of("RP607", f"no tag {quoted(wanted)}", help=near)
    if len(rows) > 1:
        shown = ", ".join(f"{row['column']}:{row['tag']}" for row in rows)
        raise RunError.of("RP607", f"the tag {quoted(wanted)} may be several", help=(f"say which: {shown}",))
    return rows[0]


def _named(known: pl.DataFrame, wanted: str) -> Iterator[dict[str, str]]:
    table = known.select("column", "tag").sort("column", "tag").to_dicts()
    column, _, tag = wanted.partition(":")
    for same in (lambda text: text, str.casefold):
        found = [row for row in table if same(row["tag"]) == same(wanted)]
        found = found or [row for row in table if row["column"] == column and same(row["tag"]) == same(tag)]
        if found:
            yield from found
            return
