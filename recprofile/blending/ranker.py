"""Several rankers as one: the weighted mean of their scores in one unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recprofile.artifacts import BoolArray, Dataset, FloatArray, IntArray, Pack
from recprofile.blending.units import Standardised, standardised, unit_scores, weighted_mean
from recprofile.components import Inputs, Ranker

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class BlendRanker(Ranker):
    """Scores by the weighted mean of standardised scores; `parts`: rankers and their weights, above 0, by stage id.

    With one part it is that ranker.
    """

    data: Dataset
    parts: Mapping[str, tuple[Ranker, float]]
    known: Mapping[str, BoolArray]

    def scores(self, users: IntArray) -> FloatArray:
        """(len(users), n_items) float32; -inf for items that none of the parts ranks."""
        if len(self.parts) == 1:
            return self._only.scores(users)
        return self._mean(self._units(users))

    def scores_of(self, people: Dataset) -> FloatArray:
        """The same for the users of other data; raises NotImplementedError where a part cannot."""
        if len(self.parts) == 1:
            return self._only.scores_of(people)
        seen = people.seen()
        return self._mean({id: standardised(ranker.scores_of(people), seen) for id, (ranker, _) in self.parts.items()})

    def known_users(self) -> BoolArray:
        """Users whom any part knows."""
        return np.asarray(np.any(list(self.known.values()), axis=0))

    def evidence(self, users: IntArray, items: IntArray) -> csr_array | None:
        """The parts' evidence in the blend's unit, (n_pairs, n_items) CSR; None where a part gives none.

        A row sums to the score up to a constant for the user and the set of parts that rank the item.
        """
        from scipy.sparse import csr_array, diags_array  # noqa: PLC0415 - costs 90 ms

        if len(self.parts) == 1:
            return self._only.evidence(users, items)
        total = csr_array((len(users), self.data.n_items), dtype=np.float32)
        shares = self._pairs(
            users, items, lambda unit, row, _: unit.tells[row].astype(np.float32) / unit.deviation[row]
        )
        for id, (ranker, _) in self.parts.items():
            found = ranker.evidence(users, items)
            if found is None:
                return None
            total = total + diags_array(shares[id]) @ found
        return csr_array(total)

    def additive(self) -> bool:
        """Not a blend: without an item of the history each part has another deviation."""
        return len(self.parts) == 1 and self._only.additive()

    def block_evidence(self, users: IntArray, items: IntArray) -> Mapping[str, FloatArray] | None:
        """Each ranker's part of the score, (n_pairs,) by stage id; they sum to the score."""
        if len(self.parts) == 1:
            return self._only.block_evidence(users, items)
        return self._pairs(users, items, lambda unit, row, item: unit.z[row, item])

    def pack(self) -> Pack:
        """The weights; rankers come from the stage's inputs."""
        return Pack(values={"weights": {id: weight for id, (_, weight) in self.parts.items()}})

    @classmethod
    def of(cls, weights: Mapping[str, float], data: Dataset, inputs: Inputs) -> BlendRanker:
        """The blend of the inputs' rankers with these weights, those of 0 left out."""
        parts = {id: (ranker, weights[id]) for id, ranker in inputs.rankers.items() if weights.get(id, 0) > 0}
        return cls(data, parts, {id: ranker.known_users() for id, (ranker, _) in parts.items()})

    @property
    def _only(self) -> Ranker:
        return next(iter(self.parts.values()))[0]

    def _units(self, users: IntArray) -> dict[str, Standardised]:
        return {id: unit_scores(ranker, self.data, users, self.known[id]) for id, (ranker, _) in self.parts.items()}

    def _mean(self, units: Mapping[str, Standardised]) -> FloatArray:
        return weighted_mean([(one.z, one.tells, self.parts[id][1]) for id, one in units.items()])

    def _pairs(
        self, users: IntArray, items: IntArray, value: Callable[[Standardised, IntArray, IntArray], FloatArray]
    ) -> dict[str, FloatArray]:
        """Each part's share of a pair's mean times `value` at its unit's (row, item), (n_pairs,) float32 by id."""
        every, place = np.unique(users, return_inverse=True)
        row = place.astype(np.int32)
        units = self._units(every.astype(np.int32))
        nobody = ~np.any([unit.tells for unit in units.values()], axis=0)
        heard = {}
        for id, unit in units.items():
            ranked = (unit.z[row, items] > -np.inf) & (unit.tells | nobody)[row]
            heard[id] = np.where(ranked, np.float32(self.parts[id][1]), np.float32(0))
        total = np.maximum(np.sum(list(heard.values()), axis=0, dtype=np.float32), np.finfo(np.float32).tiny)
        found = {id: np.where(heard[id] > 0, value(unit, row, items), 0) for id, unit in units.items()}
        return {id: (heard[id] / total * found[id]).astype(np.float32) for id in units}
