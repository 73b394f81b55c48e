"""What an adjusted effect needs and nobody asks for: covariates as numbers, ridge and logistic regression, folds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.builtin.preprocess.logged import as_numbers
from recprofile.plugin import BoolArray, DataError

Doubles = NDArray[np.float64]
MOST_VALUES = 50  # of a text column that get a column each, the most frequent; the others share one
NEWTON_STEPS = 50


def design(columns: Sequence[pl.Series], n: int) -> Doubles:
    """Covariates of length n as a matrix (n, d), each column with mean 0 and deviation 1, or 0 where it is constant.

    A number is one column, missing values at its mean, with a second column that marks them where there are any; text
    is a column for each of its values, a missing one being a value, too. Raises DataError RP503 for any other type.
    """
    made: list[Doubles] = []
    for values in columns:
        if values.dtype.is_numeric() or values.dtype == pl.Boolean:
            numbers = as_numbers(values, values.name)
            missing = np.isnan(numbers)
            made.append(np.where(missing, np.nanmean(numbers) if not missing.all() else 0.0, numbers))
            if missing.any():
                made.append(missing.astype(np.float64))
        elif values.dtype in (pl.String, pl.Categorical, pl.Enum):
            text = values.cast(pl.String).fill_null("")
            counts = text.value_counts(sort=False, name="n").sort(["n", text.name], descending=[True, False])
            made += [(text == value).to_numpy().astype(np.float64) for value in counts[text.name].head(MOST_VALUES)]
        else:
            raise DataError.of("RP503", f"column '{values.name}' is {values.dtype}, and must be numbers or text")
    x = np.stack(made, axis=1) if made else np.zeros((n, 0))
    if n == 0:
        return x
    spread = x.std(axis=0)
    out: Doubles = np.divide(x - x.mean(axis=0), spread, out=np.zeros_like(x), where=spread > 1e-12)
    return out


def ridge(x: Doubles, y: Doubles, *, l2: float) -> Doubles:
    """Intercept and weights (1 + d,) that minimise Σ (y - b₀ - x·b)² + l2 |b|²; the intercept is free."""
    centre, mean = x.mean(axis=0), y.mean()
    c = x - centre
    weights = np.linalg.solve(c.T @ c + l2 * np.eye(x.shape[1]), c.T @ (y - mean))
    return np.append(mean - centre @ weights, weights)


def linear(x: Doubles, weights: Doubles) -> Doubles:
    """b₀ + x·b."""
    out: Doubles = weights[0] + x @ weights[1:]
    return out


def logistic(x: Doubles, y: Doubles, *, l2: float) -> Doubles:
    """Intercept and weights (1 + d,) that minimise the log loss of y in {0, 1} + l2 |b|² / 2, by Newton's method.

    The intercept is penalised by a millionth, so that there is a minimum where all y are equal.
    """
    wide = np.column_stack([np.ones(len(x)), x])
    penalty = np.append(1e-6, np.full(x.shape[1], l2))

    def loss(w: Doubles) -> float:
        z = wide @ w
        return float((np.logaddexp(0, z) - y * z).sum() + penalty @ w**2 / 2)

    weights = np.zeros(wide.shape[1])
    best = loss(weights)
    for _ in range(NEWTON_STEPS):
        p = sigmoid(wide @ weights)
        slope = wide.T @ (p - y) + penalty * weights
        curve = (wide * (p * (1 - p))[:, None]).T @ wide + np.diag(penalty)
        step = np.linalg.solve(curve, slope)
        share = 1.0
        while (now := loss(weights - share * step)) > best and share > 1e-6:  # too far, where p are near 0 or 1
            share /= 2
        if not best - now > 1e-10 * max(1.0, best):
            break
        weights, best = weights - share * step, now
    return weights


def sigmoid(z: Doubles) -> Doubles:
    """1 / (1 + e^-z)."""
    out: Doubles = 1 / (1 + np.exp(-np.clip(z, -500, 500)))
    return out


def folds(user: NDArray[np.integer], n: int, rng: np.random.Generator) -> Iterator[BoolArray]:
    """Masks that part the rows into n folds, all rows of a user in one; of fewer users, as many as there are."""
    users, code = np.unique(user, return_inverse=True)
    of = rng.permutation(len(users)) % min(n, max(1, len(users)))
    for fold in range(int(of.max(initial=-1)) + 1):
        yield of[code] == fold
