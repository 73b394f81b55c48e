"""Network and descent of `sequence`. Imports torch: to be imported late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, embedding

from recprofile.builtin.descent.sampled_softmax import sampled_softmax
from recprofile.builtin.descent.sequences import Int64Array, Sequences, batches, padded
from recprofile.builtin.descent.tensors import Chance, Descent, Weights, on, to_numpy
from recprofile.builtin.descent.transformer import start_layers, through_layers
from recprofile.plugin import Context, Dataset, FloatArray, KeptRanker, Ranker

if TYPE_CHECKING:
    from recprofile.builtin.encode.sequence import SequenceParams

START = 0.02  # deviation of the vectors that it starts from
WHOLE = 5000  # items up to which a step holds what it fills in against all of them,
DRAWN = 1000  # and how many are drawn where there are more, unless 'negatives' says it


class SequenceLearner:
    """The network in training; see `Sequence`. The item after the last one hides an event."""

    def __init__(self, data: Dataset, p: SequenceParams, ctx: Context) -> None:
        self._data, self._p, self._ctx = data, p, ctx
        self._chance, self._rng = Chance(ctx.seed, ctx.device), ctx.rng()
        self._sequences = Sequences.of(data, positive_only=p.positive_only, edges=None)
        self._first, self._stop = self._sequences.windows(p.max_length - 1)
        self._ranked = on(ctx.device, np.flatnonzero(data.item_counts()))
        drawn = p.negatives if p.negatives is not None else 0 if data.n_items <= WHOLE else DRAWN
        self._drawn = drawn if len(self._ranked) else 0
        self.descent = Descent(
            {
                "item": self._chance.normal(data.n_items + 1, p.dim, deviation=START),
                "position": self._chance.normal(p.max_length, p.dim, deviation=START),
                **start_layers(self._chance, layers=p.layers, dim=p.dim),
            },
            learning_rate=p.learning_rate,
        )

    def epoch(self) -> float:
        """Every run of events once, in batches of similar length, other events hidden each time."""
        total, many = 0.0, 0
        for rows in batches(self._stop - self._first, events=self._p.batch, shuffle=self._rng):
            item, length = self._padded(self._first[rows], self._stop[rows])
            hidden = self._hidden(item, length)
            loss = self.loss(item, length, hidden)
            if len(loss):
                total += self.descent.step(loss.mean()) * len(loss)
                many += len(loss)
        return total / max(many, 1)

    def _hidden(self, item: Tensor, length: Tensor) -> Tensor:
        """Which events are hidden: the last of each run, and some before it; bool (n, length)."""
        place = torch.arange(item.shape[1], device=item.device)
        some = self._chance.uniform(*item.shape) < self._p.masked
        return (some & (place < length[:, None])) | (place == length[:, None] - 1)

    def loss(self, item: Tensor, length: Tensor, hidden: Tensor) -> Tensor:
        """Loss of each hidden event whose item can be ranked, (n,)."""
        w, none = self.descent.weights, self._data.n_items
        known = states(w, torch.where(hidden, none, item), length, self._p, self._chance)[hidden]
        right = item[hidden]
        if not self._drawn:
            return cross_entropy(known @ w["item"][:-1].T, right, reduction="none")
        drawn = self._ranked[self._chance.below(len(self._ranked), self._drawn)]
        share = torch.full((self._drawn,), -np.log(len(self._ranked)), device=item.device)
        score = (known * embedding(right, w["item"])).sum(1)
        return sampled_softmax(score, known @ embedding(drawn, w["item"]).T, share, right[:, None] == drawn)

    def _padded(self, first: Int64Array, stop: Int64Array) -> tuple[Tensor, Tensor]:
        item = padded(self._sequences.item, first, stop, 0)
        return on(self._ctx.device, item), on(self._ctx.device, stop - first)

    def lengths(self) -> Int64Array:
        """How many events of each user it reads."""
        return np.diff(self._sequences.indptr)

    def vectors(self) -> tuple[FloatArray, FloatArray]:
        """Those of users, 0 without events, and of items, by the averaged network."""
        w, p, none = self.descent.averaged(), self._p, self._data.n_items
        users = np.zeros((self._data.n_users, p.dim), np.float32)
        there = np.flatnonzero(self.lengths()).astype(np.int32)
        first, stop = self._sequences.last(there, p.max_length - 1)
        for rows in batches(stop - first + 1, events=p.batch):
            item, length = self._padded(first[rows], stop[rows])
            item = torch.cat([item, torch.zeros_like(item[:, :1])], 1).scatter(1, length[:, None], none)
            with torch.no_grad():
                known = states(w, item, length + 1, p)
                users[there[rows]] = to_numpy(known[torch.arange(len(rows), device=item.device), length])
        return users, to_numpy(w["item"][:-1])

    def ranker(self) -> Ranker:
        """Ranks items that have a positive event by the vectors as they are."""
        users, items = self.vectors()
        never = self._data.item_counts() == 0

        def scores(rows: Int64Array) -> FloatArray:
            found = users[rows] @ items.T
            found[:, never] = -np.inf
            return found

        return KeptRanker(scores, np.arange(len(users)), np.asarray(self.lengths() > 0))


def states(w: Weights, item: Tensor, length: Tensor, p: SequenceParams, chance: Chance | None = None) -> Tensor:
    """What is known at each place from all others of its run, (n, length, dim).

    `item` (n, length) is padded at its end, `length` (n,) says where; the states there mean nothing. `chance` where it
    trains.
    """
    place = torch.arange(item.shape[1], device=item.device)
    from_end = (length[:, None] - 1 - place).clamp(min=0)
    x = (embedding(item, w["item"]) + embedding(from_end, w["position"])) * p.dim**0.5
    if chance is not None:
        x = chance.drop(x, p.dropout)
    there = place < length[:, None]
    return through_layers(w, x, layers=p.layers, heads=p.heads, there=there, chance=chance, dropout=p.dropout)
