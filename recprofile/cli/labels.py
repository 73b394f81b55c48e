"""`suggest-labels`: whose labels would help most."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from recprofile.cli.complete import runs_and_recipes
from recprofile.cli.terminal import console, json_out, print_indented, table

if TYPE_CHECKING:
    from recprofile.labels import Suggestion
    from recprofile.runs import Run


def add_to(app: typer.Typer) -> None:
    """Add this command to the application."""
    app.command("suggest-labels")(suggest_labels)


def suggest_labels(
    run: Annotated[
        Path | None,
        typer.Argument(
            autocompletion=runs_and_recipes,
            metavar="RUN_OR_RECIPE",
            help="Run folder, or the recipe that made it. [default: the newest in ./runs]",
            show_default=False,
        ),
    ] = None,
    users: Annotated[
        bool, typer.Option("--users/--items", help="Users to ask, in place of items to ask about.")
    ] = False,
    n: Annotated[int, typer.Option("-n", "--n", min=1, max=10_000, help="How many.")] = 20,
    ask: Annotated[
        int, typer.Option("--ask", min=1, max=100, help="Labels for each: so many users, or items, are named.")
    ] = 5,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Suggest the items, or users, whose labels would help most, and who could give them.

    Each is the one whose labels would lower the uncertainty of all the others most, given those above it: little is
    known of it, it is unlike what was suggested before, and many others are like it. Named with it are the users most
    likely to know the item, or the items that the user most likely knows.

    Examples:

        recprofile suggest-labels recipes/quickstart.yaml
        recprofile suggest-labels runs/shop --users -n 10 --json
    """
    from recprofile.labels import suggest
    from recprofile.runs import find_run

    opened = find_run(run)
    found = suggest(opened, "users" if users else "items", n, ask=ask)
    if json:
        rows = [{**asdict(one), "ask": list(one.ask)} for one in found]
        json_out({"run": str(opened.folder), "of": "users" if users else "items", "labels": ask, "suggested": rows})
        return
    _print(opened, found, users=users)


def _print(run: Run, found: list[Suggestion], *, users: bool) -> None:
    from recprofile.report.words import amount, number

    names = {} if users else {str(one.id): one.label for one in found}
    rows = [
        (
            str(n),
            str(one.id) if one.label is None else f"{one.label} ({one.id})",
            amount(one.events),
            number(one.uncertainty, 2),
            f"{number(100 * one.helps)} %",
            "–" if one.nearest is None else f"{number(one.near, 2)} {names.get(str(one.nearest)) or one.nearest}",
            ", ".join(map(str, one.ask)) or "–",
        )
        for n, one in enumerate(found, start=1)
    ]
    out = console()
    heads = (
        "",
        "user" if users else "item",
        "events",
        "uncertain",
        "helps",
        "nearest above",
        "ask about" if users else "ask",
    )
    out.print(table(heads, rows, right=(0, 2, 3, 4)))
    out.print()
    print_indented(
        "uncertain: 1 where nothing is known, 0 where all is. helps: what part of the uncertainty of all "
        f"{'users' if users else 'items'} its labels would remove, those above it given. nearest above: cosine with "
        f"the most alike of those above it. From {escape(str(run.folder))}",
        0,
    )
