"""The errors: every code with its cause, its cure, and what is printed for a recipe that has it."""

from __future__ import annotations

from recprofile.errors import CODES
from scripts.docs.cases import RECIPE, Case
from scripts.docs.cases_recipe import CASES as OF_RECIPES
from scripts.docs.cases_run import CASES as OF_RUNS
from scripts.docs.play import in_a_folder

CASES = (*OF_RECIPES, *OF_RUNS)
GROUPS = {
    "RP1": ("Text", "2"),
    "RP2": ("Shape", "2"),
    "RP3": ("Names and plugins", "2"),
    "RP4": ("Wiring", "2"),
    "RP5": ("Data", "3"),
    "RP6": ("Running", "4"),
    "RP7": ("Profiles", "4"),
}


class WrongCase(Exception):
    """A case does not show what it is there to show."""


def errors() -> str:
    """One section per code. Raises WrongCase where a code has no case, or its case prints another code."""
    by_code = {case.code: case for case in CASES}
    if missing := sorted(set(CODES) - set(by_code)):
        raise WrongCase(f"scripts/docs/cases_*.py has no case for {', '.join(missing)}")
    parts: list[str] = []
    group = ""
    for code, words in CODES.items():
        if code[:3] != group:
            group = code[:3]
            title, status = GROUPS[group]
            parts.append(f"## {title}: {group}xx {{ #{group.lower()}xx }}")
            parts.append(f"The command exits with {status}.")
        parts.append(section(by_code[code], words))
    return "\n\n".join(parts)


def section(case: Case, words: str) -> str:
    """One code's section."""
    status, text = in_a_folder(case.command, case.folder())
    if status != case.status or f"{case.code} " not in text:
        raise WrongCase(f"the case of {case.code} exits with {status}, not {case.status}, and says:\n{text}")
    if case.start:
        text = f"…\n{text[text.index(f'{chr(10)}{case.start}') + 1 :].partition(chr(10) * 2)[0]}\n…"
    shown = [f'```{_language(name)} title="{name}"\n{_text(case, name)}\n```' for name in case.show]
    return "\n\n".join(
        [
            f"### {case.code}: {words} {{ #{case.code.lower()} }}",
            f"**Cause.** {case.cause}",
            f"**Cure.** {case.cure}",
            *shown,
            f"```text\n$ {case.command}\n{text.rstrip()}\n```",
        ]
    )


def recipe() -> str:
    """The recipe that the cases edit."""
    return f'```yaml title="shop.yaml"\n{RECIPE.rstrip()}\n```'


def _text(case: Case, name: str) -> str:
    content = case.folder()[name]
    return (content if isinstance(content, str) else content.decode()).rstrip()


def _language(name: str) -> str:
    return {"yaml": "yaml", "py": "python", "csv": "csv"}.get(name.rpartition(".")[2], "text")
