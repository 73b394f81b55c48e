"""Columns of a file: those that it lacks, and the types that text stands for."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from recprofile.dataset.source import DataFile
from recprofile.errors import Problem, Span, closest, did_you_mean, quoted


def missing_columns(file: DataFile, block: str, wanted: Sequence[tuple[str, str, Span | None]]) -> list[Problem]:
    """RP502 for each (role, column, position) that the file lacks or has twice.

    The roles are keys under `block`, where another column can be named; not if it is ''.
    """
    problems = []
    for role, name, at in wanted:
        lacking = [part for part in file.parts if name not in part.columns] if file.kind != "jsonl" else []
        if name not in file.columns:
            helps = [*did_you_mean(name, file.columns, label="columns")]
            if block and role != "columns":
                likely = closest(name, file.columns) or _containing(role, file.columns) or "…"
                helps.append(f"name it in the recipe: {block}: {{path: {file.shown}, {role}: {likely}}}")
            problems.append(Problem("RP502", f"no column {quoted(name)} in {quoted(file.shown)}", at, tuple(helps)))
        elif lacking:
            more = f" ({len(lacking)} such files)" if len(lacking) > 1 else ""
            has = next(part for part in file.parts if name in part.columns)
            helps = [f"{has.shown} has it", *did_you_mean(name, lacking[0].columns, label="columns")]
            message = f"no column {quoted(name)} in {quoted(lacking[0].shown)}{more}"
            problems.append(Problem("RP502", message, at, tuple(helps)))
        elif file.kind == "csv" and f"{name}_duplicated_0" in file.columns:  # polars renames the second
            problems.append(Problem("RP502", f"two columns are called {quoted(name)} in {quoted(file.shown)}", at))
    return problems


def as_typed(frame: pl.DataFrame) -> pl.DataFrame:
    """Text columns as whole numbers, numbers or true and false, where every value that is there is one.

    What would read otherwise as a number ('007', '+7') stays text, as do dates.
    """
    return frame.with_columns(_typed(series) for series in frame.get_columns() if series.dtype == pl.String)


def _typed(series: pl.Series) -> pl.Series:
    gaps = series.null_count()
    if gaps == len(series) or bool(series.str.contains(r"^(?:[-+]?0[0-9]|\+)").any()):
        return series
    for dtype in (pl.Int64, pl.Float64):
        numbers = series.cast(dtype, strict=False)
        if numbers.null_count() == gaps:
            return numbers
    if series.is_in(["true", "false", None]).fill_null(value=True).all():
        return series == "true"
    return series


def _containing(role: str, columns: Sequence[str]) -> str | None:
    return next((name for name in columns if role in name.casefold()), None)
