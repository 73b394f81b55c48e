"""`rerank: popularity`: against a slow loop, what it brings lists to, and its edges."""

import numpy as np
import pytest

from recprofile.builtin.rerank_popularity import (
    Popularity,
    PopularityParams,
    calibrated,
    divergence_terms,
    popularity_classes,
    spread_of_history,
)
from recprofile.plugin import Inputs, Recommendations
from recprofile.testing import RerankerTests, context, dataset, toy

NAN = np.nan


class TestPopularity(RerankerTests):
    component = Popularity
    examples = [{}, {"strength": 1.0, "classes": 2}, {"strength": 0.5, "classes": 3, "candidates": 2}]


def lists(data, items, scores):
    items, scores = np.array(items, np.int32), np.array(scores, np.float32)
    who = np.arange(len(items), dtype=np.int32)
    return Recommendations(data.users.ids, data.items.ids, who, items, scores, np.zeros(len(items), np.int8))


def rerank(data, recs, **params):
    return Popularity(PopularityParams(**params)).rerank(recs, Inputs(), data, context())


def test_classes_have_an_equal_share_of_the_events():
    # Six events on a, three on b, one on c, two on d: a is one half, d, b and c share the other; e has none.
    counts = {"a": 6, "b": 3, "c": 1, "d": 2}
    data = dataset([(u, i) for i, n in counts.items() for u in range(n)], items={"id": list("abcde")})
    assert popularity_classes(data, 2).tolist() == [0, 1, 1, 1, 1]
    # Before b there are 6 of 12 events, before d 9, before c 11.
    assert popularity_classes(data, 4).tolist() == [0, 2, 3, 3, 3]


def test_a_user_without_history_is_like_all_together():
    data = dataset([("u", "a"), ("v", "a"), ("v", "b")], users={"id": ["u", "v", "w"]})
    spread = spread_of_history(data, np.array([0, 1], np.int32), 2)
    assert spread.tolist() == [[1, 0], [0.5, 0.5], pytest.approx([2 / 3, 1 / 3])]


def test_divergence_is_0_for_equal_and_1_for_disjoint_shares():
    assert divergence_terms(np.array([0.3, 0.7]), np.array([0.3, 0.7])).sum() == 0
    assert divergence_terms(np.array([1.0, 0.0]), np.array([0.0, 1.0])).sum() == 1


def slowly(relevance, classes, spread, strength):
    """The definition, list by list, with the whole divergence at every step."""

    def divergence(p, q):
        parts = [(a * np.log2(2 * a / (a + b)) if a else 0) + (b * np.log2(2 * b / (a + b)) if b else 0)
                 for a, b in zip(p, q, strict=True)]  # fmt: skip
        return sum(parts) / 2

    left, done = list(range(len(relevance))), []
    while left:

        def value(i, done=done):
            with_i = [classes[j] for j in [*done, i]]
            q = [with_i.count(g) / len(with_i) for g in range(len(spread))]
            return (1 - strength) * relevance[i] - strength * len(with_i) * divergence(spread, q)

        best = max(value(i) for i in left)
        done.append(next(i for i in left if value(i) >= best - 1e-12))
        left.remove(done[-1])
    return done


@pytest.mark.parametrize("strength", [0.0, 0.2, 0.6, 1.0])
def test_the_order_is_that_of_a_slow_loop(strength):
    rng = np.random.default_rng(0)
    relevance = -np.sort(-rng.random((20, 12)).astype(np.float32), axis=1)
    classes = rng.integers(0, 3, (20, 12)).astype(np.int32)
    spread = rng.dirichlet(np.ones(3), 20)
    fast = calibrated(relevance, classes, np.ones((20, 12), np.bool_), spread, strength=strength)
    slow = [slowly(r.tolist(), c.tolist(), p, strength) for r, c, p in zip(relevance, classes, spread, strict=True)]
    assert fast.tolist() == slow


# Items 0 … 9 fall in popularity; 0 to 4 are popular (five events each), 5 to 9 are rare (one each).
POPULAR = dataset([(u, i) for i in range(5) for u in range(5)] + [(5, i) for i in range(5, 10)])


def test_full_strength_gives_each_user_the_popularity_of_their_own_history():
    recs = lists(POPULAR, [list(range(10))] * 6, [list(range(10, 0, -1))] * 6)
    made = rerank(POPULAR, recs, strength=1.0, classes=2).cut(5)
    rare = popularity_classes(POPULAR, 2) == 1
    assert rare.tolist() == [False] * 3 + [True] * 7  # 15 of 30 events come before item 3
    shares = rare[made.items].mean(axis=1)
    # Users 0 to 4 have three items of the first class and two of the second, user 5 only of the second.
    assert shares.tolist() == pytest.approx([0.4] * 5 + [1.0])


def test_no_strength_leaves_the_order_as_it_is():
    recs = lists(POPULAR, [[3, 1, 7, 0, 9]], [[5, 5, 5, 2, 1]])
    assert rerank(POPULAR, recs, strength=0.0).items.tolist() == [[3, 1, 7, 0, 9]]


def test_short_lists_stay_short_and_empty_ones_empty():
    data = toy()
    recs = lists(data, [[0, 1, 2], [1, 0, -1], [-1, -1, -1]], [[3, 2, 1], [2, 1, NAN], [NAN, NAN, NAN]])
    made = rerank(data, recs, strength=1.0)
    assert [sorted(row) for row in made.items.tolist()] == [[0, 1, 2], [-1, 0, 1], [-1, -1, -1]]
    assert (made.items[1, 2], made.items[2, 0]) == (-1, -1)
    assert np.isnan(made.scores[made.items < 0]).all()


def test_items_after_the_candidates_keep_their_places():
    recs = lists(POPULAR, [list(range(10))], [list(range(10, 0, -1))])
    made = rerank(POPULAR, recs, strength=1.0, classes=2, candidates=5)
    assert sorted(made.items[0, :5].tolist()) == [0, 1, 2, 3, 4]
    assert made.items[0, 5:].tolist() == [5, 6, 7, 8, 9]


def test_lists_do_not_depend_on_the_block(monkeypatch):
    recs = lists(POPULAR, [list(range(10))] * 6, [list(range(10, 0, -1))] * 6)
    whole = rerank(POPULAR, recs, strength=0.4)
    monkeypatch.setattr("recprofile.builtin.rerank_popularity.BLOCK", 1)
    assert rerank(POPULAR, recs, strength=0.4).items.tolist() == whole.items.tolist()


def test_no_positive_event_leaves_the_order_as_it_is():
    data = toy().revise(train=toy().train.take(np.zeros(13, np.bool_)), held=np.zeros(0, np.bool_))
    recs = lists(data, [[2, 1, 0]], [[3, 2, 1]])
    assert rerank(data, recs).items.tolist() == [[2, 1, 0]]
