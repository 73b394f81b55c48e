"""The networks of `two-tower`. Imports torch: to be imported late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import embedding, embedding_bag, gelu, normalize

from recprofile.builtin.descent.tensors import Chance, Weights

if TYPE_CHECKING:
    from recprofile.builtin.recommend.gradient.two_tower import TwoTowerParams


def start(p: TwoTowerParams, chance: Chance, *, n_items: int, content: int, codes: int, numbers: int) -> Weights:
    """Weights to start from, for so many items, dimensions of content, and codes and numbers of user columns."""
    weights = {"item": chance.normal(n_items, p.dim, deviation=p.dim**-0.5), "bias": chance.zeros(n_items, 1)}
    if content:
        weights |= {"content": chance.layer(content, p.dim), "content_bias": chance.zeros(content, 1)}
    if codes:
        weights["code"] = chance.zeros(codes, p.dim)
    if numbers:
        weights["number"] = chance.zeros(numbers, p.dim)
    for side, wide in (("user", p.hidden), ("item", p.item_hidden)):
        if wide:
            weights |= {f"{side}/wide": chance.layer(p.dim, wide), f"{side}/wide_bias": chance.zeros(wide)}
            weights[f"{side}/narrow"] = chance.zeros(wide, p.dim)
    return weights


def begin(w: Weights, items: Tensor, content: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
    """What the item tower begins with, (n, dim), and the items' bias, (n,): their own and what content gives, added.

    `content` (n, c); `keep` (n,) is 0 where an item's own vector and bias are left out, else 1.
    """
    own, bias = embedding(items, w["item"]) * keep[:, None], embedding(items, w["bias"]) * keep[:, None]
    if "content" in w:
        own, bias = own + content @ w["content"], bias + content @ w["content_bias"]
    return own, bias.squeeze(1)


def tower(w: Weights, side: str, x: Tensor, *, dropout: float = 0, chance: Chance | None = None) -> Tensor:
    """x + hidden layer(x), of length 1: (n, dim); `chance` where it trains."""
    if f"{side}/wide" in w:
        same = normalize(x, dim=1) * x.shape[1] ** 0.5
        hidden = gelu(same @ w[f"{side}/wide"] + w[f"{side}/wide_bias"])
        x = x + (hidden if chance is None else chance.drop(hidden, dropout)) @ w[f"{side}/narrow"]
    return normalize(x, dim=1)


def pooled(vectors: Tensor, place: Tensor, row: Tensor, weight: Tensor, n: int) -> Tensor:
    """Weighted mean of each of n users' histories, (n, dim); 0 without one.

    Event k, of user `row[k]` (rising), is with the item whose vector is `vectors[place[k]]`.
    """
    counts = torch.bincount(row, minlength=n)
    starts = torch.cumsum(counts, 0) - counts
    sums = embedding_bag(place, vectors, starts, mode="sum", per_sample_weights=weight)
    total = embedding_bag(place, torch.ones_like(vectors[:, :1]), starts, mode="sum", per_sample_weights=weight)
    return sums / total.clamp(min=1e-12)


def with_columns(w: Weights, x: Tensor, codes: Tensor, numbers: Tensor) -> Tensor:
    """x and what the users' columns say: `codes` (n, c), of which 0 says nothing; `numbers` (n, m)."""
    if "code" in w:
        x = x + (embedding(codes, w["code"]) * (codes > 0)[:, :, None]).sum(1)
    return x + numbers @ w["number"] if "number" in w else x
