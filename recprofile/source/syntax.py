"""What is wrong with text that is not YAML, in our words: PyYAML's own speak of tokens, nodes and scanners."""

from __future__ import annotations

import re

import yaml

from recprofile.errors import Problem, quoted
from recprofile.source.text import Text

# (what PyYAML says, what we say, help, whether the start of the construct is the place to show)
_RULES: tuple[tuple[str, str, str, bool], ...] = (
    (r"character '\\t'", "a tab stands where only spaces may", "indent and separate with spaces", False),
    (r"character '(?P<c>.)' that cannot", "text cannot start with '{c}' unless it is quoted", "", False),
    (r"could not find expected ':'", "a ':' is missing after this key", "", True),
    (r"sequence entries are not", "a list cannot start here", "start it on a new line, or write [a, b]", False),
    (r"mapping (keys|values) are not", "a ':' cannot stand here", "quote text with ': ' in it; line keys up", False),
    (r"while scanning a directive", "a line that starts with '%' cannot stand here", "quote it if it is text", True),
    (
        r"while scanning an (?P<c>alias|anchor)",
        "an {c} has no name here",
        "quote text that starts with '*' or '&'",
        True,
    ),
    (r"undefined tag handle", "a tag cannot stand here", "quote text that starts with '!'", False),
    (r"while (scanning|parsing) a tag", "a tag cannot stand here", "quote text that starts with '!'", True),
    (
        r"while scanning a block scalar",
        "'{at}' starts a block of text here",
        "quote text that starts with '>' or '|'",
        True,
    ),
    (
        r"hexadecimal numbers",
        "an escape in double quotes lacks digits",
        "use single quotes, or write \\\\ for \\",
        False,
    ),
    (r"unknown escape", "'\\{at}' is no escape in double quotes", "use single quotes, or write \\\\ for \\", False),
    (r"while scanning a quoted", "the quote that opens here is not closed", "", True),
    (r"incompatible YAML", "a recipe is YAML 1.2", "", False),
    (r"expected the node content", "a value is missing here", "", False),
    (r"parsing a block collection", "this line does not line up with the list above it", "", False),
    (r"parsing a block mapping", "this line does not line up with the keys above it", "", False),
    (r"parsing a flow sequence.*stream end", "the '[' that opens here is not closed", "", True),
    (r"parsing a flow mapping.*stream end", "the '{{' that opens here is not closed", "", True),
    (r"parsing a flow sequence", "a ',' or ']' is missing in this list", "", False),
    (r"parsing a flow mapping", "a ',' or '}}' is missing in this mapping", "", False),
)


def syntax_problem(error: yaml.YAMLError | ValueError | OverflowError, text: Text, offset: int) -> Problem:
    """The RP103 for text that PyYAML refused; `offset` is where in `text` it began to read."""
    if not isinstance(error, yaml.MarkedYAMLError):  # an escape such as "\UFFFFFFFF", which names no character
        return Problem("RP103", "an escape names no character", text.span(offset, offset + 1))
    said = f"{error.context or ''} {error.problem or ''}"
    for pattern, message, help_line, at_start in _RULES:
        if found := re.search(pattern, said):
            mark = error.context_mark if at_start and error.context_mark else error.problem_mark
            place = _index(mark, text, offset)
            here = quoted(text.content[place : place + 1])[1:-1]
            words = message.format(at=here, **found.groupdict())
            return Problem("RP103", words, text.span(place, place + 1), (help_line,) if help_line else ())
    place = _index(error.problem_mark, text, offset)
    return Problem("RP103", "the text is not YAML from here on", text.span(place, place + 1))


def _index(mark: yaml.Mark | None, text: Text, offset: int) -> int:
    """Index of a mark, moved back over blank ends: at the end of a file there is nothing to show."""
    place = offset + (mark.index if mark else 0)
    if text.content[place:].strip():
        return place
    return max(len(text.content.rstrip()) - 1, 0)
