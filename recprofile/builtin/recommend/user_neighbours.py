"""User neighbours by cosine: what people with a similar history took to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from recprofile.builtin.recommend.nearest import nearest
from recprofile.builtin.recommend.neighbours import row_weights
from recprofile.plugin import (
    BoolArray,
    Context,
    Dataset,
    Field,
    FloatArray,
    Inputs,
    IntArray,
    Pack,
    Params,
    Ranker,
    Recommender,
    RunError,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array

PAIRS = 2048  # pairs whose evidence is found at once: some 100 MB where neighbours have 100 items each


class UserKnnParams(Params):
    # On the validation parts of MovieLens-100K, random and by time, 25 … 250 neighbours, shrink 0 … 200 and the three
    # weightings: NDCG@10 .236 and .149 with these; .229 and .145 with idf at its best, 150 neighbours.
    neighbours: int = Field(75, ge=1, le=100_000, description="Neighbours of each user, themselves included.")
    shrink: float = Field(
        1.0,
        ge=0,
        le=1e6,
        description="Added to the cosine's denominator, so that pairs with few common items count less.",
    )
    weighting: Literal["none", "idf", "bm25"] = Field(
        "none",
        description="How much each item counts: alike; less the more users it has, by inverse frequency (idf) or by "
        "BM25's length norm.",
    )


@dataclass(frozen=True, eq=False)
class UserKnnRanker(Ranker):
    """Scores by Σ_v similarity(u, v) x_v over the nearest users v of the data, found anew for those who are asked for.

    An item without a positive event is not ranked (-inf).
    """

    data: Dataset
    params: UserKnnParams

    def scores(self, users: IntArray) -> FloatArray:
        """(len(users), n_items) float32."""
        return self._scored(self._own[users])

    def scores_of(self, people: Dataset) -> FloatArray:
        """The same for the users of other data with the same items: (people.n_users, n_items) float32."""
        return self._scored(people.positives())

    def known_users(self) -> BoolArray:
        """Users with a positive event."""
        known: BoolArray = np.diff(self._own.indptr) > 0
        return known

    def evidence(self, users: IntArray, items: IntArray) -> csr_array:
        """What each history item gives through the neighbours it shares: (n_pairs, n_items) float32 CSR.

        The part of item j is w_j² x_uj Σ_v x_vj x_vi / (|x_u| |x_v| + shrink); a row sums to the score.
        """
        from scipy.sparse import csr_array, vstack

        starts = range(0, len(users), PAIRS)
        blocks = [self._parts(users[a : a + PAIRS], items[a : a + PAIRS]) for a in starts]
        nothing = csr_array((0, self.data.n_items), dtype=np.float32)
        return vstack([nothing, *blocks], format="csr", dtype=np.float32)

    def additive(self) -> bool:
        """No: without one item there would be other neighbours."""
        return False

    def pack(self) -> Pack:
        """How many users and pairs there were: the histories themselves stay with the data."""
        return Pack(values=_size(self.data))

    def _scored(self, history: csr_array) -> FloatArray:
        from recprofile.builtin.products import dense_product

        scores = dense_product(self._near(history), self._own)
        scores[:, self.data.item_counts() == 0] = -np.inf
        return scores

    def _near(self, history: csr_array) -> csr_array:
        """Similarity of each row to its nearest users, 0 elsewhere: (n, n_users) CSR."""
        weighted = (history * self._weights[None, :]).tocsr()
        lengths = _row_lengths(weighted)

        def to_cosines(close: FloatArray, rows: slice) -> None:
            close /= self._denominator(lengths[rows, None], self._lengths[None, :])

        return nearest(weighted, self._by_item, self.params.neighbours, to_cosines)

    def _parts(self, users: IntArray, items: IntArray) -> csr_array:
        alone, at = np.unique(users, return_inverse=True)
        near = self._near(self._own[alone])[at]
        with_item = near.multiply(self._own.T.tocsr()[items]).tocsr()
        with_item.data[:] = 1
        pair = np.repeat(np.arange(len(users)), np.diff(with_item.indptr))
        with_item.data /= self._denominator(self._lengths[users[pair]], self._lengths[with_item.indices])
        history = (self._own[users] * (self._weights**2)[None, :]).tocsr()
        return (with_item @ self._own).multiply(history).tocsr().astype(np.float32)

    def _denominator(self, one: FloatArray, other: FloatArray) -> FloatArray:
        below: FloatArray = np.maximum(one * other + np.float32(self.params.shrink), np.float32(1e-12))
        return below

    @cached_property
    def _own(self) -> csr_array:
        return self.data.positives()

    @cached_property
    def _weights(self) -> FloatArray:
        """How much each item counts, (n_items,)."""
        return row_weights(self._own.T.tocsr(), self.params.weighting).astype(np.float32)

    @cached_property
    def _by_item(self) -> csr_array:
        return (self._own * self._weights[None, :]).T.tocsr()

    @cached_property
    def _lengths(self) -> FloatArray:
        return _row_lengths((self._own * self._weights[None, :]).tocsr())


class UserKnn(Recommender[UserKnnParams]):
    """Score an item by how similar the users are who took to it, over the user's nearest ones.

    s_ui = Σ_v x_u · x_v / (|x_u| |x_v| + shrink) over those of the `neighbours` users v nearest to u who have item i,
    where x_u is the row of the user's positive items, each item weighted by 1, by ln((1 + n_users) / (1 + n_i)) (idf),
    or by 2.2 / (1.2 (.25 + .75 n_i / mean n) + 1) (bm25: k1 = 1.2, b = .75); n_i: the item's positive users.

    A user of the training is their own nearest one, which adds to items that they have; so somebody with the same
    history gets the same scores. Nothing is learnt: neighbours are found when lists are made, by comparing with every
    user, which takes time that grows with the square of their number. They are the histories of others, which a store
    of profiles does not give out: asked to rank from one, it refuses with RunError RP608.

    Source: Resnick et al. 1994, "GroupLens: an open architecture for collaborative filtering of netnews"; similarity
    and weighting as in `item-knn`.
    """

    name = "user-knn"
    ranks_new_users = True
    gives_evidence = True

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """A Ranker over the histories of the data."""
        return UserKnnRanker(data, self.params)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker that was packed; raises RunError RP608 where the data are not all that it was fitted on."""
        if dict(pack.values) != _size(data):
            message = "'user-knn' ranks by the histories of all users of its training, and these are not here"
            raise RunError.of("RP608", message, help=("a final stage 'item-knn' or 'ease' ranks from a store",))
        return UserKnnRanker(data, self.params)


def _size(data: Dataset) -> dict[str, int]:
    return {"users": data.n_users, "pairs": int(data.positives().nnz)}


def _row_lengths(matrix: csr_array) -> FloatArray:
    return np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1), np.float32).ravel())
