"""Quality of each user's list, and means of it resampled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import Dataset, IntArray, Recommendations

Doubles = NDArray[np.float64]
CELLS = 1 << 22  # draws at once: 32 MB


def ndcg_by_user(recs: Recommendations, data: Dataset, *, k: int) -> tuple[IntArray, Doubles]:
    """Users who have a list and something relevant in test, and their NDCG@k in [0, 1]: codes (n,), float64 (n,).

    Relevant are the items of positive test events, less those the user has in training, which lists leave out. Gain
    is binary, discount log2(rank + 1), ideal list cut at k; places that a short list leaves empty are misses.

    Source: Järvelin & Kekäläinen 2002, with the discount of Burges et al. 2005.
    """
    wanted, seen = data.positives("test"), data.seen()
    relevant = wanted - wanted.multiply(seen)
    relevant.eliminate_zeros()
    relevant.sort_indices()
    counts = np.diff(relevant.indptr)[recs.users]
    users, lists = recs.users[counts > 0], recs.items[counts > 0, :k]
    counts = counts[counts > 0]
    pairs = (
        np.repeat(np.arange(data.n_users, dtype=np.int64), np.diff(relevant.indptr)) * data.n_items + relevant.indices
    )
    listed = users[:, None].astype(np.int64) * data.n_items + lists
    # `pairs` is sorted, so a listed pair is relevant when it stands where it would be put in.
    at = np.minimum(np.searchsorted(pairs, listed), max(0, len(pairs) - 1))
    hits = (pairs[at] == listed) & (lists >= 0) if len(pairs) else np.zeros(listed.shape, np.bool_)
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discount)[np.minimum(counts, k) - 1]
    return users, (hits @ discount[: hits.shape[1]]) / ideal


@dataclass(frozen=True, eq=False)
class Resampled:
    """Means of resamples of the users: `by_group` float64 (times, n_groups), `overall` float64 (times,)."""

    by_group: Doubles
    overall: Doubles


def resampled_means(
    quality: Doubles, group: IntArray, *, n_groups: int, times: int, rng: np.random.Generator
) -> Resampled:
    """Means by group and overall when each group's users are drawn anew, with replacement, as many as it has.

    MetricFrame has a bootstrap of its own (`n_boot`). It takes 7 ms a sample and more with many users, where this
    takes 10 ns a user and sample; and it draws from all users at once, so that a small group is missing from some
    samples and its size varies in all. Every group in `group` (codes 0 … n_groups-1) has at least one user.

    Source: Efron & Tibshirani 1993, "An introduction to the bootstrap", section 8.3 (two-sample problem).
    """
    order = np.argsort(group, kind="stable")
    values = quality[order]
    n = np.bincount(group, minlength=n_groups)
    start = np.cumsum(n) - n
    first, size = np.repeat(start, n), np.repeat(n, n)
    by_group = np.empty((times, n_groups))
    step = max(1, CELLS // len(values))
    for at in range(0, times, step):
        draw = rng.random((min(step, times - at), len(values)))
        # The product can round up to the size itself.
        where = first + np.minimum((draw * size).astype(np.int64), size - 1)
        by_group[at : at + step] = np.add.reduceat(values[where], start, axis=1) / n
    return Resampled(by_group, by_group @ n / len(values))
