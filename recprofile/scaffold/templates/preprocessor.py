"""A plugin of recprofile: training events that count."""

from __future__ import annotations

import numpy as np

from recprofile.plugin import Context, DataError, Dataset, Field, Params, Preprocessor, hookimpl


class StrongParams(Params):
    min_weight: float = Field(1.0, ge=0, le=1e9, description="Weight that an event must have, in the unit of the log.")


class Strong(Preprocessor[StrongParams]):
    """Only training events of at least `min_weight`; validation and test stay as they are.

    Raises DataError RP505 when none is left.
    """

    name = "strong"

    def preprocess(self, data: Dataset, ctx: Context) -> Dataset:
        """The data with fewer training events, and a note of how many went."""
        strong = np.nan_to_num(data.train.weight) >= self.params.min_weight
        if not strong.any():
            raise DataError.of("RP505", f"no training event has a weight of at least {self.params.min_weight:g}")
        kept = data.revise(train=data.train.take(strong), held=data.held[strong])
        return kept.note(f"{int((~strong).sum())} training events below {self.params.min_weight:g} were left out")


@hookimpl
def recprofile_preprocessors() -> list[type[Preprocessor[StrongParams]]]:
    return [Strong]
