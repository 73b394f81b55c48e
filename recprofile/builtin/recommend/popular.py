"""The same list for everyone: the items with the most positive events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from recprofile.plugin import (
    BoolArray,
    Context,
    DataError,
    Dataset,
    Field,
    FloatArray,
    Inputs,
    IntArray,
    Pack,
    Params,
    Ranker,
    Recommender,
)

DAY = 86_400  # seconds


class PopularParams(Params):
    weight: Literal["events", "users"] = Field(
        "events", description="What counts: every positive event, or each user once."
    )
    half_life_days: float | None = Field(
        None,
        gt=0,
        le=36_500,
        description="Days after which an event counts half, up to the last training event; none: no decay.",
    )


@dataclass(frozen=True, eq=False)
class PopularRanker(Ranker):
    """Ranks everyone alike: `counts` float32 (n_items,), -inf for an item without positive events."""

    counts: FloatArray
    n_users: int

    def scores(self, users: IntArray) -> FloatArray:
        """The counts, once per user: (len(users), n_items) float32."""
        return np.tile(self.counts, (len(users), 1))

    def scores_of(self, people: Dataset) -> FloatArray:
        """The counts, once per person: (people.n_users, n_items) float32."""
        return np.tile(self.counts, (people.n_users, 1))

    def known_users(self) -> BoolArray:
        """All: the list needs no history."""
        return np.ones(self.n_users, np.bool_)

    def pack(self) -> Pack:
        """The counts."""
        return Pack({"counts": self.counts})


class Popular(Recommender[PopularParams]):
    """Rank items by how many positive training events they have, the same for everyone.

    With `half_life_days` an event that is t days older than the last training event counts 2^(-t / half-life). An item
    without positive events is not ranked: scored 0, such items would come in the order of their ids, which in many
    catalogues tells their age or popularity, and a baseline must not live on that.
    """

    name = "popular"
    ranks_new_users = True
    is_baseline = True

    def __init__(self, params: PopularParams) -> None:
        super().__init__(params)
        self.needs_time = params.half_life_days is not None

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The counts; raises DataError RP502 when events are to decay and have no time."""
        train = data.train.take(data.train.positive)
        user, item, time = train.user, train.item, train.time
        half_life = self.params.half_life_days
        if half_life is not None and time is None:
            raise DataError.of("RP502", "'half_life_days' needs a time column in the interactions")
        if self.params.weight == "users":
            last = pl.DataFrame(
                {"user": user, "item": item, "time": np.zeros(len(user), np.int64) if time is None else time}
            )
            last = last.group_by("user", "item").agg(pl.col("time").max()).sort("item", "user")
            item, time = last["item"].to_numpy(), last["time"].to_numpy()
        value = np.ones(len(item))
        if half_life is not None and data.train.time is not None and len(item):
            value = np.exp2((time - data.train.time.max()) / (DAY * half_life))
        counts = np.bincount(item, weights=value, minlength=data.n_items).astype(np.float32)
        counts[np.bincount(item, minlength=data.n_items) == 0] = -np.inf
        return PopularRanker(counts, data.n_users)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker that was packed."""
        return PopularRanker(pack.arrays["counts"], data.n_users)
