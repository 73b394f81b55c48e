"""The arithmetic of `als`: half-sweeps that minimise over one side, on a processor or (`als_device`) with torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recprofile.builtin.encode.als_ridge import no_solution, ridges
from recprofile.builtin.encode.als_rows import solve_rows
from recprofile.builtin.encode.als_steps import improve_rows
from recprofile.plugin import Context, FloatArray, Pairs, Progress, Rows, dealt, each

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from recprofile.builtin.encode.als import AlsParams


@dataclass(frozen=True, eq=False)
class Fixed:
    """The side that is not solved for: its vectors, filled up with zeros to a multiple of 8 columns, and VᵀV.

    (m, d) and (d, d) float32; 1 on the diagonal where there are zeros alone, so that it has an inverse.
    """

    vectors: FloatArray
    gram: FloatArray

    @classmethod
    def of(cls, vectors: FloatArray) -> Fixed:
        """Of any (m, dim) vectors."""
        n, dim = vectors.shape
        if dim % 8:
            vectors = np.concatenate([vectors, np.zeros((n, -dim % 8), np.float32)], axis=1)
        gram = vectors.T @ vectors
        spare = np.flatnonzero(gram.diagonal() == 0)
        gram[spare, spare] = 1
        return cls(vectors, gram)


@dataclass(frozen=True, eq=False)
class Side:
    """The rows of one side as they are solved: their entries, λ of each, and shares of those that have entries.

    `weights` is empty where every weight is 1.
    """

    matrix: csr_array | Pairs
    weights: FloatArray
    ridge: FloatArray
    alpha: np.float32
    shares: list[Rows]

    @classmethod
    def of(cls, matrix: csr_array | Pairs, p: AlsParams) -> Side:
        """The rows of a CSR, or of what it is made of."""
        all_one = bool((matrix.data == 1).all())
        weights = np.zeros(0, np.float32) if all_one else matrix.data
        shares = dealt(matrix.indptr[1:] - matrix.indptr[:-1])
        return cls(matrix, weights, ridges(matrix, p, all_one=all_one), np.float32(p.alpha), shares)

    @property
    def n_rows(self) -> int:
        """How many rows have entries."""
        return sum(map(len, self.shares))

    def solve(self, side: FloatArray, other: Fixed, progress: Progress) -> float:
        """Set each row of `side` to the minimiser of the loss, the other side being fixed; by how much that lowers it,
        from what it is with this side 0.

        Row u solves (YᵀY + alpha·Y_uᵀ W_u Y_u + λ_u I) x = Y_uᵀ (1 + alpha·w_u), Y_u being the rows of its entries.
        Raises RunError RP601 where weights are so far apart that float32 cannot tell the matrix from a singular one.
        """
        return self._swept(solve_rows, side, other, progress)

    def improve(self, side: FloatArray, other: Fixed, progress: Progress) -> float:
        """Move each row of `side` towards that minimiser; as `solve`.

        In about half the time, and a sweep lowers the loss nearly as much: what it leaves, the next one makes good.
        """
        return self._swept(improve_rows, side, other, progress)

    def _swept(self, rows_done: Callable[..., int], side: FloatArray, other: Fixed, progress: Progress) -> float:
        m, gain = self.matrix, np.zeros(len(side), np.float32)
        entries = m.indptr, m.indices, self.weights

        def work(rows: Rows) -> int:
            done = rows_done(rows, *entries, other.vectors, other.gram, self.ridge, self.alpha, side, gain)
            if done < len(rows):
                no_solution()
            return done

        each(work, self.shares, progress.add)
        return float(gain.sum(dtype=np.float64))

    def penalty(self, side: FloatArray) -> float:
        """Σ λ |x|²."""
        return float(self.ridge.astype(np.float64) @ np.einsum("ij,ij->i", side, side, dtype=np.float64))


def factors(matrix: csr_array, p: AlsParams, ctx: Context) -> tuple[FloatArray, FloatArray]:
    """User and item vectors, (n_users, dim) and (n_items, dim) float32, `l2` given; rows without entries are 0."""
    items = np.random.default_rng(ctx.seed).normal(0, 0.1, (matrix.shape[1], p.dim)).astype(np.float32)
    items[np.bincount(matrix.indices, minlength=len(items)) == 0] = 0
    if ctx.device != "cpu":
        from recprofile.builtin.encode.als_device import factors_on

        return factors_on(matrix, items, p, ctx)
    by_user, by_item = Side.of(matrix, p), Side.of(matrix.T.tocsr(), p)
    items = Fixed.of(items).vectors
    users = np.zeros((matrix.shape[0], items.shape[1]), np.float32)
    progress = ctx.progress(p.epochs * (by_user.n_rows + by_item.n_rows) + by_user.n_rows, "rows")
    confidence = matrix.nnz + p.alpha * float(matrix.data.sum(dtype=np.float64))
    loss = np.inf
    for _ in range(p.epochs):
        by_user.improve(users, Fixed.of(items), progress)
        gain = by_item.improve(items, Fixed.of(users), progress)
        before, loss = loss, confidence - gain + by_user.penalty(users)
        if before - loss < p.tolerance * loss:
            break
    by_user.solve(users, Fixed.of(items), progress)
    progress.add(progress.total - progress.done)  # sweeps that were not needed
    return users[:, : p.dim].copy(), items[:, : p.dim].copy()


def user_vectors(matrix: csr_array | Pairs, items: Fixed, p: AlsParams) -> FloatArray:
    """The vectors of users whose events `matrix` (n, n_items) holds, for given item vectors: (n, p.dim) float32.

    What the last half-sweep of `factors` does, for any users; 0 without entries.
    """
    users = np.zeros((matrix.shape[0], items.vectors.shape[1]), np.float32)
    by_user = Side.of(matrix, p)
    by_user.solve(users, items, Context().progress(by_user.n_rows, "rows"))
    return users[:, : p.dim].copy()
