"""What is relevant to whom, and lists held against it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.artifacts import BoolArray, Dataset, FloatArray, IntArray
from recprofile.errors import ArtifactError, DataError
from recprofile.evaluate.evaluation import Entry
from recprofile.metrics import Judged, Values, self_information

Keys = NDArray[np.int64]  # user x n_items + item, sorted: a set of pairs
PROPENSITY = "propensity"  # the context column of test events that says how likely they were to be observed


@dataclass(frozen=True, eq=False)
class Relevance:
    """The users who can be judged, and what is relevant to them.

    `users` int32 (n,), rising; `counts` int64 (n,), relevant items of each, at least 1; `pairs` their relevant pairs,
    and `inverse` float64 1 / propensity of each, or None where it is not asked for. `usual`: see `Judged`.
    `seen_already` and `no_candidate` count the positive test pairs that are left out.
    """

    data: Dataset
    candidates: BoolArray
    users: IntArray
    counts: NDArray[np.int64]
    pairs: Keys
    information: Values
    usual: Values
    inverse: Values | None
    seen_already: int
    no_candidate: int

    @classmethod
    def of(cls, data: Dataset, *, candidates: BoolArray | None, exclude_seen: bool, weighed: bool = False) -> Relevance:
        """Relevant: a pair with a positive test event, on a candidate, and with `exclude_seen` not seen in training.

        What a user has seen cannot be listed, so that it would only lower every score. `weighed`: relevant pairs have
        propensities, for metrics that need them; raises DataError RP502 without any, RP503 for one not in (0, 1].
        """
        may = np.ones(data.n_items, np.bool_) if candidates is None else candidates
        wide = max(1, data.n_items)
        positive = data.test.positive
        every = np.unique(data.test.user[positive].astype(np.int64) * wide + data.test.item[positive])
        listable = every[may[every % wide]]
        pairs = listable[~_among(_seen_pairs(data, listable), listable)] if exclude_seen else listable
        users, counts = np.unique(pairs // wide, return_counts=True)
        information = self_information(_users_per_item(data), int(np.count_nonzero(~data.cold_users())))
        return cls(
            data,
            may,
            users.astype(np.int32),
            counts.astype(np.int64),
            pairs,
            information,
            _usual_popularity(data, np.exp2(-information))[users],
            1 / _propensities(data, pairs) if weighed else None,
            seen_already=len(listable) - len(pairs),
            no_candidate=len(every) - len(listable),
        )

    def judge(self, entry: Entry, *, k: int, vectors: FloatArray | None) -> Judged:
        """The first k of each judged user's list, empty for a user without one.

        Raises ArtifactError when the lists are of other ids, or one holds an item twice.
        """
        recs = entry.recs
        if recs.user_ids != self.data.users.ids or recs.item_ids != self.data.items.ids:
            raise ArtifactError(f"the lists of '{entry.label}' are of other users or items than the data")
        row = _rows_of(self.users, recs.users, self.data.n_users)
        items = np.full((len(self.users), min(k, recs.k)), -1, np.int32)
        items[row >= 0] = recs.items[row[row >= 0], : items.shape[1]]
        self._refuse_repeats(items, entry)
        hits = np.zeros(items.shape, np.bool_)
        inverse = None if self.inverse is None else np.zeros(items.shape)
        # Place by place: keys of all places together are eight bytes for each recommendation.
        for at in range(items.shape[1]):
            item = items[:, at].astype(np.int64)
            keys = self.users * np.int64(max(1, self.data.n_items)) + item
            hits[:, at] = hit = _among(self.pairs, keys) & (item >= 0)
            if inverse is not None and self.inverse is not None:
                inverse[hit, at] = self.inverse[np.searchsorted(self.pairs, keys[hit])]
        total, rest = _inverse_sums(self.inverse, self.counts) if self.inverse is not None else (None, None)
        return Judged(
            items, hits, self.counts, self.candidates, self.information, vectors, self.usual, inverse, total, rest
        )

    def fallbacks(self, entry: Entry) -> dict[str, int]:
        """Judged users whose list is not the ranker's own, by reason; 'no list' for those without a row."""
        row = _rows_of(self.users, entry.recs.users, self.data.n_users)
        counts = np.bincount(entry.recs.reasons[row[row >= 0]], minlength=len(entry.recs.REASONS))
        found = {reason: int(n) for reason, n in zip(entry.recs.REASONS, counts, strict=True) if reason != "ranked"}
        return found | {"no list": int(np.count_nonzero(row < 0))}

    def _refuse_repeats(self, items: IntArray, entry: Entry) -> None:
        ordered = np.sort(items, axis=1)
        twice = np.flatnonzero(((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1))
        if len(twice):
            user = self.data.users.ids.ids[int(self.users[twice[0]])]
            raise ArtifactError(f"the list of '{entry.label}' for user '{user}' holds an item twice")


def _rows_of(wanted: IntArray, users: IntArray, n_users: int) -> NDArray[np.int64]:
    """Where each wanted user stands among `users`, -1 where not."""
    row = np.full(n_users, -1, np.int64)
    row[users] = np.arange(len(users))
    return row[wanted]


def _among(pairs: Keys, wanted: Keys) -> BoolArray:
    """Which wanted keys are in a sorted set of them."""
    if len(pairs) == 0:
        return np.zeros(len(wanted), np.bool_)
    at = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    found: BoolArray = pairs[at] == wanted
    return found


def _seen_pairs(data: Dataset, pairs: Keys) -> Keys:
    """Every training pair of the users in `pairs`."""
    wide = max(1, data.n_items)
    users = np.unique(pairs // wide)
    rows = data.seen()[users]
    keys: Keys = np.repeat(users * wide, np.diff(rows.indptr)) + rows.indices
    return np.sort(keys)


def _users_per_item(data: Dataset) -> NDArray[np.int64]:
    return np.bincount(data.seen().indices, minlength=data.n_items)


def _usual_popularity(data: Dataset, shares: Values) -> Values:
    """Mean of the items' shares over each user's training items, float64 (n_users,), NaN without any."""
    seen = data.seen()
    rows = np.repeat(np.arange(data.n_users), np.diff(seen.indptr))
    total = np.bincount(rows, weights=shares[seen.indices], minlength=data.n_users)
    many = np.diff(seen.indptr)
    out: Values = np.divide(total, many, out=np.full(data.n_users, np.nan), where=many > 0)
    return out


def _inverse_sums(inverse: Values, counts: NDArray[np.int64]) -> tuple[Values, Values]:
    """Of each user's relevant pairs, in order: Σ 1/p, and Σ 1 / (that sum - 1/p), 0 for a user with one of them."""
    n = len(counts)
    row = np.repeat(np.arange(n), counts)
    total: Values = np.bincount(row, weights=inverse, minlength=n).astype(np.float64)
    others = np.divide(1.0, total[row] - inverse, out=np.zeros(len(inverse)), where=counts[row] > 1)
    return total, np.bincount(row, weights=others, minlength=n).astype(np.float64)


def _propensities(data: Dataset, pairs: Keys) -> Values:
    """The propensity of each relevant pair, float64 (len(pairs),): the largest of its positive test events."""
    test = data.test
    if PROPENSITY not in test.context.columns:
        helps = ("a stage 'preprocess: propensity' adds it",)
        raise DataError.of("RP502", f"the test events have no column '{PROPENSITY}'", help=helps)
    given = test.context[PROPENSITY].cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()[test.positive]
    keys = test.user[test.positive].astype(np.int64) * max(1, data.n_items) + test.item[test.positive]
    relevant = _among(pairs, keys)
    keys, given = keys[relevant], given[relevant]
    wrong = np.flatnonzero(~((given > 0) & (given <= 1)))
    if len(wrong):
        message = f"column '{PROPENSITY}' holds {given[wrong[0]]:g} at a test event, and must be above 0 and at most 1"
        raise DataError.of("RP503", message, help=("it is the probability with which the event was to be observed",))
    out = np.zeros(len(pairs))
    np.maximum.at(out, np.searchsorted(pairs, keys), given)
    return out
