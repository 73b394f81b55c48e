"""Rankers that score by history · W, with W items × items: item-knn, EASE and their kin make them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from recprofile.plugin import BoolArray, Dataset, FloatArray, IntArray, Pack, Ranker

if TYPE_CHECKING:
    from scipy.sparse import csr_array

BLOCK = 1 << 24  # similarities held at once while fitting, 64 MiB in float32


@dataclass(frozen=True, eq=False)
class LinearRanker(Ranker):
    """Scores by history · W.

    `weights` (n_items, n_items) float32, dense or CSR, row: item of the history, column: item scored; `ranks` bool
    (n_items,), False for items that it cannot rank (-inf); `history_of` gives the history that is scored, of all users
    of a Dataset: (n_users, n_items) CSR.
    """

    data: Dataset
    weights: FloatArray | csr_array
    ranks: BoolArray
    history_of: Callable[[Dataset], csr_array] = Dataset.positives

    @cached_property
    def history(self) -> csr_array:
        """The history of the users of the data, (n_users, n_items) CSR."""
        return self.history_of(self.data)

    def scores(self, users: IntArray) -> FloatArray:
        """(len(users), n_items) float32; -inf for items that it cannot rank."""
        return self._scored(self.history[users])

    def scores_of(self, people: Dataset) -> FloatArray:
        """The same for the users of other data with the same items, (people.n_users, n_items) float32."""
        return self._scored(self.history_of(people))

    def _scored(self, history: csr_array) -> FloatArray:
        from recprofile.builtin.products import dense_product

        scores = dense_product(history.astype(np.float32), self.weights)
        scores[:, ~self.ranks] = -np.inf
        return scores

    def known_users(self) -> BoolArray:
        """Users with a history."""
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
        """The Ranker with these weights on the data's positive events, for the items that have some."""
        return cls(data, weights, data.item_counts() > 0)

    @classmethod
    def unpack(cls, pack: Pack, data: Dataset) -> LinearRanker:
        """The inverse of `pack`, for a Ranker made by `of`."""
        return cls.of(weights_in(pack, data.n_items), data)


def weights_in(pack: Pack, n_items: int) -> FloatArray | csr_array:
    """The weights that a LinearRanker packed."""
    from scipy.sparse import csr_array

    a = pack.arrays
    if "weights" in a:
        return a["weights"]
    return csr_array((a["data"], a["indices"], a["indptr"]), shape=(n_items, n_items))
