"""What a run gives back: Recommendations, CheckResult and Explanations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
import polars as pl

from recprofile.artifacts.pack import Pack, join_packs
from recprofile.artifacts.tables import IdMap
from recprofile.artifacts.types import FloatArray, IntArray, expect, expect_codes
from recprofile.errors import ArtifactError


@dataclass(frozen=True, eq=False)
class Recommendations:
    """The k best items of each of n users, best first.

    `users` int32 (n,) codes; `items` int32 (n, k) codes, -1 where a list is shorter than k (only at its end);
    `scores` float32 (n, k), descending in each row up to the first -1 and NaN from there on; `reasons` int8 (n,),
    an index into REASONS: how each list came about, so that a fall-back is never hidden.
    """

    REASONS: ClassVar[tuple[str, ...]] = ("ranked", "no history", "not in model", "nothing to rank")

    user_ids: IdMap
    item_ids: IdMap
    users: IntArray
    items: IntArray
    scores: FloatArray
    reasons: np.ndarray[Any, np.dtype[np.int8]]

    def __post_init__(self) -> None:
        n = len(self.users)
        expect(self.users, "Recommendations.users", dtype=np.int32, shape=(n,))
        expect(self.items, "Recommendations.items", dtype=np.int32, shape=(n, None))
        expect(self.scores, "Recommendations.scores", dtype=np.float32, shape=self.items.shape)
        expect(self.reasons, "Recommendations.reasons", dtype=np.int8, shape=(n,))
        expect_codes(self.users, "Recommendations.users", below=len(self.user_ids))
        expect_codes(self.items, "Recommendations.items", below=len(self.item_ids), lowest=-1)
        filled = self.items >= 0
        if (filled[:, 1:] & ~filled[:, :-1]).any():
            raise ArtifactError("Recommendations.items has a gap before the end of a list")
        if not np.isfinite(self.scores[filled]).all():
            raise ArtifactError("Recommendations.scores holds a value that is not finite")
        with np.errstate(invalid="ignore"):
            if (self.scores[:, 1:] > self.scores[:, :-1]).any():
                raise ArtifactError("Recommendations.scores rises within a list, and must descend")

    @property
    def k(self) -> int:
        """The longest list there may be."""
        return int(self.items.shape[1])

    def cut(self, k: int) -> Recommendations:
        """The first k of every list."""
        return Recommendations(
            self.user_ids, self.item_ids, self.users, self.items[:, :k], self.scores[:, :k], self.reasons
        )

    def counts(self) -> dict[str, int]:
        """How many lists came about in each way."""
        found = np.bincount(self.reasons, minlength=len(self.REASONS))
        return {reason: int(n) for reason, n in zip(self.REASONS, found, strict=True)}

    def frame(self) -> pl.DataFrame:
        """One row per recommendation, with outside ids: user, item, rank (1 = best), score, reason."""
        row, column = np.nonzero(self.items >= 0)
        return pl.DataFrame(
            {
                "user": self.user_ids.outside(self.users[row]),
                "item": self.item_ids.outside(self.items[row, column]),
                "rank": pl.Series(column.astype(np.int32) + 1),
                "score": self.scores[row, column],
                "reason": pl.Series(self.reasons[row]).cast(pl.UInt32).replace_strict(
                    dict(enumerate(self.REASONS)), return_dtype=pl.String
                ),
            }
        )  # fmt: skip

    def pack(self) -> Pack:
        """See `Pack`."""
        own = Pack({"users": self.users, "items": self.items, "scores": self.scores, "reasons": self.reasons})
        return join_packs(user_ids=self.user_ids.pack(), item_ids=self.item_ids.pack(), own=own)

    @classmethod
    def unpack(cls, pack: Pack) -> Recommendations:
        """The inverse of `pack`."""
        a = pack.part("own").arrays
        users, items = IdMap.unpack(pack.part("user_ids")), IdMap.unpack(pack.part("item_ids"))
        return cls(users, items, a["users"], a["items"], a["scores"], a["reasons"])


@dataclass(frozen=True)
class Measure:
    """One number that a check measured, with its interval and the limit it is held against.

    `low`, `high`: confidence interval, None where none can be given; `limit`: the bound from the recipe, None where
    there is none; `n`: how many users or items the number rests on.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    n: int | None = None


@dataclass(frozen=True, eq=False)
class CheckResult:
    """A gate's verdict: `passed` True or False, or None where the data do not allow one (and `summary` says why).

    `groups` is a table with the columns group, n, value, low, high for the report's plot (it may be empty);
    `tables` are further tables by title.
    """

    passed: bool | None
    summary: str
    measures: tuple[Measure, ...] = ()
    groups: pl.DataFrame = field(default_factory=pl.DataFrame)
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lacking = {"group", "n", "value", "low", "high"} - set(self.groups.columns)
        if self.groups.width and lacking:
            raise ArtifactError(f"CheckResult.groups lacks the columns {sorted(lacking)}")

    def pack(self) -> Pack:
        """See `Pack`."""
        tables = {f"table/{i}": t for i, t in enumerate(self.tables.values())}
        if self.groups.width:
            tables["groups"] = self.groups
        values = {
            "passed": self.passed,
            "summary": self.summary,
            "measures": [asdict(m) for m in self.measures],
            "titles": list(self.tables),
        }
        flat = {name.replace("/", "-"): table for name, table in tables.items()}
        return Pack(tables=flat, values=values)

    @classmethod
    def unpack(cls, pack: Pack) -> CheckResult:
        """The inverse of `pack`."""
        v, t = pack.values, pack.tables
        return cls(
            v["passed"],
            v["summary"],
            tuple(Measure(**m) for m in v["measures"]),
            t.get("groups", pl.DataFrame()),
            {title: t[f"table-{i}"] for i, title in enumerate(v["titles"])},
        )


EVIDENCE_SCHEMA = pl.Schema(
    {"user": pl.Int32, "item": pl.Int32, "kind": pl.String, "source": pl.String, "label": pl.String,
     "contribution": pl.Float32}
)  # fmt: skip
SENTENCE_SCHEMA = pl.Schema(
    {"user": pl.Int32, "item": pl.Int32, "sentence": pl.String, "counterfactual": pl.String, "basis": pl.String}
)


@dataclass(frozen=True, eq=False)
class Explanations:
    """Why each (user, item) pair was recommended.

    `evidence` has one row per part of a score: user, item (codes), kind ('history' or 'block'), source (the history
    item's outside id, or the block's name), label (what a person reads), contribution (signed, in units of the score).
    `sentences` has one row per pair: sentence, counterfactual (what would have to be gone for the item to drop out of
    the list; null where none was found), basis ('model': parts of the recommender's own score; 'profile': similarity in
    the profile, told after the fact of a recommender that gives no evidence; 'fallback': the list is not the user's
    own, and there is no evidence).
    """

    user_ids: IdMap
    item_ids: IdMap
    evidence: pl.DataFrame
    sentences: pl.DataFrame

    def __post_init__(self) -> None:
        for name, frame, schema in (
            ("evidence", self.evidence, EVIDENCE_SCHEMA),
            ("sentences", self.sentences, SENTENCE_SCHEMA),
        ):
            if frame.schema != schema:
                raise ArtifactError(f"Explanations.{name} has the columns {dict(frame.schema)}, not {dict(schema)}")
        if not bool(self.evidence["contribution"].is_finite().all()):
            raise ArtifactError("Explanations.evidence holds a contribution that is not finite")

    def frame(self) -> pl.DataFrame:
        """Evidence and sentences with outside ids, one row per part of a score."""
        joined = self.evidence.join(self.sentences, on=["user", "item"], how="full", coalesce=True)
        joined = joined.sort(
            "user", "item", "kind", pl.col("contribution").abs(), "source", descending=[False] * 3 + [True, False]
        )
        return joined.with_columns(
            self.user_ids.outside(joined["user"].to_numpy()).alias("user"),
            self.item_ids.outside(joined["item"].to_numpy()).alias("item"),
        )

    def pack(self) -> Pack:
        """See `Pack`."""
        own = Pack(tables={"evidence": self.evidence, "sentences": self.sentences})
        return join_packs(user_ids=self.user_ids.pack(), item_ids=self.item_ids.pack(), own=own)

    @classmethod
    def unpack(cls, pack: Pack) -> Explanations:
        """The inverse of `pack`."""
        t = pack.part("own").tables
        users, items = IdMap.unpack(pack.part("user_ids")), IdMap.unpack(pack.part("item_ids"))
        return cls(users, items, t["evidence"], t["sentences"])
