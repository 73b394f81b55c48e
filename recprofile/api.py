"""A recipe from Python: what the commands `run` and `plan` do, as two functions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recprofile.engine import RunResult
    from recprofile.plan import Plan
    from recprofile.registry import Registry


def load_plan(recipe: str | os.PathLike[str], sets: Sequence[str] = ()) -> Plan:
    """The Plan of a recipe file, with changes as `--set` takes them ('seed=8').

    Raises RecipeError with everything that is wrong with it, in file order.
    """
    return planned(recipe, sets)[0]


def planned(recipe: str | os.PathLike[str], sets: Sequence[str] = ()) -> tuple[Plan, Registry]:
    """The Plan of a recipe file and the registry it was made with; raises as `load_plan`."""
    from recprofile.plan import make_plan  # noqa: PLC0415 - `import recprofile` must stay light
    from recprofile.registry import make_registry  # noqa: PLC0415 - as above
    from recprofile.source import read_source  # noqa: PLC0415 - as above

    source = read_source(recipe, sets, go_on=True)
    registry = make_registry()
    return make_plan(source, registry), registry


def run(
    recipe: str | os.PathLike[str],
    sets: Sequence[str] = (),
    *,
    out: str | os.PathLike[str] | None = None,
    device: str | None = None,
    offline: bool | None = None,
    fresh: bool = False,
) -> RunResult:
    """Run a recipe and give its folder, metrics, checks and warnings.

    `out` and `device` replace the recipe's; `offline` fetches nothing; `fresh` computes every stage again. A gate that
    does not hold is no error: see `RunResult.passed`. Raises RecipeError, DataError or RunError, or what a component
    raised, with a note of its stage.
    """
    from recprofile.engine import Settings, run_plan  # noqa: PLC0415 - `import recprofile` must stay light

    plan, registry = planned(recipe, sets)
    settings = Settings(device=device, out=Path(out) if out else None, offline=offline, fresh=fresh)
    return run_plan(plan, registry, settings)
