"""A plugin of recprofile: numeric item columns as vectors."""

from __future__ import annotations

import numpy as np

from recprofile.plugin import Context, Dataset, Embeddings, Encoder, Field, ItemColumns, Params, hookimpl


class NumbersParams(Params):
    columns: ItemColumns = Field(min_length=1, description="Numeric item columns, in order.")


class Numbers(Encoder[NumbersParams]):
    """Item columns as they are, missing values as 0; (n_items, len(columns))."""

    name = "numbers"
    needs_items = True

    def encode(self, data: Dataset, ctx: Context) -> Embeddings:
        """One vector per item; an item without any of the numbers is marked as missing."""
        x = data.items.numbers(self.params.columns)
        missing = np.asarray(np.isnan(x).all(axis=1))
        return Embeddings("item", data.items.ids, np.nan_to_num(x), missing)


@hookimpl
def recprofile_encoders() -> list[type[Encoder[NumbersParams]]]:
    return [Numbers]
