"""Positive pairs, and items drawn to compare them with. Imports torch: to be imported late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from recprofile.builtin.descent.tensors import Chance, on
from recprofile.plugin import Dataset

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class Pairs:
    """The entries of a sparse matrix (n, m) on a device: `row` and `column` int64, by row and then column."""

    def __init__(self, matrix: csr_array, device: str) -> None:
        self._m = max(matrix.shape[1], 1)
        self.row = on(device, np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)))
        self.column = on(device, matrix.indices)
        self._keys = self.row * self._m + self.column

    def __len__(self) -> int:
        return len(self.row)

    def have(self, row: Tensor, column: Tensor) -> Tensor:
        """Whether these pairs, of shapes that broadcast, are entries: bool."""
        keys = row * self._m + column
        if len(self) == 0:
            return torch.zeros_like(keys, dtype=torch.bool)
        at = torch.searchsorted(self._keys, keys).clamp(max=len(self) - 1)
        return torch.eq(self._keys[at], keys)


class Sampler:
    """Draws items that have a positive event: all alike, or by the square root of how many they have."""

    def __init__(self, data: Dataset, by: Literal["uniform", "popular"], chance: Chance) -> None:
        counts = data.item_counts()
        share = np.sqrt(counts) if by == "popular" else (counts > 0).astype(np.float64)
        upto = np.cumsum(share) / max(share.sum(), 1e-30)
        self._upto = on(chance.device, upto.astype(np.float32))
        self._last = int(np.flatnonzero(counts)[-1]) if counts.any() else 0
        self._chance = chance

    def draw(self, *shape: int) -> Tensor:
        """Items, int64."""
        found = torch.searchsorted(self._upto, self._chance.uniform(*shape), right=True)
        return found.clamp(max=self._last)  # a number next to 1 may lie above the rounded total
