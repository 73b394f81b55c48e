"""The arithmetic of `content-ridge`: the sources of scores, and the map that carries them over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recprofile.builtin.encode.als import AlsParams
from recprofile.builtin.encode.als_ridge import L2
from recprofile.builtin.encode.als_sweep import factors
from recprofile.builtin.recommend.content import content_kernel, content_rows
from recprofile.builtin.recommend.content_choice import USUAL, Setting, choose_setting
from recprofile.builtin.recommend.content_targets import linear_weights
from recprofile.builtin.recommend.graded import graded_history
from recprofile.builtin.recommend.inverse import ridge_inverse
from recprofile.builtin.recommend.memory import free_memory, refuse_unless_it_fits
from recprofile.plugin import BoolArray, Context, Dataset, FloatArray, Inputs

if TYPE_CHECKING:
    from recprofile.builtin.recommend.content_ridge import ContentRidgeParams

SQUARES = 6  # n_items² float32: the kernel, A, G or its inverse, B, the weights and one on the way


@dataclass(frozen=True, eq=False)
class Carried:
    """What `content-ridge` learns: `weights` (n_items, n_items) of the linear part, and which items it `ranks`.

    `users_by` (n_users, d) and `items_by` (n_items, d) are the factors, `carried` (n_items, d) what scores are made of
    in place of `items_by`; None without a part by factors. `setting` is what was chosen.
    """

    weights: FloatArray
    ranks: BoolArray
    users_by: FloatArray | None = None
    items_by: FloatArray | None = None
    carried: FloatArray | None = None
    setting: Setting | None = None


def fit_content(data: Dataset, inputs: Inputs, p: ContentRidgeParams, ctx: Context) -> Carried:
    """See `ContentRidge`."""
    refuse_unless_it_fits("content-ridge", data.n_items, free_memory(), squares=SQUARES)
    rows = content_rows(inputs.encoded, data)  # first, for it refuses what gives no vectors
    s = choose_setting(data, list(inputs.encoded), p, ctx)
    for name, value in s.noted().items():
        ctx.note(name, value)
    kernel, ranks = content_kernel(rows, s.weights, s.sharpness)
    events = np.bincount(data.train.item, minlength=data.n_items)
    known = np.flatnonzero((events > 0) & ranks)
    ridge = s.ridge * ((events[known] + 1) / USUAL) ** p.ridge_growth
    carry = ridge_inverse(kernel[np.ix_(known, known)], ridge.astype(np.float32), ctx) @ kernel[known]
    weights = np.zeros((data.n_items, data.n_items), np.float32)
    weights[known] = carry
    if s.linear:
        weights += np.float32(s.linear) * (linear_weights(data, p, ctx)[:, known] @ carry)
    if not s.factors:
        return Carried(weights, ranks, setting=s)
    users, items = factors(graded_history(data, p=p), AlsParams(dim=p.dim, l2=L2, weighted=True), ctx)
    carried = np.asarray(np.float32(s.factors) * (carry.T @ items[known]), np.float32)
    return Carried(weights, ranks, users, items, carried, s)
