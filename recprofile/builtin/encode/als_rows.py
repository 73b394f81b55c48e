"""The inner loops of `als` on a processor: normal equations solved exactly, row by row, in the processor's first cache.

A row's equations are summed eight entries at a time, and its Cholesky factor is found eight rows at a time by the same
loop: 64 dimensions take 0.08 µs an entry and 10 µs a row on one core. Dimensions are a multiple of 8.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from recprofile.builtin.prefetch import AHEAD, prefetch_floats

EIGHT = np.uint64(8)  # unsigned, for a signed index may count from the end, which keeps a loop from being vectorised
AT_ONCE = 64  # entries of a row that are gathered at once: 16 KiB of 64 dimensions
FAST = {"contract", "reassoc", "nsz"}  # sums in any order; infinities and NaN as ever


# Numba gives types to what is called, so functions under `njit` carry none.
@njit(cache=True, nogil=True, fastmath=FAST)
def solve_rows(rows, indptr, indices, weights, other, gram, ridge, alpha, side, gain):  # type: ignore[no-untyped-def]  # noqa: PLR0913, PLR0917
    """Set these rows of `side` to x = (G + alpha·Σ_j w_j y_j y_jᵀ + λ I)⁻¹ Σ_j (1 + alpha·w_j) y_j; how many it set.

    `indptr`, `indices` and `weights` are CSR of the entries, `weights` of length 0 where each is 1; `other` (m, d)
    holds the y, `gram` (d, d) is G, `ridge` the λ of each row. `gain` gets by how much each row's x lowers the loss,
    which is that sum times x. Less than `len(rows)` are set where float32 does not suffice.
    """
    d = gram.shape[0]
    left = np.empty((d, d), np.float32)
    near = np.empty((AT_ONCE, d), np.float32)
    x = np.empty(d, np.float32)
    flat, last = other.reshape(-1), len(indices)
    for done in range(len(rows)):
        row = rows[done]
        left[:] = gram
        for i in range(d):
            left[i, i] += ridge[row]
            x[i] = 0
        for first in range(indptr[row], indptr[row + 1], AT_ONCE):
            n = min(AT_ONCE, indptr[row + 1] - first)
            for k in range(n):
                if first + k + AHEAD < last:
                    prefetch_floats(flat, indices[first + k + AHEAD] * d, d)
                extra = alpha if len(weights) == 0 else alpha * weights[first + k]
                y = other[indices[first + k]]
                root = np.sqrt(extra)
                for j in range(d):
                    near[k, j] = root * y[j]
                    x[j] += (1 + extra) * y[j]
            for k in range(n, -(-n // 8) * 8):
                near[k] = 0
            for k in range(0, n, 8):
                _add_eight(left, near, k, 0, np.float32(1))
        if not _factor(left):
            return done
        gain[row] = _substitute(left, x)
        side[row] = x
    return len(rows)


@njit(cache=True, nogil=True, fastmath=FAST)
def _add_eight(into, of, k, first, sign):  # type: ignore[no-untyped-def]
    """into[i, j] += sign · Σ of[k + r, i] · of[k + r, j] over r < 8, for i from `first` on and j ≥ i."""
    d = np.uint64(into.shape[0])
    r0 = np.uint64(k)
    one = np.uint64(1)
    r1 = r0 + one
    r2 = r1 + one
    r3 = r2 + one
    r4 = r3 + one
    r5 = r4 + one
    r6 = r5 + one
    r7 = r6 + one
    for i in range(np.uint64(first), d):
        c0, c1, c2, c3 = sign * of[r0, i], sign * of[r1, i], sign * of[r2, i], sign * of[r3, i]
        c4, c5, c6, c7 = sign * of[r4, i], sign * of[r5, i], sign * of[r6, i], sign * of[r7, i]
        for j in range(i // EIGHT * EIGHT, d):  # whole vectors; what is left of the diagonal is never read
            into[i, j] += (
                c0 * of[r0, j] + c1 * of[r1, j] + c2 * of[r2, j] + c3 * of[r3, j]
                + c4 * of[r4, j] + c5 * of[r5, j] + c6 * of[r6, j] + c7 * of[r7, j]
            )  # fmt: skip


@njit(cache=True, nogil=True, fastmath=FAST)
def _factor(a):  # type: ignore[no-untyped-def]
    """The upper triangle of `a` becomes U with UᵀU = a; False where a pivot is not positive."""
    d = a.shape[0]
    for k in range(0, d, 8):
        for p in range(k, k + 8):
            for q in range(k, p):
                c = a[q, p]
                for j in range(p, d):
                    a[p, j] -= c * a[q, j]
            if not a[p, p] > 0:  # NaN is none either
                return False
            root = np.float32(1) / np.sqrt(a[p, p])
            for j in range(p, d):
                a[p, j] *= root
        if k + 8 < d:
            _add_eight(a, a, k, k + 8, np.float32(-1))
    return True


@njit(cache=True, nogil=True, fastmath=FAST)
def _substitute(u, x):  # type: ignore[no-untyped-def]
    """`x` becomes the solution s of UᵀU s = x; x·s of before."""
    d = len(x)
    square = np.float32(0)
    for p in range(d):
        x[p] /= u[p, p]
        square += x[p] * x[p]
        for j in range(p + 1, d):
            x[j] -= x[p] * u[p, j]
    for p in range(d - 1, -1, -1):
        rest = np.float32(0)
        for j in range(p + 1, d):
            rest += u[p, j] * x[j]
        x[p] = (x[p] - rest) / u[p, p]
    return square
