"""Ids and attributes: IdMap (outside id ↔ dense row) and Table (columns aligned to an IdMap)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import polars as pl

from recprofile.artifacts.pack import Pack, join_packs
from recprofile.artifacts.template import Template
from recprofile.artifacts.types import BoolArray, FloatArray, IntArray
from recprofile.errors import ArtifactError, DataError, did_you_mean


@dataclass(frozen=True, eq=False)
class IdMap:
    """Outside ids ↔ dense rows 0 … n-1, sorted by id; whole numbers stay whole numbers, all else is text."""

    ids: pl.Series

    def __post_init__(self) -> None:
        if self.ids.dtype not in (pl.Int64, pl.String):
            raise ArtifactError(f"ids are {self.ids.dtype}, and must be Int64 or String")
        if self.ids.null_count() or self.ids.n_unique() != len(self.ids):
            raise ArtifactError("ids must be unique and none may be missing")

    @classmethod
    def of(cls, *series: pl.Series) -> IdMap:
        """The sorted union of id columns: Int64 when all are whole numbers, else String."""
        dtype = pl.Int64 if all(s.dtype.is_integer() for s in series) else pl.String
        every = pl.concat([s.cast(dtype).rename("id") for s in series]) if series else pl.Series("id", [], pl.Int64)
        return cls(every.drop_nulls().unique().sort())

    def __len__(self) -> int:
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdMap) and self.ids.dtype == other.ids.dtype and self.ids.equals(other.ids)

    __hash__ = None  # type: ignore[assignment]  # compared by content, so not hashable

    def codes(self, outside: pl.Series | Sequence[Any]) -> IntArray:
        """Dense rows of outside ids, int32 (n,); -1 where an id is unknown or missing."""
        series = outside if isinstance(outside, pl.Series) else pl.Series("id", list(outside), strict=False)
        wanted = series.cast(self.ids.dtype, strict=False)
        if len(self) == 0:
            return np.full(len(wanted), -1, np.int32)
        # a third of the time of a join: 0.27 s for ten million text ids
        rows = pl.Series(np.arange(len(self), dtype=np.int32))
        found = wanted.replace_strict(self.ids, rows, default=-1, return_dtype=pl.Int32)
        return found.fill_null(-1).to_numpy().astype(np.int32, copy=False)

    def outside(self, codes: IntArray) -> pl.Series:
        """Outside ids of dense rows, in the order given."""
        return self.ids.gather(codes.astype(np.uint32))

    def keep(self, mask: BoolArray) -> IdMap:
        """The ids where the mask holds; their dense rows close up."""
        return IdMap(self.ids.filter(pl.Series(mask)))

    def pack(self) -> Pack:
        """See `Pack`."""
        return Pack(tables={"ids": self.ids.rename("id").to_frame()})

    @classmethod
    def unpack(cls, pack: Pack) -> IdMap:
        """The inverse of `pack`."""
        return cls(pack.tables["ids"]["id"])


@dataclass(frozen=True, eq=False)
class Table:
    """Attributes of items or of users: one row per id, in the order of the IdMap; missing values are null.

    `rows` is the row of each id in the file it came from (the first line after a header is row 1; 0 where the
    id stands in no file), so that an error can point at it; `origin` names that file.
    """

    ids: IdMap
    frame: pl.DataFrame = field(default_factory=pl.DataFrame)
    origin: str = ""
    rows: IntArray = field(default_factory=lambda: np.zeros(0, np.int32))

    def __post_init__(self) -> None:
        if self.frame.width and self.frame.height != len(self.ids):
            raise ArtifactError(f"a table has {self.frame.height} rows for {len(self.ids)} ids")
        if len(self.rows) == 0:
            object.__setattr__(self, "rows", np.zeros(len(self.ids), np.int32))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def columns(self) -> list[str]:
        """Names of the attribute columns."""
        return self.frame.columns

    def column(self, name: str) -> pl.Series:
        """One column, (n,); raises DataError RP502 with the closest name when there is none."""
        if name not in self.frame.columns:
            of = self.origin or "this data set (it has no such table)"
            helps = did_you_mean(name, self.frame.columns, label="columns")
            raise DataError.of("RP502", f"no column '{name}' in {of}", help=helps)
        return self.frame[name]

    def numbers(self, columns: Sequence[str]) -> FloatArray:
        """Numeric columns as (n, len(columns)) float32, NaN where missing.

        Raises DataError RP502 for an unknown column and RP503 for one of another type, or for text that is no number,
        an infinity, or a number too large for float32, with the row.
        """
        out = np.empty((len(self), len(columns)), np.float32)
        for at, name in enumerate(columns):
            series = self.column(name)
            if series.dtype.is_temporal():
                self._refuse(name, series, series.is_not_null(), "is a date or time, and must be a number")
            if series.dtype.is_nested() or series.dtype in (pl.Binary, pl.Object):
                self._refuse_type(name, series, "numbers")
            cast = series.cast(pl.Float64, strict=False)
            self._refuse(name, series, cast.is_null() & series.is_not_null(), "is no number")
            large = cast.fill_nan(None).abs() > np.finfo(np.float32).max
            self._refuse(name, series, large.fill_null(value=False), "is not finite")
            out[:, at] = cast.to_numpy()
        return out

    def text(self, name: str, *, joined_by: str = " ") -> pl.Series:
        """One column as String (n,), null where missing; of a list the entries, joined by one space unless told.

        Raises DataError RP502 for an unknown column and RP503 for one that holds neither text nor what reads as text.
        """
        series = self.column(name)
        if isinstance(series.dtype, pl.Array):
            series = series.arr.to_list()
        inner = series.dtype.inner if isinstance(series.dtype, pl.List) else series.dtype
        if inner.is_nested() or inner in (pl.Binary, pl.Object):
            self._refuse_type(name, series, "text")
        if isinstance(series.dtype, pl.List):
            return series.cast(pl.List(pl.String)).list.drop_nulls().list.join(joined_by)
        return series.cast(pl.String)

    def texts(self, columns: Sequence[str]) -> pl.Series:
        """Columns as `text` gives them, joined by one space, String (n,); missing parts are left out, so that all
        missing gives ''.
        """
        parts = [self.text(name).rename(str(n)) for n, name in enumerate(columns)]
        joined = pl.DataFrame(parts).select(pl.concat_str(pl.all(), separator=" ", ignore_nulls=True).alias("text"))
        return joined["text"].fill_null("").str.strip_chars()

    def filled(self, template: Template) -> pl.Series:
        """The template with each row's values in it, String (n,), '' where it has none of them; lists joined by ', '.

        A whole number is written without a point, whatever the column's type. Raises as `text` does.
        """
        return template.filled({name: self._written(name) for name in template.columns})

    def _written(self, name: str) -> pl.Series:
        series = self.column(name)
        if not series.dtype.is_float():
            return self.text(name, joined_by=", ")
        number = pl.col(name).fill_nan(None)
        is_whole = (number == number.round()) & (number.abs() < 2**53)
        whole = number.cast(pl.Int64, strict=False).cast(pl.String)
        return series.to_frame().select(pl.when(is_whole).then(whole).otherwise(number.cast(pl.String)))[name]

    def keep(self, mask: BoolArray) -> Table:
        """The rows where the mask holds."""
        frame = self.frame.filter(pl.Series(mask)) if self.frame.width else self.frame
        return Table(self.ids.keep(mask), frame, self.origin, self.rows[mask])

    def with_columns(self, *columns: pl.Series) -> Table:
        """A table with columns added or replaced by name."""
        frame = self.frame.with_columns(*columns) if self.frame.width else pl.DataFrame(list(columns))
        return Table(self.ids, frame, self.origin, self.rows)

    def where(self, code: int) -> str:
        """Where a row came from, for a message: file and row, or the id."""
        row = int(self.rows[code])
        return f"{self.origin}, row {row}" if row else f"id '{self.ids.ids[code]}'"

    def _refuse_type(self, name: str, series: pl.Series, wanted: str) -> NoReturn:
        helps = (f"in {self.origin}",) if self.origin else ()
        raise DataError.of("RP503", f"column '{name}' is {series.dtype}, and must be {wanted}", help=helps)

    def _refuse(self, name: str, series: pl.Series, wrong: pl.Series, why: str) -> None:
        if wrong.any():
            code = int(wrong.arg_true()[0])
            more = f" ({int(wrong.sum())} such values)" if int(wrong.sum()) > 1 else ""
            message = f"'{series[code]}' in column '{name}' {why}{more}"
            raise DataError.of("RP503", message, help=(f"at {self.where(code)}, column '{name}'",))

    def pack(self) -> Pack:
        """See `Pack`."""
        own = Pack({"rows": self.rows}, {"frame": self.frame} if self.frame.width else {}, {"origin": self.origin})
        return join_packs(map=self.ids.pack(), table=own)

    @classmethod
    def unpack(cls, pack: Pack) -> Table:
        """The inverse of `pack`."""
        own = pack.part("table")
        frame = own.tables.get("frame", pl.DataFrame())
        return cls(IdMap.unpack(pack.part("map")), frame, own.values["origin"], own.arrays["rows"])
