"""Encoders: of attributes (`text`, `attributes`), of behaviour (`als`), and of vectors made elsewhere (`file`)."""

from recprofile.builtin.encode.als import Als, AlsParams
from recprofile.builtin.encode.attributes import Category, CategoryParams, Numbers, NumbersParams
from recprofile.builtin.encode.file import File, FileParams
from recprofile.builtin.encode.tags import Tags
from recprofile.builtin.encode.text import TfIdf, TfIdfParams

__all__ = [
    "Als",
    "AlsParams",
    "Category",
    "CategoryParams",
    "File",
    "FileParams",
    "Numbers",
    "NumbersParams",
    "Tags",
    "TfIdf",
    "TfIdfParams",
]
