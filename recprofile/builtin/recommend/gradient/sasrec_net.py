"""The network of `sasrec`. Imports torch: to be imported late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import embedding

from recprofile.builtin.descent.tensors import Chance, Weights
from recprofile.builtin.descent.transformer import start_layers, through_layers

if TYPE_CHECKING:
    from recprofile.builtin.recommend.gradient.sasrec import SasRecParams

START = 0.02  # deviation of the vectors that it starts from


def start(p: SasRecParams, chance: Chance, *, n_items: int, marks: int) -> Weights:
    """Weights to start from, for so many items, and kinds of marks; the item after the last one is padding."""
    weights = {"item": chance.normal(n_items + 1, p.dim, deviation=START), "bias": chance.zeros(n_items + 1)}
    if marks:
        weights["mark"] = chance.normal(marks, p.dim, deviation=START)
    if p.positions == "learnt":
        weights["position"] = chance.normal(p.max_length, p.dim, deviation=START)
    return weights | start_layers(chance, layers=p.layers, dim=p.dim)


def states(w: Weights, item: Tensor, mark: Tensor, p: SasRecParams, chance: Chance | None = None) -> Tensor:
    """What is known after each event from it and those before, (n, length, dim).

    `item` and `mark` (n, length) are padded at their end, so that no event sees the padding; the states there mean
    nothing. `chance` where it trains.
    """
    x = embedding(item, w["item"])
    if "mark" in w:
        x = x + embedding(mark, w["mark"])
    if "position" in w:
        x = x + w["position"][: item.shape[1]]
    x = x * p.dim**0.5
    if chance is not None:
        x = chance.drop(x, p.dropout)
    return through_layers(w, x, layers=p.layers, heads=p.heads, there=None, chance=chance, dropout=p.dropout)


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
