"""What was measured, as a table to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.speed.machine import Machine

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Measure:
    """Of one side: the median of its seconds, its peak, and what is to be said of it."""

    name: str
    seconds: float | None
    mib: float
    share: float
    told: str

    @property
    def shown(self) -> str:
        """The median; ≈ where it is extrapolated."""
        if self.seconds is None:
            return "left out"
        return f"{'≈ ' if self.share < 1 else ''}{duration(self.seconds)}"


def measures(row: Row) -> tuple[Measure, list[Measure]]:
    """Ours, and the peers, the quickest first."""
    found = []
    for name, side in row["sides"].items():
        seconds = median(side["seconds"]) if side["seconds"] else None
        told = side.get("left out") or side.get("unequal") or side.get("same") or ""
        found.append(Measure(name, seconds, side["mib"], side["share"], told))
    ours, *peers = found
    return ours, sorted(peers, key=lambda one: float("inf") if one.seconds is None else one.seconds)


def duration(seconds: float) -> str:
    """Three digits, in a unit that fits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size or unit == "µs":
            value = seconds / size
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
    raise AssertionError


def table(rows: Sequence[Row], machine: Machine) -> str:
    """A line for each peer; what is ours stands in the first of a stage's."""
    lines = [
        "| stage | ours | peer | its time | ours / peer | bound | ours / bound | peak MiB, ours | peer |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [line for row in rows for line in _lines(row, machine)]
    return "\n".join(lines)


def _lines(row: Row, machine: Machine) -> Iterator[str]:
    ours, peers = measures(row)
    least = machine.least(row["bound"])
    assert ours.seconds is not None
    bound, above = (duration(least), f"{ours.seconds / least:.3g}") if least else ("", "")
    first = True
    for peer in peers or [Measure("", None, 0, 1, "")]:
        name, mine, limits, mib = (row["name"], f"**{ours.shown}**", (bound, above), f"{ours.mib:.0f}")
        if not first:
            name, mine, limits, mib = "", "", ("", ""), ""
        times = f"{ours.seconds / peer.seconds:.3g}" if peer.seconds else ""
        shown, theirs = (peer.shown, f"{peer.mib:.0f}" if peer.seconds else "") if peer.name else ("", "")
        yield f"| {name} | {mine} | {peer.name} | {shown} | {times} | {limits[0]} | {limits[1]} | {mib} | {theirs} |"
        first = False


def agreement(rows: Sequence[Row]) -> str:
    """How equal the results were, and who was left out, and why."""
    return "\n".join(
        f"- {row['name']}, {peer.name}: {_said(peer, row['sides'][peer.name])}"
        for row in rows
        for peer in measures(row)[1]
    )


def _said(peer: Measure, side: Mapping[str, Any]) -> str:
    if "left out" in side:
        return f"left out, {peer.told}"
    return f"NOT EQUAL: {peer.told}" if "unequal" in side else peer.told


def unequal(rows: Sequence[Row]) -> list[str]:
    """Who did other work than ours."""
    return [
        f"{row['name']}, {name}: {side['unequal']}"
        for row in rows
        for name, side in row["sides"].items()
        if "unequal" in side
    ]


def settings(machine: Machine, command: str, events: int, users: int, items: int) -> str:
    """Where, when and how it was measured."""
    return (
        f"{machine.date}, {machine.processor}, {machine.cores} cores, {machine.memory_gib:.0f} GiB, {machine.system}, "
        f"Python {machine.python}; float32 matrix products at {machine.gemm_gflops:.0f} GFLOP/s, reading at "
        f"{machine.read_gbs:.0f} GB/s. {events:,} events of {users:,} users on {items:,} items: `{command}`"
    )
