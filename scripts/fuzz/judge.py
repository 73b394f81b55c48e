"""Run a command on what was made up, and say what it did wrong: a traceback, a wrong exit code, too long."""

from __future__ import annotations

import io
import os
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

from recprofile.cli.main import status_of
from recprofile.cli.terminal import console, errors_console

STATUS = {"1": 2, "2": 2, "3": 2, "4": 2, "5": 3, "6": 4}
_PROBLEM = re.compile(r"^(?:(?:\S.*?:\d+:\d+|\S[^\n]*?): )?RP(\d)(\d\d) (.*)$", re.MULTILINE)
_RAISED = re.compile(r"^\w+(?:Error|Exception|Warning|Interrupt|Panic)\b")
CHECK_FAILED = 1


def peak_mib() -> float:
    """The most memory that was resident in this process."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1 << 20) if sys.platform == "darwin" else most / 1024


@dataclass
class Counts:
    """What the commands did so far."""

    statuses: Counter[int] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    started_with: float = field(default_factory=peak_mib)

    @property
    def grown_mib(self) -> float:
        """How much more memory was ever resident than at the start."""
        return peak_mib() - self.started_with


class Misbehaved(AssertionError):
    """A command did what no command may."""


def judge(arguments: list[str], counts: Counts, *, seconds: float, may_raise: bool = False) -> None:
    """Run a command. Raises Misbehaved for a traceback, an exit code that its words do not have, or too long a time.

    `may_raise`: a component's own exception, told as RP601, is no fault.
    """
    out, err = io.StringIO(), io.StringIO()
    begun = time.perf_counter()
    with redirect_stdout(out), redirect_stderr(err):
        for made in (console, errors_console):  # they keep the streams of whoever asked first
            made.cache_clear()
        status = status_of(arguments)
    took = time.perf_counter() - begun
    text = err.getvalue()
    problems = _PROBLEM.findall(text)
    counts.statuses[status] += 1
    counts.codes.update(f"RP{group}{rest}" for group, rest, _ in problems)
    counts.slowest = max(counts.slowest, took)
    if fault := _fault(status, problems, text, may_raise=may_raise):
        raise Misbehaved(f"{fault}: recprofile {' '.join(arguments)} exits with {status} and says\n{text}")
    if took > seconds:
        raise Misbehaved(f"recprofile {' '.join(arguments)} took {took:.1f} s")


def _fault(status: int, problems: list[tuple[str, str, str]], text: str, *, may_raise: bool) -> str | None:
    if "Traceback (most recent call last)" in text:
        return "a traceback"
    if status not in {0, CHECK_FAILED, 2, 3, 4}:
        return f"no exit code is {status}"
    raised = [said for group, rest, said in problems if group + rest == "601" and _RAISED.match(said)]
    if raised and not may_raise:
        return f"an exception that nobody expected, {raised[0]}"
    if status in {0, CHECK_FAILED}:
        return "a problem, and no failure" if any(not _is_warning(text, said) for *_, said in problems) else None
    if not problems:
        return "a failure without a problem"
    told = min(STATUS[group] for group, *_ in problems)  # a wrong recipe counts more than wrong data
    hidden = re.search(r"^… and \d+ more$", text, re.MULTILINE)
    return f"its problems mean {told}" if status != told and not (hidden and status < told) else None


def _is_warning(text: str, said: str) -> bool:
    line = next(line for line in text.splitlines() if said in line)
    return line.startswith("warning")


@contextmanager
def inside(folder: Path, files: Mapping[str, str | bytes]) -> Iterator[Path]:
    """Within, the working folder is one with these files, and the cache lies in it."""
    before = Path.cwd()
    kept = {name: os.environ.get(name) for name in ("RECPROFILE_CACHE", "RECPROFILE_OFFLINE", "COLUMNS")}
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    os.environ.update(RECPROFILE_CACHE=str(folder / "cache"), RECPROFILE_OFFLINE="1", COLUMNS="200")
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        for made in (console, errors_console):
            made.cache_clear()
