"""The inner loops of `als` on a processor: normal equations solved exactly, row by row, in the processor's first cache.

With 64 dimensions and AVX-512, 0.03 µs for each entry of a row and 4 µs for the row. Dimensions are a multiple of 8.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from recprofile.builtin.encode.als_tiles import add_squares, factor
from recprofile.builtin.prefetch import AHEAD, prefetch_floats

EIGHT = np.uint64(8)  # unsigned, for a signed index may count from the end, which keeps a loop from being vectorised
ONE = np.uint64(1)
AT_ONCE = 32  # entries of a row that are gathered at once
FAST = {"contract", "reassoc", "nsz"}  # sums in any order; infinities and NaN as ever


# Numba gives types to what is called, so functions under `njit` carry none.
@njit(cache=True, nogil=True)
def solve_rows(rows, indptr, indices, weights, other, gram, ridge, alpha, side, gain):  # type: ignore[no-untyped-def]  # noqa: PLR0913, PLR0917
    """Set these rows of `side` to x = (G + alpha·Σ_j w_j y_j y_jᵀ + λ I)⁻¹ Σ_j (1 + alpha·w_j) y_j; how many it set.

    `indptr`, `indices` and `weights` are CSR of the entries, `weights` of length 0 where each is 1; `other` (m, d)
    holds the y, `gram` (d, d) is G, `ridge` the λ of each row. `gain` gets by how much each row's x lowers the loss,
    which is that sum times x. Less than `len(rows)` are set where float32 does not suffice.
    """
    d = gram.shape[0]
    left, near = np.empty((d, d), np.float32), np.empty((AT_ONCE, d), np.float32)
    for done in range(len(rows)):
        row = rows[done]
        first, last = indptr[row], indptr[row + 1]
        lowered = solve_row(first, last, indices, weights, other, gram, ridge[row], alpha, side[row], left, near)
        if lowered < 0:
            return done
        gain[row] = lowered
    return len(rows)


@njit(cache=True, nogil=True, fastmath=FAST)
def solve_row(first, last, indices, weights, other, gram, lam, alpha, x, left, near):  # type: ignore[no-untyped-def]  # noqa: PLR0913, PLR0917
    """Set `x` to the solution for entries `first` to `last`, and give its gain; -1 where float32 does not suffice.

    `left` (d, d) and `near` (AT_ONCE, d) are to work in.
    """
    d, flat, end = gram.shape[0], other.reshape(-1), len(indices)
    left[:] = gram
    for i in range(d):
        left[i, i] += lam
        x[i] = 0
    for begin in range(first, last, AT_ONCE):
        n = min(AT_ONCE, last - begin)
        for k in range(n):
            at = begin + k
            if at + AHEAD < end:
                prefetch_floats(flat, indices[at + AHEAD] * d, d)
            extra = alpha if len(weights) == 0 else alpha * weights[at]
            y = other[indices[at]]
            root = np.sqrt(extra)
            for j in range(d):
                near[k, j] = root * y[j]
                x[j] += (1 + extra) * y[j]
        add_squares(left, near, n)
    if not factor(left):
        return np.float32(-1)
    return _substitute(left, x)


@njit(cache=True, nogil=True, fastmath=FAST)
def _substitute(u, x):  # type: ignore[no-untyped-def]
    """`x` becomes the solution s of UᵀU s = x, U as `factor` leaves it; x·s of before, at least 0."""
    d = np.uint64(len(x))
    square = np.float32(0)
    for k0 in range(np.uint64(0), d, EIGHT):
        k1, k2, k3 = k0 + ONE, k0 + np.uint64(2), k0 + np.uint64(3)
        k4, k5, k6, k7 = k0 + np.uint64(4), k0 + np.uint64(5), k0 + np.uint64(6), k0 + np.uint64(7)
        for p in range(k0, k0 + EIGHT):
            x[p] *= u[p, p]
            square += x[p] * x[p]
            for q in range(p + ONE, k0 + EIGHT):
                x[q] -= x[p] * u[p, q]
        c0, c1, c2, c3, c4, c5, c6, c7 = x[k0], x[k1], x[k2], x[k3], x[k4], x[k5], x[k6], x[k7]
        for j in range(k0 + EIGHT, d):
            x[j] -= (
                c0 * u[k0, j] + c1 * u[k1, j] + c2 * u[k2, j] + c3 * u[k3, j]
                + c4 * u[k4, j] + c5 * u[k5, j] + c6 * u[k6, j] + c7 * u[k7, j]
            )  # fmt: skip
    for last in range(len(x) - 1, -1, -1):
        row = np.uint64(last)
        rest = np.float32(0)
        for j in range(row + ONE, d):
            rest += u[row, j] * x[j]
        x[row] = (x[row] - rest) * u[row, row]
    return square
