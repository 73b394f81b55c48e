"""What the page shows of checks: the verdict, and what was measured against which limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recprofile.report.plots import axis
from recprofile.report.results import scale_of, shown
from recprofile.report.words import View, as_given, number, places, plain_value

COLUMNS = 12  # of a check's own table
WORDS = {"good": "Held", "bad": "Did not hold", "warn": "Did not hold (a warning)", "unclear": "No verdict"}


def verdict(checks: Sequence[Mapping[str, Any]]) -> View:
    """The gates' verdict in one line: its kind (good, warn, bad, unclear, none) and a sentence."""
    names = {
        kind: [c["id"] for c in checks if _kind(c) == kind] for kind in ("bad", "warn", "unclear", "good")
    }  # fmt: skip
    if names["bad"]:
        return {"kind": "bad", "word": "Failed", "text": f"{_check_names(names['bad'])} did not hold"}
    if names["warn"]:
        return {"kind": "warn", "word": "Passed with a warning", "text": f"{_check_names(names['warn'])} did not hold"}
    if names["unclear"]:
        text = f"the data do not allow a verdict on {_check_names(names['unclear'])}"
        return {"kind": "unclear", "word": "No verdict", "text": text}
    if names["good"]:
        n = len(names["good"])
        return {"kind": "good", "word": "Passed", "text": "the check held" if n == 1 else f"all {n} checks held"}
    return {"kind": "none", "word": "Finished", "text": "the recipe has no check"}


def _check_names(ids: Sequence[str]) -> str:
    shown = ", ".join(f"‘{id}’" for id in ids[:3])
    return shown if len(ids) <= 3 else f"{shown} and {len(ids) - 3} more"


def _kind(check: Mapping[str, Any]) -> str:
    if check.get("passed") is None:
        return "unclear"
    if check["passed"]:
        return "good"
    return "warn" if check.get("fail") == "warn" else "bad"


def check_views(checks: Sequence[Mapping[str, Any]]) -> list[View]:
    """Each check: verdict, measures against their limits, groups on one scale, its own tables."""
    return [
        {
            "id": c["id"],
            "component": c.get("component"),
            "kind": _kind(c),
            "word": WORDS[_kind(c)],
            "summary": c.get("summary"),
            "measures": [_measure(m) for m in c.get("measures") or []],
            "groups": _groups(c.get("groups") or []),
            "tables": [plain_table(title, rows) for title, rows in (c.get("tables") or {}).items()],
        }
        for c in checks
    ]


def _measure(measure: Mapping[str, Any]) -> View:
    value, limit = measure.get("value"), measure.get("limit")
    scale = axis([value, measure.get("low"), measure.get("high"), limit], zero=True)
    decimals = places([value, limit])
    return {
        "name": measure["name"],
        **shown(measure, scale, decimals),
        "limit": "" if limit is None else as_given(limit),
        "limit_at": scale.at(limit) if scale and limit is not None else None,
    }


def _groups(groups: Sequence[Mapping[str, Any]]) -> View | None:
    if not groups:
        return None
    scale, decimals = scale_of(groups), places(g.get("value") for g in groups)
    return {
        "rows": [
            {"group": "missing" if g["group"] is None else plain_value(g["group"]), **shown(g, scale, decimals)}
            for g in groups
        ],
        "axis": scale,
    }


def plain_table(title: str, rows: Sequence[Mapping[str, Any]]) -> View:
    """Rows of plain values as a table: numbers to the right, with the decimals that their column needs."""
    names = list(dict.fromkeys(name for row in rows for name in row))[:COLUMNS]
    numeric = {n: all(_is_number(row.get(n)) for row in rows) for n in names}
    decimals = {
        n: places(row.get(n) for row in rows) for n in names if numeric[n] and any(_is_real(row.get(n)) for row in rows)
    }

    def cell(name: str, value: Any) -> str:  # noqa: ANN401 - a table's plain value
        return number(value, decimals[name]) if name in decimals else plain_value(value)

    return {
        "title": title,
        "columns": [{"name": n, "numeric": numeric[n]} for n in names],
        "rows": [[{"text": cell(n, row.get(n)), "numeric": numeric[n]} for n in names] for row in rows],
    }


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _is_real(value: object) -> bool:
    return isinstance(value, float) and not value.is_integer()
