"""Kit for plugin authors: small data sets with known answers, and a test class per kind.

    from recprofile.testing import EncoderTests
    from recprofile_acme import Numbers

    class TestNumbers(EncoderTests):
        component = Numbers
        examples = [{"columns": ["year"]}, {"columns": ["year", "runtime"]}]

`data` has the data sets, `kinds` the classes.
"""

from recprofile.testing.data import checkerboard, context, dataset, fused, same_pack, toy
from recprofile.testing.kinds import (
    CheckTests,
    ComponentTests,
    EncoderTests,
    ExplainerTests,
    FuserTests,
    PreprocessorTests,
    ProfileRanker,
    RecommenderTests,
    RerankerTests,
)

__all__ = [
    "CheckTests",
    "ComponentTests",
    "EncoderTests",
    "ExplainerTests",
    "FuserTests",
    "PreprocessorTests",
    "ProfileRanker",
    "RecommenderTests",
    "RerankerTests",
    "checkerboard",
    "context",
    "dataset",
    "fused",
    "same_pack",
    "toy",
]
