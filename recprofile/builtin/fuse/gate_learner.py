"""Scores as a function of the gate, differentiable."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from recprofile.builtin.fuse.attention_learner import log_weights
from recprofile.builtin.fuse.descent import NOBODY, Learner, Values
from recprofile.builtin.fuse.sides import Part
from recprofile.plugin import FloatArray, IntArray

MOST = 128  # users in a batch


class GateLearner(Learner):
    """Learns `inner`, `bias` and `outer` of the gate, `log_weights` and `temperature` (of the loss alone)."""

    def __init__(
        self, parts: Mapping[str, Part], spreads: Mapping[str, float], weights: FloatArray, inputs: FloatArray,
        *, hidden: int, device: str, seed: int,
    ) -> None:  # fmt: skip
        self.device = device
        self._weights, self._hidden, self._seed = weights, hidden, seed
        self._inputs = torch.from_numpy(inputs).to(device)
        self._here = torch.from_numpy(np.stack([part.here for part in parts.values()], axis=1)).to(device)
        self._blocks = [
            (
                torch.from_numpy(part.users / np.float32(spreads[name])).to(device),
                torch.from_numpy(part.items).to(device),
            )
            for name, part in parts.items()
        ]

    def start(self) -> dict[str, torch.Tensor]:
        """A gate that gives everyone the weights as they are given."""
        generator = torch.Generator().manual_seed(self._seed)
        width = self._inputs.shape[1]
        inner = torch.empty((width, self._hidden)).normal_(0, width**-0.5, generator=generator)
        return {
            "inner": inner.to(self.device),
            "bias": torch.zeros(self._hidden, device=self.device),
            "outer": torch.zeros((self._hidden, len(self._blocks)), device=self.device),
            "log_weights": log_weights(self._weights, self.device),
            "temperature": torch.zeros(1, device=self.device),
        }

    def batches(self, users: IntArray) -> list[IntArray]:
        """A fixed number of users each."""
        return [users[at : at + MOST] for at in range(0, len(users), MOST)]

    def scores(self, values: Values, users: IntArray, items: torch.Tensor) -> torch.Tensor:
        """Σ_b w_ub s_b(u, i) / spread_b, times e^temperature."""
        row = torch.from_numpy(users).to(self.device)
        logit = torch.tanh(self._inputs[row] @ values["inner"] + values["bias"]) @ values["outer"]
        logit = (logit + values["log_weights"]).masked_fill(~self._here[row], NOBODY)
        shares = torch.softmax(logit, dim=1)
        total = torch.zeros((len(users), len(items)), device=self.device)
        for column, (of_users, of_items) in enumerate(self._blocks):
            total = total + shares[:, [column]] * (of_users[row] @ of_items[items].T)
        return total * values["temperature"].exp()
