"""How `content-ridge` chooses what a recipe leaves open: on folds of items whose events are taken away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from recprofile.builtin.recommend.content import content_rows, kernel_of
from recprofile.builtin.recommend.content_targets import sources
from recprofile.plugin import BoolArray, Context, Dataset, FloatArray, IntArray, KeptRanker, judge

if TYPE_CHECKING:
    from recprofile.builtin.recommend.content_ridge import ContentRidgeParams

# Where the search begins, and what is chosen where there is nothing to choose by. On ten folds of MovieLens-100K's
# training items no other value of any of these is better by more than .001 of NDCG@10.
RIDGE, SHARPNESS, LINEAR, FACTORS = 0.5, 0.5, 2.0, 2.0
RIDGES = (0.05, 0.15, 1.5, 5.0)
SHARPNESSES = (0.15, 0.25, 1.0, 2.0)
SHARES = (0.0, 1.0, 4.0)
WEIGHTS = (0.25, 0.5, 2.0, 4.0)
ROUNDS = 2
ERRORS = 2.0
ITEMS = 3_000  # most items that settings are chosen on: a fold's kernel takes 36 MB a block
USERS = 2_000  # most users that a fold is judged by
USUAL = 30.0  # events of an item whose ridge is `ridge` itself


@dataclass(frozen=True)
class Setting:
    """What may be left open; `weights` by encode stage."""

    ridge: float
    sharpness: float
    linear: float
    factors: float
    weights: Mapping[str, float]

    def noted(self) -> dict[str, Any]:
        """As parameters of the component."""
        return {**{k: v for k, v in vars(self).items() if k != "weights"}, "blocks": dict(self.weights)}


def opening(p: ContentRidgeParams, stages: list[str]) -> Setting:
    """What the recipe says, and the defaults for the rest."""
    return Setting(
        RIDGE if p.ridge is None else p.ridge,
        SHARPNESS if p.sharpness is None else p.sharpness,
        LINEAR if p.linear is None else p.linear,
        FACTORS if p.factors is None else p.factors,
        {name: p.blocks.get(name, 1.0) for name in stages},
    )


def choose_setting(data: Dataset, stages: list[str], p: ContentRidgeParams, ctx: Context) -> Setting:
    """The settings of the recipe, and those left open by folds of items.

    One after the other is tried with the others as they are, twice over; the best value of each is taken when its mean
    gain over the folds is above two standard errors over them: items differ more than users do, and the best of four
    values is ahead by chance alone more often than one would be.
    """
    setting = opening(p, stages)
    changes = _changes(p, stages)
    if not changes:
        return setting
    folds = list(_folds(data, p, ctx))
    if len(folds) < 2:
        ctx.warn("content-ridge: too few items with events to choose settings by, so they are the defaults")
        return setting
    progress = ctx.progress(1 + ROUNDS * sum(len(values) for _, values in changes), "settings")
    judged: dict[str, FloatArray] = {}

    def of(one: Setting) -> FloatArray:
        if repr(one) not in judged:
            judged[repr(one)] = np.array([fold.judged(one, p) for fold in folds])
        progress.add()
        return judged[repr(one)]

    before, best = setting, of(setting)
    for _ in range(ROUNDS):
        start = setting
        for name, values in changes:
            found = [(of(other), other) for other in (_with(setting, name, value) for value in values)]
            gain, other, top = max(((one - best, other, one) for one, other in found), key=lambda one: one[0].mean())
            if gain.mean() > ERRORS * gain.std(ddof=1) / np.sqrt(len(gain)):
                setting, best = other, top
        if setting == start:
            break
    first = of(before)
    ctx.note(
        "ndcg@10 on folds of items", {"before": round(float(first.mean()), 4), "chosen": round(float(best.mean()), 4)}
    )
    return setting


def _changes(p: ContentRidgeParams, stages: list[str]) -> list[tuple[str, tuple[float, ...]]]:
    """What is left open, and values to try: of weights as multiples, and none where there is one block only."""
    single: list[tuple[str, float | None, tuple[float, ...]]] = [
        ("sharpness", p.sharpness, SHARPNESSES),
        ("ridge", p.ridge, RIDGES),
        ("linear", p.linear, SHARES),
        ("factors", p.factors, SHARES),
    ]
    found = [(name, values) for name, given, values in single if given is None]
    weights = [(f"weights.{name}", WEIGHTS) for name in stages if name not in p.blocks and len(stages) > 1]
    return [*weights, *found]


def _with(setting: Setting, name: str, value: float) -> Setting:
    block = name.removeprefix("weights.")
    if block == name:
        changed: Mapping[str, Any] = {name: value}
        return replace(setting, **changed)
    return replace(setting, weights={**setting.weights, block: setting.weights[block] * value})


def _folds(data: Dataset, p: ContentRidgeParams, ctx: Context) -> list[_Fold]:
    """The items with events, at most ITEMS of them, dealt at random."""
    rng = ctx.rng()
    there = np.flatnonzero(~data.cold_items())
    chosen = rng.permutation(there)[:ITEMS]
    inside = np.zeros(data.n_items, np.bool_)
    inside[chosen] = True
    found = []
    for k in range(min(p.folds, len(chosen) // 2)):
        cold = np.zeros(data.n_items, np.bool_)
        cold[chosen[k :: p.folds]] = True
        stays, gone = inside[data.train.item] & ~cold[data.train.item], cold[data.train.item]
        nobody = data.valid.take(np.zeros(len(data.valid), np.bool_))
        fold = data.revise(
            train=data.train.take(stays),
            test=data.train.take(gone),
            valid=nobody,
            held=np.zeros(int(stays.sum()), bool),
        )
        if fold.test.positive.any() and len(fold.train):
            found.append(_Fold(fold, cold, p, ctx))
    return found


class _Fold:
    """Items that stand for new ones: what users did with the others, carried over to them, and judged."""

    def __init__(self, data: Dataset, cold: BoolArray, p: ContentRidgeParams, ctx: Context) -> None:
        relevant: IntArray = np.unique(data.test.user[data.test.positive])
        rng = ctx.rng()
        users = relevant if len(relevant) <= USERS else np.sort(rng.choice(relevant, USERS, replace=False))
        self.data = data.revise(test=data.test.take(np.isin(data.test.user, users)))
        self.cold = cold
        rows = content_rows(ctx.refit(data).encoded, data)
        known = np.any([there for _, there in rows.values()], axis=0)
        events = np.bincount(data.train.item, minlength=data.n_items)
        self.warm = np.flatnonzero((events > 0) & known)
        self.new = np.flatnonzero(cold & known)
        both = np.concatenate([self.warm, self.new])
        self.near = {name: vectors[both] @ vectors[both].T for name, (vectors, _) in rows.items()}
        self.growth = ((events[self.warm] + 1) / USUAL) ** p.ridge_growth
        self.targets = [part[:, self.warm] for part in sources(data, users, p, ctx)]
        self.row = np.full(data.n_users, -1, np.int64)
        self.row[users] = np.arange(len(users))

    def judged(self, s: Setting, p: ContentRidgeParams) -> float:
        """NDCG@10 with a setting, the mean over users."""
        near = sum((np.float32(w) * self.near[name] for name, w in s.weights.items()), np.float32(0))
        kernel = kernel_of(np.asarray(near, np.float32), sum(s.weights.values()), s.sharpness)
        n = len(self.warm)
        system = kernel[:n, :n].copy()
        system[np.diag_indices(n)] += (s.ridge * self.growth).astype(np.float32)
        carry = cho_solve(cho_factor(system, lower=True, overwrite_a=True, check_finite=False), kernel[:n, n:])
        history, linear, factors = self.targets
        scores = np.full((len(history), self.data.n_items), -np.inf, np.float32)
        scores[:, self.new] = (history + s.linear * linear + s.factors * factors) @ carry
        return judge(KeptRanker(scores.__getitem__, self.row, self.row >= 0), self.data, candidates=self.cold).mean
