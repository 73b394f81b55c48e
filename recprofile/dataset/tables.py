"""A file of items or of users → its ids and attributes, and the Table of all ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.artifacts import IdMap, IntArray, Table
from recprofile.dataset.columns import as_typed, missing_columns
from recprofile.dataset.ids import outside_ids
from recprofile.dataset.source import DataFile, Where
from recprofile.dataset.values import Column
from recprofile.errors import DataError, Problem, quoted
from recprofile.recipe import TableSource

Axis = Literal["items", "users"]


@dataclass(frozen=True)
class Attributes:
    """A table as its file has it: ids, unique and without gaps, the other columns, and the row of each from 1."""

    ids: pl.Series
    frame: pl.DataFrame
    rows: NDArray[np.int64]
    file: DataFile


def table_problems(file: DataFile, block: TableSource, axis: Axis, span: Where) -> list[Problem]:
    """RP502 when the id column is missing, or a part lacks a column that another has; RP503 when types differ."""
    problems = missing_columns(file, axis, [("id", block.id, span((axis, "id")))])
    if problems or len(file.parts) == 1:
        return problems
    others = [("columns", name, file.at) for name in file.columns if name != block.id]
    return [*missing_columns(file, axis, others), *file.types_problems(file.columns, file.at)]


def read_table(
    file: DataFile, block: TableSource, axis: Axis, span: Where, *, warn: Callable[[str], None]
) -> Attributes:
    """All columns of a table.

    Raises DataError RP501 for a broken file, RP503 for a missing id and RP506 for one that stands twice.
    """
    frame = file.read_all() if file.kind == "jsonl" else file.read_text(file.columns)
    return attributes_of(file, frame, block, axis, span, warn=warn)


def attributes_of(
    file: DataFile, frame: pl.DataFrame, block: TableSource, axis: Axis, span: Where, *, warn: Callable[[str], None]
) -> Attributes:
    """The attributes in rows of a table, its first or all; raises as `read_table`."""
    rows = np.arange(frame.height, dtype=np.int64)
    if file.kind == "csv":
        empty = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
        if 0 < int(empty.sum()) < frame.height:
            warn(f"{int(empty.sum())} empty {'row' if empty.sum() == 1 else 'rows'} of {file.shown} left out")
            frame, rows = frame.filter(~empty), np.flatnonzero(~empty.to_numpy())
    column = Column(frame[block.id], block.id, file, span((axis, "id")), rows)
    try:
        ids = outside_ids(column.values, is_text=file.kind == "csv")
    except TypeError as error:
        message = f"column {quoted(block.id)} is {error}, and cannot hold ids"
        raise DataError.of("RP503", message, at=column.at, help=(f"in {file.shown}",)) from None
    problems = column.missing(f"{axis[:-1]} id", ids.is_null())
    if problems:
        raise DataError(problems)
    _refuse_repeats(column, ids, axis, file, rows)
    frame = frame.drop(block.id)
    return Attributes(ids, as_typed(frame) if file.kind == "csv" else frame, rows + 1, file)


def made_table(ids: IdMap, codes: IntArray, given: Attributes) -> Table:
    """The attributes in the order of the ids; null for ids that the file lacks. `codes`: dense row of each file row."""
    source = np.full(len(ids), -1, np.int64)
    source[codes] = np.arange(len(codes))
    there = source >= 0
    rows = np.zeros(len(ids), np.int32)
    rows[there] = given.rows[source[there]]
    if given.frame.width == 0:
        return Table(ids, pl.DataFrame(), given.file.shown, rows)
    index = pl.Series(source).set(pl.Series(~there), None)
    return Table(ids, given.frame.select(pl.all().gather(index)), given.file.shown, rows)


def _refuse_repeats(column: Column, ids: pl.Series, axis: Axis, file: DataFile, rows: NDArray[np.int64]) -> None:
    repeated = ids.is_duplicated()
    if not repeated.any():
        return
    value = ids[int(repeated.arg_true()[0])]
    two = rows[(ids == value).arg_true()[:2].to_numpy()]
    first, *others = (file.place(int(row)) for row in two)
    places = " and ".join([first, *(place.removeprefix(f"{file.shown}, ") for place in others)])
    count = int(ids.len() - ids.n_unique())
    more = f" ({count} such rows)" if count > 1 else ""
    message = f"the {axis[:-1]} id {quoted(str(value))} stands twice in {quoted(file.shown)}{more}"
    raise DataError.of("RP506", message, at=column.at, help=(f"at {places}",))
