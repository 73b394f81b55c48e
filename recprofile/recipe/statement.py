"""What a `query` may be: one statement that reads."""

from __future__ import annotations

import re

# Texts, names in quotes and comments, in which nothing is looked for.
_INERT = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | `[^`]*` | \$(\w*)\$.*?\$\1\$ | --[^\n]* | /\*.*?\*/""", re.DOTALL | re.VERBOSE
)
READS = ("select", "with", "values")


def one_select(text: str) -> str:
    """The statement without a semicolon at its end. Raises ValueError, with the reason, for all but one SELECT."""
    statement = text.strip()
    bare = _INERT.sub(lambda found: " " * len(found[0]), statement)
    end = len(bare.rstrip())
    if bare[:end].endswith(";"):
        statement, bare = statement[: end - 1].rstrip(), bare[: end - 1]
    words = re.findall(r"\w+", bare)
    if not words or words[0].casefold() not in READS:
        raise ValueError(f"begins with '{words[0]:.20}', and must be a SELECT" if words else "holds no statement")
    if ";" in bare:
        raise ValueError("holds several statements, and must be one SELECT")
    return statement
