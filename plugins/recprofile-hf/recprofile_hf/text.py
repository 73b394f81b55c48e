"""`hf/text`: item text as vectors of a pretrained language model."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import polars as pl

from recprofile.plugin import (
    Asset,
    BoolArray,
    Context,
    DataError,
    Dataset,
    Embeddings,
    Encoder,
    Field,
    FloatArray,
    IdMap,
    ItemColumns,
    Params,
    model_validator,
    refusal,
)


class TextParams(Params):
    model: Asset = Field(
        min_length=1,
        description="Encoder: hub://org/model[@revision], package://distribution==version/path, or a folder.",
        examples=["hub://sentence-transformers/all-MiniLM-L6-v2"],
    )
    columns: ItemColumns = Field(
        min_length=1,
        description="Item columns read as one text, in this order, joined by a space; missing ones are skipped.",
    )
    max_tokens: int = Field(
        default=256,
        ge=8,
        le=1_000_000,
        description="Where a text is cut, in tokens, special ones included: 8 to 1000000, or what the model takes.",
    )
    batch_tokens: int = Field(
        default=1024,
        ge=1,
        le=100_000_000,
        description="Most tokens of a batch, padding included, 1 to 10⁸; a longer text is a batch of its own.",
    )
    pooling: Literal["mean", "cls", "max"] = Field(
        default="mean", description="How a text's token vectors become one: their mean, the first, or the maxima."
    )
    centre: bool = Field(default=True, description="Subtract the mean vector of all items that have a text.")
    normalise: bool = Field(default=True, description="Scale every vector to length 1, after centring.")
    backend: Literal["torch", "onnx", "openvino"] = Field(
        default="torch",
        description="What runs the model; onnx (ONNX Runtime) and openvino run on the cpu, and come with extras.",
    )
    precision: Literal["fp32", "bf16", "fp16", "int8"] = Field(
        default="fp32",
        description="What it computes in; fp16 needs torch on a cuda device, bf16 that or a processor that multiplies "
        "it, int8 'backend: onnx'.",
    )
    devices: int = Field(
        default=1, ge=1, le=64, description="Cuda devices that share the work, 1 to 64, from the run's own on."
    )

    @model_validator(mode="after")
    def _fits_the_backend(self) -> Self:
        needed = "onnx" if self.precision == "int8" else "torch"
        if self.precision != "fp32" and self.backend != needed:
            told = f"'precision: {self.precision}' needs 'backend: {needed}', and it is {self.backend}"
            raise refusal("RP205", told, value="precision")
        if self.devices > 1 and self.backend != "torch":
            told = f"'devices: {self.devices}' needs 'backend: torch', and it is {self.backend}"
            raise refusal("RP205", told, value="devices")
        return self


class Text(Encoder[TextParams]):
    """Item text as vectors of a pretrained language model: (n_items, d) float32, d the model's width.

    Each different text is encoded once, in batches of texts of similar length; a token's vector is the model's last
    layer, pooled over the text's own tokens, never over padding. Raw vectors share a large common part, which hides
    what differs: without `centre`, profiles averaged from them rank poorly. An item without text is missing (a zero
    row), and so is one of which the tokenizer keeps nothing. Where the engine lends a folder, a text's vector is kept
    there, so that a grown catalogue encodes its new texts only.

    The same texts give the same vectors on one device; in other company, padded to another length, they may differ in
    the last digits (1e-6). Torch in fp32 is the reference. Another backend, which runs the model exported to ONNX, and
    bf16 on a processor are held against it on up to 256 texts, from the shortest to the longest: the report tells the
    mean and worst cosine and the share of the 10 nearest neighbours that stay. `int8` quantises weights to 7 bits per
    column, and activations per batch, so that a vector hangs on its company by as much as that agreement leaves.

    Raises DataError RP505 when no item has text, RunError RP605 when the folder holds no model that can be loaded from
    safetensors without running its code, or exported, RP604 when one text alone does not fit into memory, RP603 for a
    precision, a backend or a number of devices that is not there, and RP601 when a backend's package is missing or
    the worst cosine is under .999 (bf16: .99, int8: .95).

    Source: masked mean pooling of Reimers & Gurevych 2019, "Sentence-BERT"; centring of Mu & Viswanath 2018,
    "All-but-the-top" (its first step).
    """

    name = "text"
    needs_items = True

    def encode(self, data: Dataset, ctx: Context) -> Embeddings:
        p = self.params
        texts = data.items.texts(p.columns)
        named = ", ".join(f"'{column}'" for column in p.columns)
        there = (texts != "").to_numpy()
        if not there.any():
            raise DataError.of("RP505", f"no item has text in {named}")
        different = IdMap.of(texts.filter(pl.Series(there)))
        which = different.codes(texts)[there]

        from recprofile_hf.encoding import Settings, encodings_of

        settings = Settings(p.model, p.max_tokens, p.batch_tokens, p.pooling, p.precision, p.backend, p.devices)
        found = encodings_of(different.ids, ctx.asset(p.model), settings=settings, ctx=ctx)
        there[there] = (found.tokens > 0)[which]
        if not there.any():
            raise DataError.of("RP505", f"the tokenizer of '{p.model}' keeps nothing of any text in {named}")
        self._say_what_is_missing(~there, named, ctx)
        vectors = np.zeros((len(texts), found.vectors.shape[1]), np.float32)
        vectors[there] = found.vectors[which[(found.tokens > 0)[which]]]
        return Embeddings(
            "item", data.items.ids, shaped(vectors, there, centre=p.centre, normalise=p.normalise), ~there
        )

    def _say_what_is_missing(self, missing: BoolArray, named: str, ctx: Context) -> None:
        n = int(missing.sum())
        if n:
            ctx.warn(f"{n} of {len(missing)} items have no text in {named}, and no vector")


def shaped(vectors: FloatArray, there: BoolArray, *, centre: bool, normalise: bool) -> FloatArray:
    """Rows `there` centred on their mean and scaled to length 1; a row that is zero, or becomes it, stays zero."""
    if centre:
        vectors[there] -= vectors[there].mean(axis=0, dtype=np.float64).astype(np.float32)
    if normalise:
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.divide(vectors, length, out=vectors, where=length > 0)
    return vectors
