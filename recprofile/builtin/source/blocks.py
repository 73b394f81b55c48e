"""Rows that come in blocks → one Parquet file, of the types that take in all blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from recprofile.plugin import DataError, quoted

HEIGHT = 500_000  # rows of a block
_EXACT = 2**53  # the whole numbers up to here are exact as 64-bit floats


class Blocks:
    """Blocks on their way into one file of a folder; `rows` are in them, which `tell` hears.

    `lost` rows had come after them when no more came.
    """

    height = HEIGHT

    def __init__(self, folder: Path, tell: Callable[[int], object]) -> None:
        self._folder, self._tell = folder, tell
        self._files: list[Path] = []
        self._schemas: list[pl.Schema] = []
        self._columns: tuple[str, ...] = ()
        self.rows = self.lost = 0

    def begin(self, columns: Sequence[str]) -> None:
        """Name the columns; raises DataError RP502 for two of one name."""
        twice = next((name for name in columns if columns.count(name) > 1), None)
        if twice is not None:
            helps = ("give each a name of its own: SELECT a.id AS item, …",)
            raise DataError.of("RP502", f"the query gives two columns {quoted(twice)}", help=helps)
        self._columns = tuple(columns)

    def add_rows(self, rows: Sequence[Sequence[Any]]) -> None:
        """A block as a database driver gives it."""
        columns = zip(*rows, strict=True)
        self.add(pl.DataFrame([series_of(name, v) for name, v in zip(self._columns, columns, strict=True)]))

    def add(self, frame: pl.DataFrame) -> None:
        """A block with types."""
        file = self._folder / f"{len(self._files):06}.parquet"
        frame.write_parquet(file, compression="lz4", statistics=False)
        self._files.append(file)
        self._schemas.append(frame.schema)
        self.rows += frame.height
        self._tell(self.rows)

    def written(self) -> Path:
        """The whole file; the blocks are gone then."""
        types = {name: _common([schema[name] for schema in self._schemas]) for name in self._columns}
        target = self._folder / "whole.parquet"
        blocks = [
            pl.scan_parquet(file, glob=False).select(_cast(name, schema[name], dtype) for name, dtype in types.items())
            for file, schema in zip(self._files, self._schemas, strict=True)
        ]
        pl.concat(blocks, how="vertical").sink_parquet(target, row_group_size=HEIGHT)
        for file in self._files:
            file.unlink()
        return target


def series_of(name: str, values: Sequence[Any]) -> pl.Series:  # noqa: PLR0911 - one for each kind
    """A column of Python values: whole numbers, numbers (Decimal too), true and false, dates, times, else text.

    Times with a zone are in UTC. Values of several types are text, unless all are numbers.
    """
    kinds = set(map(type, values)) - {type(None)}
    if not kinds:
        return pl.Series(name, [None] * len(values), pl.Null)
    if kinds == {bool}:
        return pl.Series(name, values, pl.Boolean)
    if kinds <= {int, bool}:
        try:
            return pl.Series(name, values, pl.Int64)
        except (OverflowError, TypeError):  # beyond 2^63
            return pl.Series(name, [None if v is None else str(v) for v in values], pl.String)
    if kinds <= {int, float, bool, Decimal}:
        return inexact(name, pl.Series(name, [None if v is None else float(v) for v in values], pl.Float64))
    if kinds == {str}:
        return pl.Series(name, values, pl.String)
    if kinds == {date}:
        return pl.Series(name, values, pl.Date)
    if kinds == {datetime}:
        if any(v.tzinfo is not None for v in values if v is not None):
            return pl.Series(name, values, pl.Datetime("us", "UTC"))
        return pl.Series(name, values, pl.Datetime("us"))
    if kinds <= {bytes, bytearray, memoryview}:
        return pl.Series(name, [None if v is None else bytes(v) for v in values], pl.Binary)
    return pl.Series(name, [None if v is None else str(v) for v in values], pl.String)


def inexact(name: str, numbers: pl.Series) -> pl.Series:
    """The same numbers; raises DataError RP503 for whole ones that 64-bit floats do not tell apart."""
    large = (numbers == numbers.floor()) & (numbers.abs() > _EXACT) & numbers.is_finite()
    if large.any():
        value = numbers.filter(large)[0]
        helps = (f"say in the query what it is: CAST({name} AS bigint), or AS double precision, or AS text",)
        raise DataError.of("RP503", f"'{value:.0f}' in column {quoted(name)} is too large to be exact", help=helps)
    return numbers


def _common(types: Sequence[pl.DataType]) -> pl.DataType:
    """The type that takes in those of all blocks."""
    kinds = set(types) - {pl.Null()}
    if len(kinds) < 2:
        return next(iter(kinds), pl.Null())
    if kinds <= {pl.Boolean(), pl.Int64()}:
        return pl.Int64()
    if kinds <= {pl.Boolean(), pl.Int64(), pl.Float64()}:
        return pl.Float64()
    return pl.String()


def _cast(name: str, dtype: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if dtype == pl.Boolean and wanted == pl.String:
        return column.cast(pl.Int64).cast(pl.String)
    return column.cast(wanted) if dtype != wanted else column
