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

    `per_user` has one row per line and judged user: ranker, after, user (outside id), train_events of the user,
    relevant (how many test items are), and a column per metric that is defined per user (null where it is undefined).
    With rating metrics also their columns over the user's own test events, and rated, how many those are; users who
    have such events and nothing relevant then have rows too.

    `relevant` has one row per relevant pair: user, item. `hits` has one per line and relevant pair that was listed:
    ranker, after, user, item, rank (1 = best, up to the `k` of the summary).
    """

    summary: Mapping[str, Any]
    per_user: pl.DataFrame
    relevant: pl.DataFrame
    hits: pl.DataFrame

    def to_json(self) -> dict[str, Any]:
        """The contents of metrics.json."""
        return dict(self.summary)

    def pack(self) -> Pack:
        """See `Pack`."""
        tables = {"per-user": self.per_user, "relevant": self.relevant, "hits": self.hits}
        return Pack(tables=tables, values=dict(self.summary))

    @classmethod
    def unpack(cls, pack: Pack) -> Evaluation:
        """The inverse of `pack`."""
        return cls(pack.values, *(pack.tables[name] for name in ("per-user", "relevant", "hits")))
