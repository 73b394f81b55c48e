"""A tokenizer and a model from a local folder, and texts through both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding, AutoTokenizer
from transformers.utils import logging

from recprofile.plugin import FloatArray, IntArray, RunError
from recprofile_hf.encoding import Encodings, Settings

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
# Models whose positions begin after the padding token's number, so that they take that many tokens fewer.
SHIFTED = frozenset(
    {"roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "roberta-prelayernorm", "data2vec-text"}
)
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TextModel:
    """A fast tokenizer and a model in evaluation mode on its device; `limit` is the most tokens of a text."""

    name: str
    tokenizer: Any
    model: Any
    device: str
    pooling: str
    limit: int

    @classmethod
    def load(cls, folder: Path, *, settings: Settings, device: str) -> TextModel:
        """What the folder holds; RunError RP605 saying what is wrong with it.

        Local files and safetensors only; code that comes with a model is never run.
        """
        name = settings.model
        _require_files(folder, name)
        with _quiet(), _as_run_error(name):
            local = {"local_files_only": True, "trust_remote_code": False}
            config = AutoConfig.from_pretrained(folder, **local)
            tokenizer = AutoTokenizer.from_pretrained(folder, **local)
            # A model with a decoder is used for its encoder alone.
            family = AutoModelForTextEncoding if getattr(config, "is_encoder_decoder", False) else AutoModel
            model, loaded = family.from_pretrained(
                folder,
                config=config,
                dtype=DTYPES[settings.precision],  # left out, transformers takes what the weights were stored in
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # refused below, with our words
                **local,
            )
        _require_whole_weights(loaded, name)
        if not tokenizer.is_fast:
            raise _unusable(name, "its tokenizer has no fast form (tokenizer.json)")
        limit = min(settings.max_tokens, tokenizer.model_max_length, _positions(config))
        return cls(name, tokenizer, model.to(device).eval(), device, settings.pooling, limit)

    def encode(
        self, texts: Sequence[str], *, batch_tokens: int, warn: Callable[[str], None]
    ) -> Iterator[tuple[Rows, Encodings]]:
        """Rows of `texts` and their encodings, longest first, in batches of at most `batch_tokens` with padding.

        A batch that does not fit into memory is halved, and so are those to come. Raises RunError RP604 when a single
        text does not fit, and RP601 when a vector is not finite. Texts without a token are left out.
        """
        ids, start, used, tokens = self._tokens(texts)
        order = np.argsort(-used, kind="stable")  # the longest first: what does not fit shows at once
        order = order[used[order] > 0]
        at, budget, halved = 0, batch_tokens, False
        while at < len(order):
            longest = int(used[order[at]])
            rows = order[at : at + max(1, budget // longest)]
            try:
                vectors = self._pooled(ids, start[rows], used[rows])
            except (MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                if len(rows) == 1:
                    help = ("try a smaller 'max_tokens', or another device",)
                    raise RunError.of(
                        "RP604", f"a text of {longest} tokens does not fit into memory", help=help
                    ) from error
                budget = len(rows) // 2 * longest
                if not halved:
                    warn(f"'batch_tokens: {batch_tokens}' does not fit into memory; batches were made smaller")
                halved = True
                continue
            if not np.isfinite(vectors).all():
                help = ("its weights may be damaged, or 'precision' too low for it",)
                raise RunError.of("RP601", f"the model '{self.name}' gave a vector that is not finite", help=help)
            yield rows, Encodings(vectors, tokens[rows], used[rows])
            at += len(rows)

    def _tokens(self, texts: Sequence[str]) -> tuple[NDArray[np.int32], Rows, IntArray, IntArray]:
        """All tokens in one array, where each text's begin, how many of them are used, and how many there are."""
        ask = {"padding": False, "return_attention_mask": False, "return_token_type_ids": False, "verbose": False}
        with _quiet():
            found: list[list[int]] = self.tokenizer(list(texts), truncation=False, **ask)["input_ids"]
            tokens = np.fromiter(map(len, found), np.int32, len(found))
            long = np.flatnonzero(tokens > self.limit).tolist()
            if long:
                # Cut by the tokenizer, which knows that the special token at the end must stay.
                again = [texts[row] for row in long]
                cut = self.tokenizer(again, truncation=True, max_length=self.limit, **ask)["input_ids"]
                for row, ids in zip(long, cut, strict=True):
                    found[row] = ids
        used = np.fromiter(map(len, found), np.int32, len(found))
        ids = np.fromiter(chain.from_iterable(found), np.int32, int(used.sum()))
        known = self.model.get_input_embeddings().weight.shape[0]
        if ids.max(initial=0) >= known:
            raise _unusable(
                self.name, f"its tokenizer has the token {ids.max()}, and its weights are for {known} tokens"
            )
        return ids, np.cumsum(used, dtype=np.int64) - used, used, tokens

    def _pooled(self, ids: NDArray[np.int32], start: Rows, used: IntArray) -> FloatArray:
        """One vector per text, (len(start), d) float32."""
        place = np.arange(int(used.max()))
        inside = place < used[:, None]
        padded = np.where(inside, ids[np.where(inside, start[:, None] + place, 0)], self.tokenizer.pad_token_id or 0)
        with torch.inference_mode():
            mask = torch.from_numpy(inside).to(self.device)
            tokens = torch.from_numpy(padded.astype(np.int64)).to(self.device)
            out = self.model(input_ids=tokens, attention_mask=mask.long())
            return pool(out.last_hidden_state.float(), mask, self.pooling).cpu().numpy()


def pool(hidden_btd: torch.Tensor, mask: torch.Tensor, how: str) -> torch.Tensor:
    """Token vectors (b, t, d) as one vector per text, (b, d), over the tokens where the mask (b, t) holds.

    Every text has a token, and padding is on the right.
    """
    there = mask.unsqueeze(-1)
    if how == "cls":
        return hidden_btd[:, 0]
    if how == "max":
        return hidden_btd.masked_fill(~there, -torch.inf).amax(dim=1)
    return (hidden_btd * there).sum(dim=1) / there.sum(dim=1)


def _positions(config: Any) -> int:  # noqa: ANN401 - each model has a class of its own
    """The most tokens that the model's positions are for."""
    most = getattr(config, "max_position_embeddings", None)
    if not isinstance(most, int) or most < 1:
        return 1 << 30
    return most - (int(config.pad_token_id or 0) + 1 if config.model_type in SHIFTED else 0)


def _unusable(name: str, why: str, *help: str) -> RunError:
    return RunError(RunError.of("RP605", f"the model '{name}' cannot be used: {why}", help=help).problems)


def _require_files(folder: Path, name: str) -> None:
    """Refuse a folder that lacks a part; without vocabulary, transformers makes a tokenizer that knows no word."""
    if not folder.is_dir():
        raise _unusable(name, "it is not a folder")
    held = {path.name for path in folder.iterdir()}
    if "config.json" not in held:
        raise _unusable(name, "its folder has no config.json", "name the folder that holds config.json and weights")
    if not held.intersection(TOKENIZER_FILES):
        raise _unusable(name, "its folder has no tokenizer (tokenizer.json or a vocabulary)")
    if not any(file.endswith(".safetensors") for file in held):
        raise _unusable(name, "its folder has no weights in safetensors", "weights in other formats can run code")


def _require_whole_weights(loaded: dict[str, Any], name: str) -> None:
    """Refuse what transformers would fill with random numbers; the pooler is not used, so it may be missing."""
    mismatched = [entry[0] if isinstance(entry, tuple) else entry for entry in loaded["mismatched_keys"]]
    if mismatched:
        raise _unusable(name, f"its weights are of another size than config.json says, as '{min(mismatched)}'")
    missing = [key for key in loaded["missing_keys"] if "pooler." not in key]
    if missing:
        raise _unusable(name, f"its weights lack {len(missing)} parts, as '{min(missing)}'")


@contextmanager
def _as_run_error(name: str) -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # tokenizers raises bare Exception, other readers whatever a file leads to
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        why = lines[0].rstrip(".") if lines else type(error).__name__
        raise _unusable(name, f"{why[:1].lower()}{why[1:]}", f"{type(error).__name__} while loading it") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars, advice or load reports of transformers: what matters of them is said as errors and warnings."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # transformers'
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # as above
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # as above


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    said = str(error).casefold()  # the CPU's allocator raises a RuntimeError like any other
    return "can't allocate memory" in said or "out of memory" in said
