"""The network of `sasrec`. Imports torch: to be imported late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import embedding, gelu, layer_norm, scaled_dot_product_attention

from recprofile.builtin.recommend.gradient.tensors import Chance, Weights

if TYPE_CHECKING:
    from recprofile.builtin.recommend.gradient.sasrec import SasRecParams

WIDE = 2  # times the dimensions of the network: its hidden layers
START = 0.02  # deviation of the vectors that it starts from


def start(p: SasRecParams, chance: Chance, *, n_items: int, marks: int) -> Weights:
    """Weights to start from, for so many items, and kinds of marks; the item after the last one is padding."""
    d, wide = p.dim, WIDE * p.dim
    weights = {"item": chance.normal(n_items + 1, d, deviation=START), "bias": chance.zeros(n_items + 1)}
    if marks:
        weights["mark"] = chance.normal(marks, d, deviation=START)
    if p.positions == "learnt":
        weights["position"] = chance.normal(p.max_length, d, deviation=START)
    for n in range(p.layers):
        weights |= {f"{n}/{name}": chance.layer(d, d) for name in ("query", "key", "value", "out")}
        weights |= {f"{n}/wide": chance.layer(d, wide), f"{n}/wide_bias": chance.zeros(wide)}
        weights |= {f"{n}/narrow": chance.layer(wide, d), f"{n}/narrow_bias": chance.zeros(d)}
        for name in ("before", "between"):
            weights |= {f"{n}/{name}": chance.ones(d), f"{n}/{name}_bias": chance.zeros(d)}
    return weights | {"end": chance.ones(d), "end_bias": chance.zeros(d)}


def states(w: Weights, item: Tensor, mark: Tensor, p: SasRecParams, chance: Chance | None = None) -> Tensor:
    """What is known after each event from it and those before, (n, length, dim).

    `item` and `mark` (n, length) are padded at their end, so that no event sees the padding; the states there mean
    nothing. `chance` where it trains.
    """
    (n, length), d = item.shape, p.dim

    def drop(x: Tensor) -> Tensor:
        return x if chance is None else chance.drop(x, p.dropout)

    def normal(x: Tensor, name: str) -> Tensor:
        return layer_norm(x, (d,), w[name], w[f"{name}_bias"])

    x = embedding(item, w["item"])
    if "mark" in w:
        x = x + embedding(mark, w["mark"])
    if "position" in w:
        x = x + w["position"][:length]
    x = drop(x * d**0.5)
    for layer in range(p.layers):
        y = normal(x, f"{layer}/before")
        q, k, v = (
            (y @ w[f"{layer}/{name}"]).view(n, length, p.heads, d // p.heads).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        seen = scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(n, length, d)
        x = x + drop(seen @ w[f"{layer}/out"])
        y = normal(x, f"{layer}/between")
        y = drop(gelu(y @ w[f"{layer}/wide"] + w[f"{layer}/wide_bias"]))
        x = x + drop(y @ w[f"{layer}/narrow"] + w[f"{layer}/narrow_bias"])
    return normal(x, "end")


def principal(vectors: Tensor, dim: int) -> Tensor:
    """The first principal components of rows, (n, dim), of deviation `START` over all; 0 where there are fewer.

    A component's sign is that which makes its largest entry positive.
    """
    centred = vectors - vectors.mean(0)
    _, sizes, right = torch.linalg.svd(centred, full_matrices=False)
    right = right[:dim] * (sizes[:dim] > 1e-6 * sizes[:1])[:, None]
    right = right * torch.sign(right.gather(1, right.abs().argmax(1, keepdim=True)))
    out = torch.zeros(len(vectors), dim, device=vectors.device)
    out[:, : len(right)] = centred @ right.T
    return out * (START / out.std(correction=0).clamp(min=1e-12))
