"""The plain fusers: `concat` and `mean-history`, blocks side by side with nothing weighed."""

from __future__ import annotations

from collections.abc import Mapping

from recprofile.builtin.fuse.layout import Placed, laid_out
from recprofile.builtin.fuse.sides import Histories, complete_parts
from recprofile.builtin.history import HistoryParams
from recprofile.plugin import Context, Dataset, Encoded, Field, Fuser, Profiles


class ConcatParams(HistoryParams):
    normalise: bool = Field(False, description="Bring each block's part to length 1, on both sides.")


class Concat(Fuser[ConcatParams]):
    """Blocks side by side as their encoders made them; a score is the sum of their inner products.

    Users of a block of items alone are the means of their history, items of a block of users alone those of their
    audience; what is missing is masked (see `weighted`). Later events move pooled blocks and those of models
    (`update: fold-in`).
    """

    name = "concat"

    def __init__(self, params: ConcatParams) -> None:
        super().__init__(params)
        self.needs_time = params.half_life_days is not None

    def fuse(self, encoded: Mapping[str, Encoded], data: Dataset, ctx: Context) -> Profiles:
        """Profiles of all users and items."""
        return _side_by_side(encoded, data, self.params, ctx, normalise=self.params.normalise, centre=False)


class MeanHistoryParams(HistoryParams):
    normalise: bool = Field(True, description="Bring each block's part to length 1, on both sides.")
    centre: bool = Field(
        True,
        description="Subtract the mean vector of the training items (or users) from a block of items (or users) alone.",
    )


class MeanHistory(Fuser[MeanHistoryParams]):
    """A user is the mean of the items in their history: one block per encoder, all of equal weight.

    With `normalise`, a block's part of a score is the cosine of user and item; with `centre`, what all items have in
    common is taken out first, without which most text vectors point one way. What is missing is masked (see
    `weighted`). Later events move pooled blocks and those of models (`update: fold-in`).
    """

    name = "mean-history"

    def __init__(self, params: MeanHistoryParams) -> None:
        super().__init__(params)
        self.needs_time = params.half_life_days is not None

    def fuse(self, encoded: Mapping[str, Encoded], data: Dataset, ctx: Context) -> Profiles:
        """Profiles of all users and items."""
        p = self.params
        return _side_by_side(encoded, data, p, ctx, normalise=p.normalise, centre=p.centre)


def _side_by_side(
    encoded: Mapping[str, Encoded], data: Dataset, p: HistoryParams, ctx: Context, *, normalise: bool, centre: bool
) -> Profiles:
    histories = Histories(data, p)
    parts = complete_parts(encoded, data, histories, normalise=normalise, centre=centre, keep_models=False)
    dim = sum(one.dim for one in encoded.values())
    return laid_out((Placed(name, part) for name, part in parts), data, ctx=ctx, dim=dim, history=histories.used)
