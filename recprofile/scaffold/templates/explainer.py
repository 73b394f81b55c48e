"""A plugin of recprofile: how many have chosen what is recommended."""

from __future__ import annotations

import numpy as np
import polars as pl

from recprofile.plugin import (
    EVIDENCE_SCHEMA,
    SENTENCE_SCHEMA,
    Context,
    Dataset,
    Explainer,
    Explanations,
    Field,
    Inputs,
    Params,
    Ranker,
    Recommendations,
    hookimpl,
)


class CrowdParams(Params):
    items: int = Field(3, ge=1, le=100, description="First items of each list that are explained.")


class Crowd(Explainer[CrowdParams]):
    """Say of each item how many training events it has; there is no evidence from the ranker's own score."""

    name = "crowd"

    def explain(
        self, recs: Recommendations, ranker: Ranker, inputs: Inputs, data: Dataset, ctx: Context
    ) -> Explanations:
        """One sentence per pair."""
        first = recs.items[:, : self.params.items]
        row, column = np.nonzero(first >= 0)
        item = first[row, column]
        pairs = pl.DataFrame({"user": recs.users[row], "item": item, "events": data.item_counts()[item]})
        sentences = pairs.select(
            "user",
            "item",
            pl.format("{} events of others are with this item", "events").alias("sentence"),
            pl.lit(None, pl.String).alias("counterfactual"),
            pl.lit("fallback").alias("basis"),
        )
        evidence = pl.DataFrame(schema=EVIDENCE_SCHEMA)
        return Explanations(recs.user_ids, recs.item_ids, evidence, sentences.cast(SENTENCE_SCHEMA))


@hookimpl
def recprofile_explainers() -> list[type[Explainer[CrowdParams]]]:
    return [Crowd]
