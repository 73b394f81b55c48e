"""`run`, `validate` and `plan`."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from recprofile.api import planned
from recprofile.cli.complete import recipes
from recprofile.cli.summary import print_summary
from recprofile.cli.terminal import console, errors_console, json_out, print_problems, table
from recprofile.errors import printable, quoted

if TYPE_CHECKING:
    from recprofile.dataset import FileFacts
    from recprofile.engine import RunResult
    from recprofile.errors import Problem
    from recprofile.probe import Probe

PATTERN_DEVICE = r"auto|cpu|mps|cuda(:[0-9]{1,3})?"
GATE_DID_NOT_HOLD = 1


def _device(given: str | None) -> str | None:
    import re

    if given is not None and not re.fullmatch(PATTERN_DEVICE, given):
        raise typer.BadParameter(f"{quoted(given)} is no device: auto, cpu, mps, cuda or cuda:N")
    return given


Recipe = Annotated[Path, typer.Argument(autocompletion=recipes, help="The recipe file.", show_default=False)]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PATH=VALUE", help="Change one value, as stages.plot.with.dim=64; may be given again."
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE",
        callback=_device,
        help="Where models run, in place of the recipe's: auto, cpu, mps, cuda, cuda:N.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command()(run)
    app.command()(validate)
    app.command()(plan)


def run(
    recipe: Recipe,
    set: Sets = None,
    out: Annotated[Path | None, typer.Option(help="Run folder, in place of the recipe's.")] = None,
    device: Device = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Compute every stage again, cached or not.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Fetch nothing; use what is in the cache.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only the report's path, warnings and errors.")
    ] = False,
    json: Json = False,
) -> None:
    """Run a recipe from its first stage to the report.

    Stages whose inputs and parameters have not changed come from the cache; a run that was killed goes on where it
    stopped.

    Examples:

        recprofile run recipes/quickstart.yaml
        recprofile run shop.yaml --set seed=8 --out runs/seed-8

    Exit code 1 when a check with `fail: error` does not hold.
    """
    from recprofile.cli.progress import TerminalObserver
    from recprofile.engine import Settings, run_plan

    made, registry = planned(recipe, set or ())
    observer = TerminalObserver(quiet=quiet or json)
    registry.manager.register(observer, name="terminal")
    settings = Settings(
        device=device,
        out=out,
        offline=offline or None,
        fresh=fresh,
        command=shlex.join(["recprofile", *sys.argv[1:]]),
    )
    # With --json nothing else may reach standard output, whatever a component prints.
    try:
        with redirect_stdout(sys.stderr) if json else nullcontext():
            observer.watch("looking at the files")
            result = run_plan(made, registry, settings)
    except KeyboardInterrupt:
        observer.close()
        if observer.stages:
            errors_console().print(f"{observer.finished} of {observer.stages} stages are done and in the cache")
        raise
    finally:
        observer.close()
    if json:
        json_out(_result_json(result))
    else:
        print_summary(result, quiet=quiet)
        if result.published is not None and not quiet:
            from recprofile.cli.store_words import print_published

            print_published(result.published)
    if not result.passed:
        raise typer.Exit(GATE_DID_NOT_HOLD)


def validate(
    recipe: Recipe,
    set: Sets = None,
    no_data: Annotated[bool, typer.Option("--no-data", help="Look at the recipe alone, not at its files.")] = False,
    json: Json = False,
) -> None:
    """Check a recipe and its data: every problem at once, with its position. Runs nothing.

    Of the data it looks at headers, first rows, sizes and ids, so that files of any size take no time; what is not
    on this disk yet is not fetched.

    Examples:

        recprofile validate recipes/quickstart.yaml
        recprofile validate shop.yaml --no-data

    Exit code 2 when the recipe is wrong, 3 when only the data are.
    """
    from recprofile.errors import RecipeError
    from recprofile.plan import judge
    from recprofile.probe import Probe, probe
    from recprofile.registry import make_registry
    from recprofile.source import read_source

    try:
        source = read_source(recipe, set or (), go_on=True)
        judged = judge(source, make_registry())
        found = Probe(judged.problems) if no_data else probe(source, judged)
    except RecipeError as error:
        if not json:
            raise
        found = Probe(error.problems)
    if json:
        json_out(_probe_json(found, looked=not no_data))
        raise typer.Exit(found.exit_code)
    if found.problems:
        print_problems(found.problems)
    for text in found.warnings:
        errors_console().print(f"[yellow]warning:[/yellow] {escape(text)}")
    if not found.problems:
        count = len(judged.stages)
        rows = [f"{file.shown} {_rows(file)}" for file in found.files]
        of_data = f"; {', '.join(rows)}" if rows else ""
        said = f"{recipe}: {count} stage{'s' if count > 1 else ''}, nothing wrong{of_data}"
        console().print(escape(printable(said)))
        for text in found.notes:
            console().print(f"[dim]note:[/dim] {escape(text)}")
    raise typer.Exit(found.exit_code)


def plan(
    recipe: Recipe,
    set: Sets = None,
    device: Device = None,
    yaml: Annotated[bool, typer.Option("--yaml", help="Print the filled and pinned recipe instead.")] = False,
    json: Json = False,
) -> None:
    """Show what a run would do: each stage, what it reads, and whether it is in the cache. Runs nothing.

    Examples:

        recprofile plan recipes/quickstart.yaml
        recprofile plan recipes/quickstart.yaml --yaml > pinned.yaml
    """
    made, registry = planned(recipe, set or ())
    if yaml:
        from recprofile.source import dump_yaml

        sys.stdout.write(dump_yaml(made.filled()))
        return
    from recprofile.engine import Settings, plan_status

    statuses = plan_status(made, registry, Settings(device=device))
    if json:
        json_out([{**vars(s), "reads": list(s.reads)} for s in statuses])
        return
    words = {True: "cached", False: "to do", None: "not known before its assets are fetched"}
    rows = [(s.id, s.kind, s.component, ", ".join(s.reads), words[s.cached]) for s in statuses]
    console().print(table(("stage", "does", "with", "reads", "state"), rows))


def _problem_json(problem: Problem) -> dict[str, Any]:
    at = problem.at
    where = {"file": at.file, "line": at.line, "column": at.column, "length": at.length} if at else {}
    return {"code": problem.code, "message": problem.message, **where, "help": list(problem.help)}


def _probe_json(found: Probe, *, looked: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"problems": [_problem_json(p) for p in found.problems]}
    if looked:
        told |= {
            "warnings": list(found.warnings),
            "notes": list(found.notes),
            "data": {
                file.role: {
                    "path": file.shown,
                    "kind": file.kind,
                    "bytes": file.size,
                    "rows": file.rows,
                    "rows_exact": file.is_exact,
                    "columns": dict(file.columns),
                }
                for file in found.files
            },
        }
    return told


def _rows(file: FileFacts) -> str:
    """'600 rows', 'about 2,300,000 rows', or the size where the rows are not known."""
    if file.rows is None:
        return f"{file.size / 1e6:,.1f} MB"
    return f"{'' if file.is_exact else 'about '}{file.rows:,} row{'' if file.rows == 1 else 's'}"


def _result_json(result: RunResult) -> dict[str, Any]:
    return {
        "out": str(result.out),
        "report": str(result.out / "report.html"),
        "computed": list(result.computed),
        "cached": list(result.cached),
        "passed": result.passed,
        "seconds": round(result.seconds, 3),
        "warnings": list(result.warnings),
        "metrics": result.metrics,
        "checks": list(result.checks),
        "published": dict(vars(result.published)) if result.published else None,
    }
