"""A tokenizer and a model from a local folder, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForTextEncoding,
    AutoTokenizer,
    modeling_gguf_pytorch_utils,
)
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
    """A fast tokenizer and a model in evaluation mode; `limit` is the most tokens of a text.

    A longer text is cut, or read in chunks that share `overlap` tokens; `end` is a token that all texts end with.
    """

    name: str
    tokenizer: Any
    model: Any
    limit: int
    overlap: int | None = None
    end: int | None = None

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

    Local files, safetensors and GGUF only; code that comes with a model is never run.
    """
    name = settings.model
    local = asked_of(folder, name)
    with quiet(), as_run_error(name):
        config = AutoConfig.from_pretrained(folder, **local)
        config.use_cache = False  # a decoder would keep keys and values of every layer, for words that never come
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        # A model with a decoder is used for its encoder alone.
        family = AutoModelForTextEncoding if getattr(config, "is_encoder_decoder", False) else AutoModel
        model, loaded = family.from_pretrained(
            folder,
            config=config,
            # Left out, transformers takes what the weights were stored in.
            dtype=DTYPES.get(settings.precision, torch.float32),
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, with our words
            **local,
        )
    _require_text(model, name)
    require_whole_weights(loaded, name)
    if not tokenizer.is_fast:
        raise unusable(name, "its tokenizer has no fast form (tokenizer.json)")
    tokenizer.padding_side = "right"
    limit = min(settings.max_tokens, tokenizer.model_max_length, _positions(config))
    if settings.eos and tokenizer.eos_token_id is None:
        raise unusable(name, "its tokenizer has no end-of-text token", "leave 'eos' out")
    end = tokenizer.eos_token_id if settings.eos else None
    return Loaded(name, tokenizer, model.eval(), limit, settings.overlap, end)


def _positions(config: Any) -> int:  # noqa: ANN401 - each model has a class of its own
    """The most tokens that the model's positions are for."""
    most = getattr(config, "max_position_embeddings", None)
    if not isinstance(most, int) or most < 1:
        return 1 << 30
    return most - (int(config.pad_token_id or 0) + 1 if config.model_type in SHIFTED else 0)


def unusable(name: str, why: str, *help: str) -> RunError:
    """RP605, saying why."""
    return RunError(RunError.of("RP605", f"the model '{name}' cannot be used: {why}", help=help).problems)


def gguf_file(folder: Path) -> str | None:
    """The name of the GGUF file that a folder holds in place of weights in safetensors; of several, the first."""
    held = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    has_weights = any(name.endswith(".safetensors") for name in held)
    return None if has_weights else next((name for name in held if name.endswith(".gguf")), None)


def asked_of(folder: Path, name: str) -> dict[str, Any]:
    """What each `from_pretrained` of this folder is asked: local files alone, its GGUF file, and no code run.

    Raises RunError RP605 for a folder that lacks a part of a model, or has several in GGUF, and RP601 where GGUF
    cannot be read for want of its package. A model in GGUF cannot be saved again, and its padding token may be the one
    that ends a text, so that nothing may be masked by it.
    """
    asked: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    file = gguf_file(folder)
    if file is None:
        require_files(folder, name, TOKENIZER_FILES, "tokenizer (tokenizer.json or a vocabulary)")
        return {**asked, "use_safetensors": True}
    several = [path.name for path in folder.glob("*.gguf")]
    if len(several) > 1:
        raise unusable(name, f"its folder has {len(several)} models in GGUF, as '{file}'", "leave one of them in it")
    lacking = [package for package in ("gguf", "accelerate") if find_spec(package) is None]
    if lacking:
        message = f"the model '{name}' is in GGUF, which needs {' and '.join(lacking)}, which this Python lacks"
        raise RunError.of("RP601", message, help=("pip install 'recprofile-hf[gguf]'",))
    with (folder / file).open("rb") as read:
        if read.read(4) != b"GGUF":
            raise unusable(name, f"its file '{file}' is not in GGUF")
    return {**asked, "gguf_file": file}


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


def _require_text(model: Any, name: str) -> None:  # noqa: ANN401 - each model has a class of its own
    """Refuse models of images or sound, and those that compare texts with them and give no vectors of tokens."""
    compares = any(parameter.startswith("logit_scale") for parameter, _ in model.named_parameters(recurse=False))
    if compares or model.main_input_name != "input_ids":
        raise unusable(name, f"it is no text model, but {type(model).__name__}", "name an encoder or decoder of text")


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
    reader: Any = modeling_gguf_pytorch_utils  # draws a bar whatever the settings say
    bar, reader.tqdm = reader.tqdm, partial(reader.tqdm, disable=True)
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # transformers'
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # as above
    try:
        yield
    finally:
        reader.tqdm = bar
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # as above
