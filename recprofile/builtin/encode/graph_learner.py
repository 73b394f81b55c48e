"""The descent of `graph`. Imports torch: to be imported late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding, logsigmoid

from recprofile.builtin.descent.tensors import on, to_numpy
from recprofile.builtin.encode.graph_models import MODELS, Leads
from recprofile.builtin.encode.graph_ranks import Questions, Rank
from recprofile.builtin.encode.graph_triples import Triples

if TYPE_CHECKING:
    from recprofile.builtin.encode.graph import GraphParams

SMALL = 1e-10  # keeps Adagrad from a division by 0


class GraphLearner:
    """Vectors of entities and relations in training; see `Graph`.

    A step touches the vectors of its own entities alone, so that an epoch costs by triples, not by entities. Chance is
    drawn anew for each epoch from seed and epoch, on the CPU: the same on every device, and after a restart.
    """

    def __init__(self, triples: Triples, p: GraphParams, *, seed: int, device: str) -> None:
        self._p, self._seed, self._device = p, seed, device
        self._model = MODELS[p.model]
        self._margin = p.margin if self._model.by_distance else 0.0
        self._triples = tuple(on(device, x) for x in (triples.head, triples.relation, triples.tail))
        chance = torch.Generator().manual_seed(seed)
        n, d = len(triples.entities), p.dim
        wide = d // 2 if self._model.halves else d
        self._entity = torch.randn(n, d, generator=chance).to(device) / d**0.5
        self._relation = torch.randn(len(triples.relations), wide, generator=chance).to(device)
        self._relation *= torch.pi if self._model.halves else 1 / d**0.5
        self._squares = [torch.zeros_like(x) for x in (self._entity, self._relation)]

    def epoch(self, number: int) -> float:
        """Every triple once, in a new order; the mean loss."""
        p = self._p
        chance = torch.Generator().manual_seed((self._seed + 1_000_003 * number) % 2**63)
        n = len(self._triples[0])
        order = torch.randperm(n, generator=chance).to(self._device)
        total = 0.0
        for first in range(0, n, p.batch):
            drawn = torch.randint(len(self._entity), (p.negatives,), generator=chance).to(self._device)
            rows = order[first : first + p.batch]
            head, relation, tail = (x[rows] for x in self._triples)
            total += self._step(head, relation, tail, drawn) * len(rows)
        return total / n

    def _step(self, head: Tensor, relation: Tensor, tail: Tensor, drawn: Tensor) -> float:
        used, at = torch.unique(torch.cat([head, tail, drawn]), return_inverse=True)
        mine = self._entity[used].requires_grad_()
        leads = self._relation.clone().requires_grad_()
        h, t, others = torch.split_with_sizes(embedding(at, mine), [len(head), len(tail), len(drawn)])
        loss = self.loss(h, embedding(relation, leads), t, others)
        of_entity, of_relation = torch.autograd.grad(loss, [mine, leads])
        self._entity[used], self._squares[0][used] = self._moved(mine.detach(), self._squares[0][used], of_entity)
        self._relation, self._squares[1] = self._moved(self._relation, self._squares[1], of_relation)
        return float(loss.detach())

    def _moved(self, values: Tensor, squares: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """A step of Adagrad (Duchi et al. 2011)."""
        squares = squares + gradient.square()
        return values - self._p.learning_rate * gradient / (squares.sqrt() + SMALL), squares

    def loss(self, h: Tensor, r: Tensor, t: Tensor, others: Tensor) -> Tensor:
        """Mean loss of statements with vectors (n, d) each, over both ends, against drawn entities (m, d)."""
        model = self._model
        total = self._p.l2 * (h.square().sum(1) + r.square().sum(1) + t.square().sum(1)).mean()
        for led, right in ((model.ahead(h, r), t), (model.back(t, r), h)):
            drawn = model.against(led, others)
            weight = torch.softmax(self._p.adversarial * drawn.detach(), 1)
            wrong = (weight * logsigmoid(-self._margin - drawn)).sum(1)
            total = total - (logsigmoid(self._margin + model.pairs(led, right)) + wrong).mean() / 2
        return total

    def rank(self, sides: tuple[Questions, Questions]) -> Rank:
        """Of the answers to questions for tails and for heads."""
        model, entity, relation = self._model, self._entity, self._relation
        found = []
        for questions, leads in zip(sides, (model.ahead, model.back), strict=True):

            def scores(given: Tensor, by: Tensor, leads: Leads = leads) -> Tensor:
                return model.against(leads(entity[given], relation[by]), entity)

            found.append(questions.ranks(scores, len(entity), self._device))
        return Rank.of(np.concatenate(found))

    def vectors(self) -> NDArray[np.float32]:
        """Those of the entities, copied: a step writes to them."""
        return to_numpy(self._entity).copy()

    def state(self) -> dict[str, NDArray[Any]]:
        """All that training goes on from."""
        names = ("entity", "relation", "entity_squares", "relation_squares")
        return dict(zip(names, map(to_numpy, (self._entity, self._relation, *self._squares)), strict=True))

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """The inverse of `state`."""
        self._entity, self._relation = on(self._device, state["entity"]), on(self._device, state["relation"])
        self._squares = [on(self._device, state["entity_squares"]), on(self._device, state["relation_squares"])]
