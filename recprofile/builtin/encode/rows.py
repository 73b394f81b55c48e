"""What the attribute encoders share: whose attributes, and which rows may be learnt from."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl

from recprofile.plugin import BoolArray, Dataset, FloatArray, Table

Axis = Literal["item", "user"]


def table_of(data: Dataset, axis: Axis) -> Table:
    """The attributes of items or of users."""
    return data.items if axis == "item" else data.users


def in_training(data: Dataset, axis: Axis) -> BoolArray:
    """True for the items or users with a training event: those that statistics may be learnt from."""
    return ~(data.cold_items() if axis == "item" else data.cold_users())


def all_zero(vectors: FloatArray) -> BoolArray:
    """True for rows of zeros, bool (n,)."""
    return np.asarray(~vectors.any(axis=1))


def rarity(rows_with_it: pl.Expr, rows: int) -> pl.Expr:
    """Inverse document frequency, ln((1 + rows) / (1 + rows with it)) + 1: at least 1, and finite.

    Source: Spärck Jones 1972, smoothed as in scikit-learn's TfidfTransformer.
    """
    return ((1 + rows) / (1 + rows_with_it)).log() + 1
