"""The metrics: formula, range, source, and what each gives where it is undefined.

A metric is a function of `Judged`, lists held against what is relevant. Metrics per user give one value per user,
NaN where they are undefined; metrics of the system give one value for all lists together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recprofile.artifacts import BoolArray, FloatArray, IntArray

Values = NDArray[np.float64]

BLOCK_BYTES = 32 * 2**20  # vectors of listed items that diversity holds at once: n users x k items x d is large


@dataclass(frozen=True, eq=False)
class Judged:
    """Lists of n users, held against what is relevant to them.

    `items` int32 (n, length) codes, best first, -1 after the end of a list; `hits` bool (n, length), True at relevant
    items; `relevant` int64 (n,), how many relevant items there are, listed or not; `candidates` bool (n_items,), what
    may be listed; `information` float64 (n_items,), see `self_information`; `vectors` float32 (n_items, d) or None.
    `usual` float64 (n,) or None: how popular the items are that a user has in training, as `popularity` measures it,
    NaN without any. `inverse` float64 (n, length) or None: 1 / propensity p of each hit, 0 elsewhere; with it come
    float64 (n,), over all that is relevant to a user, `inverse_total` Σ 1/p, and `inverse_rest` Σ 1 / (total - 1/p),
    which is 0 for a user with one relevant item.
    """

    items: IntArray
    hits: BoolArray
    relevant: NDArray[np.int64]
    candidates: BoolArray
    information: Values
    vectors: FloatArray | None = None
    usual: Values | None = None
    inverse: Values | None = None
    inverse_total: Values | None = None
    inverse_rest: Values | None = None

    def take(self, rows: NDArray[Any]) -> Judged:
        """The lists at these rows, or where this mask holds."""
        names = ("items", "hits", "relevant", "usual", "inverse", "inverse_total", "inverse_rest")
        return replace(self, **{n: values[rows] for n in names if (values := getattr(self, n)) is not None})


# Of relevance, per user


def ndcg(judged: Judged, k: int) -> Values:
    """Normalised discounted cumulative gain at k, (n,) in [0, 1]; NaN for a user with nothing relevant.

    Σ 1/log2(rank + 1) over hits, divided by that of a list that starts with min(k, |relevant|) hits: gain is binary.

    Source: Järvelin & Kekäläinen 2002; this discount is that of Burges et al. 2005.
    """
    discount = 1 / np.log2(np.arange(2, k + 2))
    hits = judged.hits[:, :k]
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(k, judged.relevant)]
    return ratio(hits @ discount[: hits.shape[1]], ideal)


def recall(judged: Judged, k: int) -> Values:
    """Hits in the first k / |relevant|, (n,) in [0, 1]; NaN for a user with nothing relevant.

    It cannot reach 1 for a user with more than k relevant items.
    """
    return ratio(_hit_counts(judged, k), judged.relevant)


def precision(judged: Judged, k: int) -> Values:
    """Hits in the first k / k, (n,) in [0, 1], also when the list is shorter than k; NaN with nothing relevant."""
    return _where_relevant(judged, _hit_counts(judged, k) / k)


def average_precision(judged: Judged, k: int) -> Values:
    """Average precision at k, whose mean is MAP, (n,) in [0, 1]; NaN for a user with nothing relevant.

    Σ precision at the rank of each hit in the first k / |relevant|: the `map_cut` of trec_eval. Others divide by
    min(k, |relevant|), which gives more to users with more than k relevant items.
    """
    hits = judged.hits[:, :k].astype(np.float64)
    precisions = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return ratio((hits * precisions).sum(axis=1), judged.relevant)


def reciprocal_rank(judged: Judged, k: int) -> Values:
    """1 / rank of the first hit in the first k, 0 without one, whose mean is MRR: (n,) in [0, 1].

    NaN for a user with nothing relevant. Source: Voorhees 1999.
    """
    ranks = np.arange(1, judged.hits[:, :k].shape[1] + 1)
    best: Values = np.max(judged.hits[:, :k] / ranks, axis=1, initial=0.0)
    return _where_relevant(judged, best)


def hit_rate(judged: Judged, k: int) -> Values:
    """1 when there is a hit in the first k, else 0, (n,); NaN for a user with nothing relevant."""
    return _where_relevant(judged, np.minimum(_hit_counts(judged, k), 1.0))


# Beyond relevance


def self_information(users_per_item: NDArray[np.int64], n_users: int) -> Values:
    """How surprising each item is, -log2 p_i in bits, float64 (n_items,) in [0, log2(n_users + 1)].

    p_i = (c_i + 1) / (n_users + 1), with c_i of the n_users users who have training events having one on item i. One
    user who has everything is added, so that an item nobody knows has a finite value.
    """
    bits: Values = np.log2(n_users + 1.0) - np.log2(users_per_item + 1.0)
    return bits


def novelty(judged: Judged, k: int) -> Values:
    """Mean self-information of the first k items in bits, (n,) in [0, log2(n_users + 1)]; NaN for an empty list.

    Source: Zhou et al. 2010; see `self_information` for the smoothing.
    """
    items = judged.items[:, :k]
    filled = items >= 0
    if judged.information.size == 0:
        return np.full(len(items), np.nan)
    bits = np.where(filled, judged.information[items], 0.0)
    return ratio(bits.sum(axis=1), np.count_nonzero(filled, axis=1))


def diversity(judged: Judged, k: int) -> Values:
    """Mean cosine distance between the first k items, pair by pair, (n,) in [0, 2].

    1 - mean cos(i, j) over pairs i ≠ j. Items whose vector is zero (nothing was known of them) are left out; NaN
    when fewer than two are left.

    Source: intra-list similarity, Ziegler et al. 2005. Σ_{i≠j} cos(i, j) = |Σ v_i|² - k for unit vectors v.
    """
    if judged.vectors is None:
        raise ValueError("diversity needs item vectors")
    items = judged.items[:, :k]
    out = np.full(len(items), np.nan)
    size = max(1, BLOCK_BYTES // (8 * max(1, items.shape[1] * judged.vectors.shape[1])))
    for start in range(0, len(items) if judged.vectors.size else 0, size):
        some = items[start : start + size]
        found = np.where(some[..., None] >= 0, judged.vectors[some], 0).astype(np.float64)
        length = np.sqrt(np.einsum("nkd,nkd->nk", found, found))
        unit = np.divide(found, length[..., None], out=np.zeros_like(found), where=length[..., None] > 0)
        many = np.count_nonzero(length, axis=1)
        total = np.square(unit.sum(axis=1)).sum(axis=1) - many
        # Rounding must not carry a list of equal vectors below 0.
        out[start : start + size] = np.clip(1 - ratio(total, many * (many - 1)), 0.0, 2.0)
    return out


def coverage(judged: Judged, k: int) -> float:
    """Distinct candidates in all lists' first k / number of candidates, in [0, 1]; NaN without candidates."""
    counts = times_listed(judged, k)
    return float(np.count_nonzero(counts) / len(counts)) if len(counts) else np.nan


def gini(judged: Judged, k: int) -> float:
    """Gini coefficient of how often each candidate is listed, in [0, 1 - 1/m] for m candidates; NaN without lists.

    0: all equally often; near 1: a few items fill all lists. Σ (2i - m - 1) x_i / (m Σ x), x rising. Lower is better.

    Source: Gini 1912, for lists Fleder & Hosanagar 2009.
    """
    counts = np.sort(times_listed(judged, k)).astype(np.float64)
    m, total = len(counts), counts.sum()
    return float((2 * np.arange(1, m + 1) - m - 1) @ counts / (m * total)) if total else np.nan


def times_listed(judged: Judged, k: int) -> NDArray[np.int64]:
    """How many lists hold each candidate in their first k, int64 (n_candidates,)."""
    items = judged.items[:, :k]
    return np.bincount(items[items >= 0], minlength=len(judged.candidates))[judged.candidates]


# Of predicted ratings


def squared_error(predicted: FloatArray, actual: FloatArray) -> Values:
    """(predicted - actual)², pair by pair; the root of its mean is RMSE, in the unit of the weights."""
    return np.square(predicted.astype(np.float64) - actual)


def absolute_error(predicted: FloatArray, actual: FloatArray) -> Values:
    """|predicted - actual|, pair by pair; its mean is MAE, in the unit of the weights."""
    return np.abs(predicted.astype(np.float64) - actual)


def rmse(predicted: FloatArray, actual: FloatArray) -> float:
    """Root of the mean squared error, in the unit of the weights, from 0; NaN without pairs."""
    return float(np.sqrt(squared_error(predicted, actual).mean())) if len(actual) else np.nan


def mae(predicted: FloatArray, actual: FloatArray) -> float:
    """Mean absolute error, in the unit of the weights, from 0; NaN without pairs."""
    return float(absolute_error(predicted, actual).mean()) if len(actual) else np.nan


def ratio(top: NDArray[Any], bottom: NDArray[Any]) -> Values:
    """top / bottom, NaN where bottom is 0."""
    out = np.full(top.shape, np.nan)
    np.divide(top, bottom, out=out, where=bottom > 0)
    return out


def _hit_counts(judged: Judged, k: int) -> Values:
    hits: Values = np.count_nonzero(judged.hits[:, :k], axis=1).astype(np.float64)
    return hits


def _where_relevant(judged: Judged, values: Values) -> Values:
    return np.where(judged.relevant > 0, values, np.nan)
