"""A ranker of rankers, learnt with LightGBM, in the namespace `lightgbm`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from recprofile.plugin import (
    BlendRanker,
    Context,
    DataError,
    Dataset,
    Field,
    Inputs,
    Pack,
    Params,
    Ranker,
    Recommender,
    RunError,
    choose_blend,
    hookimpl,
)

if TYPE_CHECKING:
    from recprofile_lightgbm.training import Learnt

__all__ = ["Stack", "StackParams"]


class StackParams(Params):
    candidates: int = Field(
        100, ge=1, le=10_000, description="Best unseen items of each ranker that the model puts in order."
    )
    metric: str = Field(
        "ndcg@10",
        pattern=r"^(ndcg|recall|precision|map|mrr|hit-rate)@[1-9][0-9]{0,3}$",
        description="What the stack must be better by: ndcg, recall, precision, map, mrr or hit-rate, at the list "
        "length that it is learnt for.",
    )
    users: int = Field(
        20_000, ge=100, le=10_000_000, description="Most users learnt from, drawn with the stage's seed."
    )
    rounds: int = Field(500, ge=1, le=100_000, description="Most trees.")
    learning_rate: float = Field(0.02, gt=0, le=1, description="What a tree's values are multiplied with.")
    leaves: int = Field(15, ge=2, le=1024, description="Leaves of a tree.")
    min_leaf: int = Field(100, ge=1, le=1_000_000, description="Fewest pairs of a user and a candidate in a leaf.")
    l2: float = Field(1.0, ge=0, le=1e6, description="Weight of the squared values of leaves.")


class Stack(Recommender[StackParams]):
    """Rank by trees over what earlier rankers say: lambdarank on the validation part.

    For each user, the `candidates` best unseen items of each ranker are put in order by mean score + trees(features).
    The mean is that of the rankers that tell something, in the user's standard deviations (see `blend`). Features: each
    ranker's score in that unit and ln(1 + place), the mean, ln of the item's positive events over the average item's,
    whether the item has any events, and ln of how many items the user has had over the average user's. Trees may not
    fall with a score nor rise with a place. Other items come behind, by the mean.

    The rankers that it learns from have not seen the validation events. Users are dealt into five folds: each fold is
    ranked by a model learnt on three others and stopped where it is best on the fourth. If these lists do not beat the
    plain blend (that of `blend`: weights, or the best ranker alone) by more than one standard error, the stage ranks
    by the blend, and the report says so; else the model is learnt on all, with the mean number of trees. The same seed
    gives the same model, with any number of threads.

    Raises RunError RP404 with fewer than two rankers, and DataError RP507 when there are no validation events.

    Source: Burges 2010, "From RankNet to LambdaRank to LambdaMART: an overview"; Ke et al. 2017, "LightGBM: a highly
    efficient gradient boosting decision tree"; stacking by cross-fitting: Wolpert 1992, "Stacked generalization".
    """

    name = "stack"
    takes_rankers = True
    ranks_new_users = True
    ranks_new_items = True

    def __init__(self, params: StackParams) -> None:
        super().__init__(params)
        self.earlier: Pack | None = None  # of the same stage, fitted on all the data

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The stack, or the plain blend where it is as good."""
        if self.earlier is not None:
            return self.restore(self.earlier, data, inputs, ctx)
        from recprofile_lightgbm.features import Features
        from recprofile_lightgbm.training import Settings, learn

        p = self.params
        if len(inputs.rankers) < 2:
            message = f"'lightgbm/stack' has {len(inputs.rankers)} of at least two rankers"
            raise RunError.of("RP404", message, help=("name them in 'from'",))
        if len(data.valid) == 0:
            helps = ("hold events out with 'split'",)
            raise DataError.of("RP507", "the split left no validation events to learn from", help=helps)
        fit = data.for_tuning()
        again = ctx.refit(fit)
        chosen = choose_blend(again.rankers, fit, metric=p.metric, limit=p.users, rng=ctx.rng())
        plain = BlendRanker.of(chosen.weights, fit, again)
        settings = Settings(p.leaves, p.learning_rate, p.rounds, p.min_leaf, p.l2, ctx.seed)
        features = Features.of(fit, again.rankers, depth=p.candidates)
        found = learn(features, plain, settings, metric=p.metric, limit=p.users, ctx=ctx)
        tell(found, chosen.weights, p.metric, ctx)
        if found.model is None:
            return BlendRanker.of(chosen.weights, data, inputs)
        return self._stack(found.model, data, inputs)

    def settled(self, result: Ranker) -> Self:
        """With the trees, or the blend's weights, of the ranker."""
        made = type(self)(self.params)
        made.earlier = result.pack()
        return made

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker that was packed."""
        if "weights" in pack.values:
            return BlendRanker.of(pack.values["weights"], data, inputs)
        return self._stack(pack.arrays["model"], data, inputs)

    def _stack(self, model: Any, data: Dataset, inputs: Inputs) -> Ranker:  # noqa: ANN401 - its module is imported late
        from recprofile_lightgbm.features import Features
        from recprofile_lightgbm.ranking import StackRanker

        return StackRanker(Features.of(data, inputs.rankers, depth=self.params.candidates), model)


def tell(found: Learnt, weights: Mapping[str, float], metric: str, ctx: Context) -> None:
    """Say what was decided, and by how much, beside the stage."""
    plain = "the plain blend" if len(weights) > 1 else f"'{next(iter(weights))}' alone"
    ctx.note("decision", "stack" if found.model is not None else plain)
    ctx.note("weights of the plain blend", {id: round(weight, 4) for id, weight in weights.items()})
    if found.stack is None or found.plain is None:
        ctx.warn(f"{found.users} users with a relevant candidate are too few to learn a stack from: ranks by {plain}")
        return
    gain = found.stack.minus(found.plain)
    ctx.note(f"{metric} on validation", {"stack": round(found.stack.mean, 4), plain: round(found.plain.mean, 4)})
    ctx.note("gain on other users", f"{gain.mean:+.4f} ± {gain.error:.4f} ({found.users} users)")
    if found.model is not None:
        ctx.note("trees", found.trees)
        ctx.note("gain by feature", {name: round(share, 3) for name, share in found.gains.items()})


@hookimpl
def recprofile_recommenders() -> Sequence[type[Recommender[Any]]]:
    return [Stack]
