"""Evidence in words, one sentence per pair, by polars expressions over whole columns."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from recprofile.builtin.explain.pairs import Pairs
from recprofile.builtin.explain.parts import Basis
from recprofile.plugin import SENTENCE_SCHEMA, FloatArray, Recommendations

FALLBACK = {
    1: "from the list for people without a history: there is none of yours to go by",
    2: "from the list for everyone: the recommender knows nothing of you",
    3: "from the list for everyone: nothing could be ranked for you",
}
OPENING = {"model": "recommended because you liked ", "profile": "close in your profile to "}
NOTHING = {
    "model": "recommended although nothing in your history speaks for it",
    "profile": "not close to your history",
}


def fallback_sentences(pairs: Pairs, recs: Recommendations) -> pl.DataFrame:
    """Rows of `Explanations.sentences` for lists that the recommender did not make."""
    reason = pl.Series(recs.reasons[pairs.row].astype(np.int64))
    return pl.DataFrame(
        {
            "user": pairs.user,
            "item": pairs.item,
            "sentence": reason.replace_strict(FALLBACK, default=FALLBACK[2], return_dtype=pl.String),
            "counterfactual": pl.repeat(None, len(pairs), dtype=pl.String, eager=True),
            "basis": pl.repeat("fallback", len(pairs), dtype=pl.String, eager=True),
        },
        schema=SENTENCE_SCHEMA,
    )


def sentence_rows(
    shown: pl.DataFrame,
    shares: Mapping[str, FloatArray],
    pairs: Pairs,
    recs: Recommendations,
    *,
    labels: pl.Series,
    basis: Basis,
) -> pl.DataFrame:
    """Rows of `Explanations.sentences`, one per pair."""
    quoted = pl.concat_str(pl.lit("'"), pl.col("label"), pl.lit("'"))
    told = shown.with_columns(labels.gather(shown["source"].cast(pl.UInt32)).alias("label")).with_columns(
        quoted.alias("name"),
        pl.concat_str(quoted, pl.lit(" ("), signed(pl.col("contribution")), pl.lit(")")).alias("part"),
    )
    favour = pl.col("contribution") > 0
    lists = told.group_by("pair", maintain_order=True).agg(
        pl.col("part").filter(favour).alias("for"),
        pl.col("part").filter(~favour).first().alias("against"),
        pl.col("name").filter(favour, ~pl.col("drops") | (pl.col("drops").cum_sum() == 1)).alias("without"),
        pl.col("drops").any().alias("falls"),
    )
    length = np.count_nonzero(recs.items[pairs.row] >= 0, axis=1)
    frame = pl.DataFrame(
        {
            "pair": np.arange(len(pairs)),
            "user": pairs.user,
            "item": pairs.item,
            "last": labels.gather(pairs.last.astype(np.uint32)),
            "length": length,
            "shares": share_texts(shares, len(pairs)),
        }
    )
    # Blocks that are not pooled from the history may be all there is to tell of a score.
    by_profile = pl.col("against").is_null() & (basis == "model" and len(shares) > 0)
    first = (
        pl.when(pl.col("for").list.len() > 0)
        .then(pl.concat_str(pl.lit(OPENING[basis]), joined("for")))
        .when(by_profile)
        .then(pl.lit("recommended by your profile"))
        .otherwise(pl.lit(NOTHING[basis]))
    )
    despite = pl.when(pl.col("against").is_not_null()).then(pl.concat_str(pl.lit(", despite "), "against"))
    blocks = pl.when(pl.col("shares") != "").then(pl.concat_str(pl.lit("; "), "shares"))
    without = pl.concat_str(
        pl.lit("without "), joined("without"), pl.lit(" it would fall behind '"), "last",
        pl.lit("', the lowest-scored of the "), pl.col("length").cast(pl.String), pl.lit(" listed"),
    )  # fmt: skip
    joined_frame = frame.join(lists, on="pair", how="left", maintain_order="left")
    return joined_frame.select(
        "user",
        "item",
        pl.concat_str(first, despite.fill_null(""), blocks.fill_null("")).alias("sentence"),
        pl.when(pl.col("falls")).then(without).alias("counterfactual"),
        pl.lit(basis, dtype=pl.String).alias("basis"),
    )


def joined(column: str) -> pl.Expr:
    """A list of texts as 'a', 'a and b' or 'a, b and c'."""
    texts = pl.col(column)
    most = texts.list.head(texts.list.len().cast(pl.Int64) - 1).list.join(", ")
    many = pl.concat_str(most, pl.lit(" and "), texts.list.last())
    return pl.when(texts.list.len() > 1).then(many).otherwise(texts.list.first())


def signed(value: pl.Expr) -> pl.Expr:
    """A number with its sign, to two digits that count: +0.31, -12, +0.0042."""
    size = value.abs().cast(pl.Float64)
    small = size.round_sig_figs(2).cast(pl.String).str.strip_suffix(".0")
    whole = size.round(0).cast(pl.Int64, strict=False).cast(pl.String)
    text = pl.when(size.is_between(10, 1e15)).then(whole).otherwise(small)  # 5.9e29 is no whole number of 64 bits
    return pl.concat_str(pl.when(value < 0).then(pl.lit("-")).otherwise(pl.lit("+")), text)


def share_texts(parts: Mapping[str, FloatArray], n: int) -> pl.Series:
    """'taste 70 %, plot 30 %' for each pair, largest first: parts by size, with their sign; '' below two blocks."""
    if len(parts) < 2 or n == 0:
        return pl.repeat("", n, dtype=pl.String, eager=True)
    values = np.stack([part.astype(np.float64) for part in parts.values()], axis=1)
    whole = np.abs(values).sum(axis=1, keepdims=True)
    percent = np.rint(100 * np.divide(values, whole, out=np.zeros_like(values), where=whole > 0)).astype(np.int64)
    names = np.tile(np.array(list(parts), dtype=object), n)
    long = pl.DataFrame(
        {
            "pair": np.repeat(np.arange(n), len(parts)),
            "name": pl.Series(names, dtype=pl.String),
            "percent": percent.ravel(),
        }
    )
    text = pl.concat_str("name", pl.lit(" "), pl.col("percent").cast(pl.String), pl.lit(" %"))
    by_pair = long.sort("pair", "percent", descending=[False, True], maintain_order=True)
    return by_pair.group_by("pair", maintain_order=True).agg(text.str.join(", ").alias("text"))["text"]
