"""Preprocessors: what is dropped or merged (`events`), filled or scaled (`values`), or weighed (`propensity`)."""

from recprofile.builtin.preprocess.events import Dedupe, DedupeParams, KCore, KCoreParams
from recprofile.builtin.preprocess.propensity import Propensity, PropensityParams
from recprofile.builtin.preprocess.values import Constant, Impute, ImputeParams, Scale, ScaleParams

__all__ = [
    "Constant",
    "Dedupe",
    "DedupeParams",
    "Impute",
    "ImputeParams",
    "KCore",
    "KCoreParams",
    "Propensity",
    "PropensityParams",
    "Scale",
    "ScaleParams",
]
