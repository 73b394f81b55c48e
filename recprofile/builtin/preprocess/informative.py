"""How much a column says of an outcome, as one number in [0, 1] or so: what `select` goes by.

Columns are those of items or users, a few dozen with a hundred thousand rows; loops here are over columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Codes = NDArray[np.int64]

BINS = 10  # parts of equal frequency that numbers are cut into for mutual information
SWEEPS, CLOSE = 1000, 1e-8  # of coordinate descent: at most so many, and until no coefficient moves further


def is_number(values: pl.Series) -> bool:
    """Whether a column is read as numbers; true and false are 1 and 0, dates and times their position in time."""
    return values.dtype.is_numeric() or values.dtype.is_temporal() or values.dtype == pl.Boolean


def is_category(values: pl.Series) -> bool:
    """Whether a column of text is made of categories: no more than half of its known values are different ones."""
    if values.dtype not in (pl.String, pl.Categorical, pl.Enum):
        return False
    return values.n_unique() - (values.null_count() > 0) <= (len(values) - values.null_count()) / 2


def as_doubles(values: pl.Series) -> Doubles:
    """A column of numbers, float64 (n,), NaN where missing or infinite."""
    whole = values.to_physical() if values.dtype.is_temporal() else values
    numbers = whole.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return np.where(np.isfinite(numbers), numbers, np.nan)


def variance(values: pl.Series) -> float:
    """Numbers: the population variance when brought to [0, 1], at most 1/4; categories: 1 − Σ p², Gini's impurity."""
    if not is_number(values):
        share = values.drop_nulls().value_counts()["count"].to_numpy() / max(1, len(values) - values.null_count())
        return float(1 - np.square(share).sum()) if len(share) else 0.0
    known = as_doubles(values)
    known = known[~np.isnan(known)]
    reach = float(np.ptp(known)) if len(known) else 0.0
    return float((known / reach).var()) if reach > 0 else 0.0


def correlation(values: pl.Series, outcome: Doubles) -> float:
    """|r| after Pearson over rows where both are known; for categories the coefficient of `as_correlation`."""
    if not is_number(values):
        return as_correlation(mutual_information(values, outcome))
    numbers = as_doubles(values)
    both = ~np.isnan(numbers) & ~np.isnan(outcome)
    x, y = _unit(numbers[both]), _unit(outcome[both])
    return 0.0 if x is None or y is None else min(1.0, abs(float(x @ y)))


def mutual_information(values: pl.Series, outcome: Doubles) -> float:
    """Mutual information of a column and an outcome in nats, less what chance alone would show; at least 0.

    Numbers are cut into ten parts of equal frequency, categories are as they are, and what is missing is a part of its
    own. With a and b parts, n rows of unrelated columns show (a − 1)(b − 1) / 2n on average.
    Source: that correction, Miller 1955; Panzeri & Treves 1996.
    """
    known = ~np.isnan(outcome)
    n = int(known.sum())
    if n == 0:
        return 0.0
    a, n_a = _parts(values.filter(pl.Series(known)))
    b, n_b = _parts(pl.Series(outcome[known]))
    joint = np.bincount(a * n_b + b, minlength=n_a * n_b).reshape(n_a, n_b) / n
    apart = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    there = joint > 0
    found = float((joint[there] * np.log(joint[there] / apart[there])).sum())
    return max(0.0, found - (n_a - 1) * (n_b - 1) / (2 * n))


def as_correlation(nats: float) -> float:
    """√(1 − e^(−2·nats)): what |r| is for numbers of a joint normal distribution. Source: Linfoot 1957."""
    return float(np.sqrt(-np.expm1(-2 * nats)))


def lasso(columns: Mapping[str, pl.Series], outcome: Doubles, *, l1: float) -> dict[str, float]:
    """|coefficient| of each column of numbers, columns and outcome at mean 0 and deviation 1, missing ones at the mean.

    Minimises ‖y − Xw‖² / 2n + λ‖w‖₁ with λ = l1 · λ_max, λ_max being the least that makes every coefficient 0.
    Source: Tibshirani 1996; coordinate descent on the Gram matrix, Friedman, Hastie & Tibshirani 2010.
    """
    rows = ~np.isnan(outcome)
    n = int(rows.sum())
    y = _unit(outcome[rows])
    if y is None:
        return dict.fromkeys(columns, 0.0)
    x = np.zeros((n, len(columns)))
    for at, values in enumerate(columns.values()):
        numbers = as_doubles(values)[rows]
        gaps = np.isnan(numbers)
        if not gaps.all():
            column = _unit(np.where(gaps, numbers[~gaps].mean(), numbers))
            x[:, at] = 0 if column is None else column
    gram, towards = x.T @ x, x.T @ y  # of unit columns: n cancels
    penalty = l1 * float(np.abs(towards).max(initial=0))
    w = np.zeros(len(columns))
    for _ in range(SWEEPS):
        moved = 0.0
        for j in np.flatnonzero(gram.diagonal() > 0):
            left = towards[j] - gram[j] @ w + w[j]
            new = np.sign(left) * max(0.0, abs(left) - penalty)
            moved, w[j] = max(moved, abs(new - w[j])), new
        if moved < CLOSE:
            break
    return dict(zip(columns, np.abs(w).tolist(), strict=True))


def _unit(numbers: Doubles) -> Doubles | None:
    """Numbers at mean 0 and length 1; None where they have no spread but rounding."""
    if len(numbers) == 0:
        return None
    centred = numbers - numbers.mean()
    length = float(np.sqrt(centred @ centred))
    if length <= 1e-12 * np.sqrt(len(numbers)) * float(np.abs(numbers).max()):
        return None
    unit: Doubles = centred / length
    return unit


def _parts(values: pl.Series) -> tuple[Codes, int]:
    """A part for each row, int64 (n,), and how many there are."""
    if not is_number(values):
        return _closed(values.cast(pl.String).rank("dense").fill_null(0).to_numpy().astype(np.int64))
    numbers = as_doubles(values)
    known = numbers[~np.isnan(numbers)]
    edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if len(known) else np.zeros(0)
    # A part ends with its edge, so that few different numbers are each a part of its own.
    return _closed(np.where(np.isnan(numbers), len(edges) + 1, np.searchsorted(edges, numbers, side="left")))


def _closed(parts: Sequence[int] | Codes) -> tuple[Codes, int]:
    found, codes = np.unique(parts, return_inverse=True)
    return codes.astype(np.int64), len(found)
