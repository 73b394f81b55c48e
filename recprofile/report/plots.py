"""Geometry of the page's plots, in per cent of their width, so that the browser may give them any.

A plot is a column of a table: one strip per row, an axis in the foot. Numbers stand beside it as text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from recprofile.report.words import number, places

MARGIN = 0.04  # of the width, free on both sides


@dataclass(frozen=True)
class Tick:
    """A gridline: where it stands, and what is written under it."""

    at: str
    label: str
    zero: bool = False


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` over the width of a strip."""

    low: float
    high: float
    ticks: tuple[Tick, ...] = ()

    def at(self, value: float) -> str:
        """Where a value stands; one that lies outside stands at the edge."""
        return _percent(self._part(value))

    def _part(self, value: float) -> float:
        part = (value - self.low) / (self.high - self.low)
        return MARGIN + (1 - 2 * MARGIN) * min(1.0, max(0.0, part))


@dataclass(frozen=True)
class Dot:
    """A value with its interval (None: it has none)."""

    at: str
    low: str | None = None
    high: str | None = None


@dataclass(frozen=True)
class Bar:
    """A bar from zero to a value."""

    start: str
    width: str
    negative: bool
    zero: str


def axis(values: Iterable[float | None], *, zero: bool = False, ticks: int = 4) -> Axis | None:
    """The axis for these values, with about so many round ticks; None where there is no value at all."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    if not known:
        return None
    if zero:
        known.append(0.0)
    low, high = min(known), max(known)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        around = abs(high) / 10 or 1.0
        low, high = low - around, high + around
    step = _step((high - low) / ticks)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    if last == first:  # one tick says nothing of the scale
        low, high = (first - 1) * step if low < first * step else low, (first + 1) * step
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    bare = Axis(low, high)
    # Labels need the decimals of the step, which 1, 2 and 5 need one digit for.
    decimals = max(0, places([step]) - 2)
    marks = tuple(
        Tick(bare.at(n * step), number(n * step, decimals), n == 0 and low < 0) for n in range(first, last + 1)
    )
    return Axis(low, high, marks)


def dot(scale: Axis | None, value: float | None, low: float | None = None, high: float | None = None) -> Dot | None:
    """Where a value and its interval stand, or None where there is nothing to show."""
    if scale is None or value is None or not math.isfinite(value):
        return None
    if low is None or high is None:
        return Dot(scale.at(value))
    return Dot(scale.at(value), scale.at(low), scale.at(high))


def zero_of(values: Iterable[float | None]) -> float:
    """Where zero stands when bars for these values fill the width, in [0, 1]."""
    low, high = _ends(values)
    return abs(low) / ((high - low) or 1.0)


def bars(values: Sequence[float | None], zero: float | None = None) -> list[Bar]:
    """Bars on one scale with zero at this part of the width; None: where the bars are as long as can be."""
    low, high = _ends(values)
    zero = zero_of(values) if zero is None else zero
    # What fits on both sides of zero.
    unit = min(zero / -low if low else math.inf, (1 - zero) / high if high else math.inf)
    lengths = [0.0 if v is None or not math.isfinite(v) or not v else v * unit for v in values]
    return [Bar(_percent(min(zero, zero + v)), _percent(abs(v)), v < 0, _percent(zero)) for v in lengths]


def _ends(values: Iterable[float | None]) -> tuple[float, float]:
    known = [v for v in values if v is not None and math.isfinite(v)]
    return min([0.0, *known]), max([0.0, *known])


def _step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return power * min((m for m in (1, 2, 5, 10)), key=lambda m: abs(math.log(m * power / rough)))


def _percent(part: float) -> str:
    return f"{100 * part:.2f}".rstrip("0").rstrip(".") + "%"
