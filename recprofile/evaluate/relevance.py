"""What is relevant to whom, and lists held against it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recprofile.artifacts import BoolArray, Dataset, FloatArray, IntArray
from recprofile.errors import ArtifactError
from recprofile.evaluate.evaluation import Entry
from recprofile.metrics import Judged, Values, self_information

Keys = NDArray[np.int64]  # user x n_items + item, sorted: a set of pairs


@dataclass(frozen=True, eq=False)
class Relevance:
    """The users who can be judged, and what is relevant to them.

    `users` int32 (n,), rising; `counts` int64 (n,), relevant items of each, at least 1; `pairs` their relevant pairs.
    `seen_already` and `no_candidate` count the positive test pairs that are left out.
    """

    data: Dataset
    candidates: BoolArray
    users: IntArray
    counts: NDArray[np.int64]
    pairs: Keys
    information: Values
    seen_already: int
    no_candidate: int

    @classmethod
    def of(cls, data: Dataset, *, candidates: BoolArray | None, exclude_seen: bool) -> Relevance:
        """Relevant: a pair with a positive test event, on a candidate, and with `exclude_seen` not seen in training.

        What a user has seen cannot be listed, so that it would only lower every score.
        """
        may = np.ones(data.n_items, np.bool_) if candidates is None else candidates
        wide = max(1, data.n_items)
        positive = data.test.positive
        every = np.unique(data.test.user[positive].astype(np.int64) * wide + data.test.item[positive])
        listable = every[may[every % wide]]
        pairs = listable[~_among(_seen_pairs(data, listable), listable)] if exclude_seen else listable
        users, counts = np.unique(pairs // wide, return_counts=True)
        return cls(
            data,
            may,
            users.astype(np.int32),
            counts.astype(np.int64),
            pairs,
            self_information(_users_per_item(data), int(np.count_nonzero(~data.cold_users()))),
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
        # Place by place: keys of all places together are eight bytes for each recommendation.
        for at in range(items.shape[1]):
            item = items[:, at].astype(np.int64)
            hits[:, at] = _among(self.pairs, self.users * np.int64(max(1, self.data.n_items)) + item) & (item >= 0)
        return Judged(items, hits, self.counts, self.candidates, self.information, vectors)

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
