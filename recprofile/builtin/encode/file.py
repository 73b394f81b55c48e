"""Vectors made elsewhere: `file`, from Parquet, npy or safetensors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.builtin.encode.rows import Axis, table_of
from recprofile.plugin import (
    Asset,
    Context,
    DataError,
    Dataset,
    Embeddings,
    Encoder,
    Field,
    FloatArray,
    IntArray,
    Params,
    Table,
    did_you_mean,
    model_validator,
    refusal,
)

PARQUET, NPY, SAFETENSORS = ".parquet", ".npy", ".safetensors"


class FileParams(Params):
    path: Asset = Field(description="The vectors: a .parquet, .npy or .safetensors file.")
    axis: Axis = Field("item", description="Whose vectors: item or user.")
    ids: Asset | None = Field(
        None,
        description="Ids of the vectors of a .npy or .safetensors file, in their order: a .parquet or .npy file, or "
        "text with one id a line. Without it, the vectors must be those of the rows of the items (or users) file.",
    )
    id_column: str = Field("id", description="The column of ids in a .parquet file.")
    columns: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Columns of a .parquet file that make the vectors: one of lists, or several of numbers. null: the "
        "one column of lists, else every numeric column but the ids.",
    )
    tensor: str | None = Field(None, description="The tensor of a .safetensors file; null: the only one.")

    @model_validator(mode="after")
    def _keys_suit_the_format(self) -> Self:
        suffix = Path(self.path).suffix.lower()
        for key, formats in (("ids", (NPY, SAFETENSORS)), ("columns", (PARQUET,)), ("tensor", (SAFETENSORS,))):
            if getattr(self, key) is not None and suffix not in formats:
                raise refusal("RP205", f"'{key}' goes with {' or '.join(formats)}, not with '{self.path}'", key=key)
        return self


class File(Encoder[FileParams]):
    """Vectors made elsewhere, by id.

    (n, d) float32. An item (or user) whose id the file lacks, or whose vector there is null, is zero and missing;
    how many these are, and how many ids of the file are unknown here, is said in a warning. A .npy or .safetensors
    file without `ids` must have one vector per row of the items (or users) file, in its order; once a stage has
    dropped some of them, `ids` is needed.

    Raises DataError RP501 for a file that cannot be read, RP502 for a column or tensor that is not there, RP503 for
    a value that is not finite, with its row, RP504 for a file without vectors, RP506 for ids that are repeated, that
    do not fit the number of vectors, or of which none is known.
    """

    name = "file"

    def encode(self, data: Dataset, ctx: Context) -> Embeddings:
        """One vector per item or user."""
        p = self.params
        table = table_of(data, p.axis)
        given = _read(p, ctx)
        if given.vectors.size == 0:
            raise DataError.of("RP504", f"'{p.path}' has no vectors")
        codes = _codes(given, table, p)
        rows = np.flatnonzero(codes >= 0)
        if len(rows) == 0 < len(table):
            shown = ", ".join(f"'{one}'" for one in table.ids.ids.head(3))
            message = f"no id in '{p.ids or p.path}' is one of the {p.axis}s"
            raise DataError.of("RP506", message, help=(f"the {p.axis}s are {shown}, …",))
        vectors = np.zeros((len(table), given.vectors.shape[1]), np.float32)
        with np.errstate(over="ignore"):  # what float32 cannot hold is refused as not finite
            vectors[codes[rows]] = given.vectors[rows]
        if not (np.isfinite(vectors.min(initial=0)) and np.isfinite(vectors.max(initial=0))):
            _refuse_unfit(vectors, codes, given, table, p)
        missing = np.ones(len(table), np.bool_)
        missing[codes[rows]] = False
        unknown = len(codes) - len(rows)
        if missing.any() or unknown:
            ctx.warn(
                f"file: {int(missing.sum())} of {len(table)} {p.axis}s have no vector in '{p.path}', and {unknown} of "
                f"its vectors are of no {p.axis} of the data"
            )
        return Embeddings(p.axis, table.ids, vectors, missing)


@dataclass(frozen=True)
class _Given:
    """What the file holds: `vectors` (m, d), their ids where given, and the row of each in the file, from 1."""

    vectors: NDArray[Any]
    ids: pl.Series | None
    rows: NDArray[np.int64]


def _read(p: FileParams, ctx: Context) -> _Given:
    path, suffix = _existing(ctx, p.path), Path(p.path).suffix.lower()
    if suffix == PARQUET:
        return _from_frame(_frame(path, p.path), p)
    if suffix == NPY:
        vectors = _array(path, p.path)
    elif suffix == SAFETENSORS:
        vectors = _tensor(path, p)
    else:
        raise DataError.of("RP501", f"'{p.path}' is none of .parquet, .npy and .safetensors")
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        raise DataError.of("RP506", f"'{p.path}' holds {vectors.dtype} of shape {vectors.shape}, not rows of numbers")
    ids = None if p.ids is None else _ids(_existing(ctx, p.ids), p.ids, p.id_column)
    return _Given(vectors, ids, np.arange(1, len(vectors) + 1))


def _existing(ctx: Context, source: str) -> Path:
    path = ctx.asset(source)
    if path.is_dir():
        raise DataError.of("RP501", f"'{source}' is a folder, and must be a file")
    return path


def _codes(given: _Given, table: Table, p: FileParams) -> IntArray:
    """The dense row of each vector of the file, -1 for one that is not in the data."""
    count = len(given.vectors)
    if given.ids is None:
        at = np.flatnonzero(table.rows > 0)
        if len(at) != count or len(at) == 0 or int(table.rows.max()) != count:
            of = f"rows of {table.origin}" if table.origin else f"{p.axis}s in a file"
            message = f"'{p.path}' has {count} vectors for {len(at)} {of}"
            raise DataError.of("RP506", message, help=("give the ids of the vectors as 'ids: FILE'",))
        codes = np.full(count, -1, np.int32)
        codes[table.rows[at] - 1] = at
        return codes
    if len(given.ids) != count:
        raise DataError.of("RP506", f"'{p.ids}' has {len(given.ids)} ids for {count} vectors in '{p.path}'")
    codes = table.ids.codes(given.ids)
    times = np.bincount(codes[codes >= 0], minlength=1)
    if times.max() > 1:
        twice = int(times.argmax())
        where = " and ".join(str(row) for row in given.rows[codes == twice][:2])
        raise DataError.of("RP506", f"'{p.ids or p.path}' has the id '{table.ids.ids[twice]}' in rows {where}")
    return codes


def _refuse_unfit(vectors: FloatArray, codes: IntArray, given: _Given, table: Table, p: FileParams) -> NoReturn:
    """Say which vector, the first in the file, is not finite."""
    wrong = np.asarray(~np.isfinite(vectors).all(axis=1))
    at = int(np.flatnonzero((codes >= 0) & wrong[codes])[0])
    found = vectors[codes[at]]
    value = found[~np.isfinite(found)][0]
    of = f"{p.axis} '{table.ids.ids[int(codes[at])]}'"
    raise DataError.of("RP503", f"'{p.path}' holds {value} in row {given.rows[at]}, the vector of {of}")


def _from_frame(frame: pl.DataFrame, p: FileParams) -> _Given:
    """Vectors and ids from a Parquet file; rows whose vector is null are left out."""
    ids = _column(frame, p.id_column, p.path)
    lists = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.List | pl.Array)]
    if p.columns is not None:
        names = list(p.columns)
    elif lists:
        names = lists
    else:
        names = [name for name, dtype in frame.schema.items() if dtype.is_numeric() and name != p.id_column]
    if not names or (len(names) > 1 and any(name in lists for name in names)):
        message = f"'{p.path}' has {len(lists) or 'no'} columns of lists, and which make the vectors is not said"
        raise DataError.of("RP502", message, help=(f"columns: {', '.join(frame.columns)}", "name them in 'columns'"))
    columns = [_column(frame, name, p.path) for name in names]
    for column in columns:
        inner = column.dtype.inner if isinstance(column.dtype, pl.List | pl.Array) else column.dtype
        if not inner.is_numeric():
            raise DataError.of("RP503", f"column '{column.name}' of '{p.path}' is {column.dtype}, and must be numbers")
    there = pl.DataFrame(columns).select(~pl.all_horizontal(pl.all().is_null())).to_series()
    rows = there.arg_true().to_numpy().astype(np.int64) + 1
    kept = [column.filter(there) for column in columns]
    if names[0] in lists:
        vectors = _from_lists(kept[0], rows, p)
    else:
        vectors = pl.DataFrame(kept).cast(pl.Float64).to_numpy()
    return _Given(vectors, ids.filter(there), rows)


def _from_lists(column: pl.Series, rows: NDArray[np.int64], p: FileParams) -> NDArray[Any]:
    """A column of lists of one length as (m, d); what is null within is NaN."""
    lists = column.arr.to_list() if isinstance(column.dtype, pl.Array) else column
    length = lists.list.len()
    if length.n_unique() > 1:
        at = int((length != length[0]).arg_true()[0])
        message = f"'{p.path}' has {length[0]} numbers in row {rows[0]} and {length[at]} in row {rows[at]}"
        raise DataError.of("RP506", message)
    dim = int(length[0]) if len(length) else 0
    if dim == 0:
        return np.zeros((len(lists), 0), np.float32)
    return lists.explode().cast(pl.Float64).to_numpy().reshape(len(lists), dim)


def _column(frame: pl.DataFrame, name: str, source: str) -> pl.Series:
    if name not in frame.columns:
        helps = did_you_mean(name, frame.columns, label="columns")
        raise DataError.of("RP502", f"no column '{name}' in '{source}'", help=helps)
    return frame[name]


def _ids(path: Path, source: str, id_column: str) -> pl.Series:
    """Ids from a companion file: its id column, its array, or its lines."""
    suffix = Path(source).suffix.lower()
    if suffix == PARQUET:
        return _column(_frame(path, source), id_column, source)
    if suffix == NPY:
        array = _array(path, source)
        if array.ndim != 1 or array.dtype.kind not in "iuU":
            raise DataError.of("RP506", f"'{source}' holds {array.dtype} of shape {array.shape}, not a list of ids")
        return pl.Series("id", array.tolist() if array.dtype.kind == "U" else np.asarray(array))
    try:
        return pl.Series("id", path.read_text(encoding="utf-8-sig").splitlines(), dtype=pl.String).str.strip_chars()
    except (OSError, UnicodeDecodeError) as error:
        _refuse_unreadable(source, error)


def _frame(path: Path, source: str) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        _refuse_unreadable(source, error)


def _array(path: Path, source: str) -> NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        _refuse_unreadable(source, error)
    if not isinstance(array, np.ndarray):
        raise DataError.of("RP501", f"'{source}' is an archive of arrays, and must be one array")
    return array


def _tensor(path: Path, p: FileParams) -> NDArray[Any]:
    """The named tensor, or the only one; half precisions come back as float32."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:  # numpy has no bfloat16
            names = sorted(file.keys())
            name = p.tensor if p.tensor is not None else names[0] if len(names) == 1 else None
            if name not in names:
                says = f"no tensor '{name}'" if name else f"{len(names)} tensors, and 'tensor' does not say which,"
                helps = did_you_mean(name or "", names, label="tensors")
                raise DataError.of("RP502", f"{says} in '{p.path}'", help=helps)
            tensor = file.get_tensor(name)
    except (OSError, SafetensorError) as error:
        _refuse_unreadable(p.path, error)
    array: NDArray[Any] = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    return array


def _refuse_unreadable(source: str, error: Exception) -> NoReturn:
    first = (str(error).splitlines() or [type(error).__name__])[0]
    if "pickle" in first:  # numpy's advice here is to trust the file
        first = "it is no array of numbers or text as numpy saves it"
    raise DataError.of("RP501", f"'{source}' cannot be read", help=(first,)) from error
