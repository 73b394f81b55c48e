"""Encoders: of attributes, of behaviour (`als`, `svd`, `sequence`), of a graph, of rules, and of vectors in files."""

from recprofile.builtin.encode.als import Als, AlsParams
from recprofile.builtin.encode.attributes import Category, CategoryParams, Numbers, NumbersParams
from recprofile.builtin.encode.file import File, FileParams
from recprofile.builtin.encode.graph import Graph, GraphParams
from recprofile.builtin.encode.rules import Rules, RulesParams
from recprofile.builtin.encode.sequence import Sequence, SequenceParams
from recprofile.builtin.encode.svd import Svd, SvdParams
from recprofile.builtin.encode.tags import Tags
from recprofile.builtin.encode.text import TfIdf, TfIdfParams

__all__ = [
    "Als",
    "AlsParams",
    "Category",
    "CategoryParams",
    "File",
    "FileParams",
    "Graph",
    "GraphParams",
    "Numbers",
    "NumbersParams",
    "Rules",
    "RulesParams",
    "Sequence",
    "SequenceParams",
    "Svd",
    "SvdParams",
    "Tags",
    "TfIdf",
    "TfIdfParams",
]
