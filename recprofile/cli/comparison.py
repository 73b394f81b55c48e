"""What `compare` prints of results: metrics, paired differences, and where they come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.markup import escape

from recprofile.cli.terminal import console, print_flowing, table

MARKS = {"higher": "▲", "lower": "▼", "not told apart": "○", None: ""}


def print_comparison(found: Mapping[str, Any]) -> None:
    """What came of it, in 80 columns; the page that --html writes has plots and the intervals of breakdowns."""
    _print_pairing(found)
    _print_metrics(found)
    if found["activity"] and found["activity"]["bins"]:
        _print_activity(found)
    if found["popularity"]:
        _print_popularity(found)
    for note in found["notes"]:
        print_flowing(escape(note))
    if found["left_out"]:
        print_flowing(f"left out, for only one of them has it: {', '.join(found['left_out'])}")


def print_lines(found: Mapping[str, Any]) -> None:
    """Who is who."""
    from recprofile.report.words import amount

    lines = found["lines"]
    several = len({line["run"] for line in lines}) > 1 or any(line["name"] == line["run"] for line in lines)
    rows = [
        (line["key"], line["name"], line["ranker"] if several else line["component"], amount(line["users"]))
        for line in lines
    ]
    heads = ("", "run", "lists of", "users") if several else ("", "ranker", "", "users")
    console().print(table(heads, rows, right=(3,)))
    console().print()


def _print_pairing(found: Mapping[str, Any]) -> None:
    from recprofile.report.words import counted

    paired = found["paired"]
    if paired["why"]:
        print_flowing(f"[yellow]not paired[/yellow]: {escape(paired['why'])}")
    else:
        users, by = counted(paired["users"], "user"), "both" if len(found["lines"]) == 2 else "all"
        print_flowing(f"differences are of each less {found['against']}, over the {users} judged alike by {by}")
    console().print()


def _print_metrics(found: Mapping[str, Any]) -> None:
    """A table per metric, all of the same widths: the name of a metric in a column of its own would not fit."""
    from recprofile.metrics import METRICS
    from recprofile.report.words import as_given, share

    level = share(found["confidence"])
    head = ("", "value", f"{level} interval", f"less {found['against']}", f"{level} interval", "p", "")
    tables = {name: _metric_rows(found, name) for name in found["metrics"]}
    every = [head, *(row for rows in tables.values() for row in rows)]
    layout: dict[str, Any] = {
        "right": range(1, len(head) - 1),
        "widths": [max(len(row[n]) for row in every) for n in range(len(head))],
    }
    console().print(table(head, [], **layout))
    for name, rows in tables.items():
        console().print(f"[bold]{escape(name)}[/bold]")
        console().print(table([""] * len(head), rows, **layout))
    console().print()
    if found["tests"]:
        told = "p of a paired randomization test"
        told += f", corrected for {found['tests']} tests (Holm)" if found["tests"] > 1 else ""
        print_flowing(f"{told}; ▲ ▼ p < {as_given(1 - found['confidence'])}; ○ not told apart")
    lower = [n for n in found["metrics"] if (m := METRICS.get(n.partition("@")[0])) and not m.higher_is_better]
    if lower:
        print_flowing(f"lower is better: {', '.join(lower)}")
    if found["tests"] or lower:
        console().print()


def _metric_rows(found: Mapping[str, Any], name: str) -> list[tuple[str, ...]]:
    from recprofile.report.comparison import finer
    from recprofile.report.words import interval, number, p_value, places, signed

    cells = found["metrics"][name]
    differences = {d["key"]: d for d in found["differences"] if d["metric"] == name}
    decimals = places((cell or {}).get("value") for cell in cells.values())
    more = finer(decimals)
    rows = []
    for key, cell in cells.items():
        if cell is None:
            continue
        row = [f"  {key}", number(cell["value"], decimals), interval(cell["low"], cell["high"], decimals)]
        d = differences.get(key) or {}
        if d.get("value") is not None:
            row += [signed(d["value"], more), interval(d["low"], d["high"], more, sign=True)]
            row += [p_value(d["p_holm"]) if d["p_holm"] is not None else "", MARKS[d["verdict"]]]
        rows.append((*row, *[""] * (7 - len(row))))
    return rows


def _print_activity(found: Mapping[str, Any]) -> None:
    from recprofile.report.words import amount, number, places

    activity = found["activity"]
    name = found["metric"] if found["metric"] in activity["metrics"] else next(iter(activity["metrics"]))
    cells = activity["metrics"][name]
    bins = activity["bins"]
    heads = [activity_words(one) for one in bins]
    decimals = places(cell["value"] for line in cells.values() for cell in line)
    rows = [(f"  {key}", *(number(cell["value"], decimals) for cell in line)) for key, line in cells.items()]
    if all(len(set(one["users"].values())) == 1 for one in bins):
        rows.insert(0, ("  users", *(amount(next(iter(one["users"].values()))) for one in bins)))
    console().print(f"[bold]{escape(name)} by user activity[/bold]")
    console().print(table(("  training events", *heads), rows, right=range(1, 1 + len(heads))))
    console().print()


def activity_words(one: Mapping[str, Any]) -> str:
    """'12–34', or '12' where all have as many."""
    return f"{one['low']:,}–{one['high']:,}" if one["low"] < one["high"] else f"{one['low']:,}"


def _print_popularity(found: Mapping[str, Any]) -> None:
    from recprofile.report.words import number, places

    popularity = found["popularity"]
    lines: Mapping[str, Mapping[str, Any]] = popularity["lines"]
    decimals = places(cell["value"] for line in lines.values() for cell in line["recall"])
    rows: list[Sequence[str]] = [*_shared(lines)]
    heads = []
    for title, of in ((f"recall@{popularity['k']}", "recall"), ("share of hits", "hits")):
        heads.append(len(rows))
        rows.append((f"  {title}", *[""] * len(popularity["bins"])))
        for key, line in lines.items():
            told = [number(c["value"], decimals) for c in line[of]] if of == "recall" else _shares(line[of])
            rows.append((f"    {key}", *told))
    console().print("[bold]by item popularity[/bold]")
    console().print(table(("", *popularity["bins"]), rows, right=range(1, 1 + len(popularity["bins"])), bold=heads))
    console().print()


def _shared(lines: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Items and relevant pairs of each bin, once where they are the same for all."""
    from recprofile.report.words import amount

    items = {key: tuple(amount(n) for n in line["items"]) for key, line in lines.items()}
    relevant = {key: _shares(line["relevant"]) for key, line in lines.items()}
    for title, told in (("items", items), ("share of relevant", relevant)):
        same = len(set(told.values())) == 1
        for key, row in told.items():
            yield (f"  {title}" if same else f"  {title}, {key}", *row)
            if same:
                break


def _shares(parts: Sequence[float | None]) -> tuple[str, ...]:
    from recprofile.report.words import share

    return tuple(share(part) for part in parts)
