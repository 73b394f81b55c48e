"""Text columns as vectors of weighted terms: `tfidf`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from recprofile.builtin.encode.rows import Axis, all_zero, in_training, rarity, table_of
from recprofile.builtin.encode.singular import right_vectors
from recprofile.builtin.lengths import unit_rows
from recprofile.plugin import AxisColumns, BoolArray, Context, Dataset, Embeddings, Encoder, Field, Params

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class TfIdfParams(Params):
    columns: AxisColumns = Field(min_length=1, description="Text columns, joined in this order.")
    axis: Axis = Field("item", description="Whose columns: item or user.")
    ngram: int = Field(1, ge=1, le=5, description="Longest term, in words; shorter ones are taken too.")
    min_df: int = Field(1, ge=1, description="Fewest training items (or users) that a term must stand in.")
    max_features: int = Field(
        2000, ge=1, le=200_000, description="Most terms kept, those in the most training items first."
    )
    sublinear: bool = Field(False, description="Count a term 1 + ln(count) times instead of count times.")
    dim: int | None = Field(
        None, ge=1, description="Reduce the terms to this many dimensions (latent semantic analysis); null: keep them."
    )


class TfIdf(Encoder[TfIdfParams]):
    """Text as term counts times inverse document frequency, each row of length 1.

    (n, terms) or (n, dim) float32. Terms are runs of letters and digits, in lower case, and runs of words up to
    `ngram`; they and their frequencies come from the items (or users) with a training event, for a term that none of
    them has matches nothing in a history. Without a known term a row is zero and missing. With `dim`, rows are
    projected on the leading right singular vectors of the training rows, each with its largest entry positive.
    Raises DataError RP502 for an unknown column.
    Source: Salton & Buckley 1988; latent semantic analysis: Deerwester et al. 1990.
    """

    name = "tfidf"

    def __init__(self, params: TfIdfParams) -> None:
        super().__init__(params)
        self.needs_items, self.needs_users = params.axis == "item", params.axis == "user"

    def encode(self, data: Dataset, ctx: Context) -> Embeddings:
        """One vector per item or user."""
        p = self.params
        table = table_of(data, p.axis)
        known = in_training(data, p.axis)
        matrix = _term_matrix(table.texts(p.columns), known, p)
        if matrix.shape[1] == 0:
            ctx.warn(f"tfidf: no term in {', '.join(p.columns)} of the training part, so every vector is missing")
        if p.dim is None:
            vectors = unit_rows(matrix.toarray())
        else:
            directions = right_vectors(matrix[np.flatnonzero(known)], p.dim, ctx.rng())
            if directions.shape[1] < p.dim:
                ctx.warn(f"tfidf: the texts span {directions.shape[1]} dimensions, fewer than the dim of {p.dim}")
            vectors = unit_rows(np.asarray(matrix @ directions, np.float32))
        missing = all_zero(vectors)
        if 0 < missing.sum() < len(missing):
            named = ", ".join(p.columns)
            ctx.warn(f"tfidf: {missing.sum()} of {len(missing)} {p.axis}s have no known term in {named}, and no vector")
        return Embeddings(p.axis, table.ids, vectors, missing)


def _term_matrix(texts: pl.Series, known: BoolArray, p: TfIdfParams) -> csr_array:
    """Weighted term counts with rows of length 1, (n, terms) float32 CSR; columns in the order of the terms."""
    from scipy.sparse import csr_array

    counts = _terms(texts, p.ngram).group_by("row", "term").len("count")
    training = pl.DataFrame({"row": np.flatnonzero(known).astype(np.uint32)})
    vocabulary = (
        counts.join(training, on="row", how="semi")
        .group_by("term")
        .len("rows")
        .filter(pl.col("rows") >= p.min_df)
        .sort("rows", "term", descending=[True, False])
        .head(p.max_features)
        .sort("term")
        .with_row_index("column")
        .with_columns(rarity(pl.col("rows"), int(known.sum())).alias("idf"))
    )
    often = pl.col("count").cast(pl.Float64)
    weight = (1 + often.log() if p.sublinear else often) * pl.col("idf")
    found = (
        counts.join(vocabulary, on="term")
        .select("row", "column", weight.alias("weight"))
        .with_columns(pl.col("weight") / (pl.col("weight") ** 2).sum().over("row").sqrt())
        .sort("row", "column")
    )
    shape = (len(texts), len(vocabulary))
    entries = (found["row"].to_numpy().astype(np.int32), found["column"].to_numpy().astype(np.int32))
    return csr_array((found["weight"].to_numpy().astype(np.float32), entries), shape=shape)


def _terms(texts: pl.Series, ngram: int) -> pl.DataFrame:
    """Every term of every text, repeats included: (row, term)."""
    words = (
        texts.str.normalize("NFKC")
        .str.to_lowercase()
        .str.extract_all(r"\w+")
        .alias("term")
        .to_frame()
        .with_row_index("row")
        .explode("term")
        .drop_nulls()
    )
    parts = [words]
    for length in range(2, ngram + 1):
        run = pl.concat_str([pl.col("term").shift(-step) for step in range(length)], separator=" ")
        inside = pl.col("row") == pl.col("row").shift(1 - length)
        parts.append(words.select("row", pl.when(inside).then(run).alias("term")).drop_nulls())
    return pl.concat(parts)
