"""What a gate sees of a user, and the block weights that follow from it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recprofile.builtin.fuse.layout import masked
from recprofile.builtin.fuse.mixed import first_axes
from recprofile.builtin.fuse.sides import Part
from recprofile.builtin.lengths import unit_rows
from recprofile.plugin import Dataset, FloatArray

State = Mapping[str, NDArray[Any]]


def gate_state(parts: Mapping[str, Part], *, steady: Collection[str], components: int) -> State:
    """For each `steady` block, the first principal axes of its item vectors: (d, components).

    Of others the axes are new after each training, and mean nothing to a gate learnt before.
    """
    state = {}
    for name, part in parts.items():
        if name not in steady:
            continue
        state[f"axes/{name}"] = first_axes(unit_rows(part.items[part.there]), components)
    return state


def gate_inputs(parts: Mapping[str, Part], data: Dataset, state: State) -> NDArray[np.float64]:
    """Of each user: log(1 + events), the length in each block that follows from history, and the direction along axes.

    (n_users, n_inputs), not standardised, 0 where the block is missing.
    """
    columns = [np.log1p(np.bincount(data.train.user, minlength=data.n_users))[:, None]]
    for name, part in parts.items():
        if part.follows_history:  # else an update could not make it of one
            columns.append(part.lengths[:, None])
        if f"axes/{name}" in state:
            columns.append(unit_rows(part.users) @ state[f"axes/{name}"])
    return np.concatenate(columns, axis=1).astype(np.float64)


def scale_of(inputs: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of each input; 1 for a constant one."""
    spread = inputs.std(axis=0)
    return inputs.mean(axis=0), np.where(spread > 1e-9, spread, 1)


def standardised(inputs: NDArray[np.float64], mean: NDArray[Any], spread: NDArray[Any]) -> FloatArray:
    """Inputs less their mean, over their deviation."""
    return np.asarray((inputs - mean) / spread, np.float32)


def gate_weights(values: State, inputs: FloatArray, parts: Mapping[str, Part], total: float) -> FloatArray:
    """(n_users, n_blocks), each row summing to `total` over the blocks that the user has: softmax of the gate."""
    logit = np.tanh(inputs @ values["inner"] + values["bias"]) @ values["outer"] + values["log_weights"]
    weight = np.exp(logit - logit.max(axis=1, keepdims=True))
    weight = (weight / weight.sum(axis=1, keepdims=True) * total).astype(np.float32)
    here = np.stack([part.here for part in parts.values()], axis=1)
    return masked(weight, here)
