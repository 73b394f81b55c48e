"""What a store says of a person: their card, their versions, everything that it holds of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from recprofile.errors import RunError
from recprofile.interests import tags_of
from recprofile.profiles.answer import answer
from recprofile.profiles.edits import edits_told
from recprofile.profiles.kept import arrays_of_bytes
from recprofile.profiles.people import load_people
from recprofile.profiles.person import Person, outside, person, user_in, versions_of
from recprofile.profiles.store import Store
from recprofile.profiles.tables import edits, profiles, users, versions
from recprofile.profiles.versions import Version, all_versions
from recprofile.registry import Registry

HISTORY = 15  # history items on a card
LISTED = 10  # recommendations that a block's share is measured on
TOP = 5  # recommendations and interests on a card
EVIDENCE = 3  # items that show an interest


def card(connection: sa.Connection, store: Store, registry: Registry, recipe: str, user: str) -> dict[str, Any]:
    """A person's card as plain values; raises RunError RP607 for a user that the store does not know."""
    who = person(connection, store, registry, recipe, user)
    listed = _listed(connection, registry, who)
    every = versions_of(connection, recipe, user_in(connection, store, recipe, user).id)
    origin = who.publication.provenance
    return {
        "user": user,
        "known": bool(who.profile.known[0]),
        "as_of": _last(who),
        "dimensions": who.profile.dim,
        "text": _text(connection, who, recipe),
        "activity": _activity(who),
        "tags": tags_of(who.profile, 0),
        "edits": edits_told(connection, user_in(connection, store, recipe, user).id),
        "interests": interests(who)[:TOP],
        "blocks": _blocks(who, listed),
        **_history(who),
        "recommended": [{"item": row["item"], "label": row["label"]} for row in listed[:TOP]],
        "fallback": listed[0]["reason"] if listed and listed[0]["reason"] != "ranked" else None,
        "store": store.shown,
        "recipe_name": recipe,
        "version": _version(who.written),
        "versions": [_version(version) for version in every],
        "run": origin.get("run"),
        "recipe": origin.get("recipe_file"),
        "made": origin.get("started"),
        "recprofile": origin.get("recprofile"),
        "fused_by": [fuse["use"]] if (fuse := who.base.facts["fuse"]) else [],
    }


def interests(who: Person, *, every: bool = False) -> list[dict[str, Any]]:
    """Values that a person's positive history has more of than all people's, with the items that show it.

    `share` of their items has the value, those left out of which nothing is known, and `of_all` of everybody's events;
    ordered by share·ln(share / of_all). `every`: those too that they have less of.
    """
    said = who.base.facts["interests"]
    base = who.base
    known = who.log.filter(pl.col("positive") & pl.col("item").is_in(base.names.implode()))
    liked = known["item"].unique(maintain_order=True)
    if said is None or len(liked) == 0:
        return []
    counts = pl.DataFrame({"item": base.names, "events": base.positives})
    found = []
    for column in said["columns"]:
        values = base.catalogue[column]
        if not isinstance(values.dtype, pl.List):
            text = values.cast(pl.String)
            values = text.str.split(said["separator"]) if said["separator"] else text
        pairs = counts.with_columns(values.alias("value"))
        if isinstance(values.dtype, pl.List):
            pairs = pairs.explode("value")
        pairs = pairs.drop_nulls("value").filter(pl.col("value").cast(pl.String) != "")
        mine = pairs.filter(pl.col("item").is_in(liked.implode()))
        all_of = pairs.group_by("value").agg(pl.col("events").sum() / max(int(base.positives.sum()), 1))
        by = mine.group_by("value", maintain_order=True).agg(pl.len().alias("n"), "item")
        by = by.join(all_of, on="value", maintain_order="left").with_columns((pl.col("n") / len(liked)).alias("share"))
        by = by.filter(pl.lit(every) | (pl.col("share") > pl.col("events"))).with_columns(
            (pl.col("share") * (pl.col("share") / pl.col("events").clip(1e-9)).log()).alias("rank")
        )
        for row in by.sort("rank", descending=True, maintain_order=True).iter_rows(named=True):
            shown = [base.label(item) or item for item in row["item"][:EVIDENCE]]
            found.append(
                {
                    "column": column,
                    "value": str(row["value"]),
                    "share": row["share"],
                    "of_all": row["events"],
                    "items": row["n"],
                    "evidence": shown,
                    "rank": row["rank"],
                }
            )
    ordered = sorted(found, key=lambda one: -one["rank"])
    return [{name: value for name, value in one.items() if name != "rank"} for one in ordered]


def versions_told(connection: sa.Connection, store: Store, recipe: str, user: str) -> list[dict[str, Any]]:
    """The versions in which a person's profile changed: when, by what, their events in it, how far it moved."""
    row = user_in(connection, store, recipe, user)
    people = load_people(connection, recipe, [user])
    per_version = dict(people.log.group_by("version").len().iter_rows())
    told: list[dict[str, Any]] = []
    before: tuple[Version, Any] | None = None
    for version in versions_of(connection, recipe, row.id):
        query = sa.select(profiles.c.vector).where(profiles.c.user == row.id, profiles.c.version == version.id)
        vector = np.frombuffer(connection.execute(query).scalar_one(), np.float32)
        moved = None
        if before is not None and before[0].base == version.base:
            moved = float(np.linalg.norm(vector - before[1]))
        told.append(
            {
                "version": version.number,
                "kind": version.kind,
                "created": version.created,
                "events": per_version.get(version.id, 0),
                "moved": moved,
                "parity": (version.parity or {}).get("largest"),
            }
        )
        before = version, vector
    return told


def export(connection: sa.Connection, store: Store, registry: Registry, user: str) -> dict[str, Any]:
    """Everything that the store holds of a person, of every recipe, as plain values.

    Raises RunError RP607 for a user that no recipe's profiles know.
    """
    rows = connection.execute(sa.select(users).where(users.c.user == user)).all()
    if not rows:
        raise RunError.of("RP607", f"no user '{user}' in '{store.shown}'")
    held: dict[str, Any] = {}
    for row in rows:
        number = {v.id: v.number for v in all_versions(connection, row.recipe)}
        log = load_people(connection, row.recipe, [user]).log
        stored = connection.execute(
            sa.select(profiles).where(profiles.c.user == row.id).order_by(profiles.c.version)
        ).all()
        held[row.recipe] = {
            "card": card(connection, store, registry, row.recipe, user),
            "events": [
                {**event, "user": outside(row), "version": number[event["version"]]} for event in log.to_dicts()
            ],
            "edits": edits_told(connection, row.id),
            "profiles": [
                {
                    "version": number[one.version],
                    "known": one.known,
                    "vector": np.frombuffer(one.vector, np.float32).tolist(),
                    "state": {n: v.tolist()[0] for n, v in (arrays_of_bytes(one.state) if one.state else {}).items()},
                    "card": one.card,
                }
                for one in stored
            ],
        }
    return {"user": outside(rows[0]), "store": store.shown, "recipes": held}


def numbered(connection: sa.Connection, recipe: str, number: int) -> Version:
    """A version of a recipe by its number; raises RunError RP607 when there is none."""
    every = all_versions(connection, recipe)
    found = next((version for version in every if version.number == number), None)
    if found is None:
        shown = ", ".join(str(version.number) for version in every[-12:])
        raise RunError.of("RP607", f"no version {number} of '{recipe}'", help=(f"versions: {shown}",))
    return found


def _listed(connection: sa.Connection, registry: Registry, who: Person) -> list[dict[str, Any]]:
    try:
        return answer(connection, registry, who, LISTED)
    except RunError as error:
        if error.problems[0].code != "RP608":
            raise
        return []  # the recommender knows only the users of its training


def _text(connection: sa.Connection, who: Person, recipe: str) -> str | None:
    """The card that was written last since the publication and not taken back; an update need not write one."""
    if who.written is None:
        return None
    query = (
        sa.select(profiles.c.card)
        .join(users, users.c.id == profiles.c.user)
        .join(versions, versions.c.id == profiles.c.version)
    )
    query = query.where(users.c.recipe == recipe, users.c.user == str(who.user), profiles.c.card.is_not(None))
    mine = sa.select(edits.c.text).join(users, users.c.id == edits.c.user)
    mine = mine.where(users.c.recipe == recipe, users.c.user == str(who.user), edits.c.text.is_not(None))
    counts = set(connection.execute(mine.where(edits.c.undone.is_(None))).scalars())
    gone = set(connection.execute(mine.where(edits.c.undone.is_not(None))).scalars()) - counts
    query = query.where(profiles.c.version >= who.base.version, profiles.c.card.not_in(sorted(gone)))
    return connection.execute(query.order_by(versions.c.number.desc()).limit(1)).scalar()


def _version(version: Version | None) -> dict[str, Any] | None:
    if version is None:
        return None
    return {"number": version.number, "kind": version.kind, "created": version.created}


def _last(who: Person) -> str | None:
    return _moment(who.log["time"].max() if who.log.height else None)


def _moment(seconds: Any) -> str | None:  # noqa: ANN401 - what polars gives for the largest of a column
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _activity(who: Person) -> dict[str, Any]:
    log = who.log
    return {
        "events": log.height,
        "positive": int(log["positive"].sum()),
        "items": log["item"].n_unique(),
        "first": _moment(log["time"].min() if log.height else None),
        "last": _last(who),
        "waiting": int((who.base.ids.codes(log["item"]) < 0).sum()),
    }


def _blocks(who: Person, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    profile, facts = who.profile, who.base.facts
    items = who.base.ids.codes([str(row["item"]) for row in listed])
    parts = np.abs(profile.block_scores(np.zeros(len(items), np.int32), items).astype(np.float64)).sum(axis=0)
    whole = float(parts.sum())
    assets = who.publication.provenance.get("assets", {})
    return [
        {
            "name": block.name,
            "dimensions": block.stop - block.start,
            "weight": weight,
            "overall": block.weight,
            "share": float(part / whole) if whole > 0 else None,
            "norm": float(np.linalg.norm(profile.user_vectors[0, block.start : block.stop])),
            "rests_on": "history, by model"
            if block.fold_in is not None
            else "history"
            if block.pool is not None or block.name in facts["again"]
            else "vectors of users",
            "component": (facts["encoders"].get(block.name) or {}).get("use"),
            "assets": [asset["uri"] for name, asset in assets.items() if name.rpartition(".")[0] == block.name],
        }
        for block, part, weight in zip(profile.blocks, parts, profile.weights_of(0), strict=True)
    ]


def _history(who: Person) -> dict[str, Any]:
    """The items that weigh most in the profile, how many there are, and whether they weigh the same."""
    history = who.profile.rests_on()
    row = (who.data.positives()[[0]] if history is None else history[[0]]).tocsr()
    order = np.argsort(-np.abs(row.data), kind="stable")[:HISTORY]
    names = [who.base.names[int(code)] for code in row.indices[order]]
    weights = row.data[order].tolist()
    even = bool(np.ptp(row.data) <= 1e-6 * np.abs(row.data).max()) if row.nnz else True
    base = who.base
    shown = [{"item": base.whole(n), "label": base.label(n), "weight": w} for n, w in zip(names, weights, strict=True)]
    return {"history": shown, "history_items": int(row.nnz), "history_even": even}
