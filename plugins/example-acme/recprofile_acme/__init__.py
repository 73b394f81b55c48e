"""The plugin of the manual: numbers as vectors, and what is in stock first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from recprofile.plugin import (
    Context,
    Dataset,
    Embeddings,
    Encoder,
    Field,
    Inputs,
    ItemColumn,
    ItemColumns,
    Params,
    Recommendations,
    Reranker,
    hookimpl,
)


class NumbersParams(Params):
    columns: ItemColumns = Field(min_length=1, description="Numeric item columns, in order.")
    log: bool = Field(False, description="Take log(1 + x) of each number: for prices and counts.")


class Numbers(Encoder[NumbersParams]):
    """Item columns as they are, missing values as 0; (n_items, len(columns)).

    With `log` a negative number counts as 0.
    """

    name = "numbers"
    needs_items = True

    def encode(self, data: Dataset, ctx: Context) -> Embeddings:
        """One vector per item; an item without any of the numbers is marked as missing."""
        x = data.items.numbers(self.params.columns)
        missing = np.asarray(np.isnan(x).all(axis=1))
        x = np.nan_to_num(x)
        return Embeddings("item", data.items.ids, np.log1p(x.clip(0)) if self.params.log else x, missing)


class InStockParams(Params):
    column: ItemColumn = Field(description="Item column with how many there are; missing counts as none.")
    candidates: int = Field(50, ge=1, le=10_000, description="First items of each list that may change places.")


class InStock(Reranker[InStockParams]):
    """Items that are in stock come first, all others after them, each in the order they had.

    Scores are the rank from the list's end, so that they descend.
    """

    name = "in-stock"
    needs_items = True

    def depth(self, k: int) -> int:
        """All that may change places."""
        return max(k, self.params.candidates)

    def rerank(self, recs: Recommendations, inputs: Inputs, data: Dataset, ctx: Context) -> Recommendations:
        """The same lists in another order."""
        there = data.items.numbers([self.params.column])[:, 0] > 0
        there = np.append(there, False)[recs.items]  # the code -1, where a list ends, finds the False at the end
        order = np.argsort(np.where(recs.items < 0, 2, ~there), axis=1, kind="stable")
        items = np.take_along_axis(recs.items, order, axis=1)
        scores = np.where(items < 0, np.nan, np.arange(items.shape[1], 0, -1)).astype(np.float32)
        return replace(recs, items=items, scores=scores)


@hookimpl
def recprofile_encoders() -> Sequence[type[Encoder[Any]]]:
    return [Numbers]


@hookimpl
def recprofile_rerankers() -> Sequence[type[Reranker[Any]]]:
    return [InStock]
