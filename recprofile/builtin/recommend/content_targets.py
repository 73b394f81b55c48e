"""What `content-ridge` carries over to other items: histories, and what EASE and iALS make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recprofile.builtin.encode.als import AlsParams
from recprofile.builtin.encode.als_ridge import L2
from recprofile.builtin.encode.als_sweep import factors
from recprofile.builtin.recommend.graded import graded_history
from recprofile.builtin.recommend.inverse import ridge_inverse
from recprofile.plugin import Context, Dataset, FloatArray, IntArray

if TYPE_CHECKING:
    from recprofile.builtin.recommend.content_ridge import ContentRidgeParams


def sources(
    data: Dataset, users: IntArray, p: ContentRidgeParams, ctx: Context
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """What is carried over, for some users: history, what EASE and what iALS make of it, (len(users), n_items) each."""
    history = np.asarray(graded_history(data, p=p)[users].toarray(), np.float32)
    by_users, by_items = factors(graded_history(data, p=p), AlsParams(dim=p.dim, l2=L2, weighted=True), ctx)
    return history, history @ linear_weights(data, p, ctx), by_users[users] @ by_items.T


def linear_weights(data: Dataset, p: ContentRidgeParams, ctx: Context) -> FloatArray:
    """EASE on the graded history, (n_items, n_items) float32."""
    x = graded_history(data, p=p)
    weights = ridge_inverse(np.asarray((x.T @ x).toarray(), np.float32), p.l2, ctx)
    weights /= -weights.diagonal().copy()
    np.fill_diagonal(weights, 0)
    return weights
