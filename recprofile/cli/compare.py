"""`compare`: what differs between two plans or runs, and how the results of runs differ."""

from __future__ import annotations

import json as json_text
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from recprofile.cli.complete import runs_and_recipes
from recprofile.cli.terminal import console, json_out, print_flowing, table

if TYPE_CHECKING:
    from recprofile.evaluate.compare import Contender

ABSENT = "–"
BEST = "best"

Compared = Annotated[
    list[Path],
    typer.Argument(
        metavar="RECIPE_OR_RUN…",
        autocompletion=runs_and_recipes,
        help="Run folders, any number; or two recipe files; or one of each.",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add this command to the application."""
    app.command()(compare)


def compare(
    given: Compared,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="WHICH",
            help="Which one the others are compared with: a run (or, of one run, a ranker) by name or letter, or "
            "'best'. [default: the first run; of one run, the ranker whose lists it gave out]",
            show_default=False,
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC",
            help="The metric of breakdown, plot and 'best'. [default: the first]",
            show_default=False,
        ),
    ] = None,
    confidence: Annotated[
        float, typer.Option(min=0.5, max=0.999, help="Of the intervals; 1 less it is the level of the tests.")
    ] = 0.95,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page with plots, too.", show_default=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Compare results of runs; or show what differs between two recipes or runs, and which results they share.

    Of runs: every metric with bootstrap intervals; paired differences over the users whom all of them judged, with
    p-values of a randomization test, corrected (Holm) for being so many; and where the differences come from, by user
    activity and by item popularity. One run compares its rankers. Runs on different test parts are not paired.

    Of two: stages, parameters, data, versions, shared results. Recipes are compared filled and pinned, so that a
    default and the same value written out are alike. A result is shared when both compute it from the same things.

    Examples:

        recprofile compare runs/seed-7 runs/seed-8
        recprofile compare runs/* --against best --html comparison.html
        recprofile compare runs/quickstart --metric recall@20
        recprofile compare recipes/minimal.yaml recipes/quickstart.yaml
    """
    from recprofile.cli.differences import RECIPES

    if any(path.suffix in RECIPES for path in given):
        if len(given) != 2:
            raise typer.BadParameter("name two: recipes are compared two at a time, and run folders in any number")
        if against or metric or html:
            raise typer.BadParameter("--against, --metric and --html are for results: name run folders")
        found = _differing(given)
    else:
        found = _runs(given, against, metric, confidence, html)
    if json:
        json_out(found)
    else:
        _print(found)
        if html:
            console().print(f"page: {escape(str(html))}")


def _differing(given: Sequence[Path]) -> dict[str, Any]:
    from recprofile.cli.differences import comparison, side_of
    from recprofile.registry import make_registry

    registry = make_registry()
    a, b = (side_of(path, registry) for path in given)
    return comparison(a, b, registry)


def _runs(
    given: Sequence[Path], against: str | None, metric: str | None, confidence: float, html: Path | None
) -> dict[str, Any]:
    """What differs, of two, and under 'comparison' how the results differ; writes the page where one is wanted."""
    from recprofile.errors import RecprofileError, RunError
    from recprofile.evaluate.compare import compare as compared
    from recprofile.evaluate.compare import contenders_of
    from recprofile.runs import Run

    contenders = contenders_of([Run.open(path) for path in given])
    results = compared(contenders, against=_chosen(contenders, against, metric), metric=metric, confidence=confidence)
    found: dict[str, Any] = {"comparison": results}
    if len(given) == 2:
        try:
            found = {**_differing(given), **found}
        except RecprofileError as error:  # a plugin is gone, say: the results stand all the same
            results["notes"].append(f"what the two do differently cannot be told: {error.problems[0].message}")
    if html:
        from recprofile.report import render_comparison

        try:
            html.write_text(render_comparison(results), encoding="utf-8")
        except OSError as error:
            message = f"cannot write '{html}': {(error.strerror or str(error)).lower()}"
            raise RunError.of("RP606", message, help=("give another place to --html",)) from error
    return found


def _chosen(contenders: Sequence[Contender], against: str | None, metric: str | None) -> int:
    """The place of the one that the others are compared with."""
    from recprofile.evaluate.compare import best_of, default_of

    if against is None:
        return default_of(contenders)
    if against == BEST:
        return best_of(contenders, metric)
    wanted = [against, str(Path(against))]
    names = [(c.key, c.name, c.label if len({c.name for c in contenders}) == 1 else "") for c in contenders]
    for n, known in enumerate(names):
        if set(known) & set(wanted):
            return n
    told = ", ".join(f"{key} ({name})" for key, name, _ in names)
    raise typer.BadParameter(f"--against '{against}' is none of them: 'best', {told}")


def _print(found: Mapping[str, Any]) -> None:
    from recprofile.cli.comparison import print_comparison, print_lines

    results = found.get("comparison")
    if results:
        print_lines(results)
    else:
        for letter in ("a", "b"):
            console().print(f"[dim]{letter}[/dim]  {escape(found[letter])}")
        console().print()
    if "stages" in found:
        _print_differences(found)
    if results:
        print_comparison(results)


def _print_differences(found: Mapping[str, Any]) -> None:
    if found["alike"]:
        console().print("they say the same\n")
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


def _section(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if rows:
        console().print(f"[bold]{title}[/bold]")
        console().print(table(columns, rows))
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
