"""A network over profiles: `mlp`. Network and descent are in `mlp_net` and `mlp_learner`, which import torch."""

from __future__ import annotations

from dataclasses import replace

from recprofile.builtin.descent.settings import GradientRecommender, TrainingParams
from recprofile.plugin import Context, Dataset, Field, Inputs, Pack, Ranker, RunError

DEFAULT_EPOCHS = 5  # where there is no validation part to choose by


class MlpParams(TrainingParams):
    hidden: int = Field(64, ge=1, le=8192, description="Width of the hidden layer.")
    products: int = Field(
        64, ge=0, le=1024, description="Learnt directions in which user and item are multiplied; 0: none."
    )
    folds: int = Field(
        4,
        ge=2,
        le=100,
        description="Parts of the positive events; each is learnt from with profiles made of the others. The stages "
        "before are run once more for each.",
    )
    negatives: int = Field(64, ge=1, le=100_000, description="Other items that a step holds its positive ones against.")
    dropout: float = Field(0.3, ge=0, lt=1, description="Share of the hidden layer's entries that a step leaves out.")
    learning_rate: float = Field(0.001, gt=0, le=10, description="Step size of Adam.")
    batch: int = Field(1024, ge=1, le=1_000_000, description="Positive events of one step.")


class Mlp(GradientRecommender[MlpParams]):
    """Rank by a network that reads the user's and the item's profile vectors, block by block, and their products.

    A score is Σ_b w_b (u_b · i_b) + v · gelu(U u + I i + P (Q u ∘ Q i) + c), ∘ entry by entry; u and i are the profile
    vectors, each block brought to one mean length, u_b and i_b their blocks as the profiles have them. At the start v
    is 0 and all w_b are equal, so that it ranks as `dot`. Learnt by softmax of each positive event against items drawn
    from those with one, by Adam.

    A profile made of an event shows it, and a network would learn to look for that. So the positive events are parted
    into `folds`, and each is learnt from with profiles that the recipe's earlier stages make without it. Such a
    profile's blocks are turned to the whole profile's by the rotation that brings the items closest (orthogonal
    Procrustes), for a model's space may come out turned.

    Where `epochs` is null they are chosen on the validation part (see `training`), and are none, which is `dot`, where
    the best number does not rank better by one standard error; the network is then learnt anew from all training
    events. Without a validation part there are 5. Items whose vector is zero are not ranked. Raises RunError RP404
    without profiles and RP601 when the loss is no number.

    Source: He et al. 2017, "Neural collaborative filtering", with the inner product kept as Rendle et al. 2020, "Neural
    collaborative filtering vs. matrix factorization revisited", advise; Schönemann 1966 for the rotation.
    """

    name = "mlp"
    needs_profiles = True
    ranks_new_items = True

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The network."""
        from recprofile.builtin.descent.training import trained
        from recprofile.builtin.recommend.gradient.mlp_learner import MlpLearner

        if inputs.profiles is None:
            raise RunError.of("RP404", "'mlp' needs profiles", help=("add a 'fuse' stage before it",))

        def make(part: Dataset, given: Inputs) -> MlpLearner:
            return MlpLearner(part, given, self.params, ctx)

        learner, epochs = trained(make, data, inputs, ctx, self.params, default=DEFAULT_EPOCHS, start_ranks=True)
        return replace(learner.ranker(), epochs=epochs)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker that was packed."""
        from recprofile.builtin.recommend.gradient.mlp_learner import MlpRanker

        if inputs.profiles is None:
            raise RunError.of("RP404", "'mlp' needs profiles", help=("add a 'fuse' stage before it",))
        return MlpRanker.unpack(pack, inputs.profiles, ctx)
