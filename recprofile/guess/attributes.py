"""What the columns of a table are good for: text, categories, numbers, groups, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from recprofile.guess.looks import Column, Seen

Kind = Literal["text", "category", "numbers", "none"]
TEXT = frozenset(
    {"title", "name", "description", "text", "summary", "headline", "abstract", "body", "plot", "overview"}
)
LABEL = ("title", "name", "headline", "label")
CATEGORY = frozenset(
    {"genre", "tag", "category", "topic", "brand", "author", "director", "artist", "publisher", "language", "country"}
    | {"colour", "color", "type", "kind", "department", "style", "section", "subject", "keyword"}
)
GENDER = frozenset({"gender", "sex"})
GROUP = frozenset(
    {"age", "group", "country", "region", "segment", "tier", "plan", "occupation", "ethnicity", "education"}
)
LINK = frozenset({"url", "link", "image", "img", "poster", "thumbnail", "cover", "email", "phone", "zip", "postcode"})
SEPARATORS = ("|", ";", ",", "/", " ")
MOST_VALUES = 2000  # of a category: each is a dimension; what has more is read as text
MOST_GROUPS = 10


@dataclass(frozen=True)
class Attribute:
    """A column, what it is good for and why; `separator` parts the values of a category."""

    name: str
    kind: Kind
    why: str
    separator: str | None = None
    gaps: int = 0


def attributes_of(seen: Seen, id: str) -> list[Attribute]:
    """Every column of a table but its ids, in the order of the file."""
    return [_attribute(column) for column in seen.columns.values() if column.name != id]


def label_of(seen: Seen, attributes: Sequence[Attribute]) -> str | None:
    """The column to name items by: a title or name, else the text with most different values, if it is short."""
    texts = [a.name for a in attributes if a.kind == "text"]
    for word in LABEL:
        if found := next((name for name in texts if word in seen.columns[name].words), None):
            return found
    short = [name for name in texts if seen.columns[name].length <= 100]
    return max(short, key=lambda name: seen.columns[name].distinct, default=None)


def groups_of(seen: Seen, id: str) -> list[tuple[str, str]]:
    """User columns whose few values part the users, gender first, each with why."""
    found: list[tuple[int, str, str]] = []
    for column in seen.columns.values():
        gender = bool(column.words & GENDER)
        dtype = column.values.dtype
        if column.name == id or dtype.is_nested() or dtype.is_temporal() or not (gender or column.words & GROUP):
            continue
        if 2 <= column.distinct <= MOST_GROUPS and column.distinct < len(column.there):
            found.append((0 if gender else 1, column.name, f"{column.distinct} values: {_few(column)}"))
    return [(name, why) for _, name, why in sorted(found, key=lambda one: one[0])]


def _attribute(column: Column) -> Attribute:
    name, dtype, gaps = column.name, column.values.dtype, column.gaps
    if len(column.there) == 0:
        return Attribute(name, "none", "empty")
    if isinstance(dtype, pl.List | pl.Array):
        inner = dtype.inner
        if inner.is_nested() or inner == pl.Binary:
            return Attribute(name, "none", f"{dtype}, which no component here reads")
        return Attribute(name, "category", "a list in each row", gaps=gaps)
    if dtype == pl.Binary or dtype.is_temporal() or dtype == pl.Object:
        return Attribute(name, "none", f"{str(dtype).lower()}")
    if column.distinct == 1:
        return Attribute(name, "none", "the same in every row")
    if column.is_number:
        return _of_numbers(column)
    return Attribute(name, "category", "true or false", gaps=gaps) if dtype == pl.Boolean else _of_text(column)


def _of_numbers(column: Column) -> Attribute:
    name, gaps = column.name, column.gaps
    if "id" in column.words and not column.words & CATEGORY:
        return Attribute(name, "none", "looks like ids of something else")
    few = column.distinct <= 12 and column.words & CATEGORY
    if few or "id" in column.words:
        return Attribute(name, "category", f"{column.distinct} values", gaps=gaps)
    low, high = (float(x) for x in (column.there.min(), column.there.max()))  # type: ignore[arg-type]  # numbers
    return Attribute(name, "numbers", f"numbers from {low:.6g} to {high:.6g}", gaps=gaps)


def _of_text(column: Column) -> Attribute:
    name, gaps, n = column.name, column.gaps, len(column.there)
    text = column.there.cast(pl.String)
    if column.words & LINK or text.str.contains(r"^(?:https?://|www\.)").mean() > 0.5:  # type: ignore[operator]  # a share
        return Attribute(name, "none", "links or addresses, which say little by their words")
    if text.str.contains(r"^\d{1,4}[-/. ](?:\d{1,2}|[A-Za-z]{3})[-/. ]\d{1,4}").mean() > 0.8:  # type: ignore[operator]  # as above
        return Attribute(name, "none", "dates")
    if not column.words & TEXT and (found := _multi(column, text)) is not None:
        separator, values = found
        if values <= MOST_VALUES:
            why = f"{values} values, parted by '{separator}', such as '{text[0][:40]}'"
            return Attribute(name, "category", why, separator, gaps)
    repeated = column.distinct <= max(20, n * 0.5) and column.distinct < n
    named = column.words & CATEGORY
    if not column.words & TEXT and column.distinct <= MOST_VALUES and (repeated or named):
        return Attribute(name, "category", f"{column.distinct} values: {_few(column)}", gaps=gaps)
    if "id" in column.words and column.spaces < 0.5:
        return Attribute(name, "none", "looks like ids of something else")
    if column.spaces < 0.2 and not column.words & (TEXT | CATEGORY) and column.is_unique:
        return Attribute(name, "none", "one word that no two rows share")
    words = f"{column.spaces + 1:.0f} word{'s' if column.spaces >= 0.5 else ''} on average"
    return Attribute(name, "text", f"text, {words}, {column.distinct} different", gaps=gaps)


def _multi(column: Column, text: pl.Series) -> tuple[str, int] | None:
    """The separator of several values in one text, and how many values there are; None for one value each."""
    named = bool(column.words & CATEGORY)
    for separator in SEPARATORS:
        has = float(text.str.contains(separator, literal=True).mean() or 0)  # type: ignore[arg-type]  # a share
        if has < (0.1 if named else 0.3):
            continue
        parts = text.str.split(separator).explode(empty_as_null=True, keep_nulls=True).str.strip_chars().drop_nulls()
        parts = parts.filter(parts != "")
        if len(parts) == 0:
            continue
        distinct = parts.n_unique()
        long = float(parts.str.count_matches(" ").mean() or 0)  # type: ignore[arg-type]  # a number
        # A title has mostly words of its own, a list of values the same few again and again.
        share = 0.7 if named else 0.5 if separator == "|" else 0.1
        if separator in (" ", ",") and not named:
            share = 0.02
        few = distinct <= share * len(parts) or (separator == "|" and distinct < len(parts))
        if few and long < 2 and (separator != " " or distinct <= 200):
            return separator, distinct
    return None


def _few(column: Column) -> str:
    counts = column.there.cast(pl.String).value_counts(sort=True, name="rows")
    shown = [str(value)[:24] for value in counts[column.name].head(3)]
    return ", ".join(shown) + (", …" if column.distinct > 3 else "")
