"""Implicit matrix factorisation, 64 dimensions: the same loss on the same pairs, judged by implicit's own function.

Σ c (1 − x·y)² over the pairs, Σ (x·y)² over all others, and L2·(|x|² + |y|²): implicit's objective, which is ours with
`nu: 0` and confidence 1 + alpha. In the first row implicit does its 15 sweeps from its own start, small positive
numbers, and ours as many as reach its loss from our start, normal numbers; both starts are part of what the libraries
are. In the second row implicit begins where ours does, and both do as many sweeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.speed.case import Case
from benchmarks.speed.measure import Bound, Contest, Side, Timed
from benchmarks.speed.same import expect
from recprofile.artifacts import FloatArray
from recprofile.builtin.encode.als import AlsParams
from recprofile.plugin import Context, KeptRanker, judge

DIM, ALPHA, L2, SWEEPS = 64, 4.0, 20.0, 15
NEAR = 0.001  # by how much of it a loss may be above the other


@dataclass(frozen=True, eq=False)
class Fitted:
    """User and item vectors."""

    users: FloatArray
    items: FloatArray


@dataclass(frozen=True, eq=False)
class Judge:
    """Holds vectors of two sides against each other."""

    case: Case

    def same(self, ours: Fitted, theirs: Fitted) -> str:
        """Ours has no higher loss, and ranks the test no worse than by two standard errors of the difference."""
        mine, other = self.loss(ours), self.loss(theirs)
        apart = self._ndcg(ours).minus(self._ndcg(theirs))
        told = f"loss {mine:.6f} and {other:.6f}, NDCG@10 {apart.mean:+.4f} ± {apart.error:.4f}"
        expect(mine <= other * (1 + NEAR), told)
        expect(apart.mean > -2 * apart.error, told)
        return f"{told}; {self._ndcg(ours).mean:.4f} and {self._ndcg(theirs).mean:.4f}"

    def loss(self, of: Fitted) -> float:
        """implicit's, for each pair of user and item."""
        from implicit.cpu import als

        matrix = confidence(self.case)
        return float(als.calculate_loss(matrix, of.users, of.items, L2, num_threads=0))

    def _ndcg(self, of: Fitted) -> Any:  # noqa: ANN401 - UserScores
        data = self.case.data
        known = np.diff(self.case.positives.indptr) > 0
        ranker = KeptRanker(lambda rows: of.users[rows] @ of.items.T, np.arange(data.n_users), known)
        return judge(ranker, data)

    @cached_property
    def epochs(self) -> int:
        """The sweeps in which ours reaches implicit's loss of 15."""
        aim = self.loss(implicit(self.case, SWEEPS)())
        for epochs in range(1, SWEEPS):
            if self.loss(ours(self.case, epochs)()) <= aim * (1 + NEAR):
                return epochs
        return SWEEPS


def contests(case: Case) -> Iterator[Contest]:
    """To a loss, and as many sweeps from one start."""
    told = Judge(case)
    try:
        epochs = told.epochs
    except ImportError:  # without implicit there is nothing to reach
        epochs = 4
    first = Side("implicit, 15 sweeps", lambda: implicit(case, SWEEPS), one_blas_thread=True)
    yield Contest(
        f"als to the loss of implicit's {SWEEPS} sweeps ({epochs} of ours)",
        Side("recprofile", lambda: ours(case, epochs)),
        [first],
        told.same,
        Bound(flops=sweep_flops(case) * epochs),
        rounds=2,
    )
    second = Side(f"implicit, {epochs} sweeps", lambda: implicit(case, epochs, start(case)), one_blas_thread=True)
    yield Contest(
        f"als, {epochs} sweeps from one start",
        Side("recprofile", lambda: ours(case, epochs)),
        [second],
        told.same,
        Bound(flops=sweep_flops(case) * epochs),
    )


def ours(case: Case, epochs: int) -> Timed:
    """What the encoder `als` does once its pairs are counted."""
    from recprofile.builtin.encode.als_sweep import factors

    p = AlsParams(dim=DIM, alpha=ALPHA, l2=L2, nu=0, epochs=epochs, tolerance=0)
    matrix = case.positives
    return lambda: Fitted(*factors(matrix, p, Context()))


def implicit(case: Case, sweeps: int, items: FloatArray | None = None) -> Timed:
    """`AlternatingLeastSquares` by its defaults, but for the objective; `items`: where it starts."""
    from implicit.cpu.als import AlternatingLeastSquares

    matrix = confidence(case)

    def run() -> Fitted:
        model = AlternatingLeastSquares(DIM, regularization=L2, iterations=sweeps, random_state=0)
        if items is not None:
            model.item_factors = items.copy()
            model.user_factors = np.zeros((matrix.shape[0], DIM), np.float32)
        model.fit(matrix, show_progress=False)
        return Fitted(model.user_factors, model.item_factors)

    return run


def start(case: Case) -> FloatArray:
    """The item vectors that ours begins with."""
    items = np.random.default_rng(Context().seed).normal(0, 0.1, (case.data.n_items, DIM)).astype(np.float32)
    items[np.bincount(case.positives.indices, minlength=len(items)) == 0] = 0
    return items


def confidence(case: Case) -> Any:  # noqa: ANN401 - no stubs
    """What implicit takes: 1 + alpha where there is a pair."""
    from scipy.sparse import csr_matrix

    matrix = csr_matrix(case.positives, copy=True)
    matrix.data[:] = 1 + ALPHA
    return matrix


def sweep_flops(case: Case) -> float:
    """Of a sweep over both sides: the normal equations, half of them as they are symmetric, and their factors."""
    pairs, rows = case.positives.nnz, case.data.n_users + case.data.n_items
    return 2.0 * pairs * DIM * (DIM + 1) + rows * DIM**3 / 3
