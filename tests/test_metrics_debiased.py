"""SNIPS metrics and popularity bias: by hand, wired through an evaluation, and against a truth that is known."""

from __future__ import annotations

from dataclasses import replace
from math import log2

import numpy as np
import polars as pl
import pytest
from numpy.typing import ArrayLike

from recprofile.artifacts import Dataset, Recommendations
from recprofile.errors import DataError
from recprofile.evaluate import Entry, Evaluation, evaluate
from recprofile.metrics import (
    Judged,
    Values,
    bootstrap_interval,
    popularity,
    popularity_lift,
    recall,
    snips_dcg,
    snips_recall,
)
from recprofile.testing import dataset


def weighed(inverse: list[list[float]], missed: list[list[float]]) -> Judged:
    """Lists whose hits weigh this, 0 for a miss, of users whose other relevant items weigh that."""
    weights = np.array(inverse, np.float64)
    items = np.tile(np.arange(weights.shape[1], dtype=np.int32), (len(weights), 1))
    every = [[w for w in row if w] + more for row, more in zip(inverse, missed, strict=True)]
    total = np.array([sum(row) for row in every], np.float64)
    rest = np.array([sum(1 / (sum(row) - w) for w in row) if len(row) > 1 else 0 for row in every], np.float64)
    relevant = np.array([len(row) for row in every])
    return Judged(
        items, weights > 0, relevant, np.ones(weights.shape[1], np.bool_), np.zeros(weights.shape[1]),
        inverse=weights, inverse_total=total, inverse_rest=rest,
    )  # fmt: skip


def lists(data: Dataset, items: ArrayLike) -> Recommendations:
    rows = np.array(items, np.int32)
    scores = np.where(rows >= 0, -np.arange(rows.shape[1]), np.nan).astype(np.float32)
    who = np.arange(len(rows), dtype=np.int32)
    return Recommendations(data.users.ids, data.items.ids, who, rows, scores, np.zeros(len(rows), np.int8))


def measured(data: Dataset, items: ArrayLike, *metrics: str) -> Evaluation:
    return evaluate([Entry("mine", "mine@1", "main", lists(data, items))], data, metrics=metrics, resamples=200)


def value(found: Evaluation, metric: str) -> float:
    return found.summary["rankers"][0]["metrics"][metric]["value"]  # type: ignore[no-any-return]  # plain JSON


def with_propensity(data: Dataset, values: ArrayLike) -> Dataset:
    return data.revise(test=replace(data.test, context=pl.DataFrame({"propensity": np.asarray(values)})))


def test_the_ratio_of_one_relevant_item_is_what_it_is():
    # Its weight cancels: 5 · gain / 5.
    assert snips_recall(weighed([[0, 5]], [[]]), 2).tolist() == [1]
    assert snips_dcg(weighed([[0, 5]], [[]]), 2).tolist() == [1 / log2(3)]
    assert snips_recall(weighed([[0, 5]], [[]]), 1).tolist() == [0]


def slowly(gains: list[float], weights: list[float]) -> float:
    """The jackknife by leaving out each relevant item in turn."""

    def ratio(left: list[int]) -> float:
        return sum(gains[i] * weights[i] for i in left) / sum(weights[i] for i in left)

    every = list(range(len(weights)))
    without = [ratio([j for j in every if j != i]) for i in every]
    return len(every) * ratio(every) - (len(every) - 1) * sum(without) / len(every)


# Hits of weight 10 and 2 at the first and third place; two relevant items of weight 5 and 3 are not listed.
ONE = weighed([[10, 0, 2]], [[5, 3]])


def test_snips_recall_is_the_weight_of_hits_over_that_of_all_relevant_less_its_bias():
    assert snips_recall(ONE, 3).tolist() == pytest.approx([slowly([1, 1, 0, 0], [10, 2, 5, 3])])
    assert snips_recall(ONE, 2).tolist() == pytest.approx([slowly([1, 0, 0, 0], [10, 2, 5, 3])])


def test_snips_dcg_discounts_each_hit_by_its_rank():
    assert snips_dcg(ONE, 3).tolist() == pytest.approx([slowly([1, 0.5, 0, 0], [10, 2, 5, 3])])


def test_equal_propensities_give_the_recall():
    even = weighed([[4, 0, 4], [0, 4, 0], [0, 0, 0]], [[4], [4, 4, 4], [4]])
    assert snips_recall(even, 3).tolist() == pytest.approx(recall(even, 3).tolist())


def test_a_factor_on_all_propensities_changes_nothing():
    assert snips_dcg(weighed([[70, 0, 14]], [[35, 21]]), 3).tolist() == pytest.approx(snips_dcg(ONE, 3).tolist())


def test_a_user_with_nothing_relevant_has_no_value():
    assert np.isnan(snips_recall(weighed([[0, 0]], [[]]), 2)).all()


def test_a_snips_metric_without_propensities_is_refused():
    with pytest.raises(ValueError, match="needs propensities"):
        snips_dcg(replace(ONE, inverse=None), 3)


def log() -> Dataset:
    """Users a and b, who have x in training; in test a has y and z, b has y."""
    return dataset([("a", "x"), ("b", "x")], test=[("a", "y"), ("a", "z"), ("b", "y")])


def test_an_evaluation_reads_the_propensities_of_test_events():
    # x, y, z are 0, 1, 2. a: z found, of weight 1/.1, y of weight 1/.5 not; b: nothing found.
    found = measured(with_propensity(log(), [0.5, 0.1, 0.5]), [[2, -1], [2, -1]], "snips-recall@2", "snips-dcg@2")
    assert value(found, "snips-recall@2") == pytest.approx(slowly([1, 0], [10, 2]) / 2, abs=1e-6)
    assert value(found, "snips-dcg@2") == pytest.approx(slowly([1, 0], [10, 2]) / 2, abs=1e-6)
    assert found.summary["rankers"][0]["metrics"]["snips-dcg@2"]["high"] is not None


def test_repeated_events_count_once_with_the_largest_propensity():
    data = dataset([("a", "x")], test=[("a", "y"), ("a", "z"), ("a", "z")])
    found = measured(with_propensity(data, [0.5, 0.1, 0.25]), [[2, -1]], "snips-recall@2")
    assert value(found, "snips-recall@2") == pytest.approx(slowly([1, 0], [4, 2]), abs=1e-6)


def test_without_propensities_snips_metrics_are_left_out_with_a_note():
    found = measured(log(), [[1, 2], [1, 2]], "ndcg@2", "snips-dcg@2")
    assert list(found.summary["rankers"][0]["metrics"]) == ["ndcg@2"]
    assert (
        "snips-dcg@2: left out, for the events have no column 'propensity', which a stage 'preprocess: propensity' adds"
        in found.summary["notes"]
    )


@pytest.mark.parametrize("wrong", [0.0, -0.5, 1.5, float("nan")])
def test_a_propensity_that_is_none_is_refused(wrong: float):
    with pytest.raises(DataError) as told:
        measured(with_propensity(log(), [0.5, wrong, 0.5]), [[1, 2], [1, 2]], "snips-dcg@2")
    assert told.value.problems[0].code == "RP503"


def test_other_metrics_do_not_mind_a_column_of_that_name():
    found = measured(with_propensity(log(), ["high", "low", "low"]), [[1, 2], [1, 2]], "recall@2")
    assert value(found, "recall@2") == 1


def test_popularity_is_the_mean_share_of_users_who_have_the_items():
    # Of 3 users with events 2 have x and 1 has y: with one more who has all, 3/4 and 2/4; nobody has z: 1/4.
    data = dataset([("a", "x"), ("b", "x"), ("c", "y")], test=[("a", "y"), ("b", "z"), ("c", "x")])
    found = measured(data, [[1, 2], [2, -1], [0, 2]], "popularity@2")
    assert value(found, "popularity@2") == pytest.approx((3 / 8 + 1 / 4 + 1 / 2) / 3, abs=1e-6)


def test_popularity_lift_is_against_what_each_user_has():
    data = dataset([("a", "x"), ("b", "x"), ("c", "y")], test=[("a", "y"), ("b", "z"), ("c", "x")])
    found = measured(data, [[1, 2], [2, -1], [0, 2]], "popularity-lift@1")
    # a: y 2/4 against x 3/4; b: z 1/4 against 3/4; c: x 3/4 against y 2/4
    assert value(found, "popularity-lift@1") == pytest.approx((2 / 3 + 1 / 3 + 3 / 2) / 3 - 1, abs=1e-6)


def test_popularity_of_nothing_is_undefined():
    empty = Judged(np.full((1, 2), -1, np.int32), np.zeros((1, 2), np.bool_), np.ones(1, np.int64),
                   np.ones(3, np.bool_), np.zeros(3), usual=np.array([0.5]))  # fmt: skip
    assert np.isnan(popularity(empty, 2)).all()
    assert np.isnan(popularity_lift(empty, 2)).all()
    full = replace(empty, items=np.zeros((1, 2), np.int32), usual=np.array([np.nan]))
    assert np.isnan(popularity_lift(full, 2)).all()


def test_a_recommender_of_popular_items_has_a_lift_above_0():
    data = dataset([("a", "x"), ("b", "x"), ("c", "y"), ("d", "x")], test=[("c", "x")])
    assert value(measured(data, [[0]] * 4, "popularity-lift@1"), "popularity-lift@1") == pytest.approx(4 / 2 - 1)


# A world in which all is known: 80 items, of which half are relevant to each user, whatever their popularity; the first
# are observed with a probability of .9, the last with one of .1. The list holds the first ten.
SHOWN = np.linspace(0.9, 0.1, 80)
TRUE_RECALL = 10 / 80


def observed(rng: np.random.Generator, users: int) -> Judged:
    relevant = rng.random((users, 80)).argsort(axis=1) < 40
    seen = relevant & (rng.random((users, 80)) < SHOWN)
    inverse = np.where(seen, 1 / SHOWN, 0.0)
    items = np.tile(np.arange(10, dtype=np.int32), (users, 1))
    total = inverse.sum(axis=1)
    rest = np.where(seen, 1 / (total[:, None] - inverse), 0.0).sum(axis=1)
    return Judged(items, seen[:, :10], seen.sum(axis=1), np.ones(80, np.bool_), np.zeros(80),
                  inverse=inverse[:, :10], inverse_total=total, inverse_rest=rest)  # fmt: skip


def test_recall_of_what_was_observed_is_off_where_snips_recall_is_right():
    judged = observed(np.random.default_rng(0), 20_000)
    naive, debiased = recall(judged, 10), snips_recall(judged, 10)
    assert naive.mean() > 1.6 * TRUE_RECALL  # the listed items are observed 1.7 times as often as the mean item
    error = debiased.std() / np.sqrt(len(debiased))
    assert debiased.mean() == pytest.approx(TRUE_RECALL, abs=3 * error)


def test_snips_dcg_is_right_for_the_gain_of_all_that_is_relevant():
    # Each of ten places is relevant half of the time, and forty items are relevant: Σ .5 / log2(rank + 1) / 40.
    truth = sum(0.5 / log2(rank + 1) for rank in range(1, 11)) / 40
    found = snips_dcg(observed(np.random.default_rng(1), 20_000), 10)
    assert found.mean() == pytest.approx(truth, abs=3 * found.std() / np.sqrt(len(found)))


def test_intervals_of_snips_recall_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(2)

    def covers(values: Values, seed: int) -> bool:
        found = bootstrap_interval(values, resamples=200, confidence=0.95, seed=seed)
        return found.low <= TRUE_RECALL <= found.high

    hits = [covers(snips_recall(observed(rng, 100), 10), seed) for seed in range(300)]
    assert 0.91 <= np.mean(hits) <= 0.985  # .95 less or more 2.5 standard errors of 300 trials, and the bootstrap's own
