"""Where in a plugin's files something stands: the line that raised, or a hook's first line."""

from __future__ import annotations

import importlib
import inspect
import re
import traceback
from pathlib import Path

import pluggy

from recprofile.errors import Span

_MACHINERY = (Path(__file__).parent, Path(importlib.__file__).parent)
_HOOK = re.compile(r"for hook '(\w+)'")


def raised_at(error: BaseException) -> Span | None:
    """The innermost line of the plugin's own files that led to an error; None where none of them ran."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return Span(error.filename, error.lineno, error.offset or 1)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not (frame.filename.startswith("<") or _is_machinery(Path(frame.filename)))
    ]
    if not frames:
        return None
    own = Path(frames[0].filename).parent
    inner = [frame for frame in frames if Path(frame.filename).is_relative_to(own)][-1]
    return Span(inner.filename, inner.lineno or 1, 1 + (inner.colno or 0))


def hook_at(module: object, hook: str) -> Span | None:
    """The first line of a plugin's hook; None where it is no function of a file."""
    function = inspect.unwrap(getattr(module, hook, None) or _nothing)
    code = getattr(function, "__code__", None)
    return None if code is None or function is _nothing else Span(code.co_filename, code.co_firstlineno, 1)


def mismatch_at(module: object, error: pluggy.PluginValidationError) -> Span | None:
    """The first line of the hook that pluggy has refused."""
    named = _HOOK.search(str(error))
    return hook_at(module, named[1]) if named else None


def _is_machinery(file: Path) -> bool:
    """Whether a line is of what imports and traces, not of the plugin."""
    return any(file.is_relative_to(folder) for folder in _MACHINERY)


def _nothing() -> None:
    return None
