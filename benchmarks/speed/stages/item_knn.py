"""The 100 nearest items of each item by cosine over their users."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.speed.case import Case
from benchmarks.speed.measure import Bound, Contest, Side, Timed
from benchmarks.speed.same import Lists, same_lists

K = 100


def contests(case: Case) -> Iterator[Contest]:
    """One row."""
    lengths = np.diff(case.positives.indptr).astype(np.float64)
    yield Contest(
        f"item-kNN, top {K}",
        Side("recprofile", lambda: ours(case)),
        [
            Side("sparse_dot_topn", lambda: sparse_dot_topn(case)),
            Side("implicit", lambda: implicit(case)),
            Side("irspack", lambda: irspack(case), rounds=1),
        ],
        lambda mine, theirs: same_lists(nearest(mine), nearest(theirs)),
        # A product and a sum for each pair of a user, once.
        lambda: Bound(flops=float((lengths * (lengths + 1)).sum())),
        rounds=2,
    )


def ours(case: Case) -> Timed:
    """The recommender `item-knn`, as plain cosine; its neighbours are those of the column's item."""
    from recprofile.builtin.recommend.neighbours import ItemKnn, ItemKnnParams
    from recprofile.plugin import Context, Inputs

    knn = ItemKnn(ItemKnnParams(neighbours=K, shrink=0, weighting="none"))
    data = case.data
    _ = case.positives
    return lambda: knn.fit(data, Inputs(), Context()).weights.T  # type: ignore[attr-defined]  # a LinearRanker


def sparse_dot_topn(case: Case) -> Timed:
    """The product of normed columns; an item is its own nearest, so one more is asked for."""
    from scipy.sparse import csr_matrix
    from sparse_dot_topn import sp_matmul_topn

    from recprofile.threads import threads

    matrix = csr_matrix(case.positives)

    def run() -> Any:  # noqa: ANN401 - no stubs
        norms = np.sqrt(np.bincount(matrix.indices, weights=matrix.data**2, minlength=matrix.shape[1]))
        normed = matrix.copy()
        normed.data /= norms[matrix.indices].astype(np.float32)
        return sp_matmul_topn(normed.T.tocsr(), normed, top_n=K + 1, n_threads=threads())

    return run


def implicit(case: Case) -> Timed:
    """`CosineRecommender`, likewise."""
    from implicit.nearest_neighbours import CosineRecommender
    from scipy.sparse import csr_matrix

    matrix = csr_matrix(case.positives)

    def run() -> Any:  # noqa: ANN401 - no stubs
        model = CosineRecommender(K=K + 1)
        model.fit(matrix, show_progress=False)
        return model.similarity

    return run


def irspack(case: Case) -> Timed:
    """`CosineKNNRecommender`, which leaves itself out of what it kept."""
    from irspack import CosineKNNRecommender
    from scipy.sparse import csr_matrix

    from recprofile.threads import threads

    matrix = csr_matrix(case.positives, dtype=np.float64)

    def run() -> Any:  # noqa: ANN401 - no stubs
        model = CosineKNNRecommender(matrix, top_k=K + 1, normalize=True, n_threads=threads())
        model.learn()
        return model.W

    return run


def nearest(similar: Any) -> Lists:  # noqa: ANN401 - any of scipy's forms
    """Of each row the K largest entries off the diagonal, best first; of equals, lower columns."""
    rows = similar.tocsr()
    n = rows.shape[0]
    row = np.repeat(np.arange(n), np.diff(rows.indptr))
    off = (row != rows.indices) & (rows.data > 0)
    row, column, value = row[off], rows.indices[off], rows.data[off]
    order = np.lexsort((column, -value, row))
    row, column, value = row[order], column[order], value[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    kept = place < K
    items, scores = np.full((n, K), -1, np.int64), np.full((n, K), np.nan)
    items[row[kept], place[kept]], scores[row[kept], place[kept]] = column[kept], value[kept]
    return items, scores
