import numpy as np
import pytest
from numpy.testing import assert_allclose

from recprofile.builtin.recommend import Rp3Beta
from recprofile.plugin import Inputs
from recprofile.testing import RecommenderTests, checkerboard, context, dataset, toy


class TestRp3Beta(RecommenderTests):
    component = Rp3Beta
    examples = [{}, {"alpha": 1.0, "beta": 0.0, "neighbours": 2}, {"alpha": 0.0, "beta": 0.6}]


def fit(data, **params):
    return Rp3Beta(Rp3Beta.params_type(**params)).fit(data, Inputs(), context())


def step_by_step(x, *, alpha, beta, neighbours):
    """The weights by Python loops over items and users, a column at a time."""
    n = x.shape[1]
    weights = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            for u in range(len(x)):
                if i != j and x[u, i] and x[u, j]:
                    weights[j, i] += (1 / x[:, j].sum()) ** alpha * (1 / x[u].sum()) ** alpha / x[:, i].sum() ** beta
        order = sorted(range(n), key=lambda j, i=i: (-weights[j, i], j))
        weights[order[neighbours:], i] = 0
    return weights


def some_data():
    x = np.random.default_rng(2).random((20, 9)) < 0.4
    x[:, 0] |= ~x.any(axis=1)
    return dataset([(f"u{u:02}", f"i{i}") for u, i in zip(*np.nonzero(x), strict=True)])


@pytest.mark.parametrize(("alpha", "beta", "neighbours"), [(1, 0, 9), (0.6, 0.4, 3), (0, 0, 100), (1.4, 0.8, 1)])
def test_it_is_what_loops_over_items_and_users_give(alpha, beta, neighbours):
    data = some_data()
    slow = step_by_step(data.positives().toarray(), alpha=alpha, beta=beta, neighbours=neighbours)
    assert_allclose(fit(data, alpha=alpha, beta=beta, neighbours=neighbours).weights.toarray(), slow, rtol=1e-5)


def test_with_alpha_1_and_beta_0_unseen_items_get_the_chance_of_a_random_walk_of_three_steps():
    data = some_data()
    x = data.positives().toarray()
    to_item, to_user = x / x.sum(axis=1, keepdims=True), (x / x.sum(axis=0)).T
    chance = to_item @ to_user @ to_item
    scores = fit(data, alpha=1, beta=0).scores(np.arange(20, dtype=np.int32)) / x.sum(axis=1, keepdims=True)
    unseen = x == 0
    assert_allclose(scores[unseen], chance[unseen], rtol=1e-5)


def test_it_is_the_same_in_small_blocks(monkeypatch):
    data = some_data()
    whole = fit(data).weights.toarray()
    monkeypatch.setattr("recprofile.builtin.recommend.linear.BLOCK", 20)
    assert_allclose(fit(data).weights.toarray(), whole)


def test_beta_holds_popular_items_down():
    data = dataset([(u, "all") for u in range(8)] + [(0, "x"), (0, "y"), (1, "x"), (1, "y"), (2, "x")])
    user = np.array([2], np.int32)
    first = [fit(data, alpha=1, beta=beta).scores(user)[0] for beta in (0, 2)]
    popular, rare = (data.items.ids.codes([name])[0] for name in ("all", "y"))
    assert first[0][popular] > first[0][rare]
    assert first[1][popular] < first[1][rare]


def test_each_user_gets_their_one_missing_item_first():
    data = checkerboard(20)
    users = np.arange(20, dtype=np.int32)
    scores = fit(data).scores(users)
    scores[data.seen().toarray() > 0] = -np.inf
    assert scores.argmax(axis=1).tolist() == users.tolist()


def test_an_item_without_positive_events_is_not_ranked():
    assert np.isneginf(fit(toy()).scores(np.arange(6, dtype=np.int32))[:, 5]).all()
