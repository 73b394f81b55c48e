"""What is wrong with a text file that polars refuses, and on which line: read again record by record, on errors only.

About a second for a million lines; no file without a fault pays it.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from recprofile.errors import quoted

# What reading damaged gzip data raises.
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)
ZSTD = b"\x28\xb5\x2f\xfd"  # the first bytes of zstandard data


@dataclass(frozen=True)
class Fault:
    """What is wrong, on which line of the file, and what helps."""

    what: str
    line: int | None
    help: tuple[str, ...] = ()


@dataclass(frozen=True)
class TextForm:
    """How a text file is to be read: `separator` between columns, or JSON objects when it is empty."""

    path: Path
    separator: str

    def line_of(self, row: int) -> int | None:
        """The line on which the record with this index (0 is the first after the header) begins."""
        if not self.separator:
            return next(islice(self._json_lines(), row, None), (None, ""))[0]
        return next(islice(self._records(), row + 1, None), (None, ()))[0]

    def head(self, characters: int) -> str:
        """So many of its first characters, what is not UTF-8 replaced; '' for zstandard data."""
        with self.path.open("rb") as raw:
            if raw.read(4) == ZSTD:
                return ""
        try:
            with self._open() as raw:
                return raw.read(characters).decode("utf-8-sig", errors="replace")
        except DAMAGED:  # told when the file is read
            return ""

    def is_blank(self) -> bool:
        """Whether a JSON Lines file has no line with anything on it."""
        try:
            return next(self._json_lines(), None) is None
        except (UnicodeDecodeError, *DAMAGED):
            return False

    def fault(self) -> Fault | None:
        """The first fault of the file, or None when none is found."""
        try:
            with self.path.open("rb") as raw:
                if raw.read(4) == ZSTD:  # polars reads it, the standard library does not
                    return None
            return self._json_fault() if not self.separator else self._csv_fault()
        except UnicodeDecodeError:
            return self._undecodable()
        except DAMAGED:
            return Fault("its compressed data are damaged or end too early", None)

    def _csv_fault(self) -> Fault | None:
        try:
            records = self._records()
            header = len(next(records, (1, []))[1])
            for line, fields in records:
                if any(fields[header:]):
                    what = f"a line has {len(fields)} fields, and the header {header}"
                    return Fault(what, line, ("a field with the separator in it stands in double quotes",))
        except _Unreadable as error:
            if "NUL" in str(error):
                return Fault("a line holds a NUL byte", error.line)
            what = 'a double quote (") is not closed, or text follows the closing one'
            return Fault(what, error.line, ('inside quotes, write " as ""',))
        return None

    def _json_fault(self) -> Fault | None:
        for line, text in self._json_lines():
            try:
                found = json.loads(text, parse_constant=_refused)
            except ValueError as error:
                why = error.msg.lower() if isinstance(error, json.JSONDecodeError) else str(error)
                return Fault(f"a line is not JSON: {why}", line)
            except RecursionError:
                return Fault("a line is nested too deeply", line)
            if not isinstance(found, dict):
                return Fault(f"a line is {quoted(text.strip())}, and must be one JSON object", line)
        return None

    def _undecodable(self) -> Fault:
        """The first line that is not UTF-8; how many there are, and whether others are, tells what helps."""
        first: tuple[int, bytes, int] | None = None
        wrong = right = 0
        with self._open() as raw:
            for line, content in enumerate(raw, start=1):
                if content.isascii():
                    continue
                try:
                    content.decode("utf-8")
                    right += 1
                except UnicodeDecodeError as error:
                    wrong += 1
                    first = first or (line, content, error.start)
        if first is None:
            return Fault("the text is not UTF-8", 1)
        line, content, start = first
        what = f"the text is not UTF-8 (byte 0x{content[start]:02x})"
        if not right or b"\0" in content:
            return Fault(what, line, ("save it as UTF-8, or convert it: iconv -f latin1 -t utf-8",))
        around = content[max(0, start - 15) : start + 15].decode("latin-1").strip()
        counts = f"of the lines beyond ASCII, {wrong} of another encoding and {right} of UTF-8: mend the former"
        return Fault(what, line, (f"read as latin-1, {quoted(around)} stands there", counts))

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Each record and the line it begins on, the header first; a blank line is an empty record."""
        csv.field_size_limit(sys.maxsize)
        with self._text() as text:
            reader = csv.reader(text, delimiter=self.separator, strict=True)
            line = 1
            is_first = True
            try:
                for fields in reader:
                    if fields or not is_first:  # as polars, which skips blank lines before the header only
                        is_first = False
                        yield line, fields
                    line = reader.line_num + 1
            except csv.Error as error:
                raise _Unreadable(str(error), line) from None

    def _json_lines(self) -> Iterator[tuple[int, str]]:
        with self._text() as text:
            for line, content in enumerate(text, start=1):
                if content.strip():
                    yield line, content

    @contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        with self.path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if packed:
                with gzip.open(raw) as inner:
                    yield inner  # type: ignore[misc]  # GzipFile is IO[bytes] in all that is used
            else:
                yield raw

    @contextmanager
    def _text(self) -> Iterator[io.TextIOWrapper]:
        with self._open() as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
            yield text


class _Unreadable(Exception):
    def __init__(self, why: str, line: int) -> None:
        super().__init__(why)
        self.line = line


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")
