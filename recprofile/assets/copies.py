"""Copies of what an address outside this disk leads to: written whole under a temporary name, named by their contents.

A source asks the outside at every run and keeps what it got; equal contents have one name, so that what did not change
is recognised, and a run that reads an older copy is not disturbed by a newer one. What was replaced is removed a day
later.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from recprofile.assets.fingerprints import sha256
from recprofile.assets.store import ABANDONED, temporary_folder, writing_to


@dataclass(frozen=True, slots=True)
class Copies:
    """The copies of one address, in a folder of their own."""

    folder: Path

    @classmethod
    def of(cls, cache: Path, *address: str) -> Copies:
        """Those of an address below a source's cache; the folder's name is a digest of the address."""
        said = "\0".join(address).encode("utf-8", "surrogateescape")
        return cls(cache / hashlib.sha256(said).hexdigest()[:32])

    def newest(self) -> Path | None:
        """The copy that was last kept, if there is one."""
        with suppress(OSError):
            return max(self._all(), key=lambda file: file.stat().st_mtime_ns, default=None)
        return None

    @contextmanager
    def building(self) -> Iterator[Path]:
        """A folder to write a copy in, gone afterwards; an OSError inside becomes RP606."""
        with temporary_folder(self.folder / "new") as place:
            yield place

    def keep(self, built: Path) -> Path:
        """Rename a file that is written whole to its place and give that; raises RP606."""
        ending = built.name.partition(".")[2]
        place = self.folder / f"{sha256(built)}{ending and '.'}{ending}"
        with writing_to(self.folder):
            if place.exists():
                os.utime(place)
            else:
                built.replace(place)
        for old in self._all():
            with suppress(OSError):
                if old != place and time.time() - old.stat().st_mtime > ABANDONED:
                    old.unlink()
        return place

    def _all(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [file for file in self.folder.iterdir() if file.is_file() and not file.name.startswith(".")]
