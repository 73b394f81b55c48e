"""Which device a run uses, and the seed of each stage."""

from __future__ import annotations

import hashlib
import importlib
import platform
import random
import sys
from pathlib import Path

import numpy as np

from recprofile.errors import RunError, Span


def resolve_device(wanted: str, at: Span | None = None) -> str:
    """The torch device for a recipe's `device:`; 'auto' takes CUDA, then MPS, then the CPU.

    Raises RunError RP603 when a device that was asked for by name is not there: never a silent CPU. Torch is imported
    only to ask about devices that there may be.
    """
    if wanted == "cpu" or (wanted == "auto" and _surely_no_accelerator()):
        return "cpu"
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    has_mps = torch.backends.mps.is_available()
    if wanted == "auto":
        return "cuda:0" if count else "mps" if has_mps else "cpu"
    if wanted == "mps":
        if has_mps:
            return "mps"
        raise RunError.of("RP603", "the device 'mps' is not there", at=at, help=[_there(count, has_mps=has_mps)])
    index = int(wanted.partition(":")[2] or 0)
    if index < count:
        return f"cuda:{index}"
    raise RunError.of("RP603", f"the device '{wanted}' is not there", at=at, help=[_there(count, has_mps=has_mps)])


def _surely_no_accelerator() -> bool:
    """Whether the system shows without torch, which costs over a second, that there is no CUDA or MPS device.

    On Linux a CUDA or ROCm device that a process may use has one of these files; elsewhere torch must be asked.
    """
    files = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd", "/dev/nvhost-gpu", "/dev/nvgpu")
    return sys.platform == "linux" and not any(Path(file).exists() for file in files)


def _there(count: int, *, has_mps: bool) -> str:
    names = ["cpu", *(["mps"] if has_mps else []), *(f"cuda:{i}" for i in range(count))]
    return f"devices here: {', '.join(names)}; 'auto' takes the best of them"


def has_onednn() -> bool:
    """Whether float32 products with a fixed matrix go through oneDNN here: an x86 processor, and a torch that has it.

    Elsewhere torch's own choice is the quicker one, or oneDNN another library (ARM). Loads torch, on x86.
    """
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        return False
    torch = importlib.import_module("torch")
    operators = torch.ops.mkldnn
    return torch.backends.mkldnn.is_available() and all(
        hasattr(operators, name) for name in ("_linear_pointwise", "_reorder_linear_weight")
    )


def stage_seed(seed: int, stage: str) -> int:
    """The seed of one stage, in [0, 2**31): from the recipe's seed and the stage's id, so that adding a stage leaves
    the numbers of the others as they were.
    """
    digest = hashlib.blake2b(f"{seed}/{stage}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) >> 1


def seed_everything(seed: int, *, torch: bool) -> None:
    """Seed the global generators of Python and numpy, and that of torch, for a stage that may draw from them.

    `torch` loads it (over a second): where it is loaded later, inside the stage, its generator would not be the same
    as where an earlier stage had loaded it. False is for stages that draw from `Context.seed` only.
    """
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the libraries that plugins wrap draw from the global generator
    if torch or "torch" in sys.modules:
        importlib.import_module("torch").manual_seed(seed)
