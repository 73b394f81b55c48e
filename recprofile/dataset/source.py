"""One data file: its form, its columns, and where a row stands in it."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import polars as pl
from polars.exceptions import ComputeError, NoDataError, PolarsError

from recprofile.dataset.faults import Fault, TextForm
from recprofile.dataset.ids import outside_ids
from recprofile.errors import DataError, Problem, Span, did_you_mean, quoted

Kind = Literal["csv", "parquet", "jsonl"]
Types = Mapping[str, type[pl.DataType]]

FORMATS: Mapping[str, tuple[Kind, str]] = {
    "csv": ("csv", ","), "tsv": ("csv", "\t"), "parquet": ("parquet", ""), "jsonl": ("jsonl", "")
}  # fmt: skip
ENDINGS: Mapping[str, str] = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".parquet": "parquet", ".pq": "parquet",
    ".jsonl": "jsonl", ".ndjson": "jsonl",
}  # fmt: skip
SAMPLE = 1000  # rows that are looked at before a file is read
# A field beyond the header's last lands in this column. Reading it is how a line with too many fields is noticed:
# polars looks for one only where every column is read.
_BEYOND = "\0beyond"
_BOM = b"\xef\xbb\xbf"


class Where(Protocol):
    """Where the value (or the key) at a place below `data:` is written, or else the nearest above it."""

    def __call__(self, loc: tuple[str | int, ...], *, key: bool = False) -> Span | None: ...


@dataclass(frozen=True)
class DataFile:
    """A data file that is there and has rows; made by `open_file`.

    `shown` is the path as the recipe spells it and `at` where; `columns` are the names in its header; `sample` has its
    first rows, as text for CSV and TSV. `notes` say what was left out.
    """

    path: Path
    shown: str
    kind: Kind
    separator: str
    at: Span | None
    columns: tuple[str, ...]
    sample: pl.DataFrame
    notes: tuple[str, ...] = ()

    def read(self, columns: Sequence[str], types: Types, exprs: Sequence[pl.Expr] = ()) -> pl.DataFrame:
        """Columns, or expressions on them; as text where `types` does not say, but those of Parquet as they are.

        Raises ComputeError when a value does not fit its type or a text file is broken: then `read_text` says more.
        """
        wanted = list(exprs) or [pl.col(name) for name in columns]
        if self.kind == "parquet":
            return pl.scan_parquet(self.path, glob=False).select(wanted).collect(engine="streaming")
        if self.kind == "jsonl":
            schema = {name: types.get(name, pl.String) for name in columns}
            return pl.scan_ndjson(_jsonl(self.path), schema=schema).select(wanted).collect(engine="streaming")
        schema = {name: types.get(name, pl.String) for name in self.columns}
        query = _scan_csv(self.path, self.separator, {**schema, _BEYOND: pl.Boolean})
        frame = query.select(*wanted, pl.col(_BEYOND)).collect(engine="streaming")
        if frame[_BEYOND].null_count() < frame.height:
            raise ComputeError("a line has too many fields")
        return frame.drop(_BEYOND)

    def first(self, rows: int) -> pl.DataFrame:
        """So many of its first rows, typed as `sample` is; raises DataError RP501 when the file is broken."""
        try:
            return _sample(self, rows)
        except PolarsError as error:
            raise self.broken(error) from None

    def read_text(self, columns: Sequence[str]) -> pl.DataFrame:
        """Columns, those of a text file as text; raises DataError RP501 with the line when the file is broken."""
        try:
            return self.read(columns, {})
        except PolarsError as error:
            raise self.broken(error) from None

    def is_text(self, column: str) -> bool:
        """Whether ids in this column are text for want of types: in CSV and TSV, and in JSON that mixes types."""
        return self.kind == "csv" or (self.kind == "jsonl" and self.sample[column].dtype != pl.String)

    def having(self, columns: Collection[str]) -> DataFile:
        """The same file; if it is JSON Lines and lacks one of these in its first rows, with the columns of all rows."""
        if self.kind != "jsonl" or set(columns) <= set(self.columns):
            return self
        try:
            sample = pl.scan_ndjson(_jsonl(self.path), infer_schema_length=None).head(SAMPLE).collect()
        except PolarsError as error:
            raise self.broken(error) from None
        return replace(self, columns=tuple(sample.columns), sample=sample)

    def read_all(self) -> pl.DataFrame:
        """Every column of a JSON Lines file, with the types that all its rows allow; raises DataError RP501."""
        try:
            return pl.scan_ndjson(_jsonl(self.path), infer_schema_length=None).collect()
        except PolarsError as error:
            raise self.broken(error) from None

    def broken(self, error: PolarsError) -> DataError:
        """RP501: what is wrong with the file and on which line, else what polars says."""
        fault = None if self.kind == "parquet" else self.form.fault()
        if fault is not None:
            return self.refused(fault)
        why = str(error).strip().splitlines()[0]
        return DataError.of("RP501", f"{quoted(self.shown)} cannot be read: {why}", at=self.at)

    def refused(self, fault: Fault) -> DataError:
        """RP501 for a fault of a text file."""
        message = f"{quoted(self.shown)} cannot be read: {fault.what}"
        place = () if fault.line is None else (f"at {self.shown}, line {fault.line}",)
        return DataError.of("RP501", message, at=self.at, help=(*place, *fault.help))

    def place(self, row: int, column: str = "") -> str:
        """Where the row with this index is, for a message: 'ratings.csv, row 3 (line 4), column 'rating''."""
        line = None if self.kind == "parquet" else self.form.line_of(row)
        named = f", column '{column}'" if column else ""
        return f"{self.shown}, row {row + 1}{f' (line {line})' if line else ''}{named}"

    def types_problems(self, columns: Iterable[str], at: Span | None) -> list[Problem]:
        """What is wrong with the types of columns between its parts."""
        return []

    @property
    def parts(self) -> tuple[DataFile, ...]:
        """The files that it consists of: itself."""
        return (self,)

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.path.stat().st_size

    @property
    def is_packed(self) -> bool:
        """Whether it is compressed as a whole."""
        with self.path.open("rb") as raw:
            return raw.read(2) == b"\x1f\x8b" or self.path.suffix.lower() == ".zst"

    @property
    def form(self) -> TextForm:
        """The text file record by record, to find a line in."""
        return TextForm(self.path, self.separator)


def open_file(path: Path, shown: str, *, form: str = "auto", separator: str | None = None, at: Span | None) -> DataFile:
    """The file, its form known and its first rows read.

    `form` is that of the recipe: auto goes by the ending of the path. Raises DataError RP501 for a file that is not
    there, has no known ending or cannot be read, and RP504 for one without rows.
    """
    _check_there(path, shown, at)
    name = form if form != "auto" else ending_of(path) or ending_of(Path(shown))
    if name is None:
        message = f"the ending of {quoted(shown)} does not tell its format"
        helps = ("say so: {path: …, format: csv}", f"formats: {', '.join(FORMATS)}", f"endings: {', '.join(ENDINGS)}")
        raise DataError.of("RP501", message, at=at, help=helps)
    kind, default = FORMATS[name]
    file = DataFile(path, shown, kind, (separator or default) if kind == "csv" else "", at, (), pl.DataFrame())
    try:
        sample = _sample(file)
    except NoDataError:
        sample = pl.DataFrame()
    except (PolarsError, OSError, UnicodeDecodeError) as error:
        raise file.broken(error if isinstance(error, PolarsError) else ComputeError(str(error))) from None
    if sample.height == 0:
        if kind == "csv" and (fault := file.form.fault()):  # a quote that is never closed swallows every row
            raise file.refused(fault)
        message = f"{quoted(shown)} has a header and no rows" if sample.width else f"{quoted(shown)} is empty"
        raise DataError.of("RP504", message, at=at)
    if kind == "csv" and any("\0" in name for name in sample.columns) and (fault := file.form.fault()):
        raise file.refused(fault)  # UTF-16, whose every other byte is 0
    return DataFile(path, shown, kind, file.separator, at, tuple(sample.columns), sample)


def read_ids(path: Path, shown: str = "", *, at: Span | None = None) -> pl.Series:
    """Ids from a file: its column 'item', 'id' or 'item_id', else its only column; a .txt has one id per line.

    Whole numbers are Int64, all else String; repeats are left out. Raises DataError RP501, RP502 or RP504.
    """
    shown = shown or path.name
    if path.suffix.lower() == ".txt":
        _check_there(path, shown, at)
        try:
            lines = path.read_text(encoding="utf-8-sig").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            why = "the text is not UTF-8" if isinstance(error, UnicodeDecodeError) else (error.strerror or "").lower()
            raise DataError.of("RP501", f"{quoted(shown)} cannot be read: {why}", at=at) from None
        ids = pl.Series("id", [line.strip() for line in lines if line.strip()], pl.String)
        if len(ids) == 0:
            raise DataError.of("RP504", f"{quoted(shown)} is empty", at=at)
        return outside_ids(ids, is_text=True).unique(maintain_order=True)
    file, column = _ids_column(path, shown, at)
    series = file.read_text([column])[column]
    try:
        ids = outside_ids(series, is_text=file.is_text(column)).drop_nulls().unique(maintain_order=True)
    except TypeError as error:
        message = f"column {quoted(column)} of {quoted(shown)} is {error}, and cannot hold ids"
        raise DataError.of("RP503", message, at=at) from None
    if len(ids) == 0:
        raise DataError.of("RP504", f"column {quoted(column)} of {quoted(shown)} holds no id", at=at)
    return ids


def check_ids(path: Path, shown: str, *, at: Span | None = None) -> None:
    """Raise as `read_ids` for a file that is not there or has no column of ids; the ids are not looked at."""
    if path.suffix.lower() == ".txt":
        _check_there(path, shown, at)
    else:
        _ids_column(path, shown, at)


def _ids_column(path: Path, shown: str, at: Span | None) -> tuple[DataFile, str]:
    file = open_file(path, shown, at=at)
    named = [name for name in ("item", "id", "item_id") if name in file.columns]
    if not named and len(file.columns) > 1:
        helps = did_you_mean("item", file.columns, label="columns")
        raise DataError.of("RP502", f"no column 'item', 'id' or 'item_id' in {quoted(shown)}", at=at, help=helps)
    return file, named[0] if named else file.columns[0]


def _check_there(path: Path, shown: str, at: Span | None) -> None:
    if path.is_dir():
        raise DataError.of("RP501", f"{quoted(shown)} is a folder, and must be a file", at=at)
    if not path.is_file():
        beside = [p.name for p in sorted(path.parent.iterdir()) if p.is_file()] if path.parent.is_dir() else []
        helps = did_you_mean(path.name, beside, label="files there") or (f"there is no folder '{path.parent.name}'",)
        raise DataError.of("RP501", f"no file {quoted(shown)}", at=at, help=helps)


def ending_of(path: Path) -> str | None:
    """The format that the ending of a path tells, if it does."""
    inner = path.with_suffix("") if path.suffix.lower() in (".gz", ".zst") else path
    return ENDINGS.get(inner.suffix.lower())


def _sample(file: DataFile, rows: int = SAMPLE) -> pl.DataFrame:
    """The first rows; for JSON the types are those of the first rows, too."""
    if file.kind == "parquet":
        return pl.scan_parquet(file.path, glob=False).head(rows).collect()
    if file.path.stat().st_size == 0:
        raise NoDataError("empty file")
    if file.kind == "jsonl":
        if file.form.is_blank():
            raise NoDataError("no line")
        return pl.scan_ndjson(_jsonl(file.path), n_rows=rows, infer_schema_length=rows).collect()
    names = pl.scan_csv(file.path, separator=file.separator, infer_schema=False, n_rows=1, glob=False).collect_schema()
    return _scan_csv(file.path, file.separator, dict.fromkeys(names, pl.String), n_rows=rows).collect()


def _scan_csv(path: Path, separator: str, schema: Types, *, n_rows: int | None = None) -> pl.LazyFrame:
    return pl.scan_csv(
        path,
        separator=separator,
        schema=dict(schema),
        n_rows=n_rows,
        glob=False,
        missing_columns="insert",
        truncate_ragged_lines=n_rows is not None,
    )


def _jsonl(path: Path) -> Path | io.BytesIO:
    """The file, or its bytes without the byte order mark, which polars does not read past."""
    with path.open("rb") as raw:
        return io.BytesIO(raw.read()) if raw.read(len(_BOM)) == _BOM else path
