"""Rows of PostgreSQL by COPY in its text form: about as fast as a binary cursor, but with the columns' own types.

The text form has one line a row, tabs between columns, `\\N` for what is missing, and a backslash before what would
be one of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import polars as pl
from polars.exceptions import PolarsError

from recprofile.builtin.source.blocks import Blocks, inexact
from recprofile.plugin import DataError, quoted

if TYPE_CHECKING:
    import psycopg
    import sqlalchemy as sa

# The order of rows without ORDER BY is that of the table as long as neither several workers read it nor a reader joins
# another half-way; it decides whether the copy is equal to the one before.
SETTINGS = (
    "SET TRANSACTION READ ONLY",
    "SET LOCAL max_parallel_workers_per_gather = 0",
    "SET LOCAL synchronize_seqscans = off",
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO'",
    "SET LOCAL extra_float_digits = 1",
)
# By the numbers that PostgreSQL gives its types. What is not here is text.
TYPES: dict[int, pl.DataType] = {
    16: pl.Boolean(), 20: pl.Int64(), 21: pl.Int64(), 23: pl.Int64(), 26: pl.Int64(),
    700: pl.Float64(), 701: pl.Float64(), 1700: pl.Decimal(), 1082: pl.Date(),
    1114: pl.Datetime("us"), 1184: pl.Datetime("us", "UTC"),
}  # fmt: skip
_FORMS = {1082: "%Y-%m-%d", 1114: "%Y-%m-%d %H:%M:%S%.f", 1184: "%Y-%m-%d %H:%M:%S%.f%#z"}
_ESCAPES = {"\\b": "\b", "\\f": "\f", "\\n": "\n", "\\r": "\r", "\\t": "\t", "\\v": "\v"}
_DIGITS = 18  # of a whole number that 64 bits hold whatever it is


@dataclass(frozen=True)
class Column:
    """A column of a query's rows: `digits` and `scale` are those of a numeric, None where they have no limit."""

    name: str
    type: int
    digits: int | None
    scale: int | None

    @property
    def read_as(self) -> pl.DataType:
        """The type that its text is read with; what has a form of its own is text first."""
        dtype = TYPES.get(self.type, pl.String())
        if isinstance(dtype, pl.Decimal):
            return pl.Int64() if self.digits and self.digits <= _DIGITS and self.scale == 0 else pl.Float64()
        return dtype if dtype.is_numeric() else pl.String()

    def typed(self, text: pl.Series) -> pl.Series:
        """Its values; raises DataError RP503 for a date that is none, such as 'infinity'."""
        if self.type == 1700 and text.dtype == pl.Float64:
            return inexact(self.name, text)
        if text.dtype != pl.String:
            return text
        if self.type == 16:
            return text == "t"
        if self.type in _FORMS:
            times = text.str.to_datetime(_FORMS[self.type], time_unit="us", strict=False, exact=True)
            values = times.cast(pl.Date) if self.type == 1082 else times
            if values.null_count() > text.null_count():
                wrong = text.filter(values.is_null() & text.is_not_null())[0]
                raise DataError.of("RP503", f"{quoted(wrong)} in column {quoted(self.name)} is no time")
            return values
        return _unescaped(text)


def copy_rows(connection: sa.Connection, query: str, blocks: Blocks) -> None:
    """Copy the rows of a query into blocks; what the database refuses is raised as SQLAlchemy's errors.

    One block is read and written by a thread while the rows of the next arrive.
    """
    import psycopg
    import sqlalchemy as sa

    raw: psycopg.Connection = connection.connection.driver_connection  # type: ignore[assignment]  # of this driver
    try:
        for setting in SETTINGS:
            raw.execute(setting)
        columns = _columns(raw, query)
        blocks.begin([column.name for column in columns])
        with ThreadPoolExecutor(1) as pool, raw.cursor() as cursor:
            before: Future[None] | None = None
            for rows in _by_height(cursor, query, blocks):
                if before is not None:
                    before.result()
                before = pool.submit(_take, rows, columns, blocks)
            if before is not None:
                before.result()
    except psycopg.Error as error:
        raise sa.exc.DBAPIError(query, None, error, connection_invalidated=raw.closed) from error


def _by_height(cursor: psycopg.Cursor, query: str, blocks: Blocks) -> Iterator[bytes]:
    """The text of the rows by the height of a block; those that had come count when the rest does not."""
    import psycopg

    text, held = BytesIO(), 0
    try:
        with cursor.copy(f"COPY (\n{query}\n) TO STDOUT".encode()) as copy:
            for row in copy:  # 0.5 s a million; to keep the rows apart in a list takes four times as long
                text.write(row)
                held += 1
                if held == blocks.height:
                    yield text.getvalue()
                    text, held = BytesIO(), 0
    except psycopg.Error:
        blocks.lost = held
        raise
    if held:
        yield text.getvalue()


def _take(text: bytes, columns: Sequence[Column], blocks: Blocks) -> None:
    blocks.add(_frame(text, columns))


def _columns(raw: psycopg.Connection, query: str) -> list[Column]:
    """The columns that a query will give; it is planned for that and gives no row."""
    asked = f"SELECT * FROM (\n{query}\n) AS rows LIMIT 0"  # noqa: S608 - the recipe's own SELECT
    description = raw.execute(asked.encode()).description or ()
    return [Column(one.name, one.type_code, one.precision, one.scale) for one in description]


def _frame(text: bytes, columns: Sequence[Column]) -> pl.DataFrame:
    try:
        frame = pl.read_csv(
            text,
            has_header=False,
            separator="\t",
            quote_char=None,
            null_values="\\N",
            empty_string_is_null=False,
            schema={column.name: column.read_as for column in columns},
        )
    except PolarsError as error:
        why = str(error).strip().splitlines()[0]
        raise DataError.of("RP503", f"rows of the query cannot be read: {why}") from None
    return frame.with_columns(column.typed(frame[column.name]) for column in columns)


def _unescaped(text: pl.Series) -> pl.Series:
    if not text.str.contains("\\", literal=True).any():
        return text
    # No text of PostgreSQL holds a NUL, so it can stand for an escaped backslash meanwhile.
    text = text.str.replace_all("\\\\", "\0", literal=True)
    for escape, character in _ESCAPES.items():
        text = text.str.replace_all(escape, character, literal=True)
    return text.str.replace_all("\0", "\\", literal=True)
