"""`tune`: parameters of a recipe searched on the validation part."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from recprofile.cli.run import Device, Json, Recipe, Sets
from recprofile.cli.terminal import console, duration, errors_console, json_out, print_flowing, table

if TYPE_CHECKING:
    from recprofile.plan import Knob
    from recprofile.tune import Trial, Tuned

SHOWN = 10  # trials in the table at the end; the rest are in the study


def add_to(app: typer.Typer) -> None:
    """Add this command to the application."""
    app.command()(tune)


def tune(
    recipe: Recipe,
    set: Sets = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Trials in all, those of earlier calls included. [default: the recipe's]"
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, metavar="N", help="Trials at a time, in threads.")] = 1,
    timeout: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Begin no further trial after so long.")
    ] = None,
    study: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="SQLite file of the study. [default: <run folder>.tune.db]", show_default=False
        ),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where the tuned recipe goes. [default: <recipe>-tuned.yaml]", show_default=False
        ),
    ] = None,
    device: Device = None,
    offline: Annotated[bool, typer.Option("--offline", help="Fetch nothing; use what is in the cache.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only where the recipe is, and errors.")] = False,
    json: Json = False,
) -> None:
    """Search parameters of a recipe on the validation part of its data, and write the recipe with the best ones.

    What is searched stands in the recipe under `tune`; else it is what the components mark, of the final recommender
    and of all that it stands on. The test part is not looked at. The recipe's own values are the first trial. Of the
    trials that are as good as the best within one standard error of their paired difference, the one nearest to the
    recipe's own values is taken, so that chance changes nothing.

    The study is kept: what was killed goes on where it was, and a larger --trials goes further. A recipe or data that
    changed begin another study in the same file. With one job the same recipe gives the same values.

    Examples:

        recprofile tune shop.yaml
        recprofile tune shop.yaml --trials 100 --jobs 4 --write best.yaml
    """
    from recprofile.api import planned
    from recprofile.engine import Settings
    from recprofile.tune import tune_plan, write_recipe, written_place

    made, registry = planned(recipe, set or ())
    place = written_place(made, write)
    with redirect_stdout(sys.stderr) if json else nullcontext():
        tuned = tune_plan(
            made,
            registry,
            Settings(device=device, offline=offline or None),
            study=study,
            trials=trials,
            jobs=jobs,
            timeout=timeout,
            tell=_teller(quiet=quiet or json),
            warn=lambda text: errors_console().print(f"[yellow]warning:[/yellow] {escape(text)}"),
        )
    write_recipe(tuned, registry, place)
    if json:
        json_out(_as_json(tuned, place))
        return
    if not quiet:
        _print(tuned)
    console().print(f"recipe: {escape(str(place))}")


def _teller(*, quiet: bool) -> Callable[[Trial, int], None]:
    count = 0

    def tell(trial: Trial, most: int) -> None:
        nonlocal count
        count += 1
        if quiet:
            return
        said = {"done": _result(trial), "pruned": f"{_result(trial)}, given up", "failed": f"failed: {trial.why}"}
        values = "the recipe's own" if trial.own else ", ".join(_pairs(trial))
        took = f"  [dim]{duration(trial.seconds)}[/dim]" if trial.seconds else ""
        console().print(f"trial {trial.number + 1} of {most}  {escape(said[trial.state])}  {escape(values)}{took}")

    return tell


def _pairs(trial: Trial) -> list[str]:
    """'ease.l2 = 250' for each value."""
    return [f"{_short(path)} = {_value(value)}" for path, value in trial.values.items()]


def _short(path: str) -> str:
    return path.removeprefix("stages.").replace(".with.", ".", 1)


def _value(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _result(trial: Trial) -> str:
    return f"{trial.result.value:.4f} ± {trial.result.error:.4f}" if trial.result else "–"


def _print(tuned: Tuned) -> None:
    rows, bold = [], []
    done = sorted((t for t in tuned.trials if t.state == "done"), key=lambda t: -(t.result.value if t.result else 0.0))
    shown = done[:SHOWN] + [t for t in (tuned.chosen, tuned.own) if t not in done[:SHOWN]]
    for n, trial in enumerate(dict.fromkeys(t.number for t in shown)):
        one = next(t for t in shown if t.number == trial)
        marks = {"chosen": tuned.chosen, "best": tuned.best, "own": tuned.own}
        names = [name for name, marked in marks.items() if marked.number == one.number]
        rows.append((str(one.number + 1), _result(one), *map(_value, one.values.values()), ", ".join(names)))
        if "chosen" in names:
            bold.append(n)
    heads = ("trial", tuned.metric, *(knob.short for knob in tuned.knobs), "")
    out = console()
    out.print()
    out.print(table(heads, rows, right=range(2 + len(tuned.knobs)), bold=bold))
    counts = {state: sum(t.state == state for t in tuned.trials) for state in ("done", "pruned", "failed")}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    where = "the validation part" if tuned.folds == 1 else f"{tuned.folds} folds"
    before = f", {tuned.earlier} of them earlier" if tuned.earlier else ""
    out.print()
    out.print(escape(f"trials: {told}{before}; judged on {where}; {duration(tuned.seconds)}"))
    print_flowing(escape(_verdict(tuned)))
    out.print(f"study: {escape(str(tuned.study))}, {escape(tuned.name)}")


def _verdict(tuned: Tuned) -> str:
    if tuned.chosen.own:
        if tuned.best.own:
            return "the recipe's own values are the best: they stay"
        lead = tuned.under_best
        return (
            f"the best is {lead.value:+.4f} ± {lead.error:.4f} from the recipe's own values, within one standard "
            "error: they stay"
        )
    changes = [f"{k.short} {_value(k.own)} → {_value(tuned.chosen.values[k.path])}" for k in _changed(tuned)]
    gain = tuned.over_own
    return f"{', '.join(changes)}: {gain.value:+.4f} ± {gain.error:.4f} over the recipe's own values, user by user"


def _changed(tuned: Tuned) -> list[Knob]:
    return [knob for knob in tuned.knobs if tuned.chosen.values[knob.path] != knob.own]


def _as_json(tuned: Tuned, place: Path) -> dict[str, Any]:
    return {
        "recipe": str(place),
        "study": str(tuned.study),
        "name": tuned.name,
        "metric": tuned.metric,
        "folds": tuned.folds,
        "parameters": [{"path": knob.path, "own": knob.own, **knob.says()} for knob in tuned.knobs],
        "own": tuned.own.number,
        "best": tuned.best.number,
        "chosen": tuned.chosen.number,
        "over_own": vars(tuned.over_own),
        "under_best": vars(tuned.under_best),
        "seconds": round(tuned.seconds, 3),
        "trials": [
            {
                "number": trial.number,
                "state": trial.state,
                "values": dict(trial.values),
                "value": trial.result.value if trial.result else None,
                "error": trial.result.error if trial.result else None,
                "seconds": trial.seconds,
                **({"why": trial.why} if trial.why else {}),
            }
            for trial in tuned.trials
        ],
    }
