"""The Ranker of a stack: candidates by the model, all else behind them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import BoolArray, Dataset, FloatArray, IntArray, Pack, Ranker
from recprofile_lightgbm.features import Candidates, Features, Rows

if TYPE_CHECKING:
    from lightgbm import Booster

Model: TypeAlias = NDArray[np.uint8]  # LightGBM's own text, UTF-8


@dataclass(frozen=True, eq=False)
class StackRanker(Ranker):
    """Ranks candidates by the rankers' mean score and what a model adds, and all others behind them, by the mean."""

    features: Features
    model: Model

    def scores(self, users: IntArray) -> FloatArray:
        """(len(users), n_items) float32; -inf for items that none of the rankers ranks."""
        return self._scored(self.features.candidates(users))

    def scores_of(self, people: Dataset) -> FloatArray:
        """The same for the users of other data; raises NotImplementedError where a ranker cannot."""
        return self._scored(self.features.candidates_of(people))

    def known_users(self) -> BoolArray:
        """Users whom any of the rankers knows."""
        return self.features.known_users()

    def pack(self) -> Pack:
        """The model; rankers come from the stage's inputs."""
        return Pack({"model": self.model})

    @cached_property
    def _booster(self) -> Booster:
        from lightgbm import Booster

        return Booster(model_str=self.model.tobytes().decode())

    def _scored(self, found: Candidates) -> FloatArray:
        begun = found.mean[found.row, found.item]
        return behind(found.mean, found.row, found.item, begun + predicted(self._booster, found.values))


def predicted(booster: Booster, values: FloatArray) -> FloatArray:
    """What the model adds for rows of features, (n,) float32."""
    if len(values) == 0:
        return np.zeros(0, np.float32)
    return np.asarray(booster.predict(values), np.float32)


def behind(tail: FloatArray, row: Rows, item: IntArray, given: FloatArray) -> FloatArray:
    """Scores with candidates as given, and all other ranked items behind the last of them, in the order of `tail`.

    `tail` (n, n_items) float32, -inf for what is not ranked; candidates (row, item), and what is `given` of each.
    """
    last = np.full(len(tail), np.inf, np.float32)
    np.minimum.at(last, row, given)
    last[np.isinf(last)] = 0  # no candidate stands before: where the list begins does not matter
    highest = tail.max(axis=1, initial=-np.inf)
    highest[np.isinf(highest)] = 0
    out: FloatArray = (last[:, None] - 1 + (tail - highest[:, None])).astype(np.float32)
    out[row, item] = given
    return out
