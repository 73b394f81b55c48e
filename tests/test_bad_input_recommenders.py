"""Every recommender that is registered, on data with nothing in them to learn from: scores, or an error with a code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from recprofile.artifacts import BoolArray, Dataset, Embeddings, Encoded, FloatArray, IntArray, Pack, PositiveRule
from recprofile.components import Inputs, Ranker, Recommender
from recprofile.errors import RecprofileError
from recprofile.ranking import rank
from recprofile.registry import make_registry
from recprofile.testing import context, dataset, fused

LIKED = PositiveRule(">=", 4)
SKIPPED = {"file": "it reads lists from a file, which tests/builtin/test_recommend_file.py does"}
# Parameters beside the defaults, where they lead through other code.
FURTHER: Mapping[str, list[dict[str, Any]]] = {
    "als": [{"positive_only": False, "weighted": True, "nu": 0.0}],
    "bandit": [{"policy": "ucb", "reward": "weight", "negatives": 0}, {"arms": "blocks"}],
    "blend": [{"weights": {"b": 2.0}}],
    "edlae": [{"kept": 1.0, "l2": 1e-6}],
    "ease": [{"l2": 1e-6}],
    "item-knn": [{"weighting": "bm25", "shrink": 0.0}, {"weighting": "none", "shrink": 0.0, "neighbours": 1}],
    "l3ae": [{"kernel": "linear", "l2": 0.0, "prior_l2": 1e-6}],
    "lightgbm/stack": [{"metric": "recall@1000", "candidates": 1}],
    "popular": [{"weight": "users"}, {"half_life_days": 0.5}],
    "rp3beta": [{"alpha": 5.0, "beta": 5.0}, {"alpha": 0.0, "beta": 0.0}],
    "slim": [{"l1": 0.0, "l2": 1e-6}, {"l1": 1e6}],
    "switch": [{"by": "activity"}, {"by": "activity", "min_events": 2}, {"share": 1.0, "min_events": 0}],
    "weighted-ease": [{"order": "sequence"}, {"order": "near", "l2": 1e-6, "prior": 0.0, "low": 0.0}],
    "user-knn": [{"weighting": "bm25", "shrink": 0.0}, {"weighting": "idf", "neighbours": 1}],
    "content-ridge": [{"linear": 0.0, "factors": 0.0, "ridge": 1e-6}],
    "surprise/baseline": [{"method": "sgd"}],
    "surprise/knn": [
        {"algorithm": algorithm, "similarity": similarity, "item_based": item_based}
        for algorithm, similarity, item_based in (
            ("basic", "cosine", True), ("means", "pearson", False), ("zscore", "msd", True), ("baseline", "msd", False),
        )
    ],
    "surprise/nmf": [{"biased": True}],
    "surprise/svd": [{"biased": False}],
}  # fmt: skip


def events(pairs: Iterator[tuple[int, int]], weight: Callable[[int, int], float], *, timed: bool = True) -> list[Any]:
    return [(f"u{u}", f"i{i}", weight(u, i), *([1000 * u + i] if timed else [])) for u, i in pairs]


def some(n: int = 6, m: int = 7) -> list[tuple[int, int]]:
    return [(u, i) for u in range(n) for i in range(m) if (u + 2 * i) % 3]


def stars(u: int, i: int) -> float:
    return 1.0 + (3 * u + i) % 5


def made(pairs: list[tuple[int, int]], weight: Callable[[int, int], float] = stars, **more: Any) -> Dataset:
    """Data of these pairs, every fourth held for validation and the next one for testing."""
    timed = more.pop("timed", True)
    whole = events(iter(pairs), weight, timed=timed)
    test = whole[3::4] if len(whole) > 3 else []
    train = [event for event in whole if event not in test]
    return dataset(train, test=test, valid=range(0, len(train), 3), positive=LIKED, **more)


def cases() -> dict[str, Dataset]:
    ids = {"items": {"id": [f"i{i}" for i in range(9)]}, "users": {"id": [f"u{u}" for u in range(8)]}}
    return {
        "one user": made([(0, i) for i in range(6)]),
        "one item": made([(u, 0) for u in range(6)]),
        "one user and one item": dataset([("u", "i", 5, 1)], valid=[0], positive=LIKED),
        "no positives": made(some(), lambda u, i: 1.0 + (u + i) % 3),
        "all ratings equal": made(some(), lambda u, i: 5.0),
        "all weights 0": made(some(), lambda u, i: 0.0),
        "an item rated by everyone": dataset(
            [(f"u{u}", f"i{i}", 5, 100 * u + i) for u, i in some() if i] + [(f"u{u}", "i0", 5, u) for u in range(6)],
            test=[("u0", "i7", 5, 9999)],
            valid=[0, 5, 9],
            positive=LIKED,
        ),
        "a user who has seen everything": dataset(
            [("u0", f"i{i}", stars(0, i), i) for i in range(7)] + events(iter(some()[5:]), stars),
            test=[("u2", "i7", 5, 9999)],
            valid=[0, 8, 11],
            positive=LIKED,
        ),
        "everyone has seen everything": dataset(
            [(f"u{u}", f"i{i}", stars(u, i), 100 * u + i) for u in range(5) for i in range(4)],
            valid=range(0, 20, 3),
            positive=LIKED,
        ),
        "weights below 0": made(some(), lambda u, i: (u + i) % 5 - 3.0),
        "weights of a million": made(some(), lambda u, i: 1e6 * stars(u, i)),
        "no validation events": dataset(events(iter(some()), stars), positive=LIKED),
        "no events": dataset([], positive=LIKED, **ids),
        "no time": made(some(), timed=False),
        "users and items without events": made(some(), **ids),
        "everything is held for validation": dataset(
            events(iter(some()), stars), valid=range(len(some())), positive=LIKED
        ),
        "the same event again and again": dataset([("u", "i", 5, 1)] * 9 + [("v", "j", 5, 1)] * 9, valid=[0, 9, 12]),
    }  # fmt: skip


CASES = cases()
OFFERS = {offer.name: offer.component for offer in make_registry().offers if offer.verb == "recommend"}
TRIED = [(name, params) for name in OFFERS if name not in SKIPPED for params in ({}, *FURTHER.get(name, []))]
IDS = [f"{name}-{n}" for n, (name, _) in enumerate(TRIED)]
TUNED = ("bandit", "blend", "lightgbm/stack", "switch")  # choose something on the validation part


def refused(name: str, params: Mapping[str, Any], case: str) -> str | None:
    """The code where there is no answer, or None."""
    settled = "weights" in params or (params.get("by") == "activity" and "min_events" in params)
    match case:
        case "no events" | "no validation events" if name in TUNED and not settled:
            return "RP507"
        case "no events" if name.startswith("surprise/"):
            return "RP505"
        case "weights below 0" if name == "surprise/nmf" or params.get("weighted"):
            return "RP503"
        case "weights of a million" if name in ("surprise/svd", "surprise/svdpp") or params.get("weighted"):
            return "RP601"  # a descent that diverges, a matrix that is singular in float32
    return None


@dataclass(frozen=True)
class ByCount(Ranker):
    """Ranks by training events, with or without a view of its own of each user: what hybrids are given."""

    data: Dataset
    own: bool

    def scores(self, users: IntArray) -> FloatArray:
        return self._of(self.data, users)

    def scores_of(self, people: Dataset) -> FloatArray:
        return self._of(people, np.arange(people.n_users, dtype=np.int32))

    def _of(self, people: Dataset, users: IntArray) -> FloatArray:
        counts = np.broadcast_to(self.data.item_counts(), (len(users), self.data.n_items)).astype(np.float32)
        return counts + people.seen()[users].toarray().astype(np.float32) if self.own else counts

    def known_users(self) -> BoolArray:
        return ~self.data.cold_users()

    def pack(self) -> Pack:
        raise NotImplementedError


def inputs_for(component: Recommender[Any], data: Dataset, *, alike: bool = False) -> Inputs:
    """What earlier stages give: profiles, vectors of items, two rankers."""
    vectors = np.random.default_rng(0).normal(size=(data.n_items, 4)).astype(np.float32)
    if alike:
        vectors[:] = 1
    encoded = {} if component.takes_rankers else {"content": Encoded(items=Embeddings("item", data.items.ids, vectors))}
    rankers = {"a": ByCount(data, own=True), "b": ByCount(data, own=False)} if component.takes_rankers else {}
    return Inputs(fused(data) if component.needs_profiles else None, encoded, rankers)


def fitted(name: str, params: dict[str, Any], data: Dataset, *, alike: bool = False) -> tuple[Recommender[Any], Ranker]:
    kind = OFFERS[name]
    component = kind(kind.params_type(**params))
    assert isinstance(component, Recommender)
    if component.needs_time and not data.has_time:
        pytest.skip("a plan refuses it (RP406)")
    inputs = inputs_for(component, data, alike=alike)
    ctx = context(refit=lambda of: inputs_for(component, of, alike=alike))
    return component, component.fit(data, inputs, ctx)


def sound(scores: FloatArray, shape: tuple[int, int]) -> None:
    assert scores.shape == shape
    assert scores.dtype == np.float32
    assert not np.isnan(scores).any()
    assert not np.isposinf(scores).any()


def test_further_parameters_are_of_recommenders_that_there_are():
    assert {*FURTHER, *SKIPPED} <= set(OFFERS)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("name", "params"), TRIED, ids=IDS)
def test_every_recommender_has_an_answer(name, params, case):
    data = CASES[case]
    code = refused(name, params, case)
    if code is not None:
        with pytest.raises(RecprofileError, match=f"^{code} "):
            fitted(name, params, data)
        return
    component, ranker = fitted(name, params, data)
    users = np.arange(data.n_users, dtype=np.int32)
    sound(ranker.scores(users), (data.n_users, data.n_items))
    assert ranker.known_users().shape == (data.n_users,)
    lists = rank(ranker, data, k=data.n_items + 5)  # more than there are
    assert lists.items.shape == (data.n_users, data.n_items + 5)
    every = np.repeat(users, data.n_items), np.tile(np.arange(data.n_items, dtype=np.int32), data.n_users)
    if component.predicts_ratings:
        assert np.isfinite(ranker.predict(*every)).all()
    found = ranker.evidence(*every)
    assert found is None or np.isfinite(found.data).all()
    if component.ranks_new_users:
        nobody = dataset([], items={"id": data.items.ids.ids}, users={"id": ["x", "y"]}, positive=LIKED)
        if data.has_time:
            nobody = nobody.revise(train=data.train.take(np.zeros(0, np.int32)))
        sound(ranker.scores_of(nobody), (2, data.n_items))
        sound(ranker.scores_of(data), (data.n_users, data.n_items))


@pytest.mark.parametrize(("name", "params"), TRIED, ids=IDS)
def test_items_that_are_all_alike_by_content_are_no_trouble(name, params):
    _, ranker = fitted(name, params, CASES["users and items without events"], alike=True)
    sound(ranker.scores(np.arange(8, dtype=np.int32)), (8, 9))
