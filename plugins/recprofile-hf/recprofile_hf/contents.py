"""What a column of media holds, paths below a folder or the bytes themselves, by the SHA-256 of the contents."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.plugin import BoolArray, DataError, Dataset, IntArray, threads

CHUNK = 1024  # files between two reports of progress
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
Place = Path | int  # a file, or the row of the column that holds the bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that gives no vector: what a person knows it by, why, and how many items have it."""

    name: str
    why: str
    items: int = 1


@dataclass(frozen=True, eq=False)
class Contents:
    """`which` (n_items,) is the content of each item, -1 for none; `keys` String (n,), the SHA-256 of each content.

    `absent` bool (n_items,) marks items whose cell is empty; `faults` are the files that cannot be had; `places` and
    `names` say where each content was found first, and what a person knows it by.
    """

    which: IntArray
    keys: pl.Series
    absent: BoolArray
    faults: tuple[Fault, ...]
    places: Sequence[Place]
    names: Sequence[str]
    column: pl.Series

    def read(self, content: int) -> bytes:
        """The bytes; raises OSError for a file that went away."""
        place = self.places[content]
        if isinstance(place, Path):
            return place.read_bytes()
        held: bytes = self.column[place]
        return held

    @cached_property
    def items(self) -> NDArray[np.int64]:
        """How many items have each content, (n,)."""
        return np.bincount(self.which[self.which >= 0], minlength=len(self.keys))


def contents_of(
    data: Dataset, name: str, folder: Path | None, *, max_bytes: int, progress: Callable[[int], None]
) -> Contents:
    """What a column of the items holds; `progress` is told of files that were looked at.

    Paths are relative to `folder`, and stay in it, for what lies elsewhere does not count in the stage's cache key.
    Raises DataError RP503 for a column of another type, or of paths without a folder.
    """
    column = data.items.column(name)
    if column.dtype == pl.Binary:
        return _of_bytes(column, data.items.ids.ids.cast(pl.String), max_bytes, progress)
    if column.dtype not in (pl.String, pl.Null):
        message = f"column '{name}' is {column.dtype}, and must be paths (text) or contents (Binary)"
        raise DataError.of("RP503", message)
    if folder is None and column.null_count() < len(column):
        help = (f"'folder: FOLDER' says what the paths in '{name}' are relative to",)
        raise DataError.of("RP503", f"column '{name}' holds paths, and no 'folder' is given", help=help)
    return _of_paths(column.cast(pl.String), folder or Path(), max_bytes, progress)


def _of_bytes(column: pl.Series, ids: pl.Series, max_bytes: int, progress: Callable[[int], None]) -> Contents:
    found: dict[str, int] = {}
    rows: list[int] = []
    faults: list[Fault] = []
    which = np.full(len(column), -1, np.int32)
    absent = column.is_null().to_numpy()
    # A hash of each picture or recording: what is hashed takes longer than the loop.
    for row in np.flatnonzero(~absent).tolist():
        held: bytes = column[row]
        if why := _too_large(len(held), max_bytes):
            faults.append(Fault(f"item {ids[row]}", why))
        else:
            key = hashlib.sha256(held).hexdigest()
            if key not in found:
                found[key] = len(rows)
                rows.append(row)
            which[row] = found[key]
        progress(1)
    names = [f"item {ids[row]}" for row in rows]
    return Contents(which, pl.Series("key", list(found), pl.String), absent, tuple(faults), rows, names, column)


def _of_paths(column: pl.Series, folder: Path, max_bytes: int, progress: Callable[[int], None]) -> Contents:
    column = column.str.strip_chars()
    column = column.set(column == "", None)
    absent = column.is_null().to_numpy()
    counts = column.drop_nulls().value_counts(name="items").sort(column.name)
    paths = counts[column.name].to_list()
    told: list[tuple[Path, str, str]] = []
    with ThreadPoolExecutor(threads()) as pool:
        for at in range(0, len(paths), CHUNK):
            part = paths[at : at + CHUNK]
            told += pool.map(lambda path: _looked_at(path, folder, max_bytes), part)
            progress(int(counts["items"][at : at + CHUNK].sum()))
    found: dict[str, int] = {}
    places: list[Place] = []
    names: list[str] = []
    faults: list[Fault] = []
    content = np.full(len(paths), -1, np.int32)
    for n, (path, items, (file, key, why)) in enumerate(zip(paths, counts["items"], told, strict=True)):
        if why:
            faults.append(Fault(f"'{path}'", why, items))
            continue
        if key not in found:
            found[key] = len(places)
            places.append(file)
            names.append(f"'{path}'")
        content[n] = found[key]
    codes = column.replace_strict(counts[column.name], pl.Series(content), default=-1, return_dtype=pl.Int32)
    which = codes.fill_null(-1).to_numpy().astype(np.int32)
    return Contents(which, pl.Series("key", list(found), pl.String), absent, tuple(faults), places, names, column)


def _looked_at(path: str, folder: Path, max_bytes: int) -> tuple[Path, str, str]:
    """The file that a path leads to with the SHA-256 of its contents, or why there is none."""
    within = os.path.abspath(folder)
    file = Path(os.path.abspath(os.path.join(within, path)) if "\0" not in path else within)
    if "\0" in path or (ADDRESS.match(path) and "://" in path):
        return file, "", "it is no path" if "\0" in path else "it is an address, and nothing is fetched"
    if not file.is_relative_to(within):
        return file, "", "it leads out of the folder"
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode):  # a folder; a pipe would never end
            return file, "", "it is not a file"
        if why := _too_large(found.st_size, max_bytes):
            return file, "", why
        with file.open("rb") as stream:
            return file, hashlib.file_digest(stream, "sha256").hexdigest(), ""
    except FileNotFoundError:
        return file, "", "there is no such file"
    except OSError as error:
        return file, "", (error.strerror or str(error)).lower()


def _too_large(size: int, max_bytes: int) -> str:
    if size == 0:
        return "it is empty"
    return f"it is larger than {max_bytes / 2**20:g} MiB" if size > max_bytes else ""
