"""Sums over the pairs of events that a user has, by their two items: Gram matrices, in the order of events or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recprofile.builtin.prefetch import AHEAD, prefetch
from recprofile.builtin.recommend.inverse import mirror
from recprofile.plugin import FloatArray, IntArray, Progress, Rows, dealt, each, grouped

if TYPE_CHECKING:
    from scipy.sparse import csr_array

MOST_SHORT = 1 << 16  # items whose codes fit two bytes: half of what is read
LINES = 3  # of 64 bytes, that are asked for ahead: the weights of 48 partners


def pair_sums(
    item: IntArray, x: FloatArray, ends: NDArray[np.int64], kernel: FloatArray, *, n_items: int, progress: Progress
) -> FloatArray:
    """T[i, j] = Σ x_p x_q kernel[q − p] over p < q < ends[p] with item[p] = i, item[q] = j: (n_items, n_items) float32.

    `item` (n,) and `x` (n,) are events; those of one user lie together, and `ends` (n,) says where partners end. A row
    is summed in float32 from the first event to the last, whatever the number of threads, and stays in a processor's
    cache while it is: the work is one addition a pair. `progress` is told of items.
    """
    out = np.zeros((n_items, n_items), np.float32)
    codes: NDArray[np.unsignedinteger] = item.astype(np.uint16 if n_items <= MOST_SHORT else np.uint32)
    events = codes, x.astype(np.float32), ends.astype(np.uint32), kernel.astype(np.float32)
    where, starts = grouped(codes, n_items)

    def sum_of(share: Rows) -> int:
        _sum_rows(share, *events, where, starts, out)
        return len(share)

    shares = dealt(np.diff(starts))
    each(sum_of, shares, progress.add)
    progress.add(n_items - sum(map(len, shares)))  # items without an event
    return out


def gram_of(x: csr_array, progress: Progress) -> FloatArray:
    """XᵀX, (n_items, n_items) float32, of a (n_users, n_items) CSR whose rows hold an item once."""
    n_items = x.shape[1]
    if not x.has_sorted_indices:
        x = x.sorted_indices()
    ends = np.repeat(x.indptr[1:].astype(np.int64), np.diff(x.indptr))
    longest = int(np.diff(x.indptr).max(initial=0))
    ones = np.ones(longest + 1, np.float32)
    out = pair_sums(x.indices, x.data, ends, ones, n_items=n_items, progress=progress)
    np.fill_diagonal(out, np.bincount(x.indices, weights=x.data.astype(np.float64) ** 2, minlength=n_items))
    mirror(out)
    return out


@njit(cache=True, nogil=True)
def _sum_rows(share, item, x, ends, kernel, where, starts, out):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    line = np.uint32(16)
    for i in share:
        row = out[i]
        last = starts[i + 1]
        for at in range(starts[i], last):
            if at + AHEAD < last:
                soon = where[at + AHEAD]
                prefetch(ends, soon)
                for k in range(np.uint32(LINES)):
                    prefetch(x, soon + k * line)
                    prefetch(item, soon + k * line)
            p = where[at]
            mine = x[p]
            for q in range(p + np.uint32(1), ends[p]):
                row[item[q]] += mine * x[q] * kernel[q - p]
