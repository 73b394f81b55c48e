"""How seconds grow with events: a plot on logarithmic axes beside a line of slope 1."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

Seconds = Mapping[str, Mapping[int, float]]  # by row and number of events


def slope(points: Mapping[int, float]) -> float:
    """From the last but one to the last: 1 is growth in proportion to events."""
    import math

    (fewer, before), (more, after) = sorted(points.items())[-2:]
    return math.log(after / before) / math.log(more / fewer)


def table(seconds: Seconds) -> str:
    """Seconds by events, and the slope between the last two."""
    numbers = sorted({n for points in seconds.values() for n in points})
    head = "".join(f" {n:,} events |" for n in numbers)
    lines = [f"| |{head} slope |", f"|---|{'---|' * (len(numbers) + 1)}"]
    for name, points in seconds.items():
        cells = "".join(f" {points[n]:.3g} s |" if n in points else " |" for n in numbers)
        last = f"{slope(points):.2f}" if len(points) > 1 else ""
        lines.append(f"| {name} |{cells} {last} |")
    return "\n".join(lines)


def plot(seconds: Seconds, file: Path) -> None:
    """As SVG."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "recprofile"  # the same file for the same numbers
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for name, points in seconds.items():
        n = sorted(points)
        thick = 2.5 if name.startswith("whole chain") else 1.2
        axes.loglog(n, [points[at] for at in n], marker="o", linewidth=thick, label=name)
    ends = [f(n for points in seconds.values() for n in points) for f in (min, max)]
    top = max(points[ends[1]] for points in seconds.values() if ends[1] in points)
    axes.loglog(ends, [top * ends[0] / ends[1], top], "--", color="grey", linewidth=1, label="slope 1")
    axes.set(xlabel="events", ylabel="seconds")
    axes.grid(which="major", alpha=0.3)
    axes.legend(fontsize="small")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)
