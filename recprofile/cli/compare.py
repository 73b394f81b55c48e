"""`compare`: what differs between two plans or runs."""

from __future__ import annotations

import json as json_text
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from recprofile.cli.complete import runs_and_recipes
from recprofile.cli.terminal import console, json_out, print_flowing, table

ABSENT = "–"

Compared = Annotated[
    Path,
    typer.Argument(metavar="RECIPE_OR_RUN", autocompletion=runs_and_recipes, help="A recipe file or a run folder."),
]


def add_to(app: typer.Typer) -> None:
    """Add this command to the application."""
    app.command()(compare)


def compare(
    a: Compared,
    b: Compared,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Show what differs between two recipes or runs: stages, parameters, data, versions, shared results, metrics.

    Recipes are compared filled and pinned, so that a default and the same value written out are alike. A result is
    shared when both compute it from the same things.

    Examples:

        recprofile compare recipes/minimal.yaml recipes/quickstart.yaml
        recprofile compare runs/seed-7 runs/seed-8
    """
    from recprofile.cli.differences import comparison, side_of
    from recprofile.registry import make_registry

    registry = make_registry()
    found = comparison(side_of(a, registry), side_of(b, registry), registry)
    if json:
        json_out(found)
    else:
        _print(found)


def _print(found: Mapping[str, Any]) -> None:
    out = console()
    for letter in ("a", "b"):
        out.print(f"[dim]{letter}[/dim]  {escape(found[letter])}")
    out.print()
    if found["alike"]:
        out.print("they say the same\n")
    stages = found["stages"]
    rows: list[tuple[str, ...]] = [(f"  {id}", _named(stage), ABSENT) for id, stage in stages["removed"].items()]
    rows += [(f"  {id}", ABSENT, _named(stage)) for id, stage in stages["added"].items()]
    rows += [(f"  {id} {key}", *two) for id, told in stages["changed"].items() for key, *two in _rows(told)]
    if order := stages["order"]:
        rows.append(("  order", ", ".join(order["a"]), ", ".join(order["b"])))
    _section("stages", ("", "a", "b"), rows)
    settings = [(f"  {key}", one, other) for key, one, other in _rows(found["settings"])]
    settings += [(f"  contents of {name}", "differ", "") for name in found["contents"]]
    _section("settings and data", ("", "a", "b"), settings)
    _section("versions", ("", "a", "b"), [(f"  {key}", *row) for key, *row in _rows(found["versions"])])
    _print_results(found["results"])
    if found["metrics"]:
        _print_metrics(found["metrics"])


def _section(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: tuple[int, ...] = ()) -> None:
    if rows:
        console().print(f"[bold]{title}[/bold]")
        console().print(table(columns, rows, right=right))
        console().print()


def _rows(differences: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    for key, two in differences.items():
        yield key, _shown(two["a"]), _shown(two["b"])


def _named(stage: Mapping[str, Any]) -> str:
    return f"{stage['verb']}: {stage['component']}"


def _shown(value: object) -> str:
    if value is None:
        return ABSENT
    return value if isinstance(value, str) else json_text.dumps(value, ensure_ascii=False)


def _print_results(results: Mapping[str, Any]) -> None:
    if not results["known"]:
        print_flowing(f"which results they share is not known before a run: {escape(results['why'])}")
        return
    other, count = results["other"], len(results["shared"])
    rows = [(f"  {id}", one["why"], "cached" if one["cached"] else "to do") for id, one in other.items()]
    console().print(f"[bold]results[/bold]  {count} of the {count + len(other)} of b are those of a")
    if rows:
        console().print(table(("", "why it differs", "state"), rows))
    console().print()


def _print_metrics(metrics: Mapping[str, Any]) -> None:
    from recprofile.report.words import number, places, signed

    rows: list[tuple[str, ...]] = []
    for name, cell in metrics.get("main", {}).items():
        decimals = places((cell["a"], cell["b"]))
        numbers = (number(cell[side], decimals) for side in ("a", "b"))
        rows.append((f"  {name}", *numbers, signed(cell["difference"], decimals + 1)))
    _section("metrics of the lists given out", ("", "a", "b", "difference"), rows, right=(1, 2, 3))
    if others := [line for line in metrics if line != "main"]:
        print_flowing(f"[dim]both runs judged {escape(', '.join(others))} too: --json has their metrics[/dim]")
