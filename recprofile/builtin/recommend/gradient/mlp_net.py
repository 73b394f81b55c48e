"""The network of `mlp`. Imports torch: to be imported late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import gelu

from recprofile.builtin.descent.tensors import Chance, Weights, on
from recprofile.builtin.recommend.gradient.folds import columns
from recprofile.plugin import FloatArray, Profiles

if TYPE_CHECKING:
    from recprofile.builtin.recommend.gradient.mlp import MlpParams

SPREAD = 2.0  # deviation of the inner products' part of a score at the start


@dataclass(frozen=True, eq=False)
class Units:
    """What vectors are multiplied with before the network reads them, (d,) each; what their products are, (d,); and the
    number of each column's block, (d,).
    """

    user: Tensor
    item: Tensor
    product: Tensor
    block: Tensor


def units_of(profiles: Profiles, device: str) -> Units:
    """Units in which each block has the mean length √(d / blocks), and inner products the deviation `SPREAD`."""
    d, blocks = profiles.dim, profiles.blocks

    def of(vectors: FloatArray) -> FloatArray:
        out = np.ones(d, np.float32)
        for block in blocks:
            length = np.linalg.norm(vectors[:, columns(block)], axis=1)
            if (there := length > 0).any():
                out[columns(block)] = np.sqrt(d / len(blocks)) / length[there].mean()
        return out

    users, items = profiles.user_vectors[profiles.known][:1000], profiles.item_vectors
    spread = float((users @ items.T).std()) if len(users) and len(items) else 0.0
    product = np.full(d, SPREAD / spread if spread > 1e-12 else 1.0, np.float32)
    block = np.repeat(np.arange(len(blocks)), [b.stop - b.start for b in blocks])
    return Units(on(device, of(profiles.user_vectors)), on(device, of(items)), on(device, product), on(device, block))


def start(p: MlpParams, profiles: Profiles, chance: Chance) -> Weights:
    """Weights to start from: a score is the blocks' inner products alone."""
    d = profiles.dim
    weights = {"user": chance.layer(d, p.hidden), "item": chance.layer(d, p.hidden), "bias": chance.zeros(p.hidden)}
    weights |= {"out": chance.zeros(p.hidden, 1), "blocks": chance.zeros(len(profiles.blocks))}
    if p.products:
        weights |= {"directions": chance.layer(d, p.products), "product": chance.layer(p.products, p.hidden)}
    return weights


def scores(
    w: Weights, users: Tensor, items: Tensor, units: Units, *, paired: bool, dropout: float, chance: Chance | None
) -> Tensor:
    """Scores of users (n, d) with items: of each with its own, (n,), where `paired`, else of all with all, (n, m).

    `chance` where it trains.
    """
    a, b = (users * units.user) @ w["user"], (items * units.item) @ w["item"] + w["bias"]
    hidden = a + b if paired else a[:, None] + b
    if "directions" in w:
        a, b = (users * units.user) @ w["directions"], (items * units.item) @ w["directions"]
        hidden = hidden + (a * b if paired else a[:, None] * b) @ w["product"]
    hidden = gelu(hidden)
    out = ((hidden if chance is None else chance.drop(hidden, dropout)) @ w["out"]).squeeze(-1)
    weighed = users * (units.product * torch.exp(w["blocks"])[units.block])
    return out + ((weighed * items).sum(1) if paired else weighed @ items.T)
