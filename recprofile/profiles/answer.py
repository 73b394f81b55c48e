"""Lists for a person from a store: by the run's own recommender, from the stored vectors or the history."""

from __future__ import annotations

from typing import Any

import numpy as np
import sqlalchemy as sa

from recprofile.artifacts import FloatArray, IntArray, Pack
from recprofile.components import Context, Inputs, Ranker, Recommender
from recprofile.errors import RunError, quoted
from recprofile.profiles.base import get_pack
from recprofile.profiles.people import small_data
from recprofile.profiles.person import Person
from recprofile.profiles.stages import component_of
from recprofile.ranking import top_k
from recprofile.registry import Registry

BECAUSE = 3  # items of the history that are named as a reason


def answer(connection: sa.Connection, registry: Registry, who: Person, k: int | None = None) -> list[dict[str, Any]]:
    """The first k items for a person: rank, item, label, score, reason for a fall-back, and the history behind each.

    The lists are those of the final recommender before any rerank stage. Raises RunError RP608 where that one can rank
    only the users of its training.
    """
    facts, base = who.base.facts, who.base
    ranker, base_ = _ranker(connection, registry, who)
    one = np.zeros(1, np.int32)
    known = bool(ranker.known_users()[0])
    scores = np.array(ranker.scores(one)) if known else _popularity(who)
    codes = base_.ids.codes(who.log["item"])
    if facts["list"]["exclude_seen"]:
        scores[:, codes[codes >= 0]] = -np.inf
    if facts["list"]["candidates"] == "cold":
        scores[:, base_.trained] = -np.inf
    items, best = top_k(scores, min(k or facts["list"]["k"], scores.shape[1]))
    found = items[0][items[0] >= 0]
    because = _because(ranker, found, who) if known else [[] for _ in found]
    reason = "ranked" if known else "no history" if len(who.log) == 0 else "not in model"
    return [
        {
            "rank": n,
            "item": base.whole(base.names[int(item)]),
            "label": base.label(base.names[int(item)]),
            "score": float(score),
            "reason": reason,
            "because": why,
        }
        for n, (item, score, why) in enumerate(zip(found, best[0], because, strict=False), start=1)
    ]


def _ranker(connection: sa.Connection, registry: Registry, who: Person) -> tuple[Ranker, Any]:
    facts = who.base.facts
    pack = get_pack(connection, who.base.version, "ranker")
    final = facts["final"]
    if pack is None or final is None:
        what = quoted(final["use"]) if final else "a recipe without a recommend stage"
        message = f"{what} ranks only for users of its training, so a store cannot ask it"
        raise RunError.of("RP608", message, help=("a final stage 'dot', 'ease' or 'item-knn' ranks from a store",))
    component = component_of(final, "recommend", registry)
    assert isinstance(component, Recommender)
    base, data = who.base, who.data
    if not component.needs_profiles and base.added:  # it knows the items of its training
        base = base.original()
        data, _ = small_data(base, data.users.ids.ids[:1], who.log)
    inputs = Inputs(who.profile if component.needs_profiles else None)
    return component.restore(Pack(pack.arrays, pack.tables, pack.values), data, inputs, Context()), base


def _popularity(who: Person) -> FloatArray:
    counts = who.base.positives.astype(np.float32)
    counts[counts == 0] = -np.inf
    return counts[None]


def _because(ranker: Ranker, items: IntArray, who: Person) -> list[list[dict[str, Any]]]:
    """What of the history gives most to each item's score."""
    evidence = ranker.evidence(np.zeros(len(items), np.int32), items.astype(np.int32)) if len(items) else None
    if evidence is None:
        return [[] for _ in items]
    rows = evidence.tocsr()
    names, told = who.base.names, []
    for n in range(len(items)):  # a list for one person
        part = slice(rows.indptr[n], rows.indptr[n + 1])
        order = np.argsort(-rows.data[part], kind="stable")[:BECAUSE]
        top = [(int(rows.indices[part][o]), float(rows.data[part][o])) for o in order if rows.data[part][o] > 0]
        told.append(
            [{"item": who.base.whole(names[j]), "label": who.base.label(names[j]), "part": value} for j, value in top]
        )
    return told
