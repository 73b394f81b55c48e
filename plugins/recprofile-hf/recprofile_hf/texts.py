"""Items' texts, and texts' vectors."""

from __future__ import annotations

import numpy as np
import polars as pl

from recprofile.plugin import BoolArray, Context, DataError, Dataset, FloatArray, IdMap, Template
from recprofile_hf.params import EncoderParams
from recprofile_hf.shaping import Shape, learnt


def item_texts(data: Dataset, p: EncoderParams) -> pl.Series:
    """What is read of each item, String (n_items,), '' where it has nothing; without the prefix.

    Raises DataError RP502 and RP503 for a column that is not there or holds no text.
    """
    if p.template is not None:
        return data.items.filled(Template.of(p.template))
    assert p.columns is not None
    return data.items.texts(p.columns)


def prefixed(texts: pl.Series, prefix: str) -> pl.Series:
    """The prefix before each text that is not ''."""
    text = pl.col("text")
    whole = pl.when(text == "").then(text).otherwise(pl.lit(prefix) + text)
    return texts.alias("text").to_frame().select(whole)["text"] if prefix else texts


def named(p: EncoderParams) -> str:
    """The columns that texts are made of, for a message."""
    columns = Template.of(p.template).columns if p.template is not None else p.columns or ()
    return ", ".join(f"'{column}'" for column in columns)


def vectors_of(texts: pl.Series, p: EncoderParams, ctx: Context) -> tuple[FloatArray, BoolArray]:
    """Raw vectors, (n, d) float32, zero for '' and for texts of which the tokenizer keeps nothing; and which are there.

    Raises DataError RP505 when none is.
    """
    there = (texts != "").to_numpy().copy()
    if not there.any():
        raise DataError.of("RP505", f"no item has text in {named(p)}")
    different = IdMap.of(texts.filter(pl.Series(there)))
    which = different.codes(texts)[there]

    from recprofile_hf.encoding import Settings, encodings_of

    settings = Settings(
        p.model,
        p.max_tokens,
        p.batch_tokens,
        p.pooling,
        p.precision,
        p.backend,
        p.devices,
        p.overlap if p.long == "chunks" else None,
        p.eos,
    )
    found = encodings_of(different.ids, ctx.asset(p.model), settings=settings, ctx=ctx)
    there[there] = (found.tokens > 0)[which]
    if not there.any():
        raise DataError.of("RP505", f"the tokenizer of '{p.model}' keeps nothing of any text in {named(p)}")
    vectors = np.zeros((len(texts), found.vectors.shape[1]), np.float32)
    vectors[there] = found.vectors[which[(found.tokens > 0)[which]]]
    return vectors, there


def shape_of(vectors: FloatArray, there: BoolArray, data: Dataset, p: EncoderParams, ctx: Context) -> Shape:
    """What items with a text and a training event are like; what could not be as asked is said."""
    known = there & ~data.cold_items()
    shape = learnt(vectors, known, centre=p.centre, whiten=p.whiten, shrinkage=p.shrinkage, dim=p.dim)
    if p.centre and shape.rows == 0:
        ctx.warn("no item with a training event has a text: vectors are not centred")
    if (p.whiten or p.dim is not None) and shape.directions is None:
        asked = "'whiten'" if p.dim is None else f"'dim: {p.dim}'"
        ctx.warn(f"{asked} is left out: {shape.rows} items with a text and a training event teach it nothing")
    if shape.shrinkage is not None and p.shrinkage is None:
        ctx.note("shrinkage", round(shape.shrinkage, 4))
    if p.dim is not None and shape.directions is not None and shape.directions.shape[1] < p.dim:
        ctx.warn(f"the texts span {shape.directions.shape[1]} dimensions, fewer than the dim of {p.dim}")
    return shape


def say_what_is_missing(missing: BoolArray, p: EncoderParams, ctx: Context) -> None:
    """How many items have no vector."""
    if n := int(missing.sum()):
        ctx.warn(f"{n} of {len(missing)} items have no text in {named(p)}, and no vector")
