"""`schema`: the recipe language for editors."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from recprofile.cli.terminal import console


def add_to(app: typer.Typer) -> None:
    """Add this command to the application."""
    app.command()(schema)


def schema(
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it to this file and say how to use it.")
    ] = None,
) -> None:
    """Print the JSON Schema of recipes, for editors: what may be written, with the components installed here.

    Examples:

        recprofile schema > recipe.schema.json
        recprofile schema --out recipe.schema.json

    A recipe names it in its first line, for editors that read yaml-language-server's comments:

        # yaml-language-server: $schema=recipe.schema.json
    """
    from recprofile.errors import RunError
    from recprofile.registry import make_registry
    from recprofile.schema import recipe_schema

    text = json.dumps(recipe_schema(make_registry()), ensure_ascii=False, indent=1) + "\n"
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise RunError.of("RP606", f"cannot write '{out}': {why}", help=["give another file with --out"]) from error
    console().print(f"{escape(str(out))}: in a recipe beside it, the first line is then")
    console().print(f"# yaml-language-server: $schema={out.name}", markup=False)
