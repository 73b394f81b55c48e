"""What a shell completes after a command: components, data sets, recipes and run folders.

Where nothing fits, nothing is given, and the shell completes files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from glob import escape
from pathlib import Path

MOST = 200  # files that are looked into
HEAD = 4096  # bytes of a file in which a recipe says that it is one


def components(incomplete: str) -> list[str]:
    """Names of components, as a recipe has them: without versions."""
    from recprofile.errors import RecipeError
    from recprofile.registry import make_registry

    try:
        offers = make_registry().offers
    except RecipeError:  # two plugins with one namespace: told by every command that needs them
        return []
    return _fitting((offer.name for offer in offers), incomplete)


def datasets(incomplete: str) -> list[str]:
    """Known data sets."""
    from recprofile.assets import DATASETS

    return _fitting(DATASETS, incomplete)


def recipes(incomplete: str) -> list[str]:
    """Recipe files in the folder that is begun, in this one, and in those right below."""
    return _fitting(_recipes(incomplete), incomplete)


def runs(incomplete: str) -> list[str]:
    """Run folders in the folder that is begun, in ./runs and in ./*/runs."""
    return _fitting(_runs(incomplete), incomplete)


def runs_and_recipes(incomplete: str) -> list[str]:
    """Either of them."""
    return _fitting((*_recipes(incomplete), *_runs(incomplete)), incomplete)


def _fitting(names: Iterable[str], incomplete: str) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})


def _matches(patterns: Iterable[str]) -> Iterator[str]:
    found = (os.path.normpath(path) for pattern in patterns for path in Path().glob(pattern))
    for _, path in zip(range(MOST), found, strict=False):
        yield path


def _begun(incomplete: str) -> str:
    """The folder that is begun, as a pattern; empty for none, and for one outside, which the shell completes."""
    folder = os.path.dirname(incomplete)
    return "" if os.path.isabs(incomplete) or not folder else f"{escape(folder)}/"


def _recipes(incomplete: str) -> Iterator[str]:
    for path in _matches((f"{_begun(incomplete)}*.y*ml", "*.y*ml", "*/*.y*ml")):
        with suppress(OSError), open(path, "rb") as file:
            if any(line.startswith((b"recipe:", b"extends:")) for line in file.read(HEAD).splitlines()):
                yield path


def _runs(incomplete: str) -> Iterator[str]:
    for path in _matches((f"{_begun(incomplete)}*/manifest.json", "runs/*/manifest.json", "*/runs/*/manifest.json")):
        yield os.path.dirname(path)
