"""Which events are held out: the test part and, by the same rule on what is left, the validation part.

Every rule sees all events at once and gives each a part; none looks at weights. Users and items are taken in the order
of their ids (numbers by size, text by code point), so that the order of rows in the file makes no difference, except
among events that are equal in user, item and time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recprofile.artifacts import BoolArray, IntArray
from recprofile.order import in_order
from recprofile.recipe import (
    ItemColdSplit,
    LeaveOneOutSplit,
    RandomSplit,
    Split,
    TimeSplit,
    UserColdSplit,
    UserTimeSplit,
)

Times = NDArray[np.int64]
Rows = NDArray[np.int64]
DEFAULT_HOLDOUT = 0.2


@dataclass(frozen=True)
class Cut:
    """For each event whether it is test, and whether it is held for tuning, bool (n,) each and never both."""

    test: BoolArray
    held: BoolArray


def default_split(*, has_time: bool) -> Split:
    """What is held out when a recipe does not say: the last fifth of each user's events, or a random fifth."""
    if has_time:
        return UserTimeSplit(by="user-time", holdout=DEFAULT_HOLDOUT)
    return RandomSplit(by="random", holdout=DEFAULT_HOLDOUT)


def cut_events(split: Split, user: IntArray, item: IntArray, time: Times | None, *, seed: int) -> Cut:
    """The cut that a rule makes. `user` and `item` are dense rows, int32 (n,), `time` seconds or None.

    `time`: the last round(n · holdout) events by (time, user, item) are test; the cut falls at a count, so events of
    the very second of the cut may stand on both sides.
    `user-time`, `random`, `leave-one-out`: of a user's m events in order of (time, item), or in random order, the first
    ⌈m · (1 - holdout)⌉ are training, or all but the last `holdout` when that is a whole number; at least one stays.
    `leave-one-out` is the last one by time when there is time, else a random one.
    `item-cold`, `user-cold`: all events of round(holdout · n) random items or users, of those that have events.

    Each is applied once more to what is left, which gives the events held for tuning. When that would take all, none
    is held. Raises ValueError for `time` and `user-time` without times, and for `file`, which is no rule.
    """
    n = len(user)
    match split:
        case TimeSplit():
            return _fit_left(_cut_time(user, item, _needed(time), split.holdout))
        case UserTimeSplit():
            order = in_order(user, _needed(time), item)
            return _fit_left(_cut_each(user, order, _kept(split.holdout)))
        case RandomSplit():
            return _fit_left(_cut_each(user, _shuffled(user, item, seed), _kept(split.holdout)))
        case LeaveOneOutSplit():
            order = _shuffled(user, item, seed) if time is None else in_order(user, time, item)
            return _fit_left(_cut_each(user, order, _kept(1)))
        case ItemColdSplit():
            return _fit_left(_cut_whole(item, split.holdout, seed))
        case UserColdSplit():
            return _fit_left(_cut_whole(user, split.holdout, seed))
    raise ValueError(f"'{split.by}' is no rule to cut {n} events by")


def _needed(time: Times | None) -> Times:
    if time is None:
        raise ValueError("the split needs times")
    return time


def _fit_left(cut: Cut) -> Cut:
    """The cut, with nothing held when there would be no training event beside what is held."""
    if (cut.test | cut.held).all():
        return Cut(cut.test, np.zeros(len(cut.test), np.bool_))
    return cut


def _kept(holdout: float) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
    """How many of a number of events stay in training: all but a fraction, rounded for the stay, or but n; one does."""

    def kept(size: NDArray[np.int64]) -> NDArray[np.int64]:
        if isinstance(holdout, int):
            return np.maximum(size - min(holdout, int(size.max(initial=0))), np.minimum(size, 1))
        # 1 - 0.7 is a little over 0.3: without rounding, 4 of 10 would stay.
        return np.ceil(np.round(size * (1 - holdout), 9)).astype(np.int64)

    return kept


def _cut_each(user: IntArray, order: Rows, kept: Callable[[NDArray[np.int64]], NDArray[np.int64]]) -> Cut:
    """Of each user's events, in this order, the last are test, and those before them held."""
    size = np.bincount(user)
    train = kept(size)
    fit = kept(train)
    start = np.cumsum(size) - size
    at = np.arange(len(user), dtype=np.int32)
    is_test, is_held = np.zeros(len(user), np.bool_), np.zeros(len(user), np.bool_)
    after_train = at >= np.repeat((start + train).astype(np.int32), size)
    after_fit = at >= np.repeat((start + fit).astype(np.int32), size)
    is_test[order] = after_train
    is_held[order] = after_fit & ~after_train
    return Cut(is_test, is_held)


def _shuffled(user: IntArray, item: IntArray, seed: int) -> Rows:
    """Rows by user, each user's in random order: one number per event is drawn, along (user, item)."""
    along = in_order(user, item)
    draw = np.random.default_rng(seed).random(len(user))
    bits = max(1, 62 - int(user.max(initial=0)).bit_length())
    return along[in_order(user[along], (draw * 2.0 ** min(bits, 52)).astype(np.int64))]


def _cut_time(user: IntArray, item: IntArray, time: Times, holdout: float) -> Cut:
    n = len(time)
    train = round(n * (1 - holdout))
    fit = round(train * (1 - holdout))
    is_test = _last(user, item, time, n - train)
    not_fit = _last(user, item, time, n - fit)
    return Cut(is_test, not_fit & ~is_test)


def _last(user: IntArray, item: IntArray, time: Times, count: int) -> BoolArray:
    """The last events by (time, user, item), as many as asked for."""
    n = len(time)
    last = np.zeros(n, np.bool_)
    if count == 0:
        return last
    moment = np.partition(time, n - count)[n - count]
    np.greater(time, moment, out=last)
    tied = np.flatnonzero(time == moment)
    rest = count - int(last.sum())
    last[tied[in_order(user[tied], item[tied])[len(tied) - rest :]]] = True
    return last


def _cut_whole(code: IntArray, holdout: float, seed: int) -> Cut:
    """All events of random users or items."""
    active = np.flatnonzero(np.bincount(code))
    test = _chosen(active, holdout, seed)
    held = _chosen(np.setdiff1d(active, test, assume_unique=True), holdout, seed + 1)
    part = np.zeros(int(code.max(initial=0)) + 1, np.int8)
    part[test], part[held] = 1, 2
    of_event = part[code]
    return Cut(of_event == 1, of_event == 2)


def _chosen(active: Rows, holdout: float, seed: int) -> Rows:
    count = round(len(active) * holdout)
    return np.random.default_rng(seed).choice(active, count, replace=False)
