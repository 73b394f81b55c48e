"""Rankers that score by history · W, with W items × items: item-knn and EASE make them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recprofile.plugin import BoolArray, Dataset, FloatArray, IntArray, Pack, Ranker

if TYPE_CHECKING:
    from scipy.sparse import csr_array

BLOCK = 1 << 24  # similarities held at once while fitting, 64 MiB in float32


@dataclass(frozen=True, eq=False)
class LinearRanker(Ranker):
    """Scores by history · W.

    `history` (n_users, n_items) CSR of positive pairs; `weights` (n_items, n_items) float32, dense or CSR, row: item of
    the history, column: item scored; `learnt` bool (n_items,), False for items without a positive event, which are not
    ranked (-inf).
    """

    history: csr_array
    weights: FloatArray | csr_array
    learnt: BoolArray

    def scores(self, users: IntArray) -> FloatArray:
        """(len(users), n_items) float32; -inf for items without a positive training event."""
        return self.scores_of(self.history[users])

    def scores_of(self, history: csr_array) -> FloatArray:
        """The same for any history, (m, n_items) CSR → (m, n_items) float32."""
        product = history.astype(np.float32) @ self.weights
        scores = np.asarray(product if isinstance(product, np.ndarray) else product.toarray(), np.float32)
        scores[:, ~self.learnt] = -np.inf
        return scores

    def known_users(self) -> BoolArray:
        """Users with a positive training event."""
        known: BoolArray = np.diff(self.history.indptr) > 0
        return known

    def evidence(self, users: IntArray, items: IntArray) -> csr_array:
        """history[u, j] · W[j, i] for each pair (u, i): (n_pairs, n_items) float32 CSR; a row sums to the score."""
        from scipy.sparse import csr_array

        rows = self.history[users].tocsr()
        if not isinstance(self.weights, np.ndarray):
            return csr_array(rows.multiply(self.weights.T.tocsr()[items]), dtype=np.float32)
        pair = np.repeat(np.arange(len(users)), np.diff(rows.indptr))
        value = rows.data * self.weights[rows.indices, items[pair]]
        return csr_array((value, rows.indices, rows.indptr), shape=rows.shape)

    def pack(self) -> Pack:
        """The weights; history comes from the data."""
        if isinstance(self.weights, np.ndarray):
            return Pack({"weights": self.weights})
        w = self.weights
        return Pack({"data": w.data, "indices": w.indices, "indptr": w.indptr})

    @classmethod
    def of(cls, weights: FloatArray | csr_array, data: Dataset) -> LinearRanker:
        """The Ranker with these weights on the data's positive events."""
        return cls(data.positives(), weights, data.item_counts() > 0)

    @classmethod
    def unpack(cls, pack: Pack, data: Dataset) -> LinearRanker:
        """The inverse of `pack`."""
        from scipy.sparse import csr_array

        a = pack.arrays
        if "weights" in a:
            return cls.of(a["weights"], data)
        return cls.of(csr_array((a["data"], a["indices"], a["indptr"]), shape=(data.n_items, data.n_items)), data)
