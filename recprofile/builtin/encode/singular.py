"""Leading singular vectors of a sparse matrix, the same for the same seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recprofile.plugin import FloatArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def right_vectors(matrix: csr_array, dim: int, rng: np.random.Generator) -> FloatArray:
    """Leading right singular vectors as columns, (m, at most dim) float32, by falling value; fewer where values are 0.

    A vector's sign is that which makes its largest entry positive.
    """
    from scipy.sparse.linalg import svds

    most = min(matrix.shape)
    wide = matrix.astype(np.float64)
    if most == 0:
        right, values = np.zeros((0, matrix.shape[1])), np.zeros(0)
    elif most <= 2 * dim or most <= 64:  # Lanczos needs dim < most, and gains nothing on a small matrix
        _, values, right = np.linalg.svd(wide.toarray(), full_matrices=False)
    else:
        _, values, right = svds(wide, k=dim, v0=rng.normal(size=most))
        order = np.argsort(-values, kind="stable")
        values, right = values[order], right[order]
    there = values[:dim] > 1e-6 * values[:1].max(initial=0)
    right = right[:dim][there]
    if len(right):
        largest = np.abs(right).argmax(axis=1)
        right = right * np.sign(right[np.arange(len(right)), largest])[:, None]
    return np.ascontiguousarray(right.T, np.float32)
