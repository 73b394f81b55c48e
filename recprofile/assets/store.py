"""The asset cache: where it is, and entries that are whole or absent.

An entry is a folder with a manifest of the size and SHA-256 of each file. It is built under a temporary name beside
its place and renamed, so that no reader sees half of one; of two processes that build the same entry, the later drops
its own. On reading, sizes are compared always, and contents once per process and again when a size or time changed.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from platformdirs import user_cache_path

from recprofile.assets.fingerprints import files_in, listing_digest, sha256
from recprofile.errors import RecprofileError, RunError

MANIFEST = ".recprofile.json"
TEMPORARY = ".new-"
ABANDONED = 86_400  # seconds; a temporary folder this old belongs to a process that was killed

# What is being done, how much of it is done, and how much there is (bytes or parts; None where that is unknown).
Progress = Callable[[str, int, int | None], None]


def cache_root() -> Path:
    """The folder that recprofile keeps between runs: $RECPROFILE_CACHE, else the platform's cache folder."""
    if named := os.environ.get("RECPROFILE_CACHE"):
        return Path(os.path.abspath(Path(named).expanduser()))
    return user_cache_path("recprofile", appauthor=False)


def is_offline(*, offline: bool | None = None) -> bool:
    """Whether the network is not to be used: as told, else by $RECPROFILE_OFFLINE or $HF_HUB_OFFLINE."""
    if offline is not None:
        return offline
    values = (os.environ.get(name, "").strip().casefold() for name in ("RECPROFILE_OFFLINE", "HF_HUB_OFFLINE"))
    return any(value not in ("", "0", "false", "no", "off") for value in values)


@dataclass(frozen=True, slots=True)
class FileRecord:
    """Size in bytes and SHA-256 of one file of an entry."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A whole entry of the cache: its folder, what it was made from, and its files by relative POSIX path."""

    folder: Path
    about: Mapping[str, str]
    files: Mapping[str, FileRecord]

    def fingerprint(self, inside: str) -> str | None:
        """Fingerprint of a file or folder of the entry, equal to that of a plain copy; None if there is no such."""
        if inside in self.files:
            return self.files[inside].sha256
        start = f"{inside}/" if inside else ""
        below = {name.removeprefix(start): file.sha256 for name, file in self.files.items() if name.startswith(start)}
        return listing_digest(below) if below else None

    def siblings(self, inside: str) -> list[str]:
        """Names beside a path that the entry does not have: those in the deepest folder of the path that exists."""
        parts = inside.split("/")
        for depth in range(len(parts) - 1, -1, -1):
            start = "/".join([*parts[:depth], ""])
            names = {name.removeprefix(start).split("/")[0] for name in self.files if name.startswith(start)}
            if names:
                return sorted(start + name for name in names)
        return []


def read_entry(folder: Path, *, contents: bool = True) -> tuple[Entry | None, str]:
    """The entry at a folder and '', or None and what is wrong with it; `contents=False` compares sizes only."""
    if not folder.is_dir():
        return None, "is not in the cache"
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        files = {name: FileRecord(int(file["size"]), str(file["sha256"])) for name, file in manifest["files"].items()}
        entry = Entry(folder, dict(manifest["about"]), files)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None, "is damaged in the cache: its manifest cannot be read"
    try:
        wrong = _wrong(entry, contents=contents)
    except OSError as error:
        wrong = f"'{error.filename}': {error.strerror}"
    return (None, f"is damaged in the cache: {wrong}") if wrong else (entry, "")


def _wrong(entry: Entry, *, contents: bool) -> str | None:
    stats = {name: file.stat() for name, file in files_in(entry.folder) if name != MANIFEST}
    for name, record in entry.files.items():
        if name not in stats:
            return f"'{name}' is missing"
        if stats[name].st_size != record.size:
            return f"'{name}' has {stats[name].st_size} bytes, not {record.size}"
    for name in stats:
        if name not in entry.files:
            return f"'{name}' does not belong there"
    if not contents:
        return None
    stamps = tuple((name, stats[name].st_mtime_ns, record.sha256) for name, record in sorted(entry.files.items()))
    return _wrong_contents(entry.folder, stamps)


@lru_cache(maxsize=1024)
def _wrong_contents(folder: Path, stamps: tuple[tuple[str, int, str], ...]) -> str | None:
    """The file whose checksum differs, if any; cached, so that a process reads an entry once while its times stay."""
    for name, _, expected in stamps:
        if sha256(folder / name) != expected:
            return f"the checksum of '{name}' differs"
    return None


@contextmanager
def temporary_folder(beside: Path) -> Iterator[Path]:
    """A folder to build an entry in, on the file system of its place; gone afterwards, after Ctrl-C too.

    An OSError inside becomes RP606: all that is done here is to write to the cache.
    """
    parent = beside.parent
    with writing_to(parent):
        parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(parent)
        place = Path(tempfile.mkdtemp(dir=parent, prefix=TEMPORARY))
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


def place_entry(
    built: Path, folder: Path, about: Mapping[str, str], known: Mapping[str, FileRecord] | None = None
) -> Entry:
    """Write the manifest of a folder that was built and rename it to its place.

    `known` are files of which size and checksum are known, being those of another entry. Gives the entry that lies
    there in the end: another process's, when that was placed meanwhile from the same source. A damaged or outdated
    entry is moved away first. Raises OSError.
    """
    told = dict(known or {})
    for name, file in files_in(built):
        if name not in told:
            told[name] = FileRecord(file.stat().st_size, sha256(file))
    files = {name: {"size": one.size, "sha256": one.sha256} for name, one in sorted(told.items())}
    (built / MANIFEST).write_text(json.dumps({"about": dict(about), "files": files}, indent=1), encoding="utf-8")
    while True:
        is_mine = True
        try:
            built.rename(folder)
        except OSError:
            if not folder.exists():
                raise
            is_mine = False
        entry, _ = read_entry(folder, contents=not is_mine)
        if entry is not None and entry.about == about:
            return entry
        with suppress(FileNotFoundError):  # another process moved it first
            folder.rename(Path(tempfile.mkdtemp(dir=built.parent), "old"))


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turn an OSError inside into RP606 with the folder and what helps."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise no_room(folder) from error
        why = error.strerror or str(error)
        message = f"cannot write to the cache '{folder}': {why[:1].lower()}{why[1:]}"
        helps = ("set RECPROFILE_CACHE to a folder that can be written",)
        raise RunError.of("RP606", message, help=helps) from error


def no_room(folder: Path, *, needed: int | None = None) -> RecprofileError:
    """The RP606 for a cache whose disk is full, or has no room for so many bytes."""
    what = f"{needed / 1e6:.1f} MB" if needed else "this"
    try:
        room: tuple[str, ...] = (
            f"{shutil.disk_usage(folder).free / 1e6:.1f} MB are free there, too little for {what}",
        )
    except OSError:
        room = ()
    helps = (*room, "free some space (recprofile cache prune), or set RECPROFILE_CACHE to a folder on another disk")
    return RunError.of("RP606", f"cannot write to the cache '{folder}': no space left on the disk", help=helps)


def _remove_abandoned(parent: Path) -> None:
    for old in parent.glob(f"{TEMPORARY}*"):
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > ABANDONED:
                shutil.rmtree(old, ignore_errors=True)
