"""The descent of `mlp`, and what it ranks by. Imports torch: to be imported late."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from recprofile.builtin.descent.sampled_softmax import sampled_softmax
from recprofile.builtin.descent.tensors import (
    Chance,
    Descent,
    Weights,
    on,
    pack_weights,
    to_numpy,
    unpack_weights,
)
from recprofile.builtin.recommend.gradient.folds import Fold, folds
from recprofile.builtin.recommend.gradient.mlp_net import Units, scores, start, units_of
from recprofile.builtin.recommend.gradient.negatives import Pairs
from recprofile.plugin import BoolArray, Context, Dataset, FloatArray, Inputs, IntArray, Pack, Profiles, Ranker

if TYPE_CHECKING:
    from recprofile.builtin.recommend.gradient.mlp import MlpParams

PAIRS = 1 << 17  # that are scored at once: with 64 hidden numbers each, 32 MiB


class MlpLearner:
    """The network in training; see `Mlp`."""

    def __init__(self, data: Dataset, inputs: Inputs, p: MlpParams, ctx: Context) -> None:
        assert inputs.profiles is not None
        self._data, self._p, self._ctx, self._profiles = data, p, ctx, inputs.profiles
        self._chance = Chance(ctx.seed, ctx.device)
        self._positives = Pairs(data.positives(), ctx.device)
        self._folds: tuple[Fold, ...] | None = None
        self._units = units_of(self._profiles, ctx.device)
        warm = (data.item_counts() > 0) & self._profiles.item_vectors.any(axis=1)
        self._warm = on(ctx.device, np.flatnonzero(warm))
        self.descent = Descent(start(p, self._profiles, self._chance), learning_rate=p.learning_rate)

    def epoch(self) -> float:
        """Every positive event once, fold by fold, batches of all folds in a new order."""
        if self._folds is None:  # made when they are needed: what ranks as `dot` needs none
            self._folds = tuple(folds(self._data, self._profiles, self._ctx, count=self._p.folds))
        batches = [
            (fold, rows) for fold in self._folds for rows in self._chance.batches(len(fold.user), size=self._p.batch)
        ]
        total, many = 0.0, 0
        for at in self._chance.order(len(batches)).tolist() if len(self._warm) else ():
            fold, rows = batches[at]
            total += self.descent.step(self.loss(fold, rows.cpu().numpy())) * len(rows)
            many += len(rows)
        return total / max(many, 1)

    def loss(self, fold: Fold, rows: IntArray) -> Tensor:
        """Mean loss of these events of a fold."""
        p, device = self._p, self._ctx.device
        drawn = self._warm[self._chance.below(len(self._warm), p.negatives)]
        users = on(device, fold.user_vectors[fold.user[rows]])
        right = on(device, fold.item_vectors[fold.item[rows]])
        others = on(device, fold.item_vectors[drawn.cpu().numpy()])
        mine = self._scores(users, right, paired=True)
        own = self._positives.have(on(device, fold.user[rows])[:, None], drawn)
        log_q = torch.full((p.negatives,), -math.log(len(self._warm)), device=device)
        return sampled_softmax(mine, self._scores(users, others, paired=False), log_q, own).mean()

    def _scores(self, users: Tensor, items: Tensor, *, paired: bool) -> Tensor:
        w, p = self.descent.weights, self._p
        return scores(w, users, items, self._units, paired=paired, dropout=p.dropout, chance=self._chance)

    def ranker(self) -> MlpRanker:
        """The averaged network."""
        units = {f"unit/{name}": to_numpy(getattr(self._units, name)) for name in ("user", "item", "product")}
        return MlpRanker.unpack(Pack(pack_weights(self.descent.averaged()) | units), self._profiles, self._ctx)


@dataclass(frozen=True, eq=False)
class MlpRanker(Ranker):
    """Scores by the network; an item whose vector is zero is not ranked (-inf)."""

    profiles: Profiles
    weights: Weights
    units: Units
    device: str
    epochs: int | None = None

    def scores(self, users: IntArray) -> FloatArray:
        """(len(users), n_items) float32."""
        out = np.empty((len(users), len(self.profiles.items)), np.float32)
        items = on(self.device, self.profiles.item_vectors)
        step = max(1, PAIRS // max(len(items), 1))
        with torch.no_grad():
            for a in range(0, len(users), step):
                mine = on(self.device, self.profiles.user_vectors[users[a : a + step]])
                found = scores(self.weights, mine, items, self.units, paired=False, dropout=0, chance=None)
                out[a : a + step] = to_numpy(found)
        out[:, ~self.profiles.item_vectors.any(axis=1)] = -np.inf
        return out

    def known_users(self) -> BoolArray:
        """Users of whom the profile knows something."""
        return self.profiles.known

    def pack(self) -> Pack:
        """The network; profiles come from the stage's inputs."""
        units = {f"unit/{name}": to_numpy(getattr(self.units, name)) for name in ("user", "item", "product")}
        return Pack(pack_weights(self.weights) | units, values={"epochs": self.epochs})

    @classmethod
    def unpack(cls, pack: Pack, profiles: Profiles, ctx: Context) -> MlpRanker:
        """The inverse of `pack`."""
        units = {name: on(ctx.device, pack.arrays[f"unit/{name}"]) for name in ("user", "item", "product")}
        block = units_of(profiles, ctx.device).block
        weights, epochs = unpack_weights(pack, ctx.device), pack.values.get("epochs")
        return cls(profiles, weights, Units(**units, block=block), ctx.device, epochs)
