"""Inner products of users with all items, on the device that a ranker is on."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from recprofile.plugin import FloatArray, has_onednn

# A multiplication and an addition for each dimension of each score of all users: from here on what oneDNN saves is more
# than torch takes to load. On a Zen 5, blocks of 800 users by 10,000 items of 448 dimensions: 350 GFLOP/s against 200
# of numpy's OpenBLAS.
WORTH = 1e11
FEW = 64  # users at a time that are not worth it
ROWS = 1024  # for about how many users at a time oneDNN lays the items out


class InnerProducts:
    """Scores of users by their vectors; `items` (n_items, d) float32.

    `users` is how many there are in all. It decides what multiplies, so that the same data are scored alike whatever
    else has run.
    """

    def __init__(self, items: FloatArray, *, users: int, device: str = "cpu") -> None:
        self._items, self._device = items, device
        self._many = 2.0 * users * items.size >= WORTH

    def of(self, users: FloatArray) -> FloatArray:
        """Their scores, (len(users), n_items) float32, from vectors (len(users), d)."""
        if self._device != "cpu":
            import torch

            there: FloatArray = (_tensor(users).to(self._device) @ self._there.T).cpu().numpy()
            return there
        if self._many and len(users) >= FEW and has_onednn():
            import torch

            with torch.inference_mode():
                out: FloatArray = torch.ops.mkldnn._linear_pointwise(
                    _tensor(users), self._laid_out, None, "none", [], ""
                ).numpy()
            return out
        if len(users) == 1:  # who is served must not wait
            from recprofile.builtin.products import fill_row

            row = np.empty((1, len(self._items)), np.float32)
            fill_row(users[0], self._items, row[0])
            return row
        return users @ self._items.T

    @cached_property
    def _there(self) -> Any:  # noqa: ANN401 - a torch tensor, and torch is imported only where it is used
        return _tensor(self._items).to(self._device)

    @cached_property
    def _laid_out(self) -> Any:  # noqa: ANN401
        import torch

        return torch.ops.mkldnn._reorder_linear_weight(_tensor(self._items), ROWS)


def _tensor(array: FloatArray) -> Any:  # noqa: ANN401
    """With the same memory where torch takes it: it wants to be allowed to write."""
    import torch

    return torch.from_numpy(np.require(array, requirements=["C", "W"]))
