"""Transformer layers over sequences of vectors. Imports torch: to be imported late.

Layers are normalised before attention and before the hidden layer, and once after the last one.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import gelu, layer_norm, scaled_dot_product_attention

from recprofile.builtin.descent.tensors import Chance, Weights

WIDE = 2  # times the dimensions of the network: its hidden layers


def start_layers(chance: Chance, *, layers: int, dim: int) -> Weights:
    """Weights of so many layers to start from."""
    d, wide = dim, WIDE * dim
    weights: Weights = {}
    for n in range(layers):
        weights |= {f"{n}/{name}": chance.layer(d, d) for name in ("query", "key", "value", "out")}
        weights |= {f"{n}/wide": chance.layer(d, wide), f"{n}/wide_bias": chance.zeros(wide)}
        weights |= {f"{n}/narrow": chance.layer(wide, d), f"{n}/narrow_bias": chance.zeros(d)}
        for name in ("before", "between"):
            weights |= {f"{n}/{name}": chance.ones(d), f"{n}/{name}_bias": chance.zeros(d)}
    return weights | {"end": chance.ones(d), "end_bias": chance.zeros(d)}


def through_layers(
    w: Weights, x: Tensor, *, layers: int, heads: int, there: Tensor | None, chance: Chance | None, dropout: float
) -> Tensor:
    """Vectors (n, length, d) after all layers, the same shape.

    `there` bool (n, length) marks the places that every other one of the row looks at; None: each place looks at
    itself and those before it. `chance` where it trains.
    """
    n, length, d = x.shape
    mask = None if there is None else there[:, None, None, :]

    def drop(y: Tensor) -> Tensor:
        return y if chance is None else chance.drop(y, dropout)

    def normal(y: Tensor, name: str) -> Tensor:
        return layer_norm(y, (d,), w[name], w[f"{name}_bias"])

    for layer in range(layers):
        y = normal(x, f"{layer}/before")
        q, k, v = (
            (y @ w[f"{layer}/{name}"]).view(n, length, heads, d // heads).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        seen = scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=there is None)
        x = x + drop(seen.transpose(1, 2).reshape(n, length, d) @ w[f"{layer}/out"])
        y = normal(x, f"{layer}/between")
        y = drop(gelu(y @ w[f"{layer}/wide"] + w[f"{layer}/wide_bias"]))
        x = x + drop(y @ w[f"{layer}/narrow"] + w[f"{layer}/narrow_bias"])
    return normal(x, "end")
