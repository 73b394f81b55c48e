"""Every way to hold events out, by hand on small logs and by property on random ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recprofile.dataset import Cut, cut_events
from recprofile.dataset.split import default_split
from recprofile.recipe import (
    FileSplit,
    ItemColdSplit,
    LeaveOneOutSplit,
    RandomSplit,
    Split,
    TimeSplit,
    UserColdSplit,
    UserTimeSplit,
)

TIME = TimeSplit(by="time", holdout=0.2)
USER_TIME = UserTimeSplit(by="user-time", holdout=0.2)
RANDOM = RandomSplit(by="random", holdout=0.2)
ONE = LeaveOneOutSplit(by="leave-one-out")
ITEMS = ItemColdSplit(by="item-cold", holdout=0.2)
USERS = UserColdSplit(by="user-cold", holdout=0.2)
EVERY: tuple[Split, ...] = (
    TIME,
    USER_TIME,
    UserTimeSplit(by="user-time", holdout=2),
    RANDOM,
    RandomSplit(by="random", holdout=1),
    ONE,
    ITEMS,
    USERS,
)


def codes(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def times(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def letters(cut: Cut) -> str:
    """One letter per event: f(it), v(alid), t(est)."""
    assert not (cut.test & cut.held).any()
    return "".join("t" if test else "v" if held else "f" for test, held in zip(cut.test, cut.held, strict=True))


def test_time_holds_out_the_last_events_of_all_whoever_has_them():
    # 10 events: 8 stay, then round(8 · 0.8) = 6 of them.
    time = times(9, 0, 8, 1, 7, 2, 6, 3, 5, 4)
    cut = cut_events(TIME, codes(*[0] * 5, *[1] * 5), codes(*range(10)), time, seed=0)
    assert letters(cut) == "tftfvfvfff"


def test_time_parts_events_of_one_second_by_user_then_item():
    # All in one second: the last by user, then by item, is test: user 1 item 9; before it, held, user 1 item 3.
    cut = cut_events(TIME, codes(1, 0, 0, 0, 1), codes(9, 7, 8, 5, 3), times(4, 4, 4, 4, 4), seed=0)
    assert letters(cut) == "tfffv"


def test_user_time_holds_out_the_last_events_of_each_user():
    # User 0 has 5 events: ⌈5 · 0.8⌉ = 4 stay, and ⌈4 · 0.8⌉ = 4 of those. User 1 has 10: 8 stay, ⌈8 · 0.8⌉ = 7 of them.
    user = codes(*[0] * 5, *[1] * 10)
    time = times(50, 40, 30, 20, 10, *range(10))
    assert letters(cut_events(USER_TIME, user, codes(*range(15)), time, seed=0)) == "tffff" + "fffffffvtt"


def test_user_time_parts_events_of_one_second_by_item():
    cut = cut_events(USER_TIME, codes(0, 0, 0, 0, 0), codes(2, 4, 0, 3, 1), times(7, 7, 7, 7, 7), seed=0)
    assert letters(cut) == "ftfff"


def test_a_user_with_too_few_events_for_a_fraction_keeps_all():
    assert letters(cut_events(USER_TIME, codes(0, 0, 0, 0), codes(0, 1, 2, 3), times(1, 2, 3, 4), seed=0)) == "ffff"


def test_a_fraction_that_is_not_exact_in_binary_is_rounded_first():
    # 10 · (1 - 0.7) is 3.0000000000000004 in floating point; 3 stay, not 4. Of those, ⌈3 · 0.3⌉ = 1 stays.
    split = UserTimeSplit(by="user-time", holdout=0.7)
    cut = cut_events(split, codes(*[0] * 10), codes(*range(10)), times(*range(10)), seed=0)
    assert letters(cut) == "fvvttttttt"


def test_user_time_takes_a_number_of_events_and_leaves_each_user_one():
    # User 0 has 5 events: 2 test, 2 held, 1 stays. User 1 has 2: one stays, so one is test. User 2 has 1.
    split = UserTimeSplit(by="user-time", holdout=2)
    cut = cut_events(split, codes(0, 0, 0, 0, 0, 1, 1, 2), codes(*range(8)), times(*range(8)), seed=0)
    assert letters(cut) == "fvvtt" + "ft" + "f"


def test_leave_one_out_takes_the_last_event_by_time():
    cut = cut_events(ONE, codes(0, 0, 0, 1, 1, 2), codes(*range(6)), times(3, 1, 2, 5, 4, 6), seed=0)
    assert letters(cut) == "tfv" + "tf" + "f"


def test_leave_one_out_without_times_takes_one_of_each_user_at_random():
    user = np.repeat(np.arange(200, dtype=np.int32), 3)
    cut = cut_events(ONE, user, codes(*[0, 1, 2] * 200), None, seed=1)
    assert np.bincount(user[cut.test]).tolist() == [1] * 200
    assert np.bincount(user[cut.held]).tolist() == [1] * 200
    which = np.flatnonzero(cut.test) % 3
    assert np.bincount(which).min() > 40  # about 67 each: the place within a user is no matter


def test_random_holds_out_a_fraction_of_each_user():
    user = codes(*[0] * 10, *[1] * 5, *[2] * 4)
    cut = cut_events(RANDOM, user, codes(*range(19)), None, seed=3)
    assert np.bincount(user[cut.test], minlength=3).tolist() == [2, 1, 0]
    assert np.bincount(user[cut.held], minlength=3).tolist() == [1, 0, 0]


@pytest.mark.parametrize("split", [RANDOM, ONE, ITEMS, USERS])
def test_a_seed_decides_and_another_decides_otherwise(split):
    rng = np.random.default_rng(0)
    user, item = (rng.integers(0, 40, 500).astype(np.int32) for _ in range(2))
    first, again, other = (cut_events(split, user, item, None, seed=seed) for seed in (1, 1, 2))
    assert letters(first) == letters(again)
    assert letters(first) != letters(other)


@pytest.mark.parametrize("split", EVERY)
def test_the_order_of_rows_in_the_file_makes_no_difference(split):
    rng = np.random.default_rng(0)
    pairs = rng.permutation(30 * 20)[:300]
    user, item = (pairs // 20).astype(np.int32), (pairs % 20).astype(np.int32)
    time = rng.integers(0, 50, 300)
    rows = rng.permutation(300)
    straight = letters(cut_events(split, user, item, time, seed=5))
    mixed = letters(cut_events(split, user[rows], item[rows], time[rows], seed=5))
    assert mixed == "".join(straight[row] for row in rows)


def test_item_cold_holds_out_whole_items_for_test_and_for_tuning():
    # 10 items with events, 20 without: round(10 · 0.2) = 2 are test, round(8 · 0.2) = 2 are held.
    item = np.repeat(np.arange(10, dtype=np.int32) * 3, 4)
    cut = cut_events(ITEMS, codes(*range(40)), item, None, seed=0)
    by_part = [set(item[mask]) for mask in (cut.test, cut.held, ~(cut.test | cut.held))]
    assert [len(items) for items in by_part] == [2, 2, 6]
    assert len(set.union(*by_part)) == 10


def test_user_cold_holds_out_whole_users_for_test_and_for_tuning():
    user = np.repeat(np.arange(5, dtype=np.int32), 3)
    cut = cut_events(USERS, user, codes(*range(15)), None, seed=0)
    # round(5 · 0.2) = 1 of 5, then round(4 · 0.2) = 1 of 4.
    by_part = [set(user[mask]) for mask in (cut.test, cut.held, ~(cut.test | cut.held))]
    assert [len(users) for users in by_part] == [1, 1, 3]
    assert len(set.union(*by_part)) == 5


def test_nothing_is_held_when_that_would_leave_no_training_event():
    # 10 events: round(10 · 0.1) = 1 stays, and round(1 · 0.1) = 0 of it.
    split = TimeSplit(by="time", holdout=0.9)
    assert letters(cut_events(split, codes(*[0] * 10), codes(*range(10)), times(*range(10)), seed=0)) == "f" + "t" * 9


@pytest.mark.parametrize("split", EVERY)
def test_no_event_and_one_event_are_cut_without_a_crash(split):
    for n in (0, 1):
        cut = cut_events(split, codes(*[0] * n), codes(*[0] * n), times(*[0] * n), seed=0)
        assert letters(cut) == "f" * n


def test_the_default_is_the_last_fifth_of_each_user_or_a_random_one():
    assert default_split(has_time=True) == USER_TIME
    assert default_split(has_time=False) == RANDOM


@pytest.mark.parametrize("split", [TIME, USER_TIME])
def test_a_split_by_time_without_times_is_refused(split):
    with pytest.raises(ValueError, match="the split needs times"):
        cut_events(split, codes(0), codes(0), None, seed=0)


def test_files_are_no_rule_to_cut_by():
    with pytest.raises(ValueError, match="'file' is no rule"):
        cut_events(FileSplit(by="file", test="test.csv"), codes(0), codes(0), None, seed=0)


LOGS = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@settings(max_examples=60, deadline=None)
@given(rng=LOGS, n=st.integers(1, 200), split=st.sampled_from(EVERY), seed=st.integers(0, 9))
def test_parts_are_disjoint_and_users_keep_an_event_where_the_rule_is_per_user(rng, n, split, seed):
    user, item = (rng.integers(0, 12, n).astype(np.int32) for _ in range(2))
    cut = cut_events(split, user, item, rng.integers(0, 20, n), seed=seed)
    assert cut.test.shape == cut.held.shape == (n,)
    assert not (cut.test & cut.held).any()
    if isinstance(split, UserTimeSplit | RandomSplit | LeaveOneOutSplit):
        assert set(user[~cut.test & ~cut.held]) == set(user)


@settings(max_examples=60, deadline=None)
@given(rng=LOGS, n=st.integers(1, 300), percent=st.integers(1, 99), split=st.sampled_from((UserTimeSplit, RandomSplit)))
def test_a_fraction_of_each_user_is_held_out_to_within_one_event(rng, n, percent, split):
    user, item = (rng.integers(0, 6, n).astype(np.int32) for _ in range(2))
    by = "user-time" if split is UserTimeSplit else "random"
    cut = cut_events(split(by=by, holdout=percent / 100), user, item, rng.integers(0, 9, n), seed=0)
    size, test = np.bincount(user, minlength=6), np.bincount(user[cut.test], minlength=6)
    # In whole numbers: m - ⌈m · (100 - p) / 100⌉ = ⌊m · p / 100⌋
    assert test.tolist() == (size * percent // 100).tolist()


@settings(max_examples=60, deadline=None)
@given(rng=LOGS, n=st.integers(1, 200))
def test_no_test_event_of_a_user_is_earlier_than_a_training_event(rng, n):
    user, item, time = (
        rng.integers(0, 5, n).astype(np.int32),
        rng.integers(0, 99, n).astype(np.int32),
        rng.integers(0, 20, n),
    )
    cut = cut_events(USER_TIME, user, item, time, seed=0)
    for u in set(user[cut.test]):
        assert time[(user == u) & cut.test].min() >= time[(user == u) & ~cut.test].max()
