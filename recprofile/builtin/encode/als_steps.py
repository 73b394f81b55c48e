"""The inner loops of `als` on a processor: steps towards the solution of a row's equations.

The equations are never written out. Three steps of conjugate gradients from where a row stands bring a sweep as far as
exact solutions do, in half their time or less. Four entries are taken at a time, so that sums stay in registers.
Dimensions are a multiple of 4.
Source: Hestenes & Stiefel 1952; for this loss: Takács, Pilászy & Tikk 2011, "Applications of the conjugate gradient
method for implicit feedback collaborative filtering".
"""

from __future__ import annotations

import numpy as np
from numba import njit

from recprofile.builtin.encode.als_rows import AT_ONCE, FAST, solve_row
from recprofile.builtin.prefetch import AHEAD, prefetch_floats

STEPS = 3
MOST = 256  # entries that are held in a cache, 64 KiB of 64 dimensions; to solve a longer row takes no more time
FOUR = np.uint64(4)  # unsigned, as in `als_rows`
ONE = np.uint64(1)


# Numba gives types to what is called, so functions under `njit` carry none.
@njit(cache=True, nogil=True, fastmath=FAST)
def improve_rows(rows, indptr, indices, weights, other, gram, ridge, alpha, side, gain):  # type: ignore[no-untyped-def]  # noqa: PLR0913, PLR0917
    """Move these rows of `side` towards what `als_rows.solve_rows` sets them to; the rest as there.

    `gain` gets by how much each row lowers the loss from what it is with the row 0: (b + r)·x, with the right side b
    and the residual r = b − A x.
    """
    d = gram.shape[0]
    near, extra = np.empty((MOST, d), np.float32), np.empty(MOST, np.float32)
    right, residual = np.empty(d, np.float32), np.empty(d, np.float32)
    direction, image = np.empty(d, np.float32), np.empty(d, np.float32)
    left, some = np.empty((d, d), np.float32), np.empty((AT_ONCE, d), np.float32)
    for done in range(len(rows)):
        row = rows[done]
        first, last, x, lam = indptr[row], indptr[row + 1], side[row], ridge[row]
        n = last - first
        if n > MOST:
            lowered = solve_row(first, last, indices, weights, other, gram, lam, alpha, x, left, some)
            if lowered < 0:
                return done
            gain[row] = lowered
            continue
        right[:] = 0
        _through_gram(gram, lam, x, image)
        filled = _gather(first, n, indices, weights, other, alpha, near, extra)
        for k in range(n):
            for j in range(d):
                right[j] += (1 + extra[k]) * near[k, j]
        _through_entries(near, extra, filled, x, image)
        square = np.float32(0)
        for j in range(d):
            residual[j] = right[j] - image[j]
            direction[j] = residual[j]
            square += residual[j] * residual[j]
        for _ in range(STEPS):
            if square == 0:
                break
            _through_gram(gram, lam, direction, image)
            _through_entries(near, extra, filled, direction, image)
            curvature = np.float32(0)
            for j in range(d):
                curvature += direction[j] * image[j]
            if not curvature > 0:  # beyond float32; the exact solution says so
                break
            step, before = square / curvature, square
            square = np.float32(0)
            for j in range(d):
                x[j] += step * direction[j]
                residual[j] -= step * image[j]
                square += residual[j] * residual[j]
            for j in range(d):
                direction[j] = residual[j] + square / before * direction[j]
        lowered = np.float32(0)
        for j in range(d):
            lowered += (right[j] + residual[j]) * x[j]
        gain[row] = lowered
    return len(rows)


@njit(cache=True, nogil=True, fastmath=FAST)
def _gather(first, n, indices, weights, other, alpha, near, extra):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Put n entries' vectors and alpha·w side by side, filled up with zeros to a multiple of 4, which it gives."""
    d, flat, last = near.shape[1], other.reshape(-1), len(indices)
    for k in range(n):
        if first + k + AHEAD < last:
            prefetch_floats(flat, indices[first + k + AHEAD] * d, d)
        y = other[indices[first + k]]
        extra[k] = alpha if len(weights) == 0 else alpha * weights[first + k]
        for j in range(d):
            near[k, j] = y[j]
    filled = -(-n // 4) * 4
    for k in range(n, filled):
        near[k] = 0
        extra[k] = 0
    return filled


@njit(cache=True, nogil=True, fastmath=FAST)
def _through_gram(gram, lam, x, out):  # type: ignore[no-untyped-def]
    """out = (G + lam I) x."""
    d = np.uint64(len(x))
    for j in range(d):
        out[j] = lam * x[j]
    for i0 in range(np.uint64(0), d, FOUR):
        i1 = i0 + ONE
        i2 = i1 + ONE
        i3 = i2 + ONE
        a, b, c, e = x[i0], x[i1], x[i2], x[i3]
        for j in range(d):
            out[j] += a * gram[i0, j] + b * gram[i1, j] + c * gram[i2, j] + e * gram[i3, j]


@njit(cache=True, nogil=True, fastmath=FAST)
def _through_entries(near, extra, n, x, out):  # type: ignore[no-untyped-def]
    """out += Σ_k extra_k (y_k · x) y_k over the first n entries, a multiple of 4."""
    d = np.uint64(len(x))
    for k0 in range(np.uint64(0), np.uint64(n), FOUR):
        k1 = k0 + ONE
        k2 = k1 + ONE
        k3 = k2 + ONE
        a, b, c, e = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for j in range(d):
            a += near[k0, j] * x[j]
            b += near[k1, j] * x[j]
            c += near[k2, j] * x[j]
            e += near[k3, j] * x[j]
        a *= extra[k0]
        b *= extra[k1]
        c *= extra[k2]
        e *= extra[k3]
        for j in range(d):
            out[j] += a * near[k0, j] + b * near[k1, j] + c * near[k2, j] + e * near[k3, j]
