"""Linear layers through oneDNN on x86 processors, where torch itself takes MKL.

MKL keeps to AVX2 on AMD's processors. Sums of float32 over 384 to 3,072 numbers in oneDNN, with weights laid out for it
once, took 0.45 of the time on a Zen 5 with AVX-512 and 0.85 restricted to AVX2 (all-MiniLM-L6-v2 as a whole: 0.5).
"""

from __future__ import annotations

import torch
from torch import nn
from transformers.activations import GELUActivation

from recprofile.plugin import has_onednn


class OneDnnLinear(nn.Module):
    """What `nn.Linear` computes, up to the order of its sums, and GELU of it when asked to; for inference."""

    def __init__(self, like: nn.Linear) -> None:
        super().__init__()
        self.after = "none"
        self.in_features, self.out_features = like.in_features, like.out_features
        self.packed = torch.ops.mkldnn._reorder_linear_weight(like.weight.detach())
        self.bias = like.bias

    @property
    def weight(self) -> torch.Tensor:
        """The weights as `nn.Linear` holds them, for the few models that look at them (T5)."""
        return self.packed.to_dense()  # type: ignore[no-any-return]  # torch's operators have no types

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rows of x times the weights, plus the bias; GELU by the error function, where it is `after`."""
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, self.after, [], "none")  # type: ignore[no-any-return]


def through_onednn(model: nn.Module) -> nn.Module:
    """The model with its float32 linear layers replaced, where this processor and this torch have oneDNN's."""
    if not has_onednn():
        return model
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            # Not subclasses: they compute something else, or are read by compiled code.
            if type(child) is nn.Linear and child.weight.dtype == torch.float32:
                setattr(parent, name, OneDnnLinear(child))
        _fuse_gelu(parent)
    return model


def _fuse_gelu(parent: nn.Module) -> None:
    """Have BERT's wide layer, and that of its kin, apply GELU while a sum is in a register: one pass over it fewer."""
    layer, activation = getattr(parent, "dense", None), getattr(parent, "intermediate_act_fn", None)
    if (
        isinstance(layer, OneDnnLinear)
        and isinstance(activation, GELUActivation)
        and activation.act is nn.functional.gelu
    ):
        layer.after = "gelu"
        parent.intermediate_act_fn = nn.Identity()
