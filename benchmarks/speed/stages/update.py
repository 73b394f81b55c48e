"""A later event of one user → their ten best unseen items, in a process that holds the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from benchmarks.speed.case import Case
from benchmarks.speed.measure import Bound, Contest, Side, Timed
from benchmarks.speed.same import Lists, same_lists
from benchmarks.speed.stages.als import ALPHA, BEST, DIM
from recprofile.artifacts import Dataset, FloatArray, IntArray, Interactions, Table
from recprofile.plugin import Context, IdMap, Inputs, Pack, top_k

K, EVENTS = 10, 200


def contests(case: Case) -> Iterator[Contest]:
    """One row."""
    events = later(case)
    items = vectors(case)
    yield Contest(
        "an event → a new top 10",
        Side("recprofile", lambda: ours(case, items, events)),
        [
            Side("implicit, recommend", lambda: implicit(case, items, events), one_blas_thread=True),
            Side("implicit, partial_fit_users", lambda: partial(case, items, events), one_blas_thread=True),
        ],
        same_lists,
        lambda: Bound(bytes=4.0 * DIM * case.data.n_items * len(events)),
        rounds=5,
        per=len(events),
    )


def later(case: Case) -> list[tuple[int, IntArray]]:
    """Users and their items, a new one among them."""
    rng, x = np.random.default_rng(0), case.positives
    known = np.flatnonzero(np.diff(x.indptr) > 0)
    found = []
    for user in rng.choice(known, min(EVENTS, len(known)), replace=False).tolist():
        mine = x.indices[x.indptr[user] : x.indptr[user + 1]]
        new = rng.choice(np.setdiff1d(np.arange(x.shape[1]), mine))
        found.append((user, np.sort(np.append(mine, new)).astype(np.int32)))
    return found


def vectors(case: Case) -> FloatArray:
    """Item vectors for implicit's objective, two sweeps of ours."""
    from recprofile.builtin.encode.als import AlsParams
    from recprofile.builtin.encode.als_sweep import factors

    p = AlsParams(dim=DIM, alpha=ALPHA, l2=BEST, nu=0, epochs=2, tolerance=0)
    return factors(case.positives, p, Context())[1]


def ours(case: Case, items: FloatArray, events: list[tuple[int, IntArray]]) -> Timed:
    """The recommender `als`, asked by a history that it has not seen."""
    from recprofile.builtin.recommend.als import ImplicitAls, ImplicitAlsParams

    als = ImplicitAls(ImplicitAlsParams(dim=DIM, alpha=ALPHA, l2=BEST, nu=0))
    ranker = als.restore(Pack({"items_by": items}, values={"l2": BEST}), case.data, Inputs(), Context())
    somebody = Table(IdMap(pl.Series("id", ["somebody"])))

    def run() -> Lists:
        found, best = [], []
        for _, mine in events:
            n = len(mine)
            train = Interactions(np.zeros(n, np.int32), mine, np.ones(n, np.float32), None, np.ones(n, np.bool_))
            nothing = Interactions.empty()
            person = Dataset(somebody, case.data.items, train, nothing, nothing, np.zeros(n, np.bool_))
            scores = ranker.scores_of(person)
            scores[:, mine] = -np.inf
            top = top_k(scores, K)
            found.append(top[0])
            best.append(top[1])
        return np.concatenate(found), np.concatenate(best)

    return run


def implicit(case: Case, items: FloatArray, events: list[tuple[int, IntArray]]) -> Timed:
    """`recommend(recalculate_user=True)`."""
    model = _model(case, items)

    def run() -> Lists:
        found = [
            model.recommend(np.array([user]), _row(mine, items), N=K, recalculate_user=True) for user, mine in events
        ]
        return _lists(found)

    return run


def partial(case: Case, items: FloatArray, events: list[tuple[int, IntArray]]) -> Timed:
    """`partial_fit_users`, which keeps the user's vector, then `recommend`."""
    model = _model(case, items)

    def run() -> Lists:
        found = []
        for user, mine in events:
            row, who = _row(mine, items), np.array([user])
            model.partial_fit_users(who, row)
            found.append(model.recommend(who, row, N=K))
        return _lists(found)

    return run


def _model(case: Case, items: FloatArray) -> Any:  # noqa: ANN401 - implicit has no types
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(DIM, regularization=BEST)
    model.item_factors = items
    model.user_factors = np.zeros((case.data.n_users, DIM), np.float32)
    return model


def _row(mine: IntArray, items: FloatArray) -> Any:  # noqa: ANN401 - scipy has no types
    from scipy.sparse import csr_matrix

    n = len(mine)
    weights = np.full(n, 1 + ALPHA, np.float32)
    return csr_matrix((weights, mine, np.array([0, n], np.int32)), shape=(1, len(items)))


def _lists(found: list[tuple[np.ndarray, np.ndarray]]) -> Lists:
    items, scores = (np.concatenate([one[at] for one in found]) for at in (0, 1))
    gone = scores < -1e30  # what implicit masks, where nothing else is left
    return np.where(gone, -1, items), np.where(gone, np.nan, scores)
