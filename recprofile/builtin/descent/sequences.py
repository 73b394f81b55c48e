"""Each user's events in the order of time, and batches of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import BoolArray, DataError, Dataset, FloatArray, IntArray, in_order

Int64Array = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sequences:
    """Events by user, then time, then the order of the log: those of user u at `indptr[u]:indptr[u + 1]`.

    `item` int32, `mark` int32 the level of an event's weight, `positive` bool, of equal length.
    """

    indptr: Int64Array
    item: IntArray
    mark: IntArray
    positive: BoolArray

    @classmethod
    def of(cls, data: Dataset, *, positive_only: bool, edges: FloatArray | None) -> Sequences:
        """The training events, or the positive ones; `mark` is 1 + how many of `edges` the weight reaches.

        0 where a weight is missing, or where there are no `edges`. Raises DataError RP406 when events have no time.
        """
        if data.train.time is None:
            raise DataError.of("RP406", "the order of events is needed, and these have no time")
        events = data.train.take(data.train.positive) if positive_only else data.train
        assert events.time is not None
        order = in_order(events.user, events.time)  # ties stay in the order of the log
        counts = np.bincount(events.user, minlength=data.n_users)
        mark = np.zeros(len(events), np.int32)
        if edges is not None:
            weight = events.weight[order]
            reached = 1 + np.searchsorted(edges, weight, side="right")
            mark = np.where(np.isnan(weight), 0, reached).astype(np.int32)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(indptr, events.item[order], mark, events.positive[order])

    def windows(self, length: int) -> tuple[Int64Array, Int64Array]:
        """First and last event (exclusive) of runs of at most `length` + 1 events of one user, none of one event.

        A run begins with the last event of the one before it, so that every event but a user's first is foretold once.
        Runs are cut from the end, so that only a user's first run may be shorter.
        """
        stops, counts = self.indptr[1:], np.diff(self.indptr)
        runs = np.where(counts > 1, -(-(counts - 1) // length), 0)
        user = np.repeat(np.arange(len(counts)), runs)
        back = np.arange(len(user)) - np.repeat(np.cumsum(runs) - runs, runs)
        stop = stops[user] - back * length
        return np.maximum(stop - length - 1, self.indptr[user]), stop

    def last(self, users: IntArray, length: int) -> tuple[Int64Array, Int64Array]:
        """First and last event (exclusive) of the last `length` events of each of these users."""
        stop = self.indptr[users + 1]
        return np.maximum(stop - length, self.indptr[users]), stop


def levels(weight: FloatArray) -> FloatArray:
    """Edges that part weights into at most ten levels of about as many events each, rising float32."""
    there = weight[~np.isnan(weight)]
    if len(there) == 0:
        return np.zeros(0, np.float32)
    return np.unique(np.quantile(there, np.arange(1, 10) / 10, method="higher")).astype(np.float32)


def batches(length: Int64Array, *, events: int, shuffle: np.random.Generator | None = None) -> Iterator[Int64Array]:
    """Rows in batches of similar length, which hold at most `events` once padded to their longest (or are one row).

    With `shuffle`, lengths are blurred before rows are sorted by them, and batches come in any order.
    """
    if len(length) == 0:
        return
    key = length.astype(np.float64)
    if shuffle is not None:
        key *= np.exp(shuffle.normal(0, 0.15, len(length)))
    order = np.argsort(key, kind="stable")
    found: list[Int64Array] = []
    first, longest = 0, 0
    for n, row in enumerate(order):  # a step for each sequence, some 0.2 µs: nothing beside what a sequence costs
        longest = max(longest, int(length[row]))
        if n > first and longest * (n - first + 1) > events:
            found.append(order[first:n])
            first, longest = n, int(length[row])
    found.append(order[first:])
    sequence = range(len(found)) if shuffle is None else shuffle.permutation(len(found))
    for at in sequence:
        yield found[at]


def padded(values: NDArray[np.int32], start: Int64Array, stop: Int64Array, fill: int) -> Int64Array:
    """Runs of `values` as rows, filled up at their end: (n, longest run, at least 1) int64."""
    width = max(int((stop - start).max(initial=0)), 1)
    at = start[:, None] + np.arange(width)
    inside = at < stop[:, None]
    if len(values) == 0:
        return np.full(at.shape, fill, np.int64)
    return np.where(inside, values[np.minimum(at, len(values) - 1)], fill).astype(np.int64)
