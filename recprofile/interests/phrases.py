"""Key phrases of texts: runs of words between what is common to all, and in enough of the texts to be shared."""

from __future__ import annotations

import polars as pl

from recprofile.artifacts import BoolArray
from recprofile.interests.params import TagsParams
from recprofile.interests.words import FUNCTION_WORDS

TOKEN = r"\w+(?:['’]\w+)*|[^\w\s]"
NESTED = 0.75  # share of a phrase's texts in which a longer one holds it, from which on the longer one speaks for it


def key_phrases(texts: pl.Series, known: BoolArray, p: TagsParams) -> pl.DataFrame:
    """The key phrases of each text: (row, value), each once; they are chosen on the texts that are `known`.

    A phrase is a run of up to `words` words without punctuation between them, in lower case, that neither begins nor
    ends with a function word of English or a word in more than `common` of the texts, and that holds a letter. One
    that mostly stands within a longer one is left to that. Of those in `min_count` texts the `phrases` with the
    greatest df·ln(N / df) are kept: what tells most texts apart, the sum of their inverse document frequencies.
    Source: candidate runs between stop words: Rose et al. 2010; nested terms: Frantzi, Ananiadou & Mima 2000; inverse
    document frequency: Spärck Jones 1972.
    """
    found = _runs(texts, known, p)
    training = pl.DataFrame({"row": known.nonzero()[0]}, schema={"row": pl.UInt32})
    n = len(training)
    df = pl.col("df").cast(pl.Float64)
    counted = found.join(training, on="row", how="semi").group_by("value").len("df").filter(pl.col("df") >= p.min_count)
    most = _nested(counted, p.words).group_by("value").agg(pl.col("longer").max())
    kept = (
        counted.join(most, on="value", how="left")
        .filter(pl.col("longer").fill_null(0) < NESTED * pl.col("df"))
        .sort(df * (n / df).log(), "value", descending=[True, False])
        .head(p.phrases)
    )
    return found.join(kept.select("value"), on="value", how="semi")


def _runs(texts: pl.Series, known: BoolArray, p: TagsParams) -> pl.DataFrame:
    """Every candidate of every text, once: (row, value)."""
    words = (
        texts.str.normalize("NFKC")
        .str.to_lowercase()
        .str.extract_all(TOKEN)
        .alias("word")
        .to_frame()
        .with_row_index("row")
        .explode("word")
        .drop_nulls()
    )
    training = pl.DataFrame({"row": known.nonzero()[0]}, schema={"row": pl.UInt32})
    seen = words.unique().join(training, on="row", how="semi")
    often = seen.group_by("word").len().filter(pl.col("len") > p.common * seen["row"].n_unique())["word"]
    stop = pl.Series("word", sorted(FUNCTION_WORDS), pl.String)
    if seen["row"].n_unique() >= 1 / p.common:  # of fewer texts, each word of one stands in too many
        stop = pl.concat([stop, often])
    marked = words.with_columns(
        (pl.col("word").str.contains(r"^\w")).alias("is_word"),
        pl.col("word").is_in(stop.implode()).alias("stops"),
    )
    parts = []
    for length in range(1, p.words + 1):
        shifted = [pl.col("word").shift(-step) for step in range(length)]
        whole = pl.all_horizontal([pl.col("is_word").shift(-step) for step in range(length)])
        inside = pl.col("row") == pl.col("row").shift(1 - length)
        ends = ~pl.col("stops") & ~pl.col("stops").shift(1 - length)
        parts.append(
            marked.select(
                "row",
                pl.when(inside & ends & whole).then(pl.concat_str(shifted, separator=" ")).alias("value"),
            ).drop_nulls("value")
        )
    every = pl.concat(parts)
    return every.filter(pl.col("value").str.contains(r"\p{L}") & (pl.col("value").str.len_chars() > 1)).unique(
        ["row", "value"], maintain_order=True
    )


def _nested(counted: pl.DataFrame, words: int) -> pl.DataFrame:
    """Every run of words within each phrase, with the count of texts of that phrase: (value, longer)."""
    parts = [pl.DataFrame(schema={"value": pl.String, "longer": pl.UInt32})]
    split = counted.with_columns(pl.col("value").str.split(" ").alias("split"))
    for size in range(1, words):
        for start in range(words - size + 1):
            inside = split.filter((pl.col("split").list.len() > size) & (pl.col("split").list.len() >= start + size))
            run = pl.col("split").list.slice(start, size).list.join(" ")
            parts.append(inside.select(run.alias("value"), pl.col("df").alias("longer").cast(pl.UInt32)))
    return pl.concat(parts)
