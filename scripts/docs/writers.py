"""Who writes which region."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from scripts.docs import installed, language, mistakes

WRITERS: Mapping[str, Callable[[], str]] = {
    "artifacts": installed.passed,
    "commands": installed.commands,
    "components": installed.components,
    "errors": mistakes.errors,
    "errors-recipe": mistakes.recipe,
    "hooks": installed.hooks,
    "metrics": installed.metrics,
    "recipe": language.whole,
    "recipe-data": lambda: language.block("data"),
    "recipe-interactions": lambda: language.block("interactions"),
    "recipe-tables": lambda: language.block("items-and-users"),
    "recipe-split": language.splits,
    "recipe-stage": language.stage,
    "recipe-verbs": language.verbs,
    "recipe-tune": lambda: language.block("tune"),
    "recipe-ranges": lambda: language.block("ranges"),
    "recipe-list": lambda: language.block("list"),
    "recipe-evaluate": lambda: language.block("evaluate"),
}
