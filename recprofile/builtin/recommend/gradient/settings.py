"""Parameters that every recommender learnt by gradient descent has."""

from __future__ import annotations

from recprofile.plugin import Field, Params


class TrainingParams(Params):
    epochs: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Passes over the training events; null: as many as rank the validation part best.",
    )
    max_epochs: int = Field(100, ge=1, le=10_000, description="Most passes that are tried where 'epochs' is null.")
    patience: int = Field(
        5,
        ge=1,
        le=1000,
        description="Judgements in a row without a better NDCG@10 on the validation part that end the trying. Every "
        "pass is judged up to the tenth, then one in every tenth part more of them.",
    )
    learning_rate: float = Field(0.001, gt=0, le=10, description="Step size of Adam.")
