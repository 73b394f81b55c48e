"""Biases of users and items, learnt by Surprise."""

from __future__ import annotations

from typing import Any

import numpy as np
from surprise import BaselineOnly

from recprofile.plugin import Dataset, RunError
from recprofile_surprise.baseline import BaselineParams, BiasRanker
from recprofile_surprise.memory import refuse_what_does_not_fit
from recprofile_surprise.ratings import marked, ratings_of, spread
from recprofile_surprise.trainset import RATING_BYTES, RatingSet


def options(p: BaselineParams) -> dict[str, Any]:
    """Surprise's `bsl_options`."""
    if p.method == "als":
        return {"method": "als", "n_epochs": p.epochs or 10, "reg_u": p.l2_users, "reg_i": p.l2_items}
    return {"method": "sgd", "n_epochs": p.epochs or 20, "reg": p.l2, "learning_rate": p.learning_rate}


def fit_baseline(data: Dataset, p: BaselineParams) -> BiasRanker:
    """Surprise's BaselineOnly fitted to all training events; see `Baseline`."""
    ratings = ratings_of(data)
    refuse_what_does_not_fit(
        RATING_BYTES * len(ratings),
        f"{len(ratings)} ratings",
        help=("try 'co-clustering', which takes a fifth of it", "or fewer users (preprocess: k-core)"),
    )
    algo = BaselineOnly(bsl_options=options(p), verbose=False)
    algo.fit(RatingSet(ratings))
    user_bias, item_bias = algo.bu, algo.bi  # codespell:ignore bu - Surprise's name
    check_finite(user_bias, item_bias, rate=p.learning_rate)
    return BiasRanker(
        mean=ratings.mean,
        low=ratings.low,
        high=ratings.high,
        user_l2=p.l2_users if p.method == "als" else None,
        user_bias=spread(user_bias, ratings.users, data.n_users),
        item_bias=spread(item_bias, ratings.items, data.n_items),
        rated_item=marked(ratings.items, data.n_items),
    )


def check_finite(*parts: np.ndarray[Any, Any], rate: float) -> None:
    """Raise RunError RP601 when what a descent learnt is not finite."""
    if not all(np.isfinite(part).all() for part in parts):
        raise RunError.of(
            "RP601",
            f"the descent diverged at a learning rate of '{rate}'",
            help=("try a smaller 'learning_rate', or ratings on a smaller scale",),
        )
