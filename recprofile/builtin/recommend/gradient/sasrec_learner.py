"""The descent of `sasrec`, and what it ranks by. Imports torch: to be imported late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from recprofile.builtin.descent.sequences import Int64Array, Sequences, batches, levels, padded
from recprofile.builtin.descent.tensors import (
    Chance,
    Descent,
    Weights,
    on,
    pack_weights,
    to_numpy,
    unpack_weights,
)
from recprofile.builtin.recommend.gradient import sasrec_loss
from recprofile.builtin.recommend.gradient.content import content_of
from recprofile.builtin.recommend.gradient.sasrec_net import principal, start, states
from recprofile.builtin.recommend.gradient.vectors import VectorRanker
from recprofile.plugin import BoolArray, Context, Dataset, FloatArray, Inputs, IntArray, Pack

if TYPE_CHECKING:
    from recprofile.builtin.recommend.gradient.sasrec import SasRecParams

WHOLE = 5000  # items up to which a step holds its states against all of them,
DRAWN = 1000  # and how many are drawn where there are more, unless 'negatives' says it


class SasRecLearner:
    """The network in training; see `SasRec`."""

    def __init__(self, data: Dataset, inputs: Inputs, p: SasRecParams, ctx: Context) -> None:
        self._data, self._p, self._ctx = data, p, ctx
        self._chance, self._rng = Chance(ctx.seed, ctx.device), ctx.rng()
        self._edges = levels(data.train.weight) if p.weights else None
        self._sequences = Sequences.of(data, positive_only=p.positive_only, edges=self._edges)
        self._first, self._stop = self._sequences.windows(p.max_length)
        self._ranked = on(ctx.device, np.flatnonzero(data.item_counts()))
        drawn = p.negatives if p.negatives is not None else 0 if data.n_items <= WHOLE else DRAWN
        self._drawn = drawn if len(self._ranked) else 0
        marks = 0 if self._edges is None else len(self._edges) + 2
        weights = start(p, self._chance, n_items=data.n_items, marks=marks)
        content, missing = content_of(data, inputs)
        if content.shape[1] and not missing.all():
            there = on(ctx.device, np.flatnonzero(~missing))
            with torch.no_grad():
                weights["item"][there] = principal(on(ctx.device, content)[there], p.dim)
        self.descent = Descent(weights, learning_rate=p.learning_rate)

    def epoch(self) -> float:
        """Every run of events once, in batches of similar length."""
        total, many = 0.0, 0
        for rows in batches(self._stop - self._first - 1, events=self._p.batch, shuffle=self._rng):
            loss = self.loss(self._first[rows], self._stop[rows])
            if len(loss):
                total += self.descent.step(loss.mean()) * len(loss)
                many += len(loss)
        return total / max(many, 1)

    def loss(self, first: Int64Array, stop: Int64Array) -> Tensor:
        """Loss of each state in these runs that has something to foretell, (n,)."""
        p, w, none = self._p, self.descent.weights, self._data.n_items
        item = self._padded(self._sequences.item, first, stop, none)
        mark = self._padded(self._sequences.mark, first, stop, 0)
        positive = self._padded(self._sequences.positive.astype(np.int32), first, stop, 0).bool()
        items, share = sasrec_loss.targets(item, positive, horizon=p.horizon, none=none)
        item, foretells = item[:, :-1], share.sum(2) > 0
        known = states(w, item, mark[:, :-1], p, self._chance)[foretells]
        items, share = items[foretells], share[foretells]
        right = sasrec_loss.scores_of(known, items, w["item"], w["bias"])
        if self._drawn:
            drawn = self._ranked[self._chance.below(len(self._ranked), self._drawn)]
            counts = (items[:, :, None] != drawn).all(1)
            if p.exclude_seen:
                counts &= ~sasrec_loss.came_before(item, drawn)[foretells]
            others = known @ w["item"][drawn].T + w["bias"][drawn]
            return sasrec_loss.gbce_loss(right, share, others, counts, n_items=none, t=p.calibration)
        seen = sasrec_loss.earlier(item, foretells, none) if p.exclude_seen else None
        return sasrec_loss.softmax_loss(right, share, known @ w["item"].T + w["bias"], items, seen)

    def _padded(self, values: IntArray, first: Int64Array, stop: Int64Array, fill: int) -> Tensor:
        return on(self._ctx.device, padded(values, first, stop, fill))

    def ranker(self) -> SasRecRanker:
        """The averaged network."""
        arrays = pack_weights(self.descent.averaged())
        if self._edges is not None:
            arrays["edges"] = self._edges
        return SasRecRanker.unpack(Pack(arrays), self._data, self._p, self._ctx)


@dataclass(frozen=True, eq=False)
class SasRecRanker(VectorRanker):
    """Scores by state · item + bias, the state being that after a user's last event."""

    weights: Weights
    p: SasRecParams
    edges: FloatArray | None

    def vectors(self, people: Dataset, users: IntArray) -> FloatArray:
        """States, (len(users), dim) float32; 0 for a user without events."""
        sequences = self._sequences(people)
        first, stop = sequences.last(users, self.p.max_length)
        out = np.zeros((len(users), self.p.dim), np.float32)
        there = np.flatnonzero(stop > first)
        for batch in batches((stop - first)[there], events=self.p.batch):
            rows = there[batch]
            item = on(self.device, padded(sequences.item, first[rows], stop[rows], len(self.items)))
            mark = on(self.device, padded(sequences.mark, first[rows], stop[rows], 0))
            last = on(self.device, stop[rows] - first[rows] - 1)
            with torch.no_grad():
                known = states(self.weights, item, mark, self.p)
                out[rows] = to_numpy(known[torch.arange(len(rows), device=self.device), last])
        return out

    def _sequences(self, people: Dataset) -> Sequences:
        edges = None if self.edges is None else self.edges.tolist()
        key = f"sequences/{self.p.positive_only}/{edges}"
        return people.memo(key, lambda: Sequences.of(people, positive_only=self.p.positive_only, edges=self.edges))

    def known_users(self) -> BoolArray:
        """Users with an event that it reads."""
        known: BoolArray = np.diff(self._sequences(self.data).indptr) > 0
        return known

    def pack(self) -> Pack:
        """The network."""
        edges = {} if self.edges is None else {"edges": self.edges}
        return Pack(pack_weights(self.weights) | edges, values={"epochs": self.epochs})

    @classmethod
    def unpack(cls, pack: Pack, data: Dataset, p: SasRecParams, ctx: Context) -> SasRecRanker:
        """The inverse of `pack`."""
        w, edges = unpack_weights(pack, ctx.device), pack.arrays.get("edges")
        items, bias = to_numpy(w["item"][:-1]), to_numpy(w["bias"][:-1])
        known, epochs = data.item_counts() > 0, pack.values.get("epochs")
        return cls(data, items, bias, known, ctx.device, w, p, edges, epochs=epochs)
