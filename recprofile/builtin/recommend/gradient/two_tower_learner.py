"""The descent of `two-tower`, and what it ranks by. Imports torch: to be imported late."""

from __future__ import annotations

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
from recprofile.builtin.history import HistoryParams, history_weights
from recprofile.builtin.recommend.gradient import two_tower_nets as nets
from recprofile.builtin.recommend.gradient.attributes import Attributes
from recprofile.builtin.recommend.gradient.content import content_of
from recprofile.builtin.recommend.gradient.negatives import Pairs
from recprofile.builtin.recommend.gradient.vectors import VectorRanker
from recprofile.plugin import BoolArray, Context, Dataset, FloatArray, Inputs, IntArray, Pack

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from recprofile.builtin.recommend.gradient.two_tower import TwoTowerParams


class TwoTowerLearner:
    """The towers in training; see `TwoTower`."""

    def __init__(self, data: Dataset, inputs: Inputs, p: TwoTowerParams, ctx: Context) -> None:
        self._data, self._p, self._ctx = data, p, ctx
        self._chance = Chance(ctx.seed, ctx.device)
        matrix, counts = histories(data, p), data.item_counts()
        self._history = Pairs(matrix, ctx.device)
        self._indptr, self._weight = on(ctx.device, matrix.indptr), on(ctx.device, matrix.data)
        self._positives = Pairs(data.positives(), ctx.device)
        self._positive = self._positives.have(self._history.row, self._history.column)
        content, missing = content_of(data, inputs)
        self._content = on(ctx.device, content)
        self._learnt = on(ctx.device, (counts > 0).astype(np.float32))
        self._ranks = (counts > 0) | ~missing
        self._log_q = on(ctx.device, np.log(np.maximum(counts, 1) / max(counts.sum(), 1)).astype(np.float32))
        self._attributes = Attributes.of(data.users, p.columns, ~data.cold_users())
        self._codes = on(ctx.device, self._attributes.codes(data.users))
        self._numbers = on(ctx.device, self._attributes.numbers(data.users))
        self._users = on(ctx.device, np.flatnonzero(np.diff(data.positives().indptr)))
        self.descent = Descent(
            nets.start(
                p,
                self._chance,
                n_items=data.n_items,
                content=content.shape[1],
                codes=self._attributes.n_codes,
                numbers=self._numbers.shape[1],
            ),
            learning_rate=p.learning_rate,
        )

    def epoch(self) -> float:
        """Every user once, in a new order."""
        total, many = 0.0, 0
        for rows in self._chance.batches(len(self._users), size=self._p.batch):
            loss = self.loss(self._users[rows])
            if len(loss):
                total += self.descent.step(loss.mean()) * len(loss)
                many += len(loss)
        return total / max(many, 1)

    def loss(self, users: Tensor) -> Tensor:
        """Loss of each event that is hidden, (n,)."""
        p, w = self._p, self.descent.weights
        row, at = slices(self._indptr, users)
        hidden = self._positive[at] & (self._chance.uniform(len(at)) < p.held_out)
        items, place = torch.unique(self._history.column[at], return_inverse=True)
        keep = self._learnt[items] * (self._chance.uniform(len(items)) >= p.item_dropout)
        content = self._chance.drop(self._content[items], p.content_dropout)
        begun, bias = nets.begin(w, items, content, keep)
        left = ~hidden
        x = nets.pooled(begun, place[left], row[left], self._weight[at][left], len(users))
        x = nets.with_columns(w, x, self._codes[users], self._numbers[users])
        x = nets.tower(w, "user", x, dropout=p.dropout, chance=self._chance)
        y = nets.tower(w, "item", begun, dropout=p.dropout, chance=self._chance)
        scores = x @ y.T / p.temperature + bias
        row, place = row[hidden], place[hidden]
        own = self._positives.have(users[:, None], items[place])
        return sampled_softmax(scores[row, place], scores[:, place][row], self._log_q[items][place], own[row])

    def ranker(self) -> TwoTowerRanker:
        """The averaged towers."""
        w = self.descent.averaged()
        with torch.no_grad():
            every = torch.arange(self._data.n_items, device=self._ctx.device)
            begun, bias = nets.begin(w, every, self._content, self._learnt)
            items = nets.tower(w, "item", begun) / self._p.temperature
        users = {name: w[name] for name in w if name.startswith("user/") or name in ("code", "number")}
        arrays = {"items": to_numpy(items), "bias": to_numpy(bias), "begun": to_numpy(begun), "ranks": self._ranks}
        pack = Pack(arrays | pack_weights(users), values={"attributes": self._attributes.to_data()})
        return TwoTowerRanker.unpack(pack, self._data, self._p, self._ctx)


@dataclass(frozen=True, eq=False)
class TwoTowerRanker(VectorRanker):
    """Scores by user · item + bias; `weights` are those of the user tower, `begun` (n_items, dim) what it pools."""

    begun: Tensor
    weights: Weights
    attributes: Attributes
    p: TwoTowerParams

    def vectors(self, people: Dataset, users: IntArray) -> FloatArray:
        """What the user tower gives, (len(users), dim) float32, of length 1; 0 where nothing is known."""
        matrix = histories(people, self.p)[users]
        pairs, weight = Pairs(matrix, self.device), on(self.device, matrix.data)
        codes, numbers = (on(self.device, known[users]) for known in self._columns(people))
        with torch.no_grad():
            x = nets.pooled(self.begun, pairs.column, pairs.row, weight, len(users))
            return to_numpy(nets.tower(self.weights, "user", nets.with_columns(self.weights, x, codes, numbers)))

    def _columns(self, people: Dataset) -> tuple[IntArray, FloatArray]:
        known = self.attributes
        return people.memo(
            f"two-tower/{known.to_data()}", lambda: (known.codes(people.users), known.numbers(people.users))
        )

    def known_users(self) -> BoolArray:
        """Users with a history, or with something in their columns."""
        codes, numbers = self._columns(self.data)
        known: BoolArray = np.diff(histories(self.data, self.p).indptr) > 0
        return known | codes.any(axis=1) | numbers.any(axis=1)

    def pack(self) -> Pack:
        """The user tower and the items' vectors."""
        arrays = {"items": self.items, "bias": self.bias, "begun": to_numpy(self.begun), "ranks": self.ranks}
        values = {"attributes": self.attributes.to_data(), "epochs": self.epochs}
        return Pack(arrays | pack_weights(self.weights), values=values)

    @classmethod
    def unpack(cls, pack: Pack, data: Dataset, p: TwoTowerParams, ctx: Context) -> TwoTowerRanker:
        """The inverse of `pack`."""
        a, attributes = pack.arrays, Attributes.from_data(pack.values["attributes"])
        begun, weights = on(ctx.device, a["begun"]), unpack_weights(pack, ctx.device)
        epochs = pack.values.get("epochs")
        return cls(data, a["items"], a["bias"], a["ranks"], ctx.device, begun, weights, attributes, p, epochs=epochs)


def histories(data: Dataset, p: HistoryParams) -> csr_array:
    """`history_weights` of all users, made once for a Dataset."""
    key = f"histories/{p.positive_only}/{p.grade}/{p.half_life_days}"
    return data.memo(key, lambda: history_weights(data, p, since="user"))


def slices(indptr: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The entries of rows of a sparse matrix: which of the rows, rising, and where, (n,) each."""
    counts = indptr[rows + 1] - indptr[rows]
    row = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), counts)
    before = torch.cumsum(counts, 0) - counts
    return row, indptr[rows][row] + torch.arange(len(row), device=rows.device) - before[row]
