"""What a person likes and avoids, in words: `tags`."""

from __future__ import annotations

import numpy as np
import polars as pl

from recprofile.builtin.lengths import unit_rows
from recprofile.plugin import (
    NO_EDITS,
    Context,
    Dataset,
    Embeddings,
    Encoded,
    Encoder,
    Tagged,
    TagsParams,
    cards,
    tagged,
)

TAG = ("tag", "column", "weight", "items", "share", "usual", "lift", "trend", "evidence", "edited")


class Tags(Encoder[TagsParams]):
    """What a person likes, and avoids, more than others do: weighted tags with evidence and trend, and a card in words.

    One dimension a tag, a category or a key phrase of the items. Items (n_items, tags) float32: which they have, each
    row of length 1. Users (n_users, tags) float32: with q the share of a person's liked items that have a tag, smoothed
    by `prior` items of the usual mixture, and p the tag's usual share, the tag weighs q·ln(q / p) where the share is
    above p by `least` standard errors, less the same of their disliked items; the `most` strongest are kept. A score
    sums the weights of an item's tags, over the square root of how many it has.

    `annotations` of users: `tags`, a list with each tag's column, weight, items, share, usual, lift, trend and
    evidence, and `card`, a text made of them by a template. People's edits of their tags in a store act on the vectors.
    A key phrase is a run of words that tells texts apart, found without a model of language.
    Raises DataError RP502 for an unknown column.
    Source: Carpineto, de Mori, Romano & Bigi 2001 (weights); Zhai & Lafferty 2001 (prior); Rose et al. 2010 (phrases).
    """

    name = "tags"
    needs_items = True

    def encode(self, data: Dataset, ctx: Context) -> Encoded:
        """Vectors of items and users in the space of tags."""
        found = tagged(data, self.params)
        named = ", ".join((*self.params.columns, *self.params.text))
        if len(found.names) == 0:
            ctx.warn(f"tags: no tag in {named} of the training part, so every vector is missing")
        ctx.note("tags", len(found.names))
        vectors = unit_rows(found.items.toarray())
        items = Embeddings("item", data.items.ids, vectors, ~(np.diff(found.items.indptr) > 0), _of_items(found))
        return Encoded(items, _users(found, data))

    def again(self, data: Dataset, ctx: Context, edits: pl.DataFrame = NO_EDITS) -> Embeddings:
        """Users anew from their events, and from what they say themselves."""
        return _users(tagged(data, self.params, edits), data)


def _users(found: Tagged, data: Dataset) -> Embeddings:
    structs = found.rows.select("user", pl.struct(TAG).alias("tags")).group_by("user").agg("tags")
    every = pl.DataFrame({"user": np.arange(data.n_users, dtype=np.int32)})
    lists = every.join(structs, on="user", how="left", maintain_order="left")["tags"]
    none = pl.Series([[]], dtype=lists.dtype)
    annotations = pl.DataFrame([lists.fill_null(none), cards(found.people, found.rows)])
    missing = np.diff(found.users.indptr) == 0
    return Embeddings("user", data.users.ids, found.users.toarray(), missing, annotations)


def _of_items(found: Tagged) -> pl.DataFrame:
    """All tags of each item."""
    n, starts = found.items.shape[0], found.items.indptr
    rows = np.repeat(np.arange(n, dtype=np.int32), np.diff(starts))
    pairs = pl.DataFrame({"row": rows, "tags": found.names["tag"].gather(found.items.indices)})
    lists = pairs.group_by("row", maintain_order=True).agg("tags")
    every = pl.DataFrame({"row": np.arange(n, dtype=np.int32)})
    tags = every.join(lists, on="row", how="left", maintain_order="left").select("tags")
    return tags.with_columns(pl.col("tags").fill_null(pl.lit([], pl.List(pl.String))))
