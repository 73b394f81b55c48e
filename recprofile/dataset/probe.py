"""The files of a `data:` block, looked at without reading them whole: headers, first rows, sizes, matching ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from recprofile.artifacts import IdMap, PositiveRule, Table
from recprofile.dataset.events import Names, sample_problems
from recprofile.dataset.ids import outside_ids
from recprofile.dataset.opened import Opened, open_files, place_of, split_problems
from recprofile.dataset.source import SAMPLE, DataFile, Where
from recprofile.dataset.tables import Attributes, Axis, attributes_of
from recprofile.errors import DataError, Problem, quoted
from recprofile.recipe import DataBlock

WHOLE_BYTES = 1 << 24  # a text file up to this size is read for its ids, and JSON Lines for columns of later rows
WHOLE_ROWS = 2_000_000  # as above, of Parquet, where one column is read alone
ROLES = ("interactions", "items", "users", "test", "valid")
COUNTED = 1 << 20  # bytes of a text file whose lines are counted


@dataclass(frozen=True)
class FileFacts:
    """What is known of a file: its rows (None: not known; `is_exact`, or an estimate), and each column's type.

    The types are those of Parquet's schema or of the first rows; in CSV and TSV all is text.
    """

    role: str
    shown: str
    kind: str
    rows: int | None
    is_exact: bool
    size: int
    columns: Mapping[str, str]


@dataclass(frozen=True)
class DataProbe:
    """What looking at the data gave.

    `tables` have the columns of the items and users and no rows; None where they are not known. `context` are the
    columns that the interactions have beside user, item and time, `has_time` whether there are times; None: not known.
    """

    files: tuple[FileFacts, ...]
    tables: Mapping[str, Table | None]
    context: tuple[str, ...] | None
    has_time: bool | None
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]


def probe_data(block: DataBlock, paths: Mapping[str, Path], span: Where, *, fills: frozenset[str]) -> DataProbe:
    """Look at those files of the block that have a path.

    Problems are those that `load_dataset` would raise: RP501, RP502 and RP504 of files and headers, RP503 and RP506 of
    values among the first 1000 rows (their help says so), RP505 and RP507 where the header alone tells. Ids are
    compared where a table is small enough to read all of them; that none matches is a warning, for only the first
    events are looked at.
    """
    opened = open_files(block, paths, span, most=WHOLE_BYTES)
    problems = list(opened.problems)
    for role, names in opened.names.items():
        file = opened.files[role]
        found = sample_problems(file, names, place_of(role, file, span), fills=fills)
        problems += _in_first_rows(found, file)
    given: dict[Axis, Attributes] = {}
    for axis, source in opened.tables.items():
        if axis in opened.files and source.id in opened.files[axis].columns:
            file = opened.files[axis]
            try:
                given[axis] = attributes_of(file, file.sample, source, axis, span, warn=lambda _: None)
            except DataError as error:
                problems += _in_first_rows(error.problems, file)
    log = opened.names.get("interactions")
    if log is not None:
        file = opened.files["interactions"]
        problems += split_problems(block, file, span, has_time=log.time is not None)
        problems += _positive_problems(block, file, log, span)
    tables: dict[str, Table | None] = {}
    for name, table in (("items", block.items), ("users", block.users)):
        tables[name] = Table(IdMap.of()) if table is None else _header(opened, name, table.id)
    return DataProbe(
        tuple(_facts(role, opened.files[role]) for role in ROLES if role in opened.files),
        tables,
        None if log is None else (*(("weight",) if log.weight else ()), *log.context),
        None if log is None else log.time is not None,
        tuple(problems),
        tuple(text for axis in given if (text := _unmatched(opened, axis, given[axis])) is not None),
    )


def _in_first_rows(problems: list[Problem] | tuple[Problem, ...], file: DataFile) -> list[Problem]:
    if file.sample.height < SAMPLE:
        return list(problems)
    seen = (f"seen in the first {SAMPLE} rows; the others were not looked at",)
    return [Problem(p.code, p.message, p.at, (*p.help, *seen)) for p in problems]


def _positive_problems(block: DataBlock, file: DataFile, log: Names, span: Where) -> list[Problem]:
    """RP505 where there are no weights, so that every weight is 1, and 1 is not positive."""
    rule = block.positive
    if rule is None or log.weight is not None or PositiveRule(rule.op, rule.threshold).mask(np.ones(1, np.float32))[0]:
        return []
    helps = (
        f"{file.shown} has no column 'weight', so every weight is 1",
        f"name it in the recipe: interactions: {{path: {file.shown}, weight: …}}",
        f"columns: {', '.join(file.columns[:12])}",
    )
    return [Problem("RP505", f"no event is positive by '{rule}'", span(("positive",)), helps)]


def _header(opened: Opened, role: str, id: str) -> Table | None:
    """A table's columns without its rows; None where not all of them are known."""
    file = opened.files.get(role)
    if file is None or (file.kind == "jsonl" and file.size > WHOLE_BYTES):
        return None
    frame = file.sample.head(0)
    return Table(IdMap.of(), frame.drop(id) if id in frame.columns else frame, file.shown)


def _unmatched(opened: Opened, axis: Axis, given: Attributes) -> str | None:
    """A warning when no id of the first events is in a table of which all ids can be read."""
    log, table, names = opened.files.get("interactions"), given.file, opened.names.get("interactions")
    if log is None or names is None:
        return None
    column = names.user if axis == "users" else names.item
    try:
        theirs = outside_ids(log.sample[column], is_text=log.is_text(column)).drop_nulls().unique(maintain_order=True)
        ids = _every_id(table, opened.tables[axis].id)
    except (TypeError, PolarsError, DataError):  # told elsewhere, or by a run
        return None
    if ids is None or len(theirs) == 0 or theirs.cast(pl.String).is_in(ids.cast(pl.String).implode()).any():
        return None
    which = "all" if log.sample.height < SAMPLE else f"the first {SAMPLE}"
    return (
        f"no {axis[:-1]} id of {which} events of {quoted(log.shown)} is in {quoted(table.shown)}: "
        f"column {quoted(column)} has ids such as {theirs[0]!r}, column {quoted(opened.tables[axis].id)} of the table "
        f"such as {ids[0]!r}"
    )


def _every_id(table: DataFile, column: str) -> pl.Series | None:
    """All ids of a table; None where that would mean to read too much."""
    if table.sample.height < SAMPLE:
        series = table.sample[column]
    elif table.kind == "parquet":
        if (_rows(table)[0] or 0) > WHOLE_ROWS:
            return None
        series = table.read([column], {})[column]
    elif table.size > WHOLE_BYTES or table.is_packed:
        return None
    else:
        series = table.read_text([column])[column]
    ids = outside_ids(series, is_text=table.is_text(column)).drop_nulls()
    return ids if len(ids) else None


def _facts(role: str, file: DataFile) -> FileFacts:
    rows, is_exact = _rows(file)
    types = {name: str(dtype) for name, dtype in file.sample.schema.items()}
    return FileFacts(role, file.shown, file.kind, rows, is_exact, file.size, types)


def _rows(file: DataFile) -> tuple[int | None, bool]:
    """How many rows a file has, and whether that is exact: Parquet says it, lines are counted or estimated."""
    if file.parts[0] is not file:
        counts = [_rows(part) for part in file.parts]
        known = [rows for rows, _ in counts if rows is not None]
        return (sum(known) if len(known) == len(counts) else None), all(is_exact for _, is_exact in counts)
    if file.kind == "parquet":
        return int(pl.scan_parquet(file.path, glob=False).select(pl.len()).collect().item()), True
    if 0 < file.sample.height < SAMPLE:  # none is kept of a part
        return file.sample.height, True
    if file.is_packed:
        return None, False
    with file.path.open("rb") as raw:
        head = raw.read(COUNTED)
    size = file.size
    lines = _line_ends(head, quotes=file.kind == "csv")
    if len(head) == size:
        lines += not head.endswith(b"\n")
        return lines - (file.kind == "csv"), b"\n\n" not in head and b"\n\r\n" not in head  # blank ones are no records
    rows = int(size * lines / len(head))
    return int(float(f"{rows:.2g}")), False


def _line_ends(text: bytes, *, quotes: bool) -> int:
    """How many line ends there are, those within double quotes left out."""
    if not quotes or b'"' not in text:
        return text.count(b"\n")
    characters = np.frombuffer(text, np.uint8)
    outside = np.cumsum(characters == ord('"'), dtype=np.int32) % 2 == 0
    return int(np.count_nonzero(outside & (characters == ord("\n"))))
