"""Ratings as the trainset that Surprise's own algorithms take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from surprise import Trainset

from recprofile_surprise.ratings import Histories, Ratings

RATING_BYTES = 430  # of Python objects and columns a rating while a trainset is made, measured


def _nothing() -> None:
    return None


class RatingSet(Trainset):  # type: ignore[misc]  # Surprise has no types, so its class is Any
    """Surprise's trainset, made at once from columns; says when all ratings have been gone through.

    Its dict of lists of tuples is what Surprise's loops take, and is the library's own cost: a microsecond and 430
    bytes a rating, ten seconds and 4 GB for ten million. `Dataset.load_from_df` gives the same by a loop over rows, in
    1.7 times the time.
    """

    def __init__(self, ratings: Ratings, passed: Callable[[], None] = _nothing) -> None:
        users, items = len(ratings.users), len(ratings.items)
        self._columns = ratings.user.tolist(), ratings.item.tolist(), ratings.value.tolist()
        self._passed = passed
        self._mean = ratings.mean
        super().__init__(
            ur=_lists(Histories.of(ratings.user, ratings.item, ratings.value, n=users)),
            ir=_lists(Histories.of(ratings.item, ratings.user, ratings.value, n=items)),
            n_users=users,
            n_items=items,
            n_ratings=len(ratings),
            rating_scale=(ratings.low, ratings.high),
            raw2inner_id_users={code: row for row, code in enumerate(ratings.users.tolist())},
            raw2inner_id_items={code: row for row, code in enumerate(ratings.items.tolist())},
        )

    @property
    def global_mean(self) -> float:
        """The mean rating, without going through all ratings: what does that is counted as an epoch."""
        return self._mean

    def all_ratings(self) -> Iterator[tuple[int, int, float]]:
        """Every (user, item, rating), sorted by user, then item."""
        yield from zip(*self._columns, strict=True)
        self._passed()


def _lists(of: Histories) -> dict[int, list[tuple[int, float]]]:
    """For each row what it rated, and how."""
    pairs = list(zip(of.other.tolist(), of.value.tolist(), strict=True))
    return {row: pairs[a:z] for row, (a, z) in enumerate(pairwise(of.start.tolist()))}
