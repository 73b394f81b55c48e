"""User profiles from large pretrained models, and the recommendations, audits and explanations that follow from them.

    from recprofile import run
    result = run("recipes/quickstart.yaml")
    result.out, result.metrics

Read the package in the order in which data flow through it: `source` → `recipe` → `plan` (with `registry`) → `engine`
→ `dataset`, `artifacts`, `components` → `ranking`, `evaluate` → `runs`, `report`. What a plugin needs is `plugin`.
"""

from recprofile.api import load_plan, run
from recprofile.errors import ArtifactError, DataError, Problem, RecipeError, RecprofileError, RunError, Span

__all__ = [
    "ArtifactError",
    "DataError",
    "Problem",
    "RecipeError",
    "RecprofileError",
    "RunError",
    "Span",
    "load_plan",
    "run",
]
