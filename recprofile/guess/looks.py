"""A file as `init` sees it: its form, and the columns of its first rows."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from recprofile.dataset.columns import as_typed
from recprofile.dataset.faults import TextForm
from recprofile.dataset.ids import outside_ids
from recprofile.dataset.parts import open_data
from recprofile.dataset.source import FORMATS, DataFile, ending_of
from recprofile.errors import DataError, quoted

ROWS = 20_000  # first rows of a file that guesses rest on
ALL_IDS = 1 << 26  # bytes of a file up to which an id column is read whole
SEPARATORS = ",;\t|"
HEAD = 1 << 16  # characters in which a separator is looked for
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_a-zA-Z]+")


@dataclass(frozen=True)
class Column:
    """A column in the first rows of a file, typed as far as all its values allow."""

    name: str
    values: pl.Series

    @cached_property
    def words(self) -> frozenset[str]:
        """Words of the name, in lower case: 'userId' and 'userid' have user and id."""
        return words_of(self.name)

    @cached_property
    def there(self) -> pl.Series:
        """The values that are not missing."""
        values = self.values.drop_nulls()
        return values.drop_nans() if values.dtype.is_float() else values

    @cached_property
    def distinct(self) -> int:
        """How many different values there are; that of rows for values that cannot be compared."""
        return len(self.there) if self.values.dtype.is_nested() else self.there.n_unique()

    @property
    def gaps(self) -> int:
        """Rows without a value."""
        return len(self.values) - len(self.there)

    @property
    def is_unique(self) -> bool:
        """Whether every row has a value of its own."""
        return self.gaps == 0 and self.distinct == len(self.values)

    @property
    def is_text(self) -> bool:
        """Whether it holds text."""
        return self.values.dtype in (pl.String, pl.Categorical, pl.Enum)

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers."""
        return self.values.dtype.is_numeric()

    @cached_property
    def spaces(self) -> float:
        """Spaces per text, on average."""
        if not self.is_text or len(self.there) == 0:
            return 0.0
        return float(self.there.cast(pl.String).str.count_matches(" ").mean() or 0)  # type: ignore[arg-type]  # a number

    @cached_property
    def length(self) -> float:
        """Characters per text, on average."""
        if not self.is_text or len(self.there) == 0:
            return 0.0
        return float(self.there.cast(pl.String).str.len_chars().mean() or 0)  # type: ignore[arg-type]  # a number

    def could_be_ids(self) -> bool:
        """Whether its values may name something: whole numbers, or short texts."""
        dtype = self.values.dtype
        if len(self.there) == 0 or dtype.is_nested() or dtype.is_temporal() or dtype in (pl.Boolean, pl.Binary):
            return False
        if dtype.is_float():
            return bool((self.there == self.there.floor()).all())
        return not self.is_text or (self.length <= 64 and self.spaces < 0.5)


@dataclass(frozen=True)
class Seen:
    """A file, its columns by name, how many rows were looked at, and whether that was all of them.

    `form` and `separator` are what a recipe must say of it: None where its ending says it.
    """

    file: DataFile
    form: str | None
    separator: str | None
    columns: Mapping[str, Column]
    rows: int
    is_whole: bool

    @property
    def shown(self) -> str:
        """The path as it was given."""
        return self.file.shown

    @property
    def words(self) -> frozenset[str]:
        """Words of the file's name."""
        return words_of(Path(self.shown).name.partition(".")[0])

    def ids(self, column: str) -> pl.Series:
        """Ids in a column as text, each once: all of them where the file is not large, else those of the first rows."""
        series = self.columns[column].values
        if not self.is_whole and self.file.size <= ALL_IDS:
            series = self.file.read_text([column])[column]
        elif self.file.kind == "csv":
            series = series.cast(pl.String)
        ids = outside_ids(series, is_text=self.file.is_text(column))
        return ids.drop_nulls().cast(pl.String).unique()

    def said(self) -> str:
        """The file and its columns in a line, for a person."""
        columns = [f"{c.name} ({_told(c)})" for c in list(self.columns.values())[:12]]
        more = f", … ({len(self.columns)} in all)" if len(self.columns) > 12 else ""
        return f"{self.shown} has {', '.join(columns)}{more}"


def look_at(path: Path, shown: str) -> Seen:
    """A file as `init` sees it.

    Raises DataError: RP501 for a file that cannot be read, RP502 for one without a header, RP504 for an empty one.
    """
    form, separator = (None, None) if not path.is_file() else _form(path, shown)
    file = open_data(path, shown, form=form or "auto", separator=separator, at=None)
    frame = file.first(ROWS + 1)
    is_whole = frame.height <= ROWS
    frame = frame.head(ROWS)
    if file.kind == "csv":
        _check_header(file)
        frame = as_typed(frame.filter(~pl.all_horizontal(pl.all().is_null())))
    usable = [name for name in frame.columns if name and not isinstance(frame[name].dtype, pl.Struct)]
    columns = {name: Column(name, frame[name]) for name in usable}
    return Seen(file, form, separator, columns, frame.height, is_whole)


def words_of(name: str) -> frozenset[str]:
    """Words of a name in lower case; a word that ends in 'id' or in 's' also without that."""
    found = {word.lower() for word in _WORD.findall(name)}
    for word in list(found):
        if len(word) > 3 and word.endswith("ids"):
            found |= {word[:-3], "id"}
        elif len(word) > 3 and word.endswith("id"):
            found |= {word[:-2], "id"}
        if len(word) > 3 and word.endswith("s"):
            found.add(word[:-1])
    return frozenset(found)


def _form(path: Path, shown: str) -> tuple[str | None, str | None]:
    """What a recipe must say of a file's form: its format where the ending does not tell, its separator where it is not
    the format's own."""
    told = ending_of(path)
    text = TextForm(path, ",").head(HEAD)
    name = told
    if told is None:
        with path.open("rb") as raw:
            name = "parquet" if raw.read(4) == b"PAR1" else "jsonl" if text.lstrip().startswith("{") else "csv"
        if text.lstrip().startswith("[") and name == "csv":
            helps = ("write one JSON object a line, as JSON Lines",)
            raise DataError.of("RP501", f"{quoted(shown)} is one JSON list", help=helps)
    if name not in ("csv", "tsv"):
        return (None if told else name), None
    lines = text.splitlines()
    if len(text) == HEAD:
        lines = lines[:-1]
    if lines and "::" in lines[0] and len(lines[0].split("::")) > 2:
        helps = (f"make it one character: sed 's/::/\\t/g' {shown} > {path.stem}.tsv",)
        raise DataError.of(
            "RP501", f"{quoted(shown)} has '::' between columns, and a separator is one character", help=helps
        )
    separator = _separator(lines[:100])
    form = None if told else "tsv" if separator == "\t" else "csv"
    usual = FORMATS[form or str(name)][1]
    return form, None if separator in (None, usual) else separator


def _separator(lines: list[str]) -> str | None:
    """The character that parts most lines into as many fields as the first, more than one."""
    best: tuple[float, int, str] | None = None
    for separator in SEPARATORS:
        try:
            records = [len(fields) for fields in csv.reader(lines, delimiter=separator) if fields]
        except csv.Error:
            continue
        if not records or records[0] < 2:
            continue
        share = sum(n == records[0] for n in records) / len(records)
        if best is None or (share, records[0]) > best[:2]:
            best = share, records[0], separator
    return best[2] if best else None


def _check_header(file: DataFile) -> None:
    """RP502 when what should be names are numbers: the file has no header."""
    if all(re.fullmatch(r"[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?(_duplicated_[0-9]+)?", n) for n in file.columns):
        first = file.separator.join(file.columns)
        helps = ("put a line of column names before the first, such as user, item, rating, time",)
        raise DataError.of(
            "RP502", f"{quoted(file.shown)} has no header: its first line is {quoted(first)}", help=helps
        )


def _told(column: Column) -> str:
    if len(column.there) == 0:
        return "empty"
    kind = "text" if column.is_text else "numbers" if column.is_number else str(column.values.dtype).lower()
    return f"{kind}, {'each once' if column.is_unique else f'{column.distinct} values'}"
