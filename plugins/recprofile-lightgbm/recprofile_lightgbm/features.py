"""What a stack looks at: what every ranker says of a user and a candidate, and how active and how known they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import (
    BoolArray,
    Dataset,
    FloatArray,
    IntArray,
    Ranker,
    Standardised,
    standardised,
    top_k,
    unit_scores,
    user_blocks,
    weighted_mean,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Rows: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of a block of users, user by user: `row` in the block, `item`, and `values` float32 (n_pairs, features).

    `mean` (n_users, n_items) float32 is the rankers' mean score of every item, -inf where none ranks it.
    """

    row: Rows
    item: IntArray
    values: FloatArray
    mean: FloatArray


@dataclass(frozen=True, eq=False)
class Table:
    """What a model is learnt from: pairs user by user, `relevant` bool (n_pairs,) and `mean`, where it begins."""

    user: IntArray
    item: IntArray
    values: FloatArray
    mean: FloatArray
    relevant: BoolArray


@dataclass(frozen=True, eq=False)
class Features:
    """Makes candidates and their features; `names` says what the columns are.

    Candidates are the `depth` best unseen items of each ranker. Of each ranker: the score in the user's standard
    deviations, and ln(1 + place) among the unseen items, NaN where it ranks nothing; the mean of the scores; of the
    item, ln of its positive training events over the mean, and whether it has training events at all; of the user, ln
    of the items that they have had over the mean.
    """

    data: Dataset
    rankers: Mapping[str, Ranker]
    depth: int
    known: Mapping[str, BoolArray]
    popularity: FloatArray
    warm: FloatArray

    @classmethod
    def of(cls, data: Dataset, rankers: Mapping[str, Ranker], *, depth: int) -> Features:
        """Over these rankers."""
        known = {id: ranker.known_users() for id, ranker in rankers.items()}
        counts = data.item_counts()
        popularity = over_mean(counts, float(counts.sum()) / max(data.n_items, 1))
        warm = (~data.cold_items()).astype(np.float32)
        return cls(data, rankers, depth, known, popularity, warm)

    @property
    def names(self) -> list[str]:
        """What the columns of `Candidates.values` are."""
        by_ranker = [f"{id} ({what})" for id in self.rankers for what in ("score", "place")]
        return [*by_ranker, "mean (score)", "popularity", "warm item", "activity"]

    @property
    def directions(self) -> list[int]:
        """1 for a column of scores, -1 of places, 0 of what may speak for an item or against it."""
        return [1 if name.endswith("(score)") else -1 if name.endswith("(place)") else 0 for name in self.names]

    def known_users(self) -> BoolArray:
        """Users whom any of the rankers knows."""
        return np.asarray(np.any(list(self.known.values()), axis=0))

    def candidates(self, users: IntArray) -> Candidates:
        """The candidates of users of the data."""
        units = [unit_scores(ranker, self.data, users, self.known[id]) for id, ranker in self.rankers.items()]
        return self._candidates(units, self.data.seen()[users])

    def candidates_of(self, people: Dataset) -> Candidates:
        """The candidates of the users of other data; raises NotImplementedError where a ranker cannot."""
        seen = people.seen()
        units = [standardised(ranker.scores_of(people), seen) for ranker in self.rankers.values()]
        return self._candidates(units, seen)

    def table(self, users: IntArray) -> Table:
        """Candidates of these users, with what is positive in `data.test` as relevant."""
        found = [self._labelled(users[at]) for at in user_blocks(users, self.data.n_items)]
        scores = np.zeros((0, len(self.names)), np.float32)
        parts = [Table(users[:0], users[:0], scores, scores[:, 0], np.zeros(0, np.bool_)), *found]
        columns = ("user", "item", "values", "mean", "relevant")
        return Table(*(np.concatenate([getattr(part, column) for part in parts]) for column in columns))

    def _labelled(self, users: IntArray) -> Table:
        found = self.candidates(users)
        relevant = self.data.positives("test")[users].toarray()[found.row, found.item] > 0
        mean = found.mean[found.row, found.item]
        return Table(users[found.row], found.item, found.values, mean, np.asarray(relevant))

    def _candidates(self, units: Sequence[Standardised], seen: csr_array) -> Candidates:
        unseen = np.ones(units[0].z.shape, np.bool_)
        unseen[np.repeat(np.arange(len(unseen)), np.diff(seen.indptr)), seen.indices] = False
        orders = [np.where(unseen & unit.tells[:, None], unit.z, np.float32(-np.inf)) for unit in units]
        row, item = best_of(orders, self.depth)
        mean = weighted_mean([(unit.z, unit.tells, 1.0) for unit in units])
        had = np.diff(seen.indptr)
        activity = over_mean(had, self.data.seen().nnz / max(self.data.n_users, 1))
        columns = []
        for scores in orders:
            given = scores[row, item]
            there = given > -np.inf
            columns.append(np.where(there, given, np.nan))
            columns.append(np.where(there, np.log1p(places_of(scores, row, given)), np.nan))
        columns += [mean[row, item], self.popularity[item], self.warm[item], activity[row]]
        return Candidates(row, item, np.stack(columns, axis=1).astype(np.float32), mean)


def best_of(orders: Sequence[FloatArray], depth: int) -> tuple[Rows, IntArray]:
    """Pairs (row, item), by row and item, that are among the `depth` highest of their row in any of the orders."""
    chosen = np.zeros(orders[0].shape, np.bool_)
    for scores in orders:
        items, _ = top_k(scores, depth)
        row, at = np.nonzero(items >= 0)
        chosen[row, items[row, at]] = True
    row, column = np.nonzero(chosen)
    return row, column.astype(np.int32)


def places_of(scores: FloatArray, row: Rows, given: FloatArray) -> FloatArray:
    """1 + how many scores of its row are higher, of each that is `given` of a rising `row`: float32 (n_pairs,)."""
    rising = np.sort(scores, axis=1)
    ends = np.searchsorted(row, np.arange(len(scores) + 1))
    places = np.empty(len(row), np.float32)
    for n, (start, stop) in enumerate(pairwise(ends)):
        places[start:stop] = scores.shape[1] + 1 - np.searchsorted(rising[n], given[start:stop], side="right")
    return places


def over_mean(counts: NDArray[np.integer], mean: float) -> FloatArray:
    """ln((n + 1) / (mean + 1)) of each count, float32: alike for data that are more or less of the same."""
    return np.log((counts + 1) / (mean + 1)).astype(np.float32)
