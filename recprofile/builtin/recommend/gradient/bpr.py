"""Matrix factorisation for ranking: `bpr`. The descent is in `bpr_learner`, which imports torch."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from recprofile.builtin.descent.settings import GradientRecommender, TrainingParams
from recprofile.plugin import Context, Dataset, Field, Inputs, Pack, Ranker

DEFAULT_EPOCHS = 30  # where there is no validation part to choose by


class BprParams(TrainingParams):
    dim: int = Field(64, ge=1, le=1024, description="Dimensions of the vectors.")
    l2: float = Field(
        0.01, ge=0, le=100, description="Weight of the squared lengths of the vectors that a comparison uses."
    )
    negatives: int = Field(8, ge=1, le=1000, description="Other items that each positive event is compared with.")
    sampling: Literal["uniform", "popular"] = Field(
        "uniform",
        description="How those are drawn: uniform: every item alike; popular: by the square root of how many positive "
        "events an item has, so that the comparisons are harder.",
    )
    learning_rate: float = Field(0.005, gt=0, le=10, description="Step size of Adam.")
    batch: int = Field(1024, ge=1, le=1_000_000, description="Positive events of one step.")


class Bpr(GradientRecommender[BprParams]):
    """Factors of users and items, learnt so that a positive item outscores an item without an event.

    A score is x_u · y_i + b_i. Minimises the mean over positive pairs (u, i) and drawn items j that u has no positive
    event with of -ln σ(s_ui - s_uj) + l2 (|x_u|² + |y_i|² + |y_j|²) / 2, by Adam; vectors start from a normal of
    deviation 0.1 / √dim. Where `epochs` is null they are chosen on the validation part (see `training`) and the model
    is then learnt anew from all training events; without a validation part there are 30.

    Items without a positive event are not ranked. A new user is folded in: their vector minimises the same loss, item
    vectors held fixed, against 64 items; the user vectors of training differ a little from that, as they were learnt
    along with the items. Raises RunError RP601 when the loss is no number.

    Source: Rendle, Freudenthaler, Gantner & Schmidt-Thieme 2009, "BPR: Bayesian personalized ranking from implicit
    feedback".
    """

    name = "bpr"
    ranks_new_users = True
    exact_for_new_users = False

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The factors."""
        from recprofile.builtin.descent.training import trained
        from recprofile.builtin.recommend.gradient.bpr_learner import BprLearner

        def make(part: Dataset, _: Inputs) -> BprLearner:
            return BprLearner(part, self.params, ctx)

        learner, epochs = trained(make, data, inputs, ctx, self.params, default=DEFAULT_EPOCHS)
        return replace(learner.ranker(), epochs=epochs)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker that was packed."""
        from recprofile.builtin.recommend.gradient.bpr_learner import BprRanker

        return BprRanker.unpack(pack, data, self.params, ctx)
