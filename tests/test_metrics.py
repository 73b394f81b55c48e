"""Metrics: values worked out by hand, what is undefined, ranges; and intervals with known coverage."""

from __future__ import annotations

from collections.abc import Callable
from math import log2
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from recprofile.metrics import (
    METRICS,
    Judged,
    PerUserMetric,
    RatingMetric,
    SystemMetric,
    Values,
    average_precision,
    bootstrap_interval,
    coverage,
    diversity,
    gini,
    hit_rate,
    mae,
    metric_problem,
    ndcg,
    novelty,
    paired_difference,
    precision,
    recall,
    reciprocal_rank,
    resampled_means,
    resampled_ratios,
    rmse,
    self_information,
    times_listed,
)
from recprofile.metrics import bootstrap as bootstrap_module
from recprofile.metrics import formulas as formulas_module

PerUser = Callable[[Judged, int], Values]


def judged(
    hits: list[list[int]],
    relevant: list[int],
    *,
    items: ArrayLike | None = None,
    n_items: int = 10,
    vectors: ArrayLike | None = None,
) -> Judged:
    """Lists with hits at these places; by default each lists items 0, 1, 2, …"""
    marks = np.array(hits, np.bool_)
    listed = np.tile(np.arange(marks.shape[1]), (len(marks), 1)) if items is None else np.array(items)
    return Judged(
        listed.astype(np.int32),
        marks,
        np.array(relevant, np.int64),
        np.ones(n_items, np.bool_),
        np.arange(n_items, dtype=np.float64),
        None if vectors is None else np.array(vectors, np.float32),
    )


def listed(items: ArrayLike, n_items: int, **more: Any) -> Judged:
    rows = np.array(items)
    return judged(np.zeros(rows.shape).tolist(), [1] * len(rows), items=rows, n_items=n_items, **more)


# One user with three relevant items, of which the first and the third of four places are hits.
ONE = judged([[1, 0, 1, 0]], [3])


def test_ndcg_is_the_gain_over_that_of_the_ideal_list():
    ideal = 1 + 1 / log2(3) + 1 / log2(4)
    assert ndcg(ONE, 4).tolist() == pytest.approx([(1 + 1 / log2(4)) / ideal])


def test_ndcg_cuts_the_ideal_list_at_k():
    # Three are relevant, and at 2 the ideal list holds two of them.
    assert ndcg(ONE, 2).tolist() == pytest.approx([1 / (1 + 1 / log2(3))])


def test_recall_divides_by_all_that_is_relevant():
    assert recall(ONE, 1).tolist() == pytest.approx([1 / 3])
    assert recall(ONE, 4).tolist() == pytest.approx([2 / 3])


def test_precision_divides_by_k_also_where_the_list_is_shorter():
    assert precision(ONE, 4).tolist() == [0.5]
    assert precision(ONE, 10).tolist() == [0.2]


def test_average_precision_divides_by_all_that_is_relevant():
    # Precision is 1/1 at the first hit and 2/3 at the second; three are relevant, also at k = 1.
    assert average_precision(ONE, 4).tolist() == pytest.approx([(1 + 2 / 3) / 3])
    assert average_precision(ONE, 1).tolist() == pytest.approx([1 / 3])


def test_reciprocal_rank_is_that_of_the_first_hit():
    assert reciprocal_rank(judged([[0, 0, 1, 1], [0, 0, 0, 0]], [2, 2]), 4).tolist() == pytest.approx([1 / 3, 0])
    assert reciprocal_rank(judged([[0, 0, 1]], [1]), 2).tolist() == [0]


def test_hit_rate_is_one_where_there_is_a_hit():
    assert hit_rate(judged([[0, 1, 1], [0, 0, 1]], [2, 1]), 2).tolist() == [1, 0]


@pytest.mark.parametrize("metric", [ndcg, recall, precision, average_precision, reciprocal_rank, hit_rate])
def test_metrics_of_relevance_are_undefined_for_a_user_with_nothing_relevant(metric: PerUser):
    assert np.isnan(metric(judged([[0, 0]], [0]), 2)).all()


@pytest.mark.parametrize("metric", [ndcg, recall, precision, average_precision, reciprocal_rank, hit_rate])
def test_an_empty_list_scores_zero(metric: PerUser):
    assert metric(judged([[0, 0]], [1], items=[[-1, -1]]), 2).tolist() == [0]
    assert metric(judged([[]], [1]), 2).tolist() == [0]


@pytest.mark.parametrize("metric", [ndcg, recall, average_precision, reciprocal_rank, hit_rate])
def test_a_perfect_list_scores_one(metric: PerUser):
    assert metric(judged([[1, 1, 0]], [2]), 3).tolist() == pytest.approx([1])


def test_self_information_halves_the_users_with_every_bit():
    # Of 7 users, 7, 3, 1 and 0 know the items: with one more who knows all, 8/8, 4/8, 2/8 and 1/8.
    assert self_information(np.array([7, 3, 1, 0]), 7).tolist() == [0, 1, 2, 3]


def test_novelty_is_the_mean_information_of_the_list():
    # In these lists item i holds i bits.
    assert novelty(listed([[1, 4, 9], [2, -1, -1]], 10), 2).tolist() == [2.5, 2]
    assert np.isnan(novelty(listed([[-1, -1]], 10), 2)).all()


def test_diversity_is_the_mean_cosine_distance_of_pairs():
    # Pairs (x, y), (x, -x), (y, -x) have the distances 1, 2, 1; lengths do not matter.
    vectors = [[1, 0], [0, 3], [-2, 0]]
    assert diversity(listed([[0, 1, 2]], 3, vectors=vectors), 3).tolist() == pytest.approx([4 / 3])
    assert diversity(listed([[0, 0]], 3, vectors=vectors), 2).tolist() == pytest.approx([0])


def test_diversity_leaves_out_items_without_a_vector():
    vectors = [[1, 0], [0, 3], [0, 0]]
    found = diversity(listed([[0, 1, 2], [0, 2, -1], [-1, -1, -1]], 3, vectors=vectors), 3)
    np.testing.assert_allclose(found, [1, np.nan, np.nan])


def test_diversity_does_not_depend_on_the_block(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(0)
    many = listed(rng.integers(0, 20, size=(30, 5)), 20, vectors=rng.normal(size=(20, 4)))
    whole = diversity(many, 5)
    monkeypatch.setattr(formulas_module, "BLOCK_BYTES", 1)
    np.testing.assert_array_equal(diversity(many, 5), whole)


def test_coverage_counts_distinct_candidates():
    lists = listed([[0, 1], [1, 2], [3, -1]], 10)
    assert coverage(lists, 2) == 0.4
    assert coverage(lists, 1) == 0.3


def test_coverage_does_not_count_what_is_no_candidate():
    lists = listed([[0, 1]], 4)
    only = Judged(lists.items, lists.hits, lists.relevant, np.array([True, False, True, True]), lists.information)
    assert coverage(only, 2) == pytest.approx(1 / 3)


def test_gini_is_zero_where_all_are_listed_equally_often_and_high_where_one_is():
    assert gini(listed([[0], [1], [2], [3]], 4), 1) == 0
    assert gini(listed([[2], [2], [2]], 4), 1) == pytest.approx(1 - 1 / 4)
    # 1 and 3 times: Σ (2i - m - 1) x_i / (m Σ x) = (-1·1 + 1·3) / (2·4)
    assert gini(listed([[0], [1], [1], [1]], 2), 1) == 0.25


def test_system_metrics_of_no_lists():
    assert np.isnan(gini(listed([[-1]], 4), 1))
    assert coverage(listed([[-1]], 4), 1) == 0
    assert times_listed(listed([[0, 1], [1, -1]], 3), 2).tolist() == [1, 2, 0]


def test_rating_errors():
    predicted, actual = np.array([1, 5], np.float32), np.array([4, 1], np.float32)
    assert rmse(predicted, actual) == pytest.approx(12.5**0.5)  # (9 + 16) / 2
    assert mae(predicted, actual) == 3.5
    nothing = np.zeros(0, np.float32)
    assert np.isnan(rmse(nothing, nothing))
    assert np.isnan(mae(nothing, nothing))


@given(
    st.lists(st.tuples(st.lists(st.booleans(), min_size=6, max_size=6), st.integers(0, 4)), min_size=1, max_size=5),
    st.integers(1, 8),
)
@settings(max_examples=100, deadline=None)
def test_metrics_of_relevance_lie_between_0_and_1(rows: list[tuple[list[bool], int]], k: int):
    relevant = [sum(hits) + more for hits, more in rows]
    lists = judged([hits for hits, _ in rows], relevant)
    for metric in (ndcg, recall, precision, average_precision, reciprocal_rank, hit_rate):
        found = metric(lists, k)
        assert np.isnan(found).tolist() == [n == 0 for n in relevant]
        good = found[~np.isnan(found)]
        assert ((good >= 0) & (good <= 1 + 1e-12)).all()


@given(st.lists(st.lists(st.integers(-1, 6), min_size=3, max_size=3), min_size=1, max_size=6), st.integers(0, 10**6))
@settings(max_examples=100, deadline=None)
def test_metrics_beyond_relevance_lie_in_their_ranges(rows: list[list[int]], seed: int):
    # Rising to the front brings the -1 to the end, as in every list.
    lists = listed(
        [sorted(row, reverse=True) for row in rows], 7, vectors=np.random.default_rng(seed).normal(size=(7, 2))
    )
    far = diversity(lists, 3)
    assert (np.isnan(far) | ((far >= 0) & (far <= 2))).all()
    bits = novelty(lists, 3)
    assert (np.isnan(bits) | ((bits >= 0) & (bits <= 6))).all()
    assert 0 <= coverage(lists, 3) <= 1
    unequal = gini(lists, 3)
    assert np.isnan(unequal) or -1e-12 <= unequal <= 1 - 1 / 7 + 1e-12


def test_every_metric_is_described_and_of_one_kind():
    assert list(METRICS) == [
        "ndcg", "recall", "precision", "map", "mrr", "hit-rate", "snips-dcg", "snips-recall", "popularity",
        "popularity-lift", "novelty", "diversity", "coverage", "gini", "rmse", "mae",
    ]  # fmt: skip
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.summary
        assert isinstance(metric, PerUserMetric | SystemMetric | RatingMetric)
    lower = ["popularity", "popularity-lift", "gini", "rmse", "mae"]
    assert [name for name, metric in METRICS.items() if not metric.higher_is_better] == lower


@pytest.mark.parametrize("text", ["ndcg@10", "hit-rate@1", "rmse", "gini@20"])
def test_a_metric_that_can_be_measured_has_no_problem(text: str):
    assert metric_problem(text) is None


def test_a_misspelt_metric_gets_the_closest_name():
    problem = metric_problem("ndgc@10")
    assert problem is not None
    assert problem.message == "no metric 'ndgc'"
    assert problem.help[0] == "did you mean 'ndcg'?"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ndcg@ten", "'ndcg@ten' is no metric"),
        ("rmse@10", "'rmse@10' has a list length, and 'rmse' looks at no list"),
        ("ndcg", "'ndcg' does not say how much of a list it looks at"),
    ],
)
def test_a_metric_has_a_list_length_exactly_when_it_looks_at_lists(text: str, message: str):
    problem = metric_problem(text)
    assert problem is not None
    assert problem.message.startswith(message)


def test_the_interval_of_a_constant_is_that_constant():
    found = bootstrap_interval(np.full(30, 0.25), resamples=200, confidence=0.95, seed=0)
    assert (found.value, found.low, found.high, found.n) == (0.25, 0.25, 0.25, 30)


def test_the_interval_of_a_mean_is_as_wide_as_its_standard_error_says():
    values = np.random.default_rng(3).normal(5, 2, size=400)
    found = bootstrap_interval(values, resamples=4000, confidence=0.95, seed=1)
    error = values.std() / 20
    # 4000 resamples leave a standard error of about 0.03 standard errors at these percentiles.
    assert found.value == pytest.approx(values.mean())
    assert (found.high - found.value) / error == pytest.approx(1.96, abs=0.15)
    assert (found.value - found.low) / error == pytest.approx(1.96, abs=0.15)


def test_intervals_cover_the_true_mean_as_often_as_they_say():
    rng = np.random.default_rng(5)
    samples = rng.exponential(1.0, size=(300, 100))
    inside = [
        found.low <= 1 <= found.high
        for found in (bootstrap_interval(v, resamples=300, confidence=0.9, seed=7) for v in samples)
    ]
    # 0.9 nominal; the percentile bootstrap of a skewed mean at n = 100 covers about 0.88, with deviation 0.018 here.
    assert 0.82 < np.mean(inside) < 0.95


def test_undefined_values_are_left_out_of_a_mean():
    found = bootstrap_interval(np.array([1, np.nan, 3, np.nan]), resamples=100, confidence=0.9, seed=0)
    assert (found.value, found.n) == (2, 2)
    assert 1 <= found.low <= found.high <= 3


@pytest.mark.parametrize("values", [np.zeros(0), np.full(3, np.nan)])
def test_the_interval_of_nothing_is_undefined(values: np.ndarray):
    found = bootstrap_interval(values, resamples=50, confidence=0.9, seed=0)
    assert found.n == 0
    assert np.isnan([found.value, found.low, found.high]).all()


def test_without_resamples_there_is_a_value_and_no_interval():
    found = bootstrap_interval(np.array([1.0, 3.0]), resamples=0, confidence=0.9, seed=0)
    assert found.value == 2
    assert np.isnan([found.low, found.high]).all()


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    values = np.random.default_rng(0).random(50)
    first, again, other = (bootstrap_interval(values, resamples=100, confidence=0.9, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first.low != other.low


def test_resamples_do_not_depend_on_how_many_are_held_at_once(monkeypatch: pytest.MonkeyPatch):
    columns = np.random.default_rng(0).random((40, 3))
    whole = resampled_means(columns, resamples=50, seed=9)
    monkeypatch.setattr(bootstrap_module, "BLOCK_BYTES", 1)
    # Sums of a matrix product may round differently with its shape.
    np.testing.assert_allclose(resampled_means(columns, resamples=50, seed=9), whole, rtol=1e-12)


def test_a_resampled_ratio_divides_sums():
    # Both users have errors in the ratio 2 to 1, so every resample has it.
    found = resampled_ratios(np.array([[2.0], [8.0]]), np.array([[1.0], [4.0]]), resamples=20, seed=0)
    np.testing.assert_allclose(found, 2)


def test_a_paired_difference_sees_what_unpaired_intervals_do_not():
    rng = np.random.default_rng(2)
    b = rng.random(200)  # users differ widely
    a = b + 0.01 + rng.normal(0, 0.01, size=200)
    settings_ = {"resamples": 500, "confidence": 0.95, "seed": 0}
    one, two = bootstrap_interval(a, **settings_), bootstrap_interval(b, **settings_)
    assert one.low < two.high
    found = paired_difference(a, b, **settings_)
    assert found.value == pytest.approx(a.mean() - b.mean())
    assert 0 < found.low < found.value < found.high
    assert found.p == pytest.approx(2 / 501)  # no resample at or below 0: the smallest p there is


def test_equal_systems_have_no_difference():
    found = paired_difference(np.ones(5), np.ones(5), resamples=100, confidence=0.95, seed=0)
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_a_difference_is_over_users_who_have_both():
    a, b = np.array([1.0, np.nan, 3.0]), np.array([0.0, 0.0, np.nan])
    found = paired_difference(a, b, resamples=100, confidence=0.95, seed=0)
    assert (found.value, found.n) == (1, 1)


def test_p_values_are_uniform_where_there_is_no_difference():
    rng = np.random.default_rng(11)
    p = [
        paired_difference(rng.normal(size=60), rng.normal(size=60), resamples=200, confidence=0.95, seed=0).p
        for _ in range(300)
    ]
    # A tenth, with deviation 0.017; the bootstrap is a little liberal at n = 60.
    assert 0.05 < np.mean(np.array(p) < 0.1) < 0.17
