"""The pairs to explain: drawn from the lists, and cut into parts of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import Context, Dataset, FloatArray, IntArray, Ranker, Recommendations

EVENTS = 100_000  # history events of the pairs that are explained at once: 150 MiB of 384-dimensional vectors
SCORES = 1 << 24  # scores held at once, 64 MiB


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs to explain: `user`, `item` int32 codes, `row` of the list in `recs`, `last` its lowest-scored item.

    `gap`: the ranker's score of the item less that of `last`, float32 (NaN for a list that the ranker did not score).
    """

    user: IntArray
    item: IntArray
    row: NDArray[np.int64]
    last: IntArray
    gap: FloatArray

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Pairs:
        """The pairs at these rows."""
        return Pairs(self.user[rows], self.item[rows], self.row[rows], self.last[rows], self.gap[rows])


def drawn_rows(recs: Recommendations, users: int | None, ctx: Context) -> NDArray[np.int64]:
    """Rows of the lists to explain: all, or this many drawn without replacement, in order."""
    n = len(recs.users)
    if users is None or users >= n:
        return np.arange(n)
    return np.sort(ctx.rng().choice(n, users, replace=False))


def pairs_of(recs: Recommendations, rows: NDArray[np.int64], top: int, ranker: Ranker) -> Pairs:
    """The first `top` items of these lists, each with its list's lowest-scored item and the gap to it."""
    width = min(top, recs.k)
    last = np.full(len(rows), -1, np.int32)
    gaps = np.full((len(rows), width), np.nan, np.float32)
    step = max(1, SCORES // max(len(recs.item_ids), 1))
    for a in range(0, len(rows) if recs.k else 0, step):
        these = rows[a : a + step]
        items = recs.items[these]
        scores = np.take_along_axis(ranker.scores(recs.users[these]), np.maximum(items, 0), axis=1)
        # Of equal scores the last in the list; places without an item never.
        lowest = recs.k - 1 - np.where(items >= 0, scores, np.inf)[:, ::-1].argmin(axis=1)
        at = np.arange(len(these))
        last[a : a + step] = items[at, lowest]
        with np.errstate(invalid="ignore"):  # -inf less -inf, where a fall-back list was not scored by the ranker
            gaps[a : a + step] = scores[:, :width] - scores[at, lowest][:, None]
    row, place = np.nonzero(recs.items[rows, :width] >= 0)
    item = recs.items[rows[row], place]
    return Pairs(recs.users[rows[row]], item, rows[row], last[row], gaps[row, place])


def blocks_by_history(pairs: Pairs, data: Dataset) -> Iterator[Pairs]:
    """The pairs in parts of about EVENTS history events, so that memory does not grow with their number."""
    length = np.diff(data.seen().indptr)[pairs.user] + 1
    block = np.cumsum(length) // EVENTS
    edges = [*np.flatnonzero(np.diff(block, prepend=-1)), len(pairs)]
    return (pairs.take(slice(a, z)) for a, z in pairwise(edges))
