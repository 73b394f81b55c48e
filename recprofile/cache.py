"""Content-addressed results of stages: under a key, an artifact's Pack and what its making said and cost."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from recprofile.artifacts import Pack, load_pack, save_pack
from recprofile.assets.fingerprints import sha256 as sha256_of
from recprofile.assets.store import place_entry, read_entry, temporary_folder

RECORD = "record.json"


@dataclass(frozen=True)
class Record:
    """What the making of a stage's result said and cost."""

    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    peak_mib: float = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict)


def key_of(parts: Mapping[str, Any]) -> str:
    """The cache key of whatever the parts say: hexadecimal SHA-256 of their JSON with sorted keys."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


class StageCache:
    """The stages folder of the cache. Entries are whole or absent; a damaged one is told and made again."""

    def __init__(self, root: Path, tell: Callable[[str], None]) -> None:
        self._folder = root / "stages"
        self._tell = tell

    def has(self, key: str) -> bool:
        """Whether there is an entry with all its files at their full size; `load` looks at the contents too."""
        return read_entry(self._folder / key, contents=False)[0] is not None

    def load(self, key: str) -> tuple[Pack, Record] | None:
        """The result under a key, its checksums verified; None when there is none, or it is damaged (told)."""
        folder = self._folder / key
        entry, wrong = read_entry(folder)
        if entry is None:
            if folder.is_dir():
                self._tell(f"the result of a stage {wrong}; it is computed again")
            return None
        _touch(folder)
        return load_pack(folder), _record(folder)

    def record(self, key: str) -> Record | None:
        """What the making of an entry said and cost; None when there is none, or a damaged one (told).

        Sizes are compared, and the contents of the record.
        """
        folder = self._folder / key
        entry, wrong = read_entry(folder, contents=False)
        if entry is not None:
            with suppress(OSError, KeyError):
                if sha256_of(folder / RECORD) == entry.files[RECORD].sha256:
                    _touch(folder)
                    return _record(folder)
            wrong = f"is damaged in the cache: the checksum of '{RECORD}' differs"
        if folder.is_dir():
            self._tell(f"the result of a stage {wrong}; it is computed again")
        return None

    def put(self, key: str, pack: Pack, record: Record) -> None:
        """Keep a result: written to a temporary folder, then renamed. Raises RP606 when it cannot be written."""
        folder = self._folder / key
        with temporary_folder(folder) as built:
            inside = built / "entry"
            inside.mkdir()
            save_pack(pack, inside)
            (inside / RECORD).write_text(json.dumps(asdict(record), ensure_ascii=False), encoding="utf-8")
            place_entry(inside, folder, {"key": key})

    def put_again(self, key: str, of: str, record: Record) -> bool:
        """Keep what is kept under the key `of` under another one too, its files being the same; False when it is not.

        Raises RP606 when it cannot be written.
        """
        other, _ = read_entry(self._folder / of, contents=False)
        if other is None:
            return False
        folder = self._folder / key
        with temporary_folder(folder) as built:
            inside = built / "entry"
            inside.mkdir()
            files = {name: file for name, file in other.files.items() if name != RECORD}
            for name in files:
                _link(other.folder / name, inside / name)
            (inside / RECORD).write_text(json.dumps(asdict(record), ensure_ascii=False), encoding="utf-8")
            place_entry(inside, folder, {"key": key}, known=files)
        return True

    def copy(self, key: str, to: Path) -> bool:
        """Copy the files of a result into an existing folder, as `save_pack` writes them; False when there is none.

        Raises OSError.
        """
        entry, _ = read_entry(self._folder / key, contents=False)
        if entry is None:
            return False
        for name in entry.files:
            if name != RECORD:
                shutil.copyfile(entry.folder / name, to / name)
        return True


def _link(file: Path, to: Path) -> None:
    """The same file under another name, or a copy where the file system has no such thing."""
    try:
        os.link(file, to)
    except OSError:
        shutil.copyfile(file, to)


def _record(folder: Path) -> Record:
    stored = json.loads((folder / RECORD).read_bytes())
    return Record(**{**stored, "warnings": tuple(stored["warnings"])})


def _touch(folder: Path) -> None:
    """Its time of change is when it was last used, which `cache prune` goes by."""
    with suppress(OSError):  # a cache that is only read, or a folder that was removed meanwhile
        os.utime(folder)
