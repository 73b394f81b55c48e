"""A model's layers as an ONNX graph, made once and kept beside the vectors that it makes.

A folder per graph, renamed into place, with a manifest of its files' SHA-256: a graph is whole, damaged or absent.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from recprofile.plugin import RunError
from recprofile_hf.loading import Loaded, unusable

FORM = 1  # of what is made; counts in what it is about
GRAPH = "model.onnx"
MANIFEST = ".recprofile.json"  # as `recprofile cache` expects of what is kept


def exported(
    loaded: Loaded, *, about: Mapping[str, object], int8: bool, within: Path, warn: Callable[[str], None]
) -> Path:
    """The graph's file, made now unless one made in the way that `about` says is kept in `within`.

    Its inputs are `input_ids` and `attention_mask`, (b, t) int64 of any b and t, its output the last layer's token
    vectors. Raises RunError RP605 when torch cannot export the model, and RP606 when the disk does not take it.
    """
    told = json.dumps({"form": FORM, "int8": int8, **about}, sort_keys=True)
    folder = within / hashlib.sha256(told.encode()).hexdigest()[:32]
    try:
        if _is_whole(folder, warn):
            return folder / GRAPH
        within.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(dir=within, prefix=".new-"))
        try:
            with _quiet():
                _export(loaded, new / GRAPH, int8=int8)
            (new / MANIFEST).write_text(json.dumps({"about": told, "files": _hashes(new)}), encoding="utf-8")
            try:
                new.rename(folder)
            except OSError:
                if not _is_whole(folder, warn):  # else another process was quicker
                    raise
        finally:
            shutil.rmtree(new, ignore_errors=True)
    except OSError as error:
        raise RunError.of("RP606", f"the exported model cannot be written: {error}") from error
    return folder / GRAPH


class _LastLayer(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state  # type: ignore[no-any-return]


def _export(loaded: Loaded, path: Path, *, int8: bool) -> None:
    # Of an example, only its form counts: neither axis may be 1, or it would be taken for a constant.
    tokens = torch.zeros((3, min(7, loaded.limit)), dtype=torch.long)
    any_size = dict.fromkeys((0, 1), torch.export.Dim.DYNAMIC)
    try:
        program = torch.onnx.export(
            _LastLayer(loaded.model).eval(),
            kwargs={"input_ids": tokens, "attention_mask": torch.ones_like(tokens)},
            input_names=["input_ids", "attention_mask"],
            output_names=["last_hidden_state"],
            dynamic_shapes={"input_ids": any_size, "attention_mask": any_size},
            dynamo=True,
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        help = ("leave 'backend' at torch for it",)
        raise unusable(loaded.name, "torch cannot export it to ONNX", *help) from error
    assert program is not None
    if not int8:
        program.save(path)
        return
    # Said to be preprocessed, which asks for shapes that are known: the quantizer would else advise it on each run.
    program.model.metadata_props["onnx.quant.pre_process"] = "onnxruntime.quant"
    whole = path.with_suffix(".fp32")
    program.save(whole, external_data=True)
    _quantise(whole, path)
    for file in path.parent.glob(f"{whole.name}*"):
        file.unlink()


def _quantise(whole: Path, path: Path) -> None:
    """Weights of linear layers and embeddings in 8 bits, one scale per column; activations at run time, per batch."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        whole,
        path,
        weight_type=QuantType.QInt8,
        per_channel=True,
        # Seven bits of the eight: on processors without VNNI, sums of pairs of products would not fit into 16 bits.
        reduce_range=True,
    )


def _is_whole(folder: Path, warn: Callable[[str], None]) -> bool:
    """Whether a graph is there as it was written; a damaged one is said and removed."""
    try:
        told: Any = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if told["files"] == _hashes(folder):
            return True
    except FileNotFoundError:
        if not folder.exists():
            return False
    except (ValueError, KeyError, TypeError):
        pass
    warn(f"the exported model is damaged, and is made again: {folder}")
    shutil.rmtree(folder)
    return False


def _hashes(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.iterdir()):
        if path.name != MANIFEST:
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """No word of the exporter on packages that it could use, or of what is deprecated inside it."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
