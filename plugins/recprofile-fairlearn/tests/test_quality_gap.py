"""`fairlearn/quality-gap`: quality by group, and when it is too unequal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from recprofile.plugin import CheckResult, DataError, Dataset, Inputs, Recommendations
from recprofile.testing import CheckTests, context, dataset
from recprofile_fairlearn import QualityGap, QualityGapParams
from recprofile_fairlearn.quality import ndcg_by_user, resampled_means


class TestQualityGap(CheckTests):
    component = QualityGap
    examples = [
        {"group": "gender", "max_difference": 0.1},
        {"group": "gender", "min_ratio": 0.8, "min_group": 1, "k": 2},
    ]


def lists(data: Dataset, rows: Sequence[Sequence[int]], users: Sequence[int] | None = None) -> Recommendations:
    """Lists of item codes, -1 for nothing, with descending scores."""
    items = np.array(rows, np.int32)
    scores = np.where(items >= 0, -np.arange(items.shape[1], dtype=np.float32), np.nan).astype(np.float32)
    who = np.arange(len(items), dtype=np.int32) if users is None else np.array(users, np.int32)
    return Recommendations(data.users.ids, data.items.ids, who, items, scores, np.zeros(len(items), np.int8))


def people(genders: Sequence[Any], **more: Any) -> Dataset:
    """Users 0 … n-1 of these genders, who each saw item 0 and have item 1 in test; items 0 to 9."""
    n = len(genders)
    return dataset(
        [(u, 0) for u in range(n)],
        test=[(u, 1) for u in range(n)],
        users={"id": list(range(n)), "gender": list(genders)},
        items={"id": list(range(10))},
        **more,
    )


FIRST, THIRD, MISS = [1, 2, 3], [2, 3, 1], [2, 3, 4]  # NDCG 1, 1 / log2(4) = 0.5, and 0


def verdict(data: Dataset, recs: Recommendations, **params: Any) -> CheckResult:
    check = QualityGap(QualityGapParams(**{"group": "gender", "min_group": 2, "k": 3, **params}))
    return check.check(recs, Inputs(), data, context())


def values(result: CheckResult) -> dict[str, float]:
    return {m.name: m.value for m in result.measures}


def half_as_good() -> tuple[Dataset, Recommendations]:
    data = people(["F", "F", "M", "M", "M", "M"])
    return data, lists(data, [FIRST] * 2 + [THIRD] * 4)


def test_groups_of_quality_1_and_a_half_differ_by_a_half():
    result = verdict(*half_as_good(), max_difference=0.4)
    assert values(result) == pytest.approx({"difference": 0.5, "ratio": 0.5, "ndcg@3": 4 / 6})
    assert result.groups.select("group", "n", "value").rows() == [("F", 2, 1.0), ("M", 4, pytest.approx(0.5))]
    assert result.passed is False


def test_a_gap_of_exactly_the_limit_is_within_it():
    assert verdict(*half_as_good(), max_difference=0.5).passed is True
    assert verdict(*half_as_good(), min_ratio=0.5).passed is True


def test_either_limit_alone_can_fail():
    assert verdict(*half_as_good(), max_difference=0.6, min_ratio=0.4).passed is True
    assert verdict(*half_as_good(), max_difference=0.6, min_ratio=0.6).passed is False
    assert verdict(*half_as_good(), max_difference=0.4, min_ratio=0.4).passed is False


def test_the_summary_names_the_groups_and_the_limit():
    # Every user of a group has the same quality, so that no resample differs: the intervals are points.
    assert verdict(*half_as_good(), max_difference=0.4).summary == (
        "ndcg@3 by 'gender' is 0.500 for 'M' and 1.000 for 'F';"
        " difference 0.500 (0.500 to 0.500) is above 0.4, and so is the interval"
    )


def test_the_summary_says_when_the_interval_reaches_across_the_limit():
    data = people(["F"] * 4 + ["M"] * 4)
    result = verdict(data, lists(data, [FIRST, FIRST, FIRST, MISS, FIRST, FIRST, MISS, MISS]), max_difference=0.3)
    assert result.passed is True
    assert "difference 0.250" in result.summary
    assert result.summary.endswith("is within 0.3, but the interval reaches across")


def test_equal_groups_have_no_difference_and_a_ratio_of_1():
    data = people(["F", "M"] * 3)
    result = verdict(data, lists(data, [THIRD] * 6), max_difference=0.0, min_ratio=1.0)
    assert result.passed is True
    assert values(result) == pytest.approx({"difference": 0, "ratio": 1, "ndcg@3": 0.5})


def test_groups_that_all_have_nothing_are_equal():
    data = people(["F", "M"] * 3)
    result = verdict(data, lists(data, [MISS] * 6), min_ratio=0.9)
    assert result.passed is True
    assert values(result) == {"difference": 0, "ratio": 1, "ndcg@3": 0}


def test_a_small_group_is_shown_and_not_compared():
    data = people(["F", "F", "M", "M", "X"])
    result = verdict(data, lists(data, [FIRST] * 4 + [MISS]), max_difference=0.1)
    assert result.passed is True
    assert result.groups.select("group", "n", "value", "compared").rows() == [
        ("F", 2, 1.0, True),
        ("M", 2, 1.0, True),
        ("X", 1, 0.0, False),
    ]
    assert result.groups["low"][2] is None


def test_users_without_a_value_are_shown_and_not_compared():
    data = people([None, None, "F", "F", "M", "M"])
    result = verdict(data, lists(data, [MISS] * 2 + [FIRST] * 4), max_difference=0.1)
    assert result.passed is True
    assert result.groups.select("group", "compared").rows() == [("(missing)", False), ("F", True), ("M", True)]


def test_one_group_gives_no_verdict():
    data = people(["F"] * 4)
    result = verdict(data, lists(data, [FIRST] * 4), max_difference=0.1)
    assert result.passed is None
    assert result.groups["value"].to_list() == [1.0]
    assert values(result) == {"ndcg@3": 1.0}


def test_groups_that_are_too_small_give_no_verdict_and_their_sizes():
    result = verdict(*half_as_good(), max_difference=0.1, min_group=30)
    assert result.passed is None
    assert result.summary == (
        "no verdict: fewer than two groups of 'gender' have 30 users with something relevant in test ('M' 4, 'F' 2)"
    )


def test_no_test_events_give_no_verdict():
    data, recs = half_as_good()
    bare = data.revise(test=data.test.take(np.zeros(6, np.bool_)))
    assert verdict(bare, recs, max_difference=0.1).passed is None


def test_intervals_hold_the_value_and_are_the_same_again():
    data = people(["F", "M"] * 20)
    recs = lists(data, [FIRST, MISS, THIRD, THIRD] * 10)
    first, again = verdict(data, recs, max_difference=1.0), verdict(data, recs, max_difference=1.0)
    assert first.measures == again.measures
    for measure in first.measures:
        assert measure.low is not None
        assert measure.high is not None
        assert measure.low <= measure.value <= measure.high
    assert first.groups.filter(first.groups["low"] > first.groups["value"]).height == 0


def test_the_bootstrap_has_the_width_that_theory_gives():
    # A mean of 400 values, half 0 and half 1, has the standard error 0.5 / 20 = 0.025.
    quality = np.tile([0.0, 1.0], 200)
    drawn = resampled_means(quality, np.zeros(400, np.int32), n_groups=1, times=4000, rng=np.random.default_rng(0))
    assert drawn.overall.std() == pytest.approx(0.025, rel=0.05)
    np.testing.assert_allclose(drawn.by_group[:, 0], drawn.overall)


def test_ndcg_is_the_gain_over_the_best_possible_gain():
    # Two relevant items; the list has one, at rank 2. Gain 1/log2(3); ideal at k = 2 is 1 + 1/log2(3).
    data = dataset([("u", 0)], test=[("u", 1), ("u", 2)], items={"id": [0, 1, 2, 3]})
    users, quality = ndcg_by_user(lists(data, [[3, 1]]), data, k=2)
    assert users.tolist() == [0]
    assert quality.tolist() == pytest.approx([(1 / np.log2(3)) / (1 + 1 / np.log2(3))])


def test_only_positive_and_unseen_test_items_are_relevant():
    from recprofile.plugin import PositiveRule

    data = dataset(
        [("u", 0, 5), ("v", 0, 5)],
        test=[("u", 0, 5), ("u", 1, 5), ("u", 2, 1), ("v", 0, 5)],
        items={"id": [0, 1, 2, 3]},
        positive=PositiveRule(">=", 4),
    )
    users, quality = ndcg_by_user(lists(data, [[1, 2], [1, 2]]), data, k=2)
    assert users.tolist() == [0]
    assert quality.tolist() == [1.0]


def test_users_without_a_list_do_not_count_and_empty_places_are_misses():
    data = people(["F", "M", "F"])
    users, quality = ndcg_by_user(lists(data, [[2, 1, -1], [-1, -1, -1]], users=[2, 0]), data, k=3)
    assert users.tolist() == [2, 0]
    assert quality.tolist() == pytest.approx([1 / np.log2(3), 0])


def test_lists_shorter_than_k_are_said():
    said: list[str] = []
    data, recs = half_as_good()
    check = QualityGap(QualityGapParams(group="gender", max_difference=0.1, min_group=2))
    check.check(recs, Inputs(), data, context(warn=said.append))
    assert said == ["lists hold 3 items, so 'k: 10' counts the rest of each list as misses"]


def test_numbers_and_truth_values_may_be_groups():
    data = people([True, True, False, False])
    result = verdict(data, lists(data, [FIRST] * 4), max_difference=0.1)
    assert result.groups["group"].to_list() == ["false", "true"]


def test_an_unknown_column_is_named():
    data, recs = half_as_good()
    with pytest.raises(DataError, match="no column 'gendre'"):
        verdict(data, recs, group="gendre", max_difference=0.1)


def test_a_check_without_a_limit_is_refused():
    with pytest.raises(ValidationError) as error:
        QualityGapParams(group="gender")
    assert error.value.errors()[0]["type"] == "RP205"
