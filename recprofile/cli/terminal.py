"""What a person sees: consoles, problems, progress bars, tables. Plain text where the output is no terminal."""

from __future__ import annotations

import re
import sys
import textwrap
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from recprofile.errors import Problem, render
from recprofile.hookspecs import hookimpl

_HEAD = re.compile(r"^(?P<where>\S.*?:\d+:\d+: )?(?P<code>RP\d{3}|error:) ")
SHOW_AFTER = 1.0  # seconds a stage may take before it gets a bar


@cache
def console() -> Console:
    """Standard output."""
    return Console(highlight=False, soft_wrap=True, emoji=False)  # else the position r.yaml:100:1 shows a 💯


@cache
def errors_console() -> Console:
    """Standard error."""
    return Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def print_problems(problems: Sequence[Problem]) -> None:
    """Problems on standard error, coloured on a terminal."""
    print_lines(render(problems).splitlines())
    if len(problems) > 1:
        errors_console().print(f"{len(problems)} problems")


def print_lines(lines: Iterable[str]) -> None:
    """Rendered problems, line by line, on standard error."""
    out = errors_console()
    for line in lines:
        head = _HEAD.match(line)
        if head:
            where, rest = head["where"] or "", line[head.end() :]
            out.print(f"[bold]{escape(where)}[/bold][bold red]{head['code']}[/bold red] [bold]{escape(rest)}[/bold]")
        elif set(line.strip()) <= {"|", "^", " "} and "^" in line:
            out.print(f"[red]{escape(line)}[/red]")
        else:
            out.print(escape(line))


def print_indented(text: str, by: int = 2) -> None:
    """A paragraph on standard output, flowing to its width."""
    indent, flowing = " " * by, " ".join(text.split())
    lines = textwrap.wrap(
        flowing,
        width=max(20, console().width),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    console().print("\n".join(lines), markup=False)


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Iterable[int] = (),
    widths: Sequence[int] = (),
) -> Table:
    """A plain table without a frame, and without heads where all are empty; `widths` of the first columns."""
    numbers = set(right)
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0), show_header=any(columns))
    for n, name in enumerate(columns):
        width = widths[n] if n < len(widths) else None
        made.add_column(name, justify="right" if n in numbers else "left", overflow="fold", min_width=width)
    for row in rows:
        made.add_row(*(escape(cell) for cell in row))
    return made


def duration(seconds: float) -> str:
    """Seconds as a person reads them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


class _Rate(TextColumn):
    """Units done a second."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        unit = task.fields.get("unit", "")
        return Text(f"{speed:,.0f} {unit}/s" if speed else "", style="cyan")


class TerminalObserver:
    """Watches a run: a line per finished stage, and a bar with rate and time left for one that takes over a second."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._out = errors_console()
        self._quiet = quiet
        self._bars: Progress | None = None
        self._task: TaskID | None = None
        self._stage = ""
        self._begun = 0.0
        self._width = 4

    def close(self) -> None:
        """Take the bar away."""
        if self._bars is not None:
            self._bars.stop()
        self._bars, self._task = None, None

    @hookimpl
    def recprofile_run_started(self, run: Mapping[str, Any]) -> None:
        """Say what runs, where, on what."""
        self._width = max(len(name) for name in run["stages"])
        self._say(
            f"[bold]{escape(run['name'])}[/bold] → {escape(run['out'])}  device {run['device']}, seed {run['seed']}"
        )

    @hookimpl
    def recprofile_stage_started(self, stage: Mapping[str, Any]) -> None:
        """Start the clock."""
        self.close()
        self._stage, self._begun = stage["id"], time.monotonic()

    @hookimpl
    def recprofile_progress(self, stage: str, done: int, total: int, unit: str) -> None:
        """Move the bar; assets being fetched come without a stage having started."""
        if self._quiet or not self._out.is_terminal:
            return
        if stage != self._stage:
            self.close()
            self._stage, self._begun = stage, time.monotonic()
        if time.monotonic() - self._begun < SHOW_AFTER:
            return
        if self._bars is None:
            self._bars = Progress(
                TextColumn("  {task.description}"),
                BarColumn(bar_width=30),
                TextColumn("{task.percentage:>3.0f} %"),
                _Rate(),
                TimeRemainingColumn(compact=True, elapsed_when_finished=True),
                console=self._out,
                transient=True,
            )
            self._bars.start()
            self._task = self._bars.add_task(escape(stage), total=total or None, unit=unit)
        assert self._task is not None
        self._bars.update(self._task, completed=done, total=total or None)

    @hookimpl
    def recprofile_stage_finished(self, stage: Mapping[str, Any]) -> None:
        """One line: what was done, in what time, or that it was in the cache."""
        self.close()
        took = "cached" if stage["cached"] else duration(stage["seconds"])
        count = f"{stage['at']:>{len(str(stage['of']))}}/{stage['of']}"
        name = f"{escape(stage['id']):<{self._width}}"
        self._say(f"  [dim]{count}[/dim]  {name}  {took:>10}  [dim]{escape(stage['component'])}[/dim]")

    @hookimpl
    def recprofile_stage_failed(self, stage: Mapping[str, Any], error: BaseException) -> None:
        """Take the bar away before the error is printed."""
        self.close()
        word = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        self._say(
            f"  [dim]{stage['at']}/{stage['of']}[/dim]  {escape(stage['id']):<{self._width}}  [red]{word:>10}[/red]"
        )

    def _say(self, text: str) -> None:
        if not self._quiet:
            self._out.print(text)


def json_out(value: object) -> None:
    """Plain JSON on standard output, for machines."""
    import json

    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=1) + "\n")
