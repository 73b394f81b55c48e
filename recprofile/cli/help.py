"""What `--help` and a wrong command line look like: one place that words what typer builds from the commands."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TypeVar

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from recprofile.errors import did_you_mean, quoted

# How the values of options are called where an option does not say it. A flag takes none.
METAVARS = {int: "N", float: "N", Path: "PATH"}
_UNKNOWN = re.compile(r"No such command '(.*?)'(?:\.|$)")


class _Argument(TyperArgument):
    """Says `RECIPE` in place of `{recipe}` and `<path>`."""

    def get_usage_pieces(self, ctx: object) -> list[str]:
        return [self.display_name_raw if self.required else f"[{self.display_name_raw}]"]

    def display_type_rich(self, ctx: object) -> str:
        return ""


C = TypeVar("C", TyperCommand, TyperGroup)


def worded(command: C) -> C:
    """The same command with its help, and that of the commands below it, in our form."""
    command.help = _flowing(command.help or "")
    command.short_help = command.help.partition("\n\n")[0]  # whole, where click would cut it
    for param in command.params:
        if isinstance(param, TyperArgument):
            param.metavar = param.metavar or param.name.upper() + ("…" if param.nargs != 1 else "")
            param.__class__ = _Argument
        elif isinstance(param, TyperOption) and param.metavar is None and not param.is_flag:
            param.metavar = METAVARS.get(param.type_descriptor.annotation, "TEXT")
    for inner in getattr(command, "commands", {}).values():
        worded(inner)
    return command


def _flowing(text: str) -> str:
    """A docstring for click, which flows paragraphs: those that are indented keep their lines."""
    parts = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(f"\b\n{part}" if part.startswith(" ") else part for part in parts)


def usage_error(error: typer.TyperException, program: str) -> list[str]:
    """What is wrong with a command line, as lines in the form of our problems."""
    context = getattr(error, "ctx", None)
    message = error.format_message().removesuffix(".")
    helps: list[str] = []
    unknown = _UNKNOWN.match(message)
    if unknown and context is not None:
        names = context.command.list_commands(context)
        message = f"no such command {quoted(unknown[1])}"
        helps += did_you_mean(unknown[1], names, label="commands", most=20)
    elif isinstance(option := getattr(error, "option_name", None), str) and hasattr(error, "possibilities"):
        message = f"no such option {quoted(option)}"
        names = [name for param in context.command.get_params(context) for name in param.opts] if context else []
        helps += did_you_mean(option, (name for name in names if name.startswith("--")), label="options", most=20)
    helps.append(f"how it is used: {context.command_path if context is not None else program} --help")
    return [f"error: {message[:1].lower()}{message[1:]}", *(f"     = {line}" for line in helps)]
