"""Columns of values as vectors: `category` (which values) and `numbers` (how much)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl

from recprofile.builtin.encode.rows import Axis, all_zero, in_training, rarity, table_of
from recprofile.builtin.lengths import unit_rows
from recprofile.plugin import AxisColumns, Context, Dataset, Embeddings, Encoder, Field, Params, Table


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
        pairs = _values(table, p).unique(maintain_order=True)
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


def _values(table: Table, p: CategoryParams) -> pl.DataFrame:
    """Every value of every row: (row, source, value), source being the number of the column."""
    parts = []
    for source, name in enumerate(p.columns):
        column = table.column(name)
        if isinstance(column.dtype, pl.Array):
            column = column.arr.to_list()
        if isinstance(column.dtype, pl.List):
            values = column.cast(pl.List(pl.String))
        elif p.separator is not None:
            values = table.text(name).str.split(p.separator)
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


class Numbers(Encoder[NumbersParams]):
    """Numeric columns, each with mean 0 and deviation 1 over the items (or users) with a training event.

    (n, columns) float32. A missing value becomes 0, the mean; a row is missing when all its values are. A column
    without spread becomes 0. Raises DataError RP502 for an unknown column and RP503 for what is no finite number.
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
        count = np.maximum(learnt.sum(axis=0), 1)
        mean = np.where(learnt, values, 0).sum(axis=0) / count
        spread = np.sqrt((np.where(learnt, values - mean, 0) ** 2).sum(axis=0) / count)
        flat = spread <= 1e-12 * np.abs(np.where(learnt, values, 0)).max(axis=0, initial=0)
        for column in np.array(p.columns)[flat]:
            ctx.warn(f"numbers: column '{column}' has no spread in the training part, so every value becomes 0")
        factor = np.divide(1, spread, out=np.zeros_like(spread), where=~flat)
        vectors = np.where(there, (values - mean) * factor, 0).astype(np.float32)
        return Embeddings(p.axis, table.ids, vectors, np.asarray(~there.any(axis=1)))
