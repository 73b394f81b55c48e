"""`surprise/knn`: the same numbers as Surprise's own, for whole blocks, and the parts they are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from surprise import KNNBaseline, KNNBasic, KNNWithMeans, KNNWithZScore

import recprofile_surprise.memory
import recprofile_surprise.neighbours
from recprofile.plugin import Dataset, Inputs, Ranker, RunError
from recprofile.testing import context, dataset, toy
from recprofile_surprise import Knn, KnnParams
from recprofile_surprise.fit_neighbours import similarities_with_zeros
from recprofile_surprise.ratings import ratings_of
from recprofile_surprise.trainset import RatingSet

ALGORITHMS = {"basic": KNNBasic, "means": KNNWithMeans, "zscore": KNNWithZScore, "baseline": KNNBaseline}
SIMILARITIES = ["cosine", "msd", "pearson", "pearson_baseline"]


def fit(data: Dataset, **params: Any) -> Ranker:
    return Knn(KnnParams(**params)).fit(data, Inputs(), context())


@pytest.mark.parametrize("item_based", [True, False], ids=["items", "users"])
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
@pytest.mark.parametrize(("k", "min_k"), [(3, 2), (40, 1)])
def test_every_pair_is_predicted_as_surprise_does(
    *, algorithm, similarity, item_based, k, min_k, random_data, same_as_surprise
):
    for data in (toy(), random_data()):
        ranker = fit(data, algorithm=algorithm, similarity=similarity, item_based=item_based, k=k, min_k=min_k)
        options = {"name": similarity, "user_based": not item_based}
        algo = ALGORITHMS[algorithm](k=k, min_k=min_k, sim_options=options, verbose=False)
        same_as_surprise(ranker, algo, data)


@pytest.mark.parametrize(
    ("baseline", "options"),
    [
        ({"epochs": 3, "l2_users": 2, "l2_items": 1}, {"method": "als", "n_epochs": 3, "reg_u": 2, "reg_i": 1}),
        ({"method": "sgd", "l2": 0.1}, {"method": "sgd", "reg": 0.1}),
    ],
    ids=["als", "sgd"],
)
def test_all_its_options_are_those_of_surprise(baseline, options, random_data, same_as_surprise):
    data = random_data()
    ranker = fit(data, k=5, min_support=2, shrinkage=7, baseline=baseline)
    similarity = {"name": "pearson_baseline", "user_based": False, "min_support": 2, "shrinkage": 7}
    same_as_surprise(ranker, KNNBaseline(k=5, sim_options=similarity, bsl_options=options, verbose=False), data)


def test_blocks_of_any_size_give_the_same_predictions(monkeypatch, random_data, every_pair):
    data = random_data()
    users, items = every_pair(data)
    ranker = fit(data, k=3)
    whole, scores, parts = (
        ranker.predict(users, items),
        ranker.scores(users[:: data.n_items]),
        ranker.evidence(users, items),
    )
    monkeypatch.setattr(recprofile_surprise.neighbours, "CELLS", 7)
    np.testing.assert_allclose(ranker.predict(users, items), whole, rtol=1e-6)
    np.testing.assert_allclose(ranker.scores(users[:: data.n_items]), scores, rtol=1e-6)
    np.testing.assert_allclose(ranker.evidence(users, items).toarray(), parts.toarray(), atol=1e-6)


def test_of_equally_similar_neighbours_the_earlier_count():
    # Items 1 and 2 are rated exactly as item 0 by the others, so both have msd similarity 1 to it; with k = 1 the
    # first counts: user 9's rating of item 1, which is 2.
    others = [(u, i, 3 + u) for u in (0, 1) for i in (0, 1, 2)]
    data = dataset([*others, (9, 2, 4), (9, 1, 2)])
    ranker = fit(data, algorithm="basic", similarity="msd", k=1)
    u, i = data.users.ids.codes([9]), data.items.ids.codes([0])
    assert ranker.predict(u, i).tolist() == [2.0]


def test_evidence_is_what_each_neighbour_says_by_its_similarity():
    # To item 0, item 1 has msd similarity 1 (rated alike) and item 2 has 1 / (1 + 1) (one apart): weights 2/3 and 1/3.
    others = [(u, i, 3 + u + (i == 2)) for u in (0, 1) for i in (0, 1, 2)]
    data = dataset([*others, (9, 1, 2), (9, 2, 5)])
    u, i = data.users.ids.codes([9]), data.items.ids.codes([0])
    mean = float(data.train.weight.mean())
    basic = fit(data, algorithm="basic", similarity="msd")
    np.testing.assert_allclose(basic.evidence(u, i).toarray(), [[0, 2 / 3 * (2 - mean), 1 / 3 * (5 - mean)]], atol=1e-6)
    # Item 1 has the mean (3 + 4 + 2) / 3 = 3, item 2 (4 + 5 + 5) / 3 = 14/3.
    means = fit(data, algorithm="means", similarity="msd")
    np.testing.assert_allclose(means.evidence(u, i).toarray(), [[0, 2 / 3 * -1, 1 / 3 * (5 - 14 / 3)]], atol=1e-6)
    assert not means.additive()


def test_pairs_without_enough_neighbours_have_no_evidence():
    ranker = fit(toy(), algorithm="means", similarity="msd", min_k=4)
    assert ranker.evidence(np.zeros(6, np.int32), np.arange(6, dtype=np.int32)).nnz == 0


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
@pytest.mark.parametrize("rating", [0, 3])
def test_equal_ratings_are_predicted_everywhere(algorithm, similarity, rating, every_pair):
    data = dataset([(u, i, rating) for u in range(4) for i in range(4) if u != i])
    ranker = fit(data, algorithm=algorithm, similarity=similarity)
    np.testing.assert_allclose(ranker.predict(*every_pair(data)), rating, atol=1e-6)


@pytest.mark.parametrize("item_based", [True, False], ids=["items", "users"])
@pytest.mark.parametrize("similarity", ["cosine", "pearson_baseline"])
def test_the_stand_in_for_similarities_equals_those_of_surprise(similarity, item_based, random_data):
    ratings = ratings_of(random_data())
    params = KnnParams(similarity=similarity, item_based=item_based, min_support=3, shrinkage=0)
    options = {"name": similarity, "user_based": not item_based, "min_support": 3, "shrinkage": 0}
    algo = KNNBaseline(sim_options=options, verbose=False)
    algo.fit(RatingSet(ratings))
    np.testing.assert_allclose(similarities_with_zeros(algo, ratings, params), algo.sim, atol=1e-12)


def test_similarities_that_do_not_fit_are_refused_before_they_are_made(monkeypatch):
    monkeypatch.setattr(recprofile_surprise.memory, "available_bytes", lambda: 1000)
    # pearson_baseline holds five 5 x 5 matrices of 8 bytes, and 13 ratings take 430 bytes each: 6,590 bytes.
    with pytest.raises(RunError, match=r"RP604 similarities of 5 items need 0\.0 GiB of memory"):
        fit(toy())


def test_a_baseline_that_diverges_is_an_error():
    data = dataset([(u, i, 1000.0 * (u + i)) for u in range(40) for i in range(40)])
    with pytest.raises(RunError, match=r"RP601 the descent diverged at a learning rate of '1\.0'"):
        fit(data, baseline={"method": "sgd", "learning_rate": 1, "l2": 100, "epochs": 500})


def test_more_neighbours_wanted_than_taken_are_refused():
    with pytest.raises(ValidationError) as error:
        KnnParams(k=3, min_k=4)
    assert error.value.errors()[0]["type"] == "RP205"
