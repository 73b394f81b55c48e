"""What a person sees: consoles, problems, paragraphs, tables. Plain text where the output is no terminal."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Container, Iterable, Sequence
from functools import cache

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from recprofile.errors import Problem, render

_HEAD = re.compile(r"^(?P<where>\S.*?:\d+:\d+: )?(?P<code>RP\d{3}|error:) ")


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


def print_flowing(markup: str) -> None:
    """A sentence with markup on standard output: broken between words on a terminal, else one line."""
    console().print(markup, soft_wrap=not console().is_terminal)


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
    bold: Container[int] = (),
) -> Table:
    """A plain table without a frame, and without heads where all are empty.

    `widths` of the first columns; `right` says which columns are numbers, `bold` which rows stand out.
    """
    numbers = set(right)
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0), show_header=any(columns))
    for n, name in enumerate(columns):
        width = widths[n] if n < len(widths) else None
        made.add_column(name, justify="right" if n in numbers else "left", overflow="fold", min_width=width)
    for n, row in enumerate(rows):
        made.add_row(*(escape(cell) for cell in row), style="bold" if n in bold else None)
    return made


def duration(seconds: float) -> str:
    """Seconds as a person reads them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def json_out(value: object) -> None:
    """Plain JSON on standard output, for machines."""
    import json

    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=1) + "\n")
