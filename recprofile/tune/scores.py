"""Trials compared user by user, over all folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recprofile.evaluate import UserScores


@dataclass(frozen=True)
class Estimate:
    """A mean over folds, and its standard error."""

    value: float
    error: float


def estimate(folds: Sequence[UserScores]) -> Estimate:
    """The mean over folds of the mean over users, with its standard error.

    A user's part in it is c_u = Σ_f d_uf / (F n_f); the mean is Σ_u c_u and its error √(n · var c), so that a user who
    is judged in several folds counts as one. Of three folds or more, the error of the mean of F fold means is taken
    where it is the larger one: items that are held out together speak for all users at once.
    """
    scored = [fold for fold in folds if len(fold.values)]
    if not scored:
        return Estimate(0.0, 0.0)
    count = len(scored)
    size = 1 + max(int(fold.users.max()) for fold in scored)
    part, judged = np.zeros(size), np.zeros(size, np.bool_)
    for fold in scored:
        part[fold.users] += fold.values / (count * len(fold.values))
        judged[fold.users] = True
    n = int(judged.sum())
    error = float(np.sqrt(n * part[judged].var(ddof=1))) if n > 1 else 0.0
    if count >= 3:
        error = max(error, float(np.std([fold.mean for fold in scored], ddof=1) / np.sqrt(count)))
    return Estimate(float(part.sum()), error)


def difference(a: Sequence[UserScores], b: Sequence[UserScores]) -> Estimate:
    """By how much a is better than b, over the users judged in both, fold by fold."""
    return estimate([one.minus(other) for one, other in zip(a, b, strict=True)])
