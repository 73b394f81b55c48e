"""One item after another, each the one whose labels tell most of all that is still uncertain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recprofile.artifacts import FloatArray
from recprofile.labels.posterior import Posterior


@dataclass(frozen=True, slots=True)
class Choice:
    """An item by code; its variance before its labels, 0 to 1; the share of the whole variance that they remove.

    `nearest` is the code of the item chosen before that is most alike, with their cosine `near`; None for the first,
    and where vectors tell nothing of it.
    """

    item: int
    variance: float
    share: float
    nearest: int | None
    near: float


def choose(vectors: FloatArray, events: NDArray[np.int64], n: int, *, labels: int) -> list[Choice]:
    """The n items, fewer where there are fewer, whose labels lower the sum of the variances of all items most.

    `vectors` (n_items, d) have rows of length 1 at most, `events` (n_items,) are those so far; `labels` are asked of
    each chosen item. Greedy: the gain of each next one is given those chosen before, which lowers it for what is alike,
    so that the choice is diverse as core-sets are (Sener & Savarese 2018) and weighs how many others an item stands
    for. Of equal gains the first. Takes two products of (n_items, d) with (d, d) an item that is chosen.
    """
    posterior = Posterior(vectors, events)
    whole = float(posterior.variances().sum())
    chosen: list[Choice] = []
    taken = np.zeros(len(events), np.bool_)
    for _ in range(min(n, len(events))):
        gains = np.where(taken, -np.inf, posterior.gains(labels))
        item = int(gains.argmax())
        nearest, near = _nearest(vectors, item, [one.item for one in chosen])
        variance = float(posterior.variances()[item])
        chosen.append(Choice(item, variance, float(gains[item]) / whole, nearest, near))
        taken[item] = True
        posterior.add(item, labels)
    return chosen


def _nearest(vectors: FloatArray, item: int, before: list[int]) -> tuple[int | None, float]:
    if not before or not vectors[item].any():
        return None, 0.0
    rows, own = vectors[before], vectors[item]
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(own)
    cosines = np.divide(rows @ own, lengths, out=np.zeros(len(before)), where=lengths > 0)
    best = int(cosines.argmax())
    return before[best], float(cosines[best])
