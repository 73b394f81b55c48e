"""Behaviour in its order as vectors: `sequence`, a transformer that learns to fill gaps in histories.

Network and descent are in `sequence_learner`, which imports torch.
"""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np

from recprofile.builtin.descent.settings import TrainingParams
from recprofile.plugin import (
    Context,
    Dataset,
    Embeddings,
    Encoded,
    Encoder,
    Field,
    Inputs,
    Tunable,
    model_validator,
    refusal,
)

DEFAULT_EPOCHS = 50  # where there is no validation part to choose by


class SequenceParams(TrainingParams):
    # On the last fifth of each user's ratings of MovieLens-100K, ranked by inner product: NDCG@10 .131 with these after
    # 33 epochs, .109 with one layer and .15 hidden. EASE: .178; popularity: .093.
    dim: int = Field(64, ge=1, le=1024, description="Dimensions of the vectors and of the network.")
    layers: int = Field(2, ge=1, le=24, description="Transformer layers.")
    heads: int = Field(2, ge=1, le=64, description="Attention heads of each layer; they divide 'dim' among them.")
    max_length: int = Field(100, ge=2, le=10_000, description="Events of a user that it looks at, the gap included.")
    masked: Annotated[float, Tunable(0.1, 0.8)] = Field(
        0.3, ge=0, le=1, description="Share of a run's events that a step hides, beside the last, which it always does."
    )
    positive_only: bool = Field(True, description="Read positive events only.")
    negatives: int | None = Field(
        None,
        ge=0,
        le=1_000_000,
        description="Items that a step holds what it fills in against, drawn anew; 0: the whole catalogue; null: that "
        "where it has at most 5000 items, else 1000.",
    )
    dropout: float = Field(0.3, ge=0, lt=1, description="Share of entries of hidden layers that a step leaves out.")
    learning_rate: float = Field(0.003, gt=0, le=10, description="Step size of Adam.")
    batch: int = Field(4096, ge=1, le=10_000_000, description="Events of one step, padding included.")

    @model_validator(mode="after")
    def _heads_divide_dim(self) -> Self:
        if self.dim % self.heads:
            raise refusal(
                "RP205", f"'heads' is {self.heads}, and must divide 'dim', which is {self.dim}", value="heads"
            )
        return self


class Sequence(Encoder[SequenceParams]):
    """Users and items in one space, from what users took to in which order: a transformer that looks both ways.

    Both (n, dim) float32. A history is its events' item vectors, each with one for its place, counted from the end.
    Some are hidden behind a vector of their own, and the network fills them in: the state there ranks items by its
    inner product with the same item vectors. It learns without labels, by softmax over the catalogue at hidden places
    (over drawn items where it is large). A user's vector is the state of a hidden event after their `max_length` − 1
    last ones.

    Histories are read in runs of `max_length`; a run's last event is always hidden, as that is what is asked later.
    Where `epochs` is null they are chosen on the validation part, as by `sasrec`; without one there are 50. Users
    without an event that counts and items without a positive one are zero and missing. Later events move no user: the
    next run does. Raises RunError RP601 when the loss is no number.

    Source: Sun et al. 2019, "BERT4Rec"; without its layer and biases before the softmax, so that user and item vectors
    share one space; layers are normalised before, not after. The whole softmax: Petrov & Macdonald 2022.
    """

    name = "sequence"
    needs_time = True

    def encode(self, data: Dataset, ctx: Context) -> Encoded:
        """Vectors of all users and items."""
        from recprofile.builtin.descent.training import trained
        from recprofile.builtin.encode.sequence_learner import SequenceLearner

        def make(part: Dataset, _: Inputs) -> SequenceLearner:
            return SequenceLearner(part, self.params, ctx)

        learner, epochs = trained(make, data, Inputs(), ctx, self.params, default=DEFAULT_EPOCHS)
        users, items = learner.vectors()
        no_item = data.item_counts() == 0
        items[no_item] = 0
        return Encoded(
            Embeddings("item", data.items.ids, items, no_item),
            Embeddings("user", data.users.ids, users, np.asarray(learner.lengths() == 0)),
            chosen={"epochs": epochs},
        )

    def settled(self, result: Encoded) -> Self:
        """With its number of epochs."""
        return type(self)(self.params.model_copy(update=dict(result.chosen)))
