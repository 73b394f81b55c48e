"""The blocks `data`, `list` and `evaluate`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from recprofile.errors import quoted
from recprofile.recipe.splits import Split
from recprofile.recipe.statement import one_select
from recprofile.shape import Model, refusal
from recprofile.source.compose import core_scalar

Format = Literal["auto", "csv", "tsv", "parquet", "jsonl"]
Column = Annotated[str, Field(min_length=1)]
MAX_K = 10_000
DEFAULT_METRICS = (
    "ndcg@10",
    "recall@10",
    "precision@10",
    "map@10",
    "mrr@10",
    "hit-rate@10",
    "coverage@10",
    "novelty@10",
    "diversity@10",
    "gini@10",
)
_POSITIVE = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*(\S+)\s*")
# The same for editors, whose schema has no code: the numbers are those of `core_scalar`.
_POSITIVE_WRITTEN = (
    r"^\s*(>=|<=|==|!=|>|<)\s*([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+)\s*$"
)
_SEPARATOR_WRITTEN = r"^[\x01-\x09\x0b\x0c\x0e-!#-\x7f]$"
_METRIC = re.compile(r"((?:[a-z][a-z0-9_-]*/)?[a-z][a-z0-9_-]*)(?:@([1-9][0-9]{0,4}))?")


@dataclass(frozen=True, slots=True)
class Positive:
    """Which weights make an event positive: a comparison with a threshold, such as '>= 4'."""

    op: Literal[">=", "<=", "==", "!=", ">", "<"]
    threshold: float

    def __str__(self) -> str:
        return f"{self.op} {int(self.threshold) if self.threshold.is_integer() else self.threshold}"


def parse_positive(text: object) -> Positive:
    """The comparison that a text such as '>= 4' means. Raises an RP203 or RP204 of pydantic for anything else."""
    if isinstance(text, Positive):
        return text
    if not isinstance(text, str):
        raise refusal("RP203", "'positive' must be a comparison in quotes", help=('write ">= 4"',))
    found = _POSITIVE.fullmatch(text)
    number = core_scalar(found[2]) if found and len(found[2]) < 40 else None
    if not found or isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
        message = f"'positive' is {quoted(text)}, and must be one of >=, >, ==, !=, <=, < and a number"
        raise refusal("RP204", message, help=('for example ">= 4"',))
    return Positive(found[1], float(number))  # type: ignore[arg-type]  # the pattern has these six only


def parse_metric(text: str) -> tuple[str, int | None]:
    """Name and list length of a metric: 'ndcg@10' is ('ndcg', 10), 'rmse' is ('rmse', None). Raises ValueError."""
    found = _METRIC.fullmatch(text)
    if not found or int(found[2] or 1) > MAX_K:
        raise ValueError(
            f"{quoted(text)} is no metric: a name, and '@' with a length from 1 to {MAX_K} where it has one"
        )
    return found[1], int(found[2]) if found[2] else None


def _metric(text: str) -> str:
    try:
        parse_metric(text)
    except ValueError as error:
        raise refusal("RP204", str(error), help=("for example ndcg@10 or rmse",)) from None
    return text


def _separator(text: str) -> str:
    if len(text) != 1 or not text.isascii() or text in '"\r\n\0':
        raise refusal("RP204", f"'separator' is {quoted(text)}, and must be one ASCII character, no quote or line end")
    return text


Separator = Annotated[
    str, AfterValidator(_separator), WithJsonSchema({"type": "string", "pattern": _SEPARATOR_WRITTEN})
]


def _query(text: str) -> str:
    if "${" not in text:  # else a run sees what it is
        try:
            one_select(text)
        except ValueError as error:
            raise refusal("RP204", f"the query {error}") from None
    return text


Query = Annotated[str, AfterValidator(_query)]


class TableSource(Model):
    """A file of items or users, one row each. A bare path stands for `{path: …}`."""

    shorthand: ClassVar[str | None] = "path"

    path: str = Field(
        min_length=1,
        description="A file, a folder of parts or a pattern as events/*.parquet, relative to the recipe; or a URI.",
    )
    query: Query | None = Field(None, description="Rows of a database that the path names: one SELECT.")
    id: Column = Field("id", description="Column of the ids, as the interactions have them.")
    format: Format = Field("auto", description="File format; auto: by the ending of the path.")
    separator: Separator | None = Field(
        None, description="One ASCII character between columns; default: the format's own."
    )


class InteractionsSource(Model):
    """The file of events, one row each. A bare path stands for `{path: …}`."""

    shorthand: ClassVar[str | None] = "path"

    path: str = Field(
        min_length=1,
        description="A file, a folder of parts or a pattern as events/*.parquet, relative to the recipe; or a URI.",
    )
    query: Query | None = Field(None, description="Rows of a database that the path names: one SELECT.")
    user: Column = Field("user", description="Column of user ids.")
    item: Column = Field("item", description="Column of item ids.")
    weight: Column | None = Field(
        None, description="Column of the strength of events, such as a rating; default: 'weight' when the file has it."
    )
    time: Column | None = Field(None, description="Column of times; default: 'time' when the file has it.")
    columns: tuple[Column, ...] = Field((), description="Further columns of the events to keep, as context.")
    format: Format = Field("auto", description="File format; auto: by the ending of the path.")
    separator: Separator | None = Field(
        None, description="One ASCII character between columns; default: the format's own."
    )


class DataBlock(Model):
    """What happened, to what and whom, and what is held out."""

    interactions: InteractionsSource = Field(description="The events: who did something with what.")
    items: TableSource | None = Field(None, description="The catalogue: one row per item.")
    users: TableSource | None = Field(None, description="The users: one row per user.")
    positive: (
        Annotated[
            Positive,
            PlainValidator(
                parse_positive,
                json_schema_input_type=Annotated[str, Field(pattern=_POSITIVE_WRITTEN, examples=[">= 4"])],
            ),
            PlainSerializer(str),
        ]
        | None
    ) = Field(None, description="Which weights make an event positive, as '>= 4'; default: every event is.")
    split: Split | None = Field(
        None, description="What is held out; default: user-time with 0.2 where there is time, else random with 0.2."
    )


class ListBlock(Model):
    """The lists that are recommended."""

    k: int = Field(20, ge=1, le=MAX_K, description="Items per user, from 1 to 10000.")
    exclude_seen: bool = Field(True, description="Leave out what a user had in training.")
    candidates: str = Field(
        "all",
        min_length=1,
        description="What may be recommended: all, cold (items new in test), or the path of a file of item ids.",
    )


class Evaluate(Model):
    """What is measured, and against which baselines."""

    metrics: tuple[Annotated[str, AfterValidator(_metric)], ...] = Field(
        DEFAULT_METRICS, min_length=1, description="Metrics by name, as ndcg@10 where they look at the first 10."
    )
    baselines: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(
        None, description="Recommenders to compare with; default: those that the installed plugins call baselines."
    )
    groups: tuple[Column, ...] = Field((), description="User columns by whose values every metric is also given.")
    bootstrap: int = Field(1000, ge=0, le=100_000, description="Resamples for intervals, from 0 (none) to 100000.")
    confidence: float = Field(0.95, gt=0, lt=1, description="Probability that an interval covers, in (0, 1).")
