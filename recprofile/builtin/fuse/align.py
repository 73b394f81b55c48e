"""`align`: what content says of an item, as a vector of the collaborative space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recprofile.builtin.fuse.content import content_of
from recprofile.builtin.fuse.layout import Placed, laid_out
from recprofile.builtin.fuse.sides import Histories, Part
from recprofile.builtin.fuse.weighted import WeightedParams, balanced_parts, expect_named, spread_of
from recprofile.plugin import Context, Dataset, Encoded, Field, FloatArray, Fuser, Profiles, RunError, did_you_mean

L2 = np.logspace(-3, 4, 15)  # the ridges among which leave-one-out chooses


class AlignParams(WeightedParams):
    to: str | None = Field(
        None, description="Stage whose space is the collaborative one; null: the one stage that gives users and items."
    )
    map: Literal["linear", "mlp"] = Field(
        "linear", description="linear: ridge regression; mlp: a net with one hidden layer, stopped early."
    )
    l2: float | None = Field(
        None, gt=0, le=1e9, description="Ridge of the linear map, in items; null: chosen by leave-one-out."
    )
    hidden: int = Field(128, ge=1, le=4096, description="Units of the net's hidden layer.")
    epochs: int = Field(200, ge=1, le=10_000, description="Most passes of the net over the items.")
    learning_rate: float = Field(0.003, gt=0, le=1, description="Step size of Adam for the net.")


class Align(Fuser[AlignParams]):
    """`weighted`, with items that the collaborative space does not know placed in it by a map from their content.

    With X (items, D) the blocks of items alone side by side, each of length 1, and Y the vectors of the block `to`
    (`als`), over the items that both know:

        linear:  W = argmin Σ_i ‖y_i − ȳ − (x_i − x̄) W‖² + l2 ‖W‖²
        mlp:     y = ȳ + tanh((x − x̄) A + a) B

    with the l2 of least leave-one-out error; the net by Adam, for as many epochs as suit a held-out tenth best.

    An item without a vector in `to`, as one without events, gets the vector that the map gives it, so that a user's
    collaborative vector ranks it; users and known items keep theirs, and histories count items as they are known. Where
    content says nothing either, the block's mean stands in, as in `weighted`. The map's R² on items left out is noted.
    Raises RunError RP601 for a weight or `to` that names no such stage, and RP404 where no stage gives users and items
    or none gives items alone. Without two known items the mean stands in for all (a warning).

    Sources: Gantner et al. 2010, "Learning attribute-to-feature mappings for cold-start recommendations"; Sheng et al.
    2024, "AlphaRec" (a linear map from language space to the behaviour space, and an MLP).
    """

    name = "align"

    def __init__(self, params: AlignParams) -> None:
        super().__init__(params)
        self.needs_time = params.half_life_days is not None

    def fuse(self, encoded: Mapping[str, Encoded], data: Dataset, ctx: Context) -> Profiles:
        """Profiles of all users and items."""
        p = self.params
        expect_named(p.weights, encoded)
        to, sources = _sides(encoded, p.to)
        parts = dict(balanced_parts(encoded, data, Histories(data, p), p))
        x, told = content_of(parts, sources)
        known = told & parts[to].there
        if int(known.sum()) < 2:
            ctx.warn(f"{ctx.stage}: fewer than 2 items with content and a vector of '{to}', so nothing is aligned")
            learnt: dict[str, NDArray[Any]] = {}
        else:
            learnt = self._map(x[known], parts[to].items[known], ctx)
        return self._fused(learnt, encoded, data, ctx)

    def again(
        self, learnt: Mapping[str, NDArray[Any]], encoded: Mapping[str, Encoded], data: Dataset, ctx: Context
    ) -> Profiles:
        """With the same map."""
        return self._fused(learnt, encoded, data, ctx)

    def _map(self, x: FloatArray, y: FloatArray, ctx: Context) -> dict[str, NDArray[Any]]:
        p = self.params
        if p.map == "linear":
            found, l2, left = ridge_map(x, y, None if p.l2 is None else [p.l2])
            ctx.note("l2", round(l2, 4))
        else:
            from recprofile.builtin.fuse.align_net import net_map

            found, epochs, left = net_map(
                x, y, hidden=p.hidden, epochs=p.epochs, learning_rate=p.learning_rate, device=ctx.device, seed=ctx.seed
            )
            ctx.note("epochs", epochs)
        ctx.note("r² on items left out", round(left, 4))
        return found

    def _fused(
        self, learnt: Mapping[str, NDArray[Any]], encoded: Mapping[str, Encoded], data: Dataset, ctx: Context
    ) -> Profiles:
        p = self.params
        histories = Histories(data, p)
        parts = dict(balanced_parts(encoded, data, histories, p))
        expected: dict[str, Part] = {}
        if learnt:
            to, sources = _sides(encoded, p.to)
            x, told = content_of(parts, sources)
            expected[to] = replace(parts[to], items=mapped(learnt, x), there=told)
        placed = [Placed(name, part, p.weights.get(name, 1.0), spread_of(part, p)) for name, part in parts.items()]
        dim = sum(part.dim for part in parts.values())
        return laid_out(placed, data, ctx=ctx, dim=dim, history=histories.used, learnt=learnt, expected=expected)


def ridge_map(
    x: FloatArray, y: FloatArray, ridges: Iterable[float] | None = None
) -> tuple[dict[str, NDArray[Any]], float, float]:
    """The linear map from x (n, D) to y (n, d), its ridge, and its R² over rows left out one by one.

    With UΣVᵀ the centred x, the hat matrix is U diag(σ²/(σ² + l2)) Uᵀ + 1/n, so that all ridges cost one decomposition;
    a row's error when it is left out is its error over 1 − its leverage.
    """
    mean, target = x.mean(axis=0, dtype=np.float64), y.mean(axis=0, dtype=np.float64)
    left, sigma, right = np.linalg.svd(x - mean, full_matrices=False)
    centred = y - target
    turned = left.T @ centred
    best: tuple[float, float, NDArray[np.float64]] | None = None
    for l2 in L2 if ridges is None else ridges:
        shrunk = sigma**2 / (sigma**2 + l2)
        fitted = left @ (shrunk[:, None] * turned)
        leverage = np.minimum((left**2) @ shrunk + 1 / len(x), 1 - 1e-9)
        error = float(np.sum(((centred - fitted) / (1 - leverage)[:, None]) ** 2))
        if best is None or error < best[0]:
            best = error, float(l2), right.T @ ((sigma / (sigma**2 + l2))[:, None] * turned)
    assert best is not None
    # The mean of the other rows is what a row left out is held against: its error is n/(n − 1) of the centred one.
    whole = float(np.sum((centred * len(x) / (len(x) - 1)) ** 2))
    learnt = {"mean": mean, "target": target, "linear": best[2]}
    return learnt, best[1], 1 - best[0] / whole if whole > 0 else 0.0


def mapped(learnt: Mapping[str, NDArray[Any]], x: FloatArray) -> FloatArray:
    """What a map makes of content, (n, d) float32."""
    centred = x - learnt["mean"]
    if "linear" in learnt:
        return np.asarray(centred @ learnt["linear"] + learnt["target"], np.float32)
    inner = np.tanh(centred @ learnt["inner"] + learnt["bias"])
    return np.asarray(inner @ learnt["outer"] + learnt["target"], np.float32)


def _sides(encoded: Mapping[str, Encoded], to: str | None) -> tuple[str, list[str]]:
    """The collaborative stage, and those of items alone."""
    both = [name for name, one in encoded.items() if one.items is not None and one.users is not None]
    sources = [name for name, one in encoded.items() if one.users is None]
    if to is not None and to not in both:
        helps = did_you_mean(to, both, label="stages that give users and items")
        raise RunError.of("RP601", f"'{to}' in 'to' is not among the stages that give users and items", help=helps)
    if not both or not sources:
        helps = ("name a stage as 'als' and one as 'text' in 'from'",)
        raise RunError.of("RP404", "'align' needs a stage of users and items, and one of items alone", help=helps)
    if to is None and len(both) > 1:
        names = ", ".join(f"'{name}'" for name in both)
        raise RunError.of("RP601", f"{names} give users and items: which one is 'to'?", help=("name it in 'to'",))
    return (to or both[0]), sources
