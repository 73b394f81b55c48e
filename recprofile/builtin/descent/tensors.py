"""Weights, chance and descent, as every learner here needs them. Imports torch: to be imported late."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recprofile.plugin import FloatArray, Pack

Weights = dict[str, Tensor]


class Chance:
    """All chance of one learner, from one seed; torch's own generators are left alone.

    What is drawn once (starting weights, the order of events) is drawn on the CPU and is the same on every device.
    """

    def __init__(self, seed: int, device: str) -> None:
        self.device = device
        self._host = torch.Generator().manual_seed(seed)
        self._there = self._host if device == "cpu" else torch.Generator(device).manual_seed(seed)

    def normal(self, *shape: int, deviation: float) -> Tensor:
        """A weight to start from, of mean 0, that gradients are kept for."""
        drawn = torch.randn(shape, generator=self._host) * deviation
        return drawn.to(self.device).requires_grad_()

    def layer(self, inputs: int, outputs: int) -> Tensor:
        """A matrix to start from that keeps the mean square of what it is given, (inputs, outputs)."""
        return self.normal(inputs, outputs, deviation=float(max(inputs, 1) ** -0.5))

    def zeros(self, *shape: int) -> Tensor:
        """A weight that starts at 0."""
        return torch.zeros(shape, device=self.device, requires_grad=True)

    def ones(self, *shape: int) -> Tensor:
        """A weight that starts at 1."""
        return torch.ones(shape, device=self.device, requires_grad=True)

    def order(self, n: int) -> Tensor:
        """0 … n-1 shuffled, on the device."""
        return torch.randperm(n, generator=self._host).to(self.device)

    def batches(self, n: int, *, size: int) -> Iterator[Tensor]:
        """0 … n-1 shuffled, on the device, in parts of this size; the last may be smaller, and without any is none."""
        order = self.order(n)
        return (order[first : first + size] for first in range(0, n, size))

    def uniform(self, *shape: int) -> Tensor:
        """In [0, 1), on the device."""
        return torch.rand(shape, generator=self._there, device=self.device)

    def below(self, n: int, *shape: int) -> Tensor:
        """Whole numbers 0 … n-1, on the device."""
        return torch.randint(n, shape, generator=self._there, device=self.device)

    def drop(self, x: Tensor, share: float) -> Tensor:
        """Dropout: each entry 0 with this probability, the others scaled so that the mean stays.

        The probability is one in 256ths.
        """
        gone = round(256 * share)  # of the 256 values of a byte: eight are had for one draw of a number
        if gone == 0:
            return x
        numbers = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=self.device)
        drawn = numbers.random_(-(2**63), None, generator=self._there).view(torch.uint8)[: x.numel()]
        return x * (drawn >= gone).view(x.shape) * (256 / (256 - gone))


class Descent:
    """Adam over a learner's weights, with the average of where they have been.

    A step leaves the share `average` of the average in place. What is used is the average: it ranks better than the
    last weights and moves less from epoch to epoch (Polyak & Juditsky 1992). Gradients longer than `longest` are
    shortened to it.
    """

    def __init__(self, weights: Weights, *, learning_rate: float, average: float = 0.98, longest: float = 5.0) -> None:
        self.weights, self._average, self._longest = weights, average, longest
        self._adam = torch.optim.Adam(list(weights.values()), lr=learning_rate)
        self._mean = {name: w.detach().clone() for name, w in weights.items()}
        self._steps = 0

    def step(self, loss: Tensor) -> float:
        """One step down; the loss."""
        self._adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(list(self.weights.values()), self._longest)
        self._adam.step()
        self._steps += 1
        share = max(1 - self._average, 1 / self._steps)  # a plain mean at first, when there is little to average
        with torch.no_grad():
            for name, w in self.weights.items():
                self._mean[name].lerp_(w, share)
        return float(loss.detach())

    def averaged(self) -> Weights:
        """The weights to rank by, copied."""
        return {name: w.clone() for name, w in self._mean.items()}


def pack_weights(weights: Weights) -> dict[str, NDArray[Any]]:
    """The weights as arrays for a Pack."""
    return {f"weight/{name}": to_numpy(w) for name, w in weights.items()}


def unpack_weights(pack: Pack, device: str) -> Weights:
    """The inverse of `pack_weights`."""
    mine = {name: a for name, a in pack.arrays.items() if name.startswith("weight/")}
    return {name.removeprefix("weight/"): on(device, a) for name, a in mine.items()}


def to_numpy(x: Tensor) -> FloatArray:
    """A tensor as float32 in main memory."""
    out: FloatArray = np.ascontiguousarray(x.detach().cpu().numpy())
    return out


def on(device: str, array: NDArray[Any]) -> Tensor:
    """A copy of an array on the device; whole numbers as int64, as torch wants codes."""
    return torch.from_numpy(array.astype(np.int64 if array.dtype.kind == "i" else array.dtype)).to(device)
