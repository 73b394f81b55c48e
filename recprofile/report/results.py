"""What the page shows of metrics: rows, cells and plots, each number already in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from recprofile.metrics import METRICS
from recprofile.report.plots import Axis, axis, dot
from recprofile.report.words import View, amount, counted, interval, number, p_value, places, signed

ROLES = {"main": "main", "baseline": "baseline", "stage": "earlier stage"}


def name_of(ranker: Mapping[str, Any]) -> str:
    """A ranker's line: its id, and the rerank stage after which it was judged."""
    return f"{ranker['id']} + {ranker['after']}" if ranker.get("after") else str(ranker["id"])


def main_of(metrics: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The line of the lists that were given out: the last of the main ranker's."""
    return next((r for r in reversed(metrics.get("rankers") or []) if r.get("role") == "main"), None)


def metric_names(metrics: Mapping[str, Any]) -> list[str]:
    """Every metric that any line has, in the order of the first line that has it."""
    return list(dict.fromkeys(name for r in metrics.get("rankers") or [] for name in r.get("metrics") or {}))


def main_metric(metrics: Mapping[str, Any]) -> str | None:
    """The first metric that the main line has a number for."""
    main = main_of(metrics)
    found = (main or {}).get("metrics") or {}
    return next((name for name in metric_names(metrics) if _value(found.get(name)) is not None), None)


def headline(metrics: Mapping[str, Any]) -> View | None:
    """The main metric with its interval, and how it compares with the best baseline; None where nothing was judged."""
    main, name = main_of(metrics), main_metric(metrics)
    if main is None or name is None:
        return None
    cell = main["metrics"][name]
    decimals = places([cell["value"]])
    view: View = {
        "metric": name,
        "ranker": name_of(main),
        "value": number(cell["value"], decimals),
        "interval": interval(cell.get("low"), cell.get("high"), decimals),
        "n": amount_of(cell),
        "versus": None,
    }
    baselines = [r for r in metrics["rankers"] if r.get("role") == "baseline" and _value(_cell(r, name)) is not None]
    if baselines:
        sign = -1 if lower_is_better(name) else 1
        best = max(baselines, key=lambda r: sign * r["metrics"][name]["value"])
        view["versus"] = _versus(metrics, name, main, best)
    return view


def _versus(metrics: Mapping[str, Any], name: str, main: Mapping[str, Any], best: Mapping[str, Any]) -> View:
    there = best["metrics"][name]["value"]
    found = next(
        (
            d
            for d in metrics.get("differences") or []
            if d["metric"] == name and d["a"] == name_of(main) and d["b"] == name_of(best)
        ),
        None,
    )
    value = found["value"] if found else main["metrics"][name]["value"] - there
    decimals = places([there]) + 1
    view: View = {"name": name_of(best), "value": number(there), "difference": signed(value, decimals), "verdict": None}
    if found:
        view |= {
            "interval": interval(found.get("low"), found.get("high"), decimals, sign=True),
            "verdict": told_apart(found),
            "p": p_value(found.get("p")),
        }
    return view


def lower_is_better(metric: str) -> bool:
    """Whether a smaller number is the better one."""
    known = METRICS.get(metric.partition("@")[0])
    return known is not None and not known.higher_is_better


def about(metric: str) -> str:
    """What a metric measures, in a line; '' for one that this version does not know."""
    known = METRICS.get(metric.partition("@")[0])
    return "" if known is None else known.summary


def told_apart(difference: Mapping[str, Any]) -> View:
    """Whether the interval of a difference excludes 0: a mark and a word, and whether that is better or worse."""
    low, high = difference.get("low"), difference.get("high")
    if low is None or high is None:
        return {"mark": "", "word": "no interval", "kind": "unclear"}
    if low > 0 or high < 0:
        higher = low > 0
        better = higher != lower_is_better(difference["metric"])
        return {
            "mark": "▲" if higher else "▼",
            "word": "higher" if higher else "lower",
            "kind": "good" if better else "bad",
        }
    return {"mark": "○", "word": "not told apart", "kind": "unclear"}


def comparison(metrics: Mapping[str, Any]) -> View | None:
    """The plot of the main metric: one row per line, the best first."""
    name = main_metric(metrics)
    if name is None:
        return None
    lines = [r for r in metrics["rankers"] if _value(_cell(r, name)) is not None]
    order = sorted(lines, key=lambda r: r["metrics"][name]["value"], reverse=not lower_is_better(name))
    cells = [_cell(r, name) for r in order]
    scale, decimals = scale_of(cells), places(c["value"] for c in cells)
    rows = [{**_line(r), **shown(_cell(r, name), scale, decimals)} for r in order]
    return {"metric": name, "rows": rows, "axis": scale}


def table(metrics: Mapping[str, Any]) -> View | None:
    """Every metric of every line, in the order of the recipe; None where no line has a value."""
    names = metric_names(metrics)
    if all(_value(_cell(r, name)) is None for r in metrics.get("rankers") or [] for name in names):
        return None
    decimals = {name: places(_value(_cell(r, name)) for r in metrics["rankers"]) for name in names}
    rows = [
        {**_line(r), "cells": [shown(_cell(r, name), None, decimals[name]) for name in names]}
        for r in metrics["rankers"]
    ]
    return {
        "metrics": [{"name": name, "about": about(name), "lower": lower_is_better(name)} for name in names],
        "rows": rows,
    }


def differences(metrics: Mapping[str, Any]) -> list[View]:
    """Paired differences of one line to others, by metric, on one scale that holds 0 for each."""
    found = [d for d in metrics.get("differences") or [] if d.get("value") is not None]
    return [
        _compared(name, a, [d for d in found if (d["metric"], d["a"]) == (name, a)])
        for name, a in dict.fromkeys((d["metric"], d["a"]) for d in found)
    ]


def _compared(name: str, a: str, rows: Sequence[Mapping[str, Any]]) -> View:
    scale = axis([d.get(part) for d in rows for part in ("value", "low", "high")], zero=True)
    decimals = places(d.get("value") for d in rows)
    return {
        "metric": name,
        "a": a,
        "lower": lower_is_better(name),
        "zero": scale.at(0.0) if scale else None,
        "rows": [
            {
                "b": d["b"],
                "value": signed(d.get("value"), decimals),
                "interval": interval(d.get("low"), d.get("high"), decimals, sign=True),
                "p": p_value(d.get("p")),
                "verdict": told_apart(d),
                "dot": dot(scale, d.get("value"), d.get("low"), d.get("high")),
            }
            for d in rows
        ],
    }


def ratings(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Rating predictors, and on how many test events they were measured; [] where there is none."""
    return [
        (
            name_of(r),
            f"{counted(n['events'], 'test event')} predicted, {amount(n['by_default'])} of them only by default; "
            f"{amount(n['left_out'])} left out",
        )
        for r in metrics.get("rankers") or []
        if (n := r.get("ratings"))
    ]


def by_group(metrics: Mapping[str, Any]) -> list[View]:
    """The main line's metrics by group: one table per user column, the main metric as a plot."""
    main, name = main_of(metrics), main_metric(metrics)
    views: list[View] = []
    if main is None or name is None:
        return views
    for column, groups in (main.get("groups") or {}).items():
        names = list(dict.fromkeys(m for g in groups.values() for m in g.get("metrics") or {}))
        first = name if name in names else next(iter(names), None)
        # The plot is a narrow column here: more than two labels would run into one another.
        scale = scale_of([_cell(g, first) for g in groups.values()] if first else [], ticks=2)
        decimals = {m: places(_value(_cell(g, m)) for g in groups.values()) for m in names}
        views.append(
            {
                "column": column,
                "metric": first,
                "others": [m for m in names if m != first],
                "axis": scale,
                "rows": [
                    {
                        "group": group,
                        "n": amount_of(found),
                        "main": shown(_cell(found, first) if first else {}, scale, decimals.get(first or "", 3)),
                        "cells": [shown(_cell(found, m), None, decimals[m]) for m in names if m != first],
                    }
                    for group, found in groups.items()
                ],
            }
        )
    return views


def fallbacks(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Lines, and how many of their lists they did not make themselves, by reason; [] where there is none."""
    lines: dict[str, list[str]] = {}
    for ranker in metrics.get("rankers") or []:
        counts = (ranker.get("fallbacks") or {}).items()
        text = ", ".join(f"{amount(n)} {reason}" for reason, n in counts if n and reason != "ranked")
        if text:
            lines.setdefault(text, []).append(name_of(ranker))
    return [(", ".join(names), text) for text, names in lines.items()]


def _line(ranker: Mapping[str, Any]) -> View:
    role = str(ranker.get("role", ""))
    note = ROLES.get(role, role)
    return {
        "name": name_of(ranker),
        "component": ranker.get("component"),
        "role": role,
        "note": f"{note}, reranked" if ranker.get("after") else note,
    }


def shown(cell: Mapping[str, Any], scale: Axis | None, decimals: int) -> View:
    """A number with its interval, in words and on a scale; `sort` is the bare number."""
    value, low, high = (cell.get(part) for part in ("value", "low", "high"))
    return {
        "value": number(value, decimals),
        "interval": interval(low, high, decimals),
        "sort": value,
        "n": amount_of(cell),
        "dot": dot(scale, value, low, high),
    }


def scale_of(cells: Iterable[Mapping[str, Any]], *, ticks: int = 4) -> Axis | None:
    """The axis for numbers and their intervals."""
    return axis([cell.get(part) for cell in cells for part in ("value", "low", "high")], ticks=ticks)


def _cell(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (holder.get("metrics") or {}).get(name) or {}
    return found


def _value(cell: Mapping[str, Any] | None) -> float | None:
    return (cell or {}).get("value")


def amount_of(cell: Mapping[str, Any]) -> str:
    """How many users a number rests on, or nothing where that is not told."""
    return "" if cell.get("n") is None else amount(cell["n"])
