"""A comparison → one page: metrics, paired differences, and where they come from, as plots and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recprofile.report.plots import Axis, axis, dot
from recprofile.report.render import page
from recprofile.report.results import about, lower_is_better, scale_of, shown
from recprofile.report.words import (
    View,
    amount,
    as_given,
    counted,
    interval,
    p_value,
    places,
    share,
    signed,
)

MARKS = {"higher": "▲", "lower": "▼", "not told apart": "○"}
ENDS = ("value", "low", "high")


def render_comparison(found: Mapping[str, Any]) -> str:
    """The page, from what `compare` gave and nothing else. Everything that comes from data is escaped."""
    lines = {line["key"]: line for line in found["lines"]}
    against = lines[found["against"]]
    one = len({line["run"] for line in found["lines"]}) == 1 and against["name"] != against["run"]
    return page(
        "comparison.html.j2",
        title=f"Rankers of {against['run']}" if one else f"{counted(len(lines), 'run')} compared",
        one=one,
        lines=[{**line, "users": amount(line["users"]), "main": line is against} for line in found["lines"]],
        against=against,
        paired=found["paired"] | {"users": amount(found["paired"]["users"])},
        confidence=share(found["confidence"]),
        resamples=amount(found["resamples"]),
        flips=amount(found["flips"]),
        level=as_given(1 - found["confidence"]),
        tests=found["tests"],
        plot=_plot(found, lines),
        table=_table(found, lines),
        differences=[view for name in found["metrics"] if (view := _difference_view(found, name, lines))],
        activity=_activity(found, lines),
        popularity=_popularity(found, lines),
        left_out=", ".join(found["left_out"]),
        notes=found["notes"],
    )


def _line(line: Mapping[str, Any], found: Mapping[str, Any]) -> View:
    is_against = line["key"] == found["against"]
    return {"key": line["key"], "name": line["name"], "role": "main" if is_against else "other"}


def _plot(found: Mapping[str, Any], lines: Mapping[str, Any]) -> View:
    """The metric that is shown, the best first."""
    name = found["metric"]
    cells = found["metrics"][name]
    known = [key for key in lines if cells[key] and cells[key]["value"] is not None]
    order = sorted(known, key=lambda key: cells[key]["value"], reverse=not lower_is_better(name))
    scale, decimals = scale_of(cells[key] for key in order), places(cells[key]["value"] for key in order)
    rows = [_line(lines[key], found) | shown(cells[key], scale, decimals) for key in order]
    return {"metric": name, "rows": rows, "axis": scale, "lower": lower_is_better(name)}


def _table(found: Mapping[str, Any], lines: Mapping[str, Any]) -> View:
    """Every metric of every line."""
    metrics = found["metrics"]
    decimals = {name: places((cell or {}).get("value") for cell in cells.values()) for name, cells in metrics.items()}
    return {
        "metrics": [{"name": name, "about": about(name), "lower": lower_is_better(name)} for name in metrics],
        "rows": [
            _line(line, found)
            | {"cells": [shown(cells[key] or {}, None, decimals[name]) for name, cells in metrics.items()]}
            for key, line in lines.items()
        ],
    }


def _difference_view(found: Mapping[str, Any], name: str, lines: Mapping[str, Any]) -> View | None:
    """The differences of a metric on one scale around 0; None where none was taken."""
    rows = [d for d in found["differences"] if d["metric"] == name and d["value"] is not None]
    if not rows:
        return None
    scale = axis([row.get(end) for row in rows for end in ENDS], zero=True)
    decimals = finer(places((cell or {}).get("value") for cell in found["metrics"][name].values()))
    views = []
    for row in rows:
        view = _difference(row, scale, decimals)
        view |= {"p": p_value(row["p"]), "p_holm": p_value(row["p_holm"]), **_verdict(row, lower=lower_is_better(name))}
        views.append(_line(lines[row["key"]], found) | view)
    return {"metric": name, "lower": lower_is_better(name), "zero": scale.at(0.0) if scale else None, "rows": views}


def finer(decimals: int) -> int:
    """Decimals of a difference, from those of what it is between: one more, where there are few."""
    return max(decimals, min(decimals + 1, 4))


def _difference(row: Mapping[str, Any], scale: Axis | None, decimals: int) -> View:
    return {
        "value": signed(row["value"], decimals),
        "interval": interval(row["low"], row["high"], decimals, sign=True),
        "dot": dot(scale, row["value"], row["low"], row["high"]),
    }


def _verdict(row: Mapping[str, Any], *, lower: bool) -> View:
    word = row["verdict"]
    if word is None:
        return {"word": "not tested", "mark": "", "kind": "unclear"}
    if word == "not told apart":
        return {"word": word, "mark": MARKS[word], "kind": "unclear"}
    return {"word": word, "mark": MARKS[word], "kind": "good" if (word == "higher") != lower else "bad"}


def _activity(found: Mapping[str, Any], lines: Mapping[str, Any]) -> View | None:
    """Per user metrics by activity: the one that is shown as a plot, all of them as a table."""
    activity = found["activity"]
    if not activity or not activity["bins"]:
        return None
    metrics = activity["metrics"]
    name = found["metric"] if found["metric"] in metrics else next(iter(metrics))
    groups = [f"{_range(one)} training events" for one in activity["bins"]]
    counts = [set(one["users"].values()) for one in activity["bins"]]
    notes = [f"{amount(next(iter(n)))} users" if len(n) == 1 else "" for n in counts]
    return _bins(name, metrics[name], groups, notes, found) | {
        "heads": [_range(one) for one in activity["bins"]],
        "tables": [_bin_table(metric, cells, lines) for metric, cells in metrics.items()],
    }


def _popularity(found: Mapping[str, Any], lines: Mapping[str, Any]) -> View | None:
    """Recall and shares of hits by popularity of items."""
    popularity = found["popularity"]
    if not popularity:
        return None
    told = popularity["lines"]
    same = len({tuple(line["items"]) for line in told.values()}) == 1
    notes = []
    for at in range(len(popularity["bins"])):
        first = next(iter(told.values()))
        each = f"{counted(first['items'][at], 'item')}, {share(first['relevant'][at])} of what is relevant"
        notes.append(each if same else "")
    name = f"recall@{popularity['k']}"
    view = _bins(name, {key: line["recall"] for key, line in told.items()}, popularity["bins"], notes, found)
    for at, group in enumerate(view["groups"]):
        for row in group["rows"]:
            row["hits"] = share(told[row["key"]]["hits"][at])
    return view


def _bins(
    name: str,
    cells: Mapping[str, Sequence[Mapping[str, Any]]],
    groups: Sequence[str],
    notes: Sequence[str],
    found: Mapping[str, Any],
) -> View:
    """A metric in groups of rows, one per bin, on one scale; with the difference where there is one."""
    lines = {line["key"]: line for line in found["lines"]}
    every = [cell for line in cells.values() for cell in line]
    scale, decimals = scale_of(every), places(cell["value"] for cell in every)
    views = []
    for at, (group, note) in enumerate(zip(groups, notes, strict=True)):
        rows = []
        for key, line in cells.items():
            row = _line(lines[key], found) | shown(line[at], scale, decimals)
            difference = line[at].get("difference")
            told = (
                _difference(difference, None, finer(decimals)) if difference and difference["value"] is not None else {}
            )
            rows.append(row | {"difference": told})
        views.append({"group": group, "note": note, "rows": rows})
    return {"metric": name, "groups": views, "axis": scale}


def _bin_table(name: str, cells: Mapping[str, Sequence[Mapping[str, Any]]], lines: Mapping[str, Any]) -> View:
    decimals = places(cell["value"] for line in cells.values() for cell in line)
    rows = [
        {"key": key, "name": lines[key]["name"], "cells": [shown(cell, None, decimals) for cell in line]}
        for key, line in cells.items()
    ]
    return {"metric": name, "rows": rows}


def _range(one: Mapping[str, Any]) -> str:
    return f"{amount(one['low'])}–{amount(one['high'])}" if one["low"] < one["high"] else amount(one["low"])
