"""`profile show`, `recommend` and `report`: what a finished run says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recprofile.cli.terminal import console, json_out, table

if TYPE_CHECKING:
    from recprofile.artifacts import Profiles
    from recprofile.runs import Run

RunOption = Annotated[
    Path | None,
    typer.Option(
        "--run", help="Run folder, or the recipe that made it. [default: the newest in ./runs]", show_default=False
    ),
]
User = Annotated[str, typer.Argument(help="User, by the id that the data have.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    group = typer.Typer(no_args_is_help=True, help="User profiles of a run.")
    group.command("show")(show)
    app.add_typer(group, name="profile")
    app.command()(recommend)
    app.command()(report)


def open_run(given: Path | None) -> Run:
    """The run that an option names: a run folder, a recipe, or the newest run below the working folder."""
    from recprofile.runs import Run

    if given is None:
        return Run.newest(Path("runs"))
    if given.suffix in (".yaml", ".yml") and given.is_file():
        from recprofile.recipe import load_recipe
        from recprofile.source import read_source

        source = read_source(given, check_env=False)
        recipe = load_recipe(source)
        return Run.open(source.folder(("out",)) / (recipe.out or f"runs/{recipe.name or given.stem}"))
    return Run.open(given)


def show(user: User, run: RunOption = None, json: Json = False) -> None:
    """Show what a run's profile holds of a user: blocks with their weights, and the history they rest on.

    Example:

        recprofile profile show 42 --run recipes/quickstart.yaml
    """
    opened = open_run(run)
    profiles = opened.profiles()
    code = _user_code(profiles, user, opened)
    blocks = _blocks(profiles, code)
    history = _history(profiles, code, _labels(opened))
    facts = {
        "user": user,
        "run": str(opened.folder),
        "known": bool(profiles.known[code]),
        "as_of": _moment(profiles.asof),
        "made": opened.manifest["started"],
        "recipe": opened.manifest["recipe_file"],
        "dimensions": profiles.dim,
        "blocks": blocks,
        "history": history,
    }
    if json:
        json_out(facts)
        return
    out = console()
    out.print(
        f"[bold]user {user}[/bold]  of {opened.folder}, made {facts['made']} from {facts['recipe']}", soft_wrap=True
    )
    if not facts["known"]:
        out.print("Nothing is known of this user: no event that the profile is made of. They get the fall-back list.")
        return
    last = f"; last event taken in: {facts['as_of']}" if facts["as_of"] else ""
    out.print(f"{profiles.dim} dimensions in {len(blocks)} blocks{last}")
    rows = [(b["name"], str(b["dimensions"]), f"{b['weight']:.2f}", f"{b['norm']:.3f}", b["from"]) for b in blocks]
    out.print(table(("block", "dim", "weight", "norm", "made from"), rows, right=(1, 2, 3)))
    if history:
        out.print("\nhistory that weighs most in it")
        lines = [(str(h["item"]), h["label"] or "", f"{h['weight']:.3f}") for h in history]
        out.print(table(("item", "", "weight"), lines, right=(2,)))


def recommend(
    user: User,
    run: RunOption = None,
    k: Annotated[int | None, typer.Option("-k", min=1, help="How many; at most the recipe's list length.")] = None,
    json: Json = False,
) -> None:
    """Print a user's recommendations from a run, with the reason for each where the recipe explains.

    Example:

        recprofile recommend 42 --run recipes/quickstart.yaml -k 5
    """
    import polars as pl

    from recprofile.errors import RunError, did_you_mean

    opened = open_run(run)
    recs = opened.table("recommendations.parquet")
    mine = recs.filter(pl.col("user").cast(pl.String) == user).sort("rank")
    if mine.is_empty():
        known = recs["user"].unique().cast(pl.String).to_list()
        helps = did_you_mean(user, known, label="users", most=8)
        raise RunError.of("RP607", f"no recommendations for the user '{user}' in '{opened.folder}'", help=helps)
    mine = mine.head(k or mine.height)
    said = _sentences(opened, user)
    labels = _labels(opened)
    rows = [
        {**row, "label": labels.get(str(row["item"])), "because": said.get(str(row["item"]))} for row in mine.to_dicts()
    ]
    if json:
        json_out(rows)
        return
    if mine["reason"][0] != "ranked":
        console().print(f"fall-back list: {mine['reason'][0]}")
    cells = [(str(r["rank"]), str(r["item"]), r["label"] or "", f"{r['score']:.4g}", r["because"] or "") for r in rows]
    console().print(table(("", "item", "", "score", "because"), cells, right=(0, 3)))


def report(
    run: Annotated[
        Path | None,
        typer.Argument(
            help="Run folder, or the recipe that made it. [default: the newest in ./runs]", show_default=False
        ),
    ] = None,
) -> None:
    """Write a run's HTML report again from its report.json, and say where it is.

    Example:

        recprofile report recipes/quickstart.yaml
    """
    from recprofile.report import render_report

    opened = open_run(run)
    page = opened.folder / "report.html"
    page.write_text(render_report(opened.json("report.json")), encoding="utf-8")
    console().print(f"report: {page}", soft_wrap=True)


def _user_code(profiles: Profiles, user: str, run: Run) -> int:
    from recprofile.errors import RunError, did_you_mean

    code = int(profiles.users.codes([user])[0])
    if code < 0:
        known = profiles.users.ids.cast(str).to_list()
        raise RunError.of(
            "RP607", f"no user '{user}' in '{run.folder}'", help=did_you_mean(user, known, label="users", most=8)
        )
    return code


def _blocks(profiles: Profiles, code: int) -> list[dict[str, Any]]:
    import numpy as np

    vector = profiles.user_vectors[code]
    return [
        {
            "name": block.name,
            "dimensions": block.stop - block.start,
            "weight": block.weight,
            "norm": float(np.linalg.norm(vector[block.start : block.stop])),
            "from": "history" if block.pool is not None else "the encoder's own user vectors",
        }
        for block in profiles.blocks
    ]


def _history(profiles: Profiles, code: int, labels: Mapping[str, str], most: int = 15) -> list[dict[str, Any]]:
    import numpy as np

    if profiles.history is None:
        return []
    row = profiles.history[[code]].tocsr()
    order = np.argsort(-row.data, kind="stable")[:most]
    items = profiles.items.outside(row.indices[order].astype(np.int32))
    weights = row.data[order].tolist()
    return [{"item": i, "label": labels.get(str(i)), "weight": w} for i, w in zip(items, weights, strict=True)]


def _moment(seconds: int | None) -> str | None:
    from datetime import UTC, datetime

    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _sentences(run: Run, user: str) -> dict[str, str]:
    import polars as pl

    from recprofile.errors import RunError

    try:
        frame = run.table("explanations.parquet")
    except RunError:  # the recipe explains nothing
        return {}
    mine = frame.filter(pl.col("user").cast(pl.String) == user).drop_nulls("sentence")
    return dict(zip(mine["item"].cast(pl.String), mine["sentence"], strict=True))


def _labels(run: Run) -> dict[str, str]:
    """What a person reads for an item, where that is more than its id."""
    import polars as pl

    table = run.table("items.parquet").with_columns(pl.col("item").cast(pl.String))
    return dict(table.filter(pl.col("item") != pl.col("name")).iter_rows())
