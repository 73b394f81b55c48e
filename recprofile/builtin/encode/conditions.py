"""Conditions as a recipe writes them, `"< 18"`, `F`, `[F, M]`, on columns of numbers or text."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.plugin import BoolArray, DataError, refusal

Condition = str | bool | tuple[str, ...]
_WRITTEN = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*(.*\S)\s*")
_OPERATORS: dict[str, Callable[[NDArray[np.float64], float], BoolArray]] = {
    ">=": operator.ge, ">": operator.gt, "==": operator.eq, "!=": operator.ne, "<=": operator.le, "<": operator.lt,
}  # fmt: skip


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def expect_condition(text: str, *, at: str) -> None:
    """Refuses an order of what is no number, and a comparison with nothing; `at` is the key of the condition."""
    if re.fullmatch(r"\s*(>=|<=|==|!=|>|<)?\s*", text):
        raise refusal("RP205", f"'{text}' compares with nothing", help=("write a value, as in '>= 18'",), value=at)
    found = _WRITTEN.fullmatch(text)
    if found and found[1] not in ("==", "!=") and _number(found[2]) is None:
        told = f"'{text}' compares with what is no number"
        raise refusal("RP205", told, help=("write a number, as in '>= 18'",), value=at)


def expect_comparison(text: str, *, at: str) -> None:
    """Refuses what is no comparison with a number; `at` is its key."""
    expect_condition(text, at=at)
    found = _WRITTEN.fullmatch(text)
    if found is None or _number(found[2]) is None:
        told = f"'{text}' is no comparison with a number"
        raise refusal("RP205", told, help=("write one, as in '>= 0.3'",), value=at)


def compared(numbers: NDArray[np.float64], condition: str) -> BoolArray:
    """Where numbers satisfy a comparison with a number, bool (n,); not where they are missing (NaN)."""
    found = _WRITTEN.fullmatch(condition)
    assert found is not None
    return np.asarray(_OPERATORS[found[1]](numbers, float(found[2])) & ~np.isnan(numbers))


def holds(column: pl.Series, condition: Condition, *, of: str) -> BoolArray:
    """Where a column's values satisfy a condition, bool (n,); a missing value satisfies none.

    Numbers are compared as such, all else as text: '== F' and 'F' are the same. A list is satisfied by any of its
    texts. Raises DataError RP503 for an order of a column that holds no numbers; `of` names it.
    """
    there = column.is_not_null().to_numpy()
    if isinstance(condition, bool):
        text = column.cast(pl.String).str.to_lowercase()
        return np.asarray(there & (text == str(condition).lower()).fill_null(value=False).to_numpy())
    if isinstance(condition, tuple):
        return np.asarray(there & column.cast(pl.String).is_in(list(condition)).fill_null(value=False).to_numpy())
    found = _WRITTEN.fullmatch(condition)
    sign, value = (found[1], found[2]) if found else ("==", condition.strip())
    numbers = column.cast(pl.Float64, strict=False)
    if _number(value) is not None and numbers.null_count() == column.null_count():
        return compared(numbers.fill_null(float("nan")).to_numpy(), f"{sign} {value}")
    if sign not in ("==", "!="):
        wrong = column.filter(numbers.is_null() & column.is_not_null())[0]
        raise DataError.of("RP503", f"'{condition}' orders {of}, which holds '{wrong}', no number")
    same = (column.cast(pl.String) == value).fill_null(value=False).to_numpy()
    return np.asarray(there & (same if sign == "==" else ~same))
