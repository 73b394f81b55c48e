"""What goes into an evaluation, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from recprofile.artifacts import Pack, Recommendations
from recprofile.components import Ranker


@dataclass(frozen=True, eq=False)
class Entry:
    """One line of an evaluation: the lists of a ranker, as it made them or `after` a rerank stage.

    `role`: 'main' makes the lists that are given out, 'stage' is another ranker of the recipe, 'baseline' one to
    compare with. With a `ranker` that predicts ratings, those are measured too.
    """

    id: str
    component: str
    role: str
    recs: Recommendations
    ranker: Ranker | None = None
    after: str | None = None

    @property
    def label(self) -> str:
        """What to call the line: 'ease', or 'ease + mmr' after a rerank."""
        return self.id if self.after is None else f"{self.id} + {self.after}"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What the metrics came to.

    `summary` is metrics.json, plain JSON values with six decimals:

        k             the longest list that a metric looks at
        users         users who were judged: those with a relevant test item
        cold_users    of these, users without any training event
        candidates    items that may be listed
        relevant      relevant (user, item) pairs
        confidence, resamples    of the intervals
        notes         what a reader must know of these numbers, in sentences
        rankers       one per Entry: id, component, role, after; `metrics` by name, each with value, low, high (null
                      where there is none) and n; `groups` by user column and value, each with n and metrics;
                      `fallbacks`, judged users by why their list is not the ranker's own; and for a rating predictor
                      `ratings`, test events that were predicted, that it knew only by default, and that were left out
        differences   main line against each baseline: metric, a, b (their labels), value = a - b, low, high, p, n

    `per_user` has one row per line and judged user: ranker, after, user (outside id), and a column per metric that is
    defined per user (null where it is undefined).
    """

    summary: Mapping[str, Any]
    per_user: pl.DataFrame

    def to_json(self) -> dict[str, Any]:
        """The contents of metrics.json."""
        return dict(self.summary)

    def pack(self) -> Pack:
        """See `Pack`."""
        return Pack(tables={"per-user": self.per_user}, values=dict(self.summary))

    @classmethod
    def unpack(cls, pack: Pack) -> Evaluation:
        """The inverse of `pack`."""
        return cls(pack.values, pack.tables["per-user"])
