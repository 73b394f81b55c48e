"""How often two items are liked by one user: the Gram matrix XᵀX that every linear model of items starts from."""

from __future__ import annotations

import numpy as np

from recprofile.builtin.recommend import linear
from recprofile.plugin import Context, Dataset, FloatArray


def gram_matrix(data: Dataset, ctx: Context) -> FloatArray:
    """XᵀX of the positive pairs X, (n_items, n_items) float32, made once for these events; not to be written to.

    It stays with the data, n_items² · 4 bytes, so that a search over parameters pays for it once.
    """

    def make() -> FloatArray:
        x = data.positives()
        n = x.shape[1]
        by_item = x.T.tocsr()
        out = np.empty((n, n), np.float32)
        # Block by block, so that only the result is large: a block takes three times its size on the way.
        step = max(1, linear.BLOCK // 4 // max(n, 1))
        progress = ctx.progress(n, "items")
        for a in range(0, n, step):
            out[a : a + step] = (by_item[a : a + step] @ x).toarray()
            progress.add(min(step, n - a))
        out.setflags(write=False)
        return out

    return data.memo("gram", make)
