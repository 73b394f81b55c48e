"""The net of `align`, stopped when the items that it has not seen no longer gain."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recprofile.plugin import FloatArray

BATCH = 256


def net_map(
    x: FloatArray, y: FloatArray, *, hidden: int, epochs: int, learning_rate: float, device: str, seed: int
) -> tuple[dict[str, NDArray[Any]], int, float]:
    """The map from x (n, D) to y (n, d), after how many epochs, and its R² on the tenth of rows that chose them."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))
    out, rest = order[: max(1, len(x) // 10)], order[max(1, len(x) // 10) :]
    mean, target = x.mean(axis=0, dtype=np.float64), y.mean(axis=0, dtype=np.float64)
    spread = float((y - target).std()) or 1.0
    inputs = torch.from_numpy(np.asarray(x - mean, np.float32)).to(device)
    wanted = torch.from_numpy(np.asarray((y - target) / spread, np.float32)).to(device)

    def descend(rows: NDArray[np.int64], most: int) -> tuple[list[float], dict[str, torch.Tensor]]:
        generator = torch.Generator().manual_seed(seed)
        shuffle = np.random.default_rng(seed)
        width = x.shape[1]
        first = torch.empty((width, hidden)).normal_(0, max(1, width) ** -0.5, generator=generator)
        values = {
            "inner": first.to(device).requires_grad_(),
            "bias": torch.zeros(hidden, device=device, requires_grad=True),
            "outer": torch.zeros((hidden, y.shape[1]), device=device, requires_grad=True),
        }

        def errors(some: NDArray[np.int64]) -> torch.Tensor:
            at = torch.from_numpy(some).to(device)
            made = torch.tanh(inputs[at] @ values["inner"] + values["bias"]) @ values["outer"]
            return ((made - wanted[at]) ** 2).sum(dim=1)

        optimiser = torch.optim.Adam(values.values(), lr=learning_rate)
        lost = []
        for _ in range(most):
            with torch.no_grad():
                lost.append(float(errors(out).sum()))
            mixed = shuffle.permutation(rows)
            for start in range(0, len(mixed), BATCH):
                optimiser.zero_grad()
                errors(mixed[start : start + BATCH]).mean().backward()  # type: ignore[no-untyped-call]
                optimiser.step()
        with torch.no_grad():
            lost.append(float(errors(out).sum()))
        return lost, values

    lost, _ = descend(rest, epochs)
    best = int(np.argmin(lost))
    _, values = descend(order, best)
    learnt = {name: value.detach().cpu().numpy().astype(np.float64) for name, value in values.items()}
    learnt["outer"] *= spread
    return {**learnt, "mean": mean, "target": target}, best, 1 - lost[best] / lost[0] if lost[0] > 0 else 0.0
