"""Weights of a blend, chosen on the validation part, and whether they are worth it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import gcd
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from recprofile.artifacts import BoolArray, Dataset, FloatArray, IntArray, Pack
from recprofile.blending.units import unit_scores, user_blocks, weighted_mean
from recprofile.components import Ranker
from recprofile.evaluate import UserScores, judge

Counts: TypeAlias = tuple[int, ...]
Values: TypeAlias = NDArray[np.float64]

STEPS = 12  # times that a ranker is added: weights are multiples of 1/12 or coarser
BAGS = 12  # bootstrap samples of users whose weights are averaged
PARTS = 24  # averaged weights are multiples of 1/24
EVEN = 50  # users who stand for equal weights, beside those that weights are chosen on
DEALS = 3  # of users into folds, which the verdict is the mean of
FOLDS = 5  # of users: weights are judged on users that they were not chosen on
KEPT_BYTES = 512 * 2**20  # scores kept while weights are tried


@dataclass(frozen=True)
class BlendChoice:
    """Weights by ranker, summing to 1, and why: `gain` is the blend's mean over that of the best ranker alone.

    `gain` and `error`, its standard error, are on users that neither the weights nor the ranker judged there were
    chosen on; `blend` and `single`, that of `best`, are means of the metric over the `users` users chosen on.
    """

    weights: Mapping[str, float]
    best: str
    users: int
    blend: float
    single: float
    gain: float
    error: float

    @property
    def blends(self) -> bool:
        """Whether more than one ranker is heard."""
        return len(self.weights) > 1


@dataclass(frozen=True, eq=False)
class KeptRanker(Ranker):
    """Plays back scores of some users: `of` gives those of rows, `row` int64 (n_users,) the row of a user or -1."""

    of: Callable[[NDArray[np.int64]], FloatArray]
    row: NDArray[np.int64]
    known: BoolArray

    def scores(self, users: IntArray) -> FloatArray:
        """The scores kept of these users."""
        return self.of(self.row[users])

    def known_users(self) -> BoolArray:
        """Users whom any of the rankers knows."""
        return self.known

    def pack(self) -> Pack:
        """Nothing: it lives while weights are tried."""
        return Pack()


class Trials:
    """Blends of rankers, judged user by user on `data.test`; `rankers` have not learnt from that part.

    At most `limit` users, drawn by `rng`, and fewer where their scores would take more than KEPT_BYTES.
    """

    def __init__(
        self, rankers: Mapping[str, Ranker], data: Dataset, *, metric: str, limit: int, rng: np.random.Generator
    ) -> None:
        relevant = np.unique(data.test.user[data.test.positive])
        limit = min(limit, max(1, KEPT_BYTES // (4 * max(1, len(rankers) * data.n_items))))
        chosen: IntArray = relevant if len(relevant) <= limit else np.sort(rng.choice(relevant, limit, replace=False))
        self._data = data.revise(test=data.test.take(np.isin(data.test.user, chosen)))
        self._metric = metric
        self._row = np.full(data.n_users, -1, np.int64)
        self._row[chosen] = np.arange(len(chosen))
        self._parts: list[tuple[FloatArray, BoolArray]] = []
        self._known = np.zeros(data.n_users, np.bool_)
        for ranker in rankers.values():
            known = ranker.known_users()
            units = [unit_scores(ranker, data, chosen[at], known) for at in user_blocks(chosen, data.n_items)]
            nothing = np.zeros((0, data.n_items), np.float32)
            z = np.concatenate([nothing, *(unit.z for unit in units)])
            self._parts.append((z, np.concatenate([known[:0], *(unit.tells for unit in units)])))
            self._known |= known
        self._memo: dict[Counts, UserScores] = {}

    def judged(self, counts: Counts) -> UserScores:
        """The metric of the blend with these weights, of which only the ratios count; kept."""
        divisor = gcd(*counts)
        counts = tuple(n // divisor for n in counts)
        if counts not in self._memo:
            heard = [(z, tells, n) for (z, tells), n in zip(self._parts, counts, strict=True) if n]

            def of(rows: NDArray[np.int64]) -> FloatArray:
                return weighted_mean([(z[rows], tells[rows], float(n)) for z, tells, n in heard])

            ranker = KeptRanker(of, self._row, self._known)
            self._memo[counts] = judge(ranker, self._data, metric=self._metric)
        return self._memo[counts]


def choose_blend(
    rankers: Mapping[str, Ranker], data: Dataset, *, metric: str, limit: int, rng: np.random.Generator
) -> BlendChoice:
    """A blend of the rankers, or the best of them where it beats the blend by more than a standard error.

    Weights come from forward selection with replacement: beginning with none, STEPS times the ranker is added once
    more that helps the metric's mean most, and the best of all these sums is taken; the mean of that over BAGS
    bootstrap samples of users, and of equal weights, which count as EVEN users do: few users tell little. So it is
    done on all users; for the verdict weights and the best ranker are chosen on all but a fold, and judged there.
    Where that does not tell, they are blended: what is best of several on few users is often so by chance.
    """
    names = list(rankers)
    trials = Trials(rankers, data, metric=metric, limit=limit, rng=rng)
    alone = [_one(n, len(names)) for n in range(len(names))]
    singles = [trials.judged(counts).mean for counts in alone]
    best = int(np.argmax(singles))
    single = trials.judged(alone[best])
    n = len(single.values)
    everyone = np.ones(n, np.bool_)
    draws = rng.multinomial(n, np.full(n, 1 / max(1, n)), size=BAGS) if n else np.zeros((BAGS, 0), np.int64)

    def bagged(users: BoolArray) -> Counts:
        return bagged_selection(lambda counts: trials.judged(counts).values, len(names), draws * users)

    def blended_on(users: BoolArray) -> Values:
        return trials.judged(bagged(users)).values

    def best_on(users: BoolArray) -> Values:
        return trials.judged(max(alone, key=lambda one: _mean(trials.judged(one).values, users))).values

    chosen = bagged(everyone)

    def elsewhere(chosen_on: Callable[[BoolArray], Values], at: int) -> Values:
        dealt = np.random.default_rng(deals[at])  # the same folds for both
        return judged_elsewhere(chosen_on, single.values, dealt)

    deals = rng.integers(2**63, size=DEALS)
    found = [elsewhere(blended_on, at) - elsewhere(best_on, at) for at in range(DEALS)]
    gain = UserScores(single.users, np.mean(found, axis=0))
    kept = chosen if gain.mean >= -gain.error or not n else alone[best]
    weights = {name: count / sum(kept) for name, count in zip(names, kept, strict=True) if count}
    return BlendChoice(weights, names[best], n, trials.judged(chosen).mean, single.mean, gain.mean, gain.error)


def judged_elsewhere(chosen_on: Callable[[BoolArray], Values], before: Values, rng: np.random.Generator) -> Values:
    """What a choice gives each user when it is made on the others: FOLDS folds of users, dealt at random; (n,).

    `chosen_on` gives the values of all users of what is chosen on some, bool (n,). Of fewer than two users nothing can
    be learnt: what was `before` stays.
    """
    n = len(before)
    if n < 2:
        return before
    fold = rng.permutation(n) % min(FOLDS, n)
    found = np.zeros(n)
    for k in range(min(FOLDS, n)):
        found[fold == k] = chosen_on(fold != k)[fold == k]
    return found


def bagged_selection(judged: Callable[[Counts], Values], size: int, draws: NDArray[np.int64]) -> Counts:
    """The mean of `forward_selection` over samples of users, what one takes by chance few do, and of equal weights.

    `draws` (samples, n): how often each user is in each. Equal weights count as EVEN users beside those in any sample.
    The mean is in parts of PARTS, and 1 for each ranker where no user is in any.

    Source: Caruana et al. 2004, section 2.3.
    """
    found = [forward_selection(judged, size, draw) for draw in draws if draw.any()]
    if not found:
        return (1,) * size
    n = np.count_nonzero(draws.any(axis=0))
    share = np.mean([np.array(counts) / sum(counts) for counts in found], axis=0)
    share = (n * share + EVEN / size) / (n + EVEN)
    parts = np.floor(share * PARTS).astype(int)
    parts[np.argsort(parts - share * PARTS, kind="stable")[: PARTS - parts.sum()]] += 1
    return tuple(parts.tolist())


def forward_selection(judged: Callable[[Counts], Values], size: int, users: NDArray[Any]) -> Counts:
    """How often each of `size` rankers is added in STEPS steps, cut where the mean over users is best.

    `users` (n,) says who counts, and how often.

    Of equal steps the earlier ranker, and of equal sums the shorter one, is taken.

    Source: Caruana et al. 2004, "Ensemble selection from libraries of models", section 2.1.
    """
    counts: Counts = (0,) * size
    best, highest = _one(0, size), -np.inf
    for _ in range(STEPS):
        grown = [tuple(n + (at == r) for at, n in enumerate(counts)) for r in range(size)]
        means = [_mean(judged(one), users) for one in grown]
        counts = grown[int(np.argmax(means))]
        if max(means) > highest + 1e-12:
            best, highest = counts, max(means)
    return best


def _one(at: int, size: int) -> Counts:
    return tuple(int(n == at) for n in range(size))


def _mean(values: Values, users: NDArray[Any]) -> float:
    return float(values @ users / users.sum()) if users.any() else 0.0
