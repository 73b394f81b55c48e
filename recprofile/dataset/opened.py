"""The files that a `data:` block names, opened: their columns known, and which is what, before any is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recprofile.dataset.events import Names, names_in
from recprofile.dataset.parts import open_data
from recprofile.dataset.source import DataFile, Where
from recprofile.dataset.split import default_split
from recprofile.dataset.tables import Axis, table_problems
from recprofile.errors import DataError, Problem, quoted
from recprofile.recipe import DataBlock, FileSplit, InteractionsSource, TableSource, TimeSplit, UserTimeSplit

EVENTS = ("interactions", "test", "valid")


@dataclass(frozen=True)
class Opened:
    """Files by role ('interactions', 'users', 'items', 'test', 'valid'), what the columns of event files are, the
    blocks of tables by axis, and what is wrong: RP501, RP502 and RP504.

    A file that cannot be opened is not among `files`, and one whose columns are not as named is not among `names`.
    """

    files: Mapping[str, DataFile]
    names: Mapping[str, Names]
    tables: Mapping[Axis, TableSource]
    problems: tuple[Problem, ...]


def open_files(block: DataBlock, paths: Mapping[str, Path], span: Where, *, most: int | None = None) -> Opened:
    """Every file of the block for which there is a path.

    `most`: JSON Lines files of more bytes are known by their first rows only.
    """
    problems: list[Problem] = []
    files: dict[str, DataFile] = {}
    log = block.interactions
    tables_of: dict[Axis, TableSource | None] = {"users": block.users, "items": block.items}
    tables = {axis: source for axis, source in tables_of.items() if source is not None}
    wanted: list[tuple[str, InteractionsSource | TableSource, str, tuple[str, ...]]] = [
        ("interactions", log, log.path, ("interactions", "path"))
    ]
    wanted += [(axis, table, table.path, (axis, "path")) for axis, table in tables.items()]
    if isinstance(block.split, FileSplit):
        given = {"test": block.split.test, "valid": block.split.valid}
        wanted += [(role, log, path, ("split", role)) for role, path in given.items() if path is not None]
    for role, source, shown, loc in wanted:
        if role not in paths:
            continue
        try:
            files[role] = open_data(paths[role], shown, form=source.format, separator=source.separator, at=span(loc))
        except DataError as error:
            problems += error.problems

    names: dict[str, Names] = {}
    for role in EVENTS:
        if role in files:
            is_whole = most is None or files[role].size <= most
            files[role], named, lacking = names_in(
                files[role], log, place_of(role, files[role], span), like=names.get("interactions"), is_whole=is_whole
            )
            problems += lacking
            if named is not None:
                names[role] = named
    for axis, source in tables.items():
        if axis in files:
            if most is None or files[axis].size <= most:
                files[axis] = files[axis].having([source.id])
            problems += table_problems(files[axis], source, axis, span)
    return Opened(files, names, tables, tuple(problems))


def place_of(role: str, file: DataFile, span: Where) -> Where:
    """Where an error about a column of a file points: at the column's name, or at the path of a part's own file."""
    return span if role == "interactions" else lambda loc, *, key=False: file.at


def split_problems(block: DataBlock, file: DataFile, span: Where, *, has_time: bool) -> list[Problem]:
    """RP507 when the split needs times and the interactions file has none."""
    split = block.split or default_split(has_time=has_time)
    if has_time or not isinstance(split, TimeSplit | UserTimeSplit):
        return []
    helps = (
        f"name their column: interactions: {{path: {file.shown}, time: …}}",
        f"columns: {', '.join(file.columns[:12])}",
    )
    message = f"the split '{split.by}' needs times, and {quoted(file.shown)} has none"
    return [Problem("RP507", message, span(("split",)), helps)]
