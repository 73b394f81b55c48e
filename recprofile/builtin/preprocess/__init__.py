"""Preprocessors.

What is dropped or merged (`events`), filled or scaled (`values`, `scale`), held against bounds (`bounds`), weighed
(`propensity`, `times`), cleaned (`text`), added (`derive`) or left out of the tables (`select`).
"""

from recprofile.builtin.preprocess.bounds import Binarise, BinariseParams, Bounds, Clip, ClipParams, Quantile
from recprofile.builtin.preprocess.derive import Derive, DeriveParams
from recprofile.builtin.preprocess.events import Dedupe, DedupeParams, KCore, KCoreParams
from recprofile.builtin.preprocess.propensity import Propensity, PropensityParams
from recprofile.builtin.preprocess.scale import Scale, ScaleParams
from recprofile.builtin.preprocess.select import Select, SelectParams
from recprofile.builtin.preprocess.text import TextClean, TextCleanParams
from recprofile.builtin.preprocess.times import Sessionise, SessioniseParams, TimeDecay, TimeDecayParams
from recprofile.builtin.preprocess.values import Constant, Impute, ImputeParams

__all__ = [
    "Binarise",
    "BinariseParams",
    "Bounds",
    "Clip",
    "ClipParams",
    "Constant",
    "Dedupe",
    "DedupeParams",
    "Derive",
    "DeriveParams",
    "Impute",
    "ImputeParams",
    "KCore",
    "KCoreParams",
    "Propensity",
    "PropensityParams",
    "Quantile",
    "Scale",
    "ScaleParams",
    "Select",
    "SelectParams",
    "Sessionise",
    "SessioniseParams",
    "TextClean",
    "TextCleanParams",
    "TimeDecay",
    "TimeDecayParams",
]
