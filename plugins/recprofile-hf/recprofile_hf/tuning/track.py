"""One training: its steps, and what it needs to go on after a kill as if there had been none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from recprofile.plugin import RunError
from recprofile_hf.tuning.methods import Tuned
from recprofile_hf.tuning.objectives import Lesson

SMOOTHED = 0.9  # of the loss that is shown


@dataclass(frozen=True)
class Pace:
    """How far each step goes: AdamW with a linear rise over `warmup` of `steps`, and a linear fall to 0 over the rest.

    `clip` is the most that the gradient's norm may be, `accumulate` how many batches a step is made of.
    """

    steps: int
    rate: float
    warmup: float
    decay: float
    clip: float
    accumulate: int

    def share(self, step: int) -> float:
        """Of `rate`, at a step counted from 0."""
        rise = max(1, math.ceil(self.warmup * self.steps))
        return min((step + 1) / rise, max(0.0, (self.steps - step) / max(1, self.steps - rise)), 1.0)


class Track:
    """A model in training. `step` counts finished steps; what a step draws hangs on `seed` and its number alone."""

    def __init__(self, name: str, tuned: Tuned, lesson: Lesson, pace: Pace, seed: int) -> None:
        self.name, self.tuned, self.lesson, self.pace, self.seed = name, tuned, lesson, pace, seed
        self.step, self.loss = 0, math.nan
        self.parameters = {**tuned.trained, **{f"head.{n}": p for n, p in lesson.head.named_parameters()}}
        self.optimiser = torch.optim.AdamW(list(self.parameters.values()), lr=pace.rate, weight_decay=pace.decay)

    def advance(self) -> None:
        """One step. RunError RP601 where the loss is not finite; what came before is as it was."""
        self.tuned.train(False)
        device = self.lesson.task.texts.device
        half = torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
        self.optimiser.zero_grad(set_to_none=True)
        total = 0.0
        for part in range(self.pace.accumulate):
            rng = np.random.default_rng([self.seed, self.step, part])
            torch.manual_seed(int(rng.integers(1 << 62)))  # dropout
            with half:
                loss = self.lesson.loss(self.tuned, rng)
            self._expect_finite(loss)
            (loss / self.pace.accumulate).backward()  # type: ignore[no-untyped-call]  # torch's
            total += float(loss.detach()) / self.pace.accumulate
        norm = nn.utils.clip_grad_norm_(list(self.parameters.values()), self.pace.clip)
        self._expect_finite(norm)
        for group in self.optimiser.param_groups:
            group["lr"] = self.pace.rate * self.pace.share(self.step)
        self.optimiser.step()
        self.step += 1
        self.tuned.stepped()
        self.loss = total if math.isnan(self.loss) else SMOOTHED * self.loss + (1 - SMOOTHED) * total

    def _expect_finite(self, value: torch.Tensor) -> None:
        if not torch.isfinite(value).all():
            help = (f"lower 'rate', which is {self.pace.rate:g}", "the steps before are kept")
            raise RunError.of("RP601", f"the loss is not finite at step {self.step + 1} of {self.name}", help=help)

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Tensors and plain values from which `load` goes on."""
        tensors = {f"p/{name}": p.detach().cpu() for name, p in self.parameters.items()}
        for name, p in self.parameters.items():
            for key, value in self.optimiser.state.get(p, {}).items():
                tensors[f"o/{key}/{name}"] = torch.as_tensor(value).cpu()
        for key, group in self.tuned.importance().items():
            tensors |= {f"i/{key}/{name}": value.cpu() for name, value in group.items()}
        batch = self.lesson.task.batch
        return tensors, {"step": self.step, "loss": None if math.isnan(self.loss) else self.loss, "batch": batch}

    def load(self, tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self.step = self.tuned.step = int(values["step"])
        self.lesson.shrink(int(values["batch"]))
        self.loss = math.nan if values["loss"] is None else float(values["loss"])
        with torch.no_grad():
            for name, p in self.parameters.items():
                p.copy_(tensors[f"p/{name}"])
        for name, p in self.parameters.items():
            found = {
                key.split("/", 2)[1]: value
                for key, value in tensors.items()
                if key.startswith("o/") and key.split("/", 2)[2] == name
            }
            if found:
                self.optimiser.state[p] = {
                    key: value if key == "step" else value.to(p.device) for key, value in found.items()
                }
        importance: dict[str, dict[str, torch.Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("i/"):
                _, kind, name = key.split("/", 2)
                importance.setdefault(kind, {})[name] = value
        self.tuned.set_importance(importance)
