"""What turns padded tokens into one vector per text: a model's layers in torch, and the pooling after any of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from recprofile.plugin import BoolArray, FloatArray, RunError, threads
from recprofile_hf.linear import through_onednn
from recprofile_hf.loading import Loaded

Tokens = NDArray[np.int64]


class Network(Protocol):
    """Vectors (b, d), float32, of texts as tokens (b, t), of which those `inside` are not padding."""

    def __call__(self, tokens_bt: Tokens, inside_bt: BoolArray) -> FloatArray:
        """The vectors, pooled; padding is on the right."""
        ...


class TorchNetwork:
    """A model's layers on one device."""

    def __init__(self, model: Any, *, device: str, pooling: str) -> None:  # noqa: ANN401 - each model has a class of its own
        self.model, self.device, self.pooling = model, torch.device(device), pooling

    def __call__(self, tokens_bt: Tokens, inside_bt: BoolArray) -> FloatArray:
        # CUDA has a current device per thread, and some kernels run on that one whatever their tensors say.
        at = torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext()
        with torch.inference_mode(), at:
            mask = torch.from_numpy(inside_bt).to(self.device)
            tokens = torch.from_numpy(tokens_bt).to(self.device)
            out = self.model(input_ids=tokens, attention_mask=mask.long())
            return pool(out.last_hidden_state.float(), mask, self.pooling).cpu().numpy()


def on_devices(loaded: Loaded, devices: Sequence[str], *, pooling: str) -> list[TorchNetwork]:
    """A copy of the model on each device; the last one takes the model itself, which must not be used after.

    On the CPU one network per thread, all of the same weights: each does a batch by itself, in nine tenths of the time
    that threads take which wait for each other after every layer, and with the same bits for any number of them.
    """
    if list(devices) == ["cpu"]:
        network = TorchNetwork(through_onednn(loaded.model), device="cpu", pooling=pooling)
        return [network] * min(torch.get_num_threads(), threads())
    copies = [*(copy.deepcopy(loaded.model) for _ in devices[1:]), loaded.model]
    return [
        TorchNetwork(model.to(device), device=device, pooling=pooling)
        for model, device in zip(copies, devices, strict=True)
    ]


def multiplies_bf16() -> bool:
    """Whether the processor has instructions for bfloat16; without them it takes four times as long as float32."""
    has = torch.cpu.get_capabilities()
    return any(has.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def devices_from(device: str, count: int) -> list[str]:
    """`count` CUDA devices from this one on, or the device alone; RunError RP603 when there are fewer."""
    if count == 1:
        return [device]
    kind, _, first = device.partition(":")
    here = torch.cuda.device_count() if kind == "cuda" else 0
    if int(first or 0) + count > here:
        found = f"{here - int(first or 0)} from '{device}' on" if here else f"this stage runs on '{device}'"
        help = ("leave 'devices' at 1, or run where there are more",)
        raise RunError.of("RP603", f"'devices: {count}' needs so many cuda devices, and there are {found}", help=help)
    return [f"cuda:{int(first or 0) + n}" for n in range(count)]


def pool(hidden_btd: torch.Tensor, mask: torch.Tensor, how: str) -> torch.Tensor:
    """Token vectors (b, t, d) as one vector per text, (b, d), over the tokens where the mask (b, t) holds.

    Every text has a token, and padding is on the right.
    """
    there = mask.unsqueeze(-1)
    if how == "cls":
        return hidden_btd[:, 0]
    if how == "last":
        return hidden_btd[torch.arange(len(mask), device=mask.device), mask.sum(dim=1) - 1]
    if how == "max":
        return hidden_btd.masked_fill(~there, -torch.inf).amax(dim=1)
    return (hidden_btd * there).sum(dim=1) / there.sum(dim=1)
