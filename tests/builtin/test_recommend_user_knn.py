import numpy as np
import pytest
from numpy.testing import assert_allclose

from recprofile.builtin.recommend import UserKnn
from recprofile.plugin import Inputs, RunError
from recprofile.testing import RecommenderTests, checkerboard, context, dataset, toy


class TestUserKnn(RecommenderTests):
    component = UserKnn
    examples = [{}, {"neighbours": 1}, {"neighbours": 3, "shrink": 2.0, "weighting": "idf"}, {"weighting": "bm25"}]


def fit(data, **params):
    return UserKnn(UserKnn.params_type(**params)).fit(data, Inputs(), context())


def step_by_step(x, weights, *, neighbours, shrink):
    """Scores and the part of each history item, by Python loops: (n, m) and (n, m, m), [u, i, j]."""
    n, m = x.shape
    weighted = x * weights
    scores, parts = np.zeros((n, m)), np.zeros((n, m, m))
    for u in range(n):
        below = [np.linalg.norm(weighted[u]) * np.linalg.norm(weighted[v]) + shrink for v in range(n)]
        near = [weighted[u] @ weighted[v] / below[v] if below[v] else 0 for v in range(n)]
        for v in sorted(range(n), key=lambda v: (-near[v], v))[:neighbours]:
            if near[v] > 0:
                scores[u] += near[v] * x[v]
                parts[u] += np.outer(x[v], weighted[u] * weighted[v] / below[v])
    return scores, parts


def some_data():
    x = np.random.default_rng(4).random((15, 8)) < 0.4
    x[:, 0] |= ~x.any(axis=1)
    return dataset([(f"u{u:02}", f"i{i}") for u, i in zip(*np.nonzero(x), strict=True)])


@pytest.mark.parametrize(("neighbours", "shrink"), [(1, 0), (4, 0), (4, 3), (100, 1)])
@pytest.mark.parametrize("weighting", ["none", "idf"])
def test_it_is_what_loops_over_users_give_and_so_is_the_evidence(neighbours, shrink, weighting):
    data = some_data()
    x = data.positives().toarray().astype(float)
    weights = np.log(16 / (1 + x.sum(axis=0))) if weighting == "idf" else np.ones(8)
    scores, parts = step_by_step(x, weights, neighbours=neighbours, shrink=shrink)
    ranker = fit(data, neighbours=neighbours, shrink=shrink, weighting=weighting)
    every = np.arange(15, dtype=np.int32)
    assert_allclose(ranker.scores(every), scores, rtol=1e-4, atol=1e-6)
    users, items = np.repeat(every, 8), np.tile(np.arange(8, dtype=np.int32), 15)
    assert_allclose(ranker.evidence(users, items).toarray().reshape(15, 8, 8), parts, rtol=1e-4, atol=1e-6)


def test_two_users_by_hand():
    # u1: x, y; u2: x, z: cosine 1/2, shrunk 1 / (2 + 2); u1 gives themselves 2 / (2 + 2) for what they have
    data = dataset([("u1", "x"), ("u1", "y"), ("u2", "x"), ("u2", "z")])
    one = np.zeros(1, np.int32)
    assert fit(data, shrink=0).scores(one)[0].tolist() == pytest.approx([1.5, 1, 0.5])
    assert fit(data, shrink=2).scores(one)[0].tolist() == pytest.approx([0.75, 0.5, 0.25])
    assert fit(data, neighbours=1, shrink=0).scores(one)[0].tolist() == pytest.approx([1, 1, 0])


def test_evidence_in_small_blocks_is_the_same(monkeypatch):
    ranker = fit(some_data())
    users, items = np.repeat(np.arange(15, dtype=np.int32), 2), np.tile(np.array([3, 7], np.int32), 15)
    whole = ranker.evidence(users, items).toarray()
    monkeypatch.setattr("recprofile.builtin.recommend.user_neighbours.PAIRS", 7)
    assert_allclose(ranker.evidence(users, items).toarray(), whole)


def test_each_user_gets_their_one_missing_item_first():
    data = checkerboard(20)
    users = np.arange(20, dtype=np.int32)
    scores = fit(data).scores(users)
    scores[data.seen().toarray() > 0] = -np.inf
    assert scores.argmax(axis=1).tolist() == users.tolist()


def test_an_item_without_positive_events_is_not_ranked_and_a_user_without_any_is_not_known():
    ranker = fit(toy())
    assert np.isneginf(ranker.scores(np.arange(6, dtype=np.int32))[:, 5]).all()
    assert ranker.known_users().tolist() == [True] * 5 + [False]


def test_it_keeps_no_history_and_refuses_to_rank_where_the_others_are_not_there():
    data = toy()
    component = UserKnn(UserKnn.params_type())
    pack = component.fit(data, Inputs(), context()).pack()
    assert not pack.arrays
    assert not pack.tables
    with pytest.raises(RunError) as refused:
        component.restore(pack, data.keep(users=np.arange(6) == 0), Inputs(), context())
    assert str(refused.value) == (
        "RP608 'user-knn' ranks by the histories of all users of its training, and these are not here\n"
        "     = a final stage 'item-knn' or 'ease' ranks from a store"
    )
