"""What the report says, as plain JSON: everything that the page is made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np

from recprofile.artifacts import Dataset, Explanations, Profiles, Recommendations
from recprofile.interests import item_names
from recprofile.report.samples import Shown, sample_users

FORMAT = 1  # raised when a later version cannot read an earlier report.json


def build_report(
    *,
    manifest: Mapping[str, Any],
    metrics: Mapping[str, Any],
    checks: Sequence[Mapping[str, Any]],
    data: Dataset,
    recs: Recommendations | None,
    explanations: Explanations | None,
    profiles: Profiles | None,
    samples: int = 6,
) -> dict[str, Any]:
    """The whole report as plain JSON values: the same input gives the same report.

    `samples` users are shown in full, chosen by a fixed rule (see `chosen_users`). A number that is not finite becomes
    null.
    """
    shown = Shown(data, recs, explanations, profiles, item_names(data))
    report: dict[str, Any] = plain(
        {
            "format": FORMAT,
            "manifest": {name: value for name, value in manifest.items() if name != "contents"},
            "metrics": metrics,
            "checks": checks,
            "ranked": recs is not None,
            "explained": explanations is not None,
            "profiled": profiles is not None,
            "samples": sample_users(shown, samples),
        }
    )
    return report


def plain(value: Any) -> Any:  # noqa: ANN401 - any value to any JSON value
    """A value as JSON holds it: numpy scalars, dates and tuples too; NaN and infinities are null."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, Set):
        return sorted((plain(one) for one in value), key=str)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [plain(one) for one in value]
    return str(value)
