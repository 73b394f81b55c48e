"""A table in several files: those of a folder, or those that a pattern such as `events/*.parquet` matches."""

from __future__ import annotations

import glob
import os
from itertools import islice
from pathlib import Path

from recprofile.assets.fingerprints import files_in
from recprofile.errors import RunError, did_you_mean, quoted

LISTED = 10_000  # names of a folder that are looked at for a near one


def is_many(path: Path) -> bool:
    """Whether a path is a folder, or a pattern that is not itself the name of a file."""
    return path.is_dir() or (glob.has_magic(str(path)) and not path.exists())


def parts_of(path: Path) -> dict[str, Path]:
    """The files of a folder, at any depth, or of a pattern, by their path below the folder, in order of that path.

    A pattern has `*`, `?` and `[…]` within a name, and `**` for folders at any depth. Names that begin with '.' are
    left out, and in a folder those with '_', which is how programs mark what is no data. Raises RP605 where nothing is
    left, with near names; OSError where a folder cannot be read.
    """
    if path.is_dir():
        found = dict(files_in(path, _is_data))
        lacking = f"no file in the folder {quoted(str(path), most=200)}"
    else:
        root = root_of(path)
        matches = (Path(name) for name in glob.iglob(str(path), recursive=True))
        found = {name.relative_to(root).as_posix(): name for name in matches if name.is_file()}
        lacking = f"no file matches {quoted(str(path), most=200)}"
    if not found:
        raise RunError.of("RP605", lacking, help=near_names(path))
    return {name: found[name] for name in sorted(found)}


def root_of(path: Path) -> Path:
    """The folder below which a pattern looks; a path without a pattern is its own."""
    plain = Path()
    for part in path.parts:
        if glob.has_magic(part):
            return plain
        plain /= part
    return plain


def near_names(path: Path) -> tuple[str, ...]:
    """Help for a path at which nothing lies: names like its first missing component, in the last folder there is."""
    while not path.parent.is_dir():
        path = path.parent
    try:
        with os.scandir(path.parent) as listing:
            names = [one.name for one in islice(listing, LISTED) if not one.name.startswith(".")]
    except OSError:
        return ()
    return did_you_mean(path.name, [name for name in names if name != path.name], label=f"in '{path.parent}'")


def _is_data(name: str) -> bool:
    return not any(part.startswith((".", "_")) for part in name.split("/"))
