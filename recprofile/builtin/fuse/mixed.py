"""What `product` and `cca` share: items of all blocks mixed in one, from which users are pooled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recprofile.builtin.fuse.layout import Placed, laid_out
from recprofile.builtin.fuse.sides import Histories, Part, complete_parts, pooled
from recprofile.builtin.fuse.weighted import CENTRE
from recprofile.builtin.history import HistoryParams
from recprofile.plugin import BoolArray, Context, Dataset, Encoded, Field, FloatArray, Profiles, RunError

Learnt = Mapping[str, NDArray[Any]]


class MixedParams(HistoryParams):
    centre: bool = Field(True, description=CENTRE)


Sides = Mapping[str, tuple[FloatArray, BoolArray]]


def expect_items(encoded: Mapping[str, Encoded], ctx: Context) -> None:
    """Raises RunError RP404 where no stage gives items; warns of those that give users alone."""
    alone = [name for name, one in encoded.items() if one.items is None]
    if len(alone) == len(encoded):
        raise RunError.of("RP404", f"'{ctx.stage}' needs vectors of items", help=("name such a stage in 'from'",))
    for name in alone:
        ctx.warn(f"{ctx.stage}: '{name}' gives users alone, so it is left out")


def item_sides(encoded: Mapping[str, Encoded], data: Dataset, p: MixedParams) -> Sides:
    """Each stage's item vectors, of length 1, zero where missing, and where they are there."""
    of_items = {name: Encoded(items=one.items) for name, one in encoded.items() if one.items is not None}
    parts = complete_parts(of_items, data, Histories(data, p), normalise=True, centre=p.centre, keep_models=False)
    return {name: (part.items, part.there) for name, part in parts}


def one_block(
    items: FloatArray, there: BoolArray, data: Dataset, p: MixedParams, ctx: Context, *, normalise: bool, learnt: Learnt
) -> Profiles:
    """Profiles of one block, named by the fuse stage, whose users are means of their history."""
    histories = Histories(data, p)
    part: Part = pooled(items, there, histories.of_users(), normalise=normalise)
    return laid_out([Placed(ctx.stage, part)], data, ctx=ctx, dim=part.dim, history=histories.used, learnt=learnt)


def first_axes(rows: FloatArray, most: int) -> NDArray[np.float64]:
    """The first principal axes of rows about zero, (d, at most `most`), signs settled by each one's largest entry."""
    square = rows.astype(np.float64)
    values, axes = np.linalg.eigh(square.T @ square)
    first = axes[:, np.argsort(-values)[:most]]
    return settled(first)


def settled(axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same columns with their largest entry positive, as no decomposition says which way they point."""
    if axes.size == 0:
        return axes
    return np.asarray(axes * np.where(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])] < 0, -1, 1))
