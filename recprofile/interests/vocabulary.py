"""The tags that items have, and how usual each is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from recprofile.artifacts import Dataset
from recprofile.interests.params import TagsParams
from recprofile.interests.phrases import key_phrases
from recprofile.interests.values import column_values

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Tags by column, then by name: see `Tagged`."""

    names: pl.DataFrame
    items: csr_array


def vocabulary(data: Dataset, p: TagsParams) -> Vocabulary:
    """The tags of the items with a training event, and which items have them, others included.

    A tag is usual by its share of everybody's positive events, of half an event at least, for its logarithm is taken.
    """
    from scipy.sparse import csr_array  # noqa: PLC0415 - costs 90 ms that `validate` need not pay

    known = ~data.cold_items()
    found = [column_values(data.items, p.columns, p.separator)]
    for source, column in enumerate(p.text, start=len(p.columns)):
        phrases = key_phrases(data.items.texts([column]), known, p)
        found.append(phrases.select("row", pl.lit(source, pl.Int32).alias("source"), "value"))
    pairs = pl.concat(found).unique()
    training = pl.DataFrame({"row": np.flatnonzero(known)}, schema={"row": pl.UInt32})
    names = (
        pairs.join(training, on="row", how="semi")
        .group_by("source", "value")
        .len("items")
        .filter(pl.col("items") >= p.min_count)
        .sort("items", "source", "value", descending=[True, False, False])
        .head(p.limit)
        .sort("source", "value")
        .with_row_index("code")
    )
    entries = pairs.join(names.select("source", "value", "code"), on=["source", "value"]).sort("row", "code")
    indptr = np.zeros(data.n_items + 1, np.int32)
    np.cumsum(np.bincount(entries["row"].to_numpy(), minlength=data.n_items), out=indptr[1:])
    indices = entries["code"].to_numpy().astype(np.int32)
    items = csr_array((np.ones(len(indices), np.float32), indices, indptr), shape=(data.n_items, len(names)))
    counts = data.item_counts().astype(np.float64)
    usual = np.maximum(counts @ items, 0.5) / max(counts.sum(), 1.0)
    columns = pl.Series([*p.columns, *p.text], dtype=pl.String)
    return Vocabulary(
        pl.DataFrame(
            {
                "column": columns.gather(names["source"]),
                "tag": names["value"],
                "items": names["items"].cast(pl.Int32),
                "usual": pl.Series(usual, dtype=pl.Float64),
            }
        ),
        items,
    )
