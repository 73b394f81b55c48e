"""Surprise's k-nearest-neighbour algorithms fitted to a data set, and what they learnt as a Ranker."""

from __future__ import annotations

from typing import Any

import numpy as np
from surprise import KNNBaseline, KNNBasic, KNNWithMeans, KNNWithZScore

from recprofile.plugin import Dataset
from recprofile_surprise.fit_biases import check_finite, options
from recprofile_surprise.knn import KnnParams
from recprofile_surprise.memory import refuse_what_does_not_fit
from recprofile_surprise.neighbours import NeighbourRanker
from recprofile_surprise.ratings import Doubles, Histories, Ratings, ratings_of, rows_of, spread
from recprofile_surprise.trainset import RATING_BYTES, RatingSet

ALGORITHMS = {"basic": KNNBasic, "means": KNNWithMeans, "zscore": KNNWithZScore, "baseline": KNNBaseline}
# (n_x, n_x) arrays of 8 bytes that Surprise's similarity functions hold at once
MATRICES = {"cosine": 5, "msd": 3, "pearson": 7, "pearson_baseline": 5}


def fit_knn(data: Dataset, p: KnnParams) -> NeighbourRanker:
    """Surprise's k-nearest-neighbour algorithm of that name, fitted to all training events; see `Knn`."""
    ratings = ratings_of(data)
    n_x = len(ratings.items if p.item_based else ratings.users)
    side, other = ("items", "item_based: false") if p.item_based else ("users", "item_based: true")
    refuse_what_does_not_fit(
        MATRICES[p.similarity] * 8 * n_x**2 + RATING_BYTES * len(ratings),
        f"similarities of {n_x} {side}",
        help=(f"try '{other}', fewer {side} (preprocess: k-core), or 'svd'",),
    )
    algo = ALGORITHMS[p.algorithm](
        k=p.k,
        min_k=p.min_k,
        sim_options={
            "name": p.similarity,
            "user_based": not p.item_based,
            "min_support": p.min_support,
            "shrinkage": p.shrinkage,
        },
        bsl_options=options(p.baseline),
        verbose=False,
    )
    algo.compute_similarities = lambda: _similarities(algo, ratings, p)
    algo.fit(RatingSet(ratings))
    return _ranker(algo, ratings, data, p)


def _similarities(algo: Any, ratings: Ratings, p: KnnParams) -> Doubles:  # noqa: ANN401 - Surprise has no types
    """Surprise's similarities, (n_x, n_x) float64; 0 where it would divide by zero."""
    if p.similarity == "pearson_baseline":
        check_finite(*algo.compute_baselines(), rate=p.baseline.learning_rate)  # kept there for the similarities
    try:
        return np.asarray(type(algo).compute_similarities(algo), np.float64)
    except ZeroDivisionError:
        # Cosine of ratings that are all 0, or pearson_baseline of ratings that all equal their baseline.
        return similarities_with_zeros(algo, ratings, p)


def similarities_with_zeros(algo: Any, ratings: Ratings, p: KnnParams) -> Doubles:  # noqa: ANN401 - as above
    """Cosine or pearson_baseline by their formulas in Surprise, with 0 for a pair whose denominator is 0."""
    from scipy.sparse import csr_array

    value, least = ratings.value, p.min_support
    if p.similarity == "pearson_baseline":
        user_bias, item_bias = algo.compute_baselines()
        value = value - algo.trainset.global_mean - user_bias[ratings.user] - item_bias[ratings.item]
        least = max(least, 2)
    x, y = (ratings.item, ratings.user) if p.item_based else (ratings.user, ratings.item)
    shape = (algo.n_x, algo.n_y)
    given, square = csr_array((value, (x, y)), shape=shape), csr_array((value**2, (x, y)), shape=shape)
    there = csr_array((np.ones_like(value), (x, y)), shape=shape)
    shared = (there @ there.T).toarray()
    below = (square @ there.T).toarray()
    below = np.sqrt(below * below.T)
    close: Doubles = np.divide(
        (given @ given.T).toarray(), below, out=np.zeros_like(below), where=(below > 0) & (shared >= least)
    )
    if p.similarity == "pearson_baseline":
        close *= (shared - 1) / np.maximum(shared - 1 + p.shrinkage, 1)  # shared is 2 at least where close is not 0
    np.fill_diagonal(close, 1)
    return close


def _ranker(algo: Any, ratings: Ratings, data: Dataset, p: KnnParams) -> NeighbourRanker:  # noqa: ANN401 - as above
    """What a fitted algorithm knows, less its ratings in Python lists."""
    x, y = (ratings.item, ratings.user) if p.item_based else (ratings.user, ratings.item)
    offset, scale = np.zeros(algo.n_x), np.ones(algo.n_x)
    user_bias, item_bias = np.zeros(data.n_users), np.zeros(data.n_items)
    excess = ratings.value
    if p.algorithm in ("means", "zscore"):
        offset = algo.means - ratings.mean
        excess = excess - algo.means[x]
    if p.algorithm == "zscore":
        # Zero only when all ratings are equal: nothing exceeds the mean then.
        scale = np.where(algo.sigmas > 0, algo.sigmas, 1.0)
        excess = excess / scale[x]
    if p.algorithm == "baseline":
        by_user, by_item = algo.compute_baselines()  # made in fit, and kept there
        check_finite(by_user, by_item, rate=p.baseline.learning_rate)
        user_bias = spread(by_user, ratings.users, data.n_users)
        item_bias = spread(by_item, ratings.items, data.n_items)
        excess = excess - (ratings.mean + by_user[ratings.user] + by_item[ratings.item])
    return NeighbourRanker(
        mean=ratings.mean,
        low=ratings.low,
        high=ratings.high,
        k=p.k,
        min_k=p.min_k,
        item_based=p.item_based,
        adds=p.algorithm != "basic",
        user_l2=p.baseline.l2_users if p.algorithm == "baseline" and p.baseline.method == "als" else None,
        biased=p.algorithm == "baseline",
        similarity=np.nan_to_num(algo.sim, nan=0.0),
        histories=Histories.of(y, x, excess, n=algo.n_y),
        offset=offset,
        scale=scale,
        user_bias=user_bias,
        item_bias=item_bias,
        user_row=rows_of(ratings.users, data.n_users),
        item_row=rows_of(ratings.items, data.n_items),
    )
