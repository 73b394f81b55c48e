"""`surprise/normal`: ratings drawn at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import (
    BoolArray,
    Context,
    Dataset,
    FloatArray,
    Inputs,
    IntArray,
    Pack,
    Params,
    Ranker,
    Recommender,
)
from recprofile_surprise.ratings import Doubles, ratings_of


@dataclass(frozen=True, eq=False)
class NormalRanker(Ranker):
    """A rating of each pair from the normal distribution of this mean and deviation, the same whenever it is asked."""

    mean: float
    deviation: float
    low: float
    high: float
    seed: int
    n_users: int
    n_items: int

    def scores(self, users: IntArray) -> FloatArray:
        """Drawn ratings of all items, before clipping: (len(users), n_items) float32."""
        return self._drawn(users[:, None], np.arange(self.n_items, dtype=np.int32)).astype(np.float32)

    def known_users(self) -> BoolArray:
        """All: the list needs no history."""
        return np.ones(self.n_users, np.bool_)

    def predict(self, users: IntArray, items: IntArray) -> FloatArray:
        """Drawn ratings pair by pair, in the unit of the weights and within their range: (n_pairs,) float32."""
        return np.clip(self._drawn(users, items), self.low, self.high).astype(np.float32)

    def _drawn(self, users: IntArray, items: IntArray) -> Doubles:
        from scipy.special import ndtri

        pairs = users.astype(np.int64) * self.n_items + items
        # The 52 highest bits and a half, which a float64 holds exactly: neither 0 nor 1 is drawn.
        uniform = ((_mixed(pairs.astype(np.uint64), self.seed) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
        drawn: Doubles = self.mean + self.deviation * ndtri(uniform)
        return drawn

    def pack(self) -> Pack:
        """The distribution and the seed."""
        return Pack(values=vars(self))

    @classmethod
    def unpack(cls, pack: Pack) -> NormalRanker:
        """The inverse of `pack`."""
        parts: dict[str, Any] = dict(pack.values)
        return cls(**parts)


def _mixed(number: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """The `number`-th output of the generator SplitMix64 (Steele, Lea & Flood 2014), whose start the seed gives."""
    start = np.random.SeedSequence(seed).generate_state(1, np.uint64)
    z = start + (number + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return mixed


class Normal(Recommender[Params]):
    """Ratings drawn from the normal distribution with the mean and deviation of all ratings: what chance reaches.

    Reads all training events, positive or not, with their weights as ratings; several events of one pair count as one
    rating, their mean. Predictions are clipped to the lowest and highest rating seen, lists are not. The distribution
    is that of Surprise's NormalPredictor. The numbers drawn are not: there they hang on what was asked before, here on
    the stage's seed and the pair alone, so that a pair has the same rating in every list and prediction.

    Raises DataError RP505 when there are no training events, and RP503 for a weight that is not finite.

    Source: NormalPredictor of Surprise (Hug 2020, "Surprise: a Python library for recommender systems").
    """

    name = "normal"
    predicts_ratings = True

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> NormalRanker:
        """The mean and deviation of the ratings."""
        ratings = ratings_of(data)
        return NormalRanker(
            mean=ratings.mean,
            deviation=float(ratings.value.std()),
            low=ratings.low,
            high=ratings.high,
            seed=ctx.seed,
            n_users=data.n_users,
            n_items=data.n_items,
        )

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> NormalRanker:
        """The Ranker that was packed."""
        return NormalRanker.unpack(pack)
