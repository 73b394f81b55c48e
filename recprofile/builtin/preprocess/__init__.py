"""Preprocessors: what is dropped or merged (`events`) and what is filled or scaled (`values`)."""

from recprofile.builtin.preprocess.events import Dedupe, DedupeParams, KCore, KCoreParams
from recprofile.builtin.preprocess.values import Constant, Impute, ImputeParams, Scale, ScaleParams

__all__ = [
    "Constant",
    "Dedupe",
    "DedupeParams",
    "Impute",
    "ImputeParams",
    "KCore",
    "KCoreParams",
    "Scale",
    "ScaleParams",
]
