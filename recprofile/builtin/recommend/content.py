"""How alike items are by content: one kernel over the vectors of several encode stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np

from recprofile.builtin.lengths import unit_rows
from recprofile.plugin import BoolArray, Dataset, Encoded, Field, FloatArray, NamesInputs, Params, RunError


class ContentParams(Params):
    blocks: Annotated[dict[str, Annotated[float, Field(gt=0)]], NamesInputs()] = Field(
        default={}, description="Encode stage id → weight of its vectors in the content kernel; one not named weighs 1."
    )
    sharpness: float = Field(
        0.5,
        gt=0,
        le=100,
        description="How fast likeness falls with distance: exp(-sharpness·D / median D), D the squared distance.",
    )


def content_kernel(encoded: Mapping[str, Encoded], data: Dataset, p: ContentParams) -> tuple[FloatArray, BoolArray]:
    """K[i, j] = exp(−sharpness · D_ij / median D), (n_items, n_items) float32, and which items have any vector.

    D = Σ_b w_b |v_bi − v_bj|² over the blocks, whose vectors are centred on the items with training events and brought
    to length 1. An item without a vector in a block is as far from every other there as two unrelated ones (2).
    Raises RunError RP404 for a stage that gives no item vectors.
    """
    n = data.n_items
    near, total = np.zeros((n, n), np.float32), np.float32(0)
    known = np.zeros(n, np.bool_)
    for name, one in encoded.items():
        if one.items is None:
            raise RunError.of("RP404", f"'{name}' gives no item vectors", help=("leave it out of 'from'",))
        weight = np.float32(p.blocks.get(name, 1.0))
        there = ~one.items.missing
        learnt = there & ~data.cold_items()
        mean = one.items.vectors[learnt].mean(axis=0, dtype=np.float64) if learnt.any() else 0.0
        rows = np.where(there[:, None], one.items.vectors - np.asarray(mean, np.float32), np.float32(0))
        rows = unit_rows(rows.astype(np.float32))
        near += weight * (rows @ rows.T)
        total += weight
        known |= there
    far = 2 * (total - near)
    np.fill_diagonal(far, 0)
    np.maximum(far, 0, out=far)
    step = max(1, n // 2_000)  # the median of four million distances is near enough
    some = far[::step, ::step]
    middle = float(np.median(some[~np.eye(len(some), dtype=np.bool_)])) if len(some) > 1 else 0.0
    kernel: FloatArray = np.exp(far * np.float32(-p.sharpness / middle if middle > 0 else 0))
    return kernel, known
