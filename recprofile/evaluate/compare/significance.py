"""Which paired differences are told apart from chance, and what is left of that when many are looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recprofile.metrics import Values

FLIPS = 10_000
BLOCK_BYTES = 32 * 2**20  # signs held at once: users x all flips is large
CLOSE = 1e-9  # of the sum of magnitudes: two ways to add the same numbers up differ by less


def randomization_p(differences: Values, *, flips: int = FLIPS, seed: int = 0) -> Values:
    """Two-sided p-values of Fisher's paired randomization test on the mean of each column, (n, c) → (c,) in (0, 1].

    Where two systems are alike, which of a user's two values belongs to which is a matter of chance: swapping them
    turns the sign of the difference. p is the share of all sign patterns whose mean is at least as far from 0 as the
    one observed. All 2ⁿ patterns are looked at where they are no more than `flips`, else so many drawn ones, with the
    observed one added to both counts, so that p cannot be 0. The patterns are the same for all columns. NaN: a user
    without both values, who is left out; a column of nothing else has p NaN.

    Sources: Fisher 1935; recommended for comparing rankings by Smucker, Allan & Carterette 2007, and found to keep its
    level by Urbano, Lima & Hanjalic 2019 and, at the sizes of recommender data, Ihemelandu & Ekstrand 2023; the one
    that is added, Phipson & Smyth 2010.
    """
    known = ~np.isnan(differences)
    values = np.where(known, differences, 0.0)
    values = values[(values != 0).any(axis=1)]  # the sign of 0 changes nothing
    n, observed, slack = len(values), np.abs(values.sum(axis=0)), CLOSE * np.abs(values).sum(axis=0)
    exact = n < 60 and 2**n <= flips
    total, extreme = (2**n if exact else flips), np.zeros(values.shape[1], np.int64)
    rng = np.random.default_rng(seed)
    size = max(1, BLOCK_BYTES // (8 * max(1, n)))
    for start in range(0, total, size):
        many = min(size, total - start)
        plus = _patterns(start, many, n) if exact else _drawn(rng, many, n)
        sums = 2 * (plus @ values) - values.sum(axis=0)
        extreme += np.count_nonzero(np.abs(sums) >= observed - slack, axis=0)
    p = extreme / total if exact else (extreme + 1) / (total + 1)
    return np.where(known.any(axis=0), p, np.nan)


def _patterns(start: int, many: int, n: int) -> Values:
    """Sign patterns start … start + many - 1 of all 2ⁿ: 1 for plus and 0 for minus, (many, n)."""
    numbers = np.arange(start, start + many)[:, None]
    return ((numbers >> np.arange(n)) & 1).astype(np.float64)


def _drawn(rng: np.random.Generator, many: int, n: int) -> Values:
    """Random sign patterns, (many, n); eight signs from a byte."""
    packed = rng.integers(0, 256, size=(many, -(-n // 8)), dtype=np.uint8)
    return np.unpackbits(packed, axis=1, count=n).astype(np.float64)


def holm(p: Values) -> Values:
    """p-values corrected for being so many, (m,): the chance of any false finding stays below the level.

    The i-th smallest of m becomes max over j ≤ i of min(1, (m - j + 1) p_j). NaN stays NaN and does not count.

    Source: Holm 1979.
    """
    out = np.full(len(p), np.nan)
    order: NDArray[np.int64] = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # NaN is sorted last
    steps = np.minimum(1.0, p[order] * np.arange(len(order), 0, -1))
    out[order] = np.maximum.accumulate(steps)
    return out
