"""One table in several files: opened, held against each other, and read as one, in order of their names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from recprofile.assets import is_many, parts_of, root_of
from recprofile.dataset.source import SAMPLE, DataFile, Types, ending_of, open_file
from recprofile.errors import DataError, Problem, RunError, Span, listed, quoted


@dataclass(frozen=True)
class DataParts(DataFile):
    """Data files of one kind, each with rows, as one file; `columns` are those that any of them has.

    `sample` has the first rows of all, and those of the parts are dropped but for their types.
    """

    files: tuple[DataFile, ...] = ()

    @property
    def parts(self) -> tuple[DataFile, ...]:
        """The files."""
        return self.files

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def is_packed(self) -> bool:
        """Whether any file is compressed."""
        return any(file.is_packed for file in self.files)

    def read(self, columns: Sequence[str], types: Types, exprs: Sequence[pl.Expr] = ()) -> pl.DataFrame:
        """As of one file."""
        return pl.concat([file.read(columns, types, exprs) for file in self.files], how="vertical_relaxed")

    def first(self, rows: int) -> pl.DataFrame:
        """As of one file."""
        frames: list[pl.DataFrame] = []
        for file in self.files:
            frames.append(file.first(rows - sum(frame.height for frame in frames)))
            if sum(frame.height for frame in frames) >= rows:
                break
        return pl.concat(frames, how="diagonal_relaxed")

    def read_text(self, columns: Sequence[str]) -> pl.DataFrame:
        """As of one file."""
        return pl.concat([file.read_text(columns) for file in self.files], how="vertical_relaxed")

    def is_text(self, column: str) -> bool:
        """As of one file; JSON mixes types where its files do."""
        types = {file.sample[column].dtype for file in self.files if column in file.columns}
        return len(types - {pl.Null()}) > 1 or any(
            file.is_text(column) for file in self.files if column in file.columns
        )

    def having(self, columns: Collection[str]) -> DataFile:
        """As of one file."""
        if self.kind != "jsonl" or set(columns) <= set(self.columns):
            return self
        return _as_one(self, [file.having(columns) for file in self.files], self.sample)

    def read_all(self) -> pl.DataFrame:
        """As of one file; raises DataError RP503 where two files have types in a column that no type takes in."""
        frames = [file.read_all() for file in self.files]
        try:
            return pl.concat(frames, how="diagonal_relaxed")
        except PolarsError as error:
            why = str(error).strip().splitlines()[0]
            message = f"the files of {quoted(self.shown)} do not go together: {why}"
            raise DataError.of("RP503", message, at=self.at) from None

    def place(self, row: int, column: str = "") -> str:
        """Where the row with this index is: its own file, and the row and line there. Reads rows again, to count."""
        for file in self.files:
            rows = file.read_text(file.columns[:1]).height
            if row < rows:
                return file.place(row, column)
            row -= rows
        raise IndexError(row)

    def types_problems(self, columns: Iterable[str], at: Span | None) -> list[Problem]:
        """RP503 for each column of Parquet files whose type in one of them is of another sort than in the first."""
        problems = []
        for name in columns if self.kind == "parquet" else ():
            there = [(file, file.sample.schema[name]) for file in self.files if name in file.columns]
            known = next(((file, dtype) for file, dtype in there if dtype != pl.Null), None)
            if known is None:
                continue
            first, dtype = known
            other = [(file, its) for file, its in there if its != pl.Null and _sort(its) != _sort(dtype)]
            if other:
                more = f" ({len(other)} such files)" if len(other) > 1 else ""
                what = f"column {quoted(name)} is {other[0][1]} in {quoted(other[0][0].shown)}"
                message = f"{what}, and {dtype} in {quoted(first.shown)}{more}"
                problems.append(Problem("RP503", message, at, ("parts of one table have the same types",)))
        return problems


def open_data(path: Path, shown: str, *, form: str = "auto", separator: str | None = None, at: Span | None) -> DataFile:
    """A file as `open_file` gives it; or the files of a folder or pattern, as one.

    Files of a folder whose ending tells no format are left out where `form` is auto, and so are those without rows.
    Raises DataError RP501 also where there is no file, or where there are several formats; every file that cannot be
    read is told.
    """
    if not is_many(path):
        return open_file(path, shown, form=form, separator=separator, at=at)
    try:
        found = parts_of(path)
    except RunError as error:
        raise DataError(replace(problem, code="RP501", at=at) for problem in error.problems) from None
    except OSError as error:
        raise DataError.of(
            "RP501", f"{quoted(shown)} cannot be read: {(error.strerror or '').lower()}", at=at
        ) from None
    notes: tuple[str, ...] = ()
    if form == "auto":
        usable = _of_one_form(found, shown, at)
        if other := [name for name in found if name not in usable]:
            what = "file" if len(other) == 1 else "files"
            notes = (f"{len(other)} {what} of {shown} left out, whose ending tells no format: {listed(other, most=3)}",)
        found = usable
    start = _shown_root(shown)
    whole = DataParts(path, shown, "csv", "", at, (), pl.DataFrame(), notes)
    files: list[DataFile] = []
    samples: list[pl.DataFrame] = []
    problems: list[Problem] = []
    left = SAMPLE
    for name, part in found.items():
        try:
            file = open_file(part, start + name, form=form, separator=separator, at=at)
        except DataError as error:
            problems += [problem for problem in error.problems if problem.code != "RP504"]
            continue
        if left:
            samples.append(file.sample.head(left))
            left -= samples[-1].height
        files.append(replace(file, sample=file.sample.head(0)))
    if problems:
        raise DataError(problems)
    if not files:
        raise DataError.of("RP504", f"no file of {quoted(shown)} has a row", at=at)
    try:
        sample = pl.concat(samples, how="diagonal_relaxed")
    except PolarsError:  # types that differ are told where a column is used
        sample = samples[0]
    return _as_one(replace(whole, kind=files[0].kind, separator=files[0].separator), files, sample)


def _as_one(whole: DataParts, files: Sequence[DataFile], sample: pl.DataFrame) -> DataParts:
    columns = dict.fromkeys(name for file in files for name in file.columns)
    missing = [pl.lit(None).alias(name) for name in columns if name not in sample.columns]
    return replace(whole, columns=tuple(columns), sample=sample.with_columns(missing), files=tuple(files))


def _of_one_form(found: Mapping[str, Path], shown: str, at: Span | None) -> dict[str, Path]:
    """The files whose ending tells their form; RP501 where there are none, or several forms."""
    forms: dict[str, list[str]] = {}
    for name, path in found.items():
        if (form := ending_of(path)) is not None:
            forms.setdefault(form, []).append(name)
    if not forms:
        message = f"no ending of a file of {quoted(shown)} tells its format"
        raise DataError.of("RP501", message, at=at, help=(f"files: {listed(list(found), most=6)}",))
    if len(forms) > 1:
        told = ", ".join(f"{form} ({names[0]})" for form, names in forms.items())
        helps = (f"take those of one format: {_shown_root(shown)}**/*.{next(iter(forms))}",)
        raise DataError.of("RP501", f"{quoted(shown)} has files of several formats: {told}", at=at, help=helps)
    return {name: found[name] for name in next(iter(forms.values()))}


def _shown_root(shown: str) -> str:
    """How the names of parts begin, as the recipe spells their folder: 'events/' for 'events' and 'events/*.csv'."""
    scheme, mark, rest = shown.rpartition("://")
    root = root_of(Path(rest))
    return "" if root == Path() else f"{scheme}{mark}{root.as_posix().rstrip('/')}/"


def _sort(dtype: pl.DataType) -> object:
    """What types have in common where one table can have both."""
    if dtype.is_integer() and dtype != pl.UInt64:
        return "whole numbers"
    if dtype.is_float() or dtype.is_decimal():
        return "numbers"
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return "text"
    if isinstance(dtype, pl.Datetime):
        return "times", dtype.time_zone
    return dtype
