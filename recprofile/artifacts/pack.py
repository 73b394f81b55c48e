"""An artifact on disk: arrays as safetensors, tables as Parquet, the rest as JSON; never pickle."""

from __future__ import annotations

import errno
import json
import mmap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array


# As safetensors calls them, little-endian all.
DTYPES = {
    "BOOL": "?", "U8": "<u1", "I8": "<i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8",
    "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip


@dataclass(frozen=True)
class Pack:
    """The parts of an artifact: named arrays, named tables, and plain JSON values."""

    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)

    def within(self, name: str) -> dict[str, dict[str, Any]]:
        """The parts with every name prefixed, as keyword parts for a Pack that holds this one."""
        return {
            "arrays": {f"{name}.{key}": value for key, value in self.arrays.items()},
            "tables": {f"{name}.{key}": value for key, value in self.tables.items()},
            "values": {f"{name}.{key}": value for key, value in self.values.items()},
        }

    def part(self, name: str) -> Pack:
        """The Pack that was put in under this name."""
        cut, start = f"{name}.", len(name) + 1
        return Pack(
            {key[start:]: value for key, value in self.arrays.items() if key.startswith(cut)},
            {key[start:]: value for key, value in self.tables.items() if key.startswith(cut)},
            {key[start:]: value for key, value in self.values.items() if key.startswith(cut)},
        )

    def has(self, name: str) -> bool:
        """Whether something was put in under this name."""
        cut = f"{name}."
        return any(key.startswith(cut) for part in (self.arrays, self.tables, self.values) for key in part)


def join_packs(values: Mapping[str, Any] | None = None, /, **parts: Pack | None) -> Pack:
    """One Pack that holds others by name; None is left out."""
    arrays: dict[str, NDArray[Any]] = {}
    tables: dict[str, pl.DataFrame] = {}
    plain: dict[str, Any] = dict(values or {})
    for name, pack in parts.items():
        if pack is not None:
            inner = pack.within(name)
            arrays |= inner["arrays"]
            tables |= inner["tables"]
            plain |= inner["values"]
    return Pack(arrays, tables, plain)


def save_pack(pack: Pack, folder: Path) -> None:
    """Write a Pack into an existing folder: arrays.safetensors, <table>.parquet, values.json; raises OSError."""
    from safetensors import SafetensorError  # noqa: PLC0415 - costs 50 ms that `validate` need not pay
    from safetensors.numpy import save_file  # noqa: PLC0415 - as above

    arrays = {name: np.ascontiguousarray(array) for name, array in pack.arrays.items()}
    try:
        save_file(arrays, folder / "arrays.safetensors")
    except SafetensorError as error:
        raise _os_error(error, folder) from error
    for name, table in pack.tables.items():
        save_table(table, folder / f"{name}.parquet")
    values = {"values": dict(pack.values), "tables": sorted(pack.tables)}
    (folder / "values.json").write_text(json.dumps(values, ensure_ascii=False, indent=1), encoding="utf-8")


def save_table(table: pl.DataFrame, path: Path) -> None:
    """Write a table as Parquet; raises OSError."""
    try:
        table.write_parquet(path)
    except pl.exceptions.ComputeError as error:
        raise _os_error(error, path) from error


def _os_error(error: Exception, path: Path) -> OSError:
    """The operating system's error that safetensors and polars hide; what a caller must tell apart is a full disk."""
    full = "no space left" in str(error).lower()
    return OSError(errno.ENOSPC if full else errno.EIO, str(error), str(path))


def load_pack(folder: Path) -> Pack:
    """Read a Pack; OSError or ValueError when a part is missing or damaged."""
    try:
        stored = json.loads((folder / "values.json").read_bytes())
        tables = {name: pl.read_parquet(folder / f"{name}.parquet") for name in stored["tables"]}
        return Pack(_mapped(folder / "arrays.safetensors"), tables, stored["values"])
    except (pl.exceptions.PolarsError, KeyError, TypeError) as error:
        raise ValueError(str(error)) from error


def _mapped(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a safetensors file, mapped into memory: a page is read when it is needed, and copied when it is
    written to. Raises ValueError for a file that is not of this form, or cut short.
    """
    with path.open("rb") as file:
        held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    start = 8 + int.from_bytes(held[:8], "little")
    arrays = {}
    for name, about in json.loads(held[8:start]).items():
        if name == "__metadata__":
            continue
        begin, end = about["data_offsets"]
        dtype = np.dtype(DTYPES[about["dtype"]])
        count = (end - begin) // dtype.itemsize
        flat = np.frombuffer(held, dtype, count, start + begin) if count else np.zeros(0, dtype)
        arrays[name] = flat.reshape(about["shape"])
    return arrays


def pack_csr(matrix: csr_array) -> Pack:
    """A sparse matrix as a Pack."""
    arrays = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}
    return Pack(arrays, values={"shape": [int(n) for n in matrix.shape]})


def unpack_csr(pack: Pack) -> csr_array:
    """The sparse matrix that `pack_csr` packed."""
    from scipy.sparse import csr_array  # noqa: PLC0415 - as above

    a = pack.arrays
    return csr_array((a["data"], a["indices"], a["indptr"]), shape=tuple(pack.values["shape"]))
