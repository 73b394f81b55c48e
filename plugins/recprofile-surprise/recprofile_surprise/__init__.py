"""Components over scikit-surprise, in the namespace `surprise`.

They predict ratings. A list ranked by predicted ratings is a baseline, and a poor one (Cremonesi et al. 2010,
"Performance of recommender algorithms on top-N recommendation tasks"): use them where a rating is wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recprofile.plugin import Recommender, hookimpl
from recprofile_surprise.baseline import Baseline, BaselineParams
from recprofile_surprise.co_clustering import CoClustering, CoClusteringParams
from recprofile_surprise.factorisations import Nmf, NmfParams, Svd, SvdParams, Svdpp, SvdppParams
from recprofile_surprise.knn import Knn, KnnParams
from recprofile_surprise.normal import Normal
from recprofile_surprise.slope_one import SlopeOne

__all__ = [
    "Baseline",
    "BaselineParams",
    "CoClustering",
    "CoClusteringParams",
    "Knn",
    "KnnParams",
    "Nmf",
    "NmfParams",
    "Normal",
    "SlopeOne",
    "Svd",
    "SvdParams",
    "Svdpp",
    "SvdppParams",
]


@hookimpl
def recprofile_recommenders() -> Sequence[type[Recommender[Any]]]:
    return [Baseline, CoClustering, Knn, Nmf, Normal, SlopeOne, Svd, Svdpp]
