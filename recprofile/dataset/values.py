"""Weights and times of events: columns of a file → checked arrays, and what is wrong with a value and where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.artifacts import FloatArray
from recprofile.dataset.source import DataFile
from recprofile.errors import Problem, Span, quoted

# Seconds are taken as such up to the year 5138; what is larger is in a finer unit.
_UNITS = ((10**17, 10**9, "nanoseconds"), (10**14, 10**6, "microseconds"), (10**11, 10**3, "milliseconds"))
_DATES = (
    "%+",
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M:%S%.f%#z",
)
_TIME_FORMS = "times are seconds since 1970, or dates such as 2024-01-31T10:00:00Z"


@dataclass(frozen=True)
class Column:
    """One column of a file as read, with what an error needs: its file, and where the recipe names it.

    `rows` are the rows of the file (from 0) that the values stand in, where some were left out.
    """

    values: pl.Series
    name: str
    file: DataFile
    at: Span | None
    rows: NDArray[np.int64] | None = None

    def refused(self, wrong: pl.Series, why: str, *helps: str) -> list[Problem]:
        """A problem naming the first value where `wrong` holds, its row and column, and how many there are."""
        found = wrong.arg_true()
        if len(found) == 0:
            return []
        row = int(found[0])
        value, more = self.values[row], f" ({len(found)} such values)" if len(found) > 1 else ""
        message = f"{quoted(str(value))} in column {quoted(self.name)} {why}{more}"
        return [Problem("RP503", message, self.at, (f"at {self._place(row)}", *helps))]

    def missing(self, what: str, gaps: pl.Series, *helps: str) -> list[Problem]:
        """A problem naming the first row where `gaps` holds, and how many there are."""
        found = gaps.arg_true()
        if len(found) == 0:
            return []
        more = f" ({len(found)} such rows)" if len(found) > 1 else ""
        message = f"no {what} in column {quoted(self.name)}{more}"
        return [Problem("RP503", message, self.at, (f"at {self._place(int(found[0]))}", *helps))]

    def _place(self, row: int) -> str:
        return self.file.place(int(self.rows[row]) if self.rows is not None else row, self.name)


def weights_of(column: Column, *, may_miss: bool) -> tuple[FloatArray, list[Problem]]:
    """Weights, float32 (n,), and what is wrong with them (RP503): text, infinities, gaps.

    `may_miss`: gaps stay NaN, for a stage fills them.
    """
    values = column.values
    if values.dtype == pl.String:
        values = _stripped(values)
    elif not (values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.Null)):
        return np.zeros(0, np.float32), [_wrong_type(column, "a number")]
    numbers = values.cast(pl.Float64 if values.dtype != pl.Float32 else pl.Float32, strict=False)
    no_number = numbers.is_null() & values.is_not_null()
    problems = column.refused(no_number, "is no number")
    numbers = numbers.fill_null(float("nan"))
    problems += column.refused(numbers.is_infinite(), "is not finite")
    largest = float(np.finfo(np.float32).max)
    problems += column.refused((numbers.abs() > largest) & numbers.is_finite(), "is too large for a 32-bit number")
    if not may_miss:
        helps = ("fill it with a stage: {preprocess: impute, with: {columns: {weight: median}}}",)
        problems += column.missing("weight", numbers.is_nan() & ~no_number, *helps)
    if problems:
        return np.zeros(0, np.float32), problems
    return numbers.to_numpy().astype(np.float32), []


def times_of(column: Column) -> tuple[NDArray[np.int64], list[Problem], str]:
    """Times, int64 seconds since 1970 UTC (n,); what is wrong with them (RP503); and a note on their unit or ''.

    Numbers are seconds; all beyond 10^11 are milli-, beyond 10^14 micro-, beyond 10^17 nanoseconds. Dates and times
    without a zone are UTC. Fractions of a second are cut.
    """
    nothing = np.zeros(0, np.int64)
    values, dtype = column.values, column.values.dtype
    if dtype in (pl.Date, pl.Datetime):
        values = values.cast(pl.Datetime("us") if dtype == pl.Date else dtype).dt.epoch("s")
    elif dtype == pl.String:
        values = _stripped(values)
        numbers = values.cast(pl.Int64, strict=False)
        if numbers.null_count() > values.null_count():
            numbers = values.cast(pl.Float64, strict=False)
        if numbers.null_count() > values.null_count():
            dates = _dates(values)
            if dates.null_count() < numbers.null_count():
                numbers = dates
        problems = column.refused(numbers.is_null() & values.is_not_null(), "is no time", _TIME_FORMS)
        if problems:
            return nothing, problems + column.missing("time", values.is_null()), ""
        values = numbers
    elif dtype == pl.Null:  # what Parquet has of a column without a value
        values = values.cast(pl.Int64)
    elif not (dtype.is_integer() or dtype.is_float()):
        return nothing, [_wrong_type(column, "a time")], ""
    problems = column.missing("time", values.is_null() | (values.is_nan() if values.dtype.is_float() else False))
    if values.dtype.is_float():
        problems += column.refused(values.is_infinite(), "is not finite")
    problems += column.refused((values < 0).fill_null(value=False), "lies before 1970")
    if problems or len(values) == 0:
        return nothing, problems, ""
    return _in_seconds(column, values)


def _stripped(values: pl.Series) -> pl.Series:
    values = values.str.strip_chars()
    return values.set(values == "", None)


def _dates(values: pl.Series) -> pl.Series:
    """Text as seconds since 1970, null where it is no date."""
    seconds = pl.Series(values.name, [None], pl.Int64).new_from_index(0, len(values))
    for form in _DATES:
        left = seconds.is_null() & values.is_not_null()
        if not left.any():
            break
        # One zone for all: with an offset in the text, polars gives UTC; without one, the text is taken as UTC.
        found = values.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False).dt.epoch("s")
        seconds = seconds.zip_with(~left, found)
    return seconds


def _in_seconds(column: Column, values: pl.Series) -> tuple[NDArray[np.int64], list[Problem], str]:
    top = float(values.max())  # type: ignore[arg-type]  # numbers without gaps
    for limit, per_second, unit in _UNITS:
        if top >= limit:
            odd = values < limit
            if odd.any():
                why = f"is in another unit than {quoted(f'{top:.0f}')}, which is {unit} since 1970"
                return np.zeros(0, np.int64), column.refused(odd, why), ""
            note = f"times in column {quoted(column.name)} are {unit} since 1970, and were cut to seconds"
            return (values.to_numpy() // per_second).astype(np.int64), [], note
    return values.to_numpy().astype(np.int64), [], ""


def _wrong_type(column: Column, wanted: str) -> Problem:
    message = f"column {quoted(column.name)} is {column.values.dtype}, and must be {wanted}"
    return Problem("RP503", message, column.at, (f"in {column.file.shown}",))
