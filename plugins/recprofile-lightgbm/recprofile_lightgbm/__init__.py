"""A ranker of rankers, learnt with LightGBM, in the namespace `lightgbm`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recprofile.plugin import (
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
    hookimpl,
)

__all__ = ["Stack", "StackParams"]


class StackParams(Params):
    candidates: int = Field(
        100, ge=1, le=10_000, description="Best unseen items of each ranker that the model puts in order, 1 to 10000."
    )
    blocks: bool = Field(
        default=False,
        description="The inner product in each block of the profile is a feature, too: name a fuse stage in 'from'.",
    )
    metric: str = Field(
        "ndcg@10",
        pattern=r"^(ndcg|recall|precision|map|mrr|hit-rate)@[1-9][0-9]{0,3}$",
        description="What the stack must be better by: ndcg, recall, precision, map, mrr or hit-rate, at the list "
        "length that it is learnt for.",
    )
    users: int = Field(
        20_000,
        ge=100,
        le=10_000_000,
        description="Most users learnt from, drawn with the stage's seed, 100 to 10000000.",
    )
    rounds: int = Field(500, ge=1, le=100_000, description="Most trees, 1 to 100000.")
    patience: int = Field(
        30, ge=1, le=10_000, description="Trees without improvement after which it stops, 1 to 10000."
    )
    learning_rate: float = Field(
        0.05, gt=0, le=1, description="What a tree's values are multiplied with, above 0 to 1."
    )
    leaves: int = Field(15, ge=2, le=1024, description="Leaves of a tree, 2 to 1024.")
    min_leaf: int = Field(100, ge=1, le=1_000_000, description="Fewest pairs in a leaf, 1 to 1000000.")
    l2: float = Field(1.0, ge=0, le=1e6, description="Weight of the squared leaf values, 0 to 1000000.")


class Stack(Recommender[StackParams]):
    """Rank by trees over what earlier rankers say: lambdarank on the validation part.

    For each user, the `candidates` best unseen items of each ranker are put in order by a model of: each ranker's
    score, in the user's standard deviations over ranked and unseen items, and ln(1 + place); the item's positive events
    and the user's events, as ln over the mean; with `blocks`, the inner products of the profile's blocks. Other items
    come behind them, by their highest standard score.

    The rankers that it learns from have not seen the validation events. Users are dealt into five folds: each fold is
    ranked by a model learnt on three others and stopped by the fourth. If these lists do not beat the best single
    ranker by more than one standard error, the stage ranks by that one, and the report says so; else the model is
    learnt on all, with the mean number of trees. The same seed gives the same model, with any number of threads.

    Raises RunError RP404 with fewer than two rankers, or without profiles where `blocks` asks for them, and DataError
    RP507 when there are no validation events.

    Source: Burges 2010, "From RankNet to LambdaRank to LambdaMART: an overview"; Ke et al. 2017, "LightGBM: a highly
    efficient gradient boosting decision tree".
    """

    name = "stack"
    takes_rankers = True
    ranks_new_users = True
    ranks_new_items = True

    def __init__(self, params: StackParams) -> None:
        super().__init__(params)
        self.needs_profiles = params.blocks
        self.ranks_new_users = not params.blocks

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        from recprofile_lightgbm.features import Features
        from recprofile_lightgbm.ranking import BestRanker, StackRanker
        from recprofile_lightgbm.training import Settings, learn

        p = self.params
        if len(inputs.rankers) < 2:
            message = f"'lightgbm/stack' has {len(inputs.rankers)} of at least two rankers"
            raise RunError.of("RP404", message, help=("name them in 'from'",))
        if p.blocks and inputs.profiles is None:
            raise RunError.of("RP404", "'blocks' needs profiles", help=("name a fuse stage in 'from'",))
        if len(data.valid) == 0:
            helps = ("hold events out with 'split'",)
            raise DataError.of("RP507", "the split left no validation events to learn from", help=helps)
        fit = data.for_tuning()
        again = ctx.refit(fit)
        features = Features.of(fit, again.rankers, again.profiles if p.blocks else None, depth=p.candidates)
        settings = Settings(p.leaves, p.learning_rate, p.rounds, p.patience, p.min_leaf, p.l2, ctx.seed)
        found = learn(features, settings, metric=p.metric, limit=p.users, ctx=ctx)
        ctx.note("decision", "stack" if found.model is not None else f"'{found.best}' alone")
        if found.stack == 0 and found.model is None:
            ctx.warn(f"{found.users} users are too few to learn a stack from: ranks by '{found.best}' alone")
            return BestRanker(inputs.rankers[found.best], found.best)
        ctx.note(f"{p.metric} on validation", {"stack": round(found.stack, 4), found.best: round(found.single, 4)})
        ctx.note("gain on other users", f"{found.gain:+.4f} ± {found.error:.4f} ({found.users} users)")
        if found.model is None:
            return BestRanker(inputs.rankers[found.best], found.best)
        ctx.note("trees", found.rounds)
        ctx.note("gain by feature", {name: round(float(share), 3) for name, share in (found.gains or {}).items()})
        return StackRanker(self._features(data, inputs), found.model)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        from recprofile_lightgbm.ranking import BestRanker, StackRanker

        if "best" in pack.values:
            return BestRanker(inputs.rankers[pack.values["best"]], pack.values["best"])
        return StackRanker(self._features(data, inputs), pack.arrays["model"])

    def _features(self, data: Dataset, inputs: Inputs) -> Any:  # noqa: ANN401 - a Features, whose module is imported late
        from recprofile_lightgbm.features import Features

        profiles = inputs.profiles if self.params.blocks else None
        return Features.of(data, inputs.rankers, profiles, depth=self.params.candidates)


@hookimpl
def recprofile_recommenders() -> Sequence[type[Recommender[Any]]]:
    return [Stack]
