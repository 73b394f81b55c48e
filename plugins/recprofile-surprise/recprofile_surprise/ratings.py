"""Events as ratings: one per pair, of the users and items that have any."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import BoolArray, DataError, Dataset, IntArray

Rows = NDArray[np.int64]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ratings:
    """Ratings sorted by user, then item, with users and items numbered without gaps.

    `user`, `item` int64 (n,) rows of `users` and `items`, which are the codes in the data set; `value` float64 (n,);
    the scale reaches from `low` to `high`, the lowest and highest rating there is.
    """

    users: IntArray
    items: IntArray
    user: Rows
    item: Rows
    value: Doubles

    def __len__(self) -> int:
        return len(self.value)

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


@dataclass(frozen=True, eq=False)
class Histories:
    """What each of n rated, as CSR: `start` int64 (n + 1,), `other` int64 rows rated, ascending; `value` float64."""

    start: Rows
    other: Rows
    value: Doubles

    @classmethod
    def of(cls, who: Rows, other: Rows, value: Doubles, *, n: int) -> Histories:
        """Those of `who`, rows below n; the order of what each rated is kept."""
        order = np.argsort(who, kind="stable")
        return cls(np.concatenate([[0], np.cumsum(np.bincount(who, minlength=n))]), other[order], value[order])

    def lengths(self, who: Rows) -> Rows:
        """How much each of these rated, (len(who),)."""
        return self.start[who + 1] - self.start[who]

    def padded(self, who: Rows) -> tuple[Rows, Doubles]:
        """What each of these rated, and how: two (len(who), longest), padded at the end with -1 and 0."""
        length = self.lengths(who)
        column = np.arange(length.max(initial=0))
        inside = column < length[:, None]
        where = np.where(inside, self.start[who][:, None] + column, 0)
        return np.where(inside, self.other[where], -1), np.where(inside, self.value[where], 0.0)


def ratings_of(data: Dataset) -> Ratings:
    """All training events as ratings, the mean where a pair has several.

    Raises DataError RP505 when there are none, and RP503 for a weight that is not finite.
    """
    if len(data.train) == 0:
        raise DataError.of("RP505", "there are no training events to learn ratings from")
    user, item, value = rated_pairs(data)
    users, user_row = np.unique(user, return_inverse=True)
    items, item_row = np.unique(item, return_inverse=True)
    return Ratings(users.astype(np.int32), items.astype(np.int32), user_row, item_row, value)


def rated_pairs(data: Dataset) -> tuple[Rows, Rows, Doubles]:
    """User codes, item codes and ratings of the training events, by user, then item; each pair once, by its mean.

    Raises DataError RP503 for a weight that is not finite.
    """
    train = data.train
    wrong = np.flatnonzero(~np.isfinite(train.weight))
    if len(wrong):
        refuse_weights(data, wrong, "is no rating")
    pair, which = np.unique(train.user.astype(np.int64) * data.n_items + train.item, return_inverse=True)
    value = np.bincount(which, train.weight.astype(np.float64)) / np.bincount(which)
    user, item = np.divmod(pair, max(1, data.n_items))
    return user, item, value


def refuse_weights(data: Dataset, wrong: Rows, why: str) -> None:
    """Raise DataError RP503 for the weights of these training events."""
    train, first = data.train, wrong[0]
    user, item = data.users.ids.outside(train.user[[first]])[0], data.items.ids.outside(train.item[[first]])[0]
    message = f"'{train.weight[first]}' {why} ({len(wrong)} such training events)"
    raise DataError.of(
        "RP503", message, help=(f"at user '{user}' and item '{item}'", "a preprocess stage may fill or drop these")
    )


def rows_of(codes: IntArray, n: int) -> Rows:
    """Row of each of n codes among those given, -1 where it is not: int64 (n,)."""
    rows = np.full(n, -1, np.int64)
    rows[codes] = np.arange(len(codes))
    return rows


def spread(part: Doubles, codes: IntArray, n: int) -> Doubles:
    """Rows put at their codes among n, zero elsewhere."""
    out = np.zeros((n, *part.shape[1:]))
    out[codes] = part
    return out


def marked(codes: IntArray, n: int) -> BoolArray:
    """True at these codes among n."""
    out = np.zeros(n, np.bool_)
    out[codes] = True
    return out
