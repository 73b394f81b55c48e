"""Factors of users and items, learnt by Surprise."""

from __future__ import annotations

import numpy as np
from surprise import NMF, SVD, AlgoBase

from recprofile.plugin import Context, Dataset
from recprofile_surprise.factorisations import NmfParams, SvdParams
from recprofile_surprise.factors import FactorRanker
from recprofile_surprise.fit_biases import check_finite
from recprofile_surprise.memory import refuse_what_does_not_fit
from recprofile_surprise.ratings import Doubles, Ratings, marked, ratings_of, refuse_weights, spread
from recprofile_surprise.trainset import RATING_BYTES, RatingSet


def fit_svd(data: Dataset, p: SvdParams, ctx: Context) -> FactorRanker:
    """Surprise's SVD fitted to all training events; see `Svd`."""
    ratings = ratings_of(data)
    refuse_factors(ratings, data, dim=p.dim, copies=1)
    algo = SVD(
        n_factors=p.dim,
        n_epochs=p.epochs,
        biased=p.biased,
        lr_all=p.learning_rate,
        reg_all=p.l2,
        init_mean=p.initial_mean,
        init_std_dev=p.initial_deviation,
        random_state=surprise_seed(ctx),
        verbose=False,
    )
    return _fitted(algo, ratings, data, ctx, epochs=p.epochs, biased=p.biased, rate=p.learning_rate)


def fit_nmf(data: Dataset, p: NmfParams, ctx: Context) -> FactorRanker:
    """Surprise's NMF fitted to all training events; see `Nmf`."""
    wrong = np.flatnonzero(data.train.weight < 0)
    if len(wrong):
        refuse_weights(data, wrong, "is negative, which no product of factors can be")
    ratings = ratings_of(data)
    refuse_factors(ratings, data, dim=p.dim, copies=3)
    algo = NMF(
        n_factors=p.dim,
        n_epochs=p.epochs,
        biased=p.biased,
        reg_pu=p.l2_users,
        reg_qi=p.l2_items,
        reg_bu=p.l2_biases,
        reg_bi=p.l2_biases,
        lr_bu=p.learning_rate,
        lr_bi=p.learning_rate,
        init_low=p.initial_low,
        init_high=p.initial_high,
        random_state=surprise_seed(ctx),
        verbose=False,
    )
    return _fitted(algo, ratings, data, ctx, epochs=p.epochs, biased=p.biased, rate=p.learning_rate)


def surprise_seed(ctx: Context) -> int:
    """The stage's seed, as far as numpy's RandomState takes it."""
    return ctx.seed % 2**32


def refuse_factors(ratings: Ratings, data: Dataset, *, dim: int, copies: int) -> None:
    """Raise RunError RP604 when ratings and so many arrays of factors, beside those kept, cannot be had."""
    sides = data.n_users + data.n_items
    refuse_what_does_not_fit(
        RATING_BYTES * len(ratings) + 8 * (copies + 1) * dim * sides,
        f"{len(ratings)} ratings and {dim} factors of {sides} users and items",
        help=("try a smaller 'dim', or fewer users (preprocess: k-core)",),
    )


def _fitted(
    algo: AlgoBase, ratings: Ratings, data: Dataset, ctx: Context, *, epochs: int, biased: bool, rate: float
) -> FactorRanker:
    progress = ctx.progress(epochs, "epochs")
    algo.fit(RatingSet(ratings, progress.add))
    return factor_ranker(
        ratings,
        data,
        biased=biased,
        user_bias=algo.bu,  # codespell:ignore bu - Surprise's name
        item_bias=algo.bi,
        user_factors=algo.pu,
        item_factors=algo.qi,
        rate=rate,
    )


def factor_ranker(
    ratings: Ratings,
    data: Dataset,
    *,
    biased: bool,
    user_bias: Doubles,
    item_bias: Doubles,
    user_factors: Doubles,
    item_factors: Doubles,
    rate: float,
) -> FactorRanker:
    """What was learnt of rated users and items, put at their codes; raises RunError RP601 where it is not finite."""
    check_finite(user_bias, item_bias, user_factors, item_factors, rate=rate)
    return FactorRanker(
        mean=ratings.mean,
        low=ratings.low,
        high=ratings.high,
        biased=biased,
        user_bias=spread(user_bias, ratings.users, data.n_users),
        item_bias=spread(item_bias, ratings.items, data.n_items),
        user_factors=spread(user_factors, ratings.users, data.n_users),
        item_factors=spread(item_factors, ratings.items, data.n_items),
        rated_user=marked(ratings.users, data.n_users),
        rated_item=marked(ratings.items, data.n_items),
    )
