"""Columns of values as vectors: `category` (which values) and `numbers` (how much)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.builtin.encode.rows import Axis, all_zero, in_training, rarity, table_of
from recprofile.builtin.lengths import unit_rows
from recprofile.plugin import (
    AxisColumns,
    Context,
    Dataset,
    Embeddings,
    Encoder,
    Field,
    Params,
    RunError,
    Table,
    model_validator,
)


class CategoryParams(Params):
    columns: AxisColumns = Field(min_length=1, description="Categorical columns, in order.")
    axis: Axis = Field("item", description="Whose columns: item or user.")
    separator: str | None = Field(
        None, min_length=1, description="What parts the values within one text, as ' ' in 'Drama War'; null: one value."
    )
    weighting: Literal["none", "idf"] = Field("none", description="1 for each value, or more for a rarer one (idf).")
    min_count: int = Field(1, ge=1, description="Fewest training items (or users) that must have a value.")
    normalise: bool = Field(True, description="Bring each row to length 1.")


class Category(Encoder[CategoryParams]):
    """Which values an item or user has, as a multi-hot row.

    (n, values) float32, columns by column of the table, then by value. The values and their rarity come from the
    items (or users) with a training event. A row without a known value is zero and missing. List columns have a value
    per element. `annotations` has a column `tags`: all values of each row, known or not.
    Raises DataError RP502 for an unknown column.
    """

    name = "category"

    def __init__(self, params: CategoryParams) -> None:
        super().__init__(params)
        self.needs_items, self.needs_users = params.axis == "item", params.axis == "user"

    def encode(self, data: Dataset, ctx: Context) -> Embeddings:
        """One vector per item or user."""
        p = self.params
        table = table_of(data, p.axis)
        known = in_training(data, p.axis)
        pairs = values_of(table, p.columns, p.separator).unique(maintain_order=True)
        training = pl.DataFrame({"row": np.flatnonzero(known).astype(np.uint32)})
        idf = rarity(pl.col("rows"), int(known.sum())) if p.weighting == "idf" else pl.lit(1.0)
        vocabulary = (
            pairs.join(training, on="row", how="semi")
            .group_by("source", "value")
            .len("rows")
            .filter(pl.col("rows") >= p.min_count)
            .sort("source", "value")
            .with_row_index("column")
            .with_columns(idf.alias("weight"))
        )
        if len(vocabulary) == 0:
            ctx.warn(f"category: no value in {', '.join(p.columns)} of the training part, so every vector is missing")
        found = pairs.join(vocabulary, on=["source", "value"])
        vectors = np.zeros((len(table), len(vocabulary)), np.float32)
        vectors[found["row"].to_numpy(), found["column"].to_numpy()] = found["weight"].to_numpy()
        missing = all_zero(vectors)
        if p.normalise:
            vectors = unit_rows(vectors)
        return Embeddings(p.axis, table.ids, vectors, missing, _tags(pairs, len(table)))


def values_of(table: Table, columns: Sequence[str], separator: str | None) -> pl.DataFrame:
    """Every value of every row: (row, source, value), source being the number of the column."""
    parts = []
    for source, name in enumerate(columns):
        column = table.column(name)
        if isinstance(column.dtype, pl.Array):
            column = column.arr.to_list()
        if isinstance(column.dtype, pl.List):
            values = column.cast(pl.List(pl.String))
        elif separator is not None:
            values = table.text(name).str.split(separator)
        else:
            values = table.text(name)
        rows = values.alias("value").to_frame().with_row_index("row")
        if isinstance(values.dtype, pl.List):
            rows = rows.explode("value")
        value = pl.col("value").str.strip_chars()
        parts.append(rows.select("row", pl.lit(source).alias("source"), value).filter(pl.col("value") != ""))
    return pl.concat(parts)


def _tags(pairs: pl.DataFrame, n: int) -> pl.DataFrame:
    """All values of each row as a list, in the order they stand; empty where there are none."""
    every = pl.DataFrame({"row": np.arange(n, dtype=np.uint32)})
    lists = pairs.group_by("row", maintain_order=True).agg(pl.col("value").alias("tags"))
    tags = every.join(lists, on="row", how="left", maintain_order="left")["tags"]
    return tags.fill_null(pl.Series([[]], dtype=pl.List(pl.String))).to_frame()


class NumbersParams(Params):
    columns: AxisColumns = Field(min_length=1, description="Numeric columns, in order.")
    axis: Axis = Field("item", description="Whose columns: item or user.")
    bumps: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default={},
        description="Column → width, in its units, of the bumps that say where a value lies: close values are alike "
        "and far ones have nothing in common, as with years. A column that is not named is one standardised number.",
    )

    @model_validator(mode="after")
    def _bumps_of_columns(self) -> Self:
        if unknown := sorted(self.bumps.keys() - set(self.columns)):
            raise ValueError(f"bumps names a column that is not under columns: {', '.join(unknown)}")
        return self


BUMPS = 2_048  # most bumps within the values of a column: 8 KiB a row
EDGE = 3  # centres beyond them on either side, so that the ends are as alike to their neighbours as the middle


class Numbers(Encoder[NumbersParams]):
    """Numeric columns, each with mean 0 and deviation 1 over the items (or users) with a training event.

    A column under `bumps` becomes a row of length 1 of Gaussian bumps instead, exp(−½((value − c) / width)²) with
    centres c one width apart over the training values, so that two values' likeness is exp(−¼(difference / width)²);
    beyond the training values the nearest of them counts.

    (n, columns, or bumps) float32. A missing value becomes 0 (standardised: the mean); a row is missing when all its
    values are. A column without spread becomes 0. Raises DataError RP502 for an unknown column, RP503 for what is no
    finite number, and RunError RP604 for bumps so narrow that a column would need more than 2,048.
    Source: radial basis functions, Broomhead & Lowe 1988.
    """

    name = "numbers"

    def __init__(self, params: NumbersParams) -> None:
        super().__init__(params)
        self.needs_items, self.needs_users = params.axis == "item", params.axis == "user"

    def encode(self, data: Dataset, ctx: Context) -> Embeddings:
        """One vector per item or user."""
        p = self.params
        table = table_of(data, p.axis)
        values = table.numbers(p.columns).astype(np.float64)
        there = ~np.isnan(values)
        learnt = there & in_training(data, p.axis)[:, None]
        parts = []
        for at, column in enumerate(p.columns):
            known = values[learnt[:, at], at]
            spread = known.std() if len(known) else 0.0
            if spread <= 1e-12 * np.abs(known).max(initial=0):
                ctx.warn(f"numbers: column '{column}' has no spread in the training part, so every value becomes 0")
                part = np.zeros((len(values), 1))
            elif column in p.bumps:
                part = _bumps(values[:, at], known, p.bumps[column], column)
            else:
                part = ((values[:, at] - known.mean()) / spread)[:, None]
            parts.append(np.where(there[:, at, None], part, 0).astype(np.float32))
        return Embeddings(p.axis, table.ids, np.concatenate(parts, axis=1), np.asarray(~there.any(axis=1)))


def _bumps(values: NDArray[np.float64], known: NDArray[np.float64], width: float, column: str) -> NDArray[np.float64]:
    """How near values lie to each centre, (n, bumps), each row of length 1."""
    low, high = known.min(), known.max()
    count = (high - low) / width
    if count >= BUMPS:
        raise RunError.of(
            "RP604",
            f"bumps of width {width:g} over the values of '{column}', {low:g} to {high:g}, are more than {BUMPS:,}",
            help=(f"make them wider than {(high - low) / BUMPS:.2g}",),
        )
    centres = low + width * np.arange(-EDGE, math.ceil(count) + EDGE + 1)
    rows = np.exp(-0.5 * ((np.clip(values, low, high)[:, None] - centres) / width) ** 2)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))
