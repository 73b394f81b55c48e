"""One scale for warm and cold items: where a cold item's score stands among those of warm ones.

Held-out folds of warm items, learnt without, stand for the cold ones. Both kinds' chances of being relevant are fitted
as exponential in the score, for each user relative to their own rate, and equated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import log
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import (
    BoolArray,
    Dataset,
    FloatArray,
    Inputs,
    IntArray,
    Progress,
    Ranker,
    unit_scores,
    user_blocks,
)

Counts: TypeAlias = NDArray[np.float64]

# Scores are counted in bins. The first holds all below half a deviation and has a rate of its own: lists are made at
# the top, and a line that had to fit the many scores near the mean would be off there. On MovieLens-100K, .5 is as good
# as any other from 0 to 3, and rests on the most relevant pairs.
EDGES = np.arange(0.5, 12.05, 0.1)
CENTRES = np.concatenate([[0.0], EDGES[:-1] + 0.05, [EDGES[-1]]])
BINS = len(CENTRES)
STEPS = 50  # of Newton's method; it takes five to ten
PRIOR = 10.0  # relevant pairs that the usual share counts as
LEAST = 1e-3  # slope: with none, a ranker's own order would be lost


@dataclass(frozen=True)
class Scale:
    """A cold item's standardised score in the unit of warm ones: `slope` · z + `offset`, `slope` above 0."""

    slope: float
    offset: float


@dataclass(frozen=True)
class Fitted:
    """ln of the chance of being relevant at score z, less the user's own part: a + b·z, of warm and of cold items.

    `low` has the same of the first bin of either, and `positives` how many relevant pairs each side rests on.
    """

    warm: tuple[float, float]
    cold: tuple[float, float]
    low: tuple[float, float]
    positives: tuple[int, int]

    def rates(self) -> tuple[Counts, Counts]:
        """The chances by bin, float64 (BINS,), of warm and of cold items, less the user's own part."""
        found = [a + b * CENTRES for a, b in (self.warm, self.cold)]
        for line, low in zip(found, self.low, strict=True):
            line[0] = low
        return np.exp(found[0]), np.exp(found[1])

    def scale(self, share: float) -> Scale:
        """Equal chances at equal scores, when a cold item has `share` of its relevant pairs still to come."""
        (a, b), (c, d) = self.warm, self.cold
        return Scale(d / b, (c + log(share) - a) / b)


@dataclass(frozen=True, eq=False)
class Tables:
    """Pairs and relevant pairs by user and score: `pairs`, `relevant` float64 (n_users, 2·BINS), warm bins first."""

    pairs: Counts
    relevant: Counts

    @classmethod
    def sum(cls, tables: Iterable[Tables], n_users: int) -> Tables:
        """All of them together, users being the same."""
        pairs, relevant = np.zeros((n_users, 2 * BINS)), np.zeros((n_users, 2 * BINS))
        for one in tables:
            pairs += one.pairs
            relevant += one.relevant
        return cls(pairs, relevant)


def tabled(
    data: Dataset,
    rankers: Sequence[Ranker],
    *,
    users: IntArray,
    cold: BoolArray,
    of_cold: Callable[[IntArray], BoolArray],
    among: BoolArray | None = None,
) -> Tables:
    """Counts of the unseen pairs of these users by score: warm items by the first ranker, `cold` ones by the second.

    Relevant are the positive pairs of `data.test`, and of cold items those that `of_cold` says for a block of users,
    bool (len(block), n_items). `among` bool (n_items,): the cold items that count, all when None.
    """
    pairs, relevant = np.zeros((len(users), 2 * BINS)), np.zeros((len(users), 2 * BINS))
    test, seen = data.positives("test"), data.seen()
    known = [ranker.known_users() for ranker in rankers]
    counted = cold if among is None else cold & among
    for at in user_blocks(users, data.n_items):
        who = users[at]
        unseen = np.asarray(seen[who].toarray() == 0)
        warm_relevant = np.asarray(test[who].toarray() > 0)
        for side, (items, hits) in enumerate(((~cold, warm_relevant), (counted, of_cold(who)))):
            unit = unit_scores(rankers[side], data, who, known[side])
            row, item = np.nonzero(unseen & items & (unit.z > -np.inf) & unit.tells[:, None])
            place = row * BINS + np.searchsorted(EDGES, unit.z[row, item], side="right")
            size = len(who) * BINS
            into = slice(side * BINS, (side + 1) * BINS)
            pairs[at, into] = np.bincount(place, minlength=size).reshape(-1, BINS)
            relevant[at, into] = np.bincount(place[hits[row, item]], minlength=size).reshape(-1, BINS)
    return Tables(pairs, relevant)


def fitted(tables: Tables) -> Fitted:
    """The likeliest lines for relevant pairs as Poisson counts with a rate of each user's own.

    The rates are those that make each user's expected relevant pairs the observed ones, so that what is fitted is how
    a user's relevant pairs spread over their items: a multinomial logit, on counts. A weak prior (slopes 0.5 ± 1, the
    lines within ± 2 of one another at 0, the first bins within ± 10) keeps it finite where one side has no relevant
    pair.
    """
    first = np.arange(BINS) == 0
    side = np.stack([~first, CENTRES, first], axis=1).astype(np.float64)
    nothing = np.zeros_like(side)
    design = np.block([[side, nothing], [nothing, side]])
    observed, of_user = tables.relevant.sum(axis=0), tables.relevant.sum(axis=1)
    line = np.array([0.0, 0.5, 0.0] * 2)
    prior, weak = line.copy(), np.diag([1e-6, 1.0, 0.01, 0.25, 1.0, 0.01])
    for _ in range(STEPS):
        rate = np.exp(np.clip(design @ line, -30, 30))
        own = np.divide(of_user, tables.pairs @ rate, out=np.zeros(len(of_user)), where=of_user > 0)
        expected = (own @ tables.pairs) * rate
        by_user = own[:, None] * (tables.pairs @ (rate[:, None] * design))
        share = np.divide(1, of_user, out=np.zeros(len(of_user)), where=of_user > 0)
        gradient = design.T @ (observed - expected) - weak @ (line - prior)
        curvature = design.T @ (expected[:, None] * design) - by_user.T @ (share[:, None] * by_user) + weak
        step = np.linalg.solve(curvature, gradient)
        line = line + step * min(1.0, 2.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    a, b, low, c, d, low_cold = (float(value) for value in line)
    positives = (int(observed[:BINS].sum()), int(observed[BINS:].sum()))
    return Fitted((a, max(b, LEAST)), (c, max(d, LEAST)), (low, low_cold), positives)


def expected_cold(tables: Tables, lines: Fitted) -> float:
    """Relevant pairs of cold items that the lines lead to expect, each user's rate being that of their warm items."""
    warm_rate, cold_rate = lines.rates()
    warm = tables.pairs[:, :BINS] @ warm_rate
    of_user = tables.relevant[:, :BINS].sum(axis=1)
    own = np.divide(of_user, warm, out=np.zeros(len(warm)), where=warm > 0)
    return float((own * (tables.pairs[:, BINS:] @ cold_rate)).sum())


def item_folds(
    data: Dataset, *, warm: BoolArray, folds: int, rng: np.random.Generator
) -> list[tuple[BoolArray, Dataset]]:
    """The warm items dealt at random into folds: for each its mask, and the data without its training events."""
    items = rng.permutation(np.flatnonzero(warm))
    found = []
    for k in range(min(folds, len(items))):
        cold = np.zeros(data.n_items, np.bool_)
        cold[items[k::folds]] = True
        stays = ~cold[data.train.item]
        if stays.any():
            found.append((cold, data.revise(train=data.train.take(stays), held=data.held[stays])))
    return found


def calibrated(
    fit: Dataset,
    refit: Callable[[Dataset], Inputs],
    *,
    min_events: int,
    folds: int,
    limit: int,
    rng: np.random.Generator,
    progress: Callable[[int, str], Progress],
) -> tuple[Fitted, IntArray]:
    """The lines, over all folds, and the users that they rest on: at most `limit` with a relevant event in `fit.test`.

    A cold item has all its events before it: in a fold, what counts as relevant of an item that stands for one are the
    positive events that were taken away as well as those of `fit.test`.
    """
    relevant: IntArray = np.unique(fit.test.user[fit.test.positive])
    users = relevant if len(relevant) <= limit else np.sort(rng.choice(relevant, limit, replace=False))
    warm = np.bincount(fit.train.item, minlength=fit.n_items) >= min_events
    train, test = fit.positives(), fit.positives("test")

    def all_positive(who: IntArray) -> BoolArray:
        return np.asarray((train[who] + test[who]).toarray() > 0)

    dealt = item_folds(fit, warm=warm, folds=folds, rng=rng)
    done = progress(len(dealt), "folds of items")

    def tables() -> Iterable[Tables]:
        for fold, without in dealt:
            rankers = list(refit(without).rankers.values())
            yield tabled(without, rankers, users=users, cold=fold | ~warm, of_cold=all_positive, among=fold)
            done.add()

    return fitted(Tables.sum(tables(), len(users))), users


def share_to_come(
    data: Dataset, fit: Dataset, rankers: Sequence[Ranker], lines: Fitted, *, min_events: int, users: IntArray
) -> float:
    """How much of a cold item's relevant pairs is in the part that lists are for: against all it ever has, above 0.

    Items that are cold in `fit` and have events in `data.train` show it on the validation part: observed over
    expected, drawn towards the share that validation events are of all as if PRIOR more had been expected at that
    share. Where there are fewer of them than one more cut by the same rule would leave cold, they cannot speak for all
    that are cold in `data`, and the rest is taken at that share too.
    """
    before = fit.train.positive.sum()
    usual = float((fit.test.positive.sum() + 1) / (fit.test.positive.sum() + before + 1))
    counts = np.bincount(data.train.item, minlength=data.n_items)
    cold = np.bincount(fit.train.item, minlength=data.n_items) < min_events
    shown, wanted = int((cold & (counts > 0)).sum()), int((counts < min_events).sum())
    if shown == 0:
        return usual
    test = fit.positives("test")
    found = tabled(
        fit, rankers, users=users, cold=cold, of_cold=lambda who: np.asarray(test[who].toarray() > 0), among=counts > 0
    )
    observed, expected = found.relevant[:, BINS:].sum(), expected_cold(found, lines)
    share = float((observed + PRIOR * usual) / (expected + PRIOR))
    speaks = min(1.0, shown / max(wanted * (1 - usual), 1e-9))
    return speaks * share + (1 - speaks) * usual


def mixed(warm: FloatArray, cold: FloatArray, is_cold: BoolArray, scale: Scale) -> FloatArray:
    """One score per item, (n, n_items) float32: warm items' own, and those of `is_cold`, bool, on the same scale."""
    return np.where(is_cold, np.float32(scale.slope) * cold + np.float32(scale.offset), warm)
