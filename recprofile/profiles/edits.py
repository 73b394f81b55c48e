"""What people say of themselves, as the store keeps it: tags that they like, dislike or disown, and their own words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import sqlalchemy as sa

from recprofile.interests import EDITS
from recprofile.profiles.tables import edits, select_in, users, versions


def load_edits(connection: sa.Connection, keys: Mapping[str, int], *, until: int | None = None) -> pl.DataFrame:
    """What these users, rows of the store by outside id, say of their tags now, or did at a version; see `EDITS`."""
    said = [
        (row.user, tag["column"], tag["tag"], tag["weight"])
        for row in _active(connection, keys, until=until)
        for tag in row.tags
    ]
    return pl.DataFrame(said, schema=EDITS, orient="row").unique(
        ["user", "column", "tag"], keep="last", maintain_order=True
    )


def load_texts(connection: sa.Connection, keys: Mapping[str, int], *, until: int | None = None) -> dict[str, str]:
    """The cards in people's own words, by outside id."""
    return {row.user: row.text for row in _active(connection, keys, until=until) if row.text is not None}


def who_edited(connection: sa.Connection, recipe: str) -> set[str]:
    """Users with an edit that counts."""
    query = sa.select(users.c.user).join(edits, edits.c.user == users.c.id)
    return set(connection.execute(query.where(users.c.recipe == recipe, edits.c.undone.is_(None))).scalars())


def edits_told(connection: sa.Connection, key: int) -> list[dict[str, Any]]:
    """Every edit of a user, the first first, as plain values; `undone` the number of the version that took it back."""
    number = sa.select(versions.c.id, versions.c.number).subquery()
    query = (
        sa.select(edits, versions.c.number, versions.c.created, number.c.number.label("taken_back"))
        .join(versions, versions.c.id == edits.c.version)
        .outerjoin(number, number.c.id == edits.c.undone)
        .where(edits.c.user == key)
        .order_by(edits.c.id)
    )
    return [
        {
            "version": row.number,
            "created": row.created,
            "by": row.by,
            "tags": row.tags,
            "text": row.text,
            "undone": row.taken_back,
        }
        for row in connection.execute(query)
    ]


def cards_with(cards: pl.DataFrame, texts: Mapping[str, str], names: pl.Series) -> pl.DataFrame:
    """Cards of these users, as `Profiles.cards`, with people's own words in place of what was written of them."""
    if not texts:
        return cards
    own = pl.DataFrame({"key": list(texts), "own": list(texts.values())}, schema={"key": pl.String, "own": pl.String})
    if not cards.width:
        cards = pl.DataFrame({"user": names, "text": pl.Series([None] * len(names), dtype=pl.String)})
    told = cards.with_columns(pl.col("user").cast(pl.String).alias("key")).join(
        own, on="key", how="left", maintain_order="left"
    )
    return told.with_columns(pl.coalesce("own", "text").alias("text")).drop("key", "own")


def _active(connection: sa.Connection, keys: Mapping[str, int], *, until: int | None) -> Sequence[Any]:
    query = sa.select(edits.c.id, users.c.user, edits.c.tags, edits.c.text).join(users, users.c.id == edits.c.user)
    if until is None:
        query = query.where(edits.c.undone.is_(None))
    else:
        query = query.where(edits.c.version <= until, sa.or_(edits.c.undone.is_(None), edits.c.undone > until))
    return sorted(select_in(connection, query, edits.c.user, list(keys.values())), key=lambda row: row.id)
