"""What is asked of every text encoder: which text of an item, by which model, and what is done to the vectors."""

from __future__ import annotations

from typing import Literal, Self

from recprofile.plugin import Asset, Field, ItemColumns, ItemTemplate, Params, model_validator, refusal


class ItemText(Params):
    model: Asset = Field(
        min_length=1,
        description="Encoder: hub://org/model[@revision], package://distribution==version/path, or a folder.",
        examples=["hub://sentence-transformers/all-MiniLM-L6-v2"],
    )
    columns: ItemColumns | None = Field(
        default=None,
        min_length=1,
        description="Item columns read as one text, in this order, joined by a space; missing ones are skipped.",
    )
    template: ItemTemplate | None = Field(
        default=None,
        max_length=10_000,
        description="An item's text instead of 'columns': names of item columns in braces. A missing value goes with "
        "the text before it, brackets around nothing go too; lists are joined by ', '.",
        examples=["{title} ({year}): {genres}"],
    )
    prefix: str = Field(
        default="",
        max_length=10_000,
        description="What the model wants before each item's text, the space after it included, as 'passage: '.",
        examples=["passage: "],
    )

    @model_validator(mode="after")
    def _has_one_text(self) -> Self:
        if self.columns is not None and self.template is not None:
            raise refusal("RP205", "'columns' and 'template' do not go together", key="template")
        if self.columns is None and self.template is None:
            raise refusal("RP202", "'columns' is missing, or 'template'", help=('for example "{title}: {genres}"',))
        return self


class Encoding(Params):
    max_tokens: int = Field(
        default=256,
        ge=8,
        le=1_000_000,
        description="Where a text is cut, in tokens, special ones included: 8 to 1000000, or what the model takes.",
    )
    long: Literal["cut", "chunks"] = Field(
        default="cut",
        description="What becomes of longer texts: cut there, or read in chunks of so many tokens, whose vectors are "
        "averaged by their tokens.",
    )
    overlap: int = Field(
        default=32,
        ge=0,
        le=100_000,
        description="Tokens that neighbouring chunks share, 0 to 100000; at most half of what a chunk holds.",
    )
    eos: bool = Field(
        default=False,
        description="End each text with the tokenizer's end-of-text token where the tokenizer does not, as some "
        "decoders ask with 'pooling: last' (E5-mistral).",
    )
    batch_tokens: int = Field(
        default=1024,
        ge=1,
        le=100_000_000,
        description="Most tokens of a batch, padding included, 1 to 10⁸; a longer text is a batch of its own.",
    )
    pooling: Literal["mean", "cls", "last", "max"] = Field(
        default="mean",
        description="How a text's token vectors become one: their mean, the first, the last (of decoders), or the "
        "maxima.",
    )
    centre: bool = Field(
        default=True, description="Subtract the mean vector of the items that have a text and a training event."
    )
    whiten: bool = Field(
        default=False,
        description="Make directions vary alike and independently, as the items with a training event vary.",
    )
    shrinkage: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="How far 'whiten' draws each direction's variance to the mean of all, 0 to 1; null: by how many "
        "items there are to learn from (Ledoit-Wolf).",
    )
    dim: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="Keep so many leading principal directions, 1 to 100000, of those items; null: all dimensions.",
    )
    normalise: bool = Field(default=True, description="Scale every vector to length 1, after all that.")
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


class EncoderParams(Encoding, ItemText):
    """All of it, the text first."""
