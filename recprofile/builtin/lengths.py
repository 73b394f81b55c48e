"""Rows brought to length 1."""

from __future__ import annotations

import numpy as np

from recprofile.plugin import FloatArray


def unit_rows(rows: FloatArray) -> FloatArray:
    """Rows divided by their Euclidean length, (n, d) float32; see `to_unit`."""
    scaled: FloatArray = rows * to_unit(row_lengths(rows))[:, None]
    return scaled


def row_lengths(rows: FloatArray) -> FloatArray:
    """Euclidean length of each row, (n,) float32."""
    lengths: FloatArray = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    return lengths


def to_unit(lengths: FloatArray) -> FloatArray:
    """The factor that brings each length to 1, or to 0 if it is below 1e-6: the direction of such a row is rounding."""
    return np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 1e-6)
