"""`surprise/slope-one`: how much higher items are rated than those that a user has rated."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from recprofile.plugin import (
    BoolArray,
    Context,
    Dataset,
    FloatArray,
    Inputs,
    IntArray,
    Pack,
    Params,
    Ranker,
    Recommender,
)
from recprofile_surprise.memory import refuse_what_does_not_fit
from recprofile_surprise.ratings import Doubles, Ratings, Rows, rated_pairs, ratings_of, rows_of

if TYPE_CHECKING:
    from scipy.sparse import csr_array

CELLS = 1 << 21  # differences looked at together, 16 MB
PAIR_BYTES = 12  # of two items: their difference as float64, and whether they share users as float32


@dataclass(frozen=True, eq=False)
class SlopeOneRanker(Ranker):
    """Differences of items, and what each user has rated.

    `difference` (n, n) float64, row: item of the history, column: item predicted, 0 where no user rated both, and
    `together` (n, n) float32, 1 where some did, over the n rated items; `item_row` int64 (n_items,), the row of each
    item, -1 without training events; `ratings` (n_users, n) CSR float64 as `histories` gives it.
    """

    mean: float
    low: float
    high: float
    difference: Doubles
    together: FloatArray
    item_row: Rows
    ratings: csr_array

    def scores(self, users: IntArray) -> FloatArray:
        """Predicted ratings of all items, before clipping: (len(users), n_items) float32."""
        return self._scored(self.ratings[users])

    def scores_of(self, people: Dataset) -> FloatArray:
        """The same for the users of other data with the same items, (people.n_users, n_items) float32."""
        return self._scored(histories(people, self.item_row))

    def _scored(self, ratings: csr_array) -> FloatArray:
        rated = ratings.copy()
        rated.data = np.ones_like(rated.data)
        count = rated.astype(np.float32) @ self.together
        moved = np.divide(rated @ self.difference, count, out=np.zeros(count.shape), where=count > 0)
        known = np.flatnonzero(np.diff(ratings.indptr))
        out: FloatArray = np.full((ratings.shape[0], len(self.item_row)), self.mean, np.float32)
        out[np.ix_(known, self.item_row >= 0)] = (moved + _means(ratings)[:, None])[known]
        return out

    def known_users(self) -> BoolArray:
        """Users with training events."""
        known: BoolArray = np.diff(self.ratings.indptr) > 0
        return known

    def predict(self, users: IntArray, items: IntArray) -> FloatArray:
        """Predicted ratings pair by pair, in the unit of the weights and within their range: (n_pairs,) float32."""
        length = np.diff(self.ratings.indptr)[users]
        block = np.cumsum(length) // CELLS
        edges = np.append(np.flatnonzero(np.diff(block, prepend=-1)), len(users))
        out = np.full(len(users), self.mean)
        for a, z in pairwise(edges.tolist()):
            row = self.item_row[items[a:z]]
            ratings = self.ratings[users[a:z]]
            pair = np.repeat(np.arange(z - a), np.diff(ratings.indptr))
            near = ratings.indices, row[pair]  # of an unknown item this is the last row, and not used
            count = np.bincount(pair, self.together[near], minlength=z - a)
            total = np.bincount(pair, self.difference[near], minlength=z - a)
            value = _means(ratings) + np.divide(total, count, out=np.zeros(z - a), where=count > 0)
            out[a:z] = np.where((row >= 0) & (length[a:z] > 0), value, self.mean)
        predicted: FloatArray = np.clip(out, self.low, self.high).astype(np.float32)
        return predicted

    def pack(self) -> Pack:
        """The differences; ratings come from the data."""
        return Pack({"difference": self.difference, "together": self.together})

    @classmethod
    def of(cls, difference: Doubles, together: FloatArray, ratings: Ratings, data: Dataset) -> SlopeOneRanker:
        """The Ranker with these differences and the data's ratings."""
        from scipy.sparse import csr_array

        shape = (data.n_users, len(ratings.items))
        given = csr_array((ratings.value, (ratings.users[ratings.user], ratings.item)), shape=shape)
        item_row = rows_of(ratings.items, data.n_items)
        return cls(ratings.mean, ratings.low, ratings.high, difference, together, item_row, given)


def histories(people: Dataset, item_row: Rows) -> csr_array:
    """Ratings of the known items, (people.n_users, n) CSR float64 with zeros kept."""
    from scipy.sparse import csr_array

    user, item, value = rated_pairs(people)
    row = item_row[item]
    known = row >= 0
    shape = (people.n_users, int(item_row.max(initial=-1)) + 1)
    return csr_array((value[known], (user[known], row[known])), shape=shape)


def _means(ratings: csr_array) -> Doubles:
    """Mean of each row's entries, 0 where there are none."""
    count = np.diff(ratings.indptr)
    total = np.asarray(ratings.sum(axis=1), np.float64)
    means: Doubles = np.divide(total, count, out=np.zeros(len(count)), where=count > 0)
    return means


def differences(ratings: Ratings) -> tuple[Doubles, FloatArray]:
    """`difference` and `together` of a SlopeOneRanker, made in blocks of rows."""
    from scipy.sparse import csr_array

    n = len(ratings.items)
    where, shape = (ratings.item, ratings.user), (n, len(ratings.users))
    given = csr_array((ratings.value, where), shape=shape)
    there = csr_array((np.ones(len(ratings)), where), shape=shape)
    difference, together = np.zeros((n, n)), np.zeros((n, n), np.float32)
    step = max(1, CELLS // n)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        count = (there[rows] @ there.T).toarray()
        total = (there[rows] @ given.T).toarray() - (given[rows] @ there.T).toarray()
        np.divide(total, count, out=difference[rows], where=count > 0)
        together[rows] = count > 0
    return difference, together


class SlopeOne(Recommender[Params]):
    """Ratings from a user's mean and how much higher an item is rated than those that the user has rated.

    A prediction is mean_u + the mean of dev(i, j) over the items j that the user has rated and that have a user in
    common with i; dev(i, j) is the mean of r_i − r_j over the users who rated both. Learns from all training events,
    positive or not, with their weights as ratings; several events of one pair count as one rating, their mean. A pair
    whose user or item has no training event gets the mean rating. A prediction equals Surprise's own for the same pair
    where ratings are whole numbers, clipped to the lowest and highest rating seen; of others Surprise drops the
    fractions when it takes differences, and here they count. Lists are ranked by the same number before clipping.
    People who are not in the data get what they would have got as users; events with items that have no training
    events count for nothing.

    Raises DataError RP505 when there are no training events, RP503 for a weight that is not finite, and RunError RP604
    when the differences, n_items² × 12 bytes, do not fit into memory.

    Source: Lemire & Maclachlan 2005, "Slope One predictors for online rating-based collaborative filtering"; SlopeOne
    of Surprise (Hug 2020), whose prediction is that of all items alike, not weighted by how many users they share.
    """

    name = "slope-one"
    predicts_ratings = True
    ranks_new_users = True

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> SlopeOneRanker:
        """The differences of all pairs of items."""
        ratings = ratings_of(data)
        n = len(ratings.items)
        refuse_what_does_not_fit(
            PAIR_BYTES * n**2 + 64 * CELLS,
            f"differences of {n} items",
            help=("try fewer items (preprocess: k-core), or 'svd'",),
        )
        return SlopeOneRanker.of(*differences(ratings), ratings, data)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> SlopeOneRanker:
        """The Ranker with the differences that were packed."""
        return SlopeOneRanker.of(pack.arrays["difference"], pack.arrays["together"], ratings_of(data), data)
