"""How strongly `als` regularises, where a recipe leaves that open."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from recprofile.builtin.encode.als_ridge import L2
from recprofile.builtin.encode.als_sweep import factors
from recprofile.plugin import KeptRanker, UserScores, judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from scipy.sparse import csr_array

    from recprofile.builtin.encode.als import AlsParams
    from recprofile.plugin import Context, Dataset

P = TypeVar("P", bound="AlsParams")
WEAKER = tuple(L2 / 2**n for n in range(1, 7))  # to 0.0003
JUDGED = 20_000  # users that are judged by: their standard error is a 140th of the spread


def with_l2(p: P, data: Dataset, ctx: Context, counted: Callable[[Dataset, P], csr_array]) -> P:
    """The parameters with a regularisation: as given, or L2, and weaker as long as that ranks better.

    Each step must beat the one before by more than a standard error over users of the validation part, by NDCG@10 of
    the items with events; what is chosen is noted. `counted` gives the events that count.
    """
    if p.l2 is not None:
        return p
    found = p.model_copy(update={"l2": L2})
    if len(data.valid) == 0:
        return found
    fit = _thinned(data.for_tuning(), ctx)
    matrix = counted(fit, p)
    best = _judged(found, matrix, fit, ctx)
    for weaker in WEAKER:
        other = p.model_copy(update={"l2": weaker})
        better = _judged(other, matrix, fit, ctx)
        if not better.beats(best):
            break
        found, best = other, better
    ctx.note("l2", found.l2)
    return found


def _thinned(fit: Dataset, ctx: Context) -> Dataset:
    """The data with no more users to judge by than JUDGED."""
    users = np.unique(fit.test.user)
    if len(users) <= JUDGED:
        return fit
    kept = np.random.default_rng(ctx.seed).choice(users, JUDGED, replace=False)
    return fit.revise(test=fit.test.take(np.isin(fit.test.user, kept)))


def _judged(p: AlsParams, matrix: csr_array, fit: Dataset, ctx: Context) -> UserScores:
    users, items = factors(matrix, p, ctx)
    known = np.diff(matrix.indptr) > 0
    ranker = KeptRanker(lambda rows: users[rows] @ items.T, np.arange(fit.n_users), known)
    return judge(ranker, fit, candidates=np.bincount(matrix.indices, minlength=fit.n_items) > 0)
