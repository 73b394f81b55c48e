"""Vectors kept from run to run, one per text, so that a grown catalogue encodes only what is new.

A folder of Parquet files, each named by the SHA-256 of its bytes and renamed into place: a file is whole, damaged (its
name is not its hash) or absent. Writers never meet: the same texts written twice are two files that say the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recprofile.plugin import RunError

if TYPE_CHECKING:
    from recprofile_hf.encoding import Encodings

FORM = 1  # of the files; counts in what they are about
PARTS = frozenset({".json", ".safetensors", ".gguf", ".txt", ".model"})


@dataclass(frozen=True)
class KeptVectors:
    """The vectors kept in one folder, all made in one way."""

    folder: Path
    warn: Callable[[str], None]

    @classmethod
    def about(cls, about: Mapping[str, object], *, within: Path, warn: Callable[[str], None]) -> KeptVectors:
        """Those made in the way that `about` says."""
        told = json.dumps({"form": FORM, **about}, sort_keys=True)
        return cls(within / hashlib.sha256(told.encode()).hexdigest()[:32], warn)

    def find(self, texts: pl.Series) -> tuple[NDArray[np.int64], Encodings | None]:
        """Rows of `texts` whose vectors are kept, and these; None when there are none. Damaged files are removed."""
        from recprofile_hf.encoding import Encodings

        left = pl.DataFrame({"text": texts}).with_row_index("row")
        found: list[pl.DataFrame] = []
        for path in sorted(self.folder.glob("*.parquet")):
            if left.height == 0:
                break
            frame = self._read(path)
            if frame is not None:
                held = left.join(frame, on="text", how="inner", maintain_order="left")
                left = left.join(held, on="row", how="anti", maintain_order="left")
                found.append(held.drop("text"))
        whole = pl.concat(found) if found else pl.DataFrame()
        if whole.height == 0:
            return np.zeros(0, np.int64), None
        numbers = (whole["vector"].to_numpy(), whole["tokens"].to_numpy(), whole["used"].to_numpy())
        return whole["row"].to_numpy().astype(np.int64), Encodings(*numbers)

    def _read(self, path: Path) -> pl.DataFrame | None:
        try:
            held = path.read_bytes()
        except FileNotFoundError:  # removed by another process
            return None
        except OSError as error:
            self.warn(f"kept vectors cannot be read, and are made again: {error}")
            return None
        if hashlib.sha256(held).hexdigest() != path.stem:
            self.warn(f"kept vectors are damaged, and are made again: {path}")
            path.unlink(missing_ok=True)
            return None
        return pl.read_parquet(BytesIO(held))

    def add(self, texts: pl.Series, made: Encodings) -> None:
        """Keep the vectors of these texts; a disk that does not take them is said, and costs only the next run."""
        dim = made.vectors.shape[1]
        frame = pl.DataFrame(
            {
                "text": texts,
                "tokens": made.tokens,
                "used": made.used,
                "vector": pl.Series(made.vectors, dtype=pl.Array(pl.Float32, dim)),
            }
        )
        stream = BytesIO()
        frame.write_parquet(stream, compression="lz4")  # texts shrink; vectors do not, and need not be unpacked slowly
        held = stream.getvalue()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.folder, prefix=".new-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(held)
                Path(name).replace(self.folder / f"{hashlib.sha256(held).hexdigest()}.parquet")
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            self.warn(f"vectors could not be kept for the next run: {error}")


def model_fingerprint(folder: Path, name: str) -> str:
    """SHA-256 over names and contents of the files that a model is made of.

    Contents, since two fine-tuned models differ in nothing else: 0.1 s for 90 MB, and loading reads them anyway.
    """
    if folder.is_file():
        helps = ("name the folder that holds config.json and weights",)
        raise RunError.of("RP605", f"the model '{name}' is a file, and must be a folder", help=helps)
    whole = hashlib.sha256()
    try:
        for path in sorted(folder.iterdir()):
            if path.suffix in PARTS and path.is_file():
                with path.open("rb") as file:
                    whole.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    except OSError as error:
        raise RunError.of("RP605", f"the model '{name}' cannot be read: {error}") from error
    return whole.hexdigest()
