"""Item vectors of encode stages, side by side, as networks take them."""

from __future__ import annotations

import numpy as np

from recprofile.plugin import BoolArray, Dataset, FloatArray, Inputs


def content_of(data: Dataset, inputs: Inputs) -> tuple[FloatArray, BoolArray]:
    """Vectors of all items, (n_items, d) float32, and where an item has none of any stage, bool (n_items,).

    Each stage's are divided by their mean length over the items that have one, so that none drowns the others; a
    missing one is 0. Stages that encode users alone are left out; without any d is 0 and every item lacks them.
    """
    parts = [np.zeros((data.n_items, 0), np.float32)]
    missing = np.ones(data.n_items, np.bool_)
    for encoded in inputs.encoded.values():
        if encoded.items is None:
            continue
        vectors = np.where(encoded.items.missing[:, None], np.float32(0), encoded.items.vectors)
        length = np.linalg.norm(vectors, axis=1)
        there = length > 0
        parts.append((vectors / (length[there].mean() if there.any() else 1)).astype(np.float32))
        missing &= ~there
    return np.concatenate(parts, axis=1), missing
