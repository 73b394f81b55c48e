"""Tests of paired differences, their correction, and the bins of users and items, against slow references."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from recprofile.evaluate.compare.groups import activity_bounds, activity_of, popularity_of
from recprofile.evaluate.compare.significance import holm, randomization_p


def p_by_enumeration(differences: Sequence[float]) -> float:
    """The definition, sign pattern by sign pattern."""
    known = [d for d in differences if not np.isnan(d)]
    far = abs(sum(known))
    sums = [abs(sum(s * d for s, d in zip(signs, known, strict=True))) for signs in product((1, -1), repeat=len(known))]
    return sum(one >= far - 1e-12 for one in sums) / len(sums)


@pytest.mark.parametrize("seed", range(5))
def test_the_randomization_test_agrees_with_every_sign_pattern(seed):
    rng = np.random.default_rng(seed)
    columns = np.round(rng.normal(0.3, 1, (9, 4)), 1)  # rounded, so that patterns tie
    columns[rng.random(columns.shape) < 0.2] = np.nan
    assert randomization_p(columns) == pytest.approx([p_by_enumeration(column) for column in columns.T])


def test_drawn_sign_patterns_come_near_to_all_of_them():
    column = np.random.default_rng(3).normal(0.4, 1, (12, 1))
    exact, drawn = (randomization_p(column, flips=flips)[0] for flips in (2**12, 4000))
    assert exact == pytest.approx(p_by_enumeration(column[:, 0]))
    assert drawn == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 4000))


def test_with_many_users_the_test_agrees_with_a_t_test():
    columns = np.random.default_rng(5).gamma(0.5, 1, (800, 6)) - 0.5 + np.linspace(-0.05, 0.05, 6)
    assert randomization_p(columns) == pytest.approx(ttest_1samp(columns, 0).pvalue, abs=0.02)


def test_the_test_keeps_its_level_where_nothing_differs():
    columns = np.random.default_rng(9).normal(0, 1, (25, 2000)) ** 3
    rejected = np.mean(randomization_p(columns, flips=999) < 0.05)
    assert 0.035 < rejected < 0.065  # ±3 standard deviations of 2,000 draws


def test_no_difference_and_a_single_user_have_p_one_and_nobody_has_none():
    columns = np.array([[0.0, 0.5, np.nan], [0.0, np.nan, np.nan]])
    assert randomization_p(columns).tolist() == pytest.approx([1.0, 1.0, np.nan], nan_ok=True)
    assert np.isnan(randomization_p(np.zeros((0, 2)))).all()


def test_holm_steps_down():
    # sorted .005 .01 .03 .04 → times 4 3 2 1 → .02 .03 .06 .04, and none below the one before
    assert holm(np.array([0.01, 0.04, np.nan, 0.03, 0.005])).tolist() == pytest.approx(
        [0.03, 0.06, np.nan, 0.06, 0.02], nan_ok=True
    )
    assert holm(np.array([0.7, 0.9])).tolist() == [1.0, 1.0]
    assert holm(np.zeros(0)).tolist() == []


def test_users_are_binned_by_quartiles_and_equals_stay_together():
    assert activity_bounds(np.arange(1, 9)) == [(1, 2), (3, 4), (5, 6), (7, 8)]
    assert activity_bounds(np.array([1, 1, 1, 1, 1, 9])) == [(1, 1), (9, 9)]
    assert activity_bounds(np.array([4])) == [(4, 4)]
    assert activity_bounds(np.zeros(0)) == []
    assert activity_of(np.array([1, 3, 8]), [(1, 2), (3, 4), (5, 8)]).tolist() == [0, 1, 2]


def test_items_are_binned_by_the_events_on_more_popular_ones():
    assert popularity_of(np.array([10, 6, 3, 1, 0])).tolist() == [0, 1, 2, 2, 2]
    assert popularity_of(np.array([4, 4, 4])).tolist() == [0, 0, 0]
    assert popularity_of(np.array([1, 1, 1, 3])).tolist() == [1, 1, 1, 0]
    assert popularity_of(np.array([0, 0])).tolist() == [2, 2]
    assert popularity_of(np.zeros(0, np.int64)).tolist() == []


@pytest.mark.parametrize("seed", range(3))
def test_bins_of_popularity_agree_with_a_slow_loop(seed):
    events = np.random.default_rng(seed).geometric(0.02, 200) - 1
    above = [sum(int(e) for e in events if e > one) / events.sum() for one in events]
    assert popularity_of(events).tolist() == [0 if a < 1 / 3 else 1 if a < 2 / 3 else 2 for a in above]
