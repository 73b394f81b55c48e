"""Every component over Surprise is what a component must be."""

from __future__ import annotations

import numpy as np

from recprofile.testing import RecommenderTests
from recprofile_surprise import Baseline, CoClustering, Knn, Nmf, Normal, SlopeOne, Svd, Svdpp


class TestBaseline(RecommenderTests):
    component = Baseline
    examples = [{}, {"method": "sgd", "epochs": 3}]


class TestCoClustering(RecommenderTests):
    component = CoClustering
    examples = [{}, {"user_clusters": 2, "item_clusters": 4, "epochs": 1}]


class TestKnn(RecommenderTests):
    component = Knn
    examples = [
        {},
        {"algorithm": "basic", "similarity": "cosine", "item_based": False, "k": 2},
        {"algorithm": "basic", "similarity": "msd", "k": 2},
        {"algorithm": "zscore", "similarity": "msd", "min_k": 2},
        {"baseline": {"method": "sgd"}},
    ]

    def test_evidence_adds_up_to_the_score(self) -> None:
        """Up to a constant per user and what an item is worth to everyone, its mean or baseline."""
        for example in self.examples:
            data = self.data()
            ranker = self.fit(example, data)
            users = np.repeat(np.arange(data.n_users, dtype=np.int32), data.n_items)
            parts = ranker.evidence(users, np.tile(np.arange(data.n_items, dtype=np.int32), data.n_users))
            assert (parts is not None) == self.recommender(example).gives_evidence
            if parts is not None:
                scores = ranker.scores(np.arange(data.n_users, dtype=np.int32))
                gap = (scores - np.asarray(parts.sum(axis=1)).reshape(scores.shape))[ranker.known_users()]
                np.testing.assert_allclose(gap - gap[:1] - gap[:, :1] + gap[0, 0], 0, atol=1e-5)


class TestNmf(RecommenderTests):
    component = Nmf
    examples = [{}, {"dim": 3, "biased": True, "epochs": 2}]


class TestNormal(RecommenderTests):
    component = Normal


class TestSlopeOne(RecommenderTests):
    component = SlopeOne


class TestSvd(RecommenderTests):
    component = Svd
    examples = [{"dim": 4}, {"dim": 3, "biased": False, "epochs": 2}]


class TestSvdpp(RecommenderTests):
    component = Svdpp
    examples = [{"dim": 4}, {"dim": 3, "epochs": 2}]
