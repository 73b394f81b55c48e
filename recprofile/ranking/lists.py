"""A Ranker and the rules of the list → Recommendations, over the full catalogue in blocks of users."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recprofile.artifacts import BoolArray, Dataset, FloatArray, IntArray, Recommendations
from recprofile.artifacts.types import expect, expect_codes
from recprofile.components import Ranker
from recprofile.errors import ArtifactError
from recprofile.executor import Executor, LocalExecutor
from recprofile.ranking.best import NotFiniteError, Seen, best_of

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Scores held at once: at 1e5 users x 1e4 items all of them would be 4 GB. Smaller blocks make smaller products, which
# take longer: ten items for each of 100,000 users by 64 dimensions take 1.7 s, and 2.3 s in blocks of 8 MiB.
BLOCK_BYTES = 32 * 2**20

LOCAL = LocalExecutor()

RANKED, NO_HISTORY, NOT_IN_MODEL, NOTHING_TO_RANK = range(len(Recommendations.REASONS))


def rank(  # noqa: PLR0913 - all but the first two by name, each a rule of the list
    ranker: Ranker,
    data: Dataset,
    *,
    k: int,
    exclude_seen: bool = True,
    candidates: BoolArray | None = None,
    users: IntArray | None = None,
    block: int | None = None,
    progress: Callable[[int], None] | None = None,
    executor: Executor = LOCAL,
) -> Recommendations:
    """The k best items of each user, best first; of equal scores the lower item code comes first.

    `candidates` bool (n_items,): the items that may be listed, None for all; `users` int32 codes, None for all;
    `exclude_seen` leaves out what a user has any training event on, positive or not. `block` users are scored at a
    time (None: as many as fit BLOCK_BYTES); lists do not depend on it as far as the ranker's scores do not.
    Blocks run on `executor`; `progress` is called with the number of users done since the last call.

    A user whom the ranker does not know gets the most popular candidates, by positive training events, which are
    also the scores of that list; `reasons` says so ('no history', or 'not in model' where there is one). A list with
    nothing in it has the reason 'nothing to rank'.

    Raises ArtifactError when the ranker's scores have the wrong shape or type, or hold NaN or +inf.
    """
    if k < 1:
        raise ValueError(f"a list has at least one place, not {k}")
    chosen = np.arange(data.n_users, dtype=np.int32) if users is None else users
    expect_codes(chosen, "users to rank for", below=data.n_users)
    known = _known_users(ranker, data)[chosen]
    size = block or max(1, BLOCK_BYTES // (4 * max(1, data.n_items)))
    popularity = data.item_counts().astype(np.float32)
    popularity[popularity == 0] = -np.inf  # the order of ids is no reason to list an item
    rules = _Rules(data, candidates, exclude_seen=exclude_seen)

    items = np.full((len(chosen), k), -1, np.int32)
    scores = np.full((len(chosen), k), np.nan, np.float32)

    def best(rows: NDArray[np.int64]) -> tuple[IntArray, FloatArray]:
        who = chosen[rows]
        if known[rows[0]]:
            found = _scores_of(ranker, data, who)
        else:
            found = np.broadcast_to(popularity, (len(who), data.n_items))
        try:
            return rules.best(found, who, k)
        except NotFiniteError as error:
            raise _not_finite(ranker, data, int(who[error.row]), found[error.row]) from None

    every = (np.flatnonzero(known), np.flatnonzero(~known))
    blocks = [rows[start : start + size] for rows in every for start in range(0, len(rows), size)]
    for rows, (block_items, block_scores) in zip(blocks, executor.map_blocks(best, blocks), strict=True):
        items[rows], scores[rows] = block_items, block_scores
        if progress is not None:
            progress(len(rows))

    reasons = np.where(known, RANKED, np.where(data.cold_users()[chosen], NO_HISTORY, NOT_IN_MODEL)).astype(np.int8)
    reasons[items[:, 0] < 0] = NOTHING_TO_RANK
    return Recommendations(data.users.ids, data.items.ids, chosen, items, scores, reasons)


class _Rules:
    """What may stand in a list: the candidates, less what the user has already seen."""

    def __init__(self, data: Dataset, candidates: BoolArray | None, *, exclude_seen: bool) -> None:
        self.codes: IntArray | None = None
        self.seen: csr_array | None = data.seen() if exclude_seen else None
        if candidates is not None:
            expect(candidates, "candidates", dtype=np.bool_, shape=(data.n_items,))
            self.codes = np.flatnonzero(candidates).astype(np.int32)
            if self.seen is not None:
                self.seen = self.seen[:, self.codes]
                self.seen.sort_indices()

    def best(self, scores: FloatArray, users: IntArray, k: int) -> tuple[IntArray, FloatArray]:
        """Items and scores as `top_k` gives them, (len(users), k); raises NotFiniteError."""
        seen = Seen.of(self.seen, users)
        if self.codes is None:
            return best_of(scores, k, seen)
        # The maximum carries NaN and +inf without a mask as large as the scores.
        highest = scores.max(axis=1, initial=-np.inf)
        if not (highest < np.inf).all():
            raise NotFiniteError(int(np.flatnonzero(~(highest < np.inf))[0]))
        items, best = best_of(np.take(scores, self.codes, axis=1), k, seen)
        if len(self.codes):
            items = np.where(items >= 0, self.codes[items], np.int32(-1))
        return items, best


def _known_users(ranker: Ranker, data: Dataset) -> BoolArray:
    known: Any = ranker.known_users()
    name = f"{type(ranker).__name__}.known_users()"
    if not isinstance(known, np.ndarray):
        raise ArtifactError(f"{name} is {type(known).__name__}, and must be a numpy array")
    expect(known, name, dtype=np.bool_, shape=(data.n_users,))
    return known


def _scores_of(ranker: Ranker, data: Dataset, users: IntArray) -> FloatArray:
    scores: Any = ranker.scores(users)
    name = f"{type(ranker).__name__}.scores()"
    if not isinstance(scores, np.ndarray):
        raise ArtifactError(f"{name} is {type(scores).__name__}, and must be a numpy array")
    expect(scores, name, dtype=np.float32, shape=(len(users), data.n_items))
    return scores


def _not_finite(ranker: Ranker, data: Dataset, user: int, scores: FloatArray) -> ArtifactError:
    item = int(np.flatnonzero(np.isnan(scores) | (scores == np.inf))[0])
    holds = f"holds {scores[item]} for user '{data.users.ids.ids[user]}' and item '{data.items.ids.ids[item]}'"
    return ArtifactError(f"{type(ranker).__name__}.scores() {holds}")
