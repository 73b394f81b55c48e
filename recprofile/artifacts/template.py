"""Templates: text with columns of a table in it, as "{title} ({year}): {genres}"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from string import Formatter

import polars as pl

CLOSING = {"(": ")", "[": "]", "«": "»", "“": "”", "「": "」", '"': '"'}
SEPARATORS = " \t\n,;:.|/·•–—-"
STOPS = ".!?…。"


@dataclass(frozen=True)
class _Field:
    """The place of a column's value."""

    column: str


@dataclass(frozen=True)
class _Run:
    """Places, each with the text that leads to it from the one before, and the text after the last."""

    places: tuple[tuple[str, _Field | _Enclosed], ...]
    tail: str


@dataclass(frozen=True)
class _Enclosed:
    """A run in brackets or quotation marks."""

    opening: str
    run: _Run
    closing: str


@dataclass(frozen=True)
class Template:
    """Text with the names of columns in braces; `{{` and `}}` are braces themselves.

    A missing value takes with it the text that leads to it from the field before, brackets and quotation marks in
    which nothing is left, and, being the last, the text after it up to a full stop: '{title} ({year}): {genres}'
    without a year is 'Heat: Crime', without genres 'Heat (1995)', and without both 'Heat'.
    """

    text: str
    run: _Run

    @classmethod
    def of(cls, text: str) -> Template:
        """Raises ValueError, saying in words what is wrong, for text that is no template or has no field."""
        tokens = list(_tokens(text))
        if not any(isinstance(token, _Field) for token in tokens):
            raise ValueError("names no column in braces")
        return cls(text, _run(tokens, _pairs(tokens), 0, len(tokens)))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it names, in order, each once."""
        return tuple(dict.fromkeys(token.column for token in _tokens(self.text) if isinstance(token, _Field)))

    def filled(self, values: Mapping[str, pl.Series]) -> pl.Series:
        """The text with these columns of String in it, (n,); blank values are missing, and with all missing it is ''.

        Values are stripped of white space around them, and so is the text.
        """
        frame = pl.DataFrame([values[name].rename(str(n)) for n, name in enumerate(self.columns)])
        value = {
            name: pl.when(pl.col(str(n)).str.strip_chars() != "").then(pl.col(str(n)).str.strip_chars())
            for n, name in enumerate(self.columns)
        }
        return frame.select(_text(self.run, value).fill_null("").str.strip_chars().alias("text"))["text"]


def _tokens(text: str) -> Iterator[str | _Field]:
    """Characters and fields."""
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        raise ValueError("has a brace that is not closed, or not opened ('{{' and '}}' stand for braces)") from None
    for literal, name, form, conversion in parts:
        yield from literal
        if name is None:
            continue
        if form or conversion or "{" in name:
            raise ValueError("may hold nothing but the name of a column in braces")
        if not name.strip():
            raise ValueError("names no column in one of its braces")
        yield _Field(name)


def _pairs(tokens: Sequence[str | _Field]) -> dict[int, int]:
    """Where each bracket or quotation mark around a field closes, by where it opens; what has no partner is text."""
    found: dict[int, int] = {}
    fields: list[int] = []
    opened: list[int] = []
    for at, token in enumerate(tokens):
        if isinstance(token, _Field):
            fields.append(at)
            continue
        mate = next((n for n in reversed(opened) if CLOSING[str(tokens[n])] == token), None)
        if mate is not None:
            del opened[opened.index(mate) :]
            if any(mate < n for n in fields):
                found[mate] = at
        elif token in CLOSING:
            opened.append(at)
    return found


def _run(tokens: Sequence[str | _Field], pairs: Mapping[int, int], at: int, end: int) -> _Run:
    places: list[tuple[str, _Field | _Enclosed]] = []
    lead = ""
    while at < end:
        token = tokens[at]
        if isinstance(token, _Field):
            places.append((lead, token))
            lead = ""
        elif at in pairs:
            close = pairs[at]
            places.append((lead, _Enclosed(token, _run(tokens, pairs, at + 1, close), str(tokens[close]))))
            lead, at = "", close
        else:
            lead += token
        at += 1
    return _Run(tuple(places), lead)


def _text(run: _Run, value: Mapping[str, pl.Expr]) -> pl.Expr:
    """The run as text, null where every place in it is missing."""
    parts: list[pl.Expr] = []
    there: list[pl.Expr] = []
    for lead, place in run.places:
        if isinstance(place, _Field):
            inner = value[place.column]
        else:
            inner = pl.lit(place.opening) + _text(place.run, value) + pl.lit(place.closing)
        before = pl.lit(lead)
        if there:
            before = pl.when(_any(there)).then(before).otherwise(pl.lit(lead.lstrip(SEPARATORS)))
        parts.append((before + inner).fill_null(""))
        there.append(inner.is_not_null())
    stop = run.tail[len(run.tail.rstrip(STOPS)) :]
    tail = pl.when(there[-1]).then(pl.lit(run.tail)).otherwise(pl.lit(stop))
    return pl.when(_any(there)).then(pl.concat_str([*parts, tail]))


def _any(there: Sequence[pl.Expr]) -> pl.Expr:
    return reduce(or_, there)
