"""`surprise/co-clustering`, `surprise/slope-one`, `surprise/baseline` and `surprise/normal`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from surprise import BaselineOnly, NormalPredictor
from surprise import CoClustering as TheirCoClustering
from surprise import SlopeOne as TheirSlopeOne

import recprofile_surprise.slope_one
from recprofile.plugin import Dataset, Inputs, Ranker, Recommender, RunError
from recprofile.testing import context, dataset, toy
from recprofile_surprise import Baseline, CoClustering, Normal, SlopeOne
from recprofile_surprise.ratings import ratings_of
from recprofile_surprise.trainset import RatingSet


def fit(component: type[Recommender[Any]], data: Dataset, *, seed: int = 3, **params: Any) -> Ranker:
    return component(component.params_type(**params)).fit(data, Inputs(), context(seed=seed))


def test_slope_one_adds_the_mean_difference_to_the_mean_of_the_user():
    # The example of Lemire & Maclachlan: A rates I 1 and J 1.5, B rates I 2; J is .5 above I, so B gives J 2.5.
    data = dataset([("A", "I", 1), ("A", "J", 1.5), ("B", "I", 2)])
    ranker = fit(SlopeOne, data)
    b, j = data.users.ids.codes(["B"]), data.items.ids.codes(["J"])
    assert ranker.scores(b)[0, j[0]] == 2.5
    assert ranker.predict(b, j).tolist() == [2.0]  # the highest rating seen


def test_items_that_share_no_user_with_the_history_get_the_mean_of_the_user():
    data = dataset([("a", "x", 5), ("a", "y", 4), ("b", "z", 1)])
    ranker = fit(SlopeOne, data)
    assert ranker.predict(data.users.ids.codes(["a"]), data.items.ids.codes(["z"])).tolist() == [4.5]


@pytest.mark.parametrize(("mine", "theirs"), [(SlopeOne, TheirSlopeOne), (CoClustering, TheirCoClustering)])
def test_fractions_of_ratings_count_where_surprise_drops_them(mine, theirs, random_data):
    # Both predict the double of ratings that are doubled, and Surprise is right where those are whole.
    halves, whole = random_data(unit=0.5), random_data()
    users = np.arange(30, dtype=np.int32)
    np.testing.assert_allclose(2 * fit(mine, halves).scores(users), fit(mine, whole).scores(users), atol=1e-5)
    algo = theirs() if theirs is TheirSlopeOne else theirs(random_state=3)
    algo.fit(RatingSet(ratings_of(halves)))
    assert max(abs(algo.predict(u, 1).est - fit(mine, halves).scores(users)[u, 1]) for u in range(5)) > 0.01


def test_slope_one_in_blocks_of_any_size_is_the_same(monkeypatch, random_data, every_pair):
    data = random_data()
    whole = fit(SlopeOne, data)
    monkeypatch.setattr(recprofile_surprise.slope_one, "CELLS", 7)
    parts = fit(SlopeOne, data)
    np.testing.assert_allclose(parts.difference, whole.difference, atol=1e-12)
    np.testing.assert_array_equal(parts.predict(*every_pair(data)), whole.predict(*every_pair(data)))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", [(1, 1), (2, 7), (6, 4)])
def test_users_and_items_choose_their_clusters_as_in_surprise(shape, seed, random_data, same_as_surprise):
    users, items = shape
    data = random_data(seed=seed)
    ranker = fit(CoClustering, data, seed=seed, user_clusters=users, item_clusters=items, epochs=6)
    algo = TheirCoClustering(n_cltr_u=users, n_cltr_i=items, n_epochs=6, random_state=seed)
    same_as_surprise(ranker, algo, data)


def test_each_round_of_clusters_is_reported():
    seen: list[tuple[int, int, str]] = []
    made = CoClustering(CoClustering.params_type(epochs=2))
    made.fit(toy(), Inputs(), context(report=lambda *at: seen.append(at)))
    assert seen == [(0, 2, "epochs"), (1, 2, "epochs"), (2, 2, "epochs")]


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ({"epochs": 3, "l2_users": 2, "l2_items": 1}, {"method": "als", "n_epochs": 3, "reg_u": 2, "reg_i": 1}),
        (
            {"method": "sgd", "epochs": 7, "l2": 0.1, "learning_rate": 0.02},
            {"method": "sgd", "n_epochs": 7, "reg": 0.1, "learning_rate": 0.02},
        ),
    ],
    ids=["als", "sgd"],
)
def test_all_options_of_the_baseline_are_those_of_surprise(mine, theirs, random_data, same_as_surprise):
    data = random_data()
    same_as_surprise(fit(Baseline, data, **mine), BaselineOnly(bsl_options=theirs, verbose=False), data)


def test_the_baseline_gives_the_same_order_to_everyone(random_data):
    scores = fit(Baseline, random_data()).scores(np.arange(30, dtype=np.int32))
    assert len(np.unique(np.argsort(scores, axis=1, kind="stable"), axis=0)) == 1


def test_a_baseline_that_diverges_is_an_error():
    data = dataset([(u, i, 1000.0 * (u + i)) for u in range(40) for i in range(40)])
    with pytest.raises(RunError, match=r"RP601 the descent diverged at a learning rate of '1\.0'"):
        fit(Baseline, data, method="sgd", learning_rate=1, l2=100, epochs=500)


def test_normal_ratings_have_the_mean_and_deviation_that_surprise_finds(random_data):
    data = random_data(300, 200, share=0.05)
    ranker = fit(Normal, data)
    algo = NormalPredictor()
    algo.fit(RatingSet(ratings_of(data)))
    assert ranker.mean == pytest.approx(algo.trainset.global_mean, abs=1e-6)
    assert ranker.deviation == pytest.approx(algo.sigma, abs=1e-6)
    # 60,000 draws: their mean is off by 1/245 deviations and their deviation by 1/346, five times which is allowed.
    drawn = (ranker.scores(np.arange(300, dtype=np.int32)) - ranker.mean) / ranker.deviation
    assert abs(drawn.mean()) < 5 / np.sqrt(60_000)
    assert abs(drawn.std() - 1) < 5 / np.sqrt(120_000)
    # The share below each point of the distribution is off by at most 1/490 a standard error.
    from scipy.special import ndtr

    for at in (-2, -1, 0, 1, 2):
        assert abs((drawn < at).mean() - ndtr(at)) < 5 / 490
    for other in (np.roll(drawn, 1, axis=0), np.roll(drawn, 1, axis=1)):
        assert abs((drawn * other).mean()) < 5 / np.sqrt(60_000)


def test_a_pair_has_one_normal_rating_however_it_is_asked(random_data, every_pair):
    data = random_data()
    users, items = every_pair(data)
    ranker = fit(Normal, data)
    scores = ranker.scores(np.arange(data.n_users, dtype=np.int32))
    np.testing.assert_array_equal(ranker.predict(users, items), scores.ravel().clip(1, 5))
    np.testing.assert_array_equal(ranker.predict(users[::-7], items[::-7]), scores.ravel().clip(1, 5)[::-7])
    assert not np.array_equal(fit(Normal, data, seed=4).scores(users[:1]), scores[:1])
