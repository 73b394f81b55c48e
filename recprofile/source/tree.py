"""The located tree: values, where they were written, and how two trees become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recprofile.errors import SET_FILE, Problem, Span

Scalar = str | int | float | bool | None


@dataclass(slots=True)
class Entry:
    """A value of a recipe, where it stands, and where its key stands when it is in a mapping.

    Aliases share one `value`: a tree is never changed in place, `merged` and `replaced` make new ones.
    """

    value: dict[str, Entry] | list[Entry] | Scalar
    at: Span
    key: Span | None = None

    def plain(self) -> Any:
        """The value without positions."""
        if isinstance(self.value, dict):
            return {name: entry.plain() for name, entry in self.value.items()}
        if isinstance(self.value, list):
            return [entry.plain() for entry in self.value]
        return self.value


@dataclass(frozen=True, slots=True)
class Source:
    """A recipe as it was written: its tree after `extends`, `override` and `--set`, and the files it came from."""

    path: Path
    root: Entry
    files: tuple[Path, ...]
    problems: tuple[Problem, ...] = ()  # what was read past, when `read_source` was asked to go on

    def plain(self) -> dict[str, Any]:
        """The recipe as plain data, `${env:…}` unexpanded."""
        data: dict[str, Any] = self.root.plain()
        return data

    def reach(self, loc: Sequence[str | int]) -> tuple[Entry, int]:
        """The entry at `loc`, or the nearest above it that exists; and how many parts of `loc` lead there."""
        entry = self.root
        for depth, part in enumerate(loc):
            inner = child(entry, part)
            if inner is None:
                return entry, depth
            entry = inner
        return entry, len(loc)

    def at(self, loc: Sequence[str | int], *, key: bool = False) -> Span:
        """Where the value at `loc` (or its key) is written, or else the nearest value above it."""
        entry, _ = self.reach(loc)
        return entry.key if key and entry.key else entry.at

    def folder(self, loc: Sequence[str | int]) -> Path:
        """The folder to which a path written at `loc` is relative: that of its file; the working one for --set."""
        file = self.at(loc).file
        return Path.cwd() if file == SET_FILE else Path(file).parent


def child(entry: Entry, part: str | int) -> Entry | None:
    """What a mapping has under a key, or a list at an index."""
    value = entry.value
    if isinstance(value, dict) and isinstance(part, str):
        return value.get(part)
    if isinstance(value, list) and isinstance(part, int) and -len(value) <= part < len(value):
        return value[part]
    return None


def merged(base: Entry, over: Entry) -> Entry:
    """`over` laid on `base`: mappings merge key by key, anything else is replaced."""
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    value = dict(base.value)
    for name, entry in over.value.items():
        value[name] = merged(value[name], entry) if name in value else entry
    return replace(over, value=value)


def replaced(entry: Entry, part: str | int, inner: Entry) -> Entry:
    """A copy of a mapping or list with one value exchanged or, in a mapping, added."""
    if isinstance(entry.value, dict) and isinstance(part, str):
        return replace(entry, value={**entry.value, part: inner})
    if isinstance(entry.value, list) and isinstance(part, int):
        return replace(entry, value=[*entry.value[:part], inner, *entry.value[part + 1 :]])
    raise TypeError(f"no place {part!r} in {type(entry.value).__name__}")
