"""The interactions file, or a file in its form: columns → ids, weights, times and context, checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.exceptions import PolarsError

from recprofile.artifacts import FloatArray
from recprofile.dataset.columns import as_typed, missing_columns
from recprofile.dataset.ids import looks_whole, outside_ids, whole_exprs
from recprofile.dataset.source import DataFile, Where
from recprofile.dataset.values import Column, times_of, weights_of
from recprofile.errors import DataError, Problem, Span
from recprofile.recipe import InteractionsSource


@dataclass(frozen=True)
class Names:
    """Which columns of a file are what; `weight` and `time` are None where the file has none."""

    user: str
    item: str
    weight: str | None
    time: str | None
    context: tuple[str, ...]

    def read(self) -> list[str]:
        """The columns to read, each once."""
        named = (self.user, self.item, self.weight, self.time, *self.context)
        return list(dict.fromkeys(name for name in named if name is not None))


@dataclass(frozen=True)
class Events:
    """Events as a file has them: outside ids without gaps, weights (1 where the file has none), times, context."""

    user: pl.Series
    item: pl.Series
    weight: FloatArray
    time: NDArray[np.int64] | None
    context: pl.DataFrame
    names: Names
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.user)


def names_in(
    file: DataFile, block: InteractionsSource, span: Where, *, like: Names | None = None, is_whole: bool = True
) -> tuple[DataFile, Names | None, list[Problem]]:
    """The file with all its columns known, and which is what; or RP502 problems for those that it lacks.

    'weight' and 'time' are taken when they are there and nothing else is named. `like`: the names in the interactions
    file, when this is another file in its form: it must have the same weight, and may lack the time when none is named.
    `is_whole`: a JSON Lines file is looked through for columns that its first rows lack.
    """
    if is_whole:
        file = file.having([block.user, block.item, *filter(None, (block.weight, block.time)), *block.columns])
    there = set(file.columns)
    weight = block.weight or ("weight" if "weight" in there or (like and like.weight) else None)
    time = block.time or ("time" if "time" in there and (like is None or like.time) else None)
    names = Names(block.user, block.item, weight, time, tuple(dict.fromkeys(block.columns)))
    wanted: list[tuple[str, str, Span | None]] = [
        (role, name, span(("interactions", role)))
        for role, name in (("user", names.user), ("item", names.item), ("weight", weight), ("time", time))
        if name is not None
    ]
    wanted += [("columns", name, span(("interactions", "columns", i))) for i, name in enumerate(names.context)]
    problems = missing_columns(file, "" if like else "interactions", wanted)
    problems = problems or file.types_problems(names.read(), file.at)
    return file, (None if problems else names), problems


def read_events(
    file: DataFile, names: Names, span: Where, *, fills: frozenset[str], warn: Callable[[str], None]
) -> Events:
    """The events of a file.

    Raises DataError RP501 for a broken file and RP503 for values that cannot be used, all columns at once.
    """
    may_miss = "weight" in fills
    if file.kind == "parquet":
        frame = file.read_text(names.read())
    else:
        # The quick way reads values as the numbers that they seem to be. Where that fails, or gives something that is
        # not allowed, they are read as text, and what is wrong is said of the text.
        quick = _typed(file, names)
        if quick is not None:
            events, problems = _checked(file, names, quick, span, may_miss=may_miss)
            if not problems and events is not None:
                return events
        frame = file.read_text(names.read())
    rows = None
    if file.kind == "csv":
        frame, rows = _without_empty(file, frame, warn)
    events, problems = _checked(file, names, frame, span, may_miss=may_miss, rows=rows)
    if events is None or problems:
        raise DataError(problems)
    return events


def sample_problems(file: DataFile, names: Names, span: Where, *, fills: frozenset[str]) -> list[Problem]:
    """RP503 for values that cannot be used among the first rows, all columns at once; see `read_events`."""
    frame, rows = file.sample.select(names.read()), None
    if file.kind == "csv":
        frame, rows = _without_empty(file, frame, lambda _: None)
    return _checked(file, names, frame, span, may_miss="weight" in fills, rows=rows)[1]


def _typed(file: DataFile, names: Names) -> pl.DataFrame | None:
    """The columns of a text file with the types that its first rows suggest, or None when the rest does not fit."""
    types: dict[str, type[pl.DataType]] = {}
    columns = names.read()
    exprs = [pl.col(name) for name in columns]
    checked: list[str] = []
    if names.weight:
        types[names.weight] = pl.Float32
    if names.time and (number := _number_type(file.sample[names.time])):
        types[names.time] = number
    if file.kind == "jsonl":
        types |= {name: pl.Int64 for name in (names.user, names.item) if file.sample[name].dtype == pl.Int64}
    else:
        other = (names.weight, names.time, *names.context)
        ids = dict.fromkeys((names.user, names.item))
        checked = [name for name in ids if name not in other and looks_whole(file.sample[name])]
        exprs = [pl.col(name) for name in columns if name not in checked]
        exprs += [expr for name in checked for expr in whole_exprs(name, name)]
    try:
        frame = file.read(columns, types, exprs)
    except PolarsError:
        return None
    for name in checked:
        if frame[name].null_count() or frame[f"{name}?"].any():
            # Text after all: only this column is read again.
            frame = frame.with_columns(file.read_text([name])[name]).drop(f"{name}?")
    return frame.select(columns)


def _number_type(sample: pl.Series) -> type[pl.DataType] | None:
    for dtype in (pl.Int64, pl.Float64):
        if sample.dtype == dtype or (
            sample.dtype == pl.String and sample.cast(dtype, strict=False).null_count() == sample.null_count()
        ):
            return dtype
    return None


def _without_empty(
    file: DataFile, frame: pl.DataFrame, warn: Callable[[str], None]
) -> tuple[pl.DataFrame, NDArray[np.int64] | None]:
    """The rows in which anything stands, and which they are; None for all."""
    empty = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    count = int(empty.sum())
    if count in (0, frame.height):
        return frame, None
    warn(f"{count} empty {'row' if count == 1 else 'rows'} of {file.shown} left out")
    return frame.filter(~empty), np.flatnonzero(~empty.to_numpy())


def _checked(
    file: DataFile,
    names: Names,
    frame: pl.DataFrame,
    span: Where,
    *,
    may_miss: bool,
    rows: NDArray[np.int64] | None = None,
) -> tuple[Events | None, list[Problem]]:
    def column(name: str, role: str) -> Column:
        return Column(frame[name], name, file, span(("interactions", role)), rows)

    problems: list[Problem] = []
    notes: tuple[str, ...] = ()
    user = _ids(column(names.user, "user"), "user id", problems)
    item = _ids(column(names.item, "item"), "item id", problems)
    weight, time = np.ones(frame.height, np.float32), None
    if names.weight is not None:
        weight, found = weights_of(column(names.weight, "weight"), may_miss=may_miss)
        problems += found
    if names.time is not None:
        time, found, note = times_of(column(names.time, "time"))
        problems += found
        notes = (note,) if note else ()
    if problems:
        return None, problems
    context = frame.select(names.context)
    context = as_typed(context) if file.kind != "parquet" else context
    return Events(user, item, weight, time, context, names, notes), []


def _ids(column: Column, what: str, problems: list[Problem]) -> pl.Series:
    try:
        ids = outside_ids(column.values, is_text=column.file.is_text(column.name))
    except TypeError as error:
        message = f"column '{column.name}' is {error}, and cannot hold ids"
        problems.append(Problem("RP503", message, column.at, (f"in {column.file.shown}",)))
        return pl.Series("id", [], pl.String)
    problems += column.missing(what, ids.is_null())
    return ids
