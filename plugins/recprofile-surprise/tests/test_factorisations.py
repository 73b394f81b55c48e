"""`surprise/svd`, `surprise/svdpp` and `surprise/nmf`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from surprise import NMF, SVD, SVDpp

from recprofile.plugin import DataError, Dataset, Inputs, Ranker, Recommender, RunError
from recprofile.testing import context, dataset, toy
from recprofile_surprise import Nmf, NmfParams, Svd, Svdpp


def fit(component: type[Recommender[Any]], data: Dataset, *, seed: int = 3, **params: Any) -> Ranker:
    return component(component.params_type(**params)).fit(data, Inputs(), context(seed=seed))


def test_all_options_of_svd_are_those_of_surprise(random_data, same_as_surprise):
    data = random_data()
    start = {"init_mean": 0.1, "init_std_dev": 0.3}
    mine = {"dim": 5, "epochs": 4, "learning_rate": 0.05, "l2": 0.1, "initial_mean": 0.1, "initial_deviation": 0.3}
    same_as_surprise(
        fit(Svd, data, **mine), SVD(n_factors=5, n_epochs=4, lr_all=0.05, reg_all=0.1, random_state=3, **start), data
    )


@pytest.mark.parametrize("l2", [0, 0.02, 0.5, 30])
def test_svdpp_moved_once_a_user_is_svdpp_moved_once_a_rating(l2, random_data, same_as_surprise):
    # At l2 = 30 and the rate 0.05 a step takes more away than there is: 1 - 1.5 is below 0, and powers alternate.
    for data in (toy(), random_data(share=0.6)):
        mine = {"dim": 6, "epochs": 5, "learning_rate": 0.05, "l2": l2}
        mine |= {"initial_mean": 0.1, "initial_deviation": 0.3}
        start = {"init_mean": 0.1, "init_std_dev": 0.3}
        algo = SVDpp(n_factors=6, n_epochs=5, lr_all=0.05, reg_all=l2, random_state=3, **start)
        same_as_surprise(fit(Svdpp, data, **mine), algo, data)


@pytest.mark.parametrize("biased", [True, False])
def test_all_options_of_nmf_are_those_of_surprise(biased, random_data, same_as_surprise):
    data = random_data()
    mine = {"dim": 4, "epochs": 7, "biased": biased, "l2_users": 0.1, "l2_items": 0.2, "l2_biases": 0.3}
    mine |= {"learning_rate": 0.02, "initial_low": 0.2, "initial_high": 0.9}
    theirs = {
        "reg_pu": 0.1,
        "reg_qi": 0.2,
        "reg_bu": 0.3,
        "reg_bi": 0.3,
        "lr_bu": 0.02,
        "lr_bi": 0.02,
    }  # codespell:ignore bu
    theirs |= {"init_low": 0.2, "init_high": 0.9, "random_state": 3}
    same_as_surprise(fit(Nmf, data, **mine), NMF(n_factors=4, n_epochs=7, biased=biased, **theirs), data)


def test_predictions_stay_within_the_ratings_seen_and_ranking_scores_do_not():
    # User a is far above others, item y far above x: means of a (5) plus what y exceeds goes beyond 5.
    data = dataset([("a", "x", 5), ("b", "x", 1), ("b", "y", 4), ("c", "x", 2), ("c", "y", 5), ("d", "x", 1)])
    ranker = fit(Svd, data, dim=1, epochs=500, learning_rate=0.05, l2=0.001)
    a, y = data.users.ids.codes(["a"]), data.items.ids.codes(["y"])
    assert ranker.predict(a, y).tolist() == [5.0]
    assert ranker.scores(a)[0, y[0]] > 5


@pytest.mark.parametrize("component", [Svd, Svdpp, Nmf])
def test_another_seed_gives_other_factors(component):
    users = np.arange(6, dtype=np.int32)
    one, two = (fit(component, toy(), seed=seed, epochs=2).scores(users) for seed in (1, 2))
    assert not np.array_equal(one, two)


@pytest.mark.parametrize("component", [Svd, Svdpp, Nmf])
def test_each_epoch_is_reported(component):
    seen: list[tuple[int, int, str]] = []
    made = component(component.params_type(dim=2, epochs=3))
    made.fit(toy(), Inputs(), context(report=lambda *at: seen.append(at)))
    assert seen == [(0, 3, "epochs"), (1, 3, "epochs"), (2, 3, "epochs"), (3, 3, "epochs")]


@pytest.mark.parametrize(("component", "rate"), [(Svd, 1.0), (Svdpp, 0.5)])
def test_a_descent_that_diverges_is_an_error(component, rate):
    data = dataset([(u, i, 1000.0 * (u + i)) for u in range(5) for i in range(5)])
    with pytest.raises(RunError, match=rf"RP601 the descent diverged at a learning rate of '{rate}'"):
        fit(component, data, learning_rate=rate, epochs=50)


def test_nmf_refuses_negative_ratings():
    with pytest.raises(DataError, match=r"RP503 '-1.0' is negative, .* \(1 such training events\)\n.*item 'y'"):
        fit(Nmf, dataset([("a", "x", 4), ("b", "y", -1)]))


def test_factors_that_vanish_predict_zero(every_pair):
    data = dataset([("a", "x", 0), ("b", "x", 0), ("b", "y", 1)])
    predicted = fit(Nmf, data, l2_users=100, l2_items=100, epochs=1000).predict(*every_pair(data))
    assert predicted.tolist() == [0, 0, 0, 0]


def test_factors_need_a_range_to_start_in():
    with pytest.raises(ValidationError) as error:
        NmfParams(initial_low=1)
    assert error.value.errors()[0]["type"] == "RP205"
