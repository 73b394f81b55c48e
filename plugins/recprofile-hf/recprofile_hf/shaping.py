"""What is done to raw vectors: centred, whitened, reduced, scaled, by what the items in training are like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import BoolArray, Dataset, FloatArray

ROWS = 1 << 16  # that are held in double precision at a time
FLAT = 1e-12  # of the greatest variance; a direction with less has none but what float32 rounds


@dataclass(frozen=True, eq=False, slots=True)
class Shape:
    """What was learnt: the mean (d,), and directions as columns (d, k) or None for the coordinates as they are.

    `shrinkage` is that of the variances, None where nothing is whitened; `rows` how many were learnt from.
    """

    mean: FloatArray
    directions: FloatArray | None = None
    shrinkage: float | None = None
    rows: int = 0

    def of(
        self, vectors: FloatArray, there: BoolArray, *, normalise: bool, mean: FloatArray | None = None
    ) -> FloatArray:
        """Rows `there` in the new space; a row that is zero, or becomes it, stays zero. `mean` stands for the own."""
        moved = vectors - (self.mean if mean is None else mean)
        if self.directions is not None:
            moved = moved @ self.directions
        moved[~there] = 0
        if normalise:
            length = np.linalg.norm(moved, axis=1, keepdims=True)
            np.divide(moved, length, out=moved, where=length > 0)
        return moved


def known_of(there: BoolArray, data: Dataset) -> BoolArray:
    """Items to learn from, bool (n_items,): those `there` with a training event, or all of them where none has one.

    Not those that come later, whose vectors would move the others'.
    """
    known = there & ~data.cold_items()
    return known if known.any() else there


def placed(vectors: FloatArray, there: BoolArray, data: Dataset, *, centre: bool, normalise: bool) -> FloatArray:
    """Rows `there` centred on those of items in training, and of length 1, where asked; see `Shape.of`."""
    known = known_of(there, data)
    shape = learnt(vectors, known, centre=centre, whiten=False, shrinkage=None, dim=None)
    return shape.of(vectors, there, normalise=normalise)


def learnt(
    vectors: FloatArray, known: BoolArray, *, centre: bool, whiten: bool, shrinkage: float | None, dim: int | None
) -> Shape:
    """From the rows `known`: their mean, and with `whiten` or `dim` what their covariance says, if any two differ."""
    rows = np.flatnonzero(known)
    mean = np.zeros(vectors.shape[1], np.float32)
    if centre and len(rows):
        mean = vectors[rows].mean(axis=0, dtype=np.float64).astype(np.float32)
    if not whiten and dim is None:
        return Shape(mean, rows=len(rows))
    covariance, fourth = _moments(vectors, rows, mean)
    variance, axes = np.linalg.eigh(covariance)
    variance, axes = variance[::-1], axes[:, ::-1]
    if variance[0] <= 0:
        return Shape(mean, rows=len(rows))
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])  # the same on each machine
    kept = slice(0, len(variance) if dim is None else min(dim, int((variance > FLAT * variance[0]).sum())))
    if not whiten:
        return Shape(mean, axes[:, kept].astype(np.float32), rows=len(rows))
    by = _ledoit_wolf(covariance, fourth, len(rows)) if shrinkage is None else shrinkage
    shrunk = (1 - by) * variance + by * variance.mean()
    # A direction in which nothing varies, which only 'shrinkage: 0' leaves so, stays as small as it is.
    scale = np.divide(1, np.sqrt(np.maximum(shrunk, 0)), out=np.zeros_like(shrunk), where=shrunk > FLAT * shrunk[0])
    whitening = axes * scale
    directions = whitening @ axes.T if dim is None else whitening[:, kept]
    return Shape(mean, directions.astype(np.float32), float(by), len(rows))


def _moments(vectors: FloatArray, rows: NDArray[np.int64], mean: FloatArray) -> tuple[NDArray[np.float64], float]:
    """The mean product of two coordinates over the rows, (d, d), and the mean fourth power of a row's length."""
    d = vectors.shape[1]
    products, fourth = np.zeros((d, d)), 0.0
    for at in range(0, len(rows), ROWS):
        part = vectors[rows[at : at + ROWS]].astype(np.float64) - mean
        products += part.T @ part
        fourth += float(((part**2).sum(axis=1) ** 2).sum())
    n = max(1, len(rows))
    return products / n, fourth / n


def _ledoit_wolf(covariance: NDArray[np.float64], fourth: float, n: int) -> float:
    """How far to shrink to the mean variance so that the expected squared error is least, 0 to 1."""
    d = len(covariance)
    squared = float((covariance**2).sum())
    apart = squared - np.trace(covariance) ** 2 / d
    noise = (fourth - squared) / n
    return 1.0 if apart <= 0 else float(min(1.0, max(0.0, noise / apart)))
