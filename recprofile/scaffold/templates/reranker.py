"""A plugin of recprofile: items with a certain value come first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recprofile.plugin import (
    Context,
    Dataset,
    Field,
    Inputs,
    ItemColumn,
    Params,
    Recommendations,
    Reranker,
    hookimpl,
)


class FirstParams(Params):
    column: ItemColumn = Field(description="Item column that is looked at.")
    value: str = Field(min_length=1, description="Value of the items that come first.")
    candidates: int = Field(50, ge=1, le=10_000, description="First items of each list that may change places.")


class First(Reranker[FirstParams]):
    """Items whose `column` is `value` come first, and all others after them, each in the order they had.

    Scores are the rank from the list's end, so that they descend.
    """

    name = "first"
    needs_items = True

    def depth(self, k: int) -> int:
        """All that may change places."""
        return max(k, self.params.candidates)

    def rerank(self, recs: Recommendations, inputs: Inputs, data: Dataset, ctx: Context) -> Recommendations:
        """The same lists in another order."""
        chosen = (data.items.text(self.params.column) == self.params.value).fill_null(value=False).to_numpy()
        wanted = np.append(chosen, False)[recs.items]  # the code -1, where a list ends, finds the False at the end
        order = np.argsort(np.where(recs.items < 0, 2, ~wanted), axis=1, kind="stable")
        items = np.take_along_axis(recs.items, order, axis=1)
        scores = np.where(items < 0, np.nan, np.arange(items.shape[1], 0, -1)).astype(np.float32)
        return replace(recs, items=items, scores=scores)


@hookimpl
def recprofile_rerankers() -> list[type[Reranker[FirstParams]]]:
    return [First]
