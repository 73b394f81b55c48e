"""How often two items are liked by one user: the Gram matrix XᵀX that every linear model of items starts from."""

from __future__ import annotations

from recprofile.plugin import Context, Dataset, FloatArray


def gram_matrix(data: Dataset, ctx: Context) -> FloatArray:
    """XᵀX of the positive pairs X, (n_items, n_items) float32, made once for these events; not to be written to.

    It stays with the data, n_items² · 4 bytes, so that a search over parameters pays for it once.
    """

    def make() -> FloatArray:
        from recprofile.builtin.recommend.pairs import gram_of

        x = data.positives()
        out = gram_of(x, ctx.progress(x.shape[1], "items"))
        out.setflags(write=False)
        return out

    return data.memo("gram", make)
