"""What is seen of a run while it goes on: a line per finished stage, and a bar for whatever takes over a second."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, ProgressColumn, Task, TextColumn
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Column
from rich.text import Text

from recprofile.cli.terminal import duration, errors_console
from recprofile.hookspecs import hookimpl

SHOW_AFTER = 1.0  # seconds that something may take before it gets a bar
LONGEST_NAME = 28  # columns that the names of stages are padded to
NARROW = 72  # columns of a terminal below which rates are left out
AMOUNTS = 23  # columns of '100 %  59 min 59 s left'
RATE = 15  # columns of '12,345 events/s'


class _Gauge(ProgressColumn):
    """A bar where the end is known; else something that turns."""

    def __init__(self, width: int, spinner: str) -> None:
        super().__init__(Column(no_wrap=True, overflow="crop"))
        self._width, self._spinner = width, Spinner(spinner)

    def render(self, task: Task) -> ProgressBar | Text:
        """For the column's cell."""
        if _ends(task):
            return ProgressBar(total=task.total, completed=task.completed, width=self._width)
        turning = self._spinner.render(task.get_time())
        assert isinstance(turning, Text)  # a spinner without a text
        return turning


class _Amounts(ProgressColumn):
    """How much is done, how fast, and the time left, or where the end is not known the time since the start."""

    def __init__(self, *, rates: bool) -> None:
        super().__init__(Column(no_wrap=True, overflow="crop"))
        self._rates = rates

    def render(self, task: Task) -> Text:
        """For the column's cell."""
        unit = str(task.fields["unit"])
        told = Text()
        if _ends(task):
            told.append(f"{task.percentage:>3.0f} %")
        elif task.completed and not task.total and unit == "bytes":
            told.append(f"{task.completed / 1e6:.1f} MB")
        if self._rates and (_ends(task) or not task.total) and (speed := rate(task.speed, unit)):
            told.append(f"  {speed:>{RATE}}" if _ends(task) else f"  {speed}", style="cyan")
        if _ends(task):
            left = (task.total - task.completed) / task.speed if task.total and task.speed else None
            told.append("" if left is None else f"  {roughly(left)} left")
        else:
            told.append(f"{'  ' if told else ''}{roughly(task.get_time() - (task.start_time or 0))}")
        return told


def _ends(task: Task) -> bool:
    """Whether it is known when the work ends: not before the first of it is done, nor when all is and it goes on."""
    return task.total is not None and 0 < task.completed < task.total


def rate(speed: float | None, unit: str) -> str:
    """'1,234 texts/s', '0.25 epochs/s', '3.4 MB/s'; '' while it is not known."""
    if not speed:
        return ""
    if unit == "bytes":
        return f"{speed / 1e6:.1f} MB/s"
    return f"{speed:,.{0 if speed >= 10 else 1 if speed >= 1 else 2}f} {unit}/s"


def roughly(seconds: float) -> str:
    """A time that moves, in whole seconds: '5 s', '3 min 20 s', '1 h 02 min'."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else duration(whole)


class _Bar:
    """A bar that comes up once the work has taken a second, and leaves no trace.

    A thread of its own draws it, so that it also turns while the work says nothing.
    """

    def __init__(self, out: Console, name: str, label: str) -> None:
        self.name = name
        rates = wide(out)
        room = out.width - Text.from_markup(label).cell_len - AMOUNTS - (RATE + 2 if rates else 0) - 3
        self._progress = Progress(
            TextColumn(label, table_column=Column(no_wrap=True, overflow="ellipsis")),
            _Gauge(max(6, min(30, room)), _spinner(out)),
            _Amounts(rates=rates),
            console=out,
            transient=True,
            # What a stage prints meanwhile goes above the bar; a standard output that is no terminal is left alone.
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task = self._progress.add_task("", total=None, unit="")
        self._timer = threading.Timer(SHOW_AFTER, self._progress.start)
        self._timer.daemon = True
        self._timer.start()

    def move(self, done: int, total: int, unit: str) -> None:
        """So much of it is done; a total of 0 is one that is not known."""
        self._progress.update(self._task, completed=done, total=total or None, unit=unit)

    def close(self) -> None:
        """Take it away."""
        self._timer.cancel()
        self._timer.join()
        if self._progress.live.is_started:
            self._progress.stop()


def wide(out: Console) -> bool:
    """Whether a terminal has room for rates."""
    return out.width >= NARROW


def _end_of(text: str, most: int) -> str:
    """The end of a text: what is done with a file stands after its name."""
    return text if len(text) <= most else f"…{text[1 - most :]}"


def _spinner(out: Console) -> str:
    return "dots" if out.encoding.lower().startswith("utf") else "line"


class TerminalObserver:
    """Watches a run: a line per finished stage, and a bar for whatever takes over a second.

    Bars are for terminals; elsewhere there are plain lines, and one for each thing that is fetched. Progress may be
    told from any thread.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._out = errors_console()
        self._quiet = quiet
        self._bars = self._out.is_interactive and not quiet
        self._lock = threading.RLock()
        self._bar: _Bar | None = None
        self._told = ""  # what is being fetched, where there are no bars
        self._open: list[Mapping[str, Any]] = []  # stages under way: one may be needed by another, and made within it
        self._width = 4
        self.finished = 0
        self.stages = 0

    def watch(self, what: str, label: str = "") -> None:
        """Something begins that may take a while."""
        with self._lock:
            self.close()
            if self._bars:
                self._bar = _Bar(self._out, what, label or f"  {escape(_end_of(what, 30 if wide(self._out) else 24))}")

    def close(self) -> None:
        """Take the bar away."""
        with self._lock:
            if self._bar is not None:
                self._bar.close()
            self._bar = None

    @hookimpl
    def recprofile_run_started(self, run: Mapping[str, Any]) -> None:
        """Say what runs, where, on what."""
        self.stages = len(run["stages"])
        self._width = min(max(map(len, run["stages"]), default=4), LONGEST_NAME)
        self.watch("looking into the cache")
        name, out = escape(run["name"]), escape(run["out"])
        self._say(f"[bold]{name}[/bold] → {out}  device {run['device']}, seed {run['seed']}", whole=True)

    @hookimpl
    def recprofile_stage_started(self, stage: Mapping[str, Any]) -> None:
        """Start the clock."""
        # What is made within a stage comes before it in the order; else that stage was given up without a word.
        while self._open and self._open[-1]["at"] <= stage["at"]:
            self._open.pop()
        self._open.append(stage)
        self._watch_stage(stage)

    @hookimpl
    def recprofile_progress(self, stage: str, done: int, total: int, unit: str) -> None:
        """Move the bar; what is being fetched comes without a stage having started."""
        if self._quiet:
            return
        with self._lock:
            if not self._bars:
                if not self._open and stage != self._told:
                    self._told = stage
                    self._say(f"  {escape(stage)}")
                return
            if self._bar is None or self._bar.name != stage:
                self.watch(stage)
            assert self._bar is not None  # `watch` has made it
            self._bar.move(done, total, unit)

    @hookimpl
    def recprofile_stage_finished(self, stage: Mapping[str, Any]) -> None:
        """One line: what was done, in what time, or that it was in the cache."""
        self.close()
        took = "cached" if stage["cached"] else duration(stage["seconds"])
        self._say(f"  {self._head(stage)}  {took:>10}  [dim]{escape(stage['component'])}[/dim]")
        self.finished += 1
        ids = [one["id"] for one in self._open]
        if stage["id"] in ids:
            del self._open[ids.index(stage["id"]) :]
        if self._open:
            self._watch_stage(self._open[-1])
        else:
            self.watch("writing the run folder" if stage["at"] == stage["of"] else "looking into the cache")

    @hookimpl
    def recprofile_stage_failed(self, stage: Mapping[str, Any], error: BaseException) -> None:
        """Take the bar away before the error is printed."""
        self.close()
        word = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        self._say(f"  {self._head(stage)}  [red]{word:>10}[/red]")

    @hookimpl
    def recprofile_run_finished(self) -> None:
        """Take the bar away."""
        self.close()

    def _watch_stage(self, stage: Mapping[str, Any]) -> None:
        self.watch(stage["id"], f"  {self._head(stage, 20 if wide(self._out) else 16)}")

    def _head(self, stage: Mapping[str, Any], most: int | None = None) -> str:
        """Number and name of a stage, as markup: the same in its line and before its bar."""
        count = f"{stage['at']:>{len(str(stage['of']))}}/{stage['of']}"
        name, width = stage["id"], self._width if most is None else min(self._width, most)
        if most is not None and len(name) > most:
            name = name[: most - 1] + "…"
        return f"[dim]{count}[/dim]  {escape(f'{name:<{width}}')}"

    def _say(self, text: str, *, whole: bool = False) -> None:
        """A line; on a terminal cut at its edge unless it is to be `whole`."""
        if self._quiet:
            return
        if whole or not self._out.is_terminal:
            self._out.print(text)
        else:
            self._out.print(text, soft_wrap=False, no_wrap=True, overflow="ellipsis")
