"""What a row of `als` is regularised by, and what is said where that does not suffice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import FloatArray, Pairs, RunError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from recprofile.builtin.encode.als import AlsParams

L2 = 0.02  # regularisation where nothing is chosen


def ridges(matrix: csr_array | Pairs, p: AlsParams, *, all_one: bool = False) -> FloatArray:
    """λ of each row, (n_rows,) float32: l2 · (total confidence of the row)^nu; `all_one`: every weight is 1."""
    assert p.l2 is not None
    counts: NDArray[np.int32] = matrix.indptr[1:] - matrix.indptr[:-1]
    total: NDArray[Any] = counts
    if not all_one:
        total = np.bincount(np.repeat(np.arange(len(counts)), counts), weights=matrix.data, minlength=len(counts))
    ridge: FloatArray = (p.l2 * (matrix.shape[1] + p.alpha * total.astype(np.float64)) ** p.nu).astype(np.float32)
    return ridge


def no_solution() -> NoReturn:
    """Raise RunError RP601."""
    helps = ("a larger 'l2' helps, or weights on a smaller scale",)
    raise RunError.of("RP601", "the equations of 'als' have no solution in float32", help=helps)
