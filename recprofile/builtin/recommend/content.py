"""How alike items are by content: one kernel over the vectors of several encode stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeAlias

import numpy as np

from recprofile.builtin.lengths import unit_rows
from recprofile.plugin import BoolArray, Dataset, Encoded, Field, FloatArray, NamesInputs, Params, RunError

# By encode stage: (n_items, d) float32, and which items have a vector.
ContentRows: TypeAlias = dict[str, tuple[FloatArray, BoolArray]]


class BlockParams(Params):
    blocks: Annotated[dict[str, Annotated[float, Field(gt=0)]], NamesInputs()] = Field(
        default={}, description="Encode stage id → weight of its vectors in the content kernel; one not named weighs 1."
    )


def content_kernel(rows: ContentRows, weights: Mapping[str, float], sharpness: float) -> tuple[FloatArray, BoolArray]:
    """K[i, j] = exp(−sharpness · D_ij / median D), (n_items, n_items) float32, and which items have any vector.

    D = Σ_b w_b |v_bi − v_bj|² over the blocks, whose vectors are centred on the items with training events and brought
    to length 1 (`content_rows`). An item without a vector in a block is as far from every other there as two unrelated
    ones (2).
    """
    n = len(next(iter(rows.values()))[1])
    near, total = np.zeros((n, n), np.float32), 0.0
    known = np.zeros(n, np.bool_)
    for name, (vectors, there) in rows.items():
        weight = weights.get(name, 1.0)
        near += np.float32(weight) * (vectors @ vectors.T)
        total += weight
        known |= there
    return kernel_of(near, total, sharpness), known


def content_rows(encoded: Mapping[str, Encoded], data: Dataset) -> ContentRows:
    """Vectors by stage, (n_items, d) float32, centred and of length 1, and which items have one; 0 for the others.

    Raises RunError RP404 for a stage that gives no item vectors.
    """
    found = {}
    for name, one in encoded.items():
        if one.items is None:
            raise RunError.of("RP404", f"'{name}' gives no item vectors", help=("leave it out of 'from'",))
        there = ~one.items.missing
        learnt = there & ~data.cold_items()
        mean = one.items.vectors[learnt].mean(axis=0, dtype=np.float64) if learnt.any() else 0.0
        rows = np.where(there[:, None], one.items.vectors - np.asarray(mean, np.float32), np.float32(0))
        found[name] = (unit_rows(rows.astype(np.float32)), np.asarray(there))
    return found


def kernel_of(near: FloatArray, total: float, sharpness: float) -> FloatArray:
    """The kernel of likenesses, (n, n) float32: Σ_b w_b ⟨v_bi, v_bj⟩, and Σ_b w_b."""
    n = len(near)
    far = 2 * (np.float32(total) - near)
    np.fill_diagonal(far, 0)
    np.maximum(far, 0, out=far)
    step = max(1, n // 2_000)  # the median of four million distances is near enough
    some = far[::step, ::step]
    middle = float(np.median(some[~np.eye(len(some), dtype=np.bool_)])) if len(some) > 1 else 0.0
    kernel: FloatArray = np.exp(far * np.float32(-sharpness / middle if middle > 0 else 0))
    return kernel
