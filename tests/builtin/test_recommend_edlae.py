from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose

from recprofile.builtin.recommend import Ease, Edlae
from recprofile.plugin import Inputs
from recprofile.testing import RecommenderTests, checkerboard, context, dataset, toy


class TestEdlae(RecommenderTests):
    component = Edlae
    examples = [{}, {"dropout": 0.3, "l2": 2.0}, {"dropout": 0.5, "l2": 1.0, "kept": 0.4}]


def fit(data, **params):
    return Edlae(Edlae.params_type(**params)).fit(data, Inputs(), context())


def least_squares_over_all_ways_of_hiding(x, *, dropout, l2, kept):
    """The loss of the class docstring, as one least squares problem per column, each mask weighted by its odds."""
    n = x.shape[1]
    left = 1 - dropout
    weights = np.zeros((n, n))
    for j in range(n):
        rows, goals = [], []
        for mask in product((0, 1), repeat=n):
            odds = np.prod([left if kept_item else dropout for kept_item in mask])
            scale = np.sqrt(odds * (kept if mask[j] else 1))
            rows.append(scale * x * np.array(mask) / left)
            goals.append(scale * x[:, j])
        ridge = np.sqrt((dropout + left * kept) * l2) * np.eye(n)
        ridge[j] = 0
        a, b = np.concatenate([*rows, ridge]), np.concatenate([*goals, np.zeros(n)])
        weights[:, j] = np.linalg.lstsq(a, b)[0]
    np.fill_diagonal(weights, 0)
    return weights


def some_data(n_users=12, n_items=5):
    x = (np.random.default_rng(3).random((n_users, n_items)) < 0.5).astype(float)
    return dataset([(f"u{u:02}", f"i{i}") for u, i in zip(*np.nonzero(x), strict=True)])


@pytest.mark.parametrize("kept", [0, 0.3, 1])
@pytest.mark.parametrize("dropout", [0.2, 0.6])
def test_it_is_the_least_squares_solution_over_all_ways_of_hiding(dropout, kept):
    data = some_data()
    slow = least_squares_over_all_ways_of_hiding(data.positives().toarray(), dropout=dropout, l2=1.5, kept=kept)
    assert_allclose(fit(data, dropout=dropout, l2=1.5, kept=kept).weights, slow, atol=1e-5)


def test_with_hardly_any_dropout_and_full_emphasis_it_is_ease():
    data = toy()
    ease = Ease(Ease.params_type(l2=2.0)).fit(data, Inputs(), context())
    assert_allclose(fit(data, dropout=1e-7, l2=2.0).weights, ease.weights, atol=1e-5)


def test_two_items_by_hand():
    # G = [[2, 1], [1, 2]], dropout .5: the ridge is 2 + l2; b = G_12 / (G_11 + 2 + l2) = 1/5 each way
    data = dataset([(1, "x"), (1, "y"), (2, "x"), (3, "y")])
    assert fit(data, dropout=0.5, l2=1.0).weights.tolist() == [pytest.approx([0, 0.2]), pytest.approx([0.2, 0])]


@pytest.mark.parametrize("kept", [0, 1])
def test_each_user_gets_their_one_missing_item_first(kept):
    data = checkerboard(20)
    users = np.arange(20, dtype=np.int32)
    scores = fit(data, l2=1.0, kept=kept).scores(users)
    scores[data.seen().toarray() > 0] = -np.inf
    assert scores.argmax(axis=1).tolist() == users.tolist()


def test_an_item_without_positive_events_is_not_ranked_and_has_no_weights():
    ranker = fit(toy(), kept=0.5)
    assert np.isneginf(ranker.scores(np.arange(6, dtype=np.int32))[:, 5]).all()
    assert not ranker.weights[5].any()
    assert not ranker.weights[:, 5].any()


def test_an_item_that_everybody_has_is_no_trouble():
    data = dataset([(u, i) for u in range(5) for i in ("all", f"own{u % 2}")])
    assert np.isfinite(fit(data, kept=1.0, l2=0.1).weights).all()
