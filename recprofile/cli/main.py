"""Puts the commands together and turns what they raise into messages and exit codes."""

from __future__ import annotations

import io
import os
import sys
import traceback
from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand, TyperGroup

from recprofile.cli import cache as cached
from recprofile.cli import compare, data, doctor, init, labels, look, plugins, results, run, schema, store, tune
from recprofile.cli.help import usage_error, worded
from recprofile.cli.terminal import errors_console, print_lines, print_problems
from recprofile.errors import Problem, RecipeError, RecprofileError

if TYPE_CHECKING:
    from typer._click import Command, Context  # typer gives its own click no public name

PROGRAM = "recprofile"
WRONG = 2
FAILED = 4
INTERRUPTED = 130
BROKEN_PIPE = 141  # what a shell says of any program whose reader went away


class Commands(TyperGroup):
    """The commands of this package, and those of plugins, which are looked for where no own one has the name."""

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """A command by its name."""
        return super().get_command(ctx, cmd_name) or _further(cmd_name)

    def list_commands(self, ctx: Context) -> list[str]:
        """Names for the help: our own in their order, then those of plugins."""
        from recprofile.registry import make_registry

        own = super().list_commands(ctx)
        try:
            further = {command.name for command in make_registry().commands}
        except RecipeError:  # told by every command that needs the plugins
            further = set()
        return [*own, *sorted(further - set(own))]


def _further(name: str) -> TyperCommand | None:
    """The command of that name which a plugin offers."""
    from recprofile.registry import make_registry

    found = [command for command in make_registry().commands if command.name == name]
    if not found:
        return None
    if len(found) > 1:
        both = " and ".join(f"{c.plugin.distribution} {c.plugin.version}" for c in found)
        raise RecipeError.of("RP307", f"the command '{name}' is offered by {both}", help=["uninstall one of them"])
    alone = typer.Typer(rich_markup_mode=None, add_completion=False)
    alone.command(name)(found[0].function)
    made = typer.main.get_command(alone)
    assert isinstance(made, TyperCommand)
    return worded(made)


app = typer.Typer(
    name=PROGRAM,
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: its lines are what a person copies
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Exit codes:
    0    every stage ran and every gate held
    1    every stage ran, a gate did not hold
    2    the recipe, the plugins or the command line are wrong
    3    the data are not what the recipe says
    4    a stage, a device, an asset or the disk failed
    130  interrupted; run again to go on""",
)


def _version(value: bool) -> None:
    if value:
        from recprofile.plan.make import own_version

        typer.echo(f"{PROGRAM} {own_version()}")
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

    Examples:

        recprofile run recipes/minimal.yaml
        recprofile run --help
    """
    if trace:
        os.environ["RECPROFILE_TRACEBACK"] = "1"


for module in (init, run, tune, results, labels, store, plugins, look, data, cached, schema, compare, doctor):
    module.add_to(app)


@cache
def _command() -> TyperGroup:
    """The application as typer builds it, worded our way."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return worded(group)


def status_of(arguments: list[str] | None = None) -> int:
    """Run a command and give its exit code; what goes wrong is printed to standard error."""
    _usable_streams()
    try:
        status = _status(arguments)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as error:  # `recprofile plugins | head`: rich and typer exit by themselves
        if isinstance(error, SystemExit) and error.code != 1:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return status


def _status(arguments: list[str] | None) -> int:
    try:
        status = int(_command()(args=arguments, prog_name=PROGRAM, standalone_mode=False) or 0)
        if status == INTERRUPTED:  # typer has made an exit code of Ctrl-C
            raise KeyboardInterrupt
        return status
    except typer.Exit as leaving:
        return leaving.exit_code
    except typer.TyperException as error:
        if _is_help(error):
            typer.echo(error.format_message())
        else:
            print_lines(usage_error(error, PROGRAM))
        return WRONG
    except (KeyboardInterrupt, typer.Abort) as error:
        if isinstance(error.__cause__, EOFError):  # typer takes a component's end of file for the person's
            print_problems([_failure(error.__cause__)])
            return FAILED
        errors_console().print("interrupted; the results of finished stages are kept: run again to go on")
        return INTERRUPTED
    except RecprofileError as error:
        _trace()
        print_problems(error.problems)
        return error.exit_code
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - named edge: what a component raised, told without a traceback
        _trace()
        print_problems([_failure(error)])
        return FAILED
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # what polars raises when it gives up, outside of Exception
            raise
        print_problems([_failure(error)])
        return FAILED


def _usable_streams() -> None:
    """Make the standard streams take all that is printed: closed ones lead nowhere, and any encoding will do."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - open as long as the process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _is_help(error: typer.TyperException) -> bool:
    """Whether this only says that a command was given no arguments; its message is then the command's help."""
    return type(error).__name__ == "NoArgsIsHelpError"


def _failure(error: BaseException) -> Problem:
    notes: tuple[str, ...] = tuple(getattr(error, "__notes__", ()))
    what = " ".join(str(error).split())[:500]
    message = f"{type(error).__name__}: {what}" if what else type(error).__name__
    more = () if os.environ.get("RECPROFILE_TRACEBACK") else ("where in the code: recprofile --traceback …",)
    return Problem("RP601", message, help=(*notes, *more))


def _trace() -> None:
    if os.environ.get("RECPROFILE_TRACEBACK"):
        traceback.print_exc()
