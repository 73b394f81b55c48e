"""What EASE and its kin rest on: sums over the pairs of events of each user, in their order or not, and an inverse."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from benchmarks.speed.case import Case
from benchmarks.speed.measure import Bound, Contest, Side, Timed
from benchmarks.speed.same import same_arrays
from recprofile.artifacts import FloatArray
from recprofile.plugin import Context

REACH, FLOOR, FURTHEST = 10.0, 0.3, 2_000  # a pair that is d events apart counts FLOOR + (1 − FLOOR)·exp(−d / REACH)
RIDGE = 200.0


def contests(case: Case) -> Iterator[Contest]:
    """The ordered sums, the Gram matrix, the inverse."""
    n = case.data.n_items
    ordered = np.bincount(case.data.train.user).astype(np.float64)
    once = np.diff(case.positives.indptr).astype(np.float64)
    square = 4.0 * n * n
    yield Contest(
        "Gram matrix in the order of events",
        Side("recprofile", lambda: in_order(case)),
        [Side("numba, plain loops", lambda: plain_loops(case))],
        lambda mine, theirs: same_arrays(mine, theirs, rtol=1e-3, atol=1e-3),
        lambda: Bound(flops=float((ordered * (ordered - 1)).sum()), bytes=square),
    )
    yield Contest(
        "Gram matrix",
        Side("recprofile", lambda: gram(case)),
        [Side("scipy", lambda: scipy(case), rounds=1)],
        lambda mine, theirs: same_arrays(mine, theirs, rtol=1e-3, atol=1e-3),
        lambda: Bound(flops=float((once * (once + 1)).sum()), bytes=square),
    )
    yield Contest(
        f"inverse, {n:,} items",
        Side("recprofile", lambda: inverse(case)),
        [Side("torch Cholesky", lambda: torch_inverse(case))],
        lambda mine, theirs: same_arrays(mine, theirs, rtol=1e-2, atol=1e-6),
        lambda: Bound(flops=float(n) ** 3),
        rounds=2,
    )


def in_order(case: Case) -> Timed:
    """What `weighted-ease` makes where the order of events counts."""
    from recprofile.builtin.recommend.graded import sequence, together

    data, weight = case.data, np.ones(len(case.data.train), np.float32)
    _ = sequence(data)
    progress = Context().progress(data.n_items, "items")
    return lambda: together(data, weight, reach=REACH, floor=FLOOR, progress=progress)


def plain_loops(case: Case) -> Timed:
    """What a user of numba writes: items in parallel, each over its events and those that follow."""
    from recprofile.builtin.recommend.graded import sequence

    line = sequence(case.data)
    item = case.data.train.item[line.rows].astype(np.int64)
    x = np.ones(len(item), np.float32)  # what weighted-ease weighs events by; ours has them too
    ends = np.arange(len(item)) + 1 + np.minimum(line.after, FURTHEST)
    kernel = (FLOOR + (1 - FLOOR) * np.exp(-np.arange(FURTHEST + 1) / REACH)).astype(np.float32)
    n_items = case.data.n_items

    def run() -> FloatArray:
        where = np.argsort(item, kind="stable")
        starts = np.searchsorted(item[where], np.arange(n_items + 1))
        out = np.zeros((n_items, n_items), np.float32)
        _plain()(item, x, ends, kernel, where, starts, out)
        return out

    return run


@cache
def _plain() -> Any:  # noqa: ANN401 - a compiled function
    from numba import njit, prange

    @njit(parallel=True)
    def sums(item, x, ends, kernel, where, starts, out):  # noqa: PLR0917 - compiled, without keywords
        for i in prange(len(starts) - 1):
            for at in range(starts[i], starts[i + 1]):
                p = where[at]
                for q in range(p + 1, ends[p]):
                    out[i, item[q]] += x[p] * x[q] * kernel[q - p]

    return sums


def gram(case: Case) -> Timed:
    """What every linear model of items starts from."""
    from recprofile.builtin.recommend.pairs import gram_of

    x = case.positives
    return lambda: gram_of(x, Context().progress(x.shape[1], "items"))


def scipy(case: Case) -> Timed:
    """The sparse product, made dense."""
    x = case.positives

    def run() -> FloatArray:
        product: FloatArray = (x.T @ x).toarray()
        return product

    return run


def inverse(case: Case) -> Timed:
    """In the matrix's own memory; the copy that it works in is made off the clock."""
    from recprofile.builtin.recommend.inverse import inverse_in_place

    matrix = _system(case).copy()
    return lambda: inverse_in_place(matrix)


def torch_inverse(case: Case) -> Timed:
    """Cholesky, and the inverse from it."""
    import torch

    matrix = torch.from_numpy(_system(case))
    return lambda: torch.cholesky_inverse(torch.linalg.cholesky(matrix)).numpy()


@cache
def _system(case: Case) -> FloatArray:
    """The Gram matrix with a ridge."""
    matrix: FloatArray = gram(case)()
    np.fill_diagonal(matrix, matrix.diagonal() + np.float32(RIDGE))
    return matrix
