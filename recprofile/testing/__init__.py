"""Kit for plugin authors: small data sets with known answers, and a test class per kind.

    from recprofile.testing import EncoderTests
    from recprofile_acme import Numbers

    class TestNumbers(EncoderTests):
        component = Numbers
        examples = [{"columns": ["year"]}, {"columns": ["year", "runtime"]}]

`data` has the data sets, `kinds` the classes, `box` runs recipes with a component that is not installed.
"""

from recprofile.testing.box import Outcome, RecipeBox
from recprofile.testing.data import checkerboard, context, dataset, emptied, fused, same_pack, toy, without_values
from recprofile.testing.given import Given
from recprofile.testing.kinds import (
    CheckTests,
    ComponentTests,
    EncoderTests,
    ExplainerTests,
    FuserTests,
    PreprocessorTests,
    RecommenderTests,
    RerankerTests,
    UpdaterTests,
    first_lists,
)
from recprofile.testing.recorded import ProfileRanker

__all__ = [
    "CheckTests",
    "ComponentTests",
    "EncoderTests",
    "ExplainerTests",
    "FuserTests",
    "Given",
    "Outcome",
    "PreprocessorTests",
    "ProfileRanker",
    "RecipeBox",
    "RecommenderTests",
    "RerankerTests",
    "UpdaterTests",
    "checkerboard",
    "context",
    "dataset",
    "emptied",
    "first_lists",
    "fused",
    "same_pack",
    "toy",
    "without_values",
]
