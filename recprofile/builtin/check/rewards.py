"""A simple model of rewards, for the doubly robust estimate: the mean, how a user differs, how an item does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import IntArray

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RewardModel:
    """Expected reward of an item shown to a user: mean + user's part + item's part, within what was seen.

    `users` float64 (n_users,) and `items` (n_items,); `events`, how many it was learnt from. Without any it gives 0,
    and a doubly robust estimate is the one by inverse propensities.
    """

    mean: float
    users: Doubles
    items: Doubles
    least: float
    most: float
    events: int

    def expected(self, users: NDArray[np.integer], items: NDArray[np.integer]) -> Doubles:
        """Expected rewards, pair by pair, of arrays of one shape (or that broadcast to one)."""
        out: Doubles = np.clip(self.mean + self.users[users] + self.items[items], self.least, self.most)
        return out


def fit_rewards(
    user: IntArray, item: IntArray, reward: Doubles, *, n_users: int, n_items: int, damping: float
) -> RewardModel:
    """Damped means: item Σ (r - mean) / (n_i + damping), then user Σ (r - mean - item) / (n_u + damping).

    Source: baseline predictors of Koren 2010, "Factor in the neighbors", section 2.1.
    """
    if len(reward) == 0:
        return RewardModel(0.0, np.zeros(n_users), np.zeros(n_items), 0.0, 0.0, 0)
    mean = float(reward.mean())
    items = np.bincount(item, reward - mean, n_items) / (np.bincount(item, minlength=n_items) + damping)
    left = reward - mean - items[item]
    users = np.bincount(user, left, n_users) / (np.bincount(user, minlength=n_users) + damping)
    return RewardModel(mean, users, items, float(reward.min()), float(reward.max()), len(reward))
