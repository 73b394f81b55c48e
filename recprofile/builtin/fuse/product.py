"""`product`: items are alike where they are alike in every block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recprofile.builtin.fuse.mixed import Learnt, MixedParams, Sides, expect_items, first_axes, item_sides, one_block
from recprofile.builtin.fuse.weighted import Weights, expect_named
from recprofile.plugin import Context, Dataset, Encoded, Field, FloatArray, Fuser, Profiles, RunError

WIDEST = 4096  # columns of the product


class ProductParams(MixedParams):
    weights: Weights = Field(
        default={}, description="Stage id → what its similarity is multiplied with, 0 or more; 1 where not named."
    )
    components: int = Field(8, ge=1, le=1024, description="Principal axes that are kept of each block.")


class Product(Fuser[ProductParams]):
    """One block in which the similarity of items is the product of their similarities in all blocks:

        score(u, i) = Σ_j h_uj (Π_b (1 + w_b k_b(j, i)) − 1)

    h are the history weights, rows summing to 1, and k_b is the inner product of items in block b, brought to length 1
    and then reduced to its first `components` principal axes. Expanded, it is the sum over all sets of blocks of the
    products in the set: each block by itself, as `weighted` adds them, and what they say together, as a film of one
    director in one genre. So a history item counts by how it suits the candidate in every respect. Nothing is
    learnt. It is for blocks of content: few components hold little of a model's space, and with one, on MovieLens-100K,
    it ranks below `weighted`.

    An item's vector is the outer product of (1, √w_b x_ib) over the blocks, less its constant, of
    Π_b (1 + components) − 1 columns; more than 4096 are refused (RunError RP601). A block that does not know an item
    has the factor 1: it is masked. Blocks of users alone are left out (a warning); without any of items, RP404. The one
    block bears the name of the fuse stage. Later events move profiles (`update: fold-in`, exactly).

    Source: tensor product kernels; Zadeh et al. 2017, "Tensor fusion network" (the outer product with a 1 appended).
    """

    name = "product"

    def __init__(self, params: ProductParams) -> None:
        super().__init__(params)
        self.needs_time = params.half_life_days is not None

    def fuse(self, encoded: Mapping[str, Encoded], data: Dataset, ctx: Context) -> Profiles:
        """Profiles of all users and items."""
        expect_named(self.params.weights, encoded)
        expect_items(encoded, ctx)
        sides = item_sides(encoded, data, self.params)
        axes = {name: first_axes(x, self.params.components) for name, (x, _) in sides.items()}
        columns = int(np.prod([1 + one.shape[1] for one in axes.values()])) - 1
        if columns > WIDEST:
            message = f"{len(axes)} blocks of {self.params.components} components make {columns} columns, over {WIDEST}"
            raise RunError.of("RP601", message, help=("lower 'components' or name fewer stages in 'from'",))
        return self._mixed({f"axes/{name}": one for name, one in axes.items()}, sides, data, ctx)

    def again(
        self, learnt: Mapping[str, NDArray[Any]], encoded: Mapping[str, Encoded], data: Dataset, ctx: Context
    ) -> Profiles:
        """Along the same axes."""
        return self._mixed(learnt, item_sides(encoded, data, self.params), data, ctx)

    def _mixed(self, learnt: Learnt, sides: Sides, data: Dataset, ctx: Context) -> Profiles:
        rows = np.ones((data.n_items, 1), np.float32)
        for name, (x, _) in sides.items():
            rows = _outer(rows, x, learnt, name, self.params.weights.get(name, 1.0))
        there = np.any([known for _, known in sides.values()], axis=0)
        return one_block(rows[:, 1:], there, data, self.params, ctx, normalise=False, learnt=learnt)


def _outer(rows: FloatArray, x: FloatArray, learnt: Learnt, name: str, weight: float) -> FloatArray:
    """Each row's outer product with (1, √w x), flat; its first column stays the constant."""
    near = np.asarray(x @ learnt[f"axes/{name}"] * np.sqrt(weight), np.float32)
    factor = np.concatenate([np.ones((len(x), 1), np.float32), near], axis=1)
    return np.asarray((rows[:, :, None] * factor[:, None, :]).reshape(len(x), rows.shape[1] * factor.shape[1]))
