"""`cache list`, `cache prune` and `cache clear`."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from recprofile.cli.terminal import console, errors_console, json_out, table

# Kinds of things kept, with the folder that they lie in, and the names that recprofile gives them there. Whatever else
# somebody put there is not ours: it is neither counted nor removed.
HASH = "[0-9a-f]{64}"
KINDS = {
    "results of stages": ("stages", HASH),
    "encoded texts": ("inputs/hf-text", "[0-9a-f]{32}"),
    "encoded images": ("inputs/hf-image", "[0-9a-f]{32}"),
    "encoded recordings": ("inputs/hf-audio", "[0-9a-f]{32}"),
    "exported models": ("inputs/hf-onnx", "[0-9a-f]{32}"),
    "packages": ("assets/packages", ".+-.+"),
    "data sets": ("assets/datasets", ".+"),
    "copies of databases and the web": ("assets/sources", r"[a-z][a-z0-9.-]*"),
    "fingerprints": ("assets/fingerprints", r"[0-9a-f]{32}\.json"),
}
# Made on this machine, and made again by running.
RESULTS = ("results of stages", "encoded texts", "encoded images", "encoded recordings", "exported models")
ABANDONED = r"\.new-.+"  # what a process builds; one that is a day old was left by a process that was killed
A_DAY = 86_400  # seconds
HELP = """What is kept between runs: list it, prune it, clear it.

Example:

    recprofile cache list
"""


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    group = typer.Typer(no_args_is_help=True, help=HELP)
    group.command("list")(list_cache)
    group.command()(prune)
    group.command()(clear)
    app.add_typer(group, name="cache")


def list_cache(json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False) -> None:
    """Say where the cache lies, and how much of what is in it.

    Example:

        recprofile cache list
    """
    from recprofile.assets import cache_root

    root = cache_root()
    found = {what: [size_of(entry) for entry in entries(root, what)] for what in KINDS}
    if json:
        kinds = {what: {"entries": len(sizes), "bytes": sum(sizes)} for what, sizes in found.items()}
        json_out({"cache": str(root), "kinds": kinds})
        return
    console().print(f"cache: {root}", markup=False)
    rows = [(what, f"{len(sizes):,}", f"{sum(sizes) / 1e6:,.1f} MB") for what, sizes in found.items() if sizes]
    if rows:
        console().print(table(("what", "entries", "size"), rows, right=(1, 2)))
    else:
        console().print("nothing is in it")


def prune(
    days: Annotated[
        float, typer.Option(min=0, help="Remove results of stages that were not used for so many days.")
    ] = 30,
) -> None:
    """Remove results of stages that have not been used for some time. Models and data sets stay.

    Example:

        recprofile cache prune --days 7
    """
    from recprofile.assets import cache_root

    limit = time.time() - days * A_DAY
    _remove([entry for entry in entries(cache_root(), "results of stages") if _used(entry) < limit])


def clear(
    everything: Annotated[bool, typer.Option("--all", help="Models and data sets too.")] = False,
) -> None:
    """Remove every result of every stage; with --all also models and data sets.

    Example:

        recprofile cache clear
    """
    from recprofile.assets import cache_root

    _remove([entry for what in (KINDS if everything else RESULTS) for entry in entries(cache_root(), what)])


def entries(root: Path, what: str) -> list[Path]:
    """Entries of a kind, and what was left half-made long ago; links are not followed."""
    folder, ours = KINDS[what]
    long_ago = time.time() - A_DAY
    return [
        entry
        for entry in _inside(root / folder)
        if not entry.is_symlink()
        and (
            _used(entry) < long_ago
            if re.fullmatch(ABANDONED, entry.name)
            else re.fullmatch(ours, entry.name) is not None and _is_whole(entry, what)
        )
    ]


def _is_whole(entry: Path, what: str) -> bool:
    """Whether an entry is of the form of its kind, and not merely of a like name."""
    from recprofile.assets.store import MANIFEST

    if what == "fingerprints":
        return entry.is_file()
    if what.startswith("encoded "):
        return entry.is_dir() and all(re.fullmatch(rf"{HASH}\.parquet|\..+", file.name) for file in _inside(entry))
    if what == "copies of databases and the web":
        return entry.is_dir() and all(re.fullmatch(r"[0-9a-f]{32}|\..+", place.name) for place in _inside(entry))
    return (entry / MANIFEST).is_file()


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):  # nothing was kept yet, or it is removed at this moment
        return []


def _files(entry: Path) -> Iterator[Path]:
    """Files of an entry: what it holds may be removed while this goes on."""
    if entry.is_symlink() or not entry.is_dir():
        yield entry
        return
    for inner in _inside(entry):
        yield from _files(inner)


def size_of(entry: Path) -> int:
    """Bytes of all files of an entry."""
    size = 0
    for file in _files(entry):
        with suppress(OSError):
            size += file.lstat().st_size
    return size


def _used(entry: Path) -> float:
    """When an entry was last used, in seconds since 1970: the latest change of it or of a file in it."""
    times = [0.0]
    for file in (entry, *_files(entry)):
        with suppress(OSError):
            times.append(file.lstat().st_mtime)
    return max(times)


def _remove(entries: list[Path]) -> None:
    removed, freed = 0, 0
    for entry in entries:
        size = size_of(entry)
        try:
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        except FileNotFoundError:  # somebody else removed it
            continue
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            errors_console().print(f"not removed: {error.filename or entry}: {why}", markup=False)
            continue
        removed, freed = removed + 1, freed + size
    what = "entry" if removed == 1 else "entries"
    console().print(f"removed {removed} {what}, {freed / 1e6:,.1f} MB")
