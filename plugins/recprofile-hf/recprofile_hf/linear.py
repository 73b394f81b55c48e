"""Linear layers through oneDNN on x86 processors, where torch itself takes MKL.

MKL keeps to AVX2 on AMD's processors. Sums of float32 over 384 to 3,072 numbers in oneDNN, with weights laid out for it
once, took 0.45 of the time on a Zen 5 with AVX-512 and 0.85 restricted to AVX2 (all-MiniLM-L6-v2 as a whole: 0.5).
"""

from __future__ import annotations

import torch
from torch import nn

from recprofile.plugin import has_onednn


class OneDnnLinear(nn.Module):
    """What `nn.Linear` computes, up to the order of its sums; for inference."""

    def __init__(self, like: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = like.in_features, like.out_features
        self.packed = torch.ops.mkldnn._reorder_linear_weight(like.weight.detach())
        self.bias = like.bias

    @property
    def weight(self) -> torch.Tensor:
        """The weights as `nn.Linear` holds them, for the few models that look at them (T5)."""
        return self.packed.to_dense()  # type: ignore[no-any-return]  # torch's operators have no types

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rows of x times the weights, plus the bias."""
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")  # type: ignore[no-any-return]


def through_onednn(model: nn.Module) -> nn.Module:
    """The model with its float32 linear layers replaced, where this processor and this torch have oneDNN's."""
    if not has_onednn():
        return model
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            # Not subclasses: they compute something else, or are read by compiled code.
            if type(child) is nn.Linear and child.weight.dtype == torch.float32:
                setattr(parent, name, OneDnnLinear(child))
    return model
