"""What passes between stages: frozen, self-checking, columnar.

Read in this order: `pack` (how an artifact lies on disk), `tables` (ids and attributes) with `template` (rows as text),
`interactions` (events and the Dataset), `vectors` (what an encoder gives), `profiles` (what a fuser gives) with
`fold_in` (how a model's users follow from behaviour), `results` (what a run gives back).
"""

from recprofile.artifacts.fold_in import FoldIn
from recprofile.artifacts.interactions import Dataset, Interactions, Pairs, PositiveRule, summed_pairs
from recprofile.artifacts.pack import Pack, load_pack, save_pack, save_table
from recprofile.artifacts.profiles import Block, Profiles
from recprofile.artifacts.results import CheckResult, Explanations, Measure, Recommendations
from recprofile.artifacts.tables import IdMap, Table
from recprofile.artifacts.template import Template
from recprofile.artifacts.types import BoolArray, FloatArray, IntArray
from recprofile.artifacts.vectors import Embeddings, Encoded

__all__ = [
    "Block",
    "BoolArray",
    "CheckResult",
    "Dataset",
    "Embeddings",
    "Encoded",
    "Explanations",
    "FloatArray",
    "FoldIn",
    "IdMap",
    "IntArray",
    "Interactions",
    "Measure",
    "Pack",
    "Pairs",
    "PositiveRule",
    "Profiles",
    "Recommendations",
    "Table",
    "Template",
    "load_pack",
    "save_pack",
    "save_table",
    "summed_pairs",
]
