"""The registry that the pages describe: recprofile's own plugins, whatever else is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from recprofile.registry import Registry, loading, make_registry
from recprofile.registry.known import BUILTIN, FIRST_PARTY


def found(group: str, also: frozenset[str] = frozenset()) -> list[EntryPoint]:
    """The entry points of this repository, and those of the distributions named."""
    own = {BUILTIN: "recprofile", **FIRST_PARTY}
    return [
        point
        for point in entry_points(group=group)
        if point.dist is not None and point.dist.name in {own.get(point.name, ""), *also}
    ]


def registry() -> Registry:
    """The components that the pages describe."""
    return make_registry(found(loading.GROUP))


@contextmanager
def only(also: frozenset[str] = frozenset()) -> Iterator[None]:
    """Within, commands know the plugins of this repository, and those of the distributions named."""
    before: Any = loading.entry_points
    loading.entry_points = lambda group: found(group, also)  # type: ignore[assignment]  # the same, with a filter
    try:
        yield
    finally:
        loading.entry_points = before
