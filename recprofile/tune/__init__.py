"""`recprofile tune`: parameters of a recipe searched on the validation part alone.

    Plan ─plan/tuning─▶ knobs ─study (Optuna, SQLite)─▶ values ─bench─▶ scores by user ─results─▶ values ─write─▶ recipe

`folds` makes the validation parts, `bench` fits and judges a Plan on them, `scores` compares trials user by user,
`results` has the rule that chooses one, `study` remembers trials and proposes values, `search` puts these together,
`write` has the recipe with the values.
"""

from recprofile.tune.results import Trial, Tuned
from recprofile.tune.search import Told, tune_plan
from recprofile.tune.write import write_recipe, written_place

__all__ = ["Told", "Trial", "Tuned", "tune_plan", "write_recipe", "written_place"]
