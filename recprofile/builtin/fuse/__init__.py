"""Fusers: encoded vectors, side by side in one space, with users pooled from their history where they have no vector.

What one encoder knows is a block. `sides` completes a block, `layout` puts blocks beside one another and masks what is
missing; `pooling` and `weighted` are the plain fusers. `lesson`, `descent` and `choice` are how `attention` (with
`attended` and `attention_learner`) and `gated` (with `gate` and `gate_learner`) learn. `align` (with `content` and
`align_net`) maps content into a model's space; `product` and `cca` (with `mixed`) mix all blocks in one.
"""

from recprofile.builtin.fuse.align import Align, AlignParams
from recprofile.builtin.fuse.attention import Attention, AttentionParams
from recprofile.builtin.fuse.cca import Cca, CcaParams
from recprofile.builtin.fuse.gated import Gated, GatedParams
from recprofile.builtin.fuse.pooling import Concat, ConcatParams, MeanHistory, MeanHistoryParams
from recprofile.builtin.fuse.product import Product, ProductParams
from recprofile.builtin.fuse.weighted import Weighted, WeightedParams

__all__ = [
    "Align",
    "AlignParams",
    "Attention",
    "AttentionParams",
    "Cca",
    "CcaParams",
    "Concat",
    "ConcatParams",
    "Gated",
    "GatedParams",
    "MeanHistory",
    "MeanHistoryParams",
    "Product",
    "ProductParams",
    "Weighted",
    "WeightedParams",
]
