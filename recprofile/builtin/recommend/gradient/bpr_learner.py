"""The descent of `bpr`, and what it ranks by. Imports torch: to be imported late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding, softplus

from recprofile.builtin.descent.tensors import Chance, Descent, on, to_numpy
from recprofile.builtin.recommend.gradient.negatives import Pairs, Sampler
from recprofile.builtin.recommend.gradient.vectors import VectorRanker
from recprofile.plugin import BoolArray, Context, Dataset, FloatArray, IntArray, Pack

if TYPE_CHECKING:
    from recprofile.builtin.recommend.gradient.bpr import BprParams

# A new user is folded in by so many steps of Adam of this size, against so many items: on MovieLens-100K more of each
# ranks no better (NDCG@10 .236 to .237 on the validation part of a random split; the users of training .244).
STEPS, RATE, AGAINST = 50, 0.02, 64


class BprLearner:
    """Factors in training; see `Bpr`."""

    def __init__(self, data: Dataset, p: BprParams, ctx: Context) -> None:
        self._data, self._p, self._ctx = data, p, ctx
        self._chance = Chance(ctx.seed, ctx.device)
        self._positives = Pairs(data.positives(), ctx.device)
        self._sampler = Sampler(data, p.sampling, self._chance)
        start = 0.1 / p.dim**0.5
        self.descent = Descent(
            {
                "user": self._chance.normal(data.n_users, p.dim, deviation=start),
                "item": self._chance.normal(data.n_items, p.dim, deviation=start),
                "bias": self._chance.zeros(data.n_items, 1),
            },
            learning_rate=p.learning_rate,
        )

    def epoch(self) -> float:
        """Every positive pair once, in a new order."""
        n = len(self._positives)
        total = 0.0
        for rows in self._chance.batches(n, size=self._p.batch):
            user, item = self._positives.row[rows], self._positives.column[rows]
            drawn = self._sampler.draw(len(rows), self._p.negatives)
            total += self.descent.step(self.loss(user, item, drawn)) * len(rows)
        return total / max(n, 1)

    def loss(self, user: Tensor, item: Tensor, drawn: Tensor) -> Tensor:
        """Mean loss of pairs (n,) against drawn items (n, k); drawn items that are the user's own do not count."""
        w = self.descent.weights
        x, y, others = embedding(user, w["user"]), embedding(item, w["item"]), embedding(drawn, w["item"])
        right = (x * y).sum(1) + embedding(item, w["bias"]).squeeze(1)
        scores = torch.einsum("bd,bkd->bk", x, others) + embedding(drawn, w["bias"]).squeeze(2)
        counts = ~self._positives.have(user[:, None], drawn)
        length = (x.square().sum(1) + y.square().sum(1))[:, None] + others.square().sum(2)
        each = softplus(scores - right[:, None]) + self._p.l2 / 2 * length
        return (each * counts).sum() / counts.sum().clamp(min=1)

    def ranker(self) -> BprRanker:
        """The averaged factors."""
        w = self.descent.averaged()
        known = np.diff(self._data.positives().indptr) > 0
        users = np.where(known[:, None], to_numpy(w["user"]), np.float32(0))
        pack = Pack({"users": users, "items": to_numpy(w["item"]), "bias": to_numpy(w["bias"]).ravel()})
        return BprRanker.unpack(pack, self._data, self._p, self._ctx)


@dataclass(frozen=True, eq=False)
class BprRanker(VectorRanker):
    """Scores by x_u · y_i + b_i; `users` (n_users, dim) float32 are those of training."""

    users: FloatArray
    p: BprParams
    seed: int

    def vectors(self, people: Dataset, users: IntArray) -> FloatArray:
        """Those of training for the users of the data, else folded in."""
        return self.users[users] if people is self.data else self._folded(people, users)

    def known_users(self) -> BoolArray:
        """Users with a positive event."""
        known: BoolArray = np.diff(self.data.positives().indptr) > 0
        return known

    def _folded(self, people: Dataset, users: IntArray) -> FloatArray:
        """Vectors that minimise the loss with the items held fixed, (len(users), dim) float32; 0 without positives.

        All are compared with the same items, drawn as in training, so that no one's vector hangs on who else is asked
        about.
        """
        history = Pairs(people.positives()[users], self.device)
        if len(history) == 0:
            return np.zeros((len(users), self.p.dim), np.float32)
        items, bias = on(self.device, self.items), on(self.device, self.bias)
        drawn = Sampler(self.data, self.p.sampling, Chance(self.seed, self.device)).draw(AGAINST)
        counts = ~history.have(history.row[:, None], drawn)
        share = counts / (counts.sum(1) * torch.bincount(history.row)[history.row]).clamp(min=1)[:, None]
        x = torch.zeros(len(users), self.p.dim, device=self.device, requires_grad=True)
        adam = torch.optim.Adam([x], lr=RATE)
        for _ in range(STEPS):
            adam.zero_grad()
            right = (embedding(history.row, x) * items[history.column]).sum(1) + bias[history.column]
            scores = embedding(history.row, x @ items[drawn].T + bias[drawn])
            loss = (softplus(scores - right[:, None]) * share).sum() + self.p.l2 / 2 * x.square().sum()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
        return to_numpy(x)

    def pack(self) -> Pack:
        """The factors."""
        arrays = {"users": self.users, "items": self.items, "bias": self.bias}
        return Pack(arrays, values={"epochs": self.epochs})

    @classmethod
    def unpack(cls, pack: Pack, data: Dataset, p: BprParams, ctx: Context) -> BprRanker:
        """The inverse of `pack`."""
        a = pack.arrays
        known, epochs = data.item_counts() > 0, pack.values.get("epochs")
        return cls(data, a["items"], a["bias"], known, ctx.device, a["users"], p, ctx.seed, epochs=epochs)
