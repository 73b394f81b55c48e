"""What a stack looks at: what every ranker says of a user and a candidate, and how active and popular they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import BoolArray, Dataset, FloatArray, IntArray, Profiles, Ranker

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Rows: TypeAlias = NDArray[np.int64]

BLOCK_BYTES = 32 * 2**20  # scores of one ranker held at once


@dataclass(frozen=True, eq=False)
class Views:
    """What rankers say of a block of users, (n, n_items) each: `z` standard scores, -inf where an item is not ranked.

    `tells` bool (n,): False where a ranker does not know the user, or scores all alike.
    """

    z: tuple[FloatArray, ...]
    tells: tuple[BoolArray, ...]

    def best(self) -> FloatArray:
        """Each item's highest standard score by any ranker, (n, n_items)."""
        return np.asarray(np.max(self.z, axis=0), np.float32)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of a block of users, user by user: `row` in the block, `item`, and `values` float32 (n_pairs, features)."""

    row: Rows
    item: IntArray
    values: FloatArray


@dataclass(frozen=True, eq=False)
class Table:
    """What a model is learnt from: pairs user by user. `relevant` bool (n_pairs,)."""

    user: IntArray
    item: IntArray
    values: FloatArray
    relevant: BoolArray

    def of(self, users: IntArray) -> BoolArray:
        """True for the pairs of these users, (n_pairs,)."""
        return np.isin(self.user, users)


@dataclass(frozen=True, eq=False)
class Features:
    """Makes candidates and their features.

    Candidates are the `depth` best unseen items of each ranker. Of each ranker: the standard score over the items that
    are ranked and unseen, and ln(1 + place) among them, NaN where it ranks nothing; of the item, ln of its positive
    training events over the mean, and of the user of their training events; of each block of the profiles, where there
    are some, the inner product there. `popularity` float32 (n_items,) is that of the items.
    """

    data: Dataset
    rankers: Mapping[str, Ranker]
    known: Mapping[str, BoolArray]
    popularity: FloatArray
    profiles: Profiles | None
    depth: int

    @classmethod
    def of(cls, data: Dataset, rankers: Mapping[str, Ranker], profiles: Profiles | None, *, depth: int) -> Features:
        """Over these rankers and, where they are given, these profiles."""
        known = {id: ranker.known_users() for id, ranker in rankers.items()}
        return cls(data, rankers, known, over_mean(data.item_counts()), profiles, depth)

    def names(self) -> list[str]:
        """What the columns of `Candidates.values` are."""
        blocks = [] if self.profiles is None else [f"{block.name} (block)" for block in self.profiles.blocks]
        by_ranker = [f"{id} ({what})" for id in self.rankers for what in ("score", "place")]
        return [*by_ranker, "popularity", "activity", *blocks]

    def views(self, users: IntArray) -> Views:
        """What the rankers say of these users."""
        seen = self.data.seen()[users]
        found = [standardised(ranker.scores(users), seen) for ranker in self.rankers.values()]
        tells = (told & self.known[id][users] for id, (_, told) in zip(self.rankers, found, strict=True))
        return Views(tuple(z for z, _ in found), tuple(tells))

    def views_of(self, people: Dataset) -> Views:
        """What they say of the users of other data; raises NotImplementedError where one cannot."""
        seen = people.seen()
        found = [standardised(ranker.scores_of(people), seen) for ranker in self.rankers.values()]
        return Views(tuple(z for z, _ in found), tuple(told for _, told in found))

    def candidates(self, views: Views, seen: csr_array, activity: FloatArray, users: IntArray | None) -> Candidates:
        """The candidates of a block of users: what they have `seen` (n, n_items), their `activity` (n,) and codes."""
        unseen = np.ones(views.z[0].shape, np.bool_)
        unseen[np.repeat(np.arange(len(unseen)), np.diff(seen.indptr)), seen.indices] = False
        chosen = np.zeros(unseen.shape, np.bool_)
        places = []
        for z, tells in zip(views.z, views.tells, strict=True):
            place = places_of(np.where(unseen & tells[:, None], z, -np.inf))
            chosen |= place <= self.depth
            places.append(place)
        row, column = np.nonzero(chosen)
        item = column.astype(np.int32)
        columns = []
        for z, place in zip(views.z, places, strict=True):
            there = np.isfinite(place[row, item])
            columns.append(np.where(there, z[row, item], np.nan))
            columns.append(np.where(there, np.log1p(place[row, item]), np.nan))
        columns += [self.popularity[item], activity[row]]
        if self.profiles is not None and users is not None:
            columns += list(self.profiles.block_scores(users[row], item).T)
        return Candidates(row, item, np.stack(columns, axis=1).astype(np.float32))

    def table(self, users: IntArray) -> Table:
        """Candidates of these users, with what is positive in `data.test` as relevant."""
        found = [self._labelled(users[at]) for at in user_blocks(users, self.data.n_items)]
        nothing = Table(users[:0], users[:0], np.zeros((0, len(self.names())), np.float32), np.zeros(0, np.bool_))
        parts = [nothing, *found]
        return Table(
            np.concatenate([part.user for part in parts]),
            np.concatenate([part.item for part in parts]),
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.relevant for part in parts]),
        )

    def activity(self) -> FloatArray:
        """ln of each user's training events over the mean, (n_users,)."""
        return over_mean(np.bincount(self.data.train.user, minlength=self.data.n_users))

    def activity_of(self, people: Dataset) -> FloatArray:
        """The same for the users of other data, (people.n_users,)."""
        events = np.bincount(people.train.user, minlength=people.n_users)
        return over_mean(events, mean=len(self.data.train) / max(self.data.n_users, 1))

    def _labelled(self, users: IntArray) -> Table:
        seen = self.data.seen()[users]
        found = self.candidates(self.views(users), seen, self.activity()[users], users)
        relevant = self.data.positives("test")[users].toarray()[found.row, found.item] > 0
        return Table(users[found.row], found.item, found.values, np.asarray(relevant))


def standardised(scores: FloatArray, seen: csr_array) -> tuple[FloatArray, BoolArray]:
    """Each user's scores at mean 0 and deviation 1 over the items that are ranked and unseen, and where they differ.

    (n, n_items) float32, -inf where an item is not ranked; bool (n,). Where all are alike they are 0.
    """
    ranked = np.isfinite(scores)
    counted = ranked.copy()
    counted[np.repeat(np.arange(len(scores)), np.diff(seen.indptr)), seen.indices] = False
    everything = ~counted.any(axis=1)
    counted[everything] = ranked[everything]
    number = np.maximum(counted.sum(axis=1), 1)
    given = np.where(counted, scores, np.float32(0))
    size = np.abs(given).max(axis=1, initial=0)
    mean = (given.sum(axis=1, dtype=np.float64) / number).astype(np.float32)
    gap = np.where(counted, given - mean[:, None], np.float32(0))
    deviation = np.sqrt(np.einsum("ui,ui->u", gap, gap, dtype=np.float64) / number).astype(np.float32)
    tells = deviation > 1e-6 * size
    z = (scores - mean[:, None]) / np.where(tells, deviation, 1)[:, None]
    z[~tells] = np.where(ranked[~tells], np.float32(0), np.float32(-np.inf))
    return z.astype(np.float32), tells


def places_of(scores: FloatArray) -> FloatArray:
    """Each item's place in its user's order, 1 for the highest, of equals the lower item; inf where it has none."""
    order = np.argsort(-scores, axis=1, kind="stable")
    places = np.empty(scores.shape, np.float32)
    np.put_along_axis(places, order, np.arange(1, scores.shape[1] + 1, dtype=np.float32)[None, :], axis=1)
    places[scores == -np.inf] = np.inf
    return places


def over_mean(counts: NDArray[np.integer], *, mean: float | None = None) -> FloatArray:
    """ln((n + 1) / (mean + 1)) of each count, float32: the same for data that are more or less of the same."""
    middle = mean if mean is not None else (float(counts.mean()) if len(counts) else 0.0)
    return np.log((counts + 1) / (middle + 1)).astype(np.float32)


def user_blocks(users: Sequence[int] | IntArray, n_items: int) -> Iterator[slice]:
    """Slices of users whose scores by one ranker take at most BLOCK_BYTES."""
    step = max(1, BLOCK_BYTES // (4 * max(1, n_items)))
    return (slice(start, start + step) for start in range(0, len(users), step))
