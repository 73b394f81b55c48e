"""The k highest scores of each row, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recprofile.artifacts import FloatArray, IntArray
from recprofile.threads import each, spans

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class NotFiniteError(ValueError):
    """A score is NaN, or +inf where that is no score; `row` is the first that has one."""

    def __init__(self, row: int) -> None:
        super().__init__(f"row {row} holds a score that is not finite")
        self.row = row


@dataclass(frozen=True)
class Seen:
    """What may not be listed in each row: columns[starts[row]:ends[row]], rising."""

    columns: IntArray
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, matrix: csr_array | None, rows: IntArray) -> Seen:
        """The entries of these rows of a CSR with sorted indices; nothing for None."""
        if matrix is None:
            nothing = np.zeros(len(rows), np.int64)
            return cls(np.zeros(0, np.int32), nothing, nothing)
        starts = matrix.indptr[:-1][rows], matrix.indptr[1:][rows]
        return cls(matrix.indices, *(place.astype(np.int64) for place in starts))


def top_k(scores: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
    """The k highest scores of each row, best first, exactly; of equal scores the lower column comes first.

    (n, m) float32 without NaN → columns int32 (n, k), -1 where a row holds fewer than k scores above -inf, and scores
    float32 (n, k), NaN there. Raises ValueError for NaN where it might be listed.
    """
    return best_of(scores, k, Seen.of(None, np.arange(len(scores), dtype=np.int32)), finite=False)


def best_of(scores: FloatArray, k: int, seen: Seen, *, finite: bool = True) -> tuple[IntArray, FloatArray]:
    """As `top_k`, less what is seen; raises NotFiniteError for +inf too, where `finite`."""
    from recprofile.ranking.heaps import list_rows  # noqa: PLC0415 - numba costs what `validate` need not pay

    n, m = scores.shape
    items, best = np.full((n, k), -1, np.int32), np.full((n, k), np.nan, np.float32)
    own = scores if scores.flags.c_contiguous and scores.flags.writeable else np.array(scores, order="C")
    # With a list as long as the catalogue, all that there is fills it.
    wide = min(k, m)
    short_items, short = (items, best) if wide == k else (items[:, :wide].copy(), best[:, :wide].copy())

    def work(span: tuple[int, int]) -> int:
        row: int = list_rows(*span, own, finite, seen.starts, seen.ends, seen.columns, short_items, short)
        return row

    wrong = [row for row in each(work, spans(n)) if row >= 0] if wide else []
    if wrong:
        raise NotFiniteError(min(wrong))
    if wide != k:
        items[:, :wide], best[:, :wide] = short_items, short
    return items, best
