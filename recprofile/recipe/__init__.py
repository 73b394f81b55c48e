"""The recipe language as pydantic models. No component is named here.

`blocks` has what a recipe is made of, `statement` says what a query may be, `splits` has the ways to hold data out,
`stage` one stage, `tuning` what is searched, `whole` the recipe and how a Source becomes one.
"""

from recprofile.recipe.blocks import (
    DataBlock,
    Evaluate,
    InteractionsSource,
    ListBlock,
    Positive,
    TableSource,
    parse_metric,
    parse_positive,
)
from recprofile.recipe.splits import (
    FileSplit,
    ItemColdSplit,
    LeaveOneOutSplit,
    RandomSplit,
    Split,
    TimeSplit,
    UserColdSplit,
    UserTimeSplit,
)
from recprofile.recipe.stage import VERBS, Stage, Verb
from recprofile.recipe.statement import one_select
from recprofile.recipe.tuning import Range, Tune
from recprofile.recipe.whole import Recipe, load_recipe, recipe_problems, well_formed_stages

__all__ = [
    "VERBS",
    "DataBlock",
    "Evaluate",
    "FileSplit",
    "InteractionsSource",
    "ItemColdSplit",
    "LeaveOneOutSplit",
    "ListBlock",
    "Positive",
    "RandomSplit",
    "Range",
    "Recipe",
    "Split",
    "Stage",
    "TableSource",
    "TimeSplit",
    "Tune",
    "UserColdSplit",
    "UserTimeSplit",
    "Verb",
    "load_recipe",
    "one_select",
    "parse_metric",
    "parse_positive",
    "recipe_problems",
    "well_formed_stages",
]
