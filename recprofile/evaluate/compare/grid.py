"""The values of everybody compared, side by side: users in rows, contenders in columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.artifacts import BoolArray
from recprofile.evaluate.compare.contenders import Contender
from recprofile.evaluate.compare.pairing import Pairing
from recprofile.metrics import METRICS, RatingMetric, Values


@dataclass(frozen=True, eq=False)
class Grid:
    """Of n users (text), l contenders and m metrics per user: NaN where a user was not judged, or has no value.

    `values` float64 (n, l, m) of `metrics`; `rated` float64 (n, l), rated test events, and `errors` (n, l, r) their
    errors added up, for `ratings`; `events` float64 (n, l), training events; `judged` bool (n, l), who has something
    relevant; `paired` bool (n,), who was judged alike by all.
    """

    users: pl.Series
    metrics: tuple[str, ...]
    values: Values
    ratings: tuple[str, ...]
    rated: Values
    errors: Values
    events: Values
    judged: BoolArray
    paired: BoolArray

    @classmethod
    def of(cls, contenders: Sequence[Contender], names: Sequence[str], pairing: Pairing) -> Grid:
        """The values of these metrics, as far as they are defined per user."""
        tables = [c.users for c in contenders]
        users = pl.concat([table["user"] for table in tables]).unique(maintain_order=True)
        columns = [name for name in names if any(name in table.columns for table in tables)]
        ratings = tuple(name for name in columns if isinstance(METRICS.get(name), RatingMetric))
        metrics = tuple(name for name in columns if name not in ratings)
        wanted = ("train_events", "relevant", "rated", *ratings, *metrics)
        cube = np.stack([_aligned(table, users, wanted) for table in tables], axis=1)
        events, relevant, rated = (cube[:, :, n] for n in range(3))
        errors = cube[:, :, 3 : 3 + len(ratings)]
        squared = np.array([_root(name) for name in ratings], np.bool_)
        errors = np.where(squared, np.square(errors), errors) * rated[:, :, None]
        paired = users.is_in(pairing.users.implode()).to_numpy()
        return cls(
            users, metrics, cube[:, :, 3 + len(ratings) :], ratings, rated, errors, events, relevant > 0, paired
        )  # fmt: skip

    @property
    def members(self) -> BoolArray:
        """Whom a breakdown is of, bool (n, l): the paired users, or where there are none each contender's own."""
        both: BoolArray = self.judged & self.paired[:, None]
        return both if self.paired.any() else self.judged

    def both_rated(self, a: int, b: int) -> BoolArray:
        """Users of whom two contenders predicted as many test events, bool (n,); nobody where none is paired."""
        many = self.rated[:, a]
        return np.asarray((many > 0) & (many == self.rated[:, b]) & self.paired.any())


def _root(name: str) -> bool:
    metric = METRICS[name]
    return isinstance(metric, RatingMetric) and metric.root


def root_of(name: str, mean: NDArray[Any]) -> NDArray[Any]:
    """A rating metric from the mean of its errors."""
    return np.sqrt(mean) if _root(name) else mean


def _aligned(table: pl.DataFrame, users: pl.Series, columns: Sequence[str]) -> Values:
    """Columns of a table in the order of the users, float64 (n, columns); NaN where there is none."""
    absent = [pl.lit(None, pl.Float64).alias(name) for name in columns if name not in table.columns]
    rows = users.to_frame("user").join(table.with_columns(absent), on="user", how="left", maintain_order="left")
    return rows.select(pl.col(name).cast(pl.Float64).fill_null(np.nan) for name in columns).to_numpy()
