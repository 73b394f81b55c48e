"""What `surprise/knn` learns, and its predictions.

Surprise predicts one pair at a time with a heap in Python. Here whole blocks are predicted from the same similarities
and ratings; the neighbours chosen, ties included, are Surprise's own.

In the names, x is the side that is compared (items, or users where not `item_based`) and y the other: a rating of x by
y is predicted from what y gave the k others that are most similar to x.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import BoolArray, FloatArray, IntArray, Pack, Ranker

CELLS = 1 << 21  # similarities looked at together: 16 MB, and about 100 MB with what is made of them
Doubles = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class NeighbourRanker(Ranker):
    """Similarities, and what each rating says beyond what is expected of it.

    `similarity` (n_x, n_x) float64. Ratings by y as CSR: `start` int64 (n_y + 1,), `other` int64 (n,) the x that is
    rated, `excess` float64 (n,) the rating less what the algorithm expects, in units of `scale[other]`. `offset`,
    `scale` float64 (n_x,). `user_row`, `item_row` int64: the row of each user and item in these, -1 without training
    events. `user_bias` (n_users,) and `item_bias` (n_items,) float64, zero but for the baseline algorithm.

    expected(u, i) = mean + user_bias[u] + item_bias[i] + offset[x]
    predicted(u, i) = (expected if `adds` else 0) + scale[x] · Σ s excess / Σ s over the neighbours; expected where
    there are fewer than `min_k`; mean + user_bias[u] + item_bias[i] where the user or item has no training events.
    """

    mean: float
    low: float
    high: float
    k: int
    min_k: int
    item_based: bool
    adds: bool
    similarity: Doubles
    start: Rows
    other: Rows
    excess: Doubles
    offset: Doubles
    scale: Doubles
    user_bias: Doubles
    item_bias: Doubles
    user_row: Rows
    item_row: Rows

    def scores(self, users: IntArray) -> FloatArray:
        """Predicted ratings of all items, before clipping: (len(users), n_items) float32."""
        known_users, known_items = np.flatnonzero(self.user_row[users] >= 0), np.flatnonzero(self.item_row >= 0)
        u, i = self.user_row[users[known_users]], self.item_row[known_items]
        xs, ys = (i, u) if self.item_based else (u, i)
        said, enough = self._grid(xs, ys)
        if self.item_based:
            said, enough = said.T, enough.T
        out = (self.mean + self.user_bias[users])[:, None] + self.item_bias
        block = np.ix_(known_users, known_items)
        x = i[None, :] if self.item_based else u[:, None]
        out[block] = self._predicted(out[block], x, said, enough)
        return out.astype(np.float32)

    def known_users(self) -> BoolArray:
        """Users with training events."""
        return self.user_row >= 0

    def predict(self, users: IntArray, items: IntArray) -> FloatArray:
        """Predicted ratings pair by pair, in the unit of the weights and within their range: (n_pairs,) float32."""
        out = self.mean + self.user_bias[users] + self.item_bias[items]
        u, i = self.user_row[users], self.item_row[items]
        known = np.flatnonzero((u >= 0) & (i >= 0))
        xs, ys = (i[known], u[known]) if self.item_based else (u[known], i[known])
        said, enough = self._pairs(xs, ys)
        out[known] = self._predicted(out[known], xs, said, enough)
        return np.clip(out, self.low, self.high).astype(np.float32)

    def _predicted(self, default: Doubles, x: Rows, said: Doubles, enough: BoolArray) -> Doubles:
        """Predictions from what the neighbours say, where there are enough of them."""
        expected = default + self.offset[x]
        moved = self.scale[x] * said
        return np.where(enough, expected + moved if self.adds else moved, expected)

    def _grid(self, xs: Rows, ys: Rows) -> tuple[Doubles, BoolArray]:
        """What the neighbours say of every x with every y, and whether there are enough: two (len(xs), len(ys))."""
        said, enough = np.zeros((len(xs), len(ys))), np.zeros((len(xs), len(ys)), np.bool_)
        length = self.start[ys + 1] - self.start[ys]
        order = np.argsort(length, kind="stable")  # equally long histories together, so that little is padding
        at = 0
        while at < len(order):
            # At least one y; as many more as keep a block within CELLS at the longest of their histories.
            cells = np.arange(1, len(order) - at + 1) * length[order[at:]] * min(len(xs), 4096)
            here = order[at : at + max(1, int(np.searchsorted(cells, CELLS, "right")))]
            near, excess = self._histories(ys[here])
            step = max(1, CELLS // max(1, near.size))
            for x in range(0, len(xs), step):
                rows = slice(x, x + step)
                close = self.similarity[xs[rows]][:, near.ravel()].reshape(-1, *near.shape)
                close[:, near < 0] = 0
                said[rows, here], enough[rows, here] = self._agreed(close, excess)
            at += len(here)
        return said, enough

    def _pairs(self, xs: Rows, ys: Rows) -> tuple[Doubles, BoolArray]:
        """The same pair by pair: two (n_pairs,)."""
        said, enough = np.zeros(len(xs)), np.zeros(len(xs), np.bool_)
        length = self.start[ys + 1] - self.start[ys]
        order = np.argsort(length, kind="stable")
        at = 0
        while at < len(order):
            ahead = length[order[at : at + CELLS]]
            cells = np.arange(1, len(ahead) + 1) * ahead
            here = order[at : at + max(1, int(np.searchsorted(cells, CELLS, "right")))]
            near, excess = self._histories(ys[here])
            close = self.similarity[xs[here][:, None], near]
            close[near < 0] = 0
            said[here], enough[here] = self._agreed(close, excess)
            at += len(here)
        return said, enough

    def _histories(self, ys: Rows) -> tuple[Rows, Doubles]:
        """What each y rated and by how much: (len(ys), longest), padded at the end with -1 and 0."""
        length = self.start[ys + 1] - self.start[ys]
        column = np.arange(length.max(initial=0))
        inside = column < length[:, None]
        where = np.where(inside, self.start[ys][:, None] + column, 0)
        return np.where(inside, self.other[where], -1), np.where(inside, self.excess[where], 0.0)

    def _agreed(self, close: Doubles, excess: Doubles) -> tuple[Doubles, BoolArray]:
        """Mean excess over the k most similar, weighted by similarity; 0 and False where fewer than `min_k` count.

        `close` (…, history) similarities, overwritten; only those above 0 count. Of equally similar ones at the limit
        the earlier in the history are taken, as `heapq.nlargest` does.
        """
        np.maximum(close, 0, out=close)
        if close.shape[-1] > self.k:
            at = close.shape[-1] - self.k
            limit = np.partition(close, at, axis=-1)[..., at, None]
            above, tied = close > limit, close == limit
            room = self.k - above.sum(axis=-1, keepdims=True)
            close *= above | (tied & (np.cumsum(tied, axis=-1) <= room))
        total = close.sum(axis=-1)
        enough = (close > 0).sum(axis=-1) >= self.min_k
        weighted = np.einsum("...h,...h->...", close, np.broadcast_to(excess, close.shape))
        return np.divide(weighted, total, out=np.zeros_like(total), where=enough), enough

    def pack(self) -> Pack:
        """See `Pack`."""
        arrays = {
            "similarity": self.similarity,
            "start": self.start,
            "other": self.other,
            "excess": self.excess,
            "offset": self.offset,
            "scale": self.scale,
            "user_bias": self.user_bias,
            "item_bias": self.item_bias,
            "user_row": self.user_row,
            "item_row": self.item_row,
        }
        values = {
            "mean": self.mean,
            "low": self.low,
            "high": self.high,
            "k": self.k,
            "min_k": self.min_k,
            "item_based": self.item_based,
            "adds": self.adds,
        }
        return Pack(arrays, values=values)

    @classmethod
    def unpack(cls, pack: Pack) -> NeighbourRanker:
        """The inverse of `pack`."""
        parts: dict[str, Any] = {**pack.values, **pack.arrays}
        return cls(**parts)
