"""What identifies the contents of a file or folder, whatever its name, place or scheme."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

CHUNK = 1 << 20  # bytes read at a time
MEMO_FROM = 8 << 20  # bytes; less than this is hashed again faster than a memo is worth keeping
SETTLED = 2_000_000_000  # ns; file systems stamp times as coarsely as 2 s, so a younger file may change unseen

Memo = dict[str, tuple[list[int], str]]


def fingerprint(path: Path, *, memos: Path | None = None, keep: Callable[[str], bool] | None = None) -> str:
    """Hexadecimal SHA-256 of a file's contents, or of the listing of a folder's files.

    A folder's listing has one line a file, `<sha256>  <relative path>`, sorted by path: names and all contents count,
    times, modes and empty folders do not. Links are followed. `keep` chooses files by relative path.

    `memos` is a folder where the hashes of large inputs are remembered, by path, size and times; a hash is remembered
    only of a file that has been still for two seconds. Raises OSError where something cannot be read.
    """
    digests = file_digests(path, memos=memos, keep=keep)
    return listing_digest(digests) if path.is_dir() else digests[""]


def file_digests(
    path: Path,
    *,
    memos: Path | None = None,
    keep: Callable[[str], bool] | None = None,
    files: Mapping[str, Path] | None = None,
) -> dict[str, str]:
    """SHA-256 of each file of a folder by relative path, or of one file under ''; see `fingerprint`.

    `files` are those to be taken, by name, where `path` does not say it.
    """
    known = _Memo(memos, path)
    if files is None:
        files = dict(files_in(path, keep)) if path.is_dir() else {"": path}
    digests = {name: known.sha256(name, file) for name, file in files.items()}
    known.save()
    return digests


def listing_digest(digests: Mapping[str, str]) -> str:
    """SHA-256 of the listing of these files: relative POSIX path → SHA-256 of its contents."""
    lines = (f"{digests[name]}  {name}\n".encode("utf-8", "surrogateescape") for name in sorted(digests))
    return hashlib.sha256(b"".join(lines)).hexdigest()


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's contents; raises OSError."""
    total = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(CHUNK):
            total.update(block)
    return total.hexdigest()


def files_in(folder: Path, keep: Callable[[str], bool] | None = None) -> Iterator[tuple[str, Path]]:
    """Relative POSIX path and path of every regular file below a folder, links followed, each folder once."""
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=_raise):
        real = os.path.realpath(place)
        if real in seen:  # a link that leads back up
            folders.clear()
            continue
        seen.add(real)
        for name in names:
            file = Path(place, name)
            relative = file.relative_to(folder).as_posix()
            # A pipe or socket would never end; a dangling link is refused by stat.
            if (keep is None or keep(relative)) and stat.S_ISREG(file.stat().st_mode):
                yield relative, file


def _raise(error: OSError) -> None:
    raise error


class _Memo:
    """Hashes of the files below one root, remembered between processes in one JSON file of the `memos` folder."""

    def __init__(self, memos: Path | None, root: Path) -> None:
        name = hashlib.sha256(os.path.abspath(root).encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self._file = memos / f"{name}.json" if memos else None
        self._old = self._load()
        self._new: Memo = {}
        self._bytes = 0

    def sha256(self, name: str, file: Path) -> str:
        """SHA-256 of a file below the root, from the memo when its size and times are the same."""
        before = _stamp(file)
        self._bytes += before[0]
        old = self._old.get(name)
        if old is not None and list(old[0]) == before:
            self._new[name] = (before, old[1])
            return old[1]
        digest = sha256(file)
        if _stamp(file) == before and time.time_ns() - max(before[1:]) > SETTLED:
            self._new[name] = (before, digest)
        return digest

    def save(self) -> None:
        """Remember what was hashed. A memo that cannot be written costs time at the next run and nothing else."""
        if self._file is None or self._bytes < MEMO_FROM or self._new == self._old:
            return
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._file.parent, prefix=".new-")
            try:
                with os.fdopen(handle, "w", encoding="ascii") as stream:
                    json.dump(self._new, stream)
                Path(name).replace(self._file)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise

    def _load(self) -> Memo:
        if self._file is None:
            return {}
        try:
            return {
                name: (list(stamp), str(digest))
                for name, (stamp, digest) in json.loads(self._file.read_bytes()).items()
            }
        except (OSError, ValueError, TypeError, AttributeError):  # none yet, or not whole: hash again
            return {}


def _stamp(file: Path) -> list[int]:
    """Size and times of a file; the change time (ns) catches a file whose modification time was set back."""
    found = file.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]
