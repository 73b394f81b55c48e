"""Columns of a table of users as codes and numbers, which networks take; learnt once, for later users too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.plugin import BoolArray, FloatArray, Table

FAR = 5.0  # deviations from the mean beyond which a number counts as that far


@dataclass(frozen=True)
class Attributes:
    """What is known of columns: the values of those of text, mean and deviation of those of numbers."""

    values: Mapping[str, Sequence[str]]
    spreads: Mapping[str, tuple[float, float]]

    @classmethod
    def of(cls, table: Table, columns: Sequence[str], rows: BoolArray) -> Attributes:
        """Learnt from these rows; raises DataError RP502 or RP503 as `Table` does."""
        values: dict[str, Sequence[str]] = {}
        spreads: dict[str, tuple[float, float]] = {}
        for name in columns:
            if table.column(name).dtype.is_numeric():
                x = table.numbers([name])[rows, 0].astype(np.float64)
                x = x[~np.isnan(x)]
                spread = float(x.std()) if len(x) else 0.0
                spreads[name] = (float(x.mean()) if len(x) else 0.0, spread if spread > 0 else 1.0)
            else:
                values[name] = table.text(name).filter(pl.Series(rows)).drop_nulls().unique().sort().to_list()
        return cls(values, spreads)

    @property
    def n_codes(self) -> int:
        """How many codes there are, 0 for 'nothing known' included; 0 without columns of text."""
        return 1 + sum(map(len, self.values.values())) if self.values else 0

    def codes(self, table: Table) -> NDArray[np.int32]:
        """A code for each row and column of text, (n, c); 0 for a value that was not there, or a column that is not."""
        out = np.zeros((len(table), len(self.values)), np.int32)
        before = 0
        for n, (name, values) in enumerate(self.values.items()):
            if name in table.columns and values:
                code = np.arange(before + 1, before + len(values) + 1, dtype=np.int32)
                found = table.text(name).replace_strict(
                    pl.Series(values), pl.Series(code), default=0, return_dtype=pl.Int32
                )
                out[:, n] = found.fill_null(0).to_numpy()
            before += len(values)
        return out

    def numbers(self, table: Table) -> FloatArray:
        """Deviations from the mean, at most `FAR`, (n, m) float32; 0 where a number or its column is missing."""
        out = np.zeros((len(table), len(self.spreads)), np.float32)
        for n, (name, (mean, spread)) in enumerate(self.spreads.items()):
            if name in table.columns:
                x = (table.numbers([name])[:, 0] - mean) / spread
                out[:, n] = np.nan_to_num(np.clip(x, -FAR, FAR))
        return out

    def to_data(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "values": {k: list(v) for k, v in self.values.items()},
            "spreads": {k: list(v) for k, v in self.spreads.items()},
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Attributes:
        """The inverse of `to_data`."""
        return cls(data["values"], {name: (mean, spread) for name, (mean, spread) in data["spreads"].items()})
