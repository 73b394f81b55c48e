"""What a component of each kind must satisfy, as test classes to inherit.

`base` has what holds for every component, `data` the preprocessors, `vectors` the kinds that make vectors and profiles,
`rankers` the recommenders, `lists` the kinds that work on lists.
"""

from recprofile.testing.kinds.base import ComponentTests
from recprofile.testing.kinds.data import PreprocessorTests
from recprofile.testing.kinds.lists import CheckTests, ExplainerTests, RerankerTests, first_lists
from recprofile.testing.kinds.rankers import RecommenderTests
from recprofile.testing.kinds.vectors import EncoderTests, FuserTests, UpdaterTests

__all__ = [
    "CheckTests",
    "ComponentTests",
    "EncoderTests",
    "ExplainerTests",
    "FuserTests",
    "PreprocessorTests",
    "RecommenderTests",
    "RerankerTests",
    "UpdaterTests",
    "first_lists",
]
