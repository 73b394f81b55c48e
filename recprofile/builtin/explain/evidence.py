"""The explainer `evidence`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from recprofile.builtin.explain.pairs import Pairs, blocks_by_history, drawn_rows, pairs_of
from recprofile.builtin.explain.parts import evidence_source
from recprofile.builtin.explain.sentences import fallback_sentences, sentence_rows
from recprofile.plugin import (
    EVIDENCE_SCHEMA,
    Context,
    Dataset,
    Explainer,
    Explanations,
    Field,
    FloatArray,
    Inputs,
    ItemColumn,
    Params,
    Ranker,
    Recommendations,
)


class EvidenceParams(Params):
    items: int = Field(3, ge=1, le=100, description="History items shown for each recommendation.")
    top: int = Field(10, ge=1, le=1000, description="Recommendations explained of each user, from the first.")
    users: int | None = Field(1000, ge=1, description="Users explained, drawn with the stage's seed; none: all.")
    label: ItemColumn | None = Field(None, description="Item column to name items by, such as a title; none: the id.")


class Evidence(Explainer[EvidenceParams]):
    """Say which items of the history, and which blocks of the profile, speak for and against a recommendation.

    Contributions are signed parts of the recommender's own score where it can tell them (basis 'model'), else of the
    inner product in the profile (basis 'profile'). Shown are the strongest `items` history items that speak for it; the
    strongest that speaks against it takes the last place where it is larger in size, but never the first. The
    counterfactual is the smallest number of the shown items, strongest first, without which the item would fall behind
    the list's lowest-scored one, both scored without them; it is given only where the evidence adds up to the score,
    and null where removing all the shown ones is not enough. For a reranked list, scores are those before the rerank.
    A fall-back list gets a sentence that says so, and no evidence.
    """

    name = "evidence"

    def explain(
        self, recs: Recommendations, ranker: Ranker, inputs: Inputs, data: Dataset, ctx: Context
    ) -> Explanations:
        """Evidence and a sentence for the first `top` items of each drawn user.

        Raises RunError RP404 when the recommender gives no evidence and there are no profiles.
        """
        labels = item_labels(data, self.params.label)
        rows = drawn_rows(recs, self.params.users, ctx)
        pairs = pairs_of(recs, rows, self.params.top, ranker)
        own = recs.reasons[pairs.row] == 0
        fallback = fallback_sentences(pairs.take(~own), recs)
        pairs = pairs.take(own)
        source = evidence_source(ranker, inputs.profiles, pairs)
        evidence, sentences = [EVIDENCE_SCHEMA.to_frame()], [fallback]
        progress = ctx.progress(len(pairs), "pairs")
        for part in blocks_by_history(pairs, data):
            shown = source.shown(part, self.params.items)
            shares = source.blocks(part)
            evidence += [history_rows(shown, part, data, labels), block_rows(shares, part)]
            sentences.append(sentence_rows(shown, shares, part, recs, labels=labels, basis=source.basis))
            progress.add(len(part))
        return Explanations(
            recs.user_ids,
            recs.item_ids,
            pl.concat(evidence),
            pl.concat(sentences).sort("user", maintain_order=True),
        )


def item_labels(data: Dataset, column: str | None) -> pl.Series:
    """What a person reads for each item, String (n_items,): the column, or the id where it is missing or blank."""
    ids = data.items.ids.ids.cast(pl.String).alias("label")
    if column is None:
        return ids
    text = data.items.text(column).str.strip_chars().alias("label")
    return pl.select(pl.when(text.str.len_chars() > 0).then(text).otherwise(ids).alias("label")).to_series()


def history_rows(shown: pl.DataFrame, pairs: Pairs, data: Dataset, labels: pl.Series) -> pl.DataFrame:
    """The shown history items as rows of `Explanations.evidence`."""
    pair, source = shown["pair"].to_numpy(), shown["source"].to_numpy()
    return pl.DataFrame(
        {
            "user": pairs.user[pair],
            "item": pairs.item[pair],
            "kind": pl.repeat("history", shown.height, dtype=pl.String, eager=True),
            "source": data.items.ids.outside(source).cast(pl.String),
            "label": labels.gather(source.astype(np.uint32)),
            "contribution": shown["contribution"],
        },
        schema=EVIDENCE_SCHEMA,
    )


def block_rows(parts: Mapping[str, FloatArray], pairs: Pairs) -> pl.DataFrame:
    """The blocks as rows of `Explanations.evidence`."""
    frames = [
        pl.DataFrame(
            {
                "user": pairs.user,
                "item": pairs.item,
                "kind": pl.repeat("block", len(pairs), dtype=pl.String, eager=True),
                "source": pl.repeat(name, len(pairs), dtype=pl.String, eager=True),
                "label": pl.repeat(name, len(pairs), dtype=pl.String, eager=True),
                "contribution": part.astype(np.float32),
            },
            schema=EVIDENCE_SCHEMA,
        )
        for name, part in parts.items()
    ]
    return pl.concat([EVIDENCE_SCHEMA.to_frame(), *frames])
