"""A command in a folder of its own, and what it says."""

from __future__ import annotations

import importlib
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from recprofile.cli.main import status_of
from recprofile.cli.terminal import console, errors_console
from scripts.docs.firsthand import only

PLUGIN = "recprofile-shop"
SHOP = "/srv/shop"  # what the pages call the folder


def said(arguments: list[str]) -> str:
    """What a command prints, standard output and standard error together."""
    return heard(arguments)[1]


def heard(arguments: list[str], also: frozenset[str] = frozenset()) -> tuple[int, str]:
    """Exit code of a command and all that it prints."""
    heard_here = io.StringIO()
    with redirect_stdout(heard_here), redirect_stderr(heard_here), only(also):
        for made in (console, errors_console):  # they keep the streams of the first who asked
            made.cache_clear()
        status = status_of(arguments)
    for made in (console, errors_console):
        made.cache_clear()
    return status, heard_here.getvalue()


def in_a_folder(command: str, files: Mapping[str, str | bytes]) -> tuple[int, str]:
    """Exit code and words of `recprofile …` in a folder that holds these files and nothing else.

    A folder `*.dist-info` among them makes a plugin, as installing it would.
    """
    with tempfile.TemporaryDirectory() as folder, _inside(Path(folder)):
        for name, content in files.items():
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        also = frozenset(
            line.partition(": ")[2]
            for name in files
            if name.endswith("METADATA")
            for line in Path(name).read_text(encoding="utf-8").splitlines()
            if line.startswith("Name: ")
        )
        status, text = heard(shlex.split(command)[1:], also)
        return status, "\n".join(line.rstrip() for line in text.replace(folder, SHOP).splitlines())


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before, modules = Path.cwd(), set(sys.modules)
    cache = os.environ.get("RECPROFILE_CACHE")
    os.chdir(folder)
    os.environ["RECPROFILE_CACHE"] = str(folder / ".cache")
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        os.chdir(before)
        sys.path.remove(str(folder))
        importlib.invalidate_caches()
        for name in set(sys.modules) - modules:
            if name.startswith("recprofile_shop"):
                del sys.modules[name]
        if cache is None:
            del os.environ["RECPROFILE_CACHE"]
        else:
            os.environ["RECPROFILE_CACHE"] = cache


def plugin(source: str, *, name: str = PLUGIN, version: str = "1.0") -> dict[str, str]:
    """Files that make an installed plugin of a module `recprofile_shop`."""
    info = f"{re.sub('-', '_', name)}-{version}.dist-info"
    return {
        "recprofile_shop.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/entry_points.txt": "[recprofile]\nshop = recprofile_shop\n",
    }
