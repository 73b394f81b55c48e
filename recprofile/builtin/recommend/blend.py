"""A weighted mean of earlier rankers, with weights that are chosen on the validation part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

from recprofile.plugin import (
    BlendRanker,
    Context,
    DataError,
    Dataset,
    Field,
    Inputs,
    NamesInputs,
    Pack,
    Params,
    Ranker,
    Recommender,
    RunError,
    choose_blend,
    did_you_mean,
)


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


class Blend(Recommender[BlendParams]):
    """Rank by a weighted mean of earlier rankers' scores, each in the user's standard deviations.

    s_ui = Σ_r w_r z_rui / Σ_r w_r, over the rankers r that rank item i, z_rui = (s_rui - mean) / deviation over the
    items that r ranks and user u has not seen. So an item that only one of them can rank is scored by that one. A
    ranker that does not know a user, or scores all alike, is not heard for them; with weight 0 it is not heard at all.

    Weights, where not given, come from forward selection on the validation part, averaged over bootstrap samples of
    users, and over equal weights, which count as 50 users do: where few users tell, all rankers are heard. The best
    single ranker takes the blend's place only when it beats the blend by more than one standard error on users that
    neither was chosen on (five folds, dealt three times). What was decided, and by how much, stands beside the stage
    in the report.

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
        """The blend, or the best of the rankers alone."""
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
        found = choose_blend(ctx.refit(fit).rankers, fit, metric=p.metric, limit=p.users, rng=ctx.rng())
        if found.users == 0:
            ctx.warn("no user has a relevant validation event: every ranker weighs the same")
            return found.weights
        ctx.note("decision", "blend" if found.blends else f"'{found.best}' alone")
        ctx.note(f"{p.metric} on validation", {"blend": round(found.blend, 4), found.best: round(found.single, 4)})
        ctx.note("gain on other users", f"{found.gain:+.4f} ± {found.error:.4f} ({found.users} users)")
        return found.weights
