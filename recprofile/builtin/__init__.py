"""The components that come with recprofile; a bare name in a recipe means one of these.

Parameters and classes only: torch and scipy are imported in the methods that run them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recprofile.builtin.check import OffPolicy, Uplift
from recprofile.builtin.encode import Als, Category, File, Graph, Numbers, Rules, Svd, Tags, TfIdf
from recprofile.builtin.encode import Sequence as SequenceEncoder
from recprofile.builtin.explain import Evidence
from recprofile.builtin.fuse import Align, Attention, Cca, Concat, Gated, MeanHistory, Product, Weighted
from recprofile.builtin.preprocess import (
    Binarise,
    Clip,
    Dedupe,
    Derive,
    Impute,
    KCore,
    Propensity,
    Scale,
    Select,
    Sessionise,
    TextClean,
    TimeDecay,
)
from recprofile.builtin.recommend import (
    Bandit,
    Blend,
    Bpr,
    ContentRidge,
    Dot,
    Ease,
    Edlae,
    FileLists,
    ImplicitAls,
    ItemKnn,
    L3ae,
    Mlp,
    Popular,
    Rp3Beta,
    SasRec,
    Slim,
    Switch,
    TwoTower,
    UserKnn,
    WeightedEase,
)
from recprofile.builtin.rerank import Mmr
from recprofile.builtin.rerank_popularity import Popularity
from recprofile.builtin.source import SOURCES
from recprofile.builtin.update import FoldInHistory, History, Pooled
from recprofile.plugin import Check, Encoder, Explainer, Fuser, Preprocessor, Recommender, Reranker, Updater, hookimpl


@hookimpl
def recprofile_preprocessors() -> Sequence[type[Preprocessor[Any]]]:
    return [Binarise, Clip, Dedupe, Derive, Impute, KCore, Propensity, Scale, Select, Sessionise, TextClean, TimeDecay]


@hookimpl
def recprofile_encoders() -> Sequence[type[Encoder[Any]]]:
    return [Als, Category, File, Graph, Numbers, Rules, SequenceEncoder, Svd, Tags, TfIdf]


@hookimpl
def recprofile_fusers() -> Sequence[type[Fuser[Any]]]:
    return [Align, Attention, Cca, Concat, Gated, MeanHistory, Product, Weighted]


@hookimpl
def recprofile_recommenders() -> Sequence[type[Recommender[Any]]]:
    return [
        Bandit,
        Blend,
        ContentRidge,
        Bpr,
        Dot,
        Ease,
        Edlae,
        FileLists,
        ImplicitAls,
        ItemKnn,
        L3ae,
        Mlp,
        Popular,
        Rp3Beta,
        SasRec,
        Slim,
        Switch,
        TwoTower,
        UserKnn,
        WeightedEase,
    ]


@hookimpl
def recprofile_rerankers() -> Sequence[type[Reranker[Any]]]:
    return [Mmr, Popularity]


@hookimpl
def recprofile_checks() -> Sequence[type[Check[Any]]]:
    return [OffPolicy, Uplift]


@hookimpl
def recprofile_explainers() -> Sequence[type[Explainer[Any]]]:
    return [Evidence]


@hookimpl
def recprofile_updaters() -> Sequence[type[Updater[Any]]]:
    return [FoldInHistory, History, Pooled]


@hookimpl
def recprofile_sources() -> Mapping[str, Callable[..., Path]]:
    return SOURCES
