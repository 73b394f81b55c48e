"""What `surprise/knn` learns, and its predictions.

Surprise predicts one pair at a time with a heap in Python. Here whole blocks are predicted from the same similarities
and ratings; the neighbours chosen, ties included, are Surprise's own.

In the names, x is the side that is compared (items, or users where not `item_based`) and y the other: a rating of x by
y is predicted from what y gave the k others that are most similar to x.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recprofile.plugin import BoolArray, Dataset, FloatArray, IntArray, Pack, Ranker
from recprofile_surprise.baseline import user_biases
from recprofile_surprise.ratings import Doubles, Histories, Rows, rated_pairs

if TYPE_CHECKING:
    from scipy.sparse import csr_array

CELLS = 1 << 21  # similarities looked at together: 16 MB, and about 60 MB with what is made of them


@dataclass(frozen=True, eq=False)
class NeighbourRanker(Ranker):
    """Similarities, and what each rating says beyond what is expected of it.

    `similarity` (n_x, n_x) float64, symmetric. `histories` of the n_y: the x that are rated, and how much the rating is
    above what the algorithm expects, in units of `scale` of that x. `offset`, `scale` float64 (n_x,). `user_row`,
    `item_row` int64: the row of each user and item in these, -1 without training events. `user_bias` (n_users,) and
    `item_bias` (n_items,) float64, zero unless `biased`; `user_l2` what new people's biases are learnt with, None where
    they cannot be.

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
    biased: bool
    user_l2: float | None
    similarity: Doubles
    histories: Histories
    offset: Doubles
    scale: Doubles
    user_bias: Doubles
    item_bias: Doubles
    user_row: Rows
    item_row: Rows

    def scores(self, users: IntArray) -> FloatArray:
        """Predicted ratings of all items, before clipping: (len(users), n_items) float32."""
        return self._scored(self.histories, self.user_row[users], self.user_bias[users])

    def scores_of(self, people: Dataset) -> FloatArray:
        """The same for the users of other data with the same items, (people.n_users, n_items) float32."""
        if not self.item_based or (self.biased and self.user_l2 is None):
            return super().scores_of(people)
        bias = np.zeros(people.n_users)
        if self.user_l2 is not None:
            bias = user_biases(people, self.mean, self.item_bias, self.item_row >= 0, l2=self.user_l2)
        user, item, value = rated_pairs(people)
        x = self.item_row[item]
        known = x >= 0
        user, item, value, x = user[known], item[known], value[known], x[known]
        if self.adds:
            value = value - (self.mean + bias[user] + self.item_bias[item] + self.offset[x])
        histories = Histories.of(user, x, value / self.scale[x], n=people.n_users)
        everyone = np.arange(people.n_users)
        return self._scored(histories, np.where(histories.lengths(everyone) > 0, everyone, -1), bias)

    def known_users(self) -> BoolArray:
        """Users with training events."""
        return self.user_row >= 0

    def predict(self, users: IntArray, items: IntArray) -> FloatArray:
        """Predicted ratings pair by pair, in the unit of the weights and within their range: (n_pairs,) float32."""
        out = self.mean + self.user_bias[users] + self.item_bias[items]
        known, xs, ys = self._known(users, items)
        said, enough = np.zeros(len(xs)), np.zeros(len(xs), np.bool_)
        for here, _, close, excess in self._pairs(xs, ys):
            said[here], enough[here] = self._agreed(close, excess)
        out[known] = self._predicted(out[known], xs, said, enough)
        return np.clip(out, self.low, self.high).astype(np.float32)

    def additive(self) -> bool:
        """No: without an item the others weigh more, and the next in similarity comes in."""
        return False

    def evidence(self, users: IntArray, items: IntArray) -> csr_array | None:
        """scale[x] · s · excess / Σ s of each neighbour, (n_pairs, n_items) float32 CSR; None where they are users.

        A row sums to the score less what is expected of the pair; where nothing is added to that (`adds`), less the
        mean.
        """
        from scipy.sparse import csr_array

        if not self.item_based:
            return None
        known, xs, ys = self._known(users, items)
        code = np.flatnonzero(self.item_row >= 0)
        zero = 0.0 if self.adds else self.mean
        rows, columns, values = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
        for here, near, close, excess in self._pairs(xs, ys):
            self._choose(close)
            enough = (close > 0).sum(axis=1) >= self.min_k
            value = close * (excess - zero) * self.scale[xs[here]][:, None]
            row, column = np.nonzero((close > 0) & enough[:, None])
            rows.append(known[here[row]])
            columns.append(code[near[row, column]])
            values.append(value[row, column] / close.sum(axis=1)[row])
        at = np.concatenate(rows), np.concatenate(columns)
        part = np.concatenate(values).astype(np.float32)
        return csr_array((part, at), shape=(len(users), len(self.item_row)))

    def _known(self, users: IntArray, items: IntArray) -> tuple[Rows, Rows, Rows]:
        """Which pairs are of a user and an item with training events, and their x and y."""
        u, i = self.user_row[users], self.item_row[items]
        known = np.flatnonzero((u >= 0) & (i >= 0))
        return (known, i[known], u[known]) if self.item_based else (known, u[known], i[known])

    def _scored(self, histories: Histories, user_row: Rows, user_bias: Doubles) -> FloatArray:
        """Predicted ratings of all items; `user_row` in the histories, or -1, and bias of each user."""
        known_users, known_items = np.flatnonzero(user_row >= 0), np.flatnonzero(self.item_row >= 0)
        u, i = user_row[known_users], self.item_row[known_items]
        said, enough = self._grid(i, u, histories) if self.item_based else self._grid(u, i, histories)
        if self.item_based:
            said, enough = said.T, enough.T
        out = (self.mean + user_bias)[:, None] + self.item_bias
        block = np.ix_(known_users, known_items)
        x = i[None, :] if self.item_based else u[:, None]
        out[block] = self._predicted(out[block], x, said, enough)
        return out.astype(np.float32)

    def _predicted(self, default: Doubles, x: Rows, said: Doubles, enough: BoolArray) -> Doubles:
        """Predictions from what the neighbours say, where there are enough of them."""
        expected = default + self.offset[x]
        moved = self.scale[x] * said
        return np.where(enough, expected + moved if self.adds else moved, expected)

    def _grid(self, xs: Rows, ys: Rows, histories: Histories) -> tuple[Doubles, BoolArray]:
        """What the neighbours say of every x with every y, and whether there are enough: two (len(xs), len(ys))."""
        said, enough = np.zeros((len(xs), len(ys))), np.zeros((len(xs), len(ys)), np.bool_)
        length = histories.lengths(ys)
        order = np.argsort(length, kind="stable")  # equally long histories together, so that little is padding
        at = 0
        while at < len(order):
            # At least one y; as many more as keep a block within CELLS at the longest of their histories.
            cells = np.arange(1, len(order) - at + 1) * length[order[at:]] * min(len(xs), 4096)
            here = order[at : at + max(1, int(np.searchsorted(cells, CELLS, "right")))]
            near, excess = histories.padded(ys[here])
            step = max(1, CELLS // max(1, near.size))
            for x in range(0, len(xs), step):
                rows = slice(x, x + step)
                close = self.similarity[xs[rows]][:, near.ravel()].reshape(-1, *near.shape)
                close[:, near < 0] = 0
                said[rows, here], enough[rows, here] = self._agreed(close, excess)
            at += len(here)
        return said, enough

    def _pairs(self, xs: Rows, ys: Rows) -> Iterator[tuple[Rows, Rows, Doubles, Doubles]]:
        """Blocks of pairs: which; what their y rated, how similar that is and what it says, (n_here, longest) each."""
        length = self.histories.lengths(ys)
        order = np.argsort(length, kind="stable")
        at = 0
        while at < len(order):
            ahead = length[order[at : at + CELLS]]
            cells = np.arange(1, len(ahead) + 1) * ahead
            here = order[at : at + max(1, int(np.searchsorted(cells, CELLS, "right")))]
            near, excess = self.histories.padded(ys[here])
            close = self.similarity[xs[here][:, None], near]
            close[near < 0] = 0
            yield here, near, close, excess
            at += len(here)

    def _choose(self, close: Doubles) -> None:
        """Zero but for the k most similar of those above 0, (…, history) in place.

        Of equally similar ones at the limit the earlier in the history are taken, as `heapq.nlargest` does.
        """
        np.maximum(close, 0, out=close)
        if close.shape[-1] <= self.k:
            return
        at = close.shape[-1] - self.k
        limit = np.partition(close, at, axis=-1)[..., at, None]
        reach = close >= limit
        tied = np.nonzero(reach.sum(axis=-1) > self.k)  # where the limit is 0 ties are all zero, and do no harm
        tied = tuple(part[limit[tied][:, 0] > 0] for part in tied)
        if len(tied[0]):
            equal = close[tied] == limit[tied]
            room = self.k - (reach[tied] & ~equal).sum(axis=-1, keepdims=True)
            reach[tied] &= ~equal | (np.cumsum(equal, axis=-1) <= room)
        close *= reach

    def _agreed(self, close: Doubles, excess: Doubles) -> tuple[Doubles, BoolArray]:
        """Mean excess over the k most similar, weighted by similarity; 0 and False where fewer than `min_k` count.

        `close` (…, history) similarities, overwritten.
        """
        self._choose(close)
        total = close.sum(axis=-1)
        enough = np.count_nonzero(close, axis=-1) >= self.min_k
        weighted = np.einsum("...h,...h->...", close, np.broadcast_to(excess, close.shape))
        return np.divide(weighted, total, out=np.zeros_like(total), where=enough), enough

    def pack(self) -> Pack:
        """See `Pack`."""
        of = self.histories
        arrays = {
            "similarity": self.similarity,
            "start": of.start,
            "other": of.other,
            "excess": of.value,
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
            "biased": self.biased,
            "user_l2": self.user_l2,
        }
        return Pack(arrays, values=values)

    @classmethod
    def unpack(cls, pack: Pack) -> NeighbourRanker:
        """The inverse of `pack`."""
        parts: dict[str, Any] = {**pack.values, **pack.arrays}
        histories = Histories(parts.pop("start"), parts.pop("other"), parts.pop("excess"))
        return cls(histories=histories, **parts)
