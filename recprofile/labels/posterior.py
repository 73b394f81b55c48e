"""How uncertain the taste of each item (or user) is, given their events so far and what those of alike ones tell.

A Gaussian model, in which one number f stands for what is not known of each of n items: f = Y·w + e with w ~ N(0, I)
what alike items share, Y (n, d) their vectors with |y_i|² ≤ 1 - own share, and e_i ~ N(0, 1 - |y_i|²) what is theirs
alone, so that an item without events has a variance of 1. The mean of n_i events says f_i up to N(0, σ²/n_i). Then

    Cov(f_i, f_j) = z_iᵀ P z_j + [i = j] t_i   with  P = (I + Σ_i a_i y_i y_iᵀ)⁻¹,  a_i = n_i / (n_i·own_i + σ²),
    t_i = own_i σ² a_i / n_i,  z_i = y_i·σ² / (n_i·own_i + σ²).

Source: active learning by the variance that a label would remove (Cohn, Ghahramani & Jordan 1996; Yu, Bi & Tresp 2006,
"Active learning via transductive experimental design"); for recommenders Rubens, Elahi, Sugiyama & Kaplan 2015,
"Active learning in recommender systems".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recprofile.artifacts import FloatArray

OWN = 0.5  # share of an item's variance that no vector tells
NOISE = 3.0  # σ²: so many events of its own leave half of an item's variance, where vectors tell nothing of it
MOST_DIM = 128  # directions that are kept; what lies in others counts as the item's own


class Posterior:
    """The model of n items: `vectors` (n, d) with rows of length 1 at most, `events` (n,) so far.

    A row shorter than 1 is of an item of which vectors tell less, and a zero row of one of which they tell nothing.
    """

    def __init__(
        self, vectors: FloatArray, events: NDArray[np.int64], *, own: float = OWN, noise: float = NOISE
    ) -> None:
        self.noise = noise
        self.vectors = _narrow(vectors) * np.float32(np.sqrt(1 - own))
        self.own = 1 - _squares(self.vectors)
        self.events = events.astype(np.float64)
        scale = self.events * self.own + self.noise
        weighted = self.vectors * (self.events / scale).astype(np.float32)[:, None]
        self._precision = np.eye(self.vectors.shape[1]) + (weighted.T @ self.vectors).astype(np.float64)
        left = self.noise / scale
        self._open: FloatArray = self.vectors * left.astype(np.float32)[:, None]
        self._alone: NDArray[np.float64] = self.own * left
        self._shared: FloatArray = np.linalg.inv(self._precision).astype(np.float32)

    def variances(self) -> NDArray[np.float64]:
        """What is left of each item's variance, (n,), from 0 to 1."""
        return _rows(self._open, self._open @ self._shared) + self._alone

    def gains(self, labels: int) -> NDArray[np.float64]:
        """By how much so many labels of an item would lower the sum of all variances, (n,).

        Σ_j Cov(f_i, f_j)² / (Var(f_i) + σ²/labels); one product of (n, d) with (d, d), never n × n.
        """
        to_shared: FloatArray = self._open @ self._shared
        alike = _rows(self._open, to_shared)
        gram: FloatArray = self._open.T @ self._open
        reached: FloatArray = to_shared @ gram
        covered = _rows(reached, to_shared)
        others = covered + 2 * self._alone * alike + self._alone**2
        return others / (alike + self._alone + self.noise / labels)

    def add(self, item: int, labels: int) -> None:
        """So many more events of an item."""
        own, row = self.own[item], self.vectors[item].astype(np.float64)
        before = self.events[item] / (self.events[item] * own + self.noise)
        self.events[item] += labels
        scale = self.events[item] * own + self.noise
        self._precision += (self.events[item] / scale - before) * np.outer(row, row)
        self._open[item] = self.vectors[item] * np.float32(self.noise / scale)
        self._alone[item] = own * self.noise / scale
        self._shared = np.linalg.inv(self._precision).astype(np.float32)


def _narrow(vectors: FloatArray) -> FloatArray:
    """At most MOST_DIM columns: the projection on what most of the rows lie in, which makes no row longer.

    Source: Halko, Martinsson & Tropp 2011, the randomised range finder with one power iteration.
    """
    width = vectors.shape[1]
    if width <= MOST_DIM:
        return vectors.astype(np.float32, copy=False)
    sketch = np.random.default_rng(0).standard_normal((width, MOST_DIM), np.float32)
    for _ in range(2):
        sketch, _ = np.linalg.qr(vectors.T @ (vectors @ sketch))
    narrow: FloatArray = vectors @ sketch
    return narrow


def _rows(a: FloatArray, b: FloatArray) -> NDArray[np.float64]:
    """Inner products of the rows of one with those of the other, (n,)."""
    found: NDArray[np.float64] = np.einsum("ij,ij->i", a, b).astype(np.float64)
    return found


def _squares(a: FloatArray) -> NDArray[np.float64]:
    return np.minimum(_rows(a, a), 1.0)
