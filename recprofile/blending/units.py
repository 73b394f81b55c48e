"""Scores of several rankers in one unit, so that they can be added, item by item as far as each ranks it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from recprofile.artifacts import BoolArray, Dataset, FloatArray, IntArray
from recprofile.components import Ranker

if TYPE_CHECKING:
    from scipy.sparse import csr_array

BLOCK_BYTES = 32 * 2**20  # scores of one ranker held at once beside those that are kept


@dataclass(frozen=True, eq=False)
class Standardised:
    """Scores of a block of users in standard deviations, as `standardised` makes them.

    `z` (n, n_items) float32, -inf where an item is not ranked; `tells` bool (n,), False where all of a user's scores
    are alike, so that z is 0 and says nothing; z = (score - mean) / deviation, `deviation` float32 (n,), 1 where it
    would be 0.
    """

    z: FloatArray
    tells: BoolArray
    deviation: FloatArray


def standardised(scores: FloatArray, seen: csr_array) -> Standardised:
    """Each user's scores at mean 0 and deviation 1 over the items that are ranked and that they have not seen.

    `scores` (n, n_items), -inf where an item is not ranked; `seen` (n, n_items) CSR. What a user has seen is scored in
    the same unit but does not count in it: a model that reconstructs its input puts those items far above the rest,
    and the further the longer the history. A user who has seen all that is ranked has the unit of all of it.
    """
    ranked = np.isfinite(scores)
    counted = ranked.copy()
    counted[np.repeat(np.arange(len(scores)), np.diff(seen.indptr)), seen.indices] = False
    everything = ~counted.any(axis=1)
    counted[everything] = ranked[everything]
    number = np.maximum(counted.sum(axis=1), 1)
    given = np.where(counted, scores, np.float32(0))
    mean = (given.sum(axis=1, dtype=np.float64) / number).astype(np.float32)
    size = np.abs(given).max(axis=1, initial=0)
    np.subtract(given, mean[:, None], out=given, where=counted)
    deviation = np.sqrt(np.einsum("ui,ui->u", given, given, dtype=np.float64) / number).astype(np.float32)
    tells = deviation > 1e-6 * size  # scores that differ by rounding alone are alike
    deviation[~tells] = 1
    z = (scores - mean[:, None]) / deviation[:, None]
    z[~tells] = np.where(ranked[~tells], np.float32(0), -np.inf)
    return Standardised(z, tells, deviation)


def unit_scores(ranker: Ranker, data: Dataset, users: IntArray, known: BoolArray) -> Standardised:
    """A ranker's scores of users of the data, standardised; `known` is its `known_users`: it tells of no other."""
    found = standardised(ranker.scores(users), data.seen()[users])
    return replace(found, tells=found.tells & known[users])


def user_blocks(users: IntArray, n_items: int) -> Iterator[slice]:
    """Slices of users whose scores take at most BLOCK_BYTES."""
    step = max(1, BLOCK_BYTES // (4 * max(1, n_items)))
    return (slice(start, start + step) for start in range(0, len(users), step))


def weighted_mean(parts: Sequence[tuple[FloatArray, BoolArray, float]]) -> FloatArray:
    """The mean of z over the rankers that rank an item, each with its weight: (n, n_items) float32.

    Parts are (z, tells, weight) with weights above 0. A ranker that tells nothing of a user is not heard for them;
    where none tells, what any ranks is 0. An item that none of those heard ranks is -inf.
    """
    nobody = ~np.any([tells for _, tells, _ in parts], axis=0)
    total = np.zeros(parts[0][0].shape, np.float32)
    heard = np.zeros(total.shape, np.float32)
    for z, tells, weight in parts:
        ranked = (z > -np.inf) & (tells | nobody)[:, None]
        total += np.where(ranked, z, 0) * np.float32(weight)
        heard += ranked * np.float32(weight)
    return np.divide(total, heard, out=np.full(total.shape, -np.inf, np.float32), where=heard > 0)
