"""What the end of an address says of the form of a file."""

from __future__ import annotations

import re

_ENDING = re.compile(r"(\.[A-Za-z0-9]{1,8}(?:\.(?:gz|zst))?)$")


def ending_of(path: str) -> str:
    """The last ending of a path, with that of its compression, in small letters; '' where there is none."""
    found = _ENDING.search(path.rpartition("/")[2])
    return found[1].lower() if found else ""
