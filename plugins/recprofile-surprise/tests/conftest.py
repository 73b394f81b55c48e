"""Data, and what Surprise itself predicts for them, pair by pair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from surprise import AlgoBase

from recprofile.plugin import Dataset, FloatArray, Ranker
from recprofile.testing import dataset
from recprofile_surprise.ratings import ratings_of
from recprofile_surprise.trainset import RatingSet


@pytest.fixture
def random_data() -> Callable[..., Dataset]:
    """Whole ratings 1 to 5 of a share of pairs; the last user and item have none, and ties among neighbours abound."""

    def make(n_users: int = 30, n_items: int = 20, *, share: float = 0.3, seed: int = 0, unit: float = 1) -> Dataset:
        rng = np.random.default_rng(seed)
        rated = rng.random((n_users, n_items)) < share
        rated[-1], rated[:, -1] = False, False
        rating = rng.integers(1, 6, (n_users, n_items))
        events = [(int(u), int(i), unit * int(rating[u, i])) for u, i in np.argwhere(rated)]
        return dataset(events, users={"id": list(range(n_users))}, items={"id": list(range(n_items))})

    return make


@pytest.fixture
def every_pair() -> Callable[[Dataset], tuple[Any, Any]]:
    """Codes of all users with all items, by user."""
    return pairs


@pytest.fixture
def same_as_surprise() -> Callable[[Ranker, AlgoBase, Dataset], None]:
    """Fails unless every prediction is Surprise's, of unknown users and items too, and so is every score, unclipped."""

    def check(ranker: Ranker, algo: AlgoBase, data: Dataset) -> None:
        algo.fit(RatingSet(ratings_of(data)))
        users, items = pairs(data)
        np.testing.assert_allclose(ranker.predict(users, items), predictions(algo, data, clip=True), rtol=0, atol=1e-6)
        scores = ranker.scores(np.arange(data.n_users, dtype=np.int32))
        np.testing.assert_allclose(scores.ravel(), predictions(algo, data, clip=False), rtol=0, atol=1e-6)

    return check


def pairs(data: Dataset) -> tuple[Any, Any]:
    """Codes of all users with all items, by user."""
    users = np.repeat(np.arange(data.n_users, dtype=np.int32), data.n_items)
    return users, np.tile(np.arange(data.n_items, dtype=np.int32), data.n_users)


def predictions(algo: AlgoBase, data: Dataset, *, clip: bool) -> FloatArray:
    """What Surprise predicts for every pair, one by one."""
    users, items = pairs(data)
    return np.array([algo.predict(int(u), int(i), clip=clip).est for u, i in zip(users, items, strict=True)])
