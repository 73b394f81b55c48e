"""A plugin of recprofile: a gate on how much of the catalogue is shown."""

from __future__ import annotations

import numpy as np

from recprofile.plugin import (
    Check,
    CheckResult,
    Context,
    Dataset,
    Field,
    Inputs,
    Measure,
    Params,
    Recommendations,
    hookimpl,
)


class ShownParams(Params):
    min_share: float = Field(0.1, ge=0, le=1, description="Share of all items that must be in some user's list.")


class Shown(Check[ShownParams]):
    """Whether at least `min_share` of all items are recommended to somebody."""

    name = "shown"

    def check(self, recs: Recommendations, inputs: Inputs, data: Dataset, ctx: Context) -> CheckResult:
        """The share, held against the limit; no verdict without items."""
        if data.n_items == 0:
            return CheckResult(None, "no verdict: there are no items")
        share = len(np.unique(recs.items[recs.items >= 0])) / data.n_items
        summary = f"{share:.1%} of {data.n_items} items are in some list; at least {self.params.min_share:.1%} must be"
        measure = Measure("share of items shown", share, limit=self.params.min_share, n=data.n_items)
        return CheckResult(share >= self.params.min_share, summary, (measure,))


@hookimpl
def recprofile_checks() -> list[type[Check[ShownParams]]]:
    return [Shown]
