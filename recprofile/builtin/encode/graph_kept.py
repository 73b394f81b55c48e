"""Arrays kept from run to run, each set in a file that is whole or not there."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Kept:
    """Sets of arrays by name, about what `key` says; their files check themselves when they are read."""

    folder: Path
    key: str
    warn: Callable[[str], None]

    def _file(self, name: str) -> Path:
        return self.folder / f"{self.key}-{name}.npz"

    def load(self, name: str) -> dict[str, NDArray[Any]] | None:
        """The arrays, or None where there are none; a damaged file is said and removed."""
        path = self._file(name)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
                return dict(held)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            self.warn(f"what was kept is damaged, and is made again: {path} ({error})")
            path.unlink(missing_ok=True)
            return None

    def save(self, name: str, arrays: Mapping[str, Any]) -> None:
        """Keep these arrays; a disk that does not take them is said, and costs only the next run."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=".new-")
            try:
                with os.fdopen(handle, "wb") as file:
                    np.savez(file, **arrays)
                Path(temporary).replace(self._file(name))
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            self.warn(f"what was learnt could not be kept for the next run: {error}")

    def drop(self, name: str) -> None:
        """Remove these arrays."""
        self._file(name).unlink(missing_ok=True)
