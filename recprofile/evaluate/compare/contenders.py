"""What is compared: lines of the evaluations that run folders hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

import polars as pl

from recprofile.errors import RecprofileError, RunError
from recprofile.runs import RUN_AGAIN, Run

TABLES = {
    "per_user.parquet": ("ranker", "after", "user", "train_events", "relevant"),
    "relevant.parquet": ("user", "item"),
    "hits.parquet": ("ranker", "after", "user", "item", "rank"),
    "items.parquet": ("item", "positive_events"),
}


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a run found user by user, ids as text; `metrics` is its metrics.json."""

    run: Run
    metrics: Mapping[str, Any]
    per_user: pl.DataFrame
    relevant: pl.DataFrame
    hits: pl.DataFrame
    items: pl.DataFrame

    @classmethod
    def of(cls, run: Run) -> Evidence:
        """What a run folder holds. Raises RunError RP607 where nothing was judged, or a table is missing or damaged."""
        metrics = run.json("metrics.json")
        if not isinstance(metrics, dict):
            message = f"metrics.json of the run '{run.folder}' is not that of a run"
            raise RunError.of("RP607", message, help=(RUN_AGAIN,))
        if not metrics.get("rankers"):
            helps = ("its recipe needs a recommend stage",)
            raise RunError.of("RP607", f"the run '{run.folder}' judged no recommender", help=helps)
        return cls(run, metrics, *(_table(run, name) for name in TABLES))


@dataclass(frozen=True, eq=False)
class Contender:
    """One line of an evaluation, under the letter that tables call it by."""

    key: str
    name: str  # what a person called it: a run folder, or a ranker of the only one
    evidence: Evidence
    line: Mapping[str, Any]  # of `rankers` in metrics.json

    @property
    def label(self) -> str:
        """The ranker, and the rerank stage after which it was judged."""
        return f"{self.line['id']} + {self.line['after']}" if self.line.get("after") else str(self.line["id"])

    @property
    def users(self) -> pl.DataFrame:
        """Its rows of per_user.parquet."""
        return self.own(self.evidence.per_user)

    @property
    def hits(self) -> pl.DataFrame:
        """Its rows of hits.parquet."""
        return self.own(self.evidence.hits)

    def own(self, table: pl.DataFrame) -> pl.DataFrame:
        """The rows of this line."""
        return table.filter(
            pl.col("ranker") == self.line["id"], pl.col("after").eq_missing(pl.lit(self.line.get("after"), pl.String))
        )


def contenders_of(runs: Sequence[Run]) -> list[Contender]:
    """The lists that each run gave out; of a single run, every ranker. Raises as `Evidence.of`."""
    every = [Evidence.of(run) for run in runs]
    if len(every) == 1:
        lines = [(every[0], line) for line in every[0].metrics["rankers"]]
    else:
        lines = [(one, main_line(one.metrics)) for one in every]
    found = [Contender(letters(n), str(one.run.folder), one, line) for n, (one, line) in enumerate(lines)]
    return [Contender(c.key, c.label, c.evidence, c.line) for c in found] if len(every) == 1 else found


def main_line(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    """The line of the lists that were given out: the last of the main ranker's."""
    lines: Sequence[Mapping[str, Any]] = metrics["rankers"]
    return next((line for line in reversed(lines) if line.get("role") == "main"), lines[0])


def letters(n: int) -> str:
    """a, b … z, aa, ab …"""
    return (letters(n // 26 - 1) if n >= 26 else "") + ascii_lowercase[n % 26]


def _table(run: Run, name: str) -> pl.DataFrame:
    try:
        table = run.table(name)
    except RecprofileError:
        if (run.folder / name).is_file() or name in run.manifest.get("contents", {}):
            raise
        raise _too_old(run) from None
    if set(TABLES[name]) - set(table.columns):
        raise _too_old(run)
    return table.with_columns(pl.col(one).cast(pl.String) for one in ("user", "item") if one in table.columns)


def _too_old(run: Run) -> RecprofileError:
    message = f"the run '{run.folder}' keeps no values of single users: an earlier version made it"
    again = run.manifest.get("command", "recprofile run RECIPE")
    return RunError.of("RP607", message, help=(f"run it again: {again}",))
