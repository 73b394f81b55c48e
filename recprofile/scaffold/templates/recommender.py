"""A plugin of recprofile: the items that most users have chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recprofile.plugin import (
    BoolArray,
    Context,
    Dataset,
    Field,
    FloatArray,
    Inputs,
    IntArray,
    Pack,
    Params,
    Ranker,
    Recommender,
    hookimpl,
)


class ChosenParams(Params):
    prior: float = Field(0.0, ge=0, le=1e6, description="Events that every item is given beside its own.")


@dataclass(frozen=True, eq=False)
class ChosenRanker(Ranker):
    """Everyone gets the same order: `counts` float32 (n_items,)."""

    counts: FloatArray
    n_users: int

    def scores(self, users: IntArray) -> FloatArray:
        """The counts, once per user."""
        return np.tile(self.counts, (len(users), 1))

    def known_users(self) -> BoolArray:
        """All: the order needs no history."""
        return np.ones(self.n_users, np.bool_)

    def pack(self) -> Pack:
        """The counts."""
        return Pack({"counts": self.counts})


class Chosen(Recommender[ChosenParams]):
    """Items by the number of their positive training events, the same order for everyone."""

    name = "chosen"

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The counts of the training events."""
        return ChosenRanker((data.item_counts() + self.params.prior).astype(np.float32), data.n_users)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker that was packed."""
        return ChosenRanker(pack.arrays["counts"], data.n_users)


@hookimpl
def recprofile_recommenders() -> list[type[Recommender[ChosenParams]]]:
    return [Chosen]
