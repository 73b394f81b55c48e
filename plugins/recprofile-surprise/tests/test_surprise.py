"""`surprise/knn` and `surprise/svd`: the same numbers as Surprise's own, for whole blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from surprise import SVD, AlgoBase, KNNBaseline, KNNBasic, KNNWithMeans, KNNWithZScore

import recprofile_surprise.memory
import recprofile_surprise.neighbours
from recprofile.plugin import DataError, Dataset, FloatArray, Inputs, Ranker, RunError
from recprofile.testing import RecommenderTests, context, dataset, toy
from recprofile_surprise import Knn, KnnParams, Svd, SvdParams
from recprofile_surprise.fitting import RatingSet, similarities_with_zeros
from recprofile_surprise.ratings import ratings_of

ALGORITHMS = {"basic": KNNBasic, "means": KNNWithMeans, "zscore": KNNWithZScore, "baseline": KNNBaseline}


class TestKnn(RecommenderTests):
    component = Knn
    examples = [
        {},
        {"algorithm": "basic", "similarity": "cosine", "item_based": False, "k": 2},
        {"algorithm": "zscore", "similarity": "msd", "min_k": 2},
    ]


class TestSvd(RecommenderTests):
    component = Svd
    examples = [{"dim": 4}, {"dim": 3, "biased": False, "epochs": 2}]


def random_data(n_users: int = 30, n_items: int = 20, share: float = 0.3, seed: int = 0) -> Dataset:
    """Whole ratings 1 to 5 of a share of pairs; the last user and item have none, and ties among neighbours abound."""
    rng = np.random.default_rng(seed)
    rated = rng.random((n_users, n_items)) < share
    rated[-1], rated[:, -1] = False, False
    rating = rng.integers(1, 6, (n_users, n_items))
    events = [(int(u), int(i), int(rating[u, i])) for u, i in np.argwhere(rated)]
    return dataset(events, users={"id": list(range(n_users))}, items={"id": list(range(n_items))})


def every_pair(data: Dataset) -> tuple[Any, Any]:
    users = np.repeat(np.arange(data.n_users, dtype=np.int32), data.n_items)
    return users, np.tile(np.arange(data.n_items, dtype=np.int32), data.n_users)


def surprise_predictions(algo: AlgoBase, data: Dataset, *, clip: bool) -> FloatArray:
    """What Surprise predicts for every pair, one by one."""
    algo.fit(RatingSet(ratings_of(data), lambda: None))
    users, items = every_pair(data)
    return np.array([algo.predict(int(u), int(i), clip=clip).est for u, i in zip(users, items, strict=True)])


def fit_knn(data: Dataset, **params: Any) -> Ranker:
    return Knn(KnnParams(**params)).fit(data, Inputs(), context())


def fit_svd(data: Dataset, *, seed: int = 0, **params: Any) -> Ranker:
    return Svd(SvdParams(**params)).fit(data, Inputs(), context(seed=seed))


def assert_same(ranker: Ranker, algo: AlgoBase, data: Dataset) -> None:
    users, items = every_pair(data)
    clipped = surprise_predictions(algo, data, clip=True)
    np.testing.assert_allclose(ranker.predict(users, items), clipped, rtol=0, atol=1e-6)
    scores = ranker.scores(np.arange(data.n_users, dtype=np.int32))
    np.testing.assert_allclose(scores.ravel(), surprise_predictions(algo, data, clip=False), rtol=0, atol=1e-6)


@pytest.mark.parametrize("item_based", [True, False], ids=["items", "users"])
@pytest.mark.parametrize("similarity", ["cosine", "msd", "pearson", "pearson_baseline"])
@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
@pytest.mark.parametrize(("k", "min_k"), [(3, 2), (40, 1)])
def test_knn_predicts_every_pair_as_surprise_does(algorithm, similarity, item_based, k, min_k):
    for data in (toy(), random_data()):
        ranker = fit_knn(data, algorithm=algorithm, similarity=similarity, item_based=item_based, k=k, min_k=min_k)
        options = {"name": similarity, "user_based": not item_based}
        algo = ALGORITHMS[algorithm](k=k, min_k=min_k, sim_options=options, verbose=False)
        assert_same(ranker, algo, data)


@pytest.mark.parametrize("biased", [True, False], ids=["biased", "unbiased"])
def test_svd_predicts_every_pair_as_surprise_does(biased):
    for data in (toy(), random_data()):
        ranker = fit_svd(data, seed=3, dim=5, epochs=4, learning_rate=0.05, l2=0.1, biased=biased)
        algo = SVD(n_factors=5, n_epochs=4, lr_all=0.05, reg_all=0.1, biased=biased, random_state=3, verbose=False)
        assert_same(ranker, algo, data)


def test_the_trainset_is_the_one_that_surprise_makes_of_a_table():
    import pandas as pd
    from surprise import Dataset as Table
    from surprise import Reader

    data = random_data()
    mine, train = RatingSet(ratings_of(data), lambda: None), data.train
    order = np.lexsort((train.item, train.user))
    frame = pd.DataFrame({"u": train.user[order], "i": train.item[order], "r": train.weight[order]})
    theirs = Table.load_from_df(frame, Reader(rating_scale=(1, 5))).build_full_trainset()
    raw = lambda s: sorted((s.to_raw_uid(u), s.to_raw_iid(i), r) for u, i, r in s.all_ratings())  # noqa: E731 - as above
    assert raw(mine) == raw(theirs)
    assert mine.rating_scale == theirs.rating_scale
    assert mine.global_mean == pytest.approx(theirs.global_mean)


def test_blocks_of_any_size_give_the_same_predictions(monkeypatch):
    data = random_data()
    users, items = every_pair(data)
    ranker = fit_knn(data, k=3)
    whole, scores = ranker.predict(users, items), ranker.scores(users[:: data.n_items])
    monkeypatch.setattr(recprofile_surprise.neighbours, "CELLS", 7)
    np.testing.assert_allclose(ranker.predict(users, items), whole, rtol=1e-6)
    np.testing.assert_allclose(ranker.scores(users[:: data.n_items]), scores, rtol=1e-6)


def test_of_equally_similar_neighbours_the_earlier_count():
    # Items 1 and 2 are rated exactly as item 0 by the others, so both have msd similarity 1 to it; with k = 1 the
    # first counts: user 9's rating of item 1, which is 2.
    others = [(u, i, 3 + u) for u in (0, 1) for i in (0, 1, 2)]
    data = dataset([*others, (9, 2, 4), (9, 1, 2)])
    ranker = fit_knn(data, algorithm="basic", similarity="msd", k=1)
    u, i = data.users.ids.codes([9]), data.items.ids.codes([0])
    assert ranker.predict(u, i).tolist() == [2.0]


def test_predictions_stay_within_the_ratings_seen_and_ranking_scores_do_not():
    # User a is far above others, item y far above x: means of a (5) plus what y exceeds goes beyond 5.
    data = dataset([("a", "x", 5), ("b", "x", 1), ("b", "y", 4), ("c", "x", 2), ("c", "y", 5), ("d", "x", 1)])
    ranker = fit_svd(data, dim=1, epochs=500, learning_rate=0.05, l2=0.001)
    a, y = data.users.ids.codes(["a"]), data.items.ids.codes(["y"])
    assert ranker.predict(a, y).tolist() == [5.0]
    assert ranker.scores(a)[0, y[0]] > 5


def test_users_with_any_training_event_are_known():
    ranker = fit_svd(toy(), dim=2)
    assert ranker.known_users().tolist() == [True] * 5 + [False]
    assert fit_knn(toy()).known_users().tolist() == [True] * 5 + [False]


def test_events_of_one_pair_count_as_their_mean():
    twice = dataset([("a", "x", 1), ("a", "x", 4), ("b", "x", 3), ("b", "y", 5)])
    once = dataset([("a", "x", 2.5), ("b", "x", 3), ("b", "y", 5)])
    users = np.arange(2, dtype=np.int32)
    np.testing.assert_array_equal(fit_svd(twice, dim=2).scores(users), fit_svd(once, dim=2).scores(users))


def test_another_seed_gives_another_svd():
    users = np.arange(6, dtype=np.int32)
    assert not np.array_equal(fit_svd(toy(), seed=1).scores(users), fit_svd(toy(), seed=2).scores(users))


@pytest.mark.parametrize("similarity", ["cosine", "msd", "pearson", "pearson_baseline"])
@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
@pytest.mark.parametrize("rating", [0, 3])
def test_equal_ratings_are_predicted_everywhere(algorithm, similarity, rating):
    data = dataset([(u, i, rating) for u in range(4) for i in range(4) if u != i])
    ranker = fit_knn(data, algorithm=algorithm, similarity=similarity)
    np.testing.assert_allclose(ranker.predict(*every_pair(data)), rating, atol=1e-6)


@pytest.mark.parametrize("item_based", [True, False], ids=["items", "users"])
@pytest.mark.parametrize("similarity", ["cosine", "pearson_baseline"])
def test_the_stand_in_for_similarities_equals_those_of_surprise(similarity, item_based):
    ratings = ratings_of(random_data())
    algo = KNNBaseline(sim_options={"name": similarity, "user_based": not item_based}, verbose=False)
    algo.fit(RatingSet(ratings, lambda: None))
    mine = similarities_with_zeros(algo, ratings, similarity, item_based=item_based)
    np.testing.assert_allclose(mine, algo.sim, atol=1e-12)


def test_one_event_is_enough():
    data = dataset([("a", "x", 4)])
    assert fit_knn(data).predict(*every_pair(data)).tolist() == [4.0]
    assert fit_svd(data, dim=2).predict(*every_pair(data)).tolist() == [4.0]


@pytest.mark.parametrize("fit", [fit_knn, fit_svd])
def test_no_training_events_are_refused(fit):
    with pytest.raises(DataError, match="RP505 there are no training events"):
        fit(dataset([], test=[("a", "x", 4)]))


@pytest.mark.parametrize("fit", [fit_knn, fit_svd])
def test_a_missing_rating_is_refused_with_its_pair(fit):
    with pytest.raises(
        DataError, match=r"RP503 'nan' is no rating \(1 such training events\)\n.*user 'b' and item 'y'"
    ):
        fit(dataset([("a", "x", 4), ("b", "y", float("nan"))]))


def test_similarities_that_do_not_fit_are_refused_before_they_are_made(monkeypatch):
    monkeypatch.setattr(recprofile_surprise.memory, "available_bytes", lambda: 1000)
    # pearson_baseline holds five 5 x 5 matrices of 8 bytes, and 13 ratings take 330 bytes each: 5,290 bytes.
    with pytest.raises(RunError, match=r"RP604 similarities of 5 items need 0\.0 GiB of memory"):
        fit_knn(toy())


def test_a_descent_that_diverges_is_an_error():
    data = dataset([(u, i, 1000.0 * (u + i)) for u in range(5) for i in range(5)])
    with pytest.raises(RunError, match=r"RP601 the descent diverged at a learning rate of '1\.0'"):
        fit_svd(data, learning_rate=1.0, epochs=50)


def test_svd_reports_each_epoch():
    seen: list[tuple[int, int, str]] = []
    Svd(SvdParams(dim=2, epochs=3)).fit(toy(), Inputs(), context(report=lambda *at: seen.append(at)))
    assert seen == [(0, 3, "epochs"), (1, 3, "epochs"), (2, 3, "epochs"), (3, 3, "epochs")]


def test_more_neighbours_wanted_than_taken_are_refused():
    with pytest.raises(ValidationError) as error:
        KnnParams(k=3, min_k=4)
    assert error.value.errors()[0]["type"] == "RP205"
