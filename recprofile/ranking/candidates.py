"""Which items may be listed at all."""

from __future__ import annotations

import numpy as np
import polars as pl

from recprofile.artifacts import BoolArray, Dataset
from recprofile.errors import DataError


def candidate_mask(spec: str, data: Dataset, *, ids: pl.Series | None = None) -> tuple[BoolArray | None, str | None]:
    """Items that may be listed, bool (n_items,) or None for all; and a note for the report, or None.

    `spec` is 'all', 'cold' (items without any training event), or what to call the list of outside `ids`. Ids that
    are not in the data are left out, and the note says how many.

    Raises DataError RP505 when no item is cold, and RP506 when none of the ids is known.
    """
    if ids is not None:
        codes = data.items.ids.codes(ids)
        unknown = int(np.count_nonzero(codes < 0))
        if unknown == len(codes):
            message = f"none of the {len(codes)} candidate ids in '{spec}' is an item of the data"
            raise DataError.of("RP506", message, help=_examples(ids, data))
        mask = np.zeros(data.n_items, np.bool_)
        mask[codes[codes >= 0]] = True
        note = f"{unknown} of {len(codes)} candidate ids in '{spec}' are not items of the data, and left out"
        return mask, note if unknown else None
    if spec == "all":
        return None, None
    if spec == "cold":
        cold = data.cold_items()
        if not cold.any():
            helps = ("'candidates: cold' goes with 'split: {by: item-cold}', or with items that have no events yet",)
            raise DataError.of("RP505", "no candidates are left: every item has a training event", help=helps)
        return cold, None
    raise ValueError(f"candidates are 'all', 'cold' or ids, not {spec!r}")


def _examples(ids: pl.Series, data: Dataset) -> tuple[str, ...]:
    given, wanted = ", ".join(map(str, ids.head(3))), ", ".join(map(str, data.items.ids.ids.head(3)))
    return tuple(
        f"{name} are such as {some}" for name, some in (("the ids given", given), ("the items' ids", wanted)) if some
    )
