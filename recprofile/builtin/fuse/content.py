"""Blocks of items side by side, as the closed forms see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from recprofile.builtin.fuse.sides import Part
from recprofile.builtin.lengths import unit_rows
from recprofile.plugin import BoolArray, FloatArray


def content_of(parts: Mapping[str, Part], names: Iterable[str]) -> tuple[FloatArray, BoolArray]:
    """The items of these blocks, each block of length 1 and zero where missing, (n_items, D); and who has any."""
    chosen = [parts[name] for name in names]
    x = np.concatenate([unit_rows(part.items) for part in chosen], axis=1)
    return x, np.any([part.there for part in chosen], axis=0)
