"""Surprise's own algorithms fitted to a data set, and what they learnt as a Ranker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from surprise import SVD, KNNBaseline, KNNBasic, KNNWithMeans, KNNWithZScore, Trainset

from recprofile.plugin import Context, Dataset, RunError
from recprofile_surprise.factors import FactorRanker
from recprofile_surprise.memory import refuse_what_does_not_fit
from recprofile_surprise.neighbours import NeighbourRanker
from recprofile_surprise.ratings import Ratings, ratings_of

ALGORITHMS = {"basic": KNNBasic, "means": KNNWithMeans, "zscore": KNNWithZScore, "baseline": KNNBaseline}
# (n_x, n_x) arrays of 8 bytes that Surprise's similarity functions hold at once
MATRICES = {"cosine": 5, "msd": 3, "pearson": 7, "pearson_baseline": 5}
RATING_BYTES = 330  # of Python objects, measured
SHRINKAGE = 100  # Surprise's own default for pearson_baseline


class RatingSet(Trainset):  # type: ignore[misc]  # Surprise has no types, so its class is Any
    """Surprise's trainset, made at once from columns; says when all ratings have been gone through.

    Its dict of lists of tuples is what Surprise's loops take, and is the library's own cost: a microsecond and 320
    bytes a rating, ten seconds and 3 GB for ten million. `Dataset.load_from_df` gives the same by a loop over rows, in
    1.7 times the time.
    """

    def __init__(self, ratings: Ratings, passed: Callable[[], None]) -> None:
        users, items = len(ratings.users), len(ratings.items)
        self._columns = ratings.user.tolist(), ratings.item.tolist(), ratings.value.tolist()
        self._passed = passed
        super().__init__(
            ur=_lists(ratings.user, ratings.item, ratings.value, users),
            ir=_lists(ratings.item, ratings.user, ratings.value, items),
            n_users=users,
            n_items=items,
            n_ratings=len(ratings.value),
            rating_scale=(ratings.low, ratings.high),
            raw2inner_id_users={code: row for row, code in enumerate(ratings.users.tolist())},
            raw2inner_id_items={code: row for row, code in enumerate(ratings.items.tolist())},
        )

    def all_ratings(self) -> Iterator[tuple[int, int, float]]:
        """Every (user, item, rating), sorted by user, then item."""
        yield from zip(*self._columns, strict=True)
        self._passed()


def _lists(
    row: NDArray[np.int64], column: NDArray[np.int64], value: NDArray[np.float64], n: int
) -> dict[int, list[tuple[int, float]]]:
    """For each row its (column, value) tuples, in order of column."""
    order = np.argsort(row, kind="stable")
    pairs = list(zip(column[order].tolist(), value[order].tolist(), strict=True))
    ends = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=n))]).tolist()
    return {r: pairs[a:z] for r, (a, z) in enumerate(pairwise(ends))}


def fit_knn(
    data: Dataset, *, algorithm: str, similarity: str, item_based: bool, k: int, min_k: int, ctx: Context
) -> NeighbourRanker:
    """Surprise's k-nearest-neighbour algorithm of that name, fitted to all training events; see `Knn`."""
    ratings = ratings_of(data)
    n_x = len(ratings.items if item_based else ratings.users)
    side, other = ("items", "item_based: false") if item_based else ("users", "item_based: true")
    refuse_what_does_not_fit(
        MATRICES[similarity] * 8 * n_x**2 + RATING_BYTES * len(ratings.value),
        f"similarities of {n_x} {side}",
        help=(f"try '{other}', fewer {side} (preprocess: k-core), or 'svd'",),
    )
    trainset = RatingSet(ratings, lambda: None)
    options = {"name": similarity, "user_based": not item_based, "shrinkage": SHRINKAGE}
    algo = ALGORITHMS[algorithm](k=k, min_k=min_k, sim_options=options, verbose=False)
    algo.compute_similarities = lambda: _similarities(algo, ratings, similarity, item_based=item_based)
    algo.fit(trainset)
    return _neighbour_ranker(algo, algorithm, ratings, data, item_based=item_based)


def _similarities(algo: Any, ratings: Ratings, name: str, *, item_based: bool) -> NDArray[np.float64]:  # noqa: ANN401 - Surprise has no types
    """Surprise's similarities, (n_x, n_x) float64; 0 where it would divide by zero."""
    try:
        return np.asarray(type(algo).compute_similarities(algo), np.float64)
    except ZeroDivisionError:
        # Cosine of ratings that are all 0, or pearson_baseline of ratings that all equal their baseline.
        return similarities_with_zeros(algo, ratings, name, item_based=item_based)


def similarities_with_zeros(algo: Any, ratings: Ratings, name: str, *, item_based: bool) -> NDArray[np.float64]:  # noqa: ANN401 - as above
    """Cosine or pearson_baseline by their formulas in Surprise, with 0 for a pair whose denominator is 0."""
    from scipy.sparse import csr_array

    value, least = ratings.value, 1
    if name == "pearson_baseline":
        user_bias, item_bias = algo.compute_baselines()
        value, least = value - algo.trainset.global_mean - user_bias[ratings.user] - item_bias[ratings.item], 2
    x, y = (ratings.item, ratings.user) if item_based else (ratings.user, ratings.item)
    shape = (algo.n_x, algo.n_y)
    given, square = csr_array((value, (x, y)), shape=shape), csr_array((value**2, (x, y)), shape=shape)
    there = csr_array((np.ones_like(value), (x, y)), shape=shape)
    shared = (there @ there.T).toarray()
    below = (square @ there.T).toarray()
    below = np.sqrt(below * below.T)
    close: NDArray[np.float64] = np.divide(
        (given @ given.T).toarray(), below, out=np.zeros_like(below), where=(below > 0) & (shared >= least)
    )
    if name == "pearson_baseline":
        close *= (shared - 1) / (shared - 1 + SHRINKAGE)
    np.fill_diagonal(close, 1)
    return close


def _neighbour_ranker(
    algo: Any,  # noqa: ANN401 - as above
    algorithm: str,
    ratings: Ratings,
    data: Dataset,
    *,
    item_based: bool,
) -> NeighbourRanker:
    """What a fitted algorithm knows, less its ratings in Python lists."""
    x, y = (ratings.item, ratings.user) if item_based else (ratings.user, ratings.item)
    mean = float(algo.trainset.global_mean)
    offset, scale = np.zeros(algo.n_x), np.ones(algo.n_x)
    user_bias, item_bias = np.zeros(data.n_users), np.zeros(data.n_items)
    excess = ratings.value
    if algorithm in ("means", "zscore"):
        offset = algo.means - mean
        excess = excess - algo.means[x]
    if algorithm == "zscore":
        # Zero only when all ratings are equal: nothing exceeds the mean then.
        scale = np.where(algo.sigmas > 0, algo.sigmas, 1.0)
        excess = excess / scale[x]
    if algorithm == "baseline":
        user_bias[ratings.users], item_bias[ratings.items] = algo.compute_baselines()  # made in fit, and kept there
        excess = excess - (mean + user_bias[ratings.users][ratings.user] + item_bias[ratings.items][ratings.item])
    order = np.argsort(y, kind="stable")
    return NeighbourRanker(
        mean=mean,
        low=ratings.low,
        high=ratings.high,
        k=algo.k,
        min_k=algo.min_k,
        item_based=item_based,
        adds=algorithm != "basic",
        similarity=np.nan_to_num(algo.sim, nan=0.0),
        start=np.concatenate([[0], np.cumsum(np.bincount(y, minlength=algo.n_y))]),
        other=x[order],
        excess=excess[order],
        offset=offset,
        scale=scale,
        user_bias=user_bias,
        item_bias=item_bias,
        user_row=_rows(ratings.users, data.n_users),
        item_row=_rows(ratings.items, data.n_items),
    )


def _rows(codes: NDArray[np.int32], n: int) -> NDArray[np.int64]:
    """Row of each of n codes among those given, -1 where it is not: int64 (n,)."""
    rows = np.full(n, -1, np.int64)
    rows[codes] = np.arange(len(codes))
    return rows


def fit_svd(
    data: Dataset, *, dim: int, epochs: int, learning_rate: float, l2: float, biased: bool, ctx: Context
) -> FactorRanker:
    """Surprise's SVD fitted to all training events; see `Svd`."""
    ratings = ratings_of(data)
    refuse_what_does_not_fit(
        RATING_BYTES * len(ratings.value) + 16 * dim * (data.n_users + data.n_items),
        f"{len(ratings.value)} ratings and {dim} factors of {data.n_users + data.n_items} users and items",
        help=("try a smaller 'dim'",),
    )
    progress = None

    def passed() -> None:
        if progress is not None:
            progress.add()

    trainset = RatingSet(ratings, passed)
    mean = float(trainset.global_mean)  # goes through all ratings too, so it is asked for before epochs are counted
    progress = ctx.progress(epochs, "epochs")
    algo = SVD(
        n_factors=dim,
        n_epochs=epochs,
        biased=biased,
        lr_all=learning_rate,
        reg_all=l2,
        random_state=ctx.seed % 2**32,  # numpy's RandomState takes no more
        verbose=False,
    )
    algo.fit(trainset)
    user_bias, item_bias = algo.bu, algo.bi  # codespell:ignore bu - Surprise's name
    if not all(np.isfinite(part).all() for part in (algo.pu, algo.qi, user_bias, item_bias)):
        raise RunError.of(
            "RP601",
            f"the descent diverged at a learning rate of '{learning_rate}'",
            help=("try a smaller 'learning_rate', or ratings on a smaller scale",),
        )
    return FactorRanker(
        mean=mean,
        low=ratings.low,
        high=ratings.high,
        biased=biased,
        user_bias=_spread(user_bias, ratings.users, data.n_users),
        item_bias=_spread(item_bias, ratings.items, data.n_items),
        user_factors=_spread(algo.pu, ratings.users, data.n_users),
        item_factors=_spread(algo.qi, ratings.items, data.n_items),
        rated_user=_rows(ratings.users, data.n_users) >= 0,
        rated_item=_rows(ratings.items, data.n_items) >= 0,
    )


def _spread(part: NDArray[np.float64], codes: NDArray[np.int32], n: int) -> NDArray[np.float64]:
    """Rows put at their codes among n, zero elsewhere."""
    out = np.zeros((n, *part.shape[1:]))
    out[codes] = part
    return out
