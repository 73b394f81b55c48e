"""How a relation leads from one entity to another, in four models. Imports torch: to be imported late.

Each says where a relation leads to from a head (`ahead`), and from a tail (`back`); a statement's score is how near
that is to the other entity, by distance or by inner product, so that many entities are scored by one product. Complex
vectors are their real parts, then their imaginary ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

NEAR = 1e-6  # squared distance, below which it has no direction

Leads = Callable[[Tensor, Tensor], Tensor]  # entities (n, d) and relations (n, of the model) → (n, d)


@dataclass(frozen=True)
class Model:
    """`by_distance`: the score is minus the distance, else the inner product; `halves`: a relation has d/2 numbers."""

    ahead: Leads
    back: Leads
    by_distance: bool
    halves: bool = False

    def pairs(self, led: Tensor, entity: Tensor) -> Tensor:
        """Scores of entities (n, d), each against its own row of `led` (n, d): (n,)."""
        if self.by_distance:
            return -((led - entity).square().sum(1) + NEAR).sqrt()
        return (led * entity).sum(1)

    def against(self, led: Tensor, entity: Tensor) -> Tensor:
        """Scores of every entity (m, d) against every row of `led` (n, d): (n, m)."""
        inner = led @ entity.T
        if self.by_distance:
            square = led.square().sum(1)[:, None] + entity.square().sum(1) - 2 * inner
            return -(square.clamp(min=0) + NEAR).sqrt()
        return inner


def _times(x: Tensor, y: Tensor) -> Tensor:
    """Products of complex numbers."""
    (a, b), (c, d) = x.chunk(2, 1), y.chunk(2, 1)
    return torch.cat([a * c - b * d, a * d + b * c], 1)


def _conjugate(x: Tensor) -> Tensor:
    a, b = x.chunk(2, 1)
    return torch.cat([a, -b], 1)


def _turn(angle: Tensor) -> Tensor:
    """Complex numbers of length 1."""
    return torch.cat([angle.cos(), angle.sin()], 1)


MODELS = {
    "transe": Model(lambda x, r: x + r, lambda x, r: x - r, by_distance=True),
    "rotate": Model(lambda x, r: _times(x, _turn(r)), lambda x, r: _times(x, _turn(-r)), by_distance=True, halves=True),
    "distmult": Model(lambda x, r: x * r, lambda x, r: x * r, by_distance=False),
    # Re(h r conj(t)) is the inner product of h r with t, and of conj(r) t with h, parts as they stand here.
    "complex": Model(_times, lambda x, r: _times(x, _conjugate(r)), by_distance=False),
}
