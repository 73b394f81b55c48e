"""Where the right entity stands among all that a held-out statement might name. Imports torch: to be imported late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recprofile.builtin.encode.graph_triples import Int64Array, Triples

ENTRIES = 2**23  # scores that are held at once: 32 MiB

Scores = Callable[[Tensor, Tensor], Tensor]  # entities (n,) and relations (n,) → scores of every entity, (n, entities)


@dataclass(frozen=True, eq=False)
class Questions:
    """Which entity stands at the other end: `given` and `relation` ask, `answer` is right, (n,) each.

    Entities `others` would be right, too, for the questions `of`: they are not counted against the answer.
    """

    given: Int64Array
    relation: Int64Array
    answer: Int64Array
    others: Int64Array
    of: Int64Array

    @classmethod
    def about(cls, held: Triples, known: Triples, *, tails: bool) -> Questions:
        """For the tails of these triples, or their heads; `known` are all triples that are true, `held` included."""
        (given, answer), (ends, others) = (
            (one.head, one.tail) if tails else (one.tail, one.head) for one in (held, known)
        )
        asked, stated = (e * len(held.relations) + r for e, r in ((given, held.relation), (ends, known.relation)))
        order = np.argsort(stated, kind="stable")
        first, last = (np.searchsorted(stated[order], asked, side=side) for side in ("left", "right"))
        of = np.repeat(np.arange(len(asked)), last - first)
        at = np.arange(len(of)) - np.repeat(np.cumsum(last - first) - (last - first), last - first) + first[of]
        right = others[order[at]]
        return cls(given, held.relation, answer, right[right != answer[of]], of[right != answer[of]])

    def ranks(self, scores: Scores, entities: int, device: str) -> NDArray[np.float64]:
        """Rank of each answer, from 1; others of its score count half each."""
        out = np.zeros(len(self.answer))
        step = max(1, ENTRIES // max(entities, 1))
        for a in range(0, len(out), step):
            rows = slice(a, a + step)
            given, relation, answer = (
                torch.from_numpy(x[rows]).to(device) for x in (self.given, self.relation, self.answer)
            )
            mine = slice(*np.searchsorted(self.of, [a, a + step]))
            of, others = torch.from_numpy(self.of[mine] - a).to(device), torch.from_numpy(self.others[mine]).to(device)
            with torch.no_grad():
                found = scores(given, relation)
                right = found.gather(1, answer[:, None])
                found[of, others] = -torch.inf
                above, equal = (found > right).sum(1), (found == right).sum(1) - 1
            out[rows] = 1 + above.cpu().numpy() + equal.cpu().numpy() / 2
        return out


@dataclass(frozen=True)
class Rank:
    """How well held-out statements are foretold: mean reciprocal rank, and the share of answers among the first ten."""

    mrr: float
    hits: float

    @classmethod
    def of(cls, ranks: NDArray[np.float64]) -> Rank:
        """Of ranks; 0 where there are none."""
        if len(ranks) == 0:
            return cls(0.0, 0.0)
        return cls(float((1 / ranks).mean()), float((ranks <= 10).mean()))


def by_frequency(held: Triples, training: Triples, sides: tuple[Questions, Questions]) -> Rank:
    """The rank of a guess by how often an entity stands at that end of the relation in the training triples."""
    from scipy.sparse import csr_array

    shape = (len(held.relations), len(held.entities))
    ranks = []
    for questions, end in zip(sides, (training.tail, training.head), strict=True):
        counts = csr_array((np.ones(len(training), np.float32), (training.relation, end)), shape=shape)

        def scores(_: Tensor, relation: Tensor, counts: csr_array = counts) -> Tensor:
            return torch.from_numpy(counts[relation.numpy()].toarray())

        ranks.append(questions.ranks(scores, len(held.entities), "cpu"))
    return Rank.of(np.concatenate(ranks))
