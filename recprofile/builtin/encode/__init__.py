"""Encoders: of attributes (`text`, `attributes`), behaviour (`als`, `svd`), a graph (`graph`), and files (`file`)."""

from recprofile.builtin.encode.als import Als, AlsParams
from recprofile.builtin.encode.attributes import Category, CategoryParams, Numbers, NumbersParams
from recprofile.builtin.encode.file import File, FileParams
from recprofile.builtin.encode.graph import Graph, GraphParams
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
    "Svd",
    "SvdParams",
    "Tags",
    "TfIdf",
    "TfIdfParams",
]
