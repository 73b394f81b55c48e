"""The arithmetic of `weighted-ease`, and how it chooses the settings that a recipe leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from recprofile.builtin.recommend.content import content_kernel, content_rows
from recprofile.builtin.recommend.graded import event_weights, matrix_of, recency, together
from recprofile.builtin.recommend.inverse import ridge_inverse
from recprofile.builtin.recommend.linear import LinearRanker
from recprofile.builtin.recommend.memory import free_memory, refuse_unless_it_fits
from recprofile.builtin.recommend.pairs import gram_of
from recprofile.plugin import BoolArray, Context, Dataset, FloatArray, Inputs, UserScores, judge

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from recprofile.builtin.recommend.weighted_ease import WeightedEaseParams

# Of MovieLens-100K's validation parts, three random ones and three by time: no other value of any of these is better by
# more than .001 of NDCG@10 on both.
L2, PRIOR, POPULARITY = 200.0, 150.0, 0.15
L2S = (25.0, 50.0, 100.0, 400.0, 800.0)
PRIORS = (0.0, 50.0, 400.0)
POPULARITIES = (0.0, 0.3, 0.45)
PRIOR_L2 = 1.0
SQUARES = 6  # n_items² float32: G, C, S, A or P, B and one on the way


@dataclass(frozen=True)
class Setting:
    """What may be left open."""

    order: str
    l2: float
    prior: float
    popularity: float


def fit_weighted(
    data: Dataset, inputs: Inputs, p: WeightedEaseParams, ctx: Context
) -> tuple[FloatArray, BoolArray, Mapping[str, float]]:
    """The weights (n_items, n_items) float32, which items they rank, and the settings."""
    refuse_unless_it_fits("weighted-ease", data.n_items, free_memory(), squares=SQUARES)
    setting = _chosen(data, inputs, p, ctx)
    for name, value in vars(setting).items():
        ctx.note(name, value)
    weights, ranks = _Fit(data, inputs, p, ctx).weights(setting)
    return weights, ranks, vars(setting)


def weighted_history(data: Dataset, *, p: WeightedEaseParams, order: str) -> csr_array:
    """The history that is scored, (n_users, n_items) float32 CSR."""
    weight = event_weights(data, p)
    if order == "sequence":
        weight = weight * recency(data, events=p.recency, floor=p.recency_floor)
    return matrix_of(data, weight)


class _Fit:
    """One set of training events, for fits with several settings."""

    def __init__(self, data: Dataset, inputs: Inputs, p: WeightedEaseParams, ctx: Context) -> None:
        self.data, self.p, self.ctx = data, p, ctx
        self.counts = data.item_counts()
        self.content: FloatArray | None = None
        self.known = np.zeros(data.n_items, np.bool_)
        if inputs.encoded and p.prior != 0:
            kernel, self.known = content_kernel(content_rows(inputs.encoded, data), p.blocks, p.sharpness)
            self.content = _ease_of(kernel, PRIOR_L2, ctx)
        self._grams: dict[str, tuple[FloatArray, FloatArray]] = {}

    def ranker(self, setting: Setting) -> LinearRanker:
        """The Ranker with a setting."""
        weights, ranks = self.weights(setting)
        return LinearRanker(self.data, weights, ranks, partial(weighted_history, p=self.p, order=setting.order))

    def weights(self, setting: Setting) -> tuple[FloatArray, BoolArray]:
        """B with its columns held back by popularity, and which items it ranks."""
        weights = self._weights(setting.order, setting.l2, setting.prior)
        ranks = (self.counts > 0) | (self.known & bool(setting.prior > 0))
        return weights * np.float32(self.counts + 1) ** np.float32(-setting.popularity), ranks

    def _weights(self, order: str, l2: float, prior: float) -> FloatArray:
        gram, target = self.gram(order)
        plain = target is gram
        mean = float((gram.diagonal() + 1).mean()) if len(gram) else 1.0
        ridge = np.float32(l2) * ((gram.diagonal() + 1) / np.float32(mean)) ** np.float32(self.p.l2_growth)
        if self.content is not None and prior > 0:
            ridge, target, plain = ridge + np.float32(prior), target + np.float32(prior) * self.content, False
        inverse = ridge_inverse(gram, ridge, self.ctx)
        if plain:  # P C = I - P·ridge, and what is left is EASE without a product
            inverse /= -inverse.diagonal().copy()
            np.fill_diagonal(inverse, 0)
            return inverse
        weights: FloatArray = inverse @ target
        weights -= inverse * (weights.diagonal() / inverse.diagonal())
        np.fill_diagonal(weights, 0)
        return weights

    def gram(self, order: str) -> tuple[FloatArray, FloatArray]:
        """G and C."""
        if order not in self._grams:
            self._grams[order] = self._made(order)
        return self._grams[order]

    def _made(self, order: str) -> tuple[FloatArray, FloatArray]:
        data, p = self.data, self.p
        active = np.bincount(data.train.user, minlength=data.n_users)
        mean = max(1.0, len(data.train) / max(1, int(np.count_nonzero(active))))
        held = (np.maximum(active, 1) / mean) ** (-p.activity / 2)
        weight = event_weights(data, p) * held[data.train.user].astype(np.float32)
        if order == "no":
            gram = gram_of(matrix_of(data, weight), self.ctx.progress(data.n_items, "items"))
            return gram, gram
        progress = self.ctx.progress(data.n_items, "items")
        then = together(data, weight, reach=p.reach, floor=p.reach_floor, progress=progress)
        own = np.bincount(data.train.item, weights=weight.astype(np.float64) ** 2, minlength=data.n_items)
        gram = then + then.T
        np.fill_diagonal(gram, gram.diagonal() + own.astype(np.float32))
        if order == "near":
            return gram, gram
        before = p.backward
        target = np.float32(2 / (1 + before)) * (then + np.float32(before) * then.T)
        np.fill_diagonal(target, gram.diagonal())
        return gram, target


def _ease_of(kernel: FloatArray, l2: float, ctx: Context) -> FloatArray:
    inverse = ridge_inverse(kernel, l2, ctx)
    weights: FloatArray = inverse / -inverse.diagonal()
    np.fill_diagonal(weights, 0)
    return weights


def _chosen(data: Dataset, inputs: Inputs, p: WeightedEaseParams, ctx: Context) -> Setting:
    """The settings of the recipe, and what it leaves open by the one-standard-error rule on the validation part."""
    setting = Setting(
        "no" if p.order == "auto" else p.order,
        L2 if p.l2 is None else p.l2,
        (PRIOR if p.prior is None else p.prior) if inputs.encoded else 0.0,
        POPULARITY if p.popularity is None else p.popularity,
    )
    choices: Mapping[str, tuple[Any, ...]] = {
        "order": ("near", "sequence") if p.order == "auto" and data.has_time else (),
        "l2": L2S if p.l2 is None else (),
        "prior": PRIORS if p.prior is None and inputs.encoded else (),
        "popularity": POPULARITIES if p.popularity is None else (),
    }
    if not any(choices.values()):
        return setting
    if len(data.valid) == 0:
        ctx.warn("weighted-ease: no validation events to choose settings by, so they are the defaults")
        return setting
    fit = data.for_tuning()
    tried = _Fit(fit, ctx.refit(fit) if inputs.encoded else inputs, p, ctx)
    progress = ctx.progress(1 + sum(map(len, choices.values())), "settings")
    best = _judged(tried, setting)
    progress.add()
    for name, values in choices.items():
        found: list[tuple[UserScores, Setting]] = []
        for value in values:
            other = replace(setting, **{name: value})
            found.append((_judged(tried, other), other))
            progress.add()
        if found:
            top, other = max(found, key=lambda one: one[0].mean)
            if top.beats(best):
                best, setting = top, other
    return setting


def _judged(tried: _Fit, setting: Setting) -> UserScores:
    """By items with events: what is best for those without would not be for them, and hang on the split alone."""
    return judge(tried.ranker(setting), tried.data, candidates=tried.counts > 0)
