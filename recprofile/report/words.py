"""Numbers, dates and amounts as a reader sees them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

View = dict[str, Any]  # what a template reads: texts, lists of texts, and places on an axis

MINUS = "\N{MINUS SIGN}"
NOTHING = "–"
DIGITS = 3  # significant digits


def places(values: Iterable[float | None]) -> int:
    """Decimals that give a column of numbers three significant digits, the smaller ones at most one digit less."""
    sizes = [abs(v) for v in values if v is not None and math.isfinite(v) and v != 0]
    if not sizes:
        return DIGITS
    fewest, most = (_places(size) for size in (max(sizes), min(sizes)))
    return min(most, fewest + 1)


def _places(size: float) -> int:
    exponent = int(f"{size:.{DIGITS - 1}e}".partition("e")[2])  # of the rounded number: 0.9996 is shown as 1.00
    return max(0, DIGITS - 1 - exponent)


def number(value: float | None, decimals: int | None = None) -> str:
    """Three significant digits, or this many decimals; a true minus; powers of ten where it is very small."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if decimals is None:
        if 0 < abs(value) < 1e-4:
            head, _, power = f"{value:.{DIGITS - 1}e}".partition("e")
            return f"{head} × 10{_raised(int(power))}".replace("-", MINUS)
        decimals = _places(abs(value)) if value else 0
    text = f"{value:,.{decimals}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def _raised(power: int) -> str:
    return str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def as_given(value: float) -> str:
    """A number that a person chose, without digits that they did not write: 0.03."""
    return f"{value:,.6g}".replace("-", MINUS)


def signed(value: float | None, decimals: int | None = None) -> str:
    """As `number`, with its sign: +0.031, −0.0042, 0."""
    text = number(value, decimals)
    above = value is not None and value > 0 and any(c in "123456789" for c in text)
    return f"+{text}" if above else text


def interval(low: float | None, high: float | None, decimals: int | None = None, *, sign: bool = False) -> str:
    """'0.341 to 0.362', or nothing where there is no interval."""
    if low is None or high is None:
        return ""
    one = signed if sign else number
    return f"{one(low, decimals)} to {one(high, decimals)}"


def p_value(p: float | None) -> str:
    """'0.023', or '< 0.001' below that."""
    if p is None or not math.isfinite(p):
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def amount(n: float | None) -> str:
    """A whole number with its thousands apart: 100,000."""
    return NOTHING if n is None else f"{n:,.0f}"


def share(part: float | None) -> str:
    """A part of one as per cent: '34 %', '< 1 %'."""
    if part is None or not math.isfinite(part):
        return NOTHING
    return "< 1 %" if 0 < part < 0.005 else f"{100 * part:.0f} %"


def duration(seconds: float | None) -> str:
    """'12 ms', '4.21 s', '3 min 20 s', '1 h 02 min'."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 0.0995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 99.5:
        return f"{number(seconds)} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def memory(mib: float | None) -> str:
    """'412 MiB', '1.25 GiB'."""
    if mib is None or not math.isfinite(mib):
        return NOTHING
    return f"{mib:,.0f} MiB" if mib < 1000 else f"{number(mib / 1024)} GiB"


def moment(text: object) -> str:
    """An ISO time as '2026-08-31 14:05 UTC'; any other text as it is."""
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return str(text)
    if time.tzinfo is not None:
        return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return f"{time:%Y-%m-%d %H:%M}"


def plain_value(value: object) -> str:
    """Any plain value of a table or summary; a whole number is not grouped, for it may be a year or a code."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value).replace("-", MINUS)
    if isinstance(value, float):
        return plain_value(int(value)) if value.is_integer() and abs(value) < 1e15 else number(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{plain_value(k)} {plain_value(v)}" for k, v in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(plain_value(v) for v in value)
    return str(value)


def counted(n: int, one: str, many: str = "") -> str:
    """'1 warning', '3 warnings'."""
    return f"{amount(n)} {one if n == 1 else many or one + 's'}"
