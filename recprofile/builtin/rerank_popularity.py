"""Reranker: lists as popular as what their user takes to, by calibration over classes of popularity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recprofile.builtin.rerank import blocks, scaled
from recprofile.plugin import (
    BoolArray,
    Context,
    Dataset,
    Field,
    FloatArray,
    Inputs,
    IntArray,
    Params,
    Recommendations,
    Reranker,
)

Doubles = NDArray[np.float64]
BLOCK = 1 << 18  # places of lists looked at at once


class PopularityParams(Params):
    # On MovieLens-100K (EASE, validation parts) 0.2 brings lists from 79 % more popular than the user's history to 66 %
    # for .004 NDCG@10 on a random split, and from 58 % to 48 % for nothing on one by time; 0.5 to 45 % for .027, and to
    # 32 % for .003.
    strength: float = Field(
        0.2, ge=0, le=1, description="Share of the correction against relevance; 0 leaves the order as it is."
    )
    classes: int = Field(
        5, ge=2, le=20, description="Classes of popularity, each with an equal share of the positive events."
    )
    candidates: int = Field(100, ge=1, le=10_000, description="First items of each list that may change places.")


class Popularity(Reranker[PopularityParams]):
    """Reorder lists so that they hold as many popular and as many rare items as their user takes to.

    Items fall into classes from the most popular to the rarest, each with an equal share of the positive training
    events. P is how a user's positive training items spread over the classes (all positive events, for a user without
    any), Q how the list does so far, and JS(P, Q) in [0, 1] the Jensen-Shannon divergence in bits. The next item is the
    one with the largest (1 - s) · rel(i) - s · n · JS(P, Q with i), with s the strength, n the length with i, and rel
    the score scaled to [0, 1] within the list's candidates (1 where all are equal); ties go to the item that stood
    higher. That is greedy for the mean relevance less the divergence. Who keeps to what is popular still gets it.
    Scores given are the ranks from the list's end. Items after the candidates keep their places.

    Source: calibrated popularity of Abdollahpouri et al. 2021, "User-centered evaluation of popularity bias in
    recommender systems", after Steck 2018, "Calibrated recommendations"; both sum the relevance, so that the divergence
    loses its hold in longer lists.
    """

    name = "popularity"

    def depth(self, k: int) -> int:
        """All the candidates."""
        return max(k, self.params.candidates)

    def rerank(self, recs: Recommendations, inputs: Inputs, data: Dataset, ctx: Context) -> Recommendations:
        """Lists of the same users and items in another order."""
        n, width = recs.items.shape
        c = min(self.params.candidates, width)
        if n == 0 or c == 0:
            return recs
        classes = popularity_classes(data, self.params.classes)
        spread = spread_of_history(data, classes, self.params.classes)
        order = np.tile(np.arange(width), (n, 1))
        progress = ctx.progress(n, "lists")
        for rows in blocks(n, max(1, BLOCK // c)):
            items = recs.items[rows, :c]
            order[rows, :c] = calibrated(
                scaled(recs.scores[rows], c)[:, :c], classes[items], items >= 0, spread[recs.users[rows]],
                strength=self.params.strength,
            )  # fmt: skip
            progress.add(len(items))
        items = np.take_along_axis(recs.items, order, axis=1)
        scores = np.where(items < 0, np.nan, np.arange(width, 0, -1)).astype(np.float32)
        return replace(recs, items=items, scores=scores)


def popularity_classes(data: Dataset, n: int) -> IntArray:
    """Class of each item, 0 the most popular, int32 (n_items,).

    An item's class is where the events of all that are more popular end, in n-ths of all positive training events; of
    equally popular items the lower code comes first. Items without such events are of the last class.
    """
    counts = data.item_counts()
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    classes = np.full(data.n_items, n - 1, np.int32)
    classes[order] = np.minimum(before * n // max(1, counts.sum()), n - 1)
    return classes


def spread_of_history(data: Dataset, classes: IntArray, n: int) -> Doubles:
    """Share of each class in each user's positive training items, float64 (n_users, n); in all, for a user without."""
    positives = data.positives()
    user = np.repeat(np.arange(data.n_users), np.diff(positives.indptr))
    cells = np.bincount(user * n + classes[positives.indices], minlength=data.n_users * n)
    counts = cells.reshape(data.n_users, n).astype(np.float64)
    total = counts.sum(axis=1, keepdims=True)
    of_all = counts.sum(axis=0) / total.sum() if total.sum() else np.full(n, 1 / n)
    out: Doubles = np.divide(counts, total, out=np.tile(of_all, (data.n_users, 1)), where=total > 0)
    return out


def calibrated(
    relevance: FloatArray, classes: IntArray, filled: BoolArray, spread: Doubles, *, strength: float
) -> NDArray[np.int64]:
    """Order of c candidates, for b lists at once: (b, c); `spread` (b, n) is P, the first of equal gains is next.

    Within a class the order by relevance stays, so that only the first one left of each class can come next, and a
    place costs the same however many candidates there are. Places that are not `filled` come last, in order.
    """
    b, c = relevance.shape
    n = spread.shape[1]
    row = np.arange(b)
    label = np.where(filled, classes, n)
    by_class = np.argsort(label, axis=1, kind="stable")
    size = np.stack([np.count_nonzero(label == g, axis=1) for g in range(n)])
    start = np.cumsum(size, axis=0) - size
    taken = np.zeros((n, b), np.int64)
    order = by_class.copy()  # where a list ends early, what is left is in order
    wanted = spread.T
    for place in range(c):  # over the places of a list, never over lists
        at = by_class[row, np.minimum(start + taken, c - 1)]
        now, more = (divergence_terms(wanted, (taken + extra) / (place + 1)) for extra in (0, 1))
        gain = (1 - strength) * relevance[row, at] - strength * (place + 1) * (now.sum(axis=0) - now + more)
        gain[taken >= size] = -np.inf
        best = gain.max(axis=0)
        next_at = np.where(gain == best, at, c)
        chosen = next_at.argmin(axis=0)
        alive = best > -np.inf
        order[alive, place] = next_at[chosen, row][alive]
        taken[chosen[alive], row[alive]] += 1
    return order


def divergence_terms(p: Doubles, q: Doubles) -> Doubles:
    """What each class gives to the Jensen-Shannon divergence of p and q, in bits: ½ (p log p/m + q log q/m), m mean."""
    middle = (p + q) / 2

    def side(share: Doubles) -> Doubles:
        return share * np.log2(np.divide(share, middle, out=np.ones_like(share), where=share > 0))

    out: Doubles = (side(p) + side(q)) / 2
    return out
