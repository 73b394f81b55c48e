"""Confidence intervals of means over users, and paired differences, by the bootstrap.

Metrics of the system (coverage, gini) get no interval: a resample of the users holds only about 63 % of their distinct
lists, so that its coverage is always lower and its Gini coefficient always higher than that of the lists themselves,
and a percentile interval would lie beside the value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recprofile.metrics.formulas import Values, ratio

BLOCK_BYTES = 32 * 2**20  # counts of resampled users held at once: n users x all resamples is large


@dataclass(frozen=True)
class Interval:
    """A mean over `n` users with its confidence interval; NaN where there is nothing to take a mean of."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Difference(Interval):
    """A mean difference over `n` users with its interval and two-sided p-value."""

    p: float = np.nan


def bootstrap_interval(values: Values, *, resamples: int, confidence: float, seed: int) -> Interval:
    """Mean of one value per user, NaN left out, with its percentile bootstrap interval (Efron 1979) over users."""
    column = values[:, None]
    samples = resampled_means(column, resamples=resamples, seed=seed)
    return intervals(column, samples, confidence=confidence)[0]


def paired_difference(a: Values, b: Values, *, resamples: int, confidence: float, seed: int) -> Difference:
    """Mean of a - b over users who have both, its interval, and p.

    Both are resampled together, as users differ far more than systems do. p is the two-sided bootstrap p-value,
    2 min(share of resampled means ≤ 0, share ≥ 0) with one resample added to both (Davison & Hinkley 1997, 4.4): it
    cannot be 0, and is below 1 - confidence where the interval leaves 0 out, up to that one.
    """
    column = (a - b)[:, None]
    samples = resampled_means(column, resamples=resamples, seed=seed)
    return differences(column, samples, confidence=confidence)[0]


def resampled_means(columns: Values, *, resamples: int, seed: int) -> Values:
    """Means of each column, NaN left out, under each resample of the rows: (n, c) → (resamples, c)."""
    known = ~np.isnan(columns)
    return resampled_ratios(np.where(known, columns, 0), known.astype(np.float64), resamples=resamples, seed=seed)


def resampled_ratios(top: Values, bottom: Values, *, resamples: int, seed: int) -> Values:
    """Σ top / Σ bottom of each column under each resample of the rows: (n, c) → (resamples, c).

    NaN where a resample has Σ bottom = 0. The resamples depend on n and seed alone: columns that are given separately
    stay paired. A resample is a row of counts, so that all columns cost one matrix product.
    """
    n = len(top)
    out = np.full((resamples, top.shape[1]), np.nan)
    rng = np.random.default_rng(seed)
    size = max(1, BLOCK_BYTES // (24 * max(1, n)))
    # Most columns are of the same users: what they are divided by is summed up once, which halves the time.
    first: dict[bytes, int] = {}
    at = [first.setdefault(column.tobytes(), len(first)) for column in bottom.T]
    bottoms = bottom[:, [at.index(one) for one in range(len(first))]]
    for start in range(0, resamples if n else 0, size):
        many = min(size, resamples - start)
        drawn = rng.integers(0, n, size=(many, n)) + np.arange(many)[:, None] * n
        times = np.bincount(drawn.ravel(), minlength=many * n).reshape(many, n).astype(np.float64)
        below = (times @ bottoms)[:, at]
        np.divide(times @ top, below, out=out[start : start + many], where=below > 0)
    return out


def intervals(columns: Values, samples: Values, *, confidence: float) -> list[Interval]:
    """Mean, percentile interval and n of each column (n, c), given its resampled means (resamples, c)."""
    known = ~np.isnan(columns)
    n = np.count_nonzero(known, axis=0)
    means = ratio(np.where(known, columns, 0).sum(axis=0), n)
    return [
        Interval(float(mean), *percentile_interval(column, confidence), int(many))
        for mean, column, many in zip(means, samples.T, n, strict=True)
    ]


def differences(columns: Values, samples: Values, *, confidence: float) -> list[Difference]:
    """As `intervals`, with p-values, for columns that are differences."""
    found = intervals(columns, samples, confidence=confidence)
    return [
        Difference(i.value, i.low, i.high, i.n, p_value(column)) for i, column in zip(found, samples.T, strict=True)
    ]


def percentile_interval(samples: Values, confidence: float) -> tuple[float, float]:
    """The middle `confidence` of resampled values, NaN left out."""
    good = samples[~np.isnan(samples)]
    if len(good) == 0:
        return np.nan, np.nan
    low, high = np.quantile(good, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def p_value(samples: Values) -> float:
    """Two-sided bootstrap p-value of resampled differences; see `paired_difference`."""
    good = samples[~np.isnan(samples)]
    if len(good) == 0:
        return np.nan
    tail = min(np.count_nonzero(good <= 0), np.count_nonzero(good >= 0))
    return float(min(1.0, 2 * (tail + 1) / (len(good) + 1)))
