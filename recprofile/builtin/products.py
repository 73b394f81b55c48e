"""Products of matrices as dense blocks, row by row in compiled loops: sparse ones shared by threads, one row by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from recprofile.builtin.prefetch import AHEAD, prefetch
from recprofile.plugin import FloatArray, each, spans

if TYPE_CHECKING:
    from scipy.sparse import csr_array

STRIP = 1024  # columns that are summed together: 4 KiB of a row
LINES = 4  # of 64 bytes, that are asked for ahead of a row of the right matrix: 64 entries


def dense_product(left: csr_array, right: csr_array | FloatArray) -> FloatArray:
    """left · right as a dense array, (n, m) float32; `left` (n, d) CSR, `right` (d, m) CSR or dense, both float32.

    Summed in float32 in the order of the left row's entries, whatever the number of threads.
    """
    out = np.zeros((left.shape[0], right.shape[1]), np.float32)

    def work(span: tuple[int, int]) -> int:
        if isinstance(right, np.ndarray):
            _add_dense(*span, left.indptr, left.indices, left.data, right, out)
        else:
            _add_sparse(*span, left.indptr, left.indices, left.data, right.indptr, right.indices, right.data, out)
        return 0

    each(work, spans(len(out)))
    return out


# Numba gives types to what is called, so functions under `njit` carry none.
@njit(cache=True, nogil=True)
def _add_sparse(first, last, indptr, indices, data, of_indptr, of_indices, of_data, out):  # type: ignore[no-untyped-def]  # noqa: PLR0913, PLR0917
    end, line = indptr[last], np.uint64(16)
    for row in range(first, last):
        into = out[row]
        for at in range(indptr[row], indptr[row + 1]):
            if at + AHEAD < end:
                soon = np.uint64(of_indptr[indices[at + AHEAD]])
                for k in range(np.uint64(LINES)):
                    prefetch(of_indices, soon + k * line)
                    prefetch(of_data, soon + k * line)
            a, middle = data[at], indices[at]
            for k in range(of_indptr[middle], of_indptr[middle + 1]):
                into[np.uint32(of_indices[k])] += a * of_data[k]


@njit(cache=True, nogil=True)
def _add_dense(first, last, indptr, indices, data, right, out):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    width = right.shape[1]
    for row in range(first, last):
        for begin in range(0, width, STRIP):
            end = begin + STRIP
            into = out[row, begin:end]
            at, stop = indptr[row], indptr[row + 1]
            while at + 4 <= stop:  # so that what is summed goes through memory once for four
                p, q = right[indices[at], begin:end], right[indices[at + 1], begin:end]
                r, s = right[indices[at + 2], begin:end], right[indices[at + 3], begin:end]
                _add_four(into, p, q, r, s, data[at], data[at + 1], data[at + 2], data[at + 3])
                at += 4
            while at < stop:
                a = data[at]
                of = right[indices[at], begin:end]
                for j in range(len(into)):
                    into[j] += a * of[j]
                at += 1


@njit(cache=True, nogil=True)
def _add_four(into, p, q, r, s, a, b, c, d):  # type: ignore[no-untyped-def]  # noqa: PLR0913, PLR0917
    for j in range(len(into)):
        into[j] = into[j] + a * p[j] + b * q[j] + c * r[j] + d * s[j]  # in this order


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz"})
def fill_row(vector, rows, out):  # type: ignore[no-untyped-def]
    """Set `out` (m,) to the inner products of `vector` (d,) and `rows` (m, d), on one thread.

    10,000 rows of 64 dimensions take 25 µs; a BLAS divides them among threads, which costs as much again, and 8 ms
    where another process has the processor.
    """
    for i in range(rows.shape[0]):
        row = rows[i]
        total = np.float32(0)
        for j in range(rows.shape[1]):
            total += vector[j] * row[j]
        out[i] = total
