"""Pages and their generated regions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

_REGION = re.compile(r"<!-- generated: ([a-z-]+) -->\n.*?<!-- /generated -->", re.DOTALL)


class UnknownRegion(Exception):
    """A page asks for a region that nothing writes."""


def filled(text: str, writers: Mapping[str, Callable[[], str]]) -> str:
    """A page with its regions written anew. Raises UnknownRegion."""

    def region(found: re.Match[str]) -> str:
        if found[1] not in writers:
            raise UnknownRegion(f"nothing writes '{found[1]}': {', '.join(sorted(writers))}")
        return f"<!-- generated: {found[1]} -->\n\n{writers[found[1]]().strip()}\n\n<!-- /generated -->"

    return _REGION.sub(region, text)


def stale(folder: Path, writers: Mapping[str, Callable[[], str]]) -> dict[Path, str]:
    """The pages below a folder that are not what they would be if written now, with what they would be."""
    pages = {page: page.read_text(encoding="utf-8") for page in sorted(folder.rglob("*.md"))}
    fresh = {page: filled(text, writers) for page, text in pages.items()}
    return {page: text for page, text in fresh.items() if text != pages[page]}


def asked_for(folder: Path) -> set[str]:
    """The names of all regions of the pages below a folder."""
    return {name for page in folder.rglob("*.md") for name in _REGION.findall(page.read_text(encoding="utf-8"))}
