"""A model's layers: those that are trained, and those below, whose results are computed once."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from recprofile.plugin import RunError


def layers_of(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """The stack of layers that a model is made of, and its name; RunError RP605 where there is none."""
    stacks = [(name, part) for name, part in model.named_modules() if isinstance(part, nn.ModuleList) and len(part)]
    sizes = [(sum(p.numel() for p in part.parameters()), name, part) for name, part in stacks]
    if not sizes:
        raise RunError.of("RP605", f"a {type(model).__name__} has no stack of layers that could be trained")
    _, name, stack = max(sizes, key=lambda one: one[0])
    return name, stack


class Lower:
    """A model up to its last `trained` layers, which training leaves as it is. Padding is on the right."""

    def __init__(self, model: Any, trained: int) -> None:  # noqa: ANN401 - each model has a class of its own
        self.model = model
        stack = layers_of(model)[1]
        self.below = len(stack) - min(trained, len(stack))
        self._first = stack[self.below]

    def __call__(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """What comes into the first layer that is trained, (b, t, width), for tokens and mask (b, t)."""
        caught: list[torch.Tensor] = []

        def catch(_: nn.Module, args: tuple[torch.Tensor, ...], named: dict[str, Any]) -> None:
            caught.append(args[0] if args else named["hidden_states"])
            raise _CaughtError

        hook = self._first.register_forward_pre_hook(catch, with_kwargs=True)
        try:
            with torch.no_grad():
                self.model(input_ids=tokens, attention_mask=mask.long())
        except _CaughtError:
            return caught[0]
        finally:
            hook.remove()
        raise AssertionError("the layer was not run")


class Upper:
    """The rest of a model, `outer` being the model or what wraps it: it takes what `Lower` gives.

    The model's embeddings and lower layers are taken out of it, so that it is of no other use.
    """

    def __init__(self, model: Any, outer: Any, below: int) -> None:  # noqa: ANN401 - as above
        self.outer = outer
        self._given = _Given()
        place = next((name for name in ("embeddings", "embed_tokens") if hasattr(model, name)), None)
        if place is None:
            raise RunError.of("RP605", f"how a {type(model).__name__} begins is not known, so it cannot be trained")
        setattr(model, place, self._given)
        stack = layers_of(model)[1]
        for n in range(below):
            stack[n] = _Passed()

    def __call__(self, hidden: torch.Tensor, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The last layer's states, (b, t, width)."""
        self._given.hidden = hidden
        out: torch.Tensor = self.outer(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        return out.float()


class _Given(nn.Module):
    """In the place of a model's embeddings: hidden states that were computed before."""

    hidden: torch.Tensor

    def forward(self, *_: Any, **__: Any) -> torch.Tensor:
        """What was given."""
        return self.hidden


class _Passed(nn.Module):
    """In the place of a layer whose result is known: what came in."""

    def forward(self, hidden: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        """The hidden states as they are."""
        return hidden


class _CaughtError(Exception):
    """Ends a forward pass at the layer whose input is wanted."""
