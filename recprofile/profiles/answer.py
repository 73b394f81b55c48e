"""Lists for a person from a store: by the run's own recommender, from the stored vectors or the history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from recprofile.artifacts import BoolArray, Dataset, Encoded, FloatArray, IntArray, Pack
from recprofile.components import Context, Inputs, Ranker, Recommender
from recprofile.errors import RunError, quoted
from recprofile.profiles.base import item_side
from recprofile.profiles.kept import get_pack
from recprofile.profiles.person import Person, of_training
from recprofile.profiles.stages import component_of
from recprofile.ranking import top_k
from recprofile.registry import Registry

if TYPE_CHECKING:
    from scipy.sparse import csr_array

AGAIN = "take them out of the data, too, and publish the recipe again: recprofile publish RECIPE"
BECAUSE = 3  # items of the history that are named as a reason


def answer(connection: sa.Connection, registry: Registry, who: Person, k: int | None = None) -> list[dict[str, Any]]:
    """The first k items for a person: rank, item, label, score, reason for a fall-back, and the history behind each.

    The lists are those of the final recommender before any rerank stage, over the recipe's candidates. Raises RunError
    RP608 where that one can rank only the users of its training.
    """
    base, rules = who.base, who.base.facts["list"]
    ranked = _ranked(connection, registry, who)
    scores = np.full((1, len(base.names)), -np.inf, np.float32)
    scores[:, : ranked.scores.shape[1]] = ranked.scores if ranked.known else _popularity(who, ranked.scores.shape[1])
    if rules["exclude_seen"]:
        codes = base.ids.codes(who.log["item"])
        scores[:, codes[codes >= 0]] = -np.inf
    if (candidates := base.candidates) is not None:
        scores[:, ~candidates] = -np.inf
    items, best = top_k(scores, min(k or rules["k"], scores.shape[1]))
    found = items[0][items[0] >= 0]
    because = _because(ranked, found, who)
    reason = "ranked" if ranked.known else "no history" if len(who.log) == 0 else "not in model"
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


@dataclass(frozen=True, eq=False)
class _Ranked:
    """A person's scores, (1, n), of all items or of those of the training; `explains` who can say what they rest on."""

    scores: FloatArray
    known: bool
    explains: Ranker | None


def _ranked(connection: sa.Connection, registry: Registry, who: Person) -> _Ranked:
    """Scores by the run's own rankers, restored on data of the person and of one who stands for all others."""
    base, chain = who.base, who.base.facts["rankers"]
    packs = {said["id"]: get_pack(connection, base.version, f"ranker/{said['id']}") for said in chain}
    if not chain or None in packs.values():
        raise _unable(who)
    components = {said["id"]: _recommender(said, registry) for said in chain}
    if base.added and any(_learns(component) for component in components.values()):
        who = of_training(registry, who)  # a model knows the items of its training
    alone = who.data.keep(users=np.arange(who.data.n_users) == 0)
    encoded = {name: Encoded(item_side(who.base, name, alone.items.ids)) for name in who.base.raw}
    rankers: dict[str, Ranker] = {}
    for said in chain:
        takes, pack, component = said["from"], packs[said["id"]], components[said["id"]]
        assert pack is not None
        inputs = Inputs(
            who.profile if takes.get("fuse") else None,
            {name: encoded[name] for name in takes.get("encode", ()) if name in encoded},
            {id: rankers[id] for id in takes.get("recommend", ())},
        )
        ranker = component.restore(pack, who.data, inputs, Context())
        rankers[said["id"]] = ranker if _learns(component) else ByProfile(ranker, who.data.n_users)
    final = rankers[chain[-1]["id"]]
    scores = np.array(final.scores_of(alone))
    if not components[chain[-1]["id"]].gives_evidence:
        return _Ranked(scores, len(alone.train) > 0, None)
    # A model that kept something of the users of its training would speak of one of them.
    own = final.scores(np.zeros(1, np.int32))
    restored = own.shape == scores.shape and bool(np.allclose(own, scores, rtol=1e-4, atol=1e-5))
    known = bool(final.known_users()[0]) if restored else len(alone.train) > 0
    return _Ranked(scores, known, final if known and restored else None)


def _learns(component: Recommender[Any]) -> bool:
    """Whether it learnt from events, and not only ranks by profiles."""
    return component.ranks_new_users or not component.needs_profiles


@dataclass(frozen=True, eq=False)
class ByProfile(Ranker):
    """A ranker over a person's profile, of which a hybrid asks their scores: the first of `n_users` in the data."""

    ranker: Ranker
    n_users: int

    def scores(self, users: IntArray) -> FloatArray:
        """By the profile."""
        return self.ranker.scores(users)

    def scores_of(self, people: Dataset) -> FloatArray:
        """Likewise: the people are that person."""
        return self.ranker.scores(np.arange(people.n_users, dtype=np.int32))

    def known_users(self) -> BoolArray:
        """Nothing of their own is known of others."""
        own = self.ranker.known_users()
        return np.append(own, np.zeros(self.n_users - len(own), np.bool_))

    def evidence(self, users: IntArray, items: IntArray) -> csr_array | None:
        """By the profile."""
        return self.ranker.evidence(users, items)

    def block_evidence(self, users: IntArray, items: IntArray) -> Mapping[str, FloatArray] | None:
        """By the profile."""
        return self.ranker.block_evidence(users, items)

    def pack(self) -> Pack:
        """As the ranker."""
        return self.ranker.pack()


def _recommender(said: Mapping[str, Any], registry: Registry) -> Recommender[Any]:
    component = component_of(said, "recommend", registry)
    assert isinstance(component, Recommender)
    return component


def _unable(who: Person) -> RunError:
    final = who.base.facts["final"]
    what = quoted(final["use"]) if final else "a recipe without a recommend stage"
    if who.publication.facts.get("model_forgotten"):
        message = f"the model of {what} held a person who was forgotten, and went with them"
        return RunError.of("RP608", message, help=(AGAIN,))
    message = f"{what} ranks only for users of its training, so a store cannot ask it"
    return RunError.of("RP608", message, help=("a final stage 'dot', 'ease' or 'item-knn' ranks from a store",))


def _popularity(who: Person, n: int) -> FloatArray:
    counts = who.base.positives[:n].astype(np.float32)
    counts[counts == 0] = -np.inf
    return counts[None]


def _because(ranked: _Ranked, items: IntArray, who: Person) -> list[list[dict[str, Any]]]:
    """What of the history gives most to each item's score."""
    evidence = None
    if ranked.explains is not None and len(items):
        evidence = ranked.explains.evidence(np.zeros(len(items), np.int32), items.astype(np.int32))
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
