"""https:// and http:// – a file of the web, kept in the cache until the server says that it changed."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from recprofile.builtin.source.endings import ending_of
from recprofile.plugin import Copies, FetchProgress, RunError

if TYPE_CHECKING:
    from http.client import HTTPMessage, HTTPResponse

TIMEOUT = 30  # seconds without an answer
BLOCK = 1 << 20  # bytes at a time
TAG = ".tag.json"  # what the server said of the newest copy


def fetch_page(uri: str, *, cache: Path, offline: bool, progress: FetchProgress | None = None) -> Path:
    """The file at a web address; raises RunError RP605 where it cannot be had whole."""
    from http.client import HTTPException
    from ssl import SSLError
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    copies = Copies.of(cache, uri)
    kept = copies.newest()
    shown = _shown(uri)
    if offline:
        if kept is None:
            message = f"'{shown}' was not fetched yet, and there is no network (offline)"
            raise RunError.of("RP605", message, help=("run once with a network",))
        return kept
    request = Request(uri, headers={"User-Agent": "recprofile", **_unless_changed(copies, kept)})
    with copies.building() as place:
        built = place / f"file{ending_of(urlsplit(uri).path)}"
        try:
            with urlopen(request, timeout=TIMEOUT) as answer:
                _write(answer, built, shown, progress)
                headers = answer.headers
        except HTTPError as error:
            error.close()
            if error.code == 304 and kept is not None:
                return kept
            message = f"'{shown}' cannot be had: the server answers {error.code} {error.reason}"
            raise RunError.of("RP605", message) from None
        except (URLError, HTTPException, TimeoutError, ConnectionError, SSLError, ValueError) as error:
            why = str(getattr(error, "reason", error)) or type(error).__name__
            raise RunError.of("RP605", f"'{shown}' cannot be had: {why[:1].lower()}{why[1:]}") from None
        found = copies.keep(built)
    _remember(copies, headers, found)
    return found


def _write(answer: HTTPResponse, built: Path, shown: str, progress: FetchProgress | None) -> None:
    length = answer.headers.get("Content-Length", "")
    total = int(length) if length.isdecimal() else None
    done = 0
    with built.open("wb") as file:
        while block := answer.read(BLOCK):
            file.write(block)
            done += len(block)
            if progress:
                progress(shown, done, total)
    if total is not None and done < total:
        raise RunError.of("RP605", f"'{shown}' was cut off after {done:,} of {total:,} bytes, and is not kept")


def _unless_changed(copies: Copies, kept: Path | None) -> dict[str, str]:
    """Headers by which a server does not send again what it sent before."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        tag = json.loads((copies.folder / TAG).read_bytes())
        if kept is not None and tag["name"] == kept.name:
            given = {"If-None-Match": tag["etag"], "If-Modified-Since": tag["modified"]}
            return {name: value for name, value in given.items() if value}
    return {}


def _remember(copies: Copies, headers: HTTPMessage, found: Path) -> None:
    tag = {"name": found.name, "etag": headers.get("ETag"), "modified": headers.get("Last-Modified")}
    with suppress(OSError):  # it is sent again then
        (copies.folder / TAG).write_text(json.dumps(tag), encoding="utf-8")


def _shown(uri: str) -> str:
    """An address without what may be secret: a user, and what follows '?'."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
