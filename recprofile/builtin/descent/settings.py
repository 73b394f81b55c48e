"""What every recommender learnt by gradient descent has: parameters, and a number of epochs that stays when chosen."""

from __future__ import annotations

from abc import ABC
from typing import Self, TypeVar

from recprofile.plugin import Field, Params, Ranker, Recommender


class TrainingParams(Params):
    epochs: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Passes over the training events; null: as many as rank the validation part best.",
    )
    max_epochs: int = Field(100, ge=1, le=10_000, description="Most passes that are tried where 'epochs' is null.")
    patience: int = Field(
        10,
        ge=1,
        le=1000,
        description="Where 'epochs' is null, trying ends once this many passes, and half as many as the best needed, "
        "were made since it, by NDCG@10 on the validation part.",
    )
    learning_rate: float = Field(0.001, gt=0, le=10, description="Step size of Adam.")


P = TypeVar("P", bound=TrainingParams)


class GradientRecommender(Recommender[P], ABC):
    """Its rankers have `epochs`, the passes over the training events that they were learnt in."""

    def settled(self, result: Ranker) -> Self:
        """With the ranker's number of epochs."""
        return type(self)(self.params.model_copy(update={"epochs": getattr(result, "epochs", None)}))
