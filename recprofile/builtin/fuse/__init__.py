"""Fusers: encoded vectors, side by side in one space, with users pooled from their history where they have no vector.

What one encoder knows is a block. `sides` completes a block, `layout` puts blocks beside one another and masks what is
missing; `pooling` and `weighted` are the plain fusers. `lesson`, `descent` and `choice` are how `attention` (with
`attended` and `attention_learner`) and `gated` (with `gate` and `gate_learner`) learn. `align` (with `ridge` and
`perceptron`), `product` and `cca` are closed forms.
"""

from recprofile.builtin.fuse.attention import Attention, AttentionParams
from recprofile.builtin.fuse.gated import Gated, GatedParams
from recprofile.builtin.fuse.pooling import Concat, ConcatParams, MeanHistory, MeanHistoryParams
from recprofile.builtin.fuse.weighted import Weighted, WeightedParams

__all__ = [
    "Attention",
    "AttentionParams",
    "Concat",
    "ConcatParams",
    "Gated",
    "GatedParams",
    "MeanHistory",
    "MeanHistoryParams",
    "Weighted",
    "WeightedParams",
]
