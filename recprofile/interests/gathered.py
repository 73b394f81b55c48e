"""The cards of profiles: what the encode stages that they are made of say of each user in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from recprofile.artifacts import Encoded, IdMap, Profiles


def gathered_cards(users: IdMap, encoded: Mapping[str, Encoded]) -> pl.DataFrame:
    """Columns `user` and, where a stage gave them, `text` and `tags`; of several stages the last that says anything.

    From the columns `card` and `tags` of the users' annotations; empty where there are none.
    """
    sides = [one.users.annotations for one in encoded.values() if one.users is not None]
    cards = [side["card"] for side in reversed(sides) if "card" in side.columns]
    tags = [side["tags"] for side in reversed(sides) if "tags" in side.columns and "card" in side.columns]
    if not cards:
        return pl.DataFrame()
    whole = pl.DataFrame([users.ids.alias("user"), *(text.alias(str(n)) for n, text in enumerate(cards))])
    table = whole.select("user", pl.coalesce(*(str(n) for n in range(len(cards)))).alias("text"))
    return table.with_columns(tags[0].alias("tags")) if tags else table


def tags_of(profiles: Profiles, code: int) -> list[dict[str, Any]]:
    """The tags of a user, by code, the strongest first, as plain values; [] where the profiles have none."""
    if "tags" not in profiles.cards.columns:
        return []
    found: list[dict[str, Any]] = profiles.cards["tags"].gather([code]).to_list()[0] or []
    return found
