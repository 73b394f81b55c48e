"""Training events as ratings: one per pair, of the users and items that have any."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import DataError, Dataset, IntArray


@dataclass(frozen=True, eq=False)
class Ratings:
    """Ratings sorted by user, then item, with users and items numbered without gaps.

    `user`, `item` int64 (n,) rows of `users` and `items`, which are the codes in the data set; `value` float64 (n,);
    the scale reaches from `low` to `high`, the lowest and highest rating there is.
    """

    users: IntArray
    items: IntArray
    user: NDArray[np.int64]
    item: NDArray[np.int64]
    value: NDArray[np.float64]

    @property
    def low(self) -> float:
        """The lowest rating."""
        return float(self.value.min())

    @property
    def high(self) -> float:
        """The highest rating."""
        return float(self.value.max())

    @property
    def mean(self) -> float:
        """The mean rating."""
        return float(self.value.mean())


def ratings_of(data: Dataset) -> Ratings:
    """All training events as ratings, the mean where a pair has several.

    Raises DataError RP505 when there are none, and RP503 for a weight that is not finite.
    """
    train = data.train
    if len(train) == 0:
        raise DataError.of("RP505", "there are no training events to learn ratings from")
    wrong = np.flatnonzero(~np.isfinite(train.weight))
    if len(wrong):
        first = wrong[0]
        user, item = data.users.ids.outside(train.user[[first]])[0], data.items.ids.outside(train.item[[first]])[0]
        message = f"'{train.weight[first]}' is no rating ({len(wrong)} such training events)"
        raise DataError.of(
            "RP503", message, help=(f"at user '{user}' and item '{item}'", "a preprocess stage may fill or drop these")
        )
    pair, which = np.unique(train.user.astype(np.int64) * data.n_items + train.item, return_inverse=True)
    value = np.bincount(which, train.weight.astype(np.float64)) / np.bincount(which)
    users, user = np.unique(pair // data.n_items, return_inverse=True)
    items, item = np.unique(pair % data.n_items, return_inverse=True)
    return Ratings(users.astype(np.int32), items.astype(np.int32), user, item, value)
