"""`cca`: what blocks agree on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recprofile.builtin.fuse.mixed import Learnt, MixedParams, Sides, expect_items, item_sides, one_block, settled
from recprofile.builtin.lengths import unit_rows
from recprofile.plugin import Context, Dataset, Encoded, Field, Fuser, Profiles


class CcaParams(MixedParams):
    dim: int = Field(64, ge=1, le=4096, description="Most dimensions of the common space.")
    l2: float = Field(1.0, gt=0, le=1e9, description="Ridge on each block's map, in items.")


class Cca(Fuser[CcaParams]):
    """One block: the space on which all blocks agree best, by generalised canonical correlation in closed form.

    With X_b the items of block b, each of length 1, centred, and known to n_i blocks, the common vectors G solve

        max tr Gᵀ (Σ_b P_b) G  with  Σ_i n_i g_i g_iᵀ = I
        P_b = X_b (X_bᵀX_b + l2)⁻¹ X_bᵀ

    by one singular value decomposition, and W_b = (X_bᵀX_b + l2)⁻¹ X_bᵀ G maps block b there. An item is the mean of
    x_ib W_b over the blocks that know it, so that what is missing is masked, times each dimension's agreement in
    [0, 1] (the eigenvalue), brought to length 1; a user is the mean of their history, of length 1. An item that only
    content knows thus lies beside those that were liked with its like. The agreements are noted.
    On MovieLens-100K it ranks items without events better than `weighted`, and others worse.

    Blocks of users alone are left out (a warning); without any of items RunError RP404. The one block bears the name
    of the fuse stage. Later events move profiles (`update: fold-in`, exactly); new items are mapped as the others.

    Sources: Hotelling 1936; Carroll 1968 (several sets); van de Velden & Bijmolt 2006 (missing rows).
    """

    name = "cca"

    def __init__(self, params: CcaParams) -> None:
        super().__init__(params)
        self.needs_time = params.half_life_days is not None

    def fuse(self, encoded: Mapping[str, Encoded], data: Dataset, ctx: Context) -> Profiles:
        """Profiles of all users and items."""
        expect_items(encoded, ctx)
        sides = item_sides(encoded, data, self.params)
        learnt, agreement = common_maps(sides, dim=self.params.dim, l2=self.params.l2)
        ctx.note("agreement", [round(float(value), 3) for value in agreement[:8]])
        return self._mixed(learnt, sides, data, ctx)

    def again(
        self, learnt: Mapping[str, NDArray[Any]], encoded: Mapping[str, Encoded], data: Dataset, ctx: Context
    ) -> Profiles:
        """By the same maps."""
        return self._mixed(learnt, item_sides(encoded, data, self.params), data, ctx)

    def _mixed(self, learnt: Learnt, sides: Sides, data: Dataset, ctx: Context) -> Profiles:
        there = np.stack([known for _, known in sides.values()], axis=1)
        total = np.zeros((data.n_items, learnt[f"map/{next(iter(sides))}"].shape[1]))
        for name, (x, known) in sides.items():
            total += np.where(known[:, None], (x - learnt[f"mean/{name}"]) @ learnt[f"map/{name}"], 0)
        items = unit_rows(np.asarray(total / np.maximum(there.sum(axis=1), 1)[:, None], np.float32))
        anywhere = np.asarray(there.any(axis=1), np.bool_)
        return one_block(items, anywhere, data, self.params, ctx, normalise=True, learnt=learnt)


def common_maps(sides: Sides, *, dim: int, l2: float) -> tuple[dict[str, NDArray[Any]], NDArray[np.float64]]:
    """Each block's mean and map into the common space, times the agreement; and the agreement, falling."""
    many = np.sum([known for _, known in sides.values()], axis=0)
    weight = np.divide(1, np.sqrt(many), out=np.zeros(len(many)), where=many > 0)[:, None]
    learnt: dict[str, NDArray[Any]] = {}
    found = {}
    for name, (x, known) in sides.items():
        mean = x[known].mean(axis=0, dtype=np.float64) if known.any() else np.zeros(x.shape[1])
        centred = np.where(known[:, None], x - mean, 0).astype(np.float64)
        left, sigma, right = np.linalg.svd(centred, full_matrices=False)
        found[name] = left, sigma, right
        learnt[f"mean/{name}"] = mean
    # Σ_b P_b = M Mᵀ with M the blocks' left vectors, each by the root of what the ridge leaves of it.
    roots = [left * (sigma / np.sqrt(sigma**2 + l2)) for left, sigma, _ in found.values()]
    common, singular, _ = np.linalg.svd(weight * np.concatenate(roots, axis=1), full_matrices=False)
    kept = min(dim, int((singular > 1e-6).sum()))
    agreement = singular[:kept] ** 2
    common = weight * settled(common[:, :kept])
    for name, (left, sigma, right) in found.items():
        learnt[f"map/{name}"] = right.T @ ((sigma / (sigma**2 + l2))[:, None] * (left.T @ common)) * agreement
    return learnt, agreement
