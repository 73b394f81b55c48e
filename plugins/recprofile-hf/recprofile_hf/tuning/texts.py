"""Texts as vectors that can be trained: what lies below the trained layers is computed once and kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from recprofile.plugin import IntArray, Rows
from recprofile_hf.networks import pool
from recprofile_hf.tuning.layers import Lower
from recprofile_hf.tuning.methods import Tuned

KEPT_BYTES = 1 << 30  # most memory for what lies below; beyond it is computed at every step
CHUNK = 32  # texts at once: batches of all lengths would be padding by half


class Texts:
    """n tokenised texts. `ids` in one array, text i from `start[i]` on, `length[i]` of them, 1 or more."""

    def __init__(self, ids: NDArray[np.int32], start: Rows, length: IntArray, lower: Lower, *, pooling: str) -> None:
        self.ids, self.start, self.length, self.lower, self.pooling = ids, start, length, lower, pooling
        self.device = next(lower.model.parameters()).device
        width = int(lower.model.config.hidden_size)
        self._kept: torch.Tensor | None = None
        if len(ids) * width * 4 <= KEPT_BYTES and lower.below:
            kept = torch.empty((len(ids), width), dtype=torch.float32)
            for rows in self._chunks(np.arange(len(length)), 4 * CHUNK):
                tokens, inside, place = self._padded(rows)
                kept[place[inside]] = self.lower(tokens, inside.to(self.device)).cpu().float()[inside]
            self._kept = kept

    def vectors(self, tuned: Tuned, rows: Rows, *, chunk: int = CHUNK) -> torch.Tensor:
        """Pooled vectors of the trained model, (len(rows), d), with gradients where they are on."""
        order = np.argsort(-self.length[rows], kind="stable")
        parts = []
        for at in self._chunks(rows[order], chunk):
            tokens, inside, place = self._padded(at)
            mask = inside.to(self.device)
            if self._kept is None:
                hidden = self.lower(tokens, mask)
            else:
                hidden = self._kept[place].to(self.device)
            parts.append(pool(tuned.upper(hidden, tokens, mask), mask, self.pooling))
        back = np.empty(len(rows), np.int64)
        back[order] = np.arange(len(rows))
        return torch.cat(parts)[torch.from_numpy(back).to(self.device)]

    def all(self, tuned: Tuned) -> NDArray[np.float32]:
        """Those of every text, (n, d), without gradients and dropout."""
        tuned.train(False)
        with torch.no_grad():
            return self.vectors(tuned, np.arange(len(self.length)), chunk=4 * CHUNK).cpu().numpy()

    def _chunks(self, rows: Rows, size: int) -> Sequence[Rows]:
        return [rows[at : at + size] for at in range(0, len(rows), size)]

    def _padded(self, rows: Rows) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Tokens (b, t) on the device, which of them are inside, and where each stands in `ids`."""
        length = self.length[rows, None]
        at = np.arange(int(length.max()))
        inside = at < length
        place = np.where(inside, self.start[rows, None] + at, self.start[rows, None])
        tokens = torch.from_numpy(self.ids[place].astype(np.int64)).to(self.device)
        return tokens, torch.from_numpy(inside), torch.from_numpy(place)
