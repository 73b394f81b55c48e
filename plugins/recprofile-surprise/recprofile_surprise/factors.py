"""What `surprise/svd` learns, and its predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import BoolArray, FloatArray, IntArray, Pack, Ranker


@dataclass(frozen=True, eq=False)
class FactorRanker(Ranker):
    """Mean, biases and factors; a row of zeros for a user or item without training events.

    `user_bias` (n_users,), `item_bias` (n_items,), `user_factors` (n_users, dim), `item_factors` (n_items, dim), all
    float64, as Surprise computes in it; `rated_user`, `rated_item` bool, where there are training events.
    """

    mean: float
    low: float
    high: float
    biased: bool
    user_bias: NDArray[np.float64]
    item_bias: NDArray[np.float64]
    user_factors: NDArray[np.float64]
    item_factors: NDArray[np.float64]
    rated_user: BoolArray
    rated_item: BoolArray

    def scores(self, users: IntArray) -> FloatArray:
        """Predicted ratings of all items, before clipping: (len(users), n_items) float32."""
        out: NDArray[np.float64] = self.user_factors[users] @ self.item_factors.T
        if self.biased:
            out += (self.mean + self.user_bias[users])[:, None]
            out += self.item_bias
        else:
            out[~self.rated_user[users]] = self.mean
            out[:, ~self.rated_item] = self.mean
        return out.astype(np.float32)

    def known_users(self) -> BoolArray:
        """Users with training events."""
        return self.rated_user

    def predict(self, users: IntArray, items: IntArray) -> FloatArray:
        """Predicted ratings pair by pair, in the unit of the weights and within their range: (n_pairs,) float32."""
        out = np.empty(len(users), np.float32)
        step = max(1, (1 << 21) // max(1, self.user_factors.shape[1]))  # pairs at once, so that a block takes 16 MB
        for start in range(0, len(users), step):
            u, i = users[start : start + step], items[start : start + step]
            value = np.einsum("pd,pd->p", self.user_factors[u], self.item_factors[i])
            if self.biased:
                value += self.mean + self.user_bias[u] + self.item_bias[i]
            else:
                value[~(self.rated_user[u] & self.rated_item[i])] = self.mean
            out[start : start + step] = np.clip(value, self.low, self.high)
        return out

    def pack(self) -> Pack:
        """See `Pack`."""
        arrays = {
            "user_bias": self.user_bias,
            "item_bias": self.item_bias,
            "user_factors": self.user_factors,
            "item_factors": self.item_factors,
            "rated_user": self.rated_user,
            "rated_item": self.rated_item,
        }
        return Pack(arrays, values={"mean": self.mean, "low": self.low, "high": self.high, "biased": self.biased})

    @classmethod
    def unpack(cls, pack: Pack) -> FactorRanker:
        """The inverse of `pack`."""
        parts: dict[str, Any] = {**pack.values, **pack.arrays}
        return cls(**parts)
