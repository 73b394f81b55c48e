"""`hf/finetune`: a pretrained language model, tuned on this catalogue's texts and events, as vectors of items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from numpy.typing import NDArray

from recprofile.plugin import (
    Asset,
    Context,
    Dataset,
    Encoded,
    Encoder,
    Field,
    ItemColumn,
    ItemColumns,
    Params,
    model_validator,
    refusal,
)


class FineTuneParams(Params):
    model: Asset = Field(
        min_length=1,
        description="Encoder: hub://org/model[@revision], package://distribution==version/path, or a folder.",
        examples=["hub://sentence-transformers/all-MiniLM-L6-v2"],
    )
    columns: ItemColumns = Field(
        min_length=1,
        description="Item columns read as one text, in this order, joined by a space; missing ones are skipped.",
    )
    objective: Literal["episode", "contrastive", "align", "simcse", "click", "semi-supervised"] = Field(
        default="episode",
        description="What it is trained for: to rank items that are pretended new (episode), that items liked together "
        "are close (contrastive), to meet factors of behaviour (align), that a text knows itself again (simcse), to "
        "tell likes from user and item text (click), or item labels (semi-supervised).",
    )
    method: Literal["full", "lora", "adalora", "prefix", "ia3", "adapter"] = Field(
        default="lora", description="What is trained: the layers themselves (full), or few numbers beside them."
    )
    layers: int = Field(
        default=2, ge=1, le=1000, description="Layers that are trained, from the last one down; 1000: all there are."
    )
    targets: Literal["attention", "all"] = Field(
        default="attention",
        description="Linear layers that lora, adalora and ia3 change: queries and values (ia3: keys, values), or all.",
    )
    rank: int = Field(
        default=8, ge=1, le=1024, description="Rank of lora and adalora, width of an adapter, or length of a prefix."
    )
    steps: int = Field(default=60, ge=1, le=1_000_000, description="Most steps of training, 1 to 10⁶.")
    batch: int = Field(default=128, ge=8, le=100_000, description="Items of a batch, 8 to 10⁵.")
    accumulate: int = Field(default=1, ge=1, le=1000, description="Batches that make one step, 1 to 1000.")
    rate: float | None = Field(
        default=None, gt=0, le=1, description="Learning rate at its highest; null: .0002 for full, else .002."
    )
    decay: float = Field(default=0.01, ge=0, le=1, description="Weight decay of AdamW.")
    clip: float = Field(default=1.0, gt=0, le=1e6, description="Most that the norm of a gradient may be.")
    temperature: float = Field(default=0.1, gt=0, le=10, description="What cosines are divided by before a softmax.")
    labels: ItemColumn | None = Field(
        default=None, description="Item column of classes, for semi-supervised; an item without one is unlabelled."
    )
    confidence: float = Field(
        default=0.9, gt=0, le=1, description="How sure of a class the model must be to take it as a label."
    )
    folds: int = Field(
        default=5,
        ge=0,
        le=20,
        description="Folds of items that stand for new ones, to choose when to stop and whether to tune at all; each "
        "takes one training. 0: train for all steps, unseen.",
    )
    fall_back: bool = Field(
        default=True, description="Keep the model as it was where folds show a gain under two standard errors."
    )
    max_tokens: int = Field(
        default=128, ge=8, le=1_000_000, description="Where a text is cut, in tokens, or what the model takes."
    )
    pooling: Literal["mean", "cls", "max"] = Field(
        default="mean", description="How a text's token vectors become one: their mean, the first, or the maxima."
    )
    centre: bool = Field(
        default=True, description="Subtract the mean vector of items with a text and a training event."
    )
    normalise: bool = Field(default=True, description="Scale every vector to length 1, after centring.")

    @model_validator(mode="after")
    def _has_labels(self) -> Self:
        if self.objective == "semi-supervised" and self.labels is None:
            raise refusal(
                "RP205", "'objective: semi-supervised' needs 'labels', a column of classes", value="objective"
            )
        return self


class FineTune(Encoder[FineTuneParams]):
    """Item text as vectors of a pretrained model that was tuned on these items and events: (n_items, d) float32.

    Folds of items whose events are taken away say when to stop, and whether tuning helps at all: NDCG@10 over those
    items, for users who are the mean of what they like, against the model as it was. **Where the gain is under two
    standard errors, over users or over folds of items, the model stays as it was**, and the report says so. Then all
    items are trained for as many steps. What lies below the trained layers is computed once.

    Steps draw from seeds of their own, so that a run that is killed goes on where it stood (at most ten seconds of work
    are lost) and ends with the same numbers. A batch that does not fit into memory is halved, and said. `episode` uses
    positive events, and so do the others but simcse and semi-supervised, which need none.

    What was trained goes to the profile store with the vectors, so that items that come later are encoded by it. It
    also lies in the cache as peft saves it, for other tools, at the path that the report tells.

    Raises DataError RP505 when no item has text, or where there is too little to learn an objective from, RunError
    RP601 when the loss is not finite or peft is not installed, RP604 when a batch of eight does not fit into memory,
    and RP605 when the folder holds no model that can be trained.

    Source: LoRA, Hu et al. 2022; AdaLoRA, Zhang et al. 2023; prefix tuning, Li & Liang 2021; IA3, Liu et al. 2022;
    adapters, Houlsby et al. 2019; episodes, Vinyals et al. 2016 and Volkovs et al. 2017; alignment, Ren et al. 2024;
    SimCSE, Gao et al. 2021; FixMatch, Sohn et al. 2020.
    """

    name = "finetune"
    needs_items = True

    def __init__(self, params: FineTuneParams) -> None:
        super().__init__(params)
        self.steps: int | None = None  # those of an earlier choice; 0: the model stays as it was

    def encode(self, data: Dataset, ctx: Context) -> Encoded:
        """Tune, and encode all items."""
        from recprofile_hf.tuning.items import tune

        return tune(self.params, self.steps, data, ctx)

    def more_items(self, learnt: Mapping[str, NDArray[Any]], data: Dataset, ctx: Context) -> Encoded:
        """Encode items with what was trained."""
        from recprofile_hf.tuning.items import encode_again

        return encode_again(self.params, learnt, data, ctx)

    def settled(self, result: Encoded) -> Self:
        """With the number of steps that was chosen."""
        made = type(self)(self.params)
        made.steps = int(result.chosen["steps"])
        return made
