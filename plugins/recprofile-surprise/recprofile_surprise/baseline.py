"""`surprise/baseline`: a bias of each user and of each item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from recprofile.plugin import (
    BoolArray,
    Context,
    Dataset,
    Field,
    FloatArray,
    Inputs,
    IntArray,
    Pack,
    Params,
    Ranker,
    Recommender,
)
from recprofile_surprise.ratings import Doubles, rated_pairs


class BaselineParams(Params):
    method: Literal["als", "sgd"] = Field(
        default="als",
        description="How biases are learnt: 'als', those of items and of users in turn, each in closed form; 'sgd',"
        " stochastic gradient descent.",
    )
    epochs: int | None = Field(
        default=None, ge=1, le=10_000, description="Passes over all ratings, 1 to 10000; null: 10 for als, 20 for sgd."
    )
    l2_users: float = Field(
        default=15, ge=0, le=100_000, description="als: ratings of no bias added to those of each user, 0 to 100000."
    )
    l2_items: float = Field(
        default=10, ge=0, le=100_000, description="als: ratings of no bias added to those of each item, 0 to 100000."
    )
    learning_rate: float = Field(default=0.005, gt=0, le=1, description="sgd: step of the descent, above 0 to 1.")
    l2: float = Field(default=0.02, ge=0, le=100, description="sgd: weight of the squared biases, 0 to 100.")


@dataclass(frozen=True, eq=False)
class BiasRanker(Ranker):
    """mean + user_bias + item_bias, the biases float64 over all users and items, 0 for those without training events.

    `rated_item` bool (n_items,), where there are training events; `user_l2` what new people's biases are learnt with,
    None where they cannot be.
    """

    mean: float
    low: float
    high: float
    user_l2: float | None
    user_bias: Doubles
    item_bias: Doubles
    rated_item: BoolArray

    def scores(self, users: IntArray) -> FloatArray:
        """Predicted ratings of all items, before clipping: (len(users), n_items) float32."""
        return self._scored(self.user_bias[users])

    def scores_of(self, people: Dataset) -> FloatArray:
        """The same for the users of other data with the same items, (people.n_users, n_items) float32."""
        if self.user_l2 is None:
            return super().scores_of(people)
        return self._scored(user_biases(people, self.mean, self.item_bias, self.rated_item, l2=self.user_l2))

    def _scored(self, user_bias: Doubles) -> FloatArray:
        return ((self.mean + user_bias)[:, None] + self.item_bias).astype(np.float32)

    def known_users(self) -> BoolArray:
        """All: the list is the same for everyone, and needs no history."""
        return np.ones(len(self.user_bias), np.bool_)

    def predict(self, users: IntArray, items: IntArray) -> FloatArray:
        """Predicted ratings pair by pair, in the unit of the weights and within their range: (n_pairs,) float32."""
        value = self.mean + self.user_bias[users] + self.item_bias[items]
        return np.clip(value, self.low, self.high).astype(np.float32)

    def pack(self) -> Pack:
        """See `Pack`."""
        arrays = {"user_bias": self.user_bias, "item_bias": self.item_bias, "rated_item": self.rated_item}
        values = {"mean": self.mean, "low": self.low, "high": self.high, "user_l2": self.user_l2}
        return Pack(arrays, values=values)

    @classmethod
    def unpack(cls, pack: Pack) -> BiasRanker:
        """The inverse of `pack`."""
        parts: dict[str, Any] = {**pack.values, **pack.arrays}
        return cls(**parts)


def user_biases(people: Dataset, mean: float, item_bias: Doubles, rated_item: BoolArray, *, l2: float) -> Doubles:
    """Biases that the last step of als gives to these people, (people.n_users,); 0 without a rating of a known item."""
    user, item, value = rated_pairs(people)
    known = rated_item[item]
    user, item, value = user[known], item[known], value[known]
    n = people.n_users
    total = np.bincount(user, value - mean - item_bias[item], minlength=n)
    count = np.bincount(user, minlength=n)
    bias: Doubles = np.divide(total, l2 + count, out=np.zeros(n), where=count > 0)
    return bias


class Baseline(Recommender[BaselineParams]):
    """Ratings from a bias of each user and each item: mean + b_u + b_i.

    Learns from all training events, positive or not, with their weights as ratings; several events of one pair count as
    one rating, their mean. The bias of a user or item without training events is 0. A prediction equals Surprise's own
    for the same pair, clipped to the lowest and highest rating seen; lists are ranked by the same number before
    clipping, and are the same for everyone but for what they have seen. With 'als' people who are not in the data get
    the bias that they would have got as users; events with items that have no training events count for nothing.

    Raises DataError RP505 when there are no training events, RP503 for a weight that is not finite, and RunError RP601
    when the descent diverges, RP604 when the ratings do not fit into memory.

    Source: BaselineOnly of Surprise (Hug 2020, "Surprise: a Python library for recommender systems"); section 2.1 of
    Koren 2010, "Factor in the neighbors".
    """

    name = "baseline"
    predicts_ratings = True
    ranks_new_users = True

    def __init__(self, params: BaselineParams) -> None:
        super().__init__(params)
        self.ranks_new_users = params.method == "als"

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> BiasRanker:
        """The biases, learnt by Surprise."""
        from recprofile_surprise.fit_biases import fit_baseline

        return fit_baseline(data, self.params)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> BiasRanker:
        """The Ranker that was packed."""
        return BiasRanker.unpack(pack)
