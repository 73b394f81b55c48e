"""What changed in a person's profile between two versions."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from recprofile.errors import RunError
from recprofile.profiles.answer import answer
from recprofile.profiles.person import Person, person, user_in, versions_of
from recprofile.profiles.read import interests, numbered
from recprofile.profiles.store import Store
from recprofile.profiles.versions import Version
from recprofile.registry import Registry

LISTED = 10  # recommendations that are compared


def diff(
    connection: sa.Connection,
    store: Store,
    registry: Registry,
    recipe: str,
    user: str,
    *,
    between: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """Blocks, events, interests and the head of the list at two versions; without any named, what the last one changed.

    Vectors are compared within one publication: another one has another space. Raises RunError RP607 for a user or a
    version that is not there, and for a user with one version.
    """
    row = user_in(connection, store, recipe, user)
    first, second = _two(connection, recipe, user, row.id, between)
    before = person(connection, store, registry, recipe, user, at=first)
    after = person(connection, store, registry, recipe, user, at=second)
    old, new = _list(connection, registry, before), _list(connection, registry, after)
    items_before, items_after = set(before.log["item"]), set(after.log["item"])
    arrived = after.log.filter(~pl.col("event_id").is_in(before.log["event_id"].implode()))
    return {
        "user": user,
        "from": {"version": first.number, "kind": first.kind, "created": first.created},
        "to": {"version": second.number, "kind": second.kind, "created": second.created},
        "same_space": before.base.version == after.base.version,
        "blocks": _blocks(before, after),
        "events": [
            {
                "item": after.base.whole(event["item"]),
                "label": after.base.label(event["item"]),
                "weight": event["weight"],
                "positive": event["positive"],
                "new_item": event["item"] not in items_before,
            }
            for event in arrived.iter_rows(named=True)
        ],
        "gone": sorted(items_before - items_after),
        "interests": _interests(before, after),
        "recommended": _moves(old, new),
    }


def _two(
    connection: sa.Connection, recipe: str, user: str, key: int, between: tuple[int, int] | None
) -> tuple[Version, Version]:
    if between is not None:
        a, b = (numbered(connection, recipe, number) for number in between)
        return a, b
    mine = versions_of(connection, recipe, key)
    if len(mine) < 2:
        helps = (f"their profile has version {mine[0].number} only",) if mine else ()
        raise RunError.of("RP607", f"nothing changed yet in the profile of user '{user}'", help=helps)
    return mine[-2], mine[-1]


def _blocks(before: Person, after: Person) -> list[dict[str, Any]]:
    told = []
    same = before.base.version == after.base.version
    old = {block.name: block for block in before.profile.blocks}
    for block in after.profile.blocks:
        now = after.profile.user_vectors[0, block.start : block.stop].astype(np.float64)
        was = old.get(block.name)
        then = None if was is None else before.profile.user_vectors[0, was.start : was.stop].astype(np.float64)
        lengths = float(np.linalg.norm(now)), None if then is None else float(np.linalg.norm(then))
        cosine = None
        if same and then is not None and lengths[0] and lengths[1]:
            cosine = float(np.clip(now @ then / (lengths[0] * lengths[1]), -1, 1))
        moved = float(np.linalg.norm(now - then)) if same and then is not None else None
        told.append(
            {"name": block.name, "norm_before": lengths[1], "norm_after": lengths[0], "cosine": cosine, "moved": moved}
        )
    return told


def _interests(before: Person, after: Person) -> list[dict[str, Any]]:
    """Shares of interests that changed, the greatest change first."""
    old = {(one["column"], one["value"]): one["share"] for one in interests(before, every=True)}
    new = {(one["column"], one["value"]): one["share"] for one in interests(after, every=True)}
    changed = [
        {"column": key[0], "value": key[1], "before": old.get(key, 0.0), "after": new.get(key, 0.0)}
        for key in {**old, **new}
        if abs(old.get(key, 0.0) - new.get(key, 0.0)) > 1e-9
    ]
    return sorted(changed, key=lambda one: -abs(one["after"] - one["before"]))


def _list(connection: sa.Connection, registry: Registry, who: Person) -> list[dict[str, Any]]:
    try:
        return answer(connection, registry, who, LISTED)
    except RunError as error:
        if error.problems[0].code != "RP608":
            raise
        return []


def _moves(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The head of the new list, each with its rank before, then what left it."""
    ranks = {row["item"]: row["rank"] for row in old}
    now = {row["item"] for row in new}
    told = [
        {"item": row["item"], "label": row["label"], "before": ranks.get(row["item"]), "after": row["rank"]}
        for row in new
    ]
    left = [row for row in old if row["item"] not in now]
    return told + [{"item": r["item"], "label": r["label"], "before": r["rank"], "after": None} for r in left]
