"""Whether results of two sides are equal, and by how much they may differ."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.measure import UnequalError


def expect(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads like assert
    """Raise UnequalError where it does not hold."""
    if not holds:
        raise UnequalError(otherwise)


def same_arrays(ours: NDArray[Any], theirs: NDArray[Any], *, rtol: float = 1e-4, atol: float = 1e-6) -> str:
    """Equal shapes, and numbers within float32's reach of one another; `theirs` may be the first rows alone."""
    mine = ours[: len(theirs)]
    expect(mine.shape == theirs.shape, f"shapes {ours.shape} and {theirs.shape}")
    apart = float(np.max(np.abs(mine - theirs), initial=0))
    expect(bool(np.allclose(mine, theirs, rtol=rtol, atol=atol)), f"numbers differ by up to {apart:.2g}")
    return f"numbers equal to {apart:.1g}"


def same_csr(ours: Any, theirs: Any) -> str:  # noqa: ANN401 - any of scipy's forms
    """The same pairs and values."""
    for one in (ours, theirs):
        one.sort_indices()
    expect(ours.shape == theirs.shape, f"shapes {ours.shape} and {theirs.shape}")
    expect(bool(np.array_equal(ours.indptr, theirs.indptr)), f"{ours.nnz} pairs and {theirs.nnz}")
    expect(bool(np.array_equal(ours.indices, theirs.indices)), "other pairs")
    expect(bool(np.allclose(ours.data, theirs.data, rtol=1e-4, atol=1e-5)), "other values")
    return f"the same CSR of {ours.nnz:,} pairs"


def same_directions(ours: NDArray[Any], theirs: NDArray[Any], *, least: float = 0.9999) -> str:
    """Vectors of one direction, row by row; `theirs` may be the first rows alone."""
    mine = ours[: len(theirs)]
    expect(mine.shape == theirs.shape, f"shapes {ours.shape} and {theirs.shape}")
    lengths = np.linalg.norm(mine, axis=1) * np.linalg.norm(theirs, axis=1)
    cosines = np.einsum("ij,ij->i", mine, theirs)[lengths > 0] / lengths[lengths > 0]
    lowest = float(cosines.min(initial=1))
    expect(lowest >= least, f"a cosine is {lowest:.5f}")
    return f"cosines of {lowest:.6f} or more"


Lists = tuple[NDArray[np.integer], NDArray[np.floating]]


def same_lists(ours: Lists, theirs: Lists, *, near: float = 1e-4) -> str:
    """The same scores rank by rank, and the same items but where neighbours in the list are as good as equal.

    Items and scores (n, k), best first, -1 and NaN where a list is short; `theirs` may be the first rows alone.
    """
    rows = len(theirs[0])
    items, scores = ours[0][:rows], ours[1][:rows]
    expect(items.shape == theirs[0].shape, f"shapes {items.shape} and {theirs[0].shape}")
    expect(bool(np.array_equal(items < 0, theirs[0] < 0)), "lists of other lengths")
    size = np.maximum(np.nanmax(np.abs(scores), axis=1, initial=0, keepdims=True), 1e-30)
    close = np.isclose(scores / size, theirs[1] / size, rtol=0, atol=near, equal_nan=True)
    expect(bool(close.all()), f"{(~close).sum()} of {close.size} scores differ")
    other = (items != theirs[0]) & (items >= 0)
    gap = np.abs(np.diff(scores / size, axis=1, prepend=np.nan, append=np.nan))
    # The last may tie with what is not listed any more.
    tied = (gap[:, :-1] <= 2 * near) | (gap[:, 1:] <= 2 * near)
    tied[:, -1] = True
    wrong = other & ~tied & ~np.isnan(scores)
    expect(not wrong.any(), f"{wrong.sum()} of {wrong.size} places hold another item")
    return f"the same lists, {other.mean():.2%} of places in another order of equals"
