"""The Ranker of a stack: candidates by the model, all else behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from recprofile.plugin import BoolArray, Dataset, FloatArray, IntArray, Pack, Ranker
from recprofile_lightgbm.features import Candidates, Features, Views

if TYPE_CHECKING:
    from lightgbm import Booster
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class StackRanker(Ranker):
    """Ranks candidates by a model, and what is no candidate behind them by its highest standard score.

    `model` is LightGBM's own text, UTF-8 in uint8.
    """

    features: Features
    model: IntArray

    def scores(self, users: IntArray) -> FloatArray:
        """(len(users), n_items) float32; -inf for items that none of the rankers ranks."""
        views = self.features.views(users)
        seen = self.features.data.seen()[users]
        return self._scored(views, self.features.candidates(views, seen, self.features.activity()[users], users))

    def scores_of(self, people: Dataset) -> FloatArray:
        """The same for the users of other data; raises NotImplementedError where a ranker cannot, or with blocks."""
        if self.features.profiles is not None:
            return super().scores_of(people)
        views = self.features.views_of(people)
        activity = self.features.activity_of(people)
        return self._scored(views, self.features.candidates(views, people.seen(), activity, None))

    def known_users(self) -> BoolArray:
        """Users whom any of the rankers knows."""
        return np.asarray(np.any(list(self.features.known.values()), axis=0))

    def pack(self) -> Pack:
        """The model; rankers come from the stage's inputs."""
        return Pack({"model": self.model})

    @cached_property
    def _booster(self) -> Booster:
        return booster_of(self.model)

    def _scored(self, views: Views, found: Candidates) -> FloatArray:
        given = predicted(self._booster, found.values)
        return behind(views.best(), found.row, found.item, given)


@dataclass(frozen=True, eq=False)
class BestRanker(Ranker):
    """One of the rankers as it is, where a stack does not pay; `id` is its stage."""

    ranker: Ranker
    id: str

    def scores(self, users: IntArray) -> FloatArray:
        """As the ranker gives them."""
        return self.ranker.scores(users)

    def scores_of(self, people: Dataset) -> FloatArray:
        """As the ranker gives them."""
        return self.ranker.scores_of(people)

    def known_users(self) -> BoolArray:
        """Whom the ranker knows."""
        return self.ranker.known_users()

    def evidence(self, users: IntArray, items: IntArray) -> csr_array | None:
        """The ranker's evidence."""
        return self.ranker.evidence(users, items)

    def additive(self) -> bool:
        """As of the ranker."""
        return self.ranker.additive()

    def block_evidence(self, users: IntArray, items: IntArray) -> Mapping[str, FloatArray] | None:
        """The ranker's evidence by block."""
        return self.ranker.block_evidence(users, items)

    def pack(self) -> Pack:
        """Which it is."""
        return Pack(values={"best": self.id})


def booster_of(model: IntArray) -> Booster:
    """The model from its text."""
    from lightgbm import Booster

    return Booster(model_str=model.astype(np.uint8).tobytes().decode())


def predicted(booster: Booster, values: FloatArray) -> FloatArray:
    """The model's scores of rows of features, (n,) float32."""
    if len(values) == 0:
        return np.zeros(0, np.float32)
    return np.asarray(booster.predict(values), np.float32)


def behind(tail: FloatArray, row: IntArray, item: IntArray, given: FloatArray) -> FloatArray:
    """Scores with candidates as given, and all other ranked items behind the last of them, in the order of `tail`.

    `tail` (n, n_items) float32, -inf for what is not ranked; candidates (row, item) and what is `given` of each.
    """
    last = np.full(len(tail), np.inf, np.float32)
    np.minimum.at(last, row, given)
    last[np.isinf(last)] = 0  # nobody's list hangs on it: no candidate stands before
    highest = np.where(np.isfinite(tail), tail, np.float32(-np.inf)).max(axis=1, initial=-np.inf)
    highest[np.isinf(highest)] = 0
    out = (last[:, None] - 1 + (tail - highest[:, None])).astype(np.float32)
    out[row, item] = given
    return out
