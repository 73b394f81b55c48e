"""The model of a local folder, of pictures or of sound, or what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel

from recprofile_hf.linear import through_onednn
from recprofile_hf.loading import as_run_error, quiet, require_whole_weights


def load_model(folder: Path, name: str, device: str) -> tuple[Any, bool]:
    """The model in float32 on a device, and whether a pooler, should it have one, has weights. Raises RunError RP605.

    Local files and safetensors only; code that comes with a model is never run.
    """
    local = {"local_files_only": True, "trust_remote_code": False}
    with quiet(), as_run_error(name):
        model, loaded = AutoModel.from_pretrained(
            folder,
            config=AutoConfig.from_pretrained(folder, **local),
            dtype=torch.float32,  # left out, transformers takes what the weights were stored in
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, with our words
            **local,
        )
    require_whole_weights(loaded, name)
    has_pooler = not any("pooler." in key for key in loaded["missing_keys"])
    model = model.eval()
    return (through_onednn(model) if device == "cpu" else model.to(device)), has_pooler
