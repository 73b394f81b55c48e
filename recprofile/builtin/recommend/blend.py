"""A weighted mean of earlier rankers, with weights that are chosen on the validation part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Self

import numpy as np

from recprofile.builtin.recommend.blend_search import choose
from recprofile.builtin.recommend.blend_units import Standardised, standardised, unit_scores, weighted_mean
from recprofile.plugin import (
    BoolArray,
    Context,
    DataError,
    Dataset,
    Field,
    FloatArray,
    Inputs,
    IntArray,
    NamesInputs,
    Pack,
    Params,
    Ranker,
    Recommender,
    RunError,
    did_you_mean,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class BlendParams(Params):
    weights: Annotated[dict[str, Annotated[float, Field(ge=0, le=1e6)]], NamesInputs()] = Field(
        default={},
        description="Stage id → weight of its ranker, 0 or more; a ranker that is not named weighs 1. Empty: chosen on "
        "the validation part.",
    )
    metric: str = Field(
        "ndcg@10",
        pattern=r"^(ndcg|recall|precision|map|mrr|hit-rate)@[1-9][0-9]{0,3}$",
        description="What weights are chosen by: ndcg, recall, precision, map, mrr or hit-rate, at a list length.",
    )
    users: int = Field(
        2000,
        ge=10,
        le=1_000_000,
        description="Most users that weights are chosen on, drawn with the stage's seed; fewer where their scores "
        "would take more than 512 MiB.",
    )


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
        from scipy.sparse import csr_array, diags_array

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


class Blend(Recommender[BlendParams]):
    """Rank by a weighted mean of earlier rankers' scores, each in the user's standard deviations.

    s_ui = Σ_r w_r z_rui / Σ_r w_r, over the rankers r that rank item i, z_rui = (s_rui - mean) / deviation over the
    items that r ranks and user u has not seen. So an item that only one of them can rank is scored by that one. A
    ranker that does not know a user, or scores all alike, is not heard for them; with weight 0 it is not heard at all.

    Weights, where not given, come from forward selection on the validation part (the rankers learnt from what is
    left), and are kept only when the blend beats the best single ranker by more than one standard error on users that
    the weights were not chosen on (five folds); otherwise the stage ranks by the best alone. What was decided, and by
    how much, stands beside the stage in the report.

    The unit was chosen on validation parts of MovieLens-100K: EASE, item-knn, ALS and content gain .0032 ± .0026 by
    random and .0032 ± .0025 by time over the best single, against .0009 and -.0013 standardised over all items, .0022
    and -.0016 by reciprocal rank (60), .0026 and -.0008 by softmax, .0007 and -.0026 scaled to [0, 1].

    Raises RunError RP404 with fewer than two rankers, RP601 for a weight of a stage that is not among them or when all
    are 0, and DataError RP507 when weights are to be chosen and there are no validation events.

    Source: Caruana et al. 2004, "Ensemble selection from libraries of models"; one standard error: Breiman et al. 1984.
    """

    name = "blend"
    takes_rankers = True
    ranks_new_users = True
    ranks_new_items = True
    gives_evidence = True

    def __init__(self, params: BlendParams) -> None:
        super().__init__(params)
        self.weights: Mapping[str, float] | None = None  # those of an earlier fit, by stage id

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The blend, or the best of the rankers."""
        if len(inputs.rankers) < 2:
            raise RunError.of(
                "RP404", f"'blend' has {len(inputs.rankers)} of at least two rankers", help=("name them in 'from'",)
            )
        weights = self.weights or (self._given(inputs) if self.params.weights else self._chosen(data, ctx))
        ctx.note("weights", {id: round(weight, 4) for id, weight in weights.items()})
        return BlendRanker.of(weights, data, inputs)

    def settled(self, result: Ranker) -> Self:
        """With the ranker's weights."""
        assert isinstance(result, BlendRanker)
        made = type(self)(self.params)
        made.weights = {id: weight for id, (_, weight) in result.parts.items()}
        return made

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker that was packed."""
        return BlendRanker.of(pack.values["weights"], data, inputs)

    def _given(self, inputs: Inputs) -> dict[str, float]:
        for id in self.params.weights:
            if id not in inputs.rankers:
                helps = did_you_mean(id, inputs.rankers, label="stages it is given")
                raise RunError.of("RP601", f"'{id}' in 'weights' is not among the rankers blended", help=helps)
        weights = {id: self.params.weights.get(id, 1.0) for id in inputs.rankers}
        total = sum(weights.values())
        if total == 0:
            raise RunError.of("RP601", "every weight is 0", help=("give at least one ranker a weight above 0",))
        return {id: weight / total for id, weight in weights.items() if weight}

    def _chosen(self, data: Dataset, ctx: Context) -> Mapping[str, float]:
        if len(data.valid) == 0:
            helps = ("give 'weights'", "or hold events out with 'split'")
            raise DataError.of("RP507", "the split left no validation events to choose weights on", help=helps)
        fit = data.for_tuning()
        p = self.params
        found = choose(ctx.refit(fit).rankers, fit, metric=p.metric, limit=p.users, rng=ctx.rng())
        if found.users == 0:
            ctx.warn(f"no user has a relevant validation event: ranks by '{found.best}', the first, alone")
            return found.weights
        ctx.note("decision", "blend" if found.blends else f"'{found.best}' alone")
        ctx.note(f"{p.metric} on validation", {"blend": round(found.blend, 4), found.best: round(found.single, 4)})
        ctx.note("gain on other users", f"{found.gain:+.4f} ± {found.error:.4f} ({found.users} users)")
        return found.weights
