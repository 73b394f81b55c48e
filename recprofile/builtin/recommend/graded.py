"""Every event as evidence: what a user liked counts more by its grade, and what they did not like still counts some.

Events are also seen in their order: which items came after which, and how long ago.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recprofile.builtin.history import rating_rank
from recprofile.plugin import Dataset, Field, FloatArray, Params, Progress, in_order, summed_pairs

if TYPE_CHECKING:
    from scipy.sparse import csr_array

FURTHEST = 2_000  # events apart: a history of 100,000 has 5e9 pairs, and 2e8 within this distance


class GradedParams(Params):
    grade: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="How much ratings count: a positive event weighs 1 + grade·q, q in (-1, 1] being where its weight "
        "stands among the positive ones of its user.",
    )
    low: float = Field(0.4, ge=0, le=1, description="What an event weighs that is not positive; 0: nothing.")


def event_weights(data: Dataset, p: GradedParams) -> FloatArray:
    """What each training event counts, (n_events,) float32 in training order; see `GradedParams`."""
    events = data.train
    weight = np.full(len(events), p.low, np.float32)
    liked = np.flatnonzero(events.positive)
    rank = rating_rank(events.user[liked], events.weight[liked])
    weight[liked] = 1 + np.float32(p.grade) * rank
    return weight


def matrix_of(data: Dataset, weight: FloatArray) -> csr_array:
    """Weights of training events, summed per pair: (n_users, n_items) float32 CSR without zeros."""
    events = data.train
    matrix = summed_pairs(events.user, events.item, weight, (data.n_users, data.n_items))
    matrix.eliminate_zeros()
    return matrix.astype(np.float32)


def graded_history(data: Dataset, *, p: GradedParams) -> csr_array:
    """Training events by what they count, (n_users, n_items) float32 CSR."""
    return matrix_of(data, event_weights(data, p))


@dataclass(frozen=True)
class Sequence:
    """The training events user by user, from the first to the last; of one time, in the order of the log.

    `rows` int64 (n_events,) their places in `data.train`; `after` int64 (n_events,) how many events of the same user
    come later.
    """

    rows: NDArray[np.int64]
    after: NDArray[np.int64]


def sequence(data: Dataset) -> Sequence:
    """Needs events with a time."""

    def make() -> Sequence:
        events = data.train
        assert events.time is not None
        rows = in_order(events.user, events.time)
        user = events.user[rows]
        last = np.searchsorted(user, user, side="right")
        return Sequence(rows, last - 1 - np.arange(len(rows)))

    return data.memo("sequence", make)


def recency(data: Dataset, *, events: float, floor: float) -> FloatArray:
    """floor + (1 − floor)·exp(−n / events) with n the later events of the same user: (n_events,) float32."""
    line = sequence(data)
    decay = np.empty(len(line.rows), np.float32)
    decay[line.rows] = floor + (1 - floor) * np.exp(-line.after / events)
    return decay


def together(data: Dataset, weight: FloatArray, *, reach: float, floor: float, progress: Progress) -> FloatArray:
    """How often item j came after item i, T[i, j] = Σ_u x_ui x_uj k(d): (n_items, n_items) float32.

    x is an event's `weight` (n_events,), d how many events later j came, at most 2,000, and
    k(d) = floor + (1 − floor)·exp(−d / reach). T + Tᵀ + diag Σ_u x_ui² is a Gram matrix, and positive definite, for k
    is the sum of two kernels that are.
    """
    from recprofile.builtin.recommend.pairs import pair_sums

    line = sequence(data)
    ends = np.arange(len(line.rows)) + 1 + np.minimum(line.after, FURTHEST)
    kernel = (floor + (1 - floor) * np.exp(-np.arange(FURTHEST + 1) / reach)).astype(np.float32)
    item, x = data.train.item[line.rows], weight[line.rows]
    return pair_sums(item, x, ends, kernel, n_items=data.n_items, progress=progress)
