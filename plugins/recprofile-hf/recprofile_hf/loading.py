"""A tokenizer and a model from a local folder, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding, AutoTokenizer
from transformers.utils import logging

from recprofile.plugin import RunError
from recprofile_hf.encoding import Settings

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}  # all else is made of float32
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


@dataclass(frozen=True, eq=False)
class Loaded:
    """A fast tokenizer and a model in evaluation mode; `limit` is the most tokens of a text."""

    name: str
    tokenizer: Any
    model: Any
    limit: int

    @property
    def vocabulary(self) -> int:
        """How many tokens the model has weights for."""
        return int(self.model.get_input_embeddings().weight.shape[0])

    @property
    def padding(self) -> int:
        """The token that fills up shorter texts."""
        return self.tokenizer.pad_token_id or 0


def load(folder: Path, settings: Settings) -> Loaded:
    """What the folder holds, on the CPU; RunError RP605 saying what is wrong with it.

    Local files and safetensors only; code that comes with a model is never run.
    """
    name = settings.model
    require_files(folder, name, TOKENIZER_FILES, "tokenizer (tokenizer.json or a vocabulary)")
    with quiet(), as_run_error(name):
        local = {"local_files_only": True, "trust_remote_code": False}
        config = AutoConfig.from_pretrained(folder, **local)
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        # A model with a decoder is used for its encoder alone.
        family = AutoModelForTextEncoding if getattr(config, "is_encoder_decoder", False) else AutoModel
        model, loaded = family.from_pretrained(
            folder,
            config=config,
            # Left out, transformers takes what the weights were stored in.
            dtype=DTYPES.get(settings.precision, torch.float32),
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, with our words
            **local,
        )
    require_whole_weights(loaded, name)
    if not tokenizer.is_fast:
        raise unusable(name, "its tokenizer has no fast form (tokenizer.json)")
    limit = min(settings.max_tokens, tokenizer.model_max_length, _positions(config))
    return Loaded(name, tokenizer, model.eval(), limit)


def _positions(config: Any) -> int:  # noqa: ANN401 - each model has a class of its own
    """The most tokens that the model's positions are for."""
    most = getattr(config, "max_position_embeddings", None)
    if not isinstance(most, int) or most < 1:
        return 1 << 30
    return most - (int(config.pad_token_id or 0) + 1 if config.model_type in SHIFTED else 0)


def unusable(name: str, why: str, *help: str) -> RunError:
    """RP605, saying why."""
    return RunError(RunError.of("RP605", f"the model '{name}' cannot be used: {why}", help=help).problems)


def require_files(folder: Path, name: str, before: Collection[str], what: str) -> None:
    """Refuse a folder that lacks a part; `before` are files of `what` turns inputs into numbers: one must be there.

    Without vocabulary, transformers makes a tokenizer that knows no word.
    """
    if not folder.is_dir():
        raise unusable(name, "it is not a folder")
    held = {path.name for path in folder.iterdir()}
    if "config.json" not in held:
        raise unusable(name, "its folder has no config.json", "name the folder that holds config.json and weights")
    if not held.intersection(before):
        raise unusable(name, f"its folder has no {what}")
    if not any(file.endswith(".safetensors") for file in held):
        raise unusable(name, "its folder has no weights in safetensors", "weights in other formats can run code")


def require_whole_weights(loaded: dict[str, Any], name: str) -> None:
    """Refuse what transformers would fill with random numbers; the pooler is not used, so it may be missing."""
    mismatched = [entry[0] if isinstance(entry, tuple) else entry for entry in loaded["mismatched_keys"]]
    if mismatched:
        raise unusable(name, f"its weights are of another size than config.json says, as '{min(mismatched)}'")
    missing = [key for key in loaded["missing_keys"] if "pooler." not in key]
    if missing:
        raise unusable(name, f"its weights lack {len(missing)} parts, as '{min(missing)}'")


@contextmanager
def as_run_error(name: str) -> Iterator[None]:
    """What a folder leads transformers to, as RP605."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # tokenizers raises bare Exception, other readers whatever a file leads to
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        why = lines[0].rstrip(".") if lines else type(error).__name__
        raise unusable(name, f"{why[:1].lower()}{why[1:]}", f"{type(error).__name__} while loading it") from error


@contextmanager
def quiet() -> Iterator[None]:
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
