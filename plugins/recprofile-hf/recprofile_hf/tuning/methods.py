"""What of a model is trained: all of its upper layers, or a few numbers beside them (adapters)."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import nn

from recprofile.plugin import RunError
from recprofile_hf.tuning.layers import Upper, layers_of

Method = Literal["full", "lora", "adalora", "prefix", "ia3", "adapter"]
Targets = Literal["attention", "all"]

QUERIES = {"query", "q_proj", "q_lin", "q", "Wqkv", "qkv", "query_key_value", "qkv_proj", "query_proj"}
KEYS = {"key", "k_proj", "k_lin", "k", "Wqkv", "qkv", "query_key_value", "qkv_proj", "key_proj"}
VALUES = {"value", "v_proj", "v_lin", "v", "Wqkv", "qkv", "query_key_value", "qkv_proj", "value_proj"}

IMPORTANCE = ("ipt", "exp_avg_ipt", "exp_avg_unc")


class Tuned:
    """The upper layers of a model with what is trained of them; lower layers and all that is frozen are shared.

    `trained` are the parameters by name, in the order in which the model has them; `heads` those of an objective.
    """

    def __init__(self, base: Any, below: int, method: Method, *, rank: int, targets: Targets, steps: int) -> None:  # noqa: ANN401
        for parameter in base.parameters():
            parameter.requires_grad_(False)
        kept = {id(part): part for part in (*base.parameters(), *base.buffers())}
        trained = set()
        stack = layers_of(base)[1]
        if method == "full":
            trained = {id(p) for layer in list(stack)[below:] for p in layer.parameters()}
        model = copy.deepcopy(base, {key: part for key, part in kept.items() if key not in trained})
        self.method, self.step = method, 0
        self._wrapped = _wrapped(model, below, method, rank=rank, targets=targets, steps=steps)
        self.upper = Upper(model, self._wrapped, below)
        self.trained = {name: p for name, p in self._wrapped.named_parameters() if p.requires_grad}

    def train(self, on: bool) -> None:  # noqa: FBT001
        """With dropout, or without."""
        self._wrapped.train(on)

    def stepped(self) -> None:
        """After each step of the optimiser: AdaLoRA moves ranks to where they count."""
        self.step += 1
        if self.method == "adalora":
            self._wrapped.base_model.update_and_allocate(self.step)

    def save(self, folder: Path) -> None:
        """Write what was trained: as peft does where it is peft's, else as safetensors by name."""
        if not hasattr(self._wrapped, "peft_config"):
            save_file(self.state(), folder / "trained.safetensors", {"method": self.method})
            return
        for config in self._wrapped.peft_config.values():
            if getattr(config, "rank_pattern", None):
                config.rank_pattern = {}  # else ranks that AdaLoRA took away are cut off, and readers refuse none
        self._wrapped.save_pretrained(str(folder), save_embedding_layers=False)

    def importance(self) -> dict[str, dict[str, torch.Tensor]]:
        """What AdaLoRA remembers of how much each rank counts, by kind and parameter; empty for other methods."""
        if self.method != "adalora":
            return {}
        allocator = self._wrapped.base_model.rankallocator
        return {kind: dict(getattr(allocator, kind)) for kind in IMPORTANCE}

    def set_importance(self, found: Mapping[str, Mapping[str, torch.Tensor]]) -> None:
        """The inverse of `importance`."""
        if self.method == "adalora":
            for kind in IMPORTANCE:
                setattr(self._wrapped.base_model.rankallocator, kind, dict(found.get(kind, {})))

    def count(self) -> int:
        """How many numbers are trained."""
        return sum(p.numel() for p in self.trained.values())

    def state(self) -> dict[str, torch.Tensor]:
        """What is trained, copied to the CPU."""
        return {name: p.detach().to("cpu", copy=True) for name, p in self.trained.items()}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """The inverse of `state`; RunError RP605 where it is of another model or method."""
        if {n: p.shape for n, p in self.trained.items()} != {n: p.shape for n, p in state.items()}:
            help = ("train it anew, or name the model that it was trained on",)
            raise RunError.of("RP605", "what was trained is of another model or method", help=help)
        with torch.no_grad():
            for name, p in self.trained.items():
                p.copy_(state[name])


def _wrapped(model: Any, below: int, method: Method, *, rank: int, targets: Targets, steps: int) -> Any:  # noqa: ANN401
    if method == "full":
        for layer in list(layers_of(model)[1])[below:]:
            layer.requires_grad_(True)
        return model
    if method == "adapter":
        return Bottlenecks(model, below, rank)
    with _peft() as peft:
        if method == "prefix":
            return _with_prefix(peft, model, below, rank)
        names = _linears(model, below)
        if method == "ia3":
            ends = KEYS | VALUES
            chosen = [name for name in names if targets == "all" or name.rsplit(".", 1)[-1] in ends]
            within = [name for name in chosen if name.rsplit(".", 1)[-1] not in ends | QUERIES]
            config = peft.IA3Config(
                target_modules=_exactly(chosen), feedforward_modules=_exactly(within) if within else []
            )
        else:
            ends = QUERIES | VALUES
            chosen = [name for name in names if targets == "all" or name.rsplit(".", 1)[-1] in ends]
            shared = {"target_modules": _exactly(chosen), "lora_alpha": 2 * rank, "lora_dropout": 0.0}
            if method == "lora":
                config = peft.LoraConfig(r=rank, **shared)
            else:
                first = max(1, steps // 5)
                config = peft.AdaLoraConfig(
                    init_r=rank + rank // 2,
                    target_r=rank,
                    tinit=first,
                    tfinal=max(1, steps // 5),
                    deltaT=max(1, steps // 20),
                    total_step=max(steps, 3),
                    **shared,
                )
        if not chosen:
            help = ("use 'targets: all', or another method",)
            told = f"no attention layer of a {type(model).__name__} has a name that is known"
            raise RunError.of("RP605", told, help=help)
        return peft.get_peft_model(model, config)


def _linears(model: nn.Module, below: int) -> list[str]:
    """Full names of the linear layers within the layers that are trained."""
    name, stack = layers_of(model)
    found = []
    for n, layer in enumerate(stack):
        if n >= below:
            linear = (inner for inner, part in layer.named_modules() if isinstance(part, nn.Linear))
            found += [f"{name}.{n}.{inner}" for inner in linear]
    return found


def _exactly(names: list[str]) -> str:
    """A pattern that these names match and no others: peft takes a list for endings."""
    return "|".join(f"(?:.*\\.)?{re.escape(name)}" for name in names) or "(?!)"


def _with_prefix(peft: Any, model: Any, below: int, length: int) -> Any:  # noqa: ANN401
    """Keys and values that each trained layer attends to beside those of the text."""
    stack = list(layers_of(model)[1])
    numbered = [
        part for layer in stack[below:] for part in layer.modules() if isinstance(getattr(part, "layer_idx", None), int)
    ]
    if not numbered:
        help = ("use another method",)
        raise RunError.of("RP605", f"a {type(model).__name__} takes no keys beside those of its text", help=help)
    for part in numbered:
        part.layer_idx = int(part.layer_idx) - below  # type: ignore[assignment, arg-type]  # a number; the lower layers have no prefix
    config = peft.PrefixTuningConfig(
        task_type="FEATURE_EXTRACTION", num_virtual_tokens=length, num_layers=len(stack) - below
    )
    return peft.get_peft_model(model, config)


@contextmanager
def _peft() -> Iterator[Any]:
    """peft, without the warnings of its versions that people can do nothing about."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning)
            warnings.filterwarnings("ignore", message=".*already found a `peft_config`.*")
            import peft

            yield peft
    except ModuleNotFoundError as error:
        if error.name != "peft":
            raise
        help = ("pip install 'recprofile-hf[finetune]'", "or use 'method: full' or 'method: adapter'")
        raise RunError.of("RP601", "this method needs peft, which is not installed", help=help) from error


class Bottlenecks(nn.Module):
    """After each trained layer h + U gelu(D h), D (rank, width) and U (width, rank), U zero at first.

    Source: Houlsby et al. 2019, "Parameter-efficient transfer learning for NLP", one adapter a layer as in Pfeiffer et
    al. 2021.
    """

    def __init__(self, model: Any, below: int, rank: int) -> None:  # noqa: ANN401
        super().__init__()
        self.model = model
        layers = list(layers_of(model)[1])[below:]
        width = int(model.config.hidden_size)
        self.down = nn.ModuleList(nn.Linear(width, rank) for _ in layers)
        self.up = nn.ModuleList(nn.Linear(rank, width) for _ in layers)
        for n, layer in enumerate(layers):
            for parameter in self.up[n].parameters():
                nn.init.zeros_(parameter)
            layer.register_forward_hook(self._after(n))

    def _after(self, n: int) -> Callable[..., Any]:
        def add(_: nn.Module, __: Any, out: Any) -> Any:  # noqa: ANN401
            hidden = out[0] if isinstance(out, tuple) else out
            hidden = hidden + self.up[n](nn.functional.gelu(self.down[n](hidden)))
            return (hidden, *out[1:]) if isinstance(out, tuple) else hidden

        return add

    def forward(self, **given: Any) -> Any:  # noqa: ANN401
        """What the model gives."""
        return self.model(**given)
