"""From how many events on one ranker is better than another, by the validation part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import BoolArray, Dataset, IntArray, Ranker, UserScores, judge, judged_elsewhere

EVERYONE = int(np.iinfo(np.int32).max)  # a threshold below which everyone is
MOST = 50  # thresholds tried: quantiles of the users' activity where there are more


@dataclass(frozen=True)
class Threshold:
    """Users with fewer than `below` events go to the second ranker: 0 for none, EVERYONE for all; and why.

    `mean` of the metric with the best threshold, and `alone` of either ranker, over `users`; `gain` over the better one
    and its standard `error` on users that the threshold judged there was not chosen on.
    """

    below: int
    users: int
    mean: float
    alone: tuple[float, float]
    gain: float
    error: float


def choose_threshold(
    rankers: Sequence[Ranker], data: Dataset, activity: IntArray, *, metric: str, rng: np.random.Generator
) -> Threshold:
    """The threshold of the best mean on `data.test`, or 0 or EVERYONE when it does not beat the better ranker alone.

    It must do so by more than a standard error on users that it was not chosen on. `activity` int32 (n_users,).
    """
    first, second = (judge(ranker, data, metric=metric) for ranker in rankers)
    events = activity[first.users]
    tried = thresholds(events)
    better = second if second.mean > first.mean else first

    def with_threshold(below: int) -> NDArray[np.float64]:
        return np.where(events < below, second.values, first.values)

    def best_on(users: BoolArray) -> int:
        return max(tried, key=lambda below: (float(with_threshold(below)[users].mean()), -below))

    n = len(first.values)
    if n == 0:
        return Threshold(0, 0, 0.0, (0.0, 0.0), 0.0, 0.0)
    below = best_on(np.ones(n, np.bool_))
    elsewhere = judged_elsewhere(lambda users: with_threshold(best_on(users)), better.values, rng)
    gain = UserScores(first.users, elsewhere).minus(better)
    mean = float(with_threshold(below).mean())
    if gain.mean <= gain.error:
        below = EVERYONE if better is second else 0
    return Threshold(below, n, mean, (first.mean, second.mean), gain.mean, gain.error)


def thresholds(events: IntArray) -> list[int]:
    """0, EVERYONE, and between them numbers that part the users differently; at most MOST, at quantiles of `events`."""
    between = np.unique(events)[1:]
    if len(between) > MOST:
        between = np.unique(np.quantile(events, np.linspace(0, 1, MOST + 2)[1:-1], method="nearest"))
        between = between[between > events.min()]
    return [0, *(int(n) for n in between), EVERYONE]
