"""`init`: a recipe from files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from recprofile.cli.terminal import console
from recprofile.errors import DataError, Problem, RunError, quoted

if TYPE_CHECKING:
    from recprofile.guess.looks import Seen


def add_to(app: typer.Typer) -> None:
    """Add this command to the application."""
    app.command()(init)


def init(
    files: Annotated[list[str], typer.Argument(help="The log of events, and tables of items and users, in any order.")],
    out: Annotated[Path | None, typer.Option(help="Where to write the recipe, in place of standard output.")] = None,
) -> None:
    """Look at data files and write a recipe for them, with the reason for each guess beside it.

    It guesses which file is what, which columns are users, items, ratings and times, what the other columns are good
    for, and which events are positive. The recipe runs as it is; read it, and change what is not so.

    Examples:

        recprofile init ratings.csv movies.csv > r.yaml
        recprofile init orders.parquet products.jsonl users.csv --out shop.yaml

    Exit code 3 when nothing in the files looks like a log of events.
    """
    from recprofile.guess import guess, look_at, written

    if out is not None and out.exists():
        raise typer.BadParameter(f"{quoted(str(out))} is there already", param_hint="'--out'")
    seen: list[Seen] = []
    problems: list[Problem] = []
    for shown in dict.fromkeys(files):
        try:
            seen.append(look_at(_path(shown), shown))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    text = written(
        guess(seen),
        folder=out.parent if out is not None else Path(),
        name=str(out) if out is not None else "r.yaml",
        **_installed(),
    )
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        why = (error.strerror or "").lower()
        raise RunError.of("RP606", f"{quoted(str(out), most=200)} cannot be written: {why}") from None
    console().print(escape(f"{out}: read it, then: recprofile run {out}"))


def _path(shown: str) -> Path:
    """The file that an address names, where it is on this disk."""
    from recprofile.assets import find_here

    try:
        found = find_here(shown, base=Path.cwd())
    except RunError as error:
        raise DataError.of("RP501", error.problems[0].message, help=error.problems[0].help) from None
    if found is None:
        name = shown.partition("://")[2].partition("/")[0]
        how = name if shown.startswith("dataset://") else f"'{shown}'"
        raise DataError.of("RP501", f"{quoted(shown)} is not here yet", help=(f"recprofile data fetch {how}",))
    return found


def _installed() -> dict[str, bool]:
    """What the recipe may use: the plugins, and the sentence encoder without fetching it."""
    from recprofile.assets import find_here
    from recprofile.guess.write import MODEL
    from recprofile.registry import make_registry

    names = {offer.name for offer in make_registry().offers}
    return {
        "hf": "hf/text" in names,
        "checks": "fairlearn/quality-gap" in names,
        "model_here": find_here(MODEL, base=Path.cwd()) is not None,
    }
