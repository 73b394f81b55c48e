"""`cache list`, `cache prune` and `cache clear`."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Annotated

import typer

from recprofile.cli.terminal import console, table

# Folders of the cache by what is in them; an entry of each is one folder or file below it.
FOLDERS = {
    "results of stages": "stages",
    "encoded inputs": "inputs",
    "packages": "assets/packages",
    "data sets": "assets/datasets",
}
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


def list_cache() -> None:
    """Say where the cache lies, and how much of what is in it.

    Example:

        recprofile cache list
    """
    from recprofile.assets import cache_root

    root = cache_root()
    rows = []
    for what, folder in FOLDERS.items():
        entries = _entries(root / folder)
        rows.append((what, str(len(entries)), f"{sum(map(_size, entries)) / 1e6:,.1f} MB"))
    console().print(f"cache: {root}", soft_wrap=True)
    console().print(table(("what", "entries", "size"), rows, right=(1, 2)))


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

    limit = time.time() - days * 86_400
    old = [e for e in _entries(cache_root() / "stages") if e.stat().st_mtime < limit]
    _remove(old)


def clear(
    everything: Annotated[bool, typer.Option("--all", help="Models and data sets too.")] = False,
) -> None:
    """Remove every result of every stage; with --all also models and data sets.

    Example:

        recprofile cache clear
    """
    from recprofile.assets import cache_root

    folders = list(FOLDERS.values()) if everything else ["stages", "inputs"]
    _remove([entry for folder in folders for entry in _entries(cache_root() / folder)])


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _size(entry: Path) -> int:
    files = entry.rglob("*") if entry.is_dir() else [entry]
    return sum(file.stat().st_size for file in files if file.is_file())


def _remove(entries: list[Path]) -> None:
    freed = sum(map(_size, entries))
    for entry in entries:
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    console().print(f"removed {len(entries)} entries, {freed / 1e6:,.1f} MB")
