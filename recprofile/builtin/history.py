"""How much each event of a history counts in a profile: by sign, by rating and by age."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import DataError, Dataset, Field, IntArray, Params, in_order, summed_pairs

if TYPE_CHECKING:
    from scipy.sparse import csr_array

DAY = 86_400


class HistoryParams(Params):
    positive_only: bool = Field(True, description="Pool profiles from positive events only.")
    grade: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="How much ratings count: an event weighs 1 + grade·q, q in (-1, 1] being where its weight stands "
        "among those of the same user; 0: all alike.",
    )
    half_life_days: float | None = Field(
        None, gt=0, description="Age, against the user's last event, at which an event counts half; null: no decay."
    )


def history_weights(data: Dataset, p: HistoryParams, *, since: Literal["user", "item"]) -> csr_array:
    """Weights of training events, summed per pair: (n_users, n_items) float32 CSR, none of them 0.

    The age of an event is taken against the last event of its user, or of its item: for a mean over one user (or
    item) that is the same as against the present, and cannot run out to nothing. Repeated events count each.
    Raises DataError RP406 when there is a half-life and the events have no time.
    """
    from scipy.sparse import csr_array

    events = data.train
    if p.positive_only and not events.positive.all():
        events = events.take(events.positive)
    if not p.grade and p.half_life_days is None:
        once = data.positives() if p.positive_only else data.seen()
        if once.nnz == len(events):  # none of them repeated
            return csr_array((once.data.copy(), once.indices, once.indptr), shape=once.shape)
    weight = np.ones(len(events), np.float32)
    if p.grade:
        weight += np.float32(p.grade) * rating_rank(events.user, events.weight)
    if p.half_life_days is not None:
        if events.time is None:
            raise DataError.of("RP406", "'half_life_days' needs events with a time, and these have none")
        of = events.user if since == "user" else events.item
        last = np.full(max(data.n_users, data.n_items), np.iinfo(np.int64).min)
        np.maximum.at(last, of, events.time)
        age = (last[of] - events.time) / (DAY * p.half_life_days)
        weight *= np.exp2(-np.minimum(age, 100)).astype(np.float32)  # 2^-100 is a float32; much less is 0
    return summed_pairs(events.user, events.item, weight, (data.n_users, data.n_items))


def rating_rank(user: IntArray, weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Where each weight stands among those of the same user, in (-1, 1]: 2·(share of them no greater) − 1.

    (n,) float32. The greatest gets 1, and so do all when all are equal; a missing weight gets 0.
    """
    there = np.flatnonzero(~np.isnan(weight))
    rank = np.zeros(len(user), np.float32)
    if len(there) == 0:
        return rank
    order = there[in_order(user[there], _as_whole(weight[there]))]
    u, w = user[order], weight[order]
    new_user = np.flatnonzero(np.diff(u, prepend=-1))
    new_value = np.flatnonzero((np.diff(u, prepend=-1) != 0) | (np.diff(w, prepend=np.nan) != 0))
    no_greater = np.repeat(np.append(new_value[1:], len(u)), np.diff(np.append(new_value, len(u))))
    count = np.diff(np.append(new_user, len(u)))
    first, many = np.repeat(new_user, count), np.repeat(count, count)
    rank[order] = 2 * (no_greater - first) / many - 1
    return rank


def _as_whole(numbers: NDArray[np.float32]) -> IntArray:
    """int32 in the same order, equal where the numbers are: their bits, of which negative ones count the other way."""
    bits = (numbers.astype(np.float32) + np.float32(0)).view(np.int32)  # -0 becomes 0
    whole: IntArray = bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))
    return whole
