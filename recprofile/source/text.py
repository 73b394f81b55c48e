"""Files as text: read in bounds, decoded, and every character with a line and a column."""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from dataclasses import dataclass, field

from recprofile.errors import Problem, RecipeError, Span, closest, quoted

MAX_BYTES = 1 << 20  # far above any recipe a person writes, and small enough for a reader in pure Python
_BREAK = re.compile(r"\r\n|\r|\n")
# What YAML 1.2 forbids in a stream (section 5.1), less the byte order mark, which `read_text` takes off.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Text:
    """A text and the name under which errors show it."""

    file: str
    content: str
    starts: list[int] = field(init=False, repr=False)  # index of the first character of each line
    # The text of each line, once: a copy in each span of one long line would be gigabytes.
    lines: list[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "starts", [0, *(found.end() for found in _BREAK.finditer(self.content))])
        object.__setattr__(self, "lines", _BREAK.split(self.content))

    def span(self, start: int, end: int) -> Span:
        """The span of the characters from `start` to `end`, or to the end of the first line if they go on."""
        line = bisect_right(self.starts, start) - 1
        first, text = self.starts[line], self.lines[line]
        length = max(1, min(end, first + len(text)) - start)
        return Span(self.file, line + 1, start - first + 1, length, text)


def read_text(file: str, asked: Span | None = None) -> Text:
    """The text of a recipe file; `asked` is where another file names it.

    Raises RecipeError: RP101 when it cannot be read, RP102 when it is not UTF-8, RP105 when it is too large,
    RP103 when a character in it may not stand in YAML.
    """
    name = quoted(file, most=200)
    try:
        with open(file, "rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise _refused("RP101", f"{name} is a folder, and must be a recipe file", asked) from None
    except (FileNotFoundError, NotADirectoryError):
        raise _refused("RP101", f"no file {name}", asked, *_beside(file)) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = (error.strerror if isinstance(error, OSError) else None) or "not a file name"
        raise _refused("RP101", f"{name} cannot be read: {reason.lower()}", asked) from None
    whole = Span(file, 1, 1)
    if len(raw) > MAX_BYTES:
        raise _refused("RP105", f"the recipe is larger than {MAX_BYTES >> 20} MiB", whole)
    if raw.startswith(_UTF16):
        raise _refused("RP102", "the recipe is UTF-16 text, and must be UTF-8", whole, "save the file as UTF-8")
    try:
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig")
        after = re.split(r"[\r\n]", raw[error.start : error.start + 400].decode("utf-8", errors="replace"))[0]
        at = Text(file, before + after).span(len(before), len(before) + 1)
        raise _refused("RP102", f"byte 0x{raw[error.start]:02x} is not UTF-8", at, "save the file as UTF-8") from None
    text = Text(file, content)
    if wrong := _UNPRINTABLE.search(content):
        at = text.span(wrong.start(), wrong.end())
        raise _refused("RP103", f"the character U+{ord(wrong.group()):04X} may not stand in a recipe", at)
    return text


def _refused(code: str, message: str, at: Span | None, *help: str) -> RecipeError:
    return RecipeError(Problem(code, message, at, help))


def _beside(file: str) -> tuple[str, ...]:
    """A help line for a missing file: the recipe beside it whose name is nearest."""
    folder, name = os.path.split(file)
    try:
        names = [entry.name for entry in os.scandir(folder or ".") if entry.name.endswith((".yaml", ".yml"))]
    except (OSError, ValueError):
        return ()
    near = closest(name, names)
    return (f"did you mean '{os.path.join(folder, near)}'?",) if near else ()
