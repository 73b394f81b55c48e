"""What is believed of a linear bandit's arms: a normal posterior for each of many users, moved by rewards."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import IntArray, Pack

Doubles: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Posterior:
    """Of n users and k features: weights are normal with mean A⁻¹b and covariance noise² A⁻¹.

    `precision` A (n, k, k) and `moment` b (n, k), float64; `noise` is the standard deviation of a reward about its
    mean. A reward r of features x adds x xᵀ to A and r x to b.
    """

    precision: Doubles
    moment: Doubles
    noise: float

    @classmethod
    def prior(cls, mean: Doubles, precision: Doubles, noise: float, *, users: int) -> Posterior:
        """The same belief for every user: `mean` (k,), `precision` (k, k)."""
        moment = precision @ mean
        return cls(np.repeat(precision[None], users, axis=0), np.repeat(moment[None], users, axis=0), noise)

    def moved(self, user: IntArray, features: Doubles, reward: Doubles) -> Posterior:
        """After rewards, (p,), of users, (p,), with features (p, k); in any order and in any number of parts."""
        precision, moment = self.precision.copy(), self.moment.copy()
        np.add.at(precision, user, features[:, :, None] * features[:, None, :])
        np.add.at(moment, user, reward[:, None] * features)
        return replace(self, precision=precision, moment=moment)

    def take(self, users: IntArray) -> Posterior:
        """The beliefs of these users, in that order."""
        return replace(self, precision=self.precision[users], moment=self.moment[users])

    def mean(self) -> Doubles:
        """The expected weights, (n, k)."""
        return np.linalg.solve(self.precision, self.moment[:, :, None])[:, :, 0].astype(np.float64)

    def covariance(self) -> Doubles:
        """noise² A⁻¹, (n, k, k)."""
        return (np.linalg.inv(self.precision) * self.noise**2).astype(np.float64)

    def draw(self, normal: Doubles) -> Doubles:
        """Weights drawn from the posterior, (n, k), by standard normal numbers of that shape; zeros give the mean.

        A = L Lᵀ: L⁻ᵀ · normal has covariance A⁻¹.
        """
        upper = np.swapaxes(np.linalg.cholesky(self.precision), 1, 2)
        away = np.linalg.solve(upper, normal[:, :, None])[:, :, 0].astype(np.float64)
        return self.mean() + self.noise * away

    def pack(self) -> Pack:
        """See `Pack`."""
        return Pack({"precision": self.precision, "moment": self.moment}, values={"noise": self.noise})

    @classmethod
    def unpack(cls, pack: Pack) -> Posterior:
        """The inverse of `pack`."""
        return cls(pack.arrays["precision"], pack.arrays["moment"], pack.values["noise"])


def shared_prior(features: Doubles, reward: Doubles, *, strength: float) -> Posterior:
    """The belief of somebody of whom nothing is known, from the rewards of all: one row.

    The mean is the ridge regression of rewards on features, (p,) and (p, k); the precision that of `strength` rewards
    of average features; the noise that of the regression's residuals.
    """
    k = features.shape[1]
    gram = features.T @ features + np.eye(k)
    mean: Doubles = np.linalg.solve(gram, features.T @ reward).astype(np.float64)
    gap = reward - features @ mean
    noise = max(float(np.sqrt((gap @ gap) / max(len(reward), 1))), 1e-3)
    return Posterior.prior(mean, gram * (strength / (len(reward) + 1)), noise, users=1)
