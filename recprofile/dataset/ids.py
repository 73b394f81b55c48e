"""Ids as files have them → Int64 or String, and → dense rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.artifacts import IdMap, IntArray

# As one writes a whole number; '5.0' is what a program makes of 5 in a column with gaps. '007' and '+7' stay text, for
# as numbers they would come out otherwise than they went in.
WHOLE = r"^(?:0|-?[1-9][0-9]{0,17})(?:\.0+)?$"

MANY = 5_000  # ids that are worth compiled loops
SEED = 0  # of their hashes; what comes out does not depend on it


def outside_ids(series: pl.Series, *, is_text: bool) -> pl.Series:
    """Ids as Int64 where all are whole numbers, else as String; null where one is missing, NaN or ''.

    `is_text`: the file has no types, so that ids which all are whole numbers, as one writes them, are numbers.
    Raises TypeError for a type that cannot be an id (lists, bytes).
    """
    dtype = series.dtype
    if dtype == pl.String:
        return _from_text(series) if is_text else _no_empty(series)
    if dtype in (pl.Categorical, pl.Enum):
        return _no_empty(series.cast(pl.String))
    if dtype.is_integer():
        try:
            return series.cast(pl.Int64)
        except pl.exceptions.InvalidOperationError:  # beyond 2^63
            return series.cast(pl.String)
    if dtype.is_float():
        series = series.fill_nan(None)
        is_whole = bool(((series == series.floor()) & (series.abs() < 2**53)).all())
        return series.cast(pl.Int64) if is_whole else series.cast(pl.String)
    if dtype in (pl.Boolean, pl.Null) or dtype.is_temporal() or dtype.is_decimal():
        return series.cast(pl.String)
    raise TypeError(str(dtype))


def looks_whole(series: pl.Series) -> bool:
    """Whether every text there is a whole number as one writes it."""
    return bool(series.str.contains(WHOLE).all())


def whole_exprs(column: str, name: str) -> list[pl.Expr]:
    """Text as whole numbers while it is read, `name`, and whether one is written otherwise, '<name>?'.

    A null under `name` is an id that is missing or no whole number: the column is then to be read as text.
    """
    text = pl.col(column)
    # The cast also takes '007', '-0' and '+7', and more digits; these are left for WHOLE to tell.
    length = text.str.len_bytes()
    odd = (
        (text.str.starts_with("0") & (length > 1))
        | text.str.starts_with("+")
        | text.str.starts_with("-0")
        | (length > 18)
    )
    return [text.cast(pl.Int64, strict=False).alias(name), odd.alias(f"{name}?")]


def dense_rows(*series: pl.Series) -> tuple[IdMap, list[IntArray]]:
    """The sorted union of id columns, Int64 or String without gaps, and the dense rows of each column, int32."""
    if all(s.dtype == pl.Int64 for s in series) and any(len(s) for s in series):
        low = min(int(s.min()) for s in series if len(s))  # type: ignore[arg-type]  # Int64 without gaps
        high = max(int(s.max()) for s in series if len(s))  # type: ignore[arg-type]  # as above
        # A table over the range of ids: 0.1 s for 10 million, against 0.5 s to hash them.
        if high - low < 4 * sum(map(len, series)) + 1_000_000:
            return _by_table([s.to_numpy() for s in series], low, high)
    if all(s.dtype == series[0].dtype for s in series) and sum(map(len, series)) >= MANY:
        found = _by_hash(series)
        if found is not None:
            return found
    ids = IdMap.of(*series)
    codes = pl.Series(np.arange(len(ids), dtype=np.int32))
    return ids, [_looked_up(s.cast(ids.ids.dtype), ids.ids, codes) for s in series]


def _by_table(columns: list[NDArray[np.int64]], low: int, high: int) -> tuple[IdMap, list[IntArray]]:
    there = np.zeros(high - low + 1, np.bool_)
    for column in columns:
        there[column - low] = True
    ids = IdMap(pl.Series("id", np.flatnonzero(there) + low, pl.Int64))
    code = np.cumsum(there, dtype=np.int32) - np.int32(1)
    return ids, [code[column - low] for column in columns]


def _by_hash(series: Sequence[pl.Series]) -> tuple[IdMap, list[IntArray]] | None:
    """By 64 bits of a hash of each id, in half the time of looking them up; None where two ids have the same."""
    from recprofile.dataset.first_seen import SMALLEST, first_seen  # noqa: PLC0415 - numba costs what few ids need not

    known, seen, parts, columns = np.full(SMALLEST, -1, np.int32), np.zeros(0, np.uint64), [], []
    for column in series:
        code = np.empty(len(column), np.int32)
        known, seen, new = first_seen(_keys(column), known, seen, code)
        parts.append(column.gather(new).rename("id"))
        columns.append(code)
    first = pl.concat(parts)
    if not all((first.gather(code) == column).all() for code, column in zip(columns, series, strict=True)):
        return None
    order = first.arg_sort().to_numpy()
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return IdMap(first.gather(order)), [place[code] for code in columns]


def _keys(series: pl.Series) -> NDArray[np.uint64]:
    return series.hash(SEED).to_numpy()


def _looked_up(series: pl.Series, ids: pl.Series, codes: pl.Series) -> IntArray:
    if len(series) == 0:
        return np.zeros(0, np.int32)
    return series.replace_strict(ids, codes, return_dtype=pl.Int32).to_numpy()


def _from_text(series: pl.Series) -> pl.Series:
    series = _no_empty(series)
    if series.null_count() < len(series) and looks_whole(series.head(1000)) and looks_whole(series):
        return series.str.replace(r"\.0+$", "").cast(pl.Int64)
    return series


def _no_empty(series: pl.Series) -> pl.Series:
    empty = series == ""
    return series.set(empty, None) if empty.any() else series
