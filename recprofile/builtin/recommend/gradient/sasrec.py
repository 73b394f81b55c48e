"""A transformer over each user's events in order: `sasrec`. Network and descent are in `sasrec_net` and
`sasrec_learner`, which import torch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from recprofile.builtin.descent.settings import GradientRecommender, TrainingParams
from recprofile.plugin import Context, Dataset, Field, Inputs, Pack, Ranker, model_validator, refusal

DEFAULT_EPOCHS = 25  # where there is no validation part to choose by


class SasRecParams(TrainingParams):
    dim: int = Field(64, ge=1, le=1024, description="Dimensions of item vectors and of the network.")
    layers: int = Field(1, ge=1, le=24, description="Transformer layers.")
    heads: int = Field(2, ge=1, le=64, description="Attention heads of each layer; they divide 'dim' among them.")
    max_length: int = Field(200, ge=1, le=10_000, description="Events of a user that it looks back at.")
    positions: Literal["none", "learnt"] = Field(
        "none",
        description="none: that an event may look only at those before it is all that tells the order; learnt: a "
        "vector for each place, too.",
    )
    positive_only: bool = Field(True, description="Read positive events only; what is foretold always is positive.")
    weights: bool = Field(True, description="Read each event's weight too, in up to ten levels.")
    horizon: int = Field(
        5,
        ge=1,
        le=1000,
        description="Later positive events that a state is to foretell, the next one most, the others linearly less; "
        "1: the next event alone, as in the paper.",
    )
    exclude_seen: bool = Field(
        True,
        description="While it learns, hold a state against no item that came before: for lists without seen items.",
    )
    negatives: int | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="Items that a step holds its states against, drawn anew; 0: the whole catalogue; null: that where "
        "it has at most 5000 items, else 1000.",
    )
    calibration: float = Field(
        0.75,
        ge=0,
        le=1,
        description="Where items are drawn: how far the loss makes up for those that are not (t of gSASRec); 0: not.",
    )
    dropout: float = Field(0.3, ge=0, lt=1, description="Share of entries of hidden layers that a step leaves out.")
    # On the validation part of MovieLens-100K by time of each user: NDCG@10 .186 after 24 epochs with these. Two layers
    # over all events: .185 after 33, each three times as long; .187 after 57 with a rate of .001. With the next event
    # alone (horizon 1) it stands still at popularity for long. EASE: .154.
    learning_rate: float = Field(0.003, gt=0, le=10, description="Step size of Adam.")
    batch: int = Field(4096, ge=1, le=10_000_000, description="Events of one step, padding included.")

    @model_validator(mode="after")
    def _heads_divide_dim(self) -> SasRecParams:
        if self.dim % self.heads:
            raise refusal(
                "RP205", f"'heads' is {self.heads}, and must divide 'dim', which is {self.dim}", value="heads"
            )
        return self


class SasRec(GradientRecommender[SasRecParams]):
    """Foretell what a user takes next from what they took so far, in order, by a causal transformer.

    An event is its item's vector, plus one of the level of its weight; the state after the last of a user's
    `max_length` last events ranks items by state · item vector + bias. Events of one time stand in the order of the
    log. Where `epochs` is null they are chosen on the validation part (see `training`), and the model is then learnt
    anew from all training events; without a validation part there are 25.

    Loss of the state after event t, over its next `horizon` events that are positive, p_1 … p_h with shares falling
    linearly: softmax over the catalogue, ln Σ_j e^(s_j) - Σ_k share_k s_(p_k), with items before t left out of the sum
    where `exclude_seen`; or, where `negatives` are drawn, gBCE: (-β Σ_k share_k ln σ(s_(p_k)) - Σ_j ln(1 - σ(s_j))) /
    (m + 1) over m drawn items j, β = α (t (1 - 1/α) + 1/α), α = m / (n_items - 1). A history longer than `max_length`
    is learnt from in runs of that length.

    Takes item vectors of encode stages in `from`, if there are any, for its item vectors to start from: their `dim`
    first principal components. Users are known by their events alone, so new ones are ranked as those of training.
    Items without a positive event are not ranked. Raises RunError RP601 when the loss is no number.

    Source: Kang & McAuley 2018, "Self-attentive sequential recommendation"; softmax over the catalogue: Klenitskiy &
    Vasilev 2023, "Turning dross into gold loss"; gBCE: Petrov & Macdonald 2023, "gSASRec"; several later events: as the
    "dense all action" loss of Pancha et al. 2022, "PinnerFormer". Layers are normalised before, not after, as there.
    """

    name = "sasrec"
    needs_time = True
    ranks_new_users = True

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The network."""
        from recprofile.builtin.descent.training import trained
        from recprofile.builtin.recommend.gradient.sasrec_learner import SasRecLearner

        def make(part: Dataset, given: Inputs) -> SasRecLearner:
            return SasRecLearner(part, given, self.params, ctx)

        learner, epochs = trained(make, data, inputs, ctx, self.params, default=DEFAULT_EPOCHS)
        return replace(learner.ranker(), epochs=epochs)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker that was packed."""
        from recprofile.builtin.recommend.gradient.sasrec_learner import SasRecRanker

        return SasRecRanker.unpack(pack, data, self.params, ctx)
