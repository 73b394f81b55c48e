"""The nearest neighbours of rows by a sparse product, in blocks, so that no similarity of all with all is held."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from recprofile.builtin.recommend import linear
from recprofile.plugin import FloatArray, IntArray, top_k

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def nearest(
    left: csr_array,
    right: csr_array,
    neighbours: int,
    revise: Callable[[FloatArray, slice], None],
    progress: Callable[[int], None] = lambda _: None,
) -> csr_array:
    """The largest positive entries of each row of left · right, once revised: (n, m) float32 CSR, sorted by column.

    `left` (n, d) and `right` (d, m) CSR. `revise` is given a dense block of the product and the rows that it holds,
    and changes it in place; at most 64 MiB are made at once. `progress` is told the number of rows done since.
    """
    from scipy.sparse import csr_array

    from recprofile.builtin.products import dense_product

    n, m = left.shape[0], right.shape[1]
    step = max(1, linear.BLOCK // max(m, 1))
    nothing = np.zeros(0, np.int32)
    parts: list[tuple[IntArray, IntArray, FloatArray]] = [(nothing, nothing, np.zeros(0, np.float32))]
    for a in range(0, n, step):
        rows = slice(a, min(a + step, n))
        close = dense_product(left[rows], right)
        revise(close, rows)
        row, column, value = largest(close, neighbours)
        parts.append((row + np.int32(a), column, value))
        progress(len(close))
    row, column, value = (np.concatenate(part) for part in zip(*parts, strict=True))
    return csr_array((value, (row, column)), shape=(n, m), dtype=np.float32)


def largest(block: FloatArray, k: int) -> tuple[IntArray, IntArray, FloatArray]:
    """Row, column and value of the k largest positive entries of each row, row by row; ties by column order."""
    columns, values = top_k(block, min(k, block.shape[1]))
    row, place = np.nonzero(values > 0)  # NaN where there is none
    column = columns[row, place]
    order = np.lexsort((column, row))
    row, column = row[order], column[order]
    return row.astype(np.int32), column, block[row, column]
