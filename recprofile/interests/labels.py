"""What a person reads for an item."""

from __future__ import annotations

import polars as pl

from recprofile.artifacts import Dataset
from recprofile.errors import DataError


def item_names(data: Dataset) -> pl.Series:
    """What a person reads for each item, String (n_items,): its title, else its name, else its id."""
    ids = data.items.ids.ids.cast(pl.String).alias("label")
    column = next((c for want in ("title", "name") for c in data.items.columns if c.casefold() == want), None)
    if column is None:
        return ids
    try:
        text = data.items.text(column).str.strip_chars().alias("label")
    except DataError:  # a title of bytes or fields names nothing
        return ids
    return pl.select(pl.when(text.str.len_chars() > 0).then(text).otherwise(ids).alias("label")).to_series()
