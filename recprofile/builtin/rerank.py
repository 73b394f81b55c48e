"""Rerankers: diverse lists by maximal marginal relevance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import (
    Context,
    Dataset,
    Field,
    FloatArray,
    Inputs,
    Params,
    Recommendations,
    Reranker,
    RunError,
)

BLOCK = 1 << 24  # similarities or vector components held at once, 64 MiB in float32
LAST = np.finfo(np.float32).min


class MmrParams(Params):
    relevance: float = Field(
        0.7, ge=0, le=1, description="Share of relevance against novelty within the list; 1 leaves the order as it is."
    )
    candidates: int = Field(100, ge=1, le=10_000, description="First items of each list that may change places.")


class Mmr(Reranker[MmrParams]):
    """Reorder lists so that each next item is relevant and unlike those before it: maximal marginal relevance.

    The next item is the one with the largest r · rel(i) - (1 - r) · max over the items j before it of cos(i, j), with
    rel the score scaled to [0, 1] within the list's candidates (1 where all are equal) and cos of the vectors of the
    stage that `from` names, or else of the profiles; an item whose vector is zero is like no other (cosine 0). Ties go
    to the item that stood higher. Scores given are these values, each cut to the one before it, so that they descend.
    Items after the candidates keep their places.

    Source: Carbonell and Goldstein 1998, "The use of MMR, diversity-based reranking".
    """

    name = "mmr"
    needs_profiles = True

    def depth(self, k: int) -> int:
        """All the candidates."""
        return max(k, self.params.candidates)

    def rerank(self, recs: Recommendations, inputs: Inputs, data: Dataset, ctx: Context) -> Recommendations:
        """Lists of the same users and items in another order; raises RunError RP404 without item vectors."""
        unit = unit_vectors(inputs)
        n, width = recs.items.shape
        c = min(self.params.candidates, width)
        if n == 0 or c == 0:
            return recs
        order = np.tile(np.arange(width), (n, 1))
        values = np.empty((n, width), np.float32)
        progress = ctx.progress(n, "lists")
        for rows in blocks(n, BLOCK // (c * max(c, unit.shape[1])) or 1):
            items, share = recs.items[rows], np.float32(self.params.relevance)
            relevance = scaled(recs.scores[rows], c)
            vectors = unit[np.maximum(items[:, :c], 0)]
            alike = vectors @ vectors.transpose(0, 2, 1)
            order[rows, :c], values[rows, :c] = greedy(relevance[:, :c], alike, items[:, :c] >= 0, share)
            values[rows, c:] = share * relevance[:, c:]
            progress.add(len(items))
        values = np.minimum.accumulate(values, axis=1)
        values[recs.items < 0] = np.nan
        return replace(recs, items=np.take_along_axis(recs.items, order, axis=1), scores=values)


def unit_vectors(inputs: Inputs) -> FloatArray:
    """Item vectors of length 1, or 0, (n_items, d): of the encode stage named, else of the profiles."""
    named = [encoded.items.vectors for encoded in inputs.encoded.values() if encoded.items is not None]
    if len(named) > 1:
        raise RunError.of("RP404", "'mmr' takes the vectors of one stage", help=("name one in 'from'",))
    if not named and inputs.profiles is None:
        raise RunError.of("RP404", "'mmr' needs item vectors", help=("add a 'fuse' stage before it",))
    vectors = named[0] if named or inputs.profiles is None else inputs.profiles.item_vectors
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: FloatArray = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    return unit


def scaled(scores: FloatArray, c: int) -> FloatArray:
    """Scores with the first c of each row stretched to [0, 1], 1 where they are equal; 0 where there is no item."""
    top = scores[:, :1]
    low = np.nan_to_num(np.fmin.reduce(scores[:, :c], axis=1, keepdims=True))
    span = top - low
    out: FloatArray = np.divide(scores - low, span, out=(scores >= low).astype(np.float32), where=span > 0)
    return np.nan_to_num(out, copy=False)


def greedy(
    relevance: FloatArray, alike: FloatArray, filled: NDArray[np.bool_], share: np.float32
) -> tuple[NDArray[np.int64], FloatArray]:
    """Order and values of c candidates by maximal marginal relevance, for b lists at once: (b, c) each.

    `alike` (b, c, c) similarities; places that are not `filled` come last, in order, with the lowest float32.
    """
    b, c = relevance.shape
    row = np.arange(b)
    order = np.empty((b, c), np.int64)
    values = np.empty((b, c), np.float32)
    gain = np.where(filled, share * relevance, LAST)
    nearest = np.zeros((b, c), np.float32)
    for place in range(c):  # over the places of a list, never over lists
        now = np.where(gain > LAST, gain - (1 - share) * nearest, gain)
        best = now.argmax(axis=1)
        order[:, place], values[:, place] = best, now[row, best]
        gain[row, best] = -np.inf
        nearest = np.maximum(nearest, alike[row, best]) if place else alike[row, best]
    return order, values


def blocks(n: int, step: int) -> Iterator[slice]:
    """Slices that cover 0 … n-1, `step` at a time."""
    return (slice(a, min(a + step, n)) for a in range(0, n, step))
