"""The values of columns of a table: several in one text, one to a text, or lists."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from recprofile.artifacts import Table


def column_values(table: Table, columns: Sequence[str], separator: str | None) -> pl.DataFrame:
    """Every value of every row, blank ones left out: (row, source, value), source being the number of the column.

    `separator` parts the values within one text; None: a text is one value. List columns have a value per element.
    Raises DataError RP502 for an unknown column.
    """
    parts = [pl.DataFrame(schema={"row": pl.UInt32, "source": pl.Int32, "value": pl.String})]
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
