"""Effects of a treatment, unit by unit: doubly robust scores, a fitted uplift score, and the Qini curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recprofile.builtin.check.nuisance import folds, linear, logistic, ridge, sigmoid

Doubles = NDArray[np.float64]
OVERLAP = 0.01  # propensities of the treatment are cut to [this, 1 - this]
BINS = 200  # steps of a Qini curve; equal scores stay together


@dataclass(frozen=True, eq=False)
class Effects:
    """Of each unit, float64 (n,), the doubly robust score of its effect and the propensity of treatment that it took.

    A score is noisy, with the unit's true effect as its mean where either model is right. `cut` counts propensities
    that were out of [OVERLAP, 1 - OVERLAP].
    """

    scores: Doubles
    propensity: Doubles
    cut: int


def effects(
    outcome: Doubles,
    treated: Doubles,
    covariates: Doubles,
    user: NDArray[np.integer],
    *,
    propensity: Doubles | None,
    n_folds: int,
    l2: float,
    rng: np.random.Generator,
) -> Effects:
    """Augmented inverse propensity weighting with cross-fitting: nothing is predicted by what it was learnt from.

    Score = m₁ - m₀ + t (y - m₁) / e - (1 - t) (y - m₀) / (1 - e), with m₁, m₀ the ridge regressions of the outcome on
    covariates in either arm, and e the propensity of treatment: given, or of a logistic regression on the covariates
    (without covariates the share of treated).

    Source: Robins, Rotnitzky & Zhao 1994; cross-fitting: Chernozhukov et al. 2018, "Double/debiased machine learning".
    """
    n, x = len(outcome), covariates
    one, none, chance = np.empty(n), np.empty(n), np.empty(n)
    for held in folds(user, n_folds, rng):
        rest = ~held if not held.all() else held  # a single user: nobody else to learn from
        for out, arm in ((one, treated == 1), (none, treated == 0)):
            learn = rest & arm if (rest & arm).any() else arm
            out[held] = linear(x[held], ridge(x[learn], outcome[learn], l2=l2))
        chance[held] = sigmoid(linear(x[held], logistic(x[rest], treated[rest], l2=l2)))
    if propensity is not None:
        chance = propensity
    elif x.shape[1] == 0:
        chance = np.full(n, treated.mean())
    e = np.clip(chance, OVERLAP, 1 - OVERLAP)
    scores = one - none + treated * (outcome - one) / e - (1 - treated) * (outcome - none) / (1 - e)
    return Effects(scores, e, int(np.count_nonzero(e != chance)))


def fitted_score(
    outcome: Doubles,
    treated: Doubles,
    covariates: Doubles,
    user: NDArray[np.integer],
    *,
    l2: float,
    rng: np.random.Generator,
) -> Doubles:
    """The effect that two ridge regressions, one per arm, predict: float64 (n,), NaN for those they are learnt from.

    A random half of the users teach, and the other half can be judged. Of scores by several folds each would be judged
    by the others' pupils: where there is nothing to find, their Qini coefficients err together, and an interval that
    should cover 95 % covers 85 %. All NaN where an arm is empty among those who teach.

    Source: T-learner, Künzel et al. 2019, "Metalearners for estimating heterogeneous treatment effects".
    """
    out = np.full(len(outcome), np.nan)
    judged = next(folds(user, 2, rng), np.zeros(len(user), np.bool_))
    arms = [~judged & (treated == arm) for arm in (1, 0)]
    if all(arm.any() for arm in arms):
        one, none = (ridge(covariates[arm], outcome[arm], l2=l2) for arm in arms)
        out[judged] = linear(covariates[judged], one - none)
    return out


def qini_bins(score: Doubles) -> NDArray[np.int64]:
    """Bin of each unit, 0 the highest scores, -1 those without, int64 (n,): about BINS alike, equal scores in one."""
    known = ~np.isnan(score)
    values, code, counts = np.unique(-score[known], return_inverse=True, return_counts=True)
    before = np.cumsum(counts) - counts
    bins = before * BINS // max(1, len(code)) if len(values) > BINS else np.arange(len(values))
    _, dense = np.unique(bins, return_inverse=True)
    out = np.full(len(score), -1, np.int64)
    out[known] = dense[code]
    return out


def qini_curve(counts: Doubles, gains: Doubles) -> tuple[Doubles, Doubles]:
    """Share of units treated and gain per unit, when units are treated from the first bin on; (…, bins + 1) each.

    `counts` and `gains` (…, bins): units in each bin, and the sum of their scores.
    """
    total = np.maximum(counts.sum(axis=-1, keepdims=True), 1e-300)
    start = np.zeros((*counts.shape[:-1], 1))
    share = np.concatenate([start, np.cumsum(counts, axis=-1) / total], axis=-1)
    gain = np.concatenate([start, np.cumsum(gains, axis=-1) / total], axis=-1)
    return share, gain


def qini(counts: Doubles, gains: Doubles) -> Doubles:
    """Area between the Qini curve and the straight line to its end, (…,), in units of the outcome; by lot it is 0.

    Within a bin units are treated in any order.
    Source: Radcliffe 2007, "Using control groups to target on predicted lift"; from doubly robust scores: Yadlowsky et
    al. 2025, "Evaluating treatment prioritization rules via rank-weighted average treatment effects".
    """
    share, gain = qini_curve(counts, gains)
    under = (np.diff(share, axis=-1) * (gain[..., 1:] + gain[..., :-1]) / 2).sum(axis=-1)
    out: Doubles = under - gain[..., -1] / 2
    return out
