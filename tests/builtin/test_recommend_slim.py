import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import nnls

from recprofile.builtin.recommend import Slim
from recprofile.plugin import Inputs, RunError
from recprofile.testing import RecommenderTests, checkerboard, context, dataset, toy

DESCENT = "recprofile.builtin.recommend.slim_descent"


class TestSlim(RecommenderTests):
    component = Slim
    examples = [{}, {"l1": 0.0, "l2": 0.5}, {"l1": 0.1, "l2": 1.0, "neighbours": 2}]


def fit(data, **params):
    return Slim(Slim.params_type(**params)).fit(data, Inputs(), context())


def non_negative_least_squares(x, *, l1, l2, may=None):
    """Each column by Lawson and Hanson's method, penalties being rows of the system; `may`: which weights may be."""
    n = x.shape[1]
    weights = np.zeros((n, n))
    for j in range(n):
        others = np.flatnonzero(np.arange(n) != j if may is None else may[:, j])
        a = np.concatenate([x[:, others], np.sqrt(l2) * np.eye(len(others))])
        b = np.concatenate([x[:, j], np.full(len(others), -l1 / np.sqrt(l2))])
        if len(others) and x[:, j].any():
            weights[others, j] = nnls(a, b)[0]
    return weights


def some_data(n_users=60, n_items=25, share=0.3):
    rng = np.random.default_rng(5)
    taste, kind = rng.normal(size=(n_users, 3)), rng.normal(size=(n_items, 3))
    x = taste @ kind.T + rng.normal(size=(n_users, n_items)) > np.quantile(rng.normal(size=1000), 1 - share)
    return dataset([(f"u{u:02}", f"i{i:02}") for u, i in zip(*np.nonzero(x), strict=True)])


@pytest.mark.parametrize(("l1", "l2"), [(0, 0.5), (0.5, 1), (2, 5), (1, 100)])
def test_it_is_the_elastic_net_of_each_column(l1, l2):
    data = some_data()
    slow = non_negative_least_squares(data.positives().toarray().astype(float), l1=l1, l2=l2)
    fast = fit(data, l1=l1, l2=l2).weights.toarray()
    assert_allclose(fast, slow, atol=1e-3)
    assert (slow > 0.01).sum() > 25  # not the empty solution


@pytest.mark.parametrize(("name", "value"), [("FLOATS", 60), ("ENTER", 1), ("FLOATS", 1)])
def test_it_is_the_same_in_small_chunks_batches_and_steps(name, value, monkeypatch):
    data = some_data()
    whole = fit(data, l1=0.5, l2=1).weights.toarray()
    monkeypatch.setattr(f"{DESCENT}.{name}", value)
    assert_allclose(fit(data, l1=0.5, l2=1).weights.toarray(), whole, atol=1e-3)


def test_only_the_nearest_items_may_have_a_weight():
    data = some_data()
    x = data.positives().toarray().astype(float)
    cosine = x.T @ x / np.sqrt(np.outer(x.sum(axis=0), x.sum(axis=0)))
    np.fill_diagonal(cosine, 0)
    may = np.argsort(np.argsort(-cosine, axis=0, kind="stable"), axis=0) < 4
    slow = non_negative_least_squares(x, l1=0.5, l2=1, may=may)
    fast = fit(data, l1=0.5, l2=1, neighbours=4).weights.toarray()
    assert ((fast > 0).sum(axis=0) <= 4).all()
    assert_allclose(fast, slow, atol=1e-3)


def test_two_items_by_hand():
    # ½ (2 w² - 2 w) + ½ l2 w² + l1 w, G_11 = 2, G_12 = 1: w = (1 - l1) / (2 + l2)
    data = dataset([(1, "x"), (1, "y"), (2, "x"), (3, "y")])
    weights = fit(data, l1=0.4, l2=1.0).weights.toarray()
    assert weights.tolist() == [pytest.approx([0, 0.2], abs=1e-4), pytest.approx([0.2, 0], abs=1e-4)]


def test_a_large_l1_leaves_no_weight_and_a_ranker_all_the_same():
    ranker = fit(toy(), l1=1e6)
    assert ranker.weights.nnz == 0
    assert ranker.scores(np.zeros(1, np.int32))[0, :5].tolist() == [0] * 5


def test_each_user_gets_their_one_missing_item_first():
    data = checkerboard(20)
    users = np.arange(20, dtype=np.int32)
    scores = fit(data, l1=0.01, l2=1.0).scores(users)
    scores[data.seen().toarray() > 0] = -np.inf
    assert scores.argmax(axis=1).tolist() == users.tolist()


def test_an_item_without_positive_events_is_not_ranked():
    scores = fit(toy(), l1=0.1, l2=1.0).scores(np.arange(6, dtype=np.int32))
    assert np.isneginf(scores[:, 5]).all()
    assert np.isfinite(scores[:, :5]).all()


def test_what_does_not_settle_is_said(monkeypatch):
    monkeypatch.setattr(f"{DESCENT}.ROUNDS", 1)
    said = []
    Slim(Slim.params_type(l1=0.1, l2=0.1)).fit(some_data(), Inputs(), context(warn=said.append))
    assert said == ["slim: some weights have not settled: a larger 'l2' helps"]


def test_it_refuses_more_items_than_memory_holds(monkeypatch):
    monkeypatch.setattr("recprofile.builtin.recommend.slim.free_memory", lambda: 100)
    with pytest.raises(RunError, match="RP604 'slim' on 6 items needs"):
        fit(toy())
