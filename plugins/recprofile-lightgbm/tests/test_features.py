"""Candidates and features against slow loops, and lists made of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from recprofile.plugin import Pack, Ranker
from recprofile.testing import dataset
from recprofile_lightgbm.features import Features, Table, best_of, over_mean, places_of
from recprofile_lightgbm.ranking import behind
from recprofile_lightgbm.training import pairs_of

INF = np.inf


@dataclass(frozen=True)
class Given(Ranker):
    """Scores as they are given, of users whom it knows."""

    table: np.ndarray
    known: np.ndarray

    def scores(self, users):
        return self.table[users].astype(np.float32)

    def known_users(self):
        return self.known

    def pack(self):
        return Pack()


def made(depth=3, n=7, m=9, seed=0):
    rng = np.random.default_rng(seed)
    events = [(u, i) for u in range(n - 1) for i in range(m - 2) if rng.random() < 0.4 or (u, i) == (0, 0)]
    test = [(u, i) for u in range(n) for i in range(m) if rng.random() < 0.3]
    data = dataset(events, test=test, users={"id": list(range(n))}, items={"id": list(range(m))})
    a, b = rng.normal(size=(n, m)), rng.normal(size=(n, m))
    b[:, 3] = -INF  # b does not rank item 3
    a[2] = 1.0  # a tells nothing of user 2
    known = np.arange(n) != 4  # b does not know user 4
    rankers = {"a": Given(a, np.ones(n, bool)), "b": Given(b, known)}
    return data, rankers, Features.of(data, rankers, depth=depth)


def test_candidates_and_features_are_those_of_a_slow_loop():
    data, rankers, features = made()
    assert features.names == [
        "a (score)", "a (place)", "b (score)", "b (place)", "mean (score)", "popularity", "warm item", "activity",
    ]  # fmt: skip
    assert features.directions == [1, -1, 1, -1, 1, 0, 0, 0]
    users = np.arange(data.n_users, dtype=np.int32)
    found = features.candidates(users)
    seen = data.seen().toarray() > 0
    events = seen.sum(axis=0)
    wanted = {}
    for u in range(data.n_users):
        z, place = {}, {}
        for id, ranker in rankers.items():
            s = ranker.table[u]
            free = [i for i in range(data.n_items) if not seen[u, i] and np.isfinite(s[i])]
            spread = s[free].std()
            tells = spread > 0 and ranker.known[u]
            for i in range(data.n_items):
                if tells and np.isfinite(s[i]):
                    z[id, i] = (s[i] - s[free].mean()) / spread
            for at, i in enumerate(sorted(free, key=lambda i: (-s[i], i))):
                if tells:
                    place[id, i] = at + 1
        for i in range(data.n_items):
            if min(place.get((id, i), 99) for id in rankers) <= 3:
                row = []
                for id in rankers:
                    has = (id, i) in place
                    row += [z[id, i] if has else np.nan, np.log(1 + place[id, i]) if has else np.nan]
                row.append(np.mean([z[id, i] for id in rankers if (id, i) in z]))
                row.append(np.log((events[i] + 1) / (events.mean() + 1)))
                row.append(float(events[i] > 0))
                row.append(np.log((seen[u].sum() + 1) / (seen.sum(axis=1).mean() + 1)))
                wanted[u, i] = row
    assert list(zip(found.row.tolist(), found.item.tolist(), strict=True)) == sorted(wanted)
    assert_allclose(found.values, [wanted[pair] for pair in sorted(wanted)], atol=1e-5)
    assert_allclose(found.mean[found.row, found.item], found.values[:, 4], atol=1e-6)


def test_nothing_that_a_user_has_seen_is_a_candidate():
    data, _, features = made(depth=100)
    found = features.candidates(np.arange(data.n_users, dtype=np.int32))
    assert not (data.seen().toarray()[found.row, found.item] > 0).any()


def test_what_is_positive_in_the_test_part_is_relevant():
    data, _, features = made()
    table = features.table(np.array([1, 3, 6], np.int32))
    test = data.positives("test").toarray() > 0
    assert_array_equal(table.relevant, test[table.user, table.item])
    assert set(table.user.tolist()) == {1, 3, 6}
    empty = features.table(np.zeros(0, np.int32))
    assert empty.values.shape == (0, 8)
    assert len(empty.user) == 0


def test_a_place_is_one_more_than_how_many_score_higher():
    scores = np.array([[1, 3, 3, -INF], [0, 0, 0, 0], [2, 5, 1, 0]], np.float32)
    row = np.array([0, 0, 0, 0, 2, 2])
    places = places_of(scores, row, np.array([1, 3, 3, -INF, 0, 5], np.float32))
    assert places.tolist() == [3, 1, 1, 4, 4, 1]


def test_of_equals_the_first_items_are_candidates():
    row, item = best_of([np.zeros((2, 5), np.float32), np.array([[-INF] * 5, [0, 0, 0, 0, 9]], np.float32)], 2)
    assert list(zip(row.tolist(), item.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 4)]


def test_counts_are_logarithms_over_the_mean():
    assert_allclose(over_mean(np.array([0, 3, 9]), 4.0), np.log([1 / 5, 4 / 5, 2]), rtol=1e-6)
    assert over_mean(np.zeros(2, int), 0.0).tolist() == [0, 0]


def test_others_come_behind_the_last_candidate_by_the_mean():
    tail = np.array([[0.5, 2.0, 1.0, -INF], [3.0, 1.0, 2.0, 0.0], [-INF] * 4], np.float32)
    row, item = np.array([0, 0]), np.array([0, 2], np.int32)
    scores = behind(tail, row, item, np.array([-7.0, 4.0], np.float32))
    assert scores[0].tolist() == [-7, -8, 4, -INF]
    assert np.argsort(-scores[1]).tolist() == [0, 2, 1, 3]
    assert np.isneginf(scores[2]).all()


def test_users_without_a_relevant_candidate_teach_nothing():
    user = np.array([0, 0, 1, 1, 1, 2], np.int32)
    relevant = np.array([1, 0, 0, 0, 0, 1], bool)
    mean = np.arange(6, dtype=np.float32)
    table = Table(user, user, mean[:, None], mean, relevant)
    pairs = pairs_of(table, np.ones(6, bool))
    assert pairs.get_label().tolist() == [1, 0, 1]
    assert pairs.get_group().tolist() == [2, 1]
    assert pairs.get_init_score().tolist() == [0, 1, 5]
    assert pairs_of(table, user == 2).get_group().tolist() == [1]


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1)])
def test_one_user_or_one_item_makes_one_candidate_or_none(size):
    n, m = size
    data = dataset([(0, 0)], users={"id": list(range(n))}, items={"id": list(range(m))})
    rankers = {id: Given(np.random.default_rng(0).normal(size=size), np.ones(n, bool)) for id in "ab"}
    found = Features.of(data, rankers, depth=10).candidates(np.arange(n, dtype=np.int32))
    assert found.values.shape == (len(found.row), 8)
    assert not np.isposinf(found.values).any()
