"""A Ranker and the rules of the list → Recommendations, over the full catalogue in blocks of users."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.artifacts import BoolArray, Dataset, FloatArray, IntArray, Recommendations
from recprofile.artifacts.types import expect, expect_codes
from recprofile.components import Ranker
from recprofile.errors import ArtifactError, DataError
from recprofile.executor import Executor, LocalExecutor

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Scores held at once: at 1e5 users x 1e4 items all of them would be 4 GB. Blocks that fit into the processor's cache
# are also the fastest: 100,000 lists of ten take 0.6 s of `top_k` in blocks of 8 MiB, and 0.8 s in blocks of 64 MiB.
BLOCK_BYTES = 8 * 2**20

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
            found = _checked_scores(ranker, data, who)
        else:
            found = np.broadcast_to(popularity, (len(who), data.n_items))
        return rules.best(found, who, k)

    every = (np.flatnonzero(known), np.flatnonzero(~known))
    blocks = [rows[start : start + size] for rows in every for start in range(0, len(rows), size)]
    for rows, (block_items, block_scores) in zip(blocks, executor.map_blocks(best, blocks), strict=True):
        items[rows], scores[rows] = block_items, block_scores
        if progress is not None:
            progress(len(rows))

    reasons = np.where(known, RANKED, np.where(data.cold_users()[chosen], NO_HISTORY, NOT_IN_MODEL)).astype(np.int8)
    reasons[items[:, 0] < 0] = NOTHING_TO_RANK
    return Recommendations(data.users.ids, data.items.ids, chosen, items, scores, reasons)


def top_k(scores: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
    """The k highest scores of each row, best first, exactly; of equal scores the lower column comes first.

    (n, m) float32 without NaN → columns int32 (n, k), -1 where a row holds fewer than k scores above -inf, and scores
    float32 (n, k), NaN there. Needs about the memory of `scores` once more: give it blocks.

    Columns are dealt into strips, and the k-th largest of the strips' maxima bounds the k-th largest score of the
    row from below; hardly more than k scores reach that bound, and only those are sorted.
    """
    n, m = scores.shape
    items = np.full((n, k), -1, np.int32)
    best = np.full((n, k), np.nan, np.float32)
    wanted = min(k, m)
    if n == 0 or wanted == 0:
        return items, best
    # Summed over strips of whole rows, a maximum costs a tenth of a nanosecond a score.
    depth = max(1, min(32, m // (8 * wanted)))
    strips = m // depth
    peaks = scores[:, : depth * strips].reshape(n, depth, strips).max(axis=1)
    bound = _kth_largest(peaks, wanted)
    reach = scores >= bound[:, None]
    crowded = np.flatnonzero(np.count_nonzero(reach, axis=1) > 4 * wanted + 64)
    if len(crowded):
        reach[crowded] = _first_k(scores[crowded], bound[crowded], wanted)

    row, column = np.divmod(np.flatnonzero(reach), m)
    found = np.bincount(row, minlength=n)
    place = np.arange(len(row)) - (np.cumsum(found) - found)[row]
    width = int(found.max())
    short_items = np.full((n, width), -1, np.int32)
    short = np.full((n, width), -np.inf, np.float32)
    short_items[row, place] = column
    short[row, place] = scores[row, column]
    # Columns stand in rising order, so a stable sort settles ties.
    order = np.argsort(-short, axis=1, kind="stable")[:, :k]
    filled = order.shape[1]
    items[:, :filled] = np.take_along_axis(short_items, order, axis=1)
    best[:, :filled] = np.take_along_axis(short, order, axis=1)
    best[items < 0] = np.nan
    return items, best


def candidate_mask(spec: str, data: Dataset, *, ids: pl.Series | None = None) -> tuple[BoolArray | None, str | None]:
    """Items that may be listed, bool (n_items,) or None for all; and a note for the report, or None.

    `spec` is 'all', 'cold' (items without any training event), or what to call the list of outside `ids`. Ids that
    are not in the data are left out, and the note says how many.

    Raises DataError RP505 when no item is cold, and RP506 when none of the ids is known.
    """
    if ids is not None:
        codes = data.items.ids.codes(ids)
        unknown = int(np.count_nonzero(codes < 0))
        if unknown == len(codes):
            message = f"none of the {len(codes)} candidate ids in '{spec}' is an item of the data"
            raise DataError.of("RP506", message, help=_examples(ids, data))
        mask = np.zeros(data.n_items, np.bool_)
        mask[codes[codes >= 0]] = True
        note = f"{unknown} of {len(codes)} candidate ids in '{spec}' are not items of the data, and left out"
        return mask, note if unknown else None
    if spec == "all":
        return None, None
    if spec == "cold":
        cold = data.cold_items()
        if not cold.any():
            helps = ("'candidates: cold' goes with 'split: {by: item-cold}', or with items that have no events yet",)
            raise DataError.of("RP505", "no candidates are left: every item has a training event", help=helps)
        return cold, None
    raise ValueError(f"candidates are 'all', 'cold' or ids, not {spec!r}")


class _Rules:
    """What may stand in a list: the candidates, less what the user has already seen."""

    def __init__(self, data: Dataset, candidates: BoolArray | None, *, exclude_seen: bool) -> None:
        self.seen: csr_array | None = data.seen() if exclude_seen else None
        self.codes: IntArray | None = None
        self.place: IntArray | None = None
        if candidates is not None:
            expect(candidates, "candidates", dtype=np.bool_, shape=(data.n_items,))
            self.codes = np.flatnonzero(candidates).astype(np.int32)
            self.place = np.where(candidates, np.cumsum(candidates) - 1, -1).astype(np.int32)

    def best(self, scores: FloatArray, users: IntArray, k: int) -> tuple[IntArray, FloatArray]:
        """Items and scores as `top_k` gives them, (len(users), k); `scores` (len(users), n_items) stay as they are."""
        own = scores if self.codes is None else np.take(scores, self.codes, axis=1)
        if not (own.flags.writeable and own.flags.c_contiguous):
            own = np.array(own, order="C")
        flat, masked = own.reshape(-1), self._seen_at(users)
        before = flat[masked]
        flat[masked] = -np.inf
        items, best = top_k(own, k)
        # The array may be the ranker's own: what is masked for this list is put back, which is cheaper than a copy.
        flat[masked] = before
        if self.codes is not None and len(self.codes):
            items = np.where(items >= 0, self.codes[items], np.int32(-1))
        return items, best

    def _seen_at(self, users: IntArray) -> NDArray[np.int64]:
        """Flat positions of seen items in a block of scores over the candidates."""
        if self.seen is None:
            return np.zeros(0, np.int64)
        rows = self.seen[users]
        row = np.repeat(np.arange(len(users), dtype=np.int64), np.diff(rows.indptr))
        column: IntArray = rows.indices
        if self.codes is None or self.place is None:
            at: NDArray[np.int64] = row * self.seen.shape[1] + column
            return at
        column = self.place[column]
        at = row * len(self.codes) + column
        return at[column >= 0]


def _kth_largest(values: FloatArray, k: int) -> FloatArray:
    """The k-th largest value of each row, (n,), but never -inf, so that what cannot be ranked never reaches it.

    numpy's partition is quadratic in equal values: a row of 10,000 zeros takes it 1 ms, and a sort 0.03 ms.
    """
    return np.maximum(np.sort(values, axis=1)[:, -k], np.finfo(np.float32).min)


def _first_k(scores: FloatArray, bound: FloatArray, k: int) -> BoolArray:
    """True at the k highest scores of each row, of equal ones at the lower columns: for rows that are full of ties.

    `bound` (n,) is not above the k-th highest score of its row.
    """
    above = scores > bound[:, None]
    steep = np.count_nonzero(above, axis=1) >= k
    if steep.any():
        bound = bound.copy()
        bound[steep] = _kth_largest(scores[steep], k)
        above[steep] = scores[steep] > bound[steep, None]
    # Fewer than k are above: the bound is the k-th highest score, and its first places fill the list.
    equal = scores == bound[:, None]
    room = k - np.count_nonzero(above, axis=1)
    # Mostly they stand near the front, which spares counting along the whole row.
    front = min(scores.shape[1], 8 * k + 64)
    near = np.count_nonzero(equal[:, :front], axis=1) >= room
    for rows, width in ((np.flatnonzero(near), front), (np.flatnonzero(~near), scores.shape[1])):
        part = equal[rows, :width]
        above[rows, :width] |= part & (np.cumsum(part, axis=1, dtype=np.int32) <= room[rows, None])
    return above


def _known_users(ranker: Ranker, data: Dataset) -> BoolArray:
    known: Any = ranker.known_users()
    name = f"{type(ranker).__name__}.known_users()"
    if not isinstance(known, np.ndarray):
        raise ArtifactError(f"{name} is {type(known).__name__}, and must be a numpy array")
    expect(known, name, dtype=np.bool_, shape=(data.n_users,))
    return known


def _checked_scores(ranker: Ranker, data: Dataset, users: IntArray) -> FloatArray:
    scores: Any = ranker.scores(users)
    name = f"{type(ranker).__name__}.scores()"
    if not isinstance(scores, np.ndarray):
        raise ArtifactError(f"{name} is {type(scores).__name__}, and must be a numpy array")
    expect(scores, name, dtype=np.float32, shape=(len(users), data.n_items))
    # The maximum carries NaN and +inf without a mask as large as the scores.
    if scores.size and not scores.max() < np.inf:
        row, item = np.argwhere(np.isnan(scores) | (scores == np.inf))[0]
        user_id, item_id = data.users.ids.ids[int(users[row])], data.items.ids.ids[int(item)]
        raise ArtifactError(f"{name} holds {scores[row, item]} for user '{user_id}' and item '{item_id}'")
    return scores


def _examples(ids: pl.Series, data: Dataset) -> tuple[str, ...]:
    given, wanted = ", ".join(map(str, ids.head(3))), ", ".join(map(str, data.items.ids.ids.head(3)))
    return tuple(
        f"{name} are such as {some}" for name, some in (("the ids given", given), ("the items' ids", wanted)) if some
    )
