"""Puts the commands together and turns what they raise into messages and exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import click
import typer

from recprofile.cli import cache, data, look, results, run
from recprofile.cli.terminal import errors_console, print_problems
from recprofile.errors import Problem, RecprofileError

INTERRUPTED = 130
FAILED = 4

app = typer.Typer(
    name="recprofile",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done · 1 a gate did not hold · 2 recipe · 3 data · 4 run · 130 interrupted",
)


def _version(value: bool) -> None:
    if value:
        from recprofile.plan.make import own_version

        typer.echo(f"recprofile {own_version()}")
        raise typer.Exit


@app.callback()
def recprofile(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    trace: Annotated[
        bool, typer.Option("--traceback", help="On failure, print where in the code it happened.")
    ] = False,
) -> None:
    """User profiles from large pretrained models, and what follows from them.

    Start with [bold]recprofile run RECIPE[/bold].
    """
    if trace:
        os.environ["RECPROFILE_TRACEBACK"] = "1"


for module in (run, results, look, data, cache):
    module.add_to(app)


def main(arguments: list[str] | None = None) -> None:
    """The entry point of the `recprofile` command; always leaves by SystemExit."""
    sys.exit(status_of(arguments))


def status_of(arguments: list[str] | None = None) -> int:
    """Run a command and give its exit code; what goes wrong is printed to standard error."""
    try:
        status = app(args=arguments, standalone_mode=False)
        return int(status or 0)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        errors_console().print("interrupted; the results of finished stages are kept: run again to go on")
        return INTERRUPTED
    except BrokenPipeError:  # `recprofile plugins | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except RecprofileError as error:
        _trace()
        print_problems(error.problems)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - named edge: what a component raised, told without a traceback
        _trace()
        print_problems([_failure(error)])
        return FAILED


def _failure(error: Exception) -> Problem:
    notes: tuple[str, ...] = tuple(getattr(error, "__notes__", ()))
    what = " ".join(str(error).split())[:500]
    message = f"{type(error).__name__}: {what}" if what else type(error).__name__
    more = () if os.environ.get("RECPROFILE_TRACEBACK") else ("where in the code: recprofile --traceback …",)
    return Problem("RP601", message, help=(*notes, *more))


def _trace() -> None:
    if os.environ.get("RECPROFILE_TRACEBACK"):
        traceback.print_exc()
