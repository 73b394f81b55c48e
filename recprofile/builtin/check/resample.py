"""The bootstrap over users: sums of what each user gives, when users are drawn anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Doubles = NDArray[np.float64]
CELLS = 1 << 22  # draws at once: 32 MiB


@dataclass(frozen=True, eq=False)
class Drawn:
    """Column sums over users, (c,), and under each of many resamples of the users, (times, c)."""

    sums: Doubles
    samples: Doubles
    confidence: float

    def estimate(self, of: Callable[[Doubles], Doubles]) -> Estimate:
        """A statistic of the sums, with its percentile interval; `of` takes (…, c) and gives (…)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            value, drawn = float(of(self.sums)), of(self.samples)
        drawn = drawn[np.isfinite(drawn)]
        if len(drawn) == 0 or not np.isfinite(value):
            return Estimate(value, value, value)
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(drawn, [tail, 1 - tail])
        # With few users a statistic may lie outside the middle of its own resamples.
        return Estimate(value, min(float(low), value), max(float(high), value))


@dataclass(frozen=True)
class Estimate:
    """A number with its interval, NaN where the data do not define it."""

    value: float
    low: float
    high: float

    @property
    def defined(self) -> bool:
        """Whether there is a number."""
        return bool(np.isfinite(self.value))

    def __str__(self) -> str:
        return f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g})"


def draw(columns: Doubles | csr_array, *, times: int, confidence: float, rng: np.random.Generator) -> Drawn:
    """Resample the rows of (n_users, c), as many as there are, with replacement.

    Events of one user hang together: drawn one by one they would make intervals too narrow. A resample is a row of
    counts, so that all columns together cost one matrix product.

    Source: Efron & Tibshirani 1993, "An introduction to the bootstrap"; of clusters: Davison & Hinkley 1997, 3.8.
    """
    n, c = columns.shape
    samples = np.zeros((times, c))
    step = max(1, CELLS // max(1, n))
    for at in range(0, times if n else 0, step):
        many = min(step, times - at)
        drawn = rng.integers(0, n, size=(many, n)) + np.arange(many)[:, None] * n
        counts = np.bincount(drawn.ravel(), minlength=many * n).reshape(many, n).astype(np.float64)
        samples[at : at + many] = counts @ columns
    return Drawn(np.asarray(columns.sum(axis=0), np.float64).ravel(), samples, confidence)
