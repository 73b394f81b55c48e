"""Everything that can go wrong: the error tree, the codes, and the one renderer.

    RecprofileError
    ├── RecipeError      RP1xx–RP4xx   exit 2   the recipe, or the plugins it names, are wrong
    ├── DataError        RP5xx         exit 3   the data are not what the recipe says
    └── RunError         RP6xx         exit 4   a stage, device, asset or disk failed
        └── ArtifactError  RP602                a stage returned something that breaks its artifact's contract

Every error carries *all* the problems found, each with its position where one is known. An exception raised
inside a component keeps its own type; the engine adds a note and the command line renders it as RP601.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Self

SHOWN = 20  # problems printed in full; the rest is a count
WIDTH = 160  # characters of a source line that are shown around a caret
SET_FILE = "--set"  # the 'file' of what was written on the command line

CODES: dict[str, str] = {
    "RP101": "a recipe file is missing or cannot be read",
    "RP102": "a recipe file is not UTF-8 text",
    "RP103": "YAML syntax",
    "RP104": "the same key twice in one mapping",
    "RP105": "a recipe that is too large, too deep or expands too many aliases",
    "RP106": "'extends' leads in a circle, or 'override' names no stage",
    "RP107": "an environment variable that is not set, or used where none is allowed",
    "RP108": "a --set that cannot be applied",
    "RP201": "unknown key",
    "RP202": "missing key",
    "RP203": "wrong type",
    "RP204": "value out of range, or not one of the choices",
    "RP205": "keys that do not go together",
    "RP301": "no such component for this verb",
    "RP302": "a plugin failed to load",
    "RP303": "two installed distributions claim one namespace",
    "RP304": "the namespace of a component is not installed",
    "RP305": "no such version of a component",
    "RP306": "an installed plugin does not meet the recipe's 'plugins:' requirement",
    "RP307": "a plugin breaks the rules of the registry",
    "RP401": "'from' names no earlier stage",
    "RP402": "'from' names a stage of the wrong kind",
    "RP403": "more than one earlier stage fits, and 'from' does not say which",
    "RP404": "a stage lacks an input that it needs",
    "RP405": "two stages with one id",
    "RP406": "the data block does not provide what a component needs",
    "RP407": "a stage stands where it cannot run",
    "RP501": "a data file is missing or cannot be read",
    "RP502": "a column is missing",
    "RP503": "a value that cannot be used, with its row and column",
    "RP504": "a data file without rows",
    "RP505": "nothing is left after a step",
    "RP506": "ids or vectors that do not match the data set",
    "RP507": "a split that cannot be made from these data",
    "RP601": "a stage failed",
    "RP602": "a stage broke its artifact's contract",
    "RP603": "the device is not there",
    "RP604": "memory ran out, or would",
    "RP605": "a model or data set cannot be had",
    "RP606": "a file cannot be written",
    "RP607": "no such run, user or item",
    "RP608": "a profile store that is not there, holds nothing of the recipe, or cannot be used",
}


@dataclass(frozen=True, slots=True)
class Span:
    """Where something stands in a source text: 1-based line and column, and how many characters it covers."""

    file: str
    line: int
    column: int
    length: int = 1
    text: str = ""  # the whole source line, for the caret

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: a code, what is wrong in lower case without a full stop, where, and what helps."""

    code: str
    message: str
    at: Span | None = None
    help: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"unknown error code {self.code!r}")


class RecprofileError(Exception):
    """An error with a code, a position where one is known, and an exit status."""

    exit_code = 4

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__(render(self.problems))

    @classmethod
    def of(cls, code: str, message: str, *, at: Span | None = None, help: Sequence[str] = ()) -> Self:
        """The error for a single problem."""
        return cls(Problem(code, message, at, tuple(help)))


class RecipeError(RecprofileError):
    """The recipe, or a plugin it names, is wrong (RP1xx to RP4xx)."""

    exit_code = 2


class DataError(RecprofileError):
    """The data are not what the recipe says (RP5xx)."""

    exit_code = 3


class RunError(RecprofileError):
    """A stage, device, asset or disk failed (RP6xx)."""

    exit_code = 4


class ArtifactError(RunError):
    """A stage returned something that breaks its artifact's contract (RP602)."""

    def __init__(self, message: str | Problem | Iterable[Problem]) -> None:
        super().__init__(Problem("RP602", message) if isinstance(message, str) else message)


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that a misspelt one most resembles, or None."""
    by_fold = {k.casefold(): k for k in known}
    found = get_close_matches(name.casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[found[0]] if found else None


def quoted(text: str, *, most: int = 60) -> str:
    """Text from a user in single quotes: bounded in length, and without characters that would move the terminal."""
    short = text if len(text) <= most else text[: most - 1] + "…"
    return f"'{printable(short)}'"


def printable(text: str) -> str:
    """Text on one line, with an escape for each character that would move the terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def in_file_order(problems: Iterable[Problem], files: Iterable[str | os.PathLike[str]] = ()) -> list[Problem]:
    """Problems in file order, each once.

    Files come in the order of `files`, then in that of their first problem; what --set says comes after every file,
    and what has no position comes last. One value used twice through an alias is wrong only once.
    """
    rank: dict[str, int] = {}
    for file in files:
        rank.setdefault(os.path.normpath(file), len(rank))
    once = list(dict.fromkeys(problems))
    for problem in once:
        if problem.at:
            rank.setdefault(os.path.normpath(problem.at.file), len(rank))

    def place(problem: Problem) -> tuple[int, int, int, int]:
        if problem.at is None:
            return 2, 0, 0, 0
        if problem.at.file == SET_FILE:
            return 1, 0, 0, 0  # in the order given: a column says nothing across arguments
        return 0, rank[os.path.normpath(problem.at.file)], problem.at.line, problem.at.column

    return sorted(once, key=place)


def did_you_mean(name: str, known: Iterable[str], *, label: str = "known", most: int = 12) -> tuple[str, ...]:
    """Help lines for a wrong name: the closest known one, then what there is, bounded in length."""
    names = sorted(set(known))
    near = closest(name, names)
    lines = [f"did you mean '{near}'?"] if near else []
    if names:
        lines.append(f"{label}: {listed(names, most=most)}")
    return tuple(lines)


def listed(names: Sequence[str], *, most: int = 12) -> str:
    """Names with commas, bounded in number."""
    more = f", … ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def render(problems: Sequence[Problem]) -> str:
    """Problems as text: position, code and message, the source line with a caret, then help lines.

    In file order as given; at most 20 in full, then a count.
    """
    blocks = [_render_one(problem) for problem in problems[:SHOWN]]
    left = len(problems) - SHOWN
    if left > 0:
        blocks.append(f"… and {left} more")
    return "\n".join(blocks)


def _render_one(problem: Problem) -> str:
    where = f"{problem.at}: " if problem.at else ""
    lines = [f"{where}{problem.code} {printable(problem.message)}"]
    if problem.at and problem.at.text.strip():
        text, start = _window(problem.at)
        carets = "^" * max(1, min(problem.at.length, len(text) - start))
        lines.append(f"{problem.at.line:4d} | {text}")
        lines.append(f"     | {' ' * start}{carets}")
    lines += [f"     = {printable(line)}" for line in problem.help]
    return "\n".join(lines)


def _window(at: Span) -> tuple[str, int]:
    """The part of a source line around a position, and where the position lies in it.

    One character is printed for one, so that the caret stands right whatever the line holds.
    """
    text = re.sub(r"[^ -\U0010ffff]|[\x7f-\x9f]", " ", at.text)
    start = at.column - 1
    first = max(0, min(start - WIDTH // 2, len(text) - WIDTH))
    if first or len(text) > first + WIDTH:
        shown = text[first : first + WIDTH]
        return ("…" if first else "") + shown + ("…" if len(text) > first + WIDTH else ""), start - first + bool(first)
    return text, start
