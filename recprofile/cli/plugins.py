"""`plugins` and `plugins new`: what is installed, and a package to start one's own from."""

from __future__ import annotations

import inspect
import shlex
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from recprofile.cli.terminal import console, json_out, table

if TYPE_CHECKING:
    from recprofile.errors import Problem


class KindOfComponent(Enum):
    """What `plugins new` can write."""

    PREPROCESSOR = "preprocessor"
    ENCODER = "encoder"
    FUSER = "fuser"
    RECOMMENDER = "recommender"
    RERANKER = "reranker"
    CHECK = "check"
    EXPLAINER = "explainer"
    UPDATER = "updater"


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    group = typer.Typer(invoke_without_command=True, callback=plugins)
    group.command()(new)
    app.add_typer(group, name="plugins")


def plugins(
    ctx: typer.Context, json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False
) -> None:
    """List the installed plugins, their components, and what is wrong with those that did not load.

    With RECPROFILE_TRACE=1 in the environment, every command also tells each call of a hook on standard error.

    Examples:

        recprofile plugins
        recprofile plugins new acme
    """
    from recprofile.registry import HOOK_OF, make_registry

    if ctx.invoked_subcommand is not None:
        return
    registry = make_registry()
    mine: dict[str, list[Any]] = {p.namespace: [] for p in registry.plugins}
    for offer in registry.offers:
        mine[offer.namespace].append(offer)
    if json:
        json_out(
            [
                {
                    "namespace": p.namespace,
                    "distribution": p.distribution,
                    "version": p.version,
                    "module": p.module,
                    "hooks": list(p.hooks),
                    "components": [{"verb": o.verb, "name": o.pinned} for o in mine[p.namespace]],
                    "problem": None if p.problem is None else _problem_json(p.problem),
                }
                for p in registry.plugins
            ]
        )
        return
    out = console()
    names = [(f"  {o.verb}", o.pinned) for o in registry.offers]
    widths = [max(map(len, column)) for column in zip(*names, strict=True)]  # the same for every plugin
    for n, plugin in enumerate(registry.plugins):
        if n:
            out.print()
        out.print(f"[bold]{escape(plugin.namespace)}[/bold]  {plugin.distribution} {plugin.version}", end="")
        out.print(f"  [dim]{escape(plugin.module)}[/dim]")
        if plugin.problem:
            out.print(f"  [red]not usable[/red]: {plugin.problem.code} {escape(plugin.problem.message)}")
            where = [] if plugin.problem.at is None else [f"at {plugin.problem.at}"]
            for line in (*where, *plugin.problem.help):
                out.print(f"     = {escape(line)}")
        further = [hook for hook in plugin.hooks if hook not in HOOK_OF.values()]
        if further:
            out.print(f"  further hooks: {', '.join(further)}")
        rows = [
            (f"  {o.verb}", o.pinned, (inspect.getdoc(o.component) or "").partition("\n")[0])
            for o in mine[plugin.namespace]
        ]
        if rows:
            out.print(table(("", "", ""), rows, widths=widths))
    if not registry.plugins:
        out.print("No plugin is installed, not even recprofile's own components: install recprofile, with pip.")


def new(
    name: Annotated[str, typer.Argument(help="Namespace of the components: acme, of acme/numbers.")],
    kind: Annotated[
        KindOfComponent,
        typer.Option(metavar="KIND", help=f"What to start with: {', '.join(k.value for k in KindOfComponent)}."),
    ] = KindOfComponent.ENCODER,
    out: Annotated[Path, typer.Option(help="Where the package's own folder is made.")] = Path(),
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Write a plugin package that works: a component, its tests, and what pip needs.

    Examples:

        recprofile plugins new acme
        recprofile plugins new acme --kind reranker --out ~/src
    """
    from recprofile.plan.make import own_version
    from recprofile.registry import FIRST_PARTY, make_registry
    from recprofile.scaffold import check_name, write_plugin

    taken = dict(FIRST_PARTY) | {p.namespace: f"{p.distribution} {p.version}" for p in make_registry().plugins}
    written = write_plugin(check_name(name, taken), kind.value, out, version=own_version())
    if json:
        paths = [str(path) for path in written.files]
        json_out({"folder": str(written.folder), "files": paths, "verb": written.verb, "component": written.use})
        return
    console().print(f"wrote {written.folder}:", markup=False)
    for path in written.files:
        console().print(f"  {path.relative_to(written.folder)}", markup=False)
    folder = shlex.quote(str(written.folder))
    console().print(f"next:\n  pip install -e {folder}\n  pytest {folder}", markup=False)
    console().print(f"A recipe may then say '{written.verb}: {written.use}'.", markup=False)


def _problem_json(problem: Problem) -> dict[str, Any]:
    at = None if problem.at is None else str(problem.at)
    return {"code": problem.code, "message": problem.message, "at": at, "help": list(problem.help)}
