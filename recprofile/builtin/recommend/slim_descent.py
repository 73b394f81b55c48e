"""The arithmetic of `slim`: one elastic net per item, many at a time, each on the few items that may have a weight.

Of an item's many weights some hundred are above 0. So each round picks the weights that may be, solves for those by
coordinate descent, all items of a batch side by side, and then looks at the gradient of every weight: the rounds end
when none would move, which makes the result that of the whole problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from recprofile.builtin.recommend.nearest import largest
from recprofile.plugin import BoolArray, FloatArray, IntArray

FLOATS = 8_000_000  # of a batch's matrices or a chunk's gradients: 32 MB, whatever the data
TOLERANCE = np.float32(1e-4)  # what a weight may be off by, in one Newton step of its own
ENTER = 64  # weights that may join an item's in one round, or as many as it has
SWEEPS, ROUNDS = 1000, 100


class Elastic:
    """min ½ wᵀGw - g_jᵀw + ½ l2 |w|² + l1 Σw over w ≥ 0 with w_j = 0, for each item j; G the Gram matrix.

    Only the `neighbours` items with the largest cosine to item j may have a weight.
    """

    def __init__(self, gram: FloatArray, *, l1: float, l2: float, neighbours: int) -> None:
        self.gram, self.l1, self.l2, self.neighbours = gram, np.float32(l1), np.float32(l2), neighbours
        self.own = gram.diagonal()
        self.curve = self.own + self.l2
        self.scale = np.sqrt(np.maximum(self.own, 1))
        self.settled = True

    def weights(self, progress: Callable[[int], None]) -> Iterator[tuple[IntArray, IntArray, FloatArray]]:
        """Item of the history, item scored and value of every weight above 0, in chunks.

        `settled` turns False where some item's rounds ran out.
        """
        # Alike in popularity, alike in how many weights they have: less padding.
        items = np.argsort(-self.own, kind="stable").astype(np.int32)
        items = items[: np.count_nonzero(self.own)]
        size = max(1, FLOATS // max(len(self.own), 1))
        for a in range(0, len(items), size):
            chunk = items[a : a + size]
            found = self._solved(chunk)
            row, source = np.nonzero(found)
            yield source.astype(np.int32), chunk[row], found[row, source]
            progress(len(chunk))

    def _solved(self, items: IntArray) -> FloatArray:
        """Weights of these items, (len(items), n_items): row, item scored; column, item of the history."""
        from scipy.sparse import csr_array

        weights = np.zeros((len(items), len(self.own)), np.float32)
        near = self._near(items)
        pull = self.gram[items] - self.l1  # minus the gradient
        live = np.arange(len(items))
        for _ in range(ROUNDS):
            step = np.maximum(weights[live] + pull[live] / self.curve, 0) - weights[live]
            step *= near[live]
            moves = np.abs(step).max(axis=1, initial=0) > TOLERANCE
            live, step = live[moves], step[moves]
            if len(live) == 0:
                return weights
            free = weights[live] > 0
            step[step < TOLERANCE / 2] = 0
            free |= _mask(step, max(ENTER, int(np.count_nonzero(free, axis=1).max())))
            for rows in _batches(np.count_nonzero(free, axis=1)):
                at = live[rows]
                weights[at] = self._descended(items[at], weights[at], pull[at], free[rows])
            pull[live] = self.gram[items[live]] - self.l1 - csr_array(weights[live]) @ self.gram
            pull[live] -= self.l2 * weights[live]
        self.settled = False
        return weights

    def _near(self, items: IntArray) -> BoolArray:
        """The items that may have a weight for each of these, (len(items), n_items)."""
        cosine: FloatArray = np.divide(self.gram[items], self.scale, dtype=np.float32)
        cosine[np.arange(len(items)), items] = 0
        return _mask(cosine, self.neighbours)

    def _descended(self, items: IntArray, weights: FloatArray, pull: FloatArray, free: BoolArray) -> FloatArray:
        """The weights where `free` at their minimum, the others being 0: all (b, n_items); `pull` is at `weights`."""
        row, column = np.nonzero(free)
        count = np.count_nonzero(free, axis=1)
        place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        # Filled up with the item itself, whose weight stays 0.
        codes = np.tile(items[:, None], (1, int(count.max())))
        codes[row, place] = column
        there = np.arange(codes.shape[1]) < count[:, None]
        before = np.take_along_axis(weights, codes, axis=1)
        x = np.ascontiguousarray(before.T)  # (k, b): a coordinate is a row
        near = self.gram[codes.T[:, :, None], codes[None]]  # (k, b, k)
        left = np.where(there, np.take_along_axis(pull, codes, axis=1), -np.inf)  # (b, k): minus the gradient
        curve = np.ascontiguousarray(self.curve[codes].T)
        moved = np.empty_like(left)
        for _ in range(SWEEPS):
            furthest = 0.0
            for k in range(len(x)):  # coordinates follow one another; the batch's items go side by side
                change = np.maximum(left[:, k] / curve[k], -x[k])
                x[k] += change
                furthest = max(furthest, float(np.abs(change).max()))
                np.multiply(near[k], change[:, None], out=moved)
                left -= moved
                left[:, k] -= self.l2 * change
            if furthest < TOLERANCE / 2:
                break
        out = np.zeros_like(weights)
        np.put_along_axis(out, codes, x.T, axis=1)
        return out


def _mask(values: FloatArray, most: int) -> BoolArray:
    """True at the `most` largest positive values of each row; of equal ones the lower column comes first."""
    row, column, _ = largest(values, most)
    mask = np.zeros(values.shape, np.bool_)
    mask[row, column] = True
    return mask


def _batches(count: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Rows that are solved together, the longest first, so that their matrices take no more than FLOATS."""
    order = np.argsort(-count, kind="stable")
    at = 0
    while at < len(order):
        longest = max(int(count[order[at]]), 1)
        stop = at + max(1, FLOATS // longest**2)
        yield order[at:stop]
        at = stop
