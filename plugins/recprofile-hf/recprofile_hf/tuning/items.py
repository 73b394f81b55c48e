"""From items and events to vectors of a tuned model, and the same for items that come later."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from recprofile.plugin import (
    BoolArray,
    Context,
    DataError,
    Dataset,
    Embeddings,
    Encoded,
    FloatArray,
    IdMap,
    Rows,
    quoted,
)
from recprofile_hf.encoding import Settings
from recprofile_hf.kept import model_fingerprint
from recprofile_hf.loading import Loaded, load
from recprofile_hf.model import TextModel
from recprofile_hf.shaping import known_of
from recprofile_hf.tuning.layers import Lower
from recprofile_hf.tuning.methods import Tuned
from recprofile_hf.tuning.objectives import HISTORY, Task, TooLittleError
from recprofile_hf.tuning.texts import Texts
from recprofile_hf.tuning.train import Tuning

if TYPE_CHECKING:
    from recprofile_hf.finetune import FineTuneParams

TRAINED = "trained/"  # begins the names of what was trained among what is learnt


@dataclass(frozen=True, eq=False)
class _Catalogue:
    """A model with the texts of the items that have one, `item` by code."""

    loaded: Loaded
    texts: Texts
    strings: list[str]
    item: Rows
    n_items: int

    @classmethod
    def of(cls, p: FineTuneParams, data: Dataset, ctx: Context) -> _Catalogue:
        texts = data.items.texts(p.columns)
        named = ", ".join(quoted(column) for column in p.columns)
        item = np.flatnonzero((texts != "").to_numpy())
        if not len(item):
            raise DataError.of("RP505", f"no item has text in {named}")
        settings = Settings(p.model, p.max_tokens, 1024, p.pooling)
        loaded = load(ctx.asset(p.model), settings)
        strings = texts.gather(item.astype(np.uint32)).to_list()
        found = TextModel.of(loaded, []).tokenized(strings)
        kept = np.flatnonzero(found.used > 0)
        if not len(kept):
            raise DataError.of("RP505", f"the tokenizer of '{p.model}' keeps nothing of any text in {named}")
        if len(kept) < data.n_items:
            ctx.warn(f"{data.n_items - len(kept)} of {data.n_items} items have no text in {named}, and no vector")
        cut = int((found.tokens > found.used).sum())
        if cut:
            ctx.warn(f"{cut} of {len(item)} texts were cut after {int(found.used.max())} tokens")
        model = loaded.model.to(ctx.device)
        held = Texts(found.ids, found.start[kept], found.used[kept], Lower(model, p.layers), pooling=p.pooling)
        return cls(loaded, held, [strings[row] for row in kept], item[kept], data.n_items)

    def vectors(self, tuned: Tuned) -> FloatArray:
        """(n_items, d) float32, zero where there is no text."""
        found = self.texts.all(tuned)
        whole = np.zeros((self.n_items, found.shape[1]), np.float32)
        whole[self.item] = found
        return whole

    def there(self) -> BoolArray:
        """Which items have a text, bool (n_items,)."""
        mask = np.zeros(self.n_items, np.bool_)
        mask[self.item] = True
        return mask

    def as_it_was(self) -> Tuned:
        """The model in training's form, with nothing trained."""
        return Tuned(self.loaded.model, self.texts.lower.below, "full", rank=1, targets="all", steps=1)

    def asked(self, context: Rows, item: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens and mask of a user's text, made of the texts `context` (b, HISTORY), -1 for none, with an item's."""
        users = ["; ".join(self.strings[row] for row in rows if row >= 0) for rows in context.tolist()]
        found = self.loaded.tokenizer(
            users,
            [self.strings[row] for row in item.tolist()],
            truncation=True,
            max_length=min(self.loaded.limit, (HISTORY + 1) * int(self.texts.length.max()) + 3),
            padding=True,
            return_tensors="np",
            verbose=False,
        )
        tokens = torch.from_numpy(found["input_ids"].astype(np.int64))
        return tokens, torch.from_numpy(found["attention_mask"].astype(np.bool_))


def tune(p: FineTuneParams, steps: int | None, data: Dataset, ctx: Context) -> Encoded:
    """See `FineTune`; `steps` of an earlier choice, None where there was none."""
    catalogue = _Catalogue.of(p, data, ctx)
    untuned = catalogue.as_it_was()
    frozen, there = catalogue.vectors(untuned), catalogue.there()
    if steps == 0:
        return _encoded(p, frozen, there, data, {}, 0)
    task = Task(
        catalogue.texts,
        catalogue.item,
        data.positives(),
        p.batch,
        p.temperature,
        _labels(p, data, catalogue.item),
        p.confidence,
        catalogue.asked,
    )
    about: dict[str, object] = {"model": model_fingerprint(ctx.asset(p.model), p.model), "steps": steps}
    try:
        outcome = Tuning(catalogue.loaded.model, task, data, p, ctx, about=about).run(frozen, there, steps=steps)
    except TooLittleError as error:
        if not p.fall_back:
            raise
        ctx.warn(f"{error.problems[0].message}: the model stays as it was")
        return _encoded(p, frozen, there, data, {}, 0)
    if outcome.gain is not None:
        ctx.note("ndcg@10 on folds of items", outcome.gain.told())
    if outcome.tuned is None:
        ctx.note("tuning", "gains less than two standard errors: the model stays as it was")
        return _encoded(p, frozen, there, data, {}, 0)
    ctx.note("tuning", _told(catalogue.loaded, outcome.tuned, outcome.steps, outcome.loss))
    if ctx.store is not None:
        ctx.note("adapter", _saved(outcome.tuned, ctx.store, about, p))
    learnt: dict[str, NDArray[Any]] = {TRAINED + name: value.numpy() for name, value in outcome.tuned.state().items()}
    return _encoded(p, catalogue.vectors(outcome.tuned), there, data, learnt, outcome.steps)


def encode_again(p: FineTuneParams, learnt: Mapping[str, NDArray[Any]], data: Dataset, ctx: Context) -> Encoded:
    """Vectors of other items by what was trained, placed as those that it was trained with."""
    catalogue = _Catalogue.of(p, data, ctx)
    state = {n.removeprefix(TRAINED): torch.from_numpy(v.copy()) for n, v in learnt.items() if n.startswith(TRAINED)}
    if state:
        below = catalogue.texts.lower.below
        tuned = Tuned(catalogue.loaded.model, below, p.method, rank=p.rank, targets=p.targets, steps=p.steps)
        tuned.load(state)
    else:
        tuned = catalogue.as_it_was()
    return _encoded(p, catalogue.vectors(tuned), catalogue.there(), data, learnt, None)


def _encoded(  # noqa: PLR0917 - all that makes one result
    p: FineTuneParams,
    vectors: FloatArray,
    there: BoolArray,
    data: Dataset,
    learnt: Mapping[str, NDArray[Any]],
    steps: int | None,
) -> Encoded:
    """Centred and scaled as the recipe says; the mean is learnt, too."""
    if not np.isfinite(vectors).all():
        raise DataError.of("RP505", f"the model '{p.model}' gave a vector that is not finite")
    learnt = dict(learnt)
    if p.centre:
        learnt.setdefault("mean", vectors[known_of(there, data)].mean(axis=0, dtype=np.float64).astype(np.float32))
        vectors[there] -= learnt["mean"]
    if p.normalise:
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.divide(vectors, length, out=vectors, where=length > 0)
    chosen = {} if steps is None else {"steps": steps}
    return Encoded(items=Embeddings("item", data.items.ids, vectors, ~there), learnt=learnt, chosen=chosen)


def _labels(p: FineTuneParams, data: Dataset, item: Rows) -> NDArray[np.int64] | None:
    """A class of each text, -1 for none."""
    if p.objective != "semi-supervised" or p.labels is None:
        return None
    values = data.items.text(p.labels).gather(item.astype(np.uint32))
    known = values.drop_nulls().unique().sort()
    return IdMap(known.filter(known != "")).codes(values.fill_null("")).astype(np.int64)


def _told(loaded: Loaded, tuned: Tuned, steps: int, loss: float) -> dict[str, object]:
    whole = sum(parameter.numel() for parameter in loaded.model.parameters())
    return {
        "trained": tuned.count(),
        "share of the model": f"{tuned.count() / whole:.2%}",
        "steps": steps,
        "loss": round(loss, 4),
    }


def _saved(tuned: Tuned, store: Path, about: Mapping[str, object], p: FineTuneParams) -> str:
    """The folder that what was trained is written to, whole or not at all."""
    import hashlib
    import json

    told = json.dumps({**about, "params": p.model_dump(mode="json")}, sort_keys=True)
    folder = store / "hf-adapters" / hashlib.sha256(told.encode()).hexdigest()[:32]
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder.parent, suffix=".tmp"))
    try:
        tuned.save(made)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return str(folder)
