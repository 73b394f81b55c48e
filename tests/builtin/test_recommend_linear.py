import numpy as np
import pytest
from numpy.testing import assert_allclose

from recprofile.builtin.recommend import Ease, ItemKnn
from recprofile.builtin.recommend.gram import gram_matrix
from recprofile.builtin.recommend.inverse import inverse_in_place, inverse_on, ridge_inverse
from recprofile.builtin.recommend.memory import free_memory, refuse_unless_it_fits
from recprofile.builtin.recommend.nearest import largest
from recprofile.plugin import Inputs, RunError
from recprofile.testing import RecommenderTests, checkerboard, context, dataset, toy


class TestItemKnn(RecommenderTests):
    component = ItemKnn
    examples = [{}, {"neighbours": 1}, {"neighbours": 2, "shrink": 10.0, "weighting": "none"}, {"weighting": "bm25"}]


class TestEase(RecommenderTests):
    component = Ease
    examples = [{}, {"l2": 0.5}]


def fit(component, data, **params):
    return component(component.params_type(**params)).fit(data, Inputs(), context())


@pytest.mark.parametrize(
    ("component", "params"),
    [(ItemKnn, {}), (ItemKnn, {"weighting": "none", "shrink": 0.0}), (ItemKnn, {"weighting": "bm25"}),
     (Ease, {}), (Ease, {"l2": 1.0})],
)  # fmt: skip
@pytest.mark.parametrize("n", [10, 50])
def test_each_user_gets_their_one_missing_item_first(component, params, n):
    data = checkerboard(n)
    users = np.arange(n, dtype=np.int32)
    scores = fit(component, data, **params).scores(users)
    scores[data.seen().toarray() > 0] = -np.inf
    assert scores.argmax(axis=1).tolist() == users.tolist()


@pytest.mark.parametrize("component", [ItemKnn, Ease])
class TestBoth:
    def test_an_item_without_positive_events_is_not_ranked(self, component):
        scores = fit(component, toy()).scores(np.arange(6, dtype=np.int32))
        assert np.isneginf(scores[:, 5]).all()
        assert np.isfinite(scores[:, :5]).all()

    def test_users_with_a_positive_event_are_known(self, component):
        assert fit(component, toy()).known_users().tolist() == [True] * 5 + [False]

    def test_a_new_user_with_the_same_history_gets_the_same_scores(self, component):
        data = toy()
        ranker = fit(component, data)
        assert_allclose(ranker.scores_of(data), ranker.scores(np.arange(6, dtype=np.int32)))

    def test_one_user_and_one_item_is_enough(self, component):
        ranker = fit(component, dataset([("u", "i")]))
        assert ranker.scores(np.zeros(1, np.int32)).tolist() == [[0]]

    def test_no_events_leave_nothing_to_rank(self, component):
        data = toy().keep(users=np.array([False] * 5 + [True]))
        ranker = fit(component, data)
        assert np.isneginf(ranker.scores(np.zeros(1, np.int32))).all()
        assert not ranker.known_users().any()

    def test_evidence_is_the_part_of_each_history_item(self, component):
        data = toy()
        ranker = fit(component, data)
        parts = ranker.evidence(np.array([1, 5], np.int32), np.array([3, 0], np.int32)).toarray()
        only_i1 = data.revise(train=data.train.take(data.train.item == 0), held=data.held[data.train.item == 0])
        of_i1_alone = ranker.scores_of(only_i1.keep(users=only_i1.positives().toarray()[:, 0] > 0))
        assert parts[0, 0] == pytest.approx(of_i1_alone[0, 3])
        assert parts[0, 3:].tolist() == [0, 0, 0]  # not in the history of u2
        assert parts[1].tolist() == [0] * 6  # u6 has no history

    def test_it_is_the_same_in_small_blocks(self, component, monkeypatch):
        whole = fit(component, checkerboard(12)).scores(np.arange(12, dtype=np.int32))
        monkeypatch.setattr("recprofile.builtin.recommend.linear.BLOCK", 36)
        assert_allclose(fit(component, checkerboard(12)).scores(np.arange(12, dtype=np.int32)), whole, rtol=1e-5)


def test_cosine_of_two_columns_by_hand():
    # x: users 1, 2, 3; y: users 1, 2: cos = 2 / sqrt(3 · 2); z: user 4 alone
    data = dataset([(1, "x"), (2, "x"), (3, "x"), (1, "y"), (2, "y"), (4, "z")])
    user_3 = np.array([2], np.int32)
    cosine = 2 / np.sqrt(6)
    assert fit(ItemKnn, data, weighting="none", shrink=0).scores(user_3)[0].tolist() == pytest.approx([0, cosine, 0])
    shrunk = 2 / (np.sqrt(6) + 10)
    assert fit(ItemKnn, data, weighting="none", shrink=10).scores(user_3)[0].tolist() == pytest.approx([0, shrunk, 0])


def test_idf_weighs_a_user_by_how_few_items_they_have():
    # Three items; user 1 has two (ln(4/3)), users 2 and 3 one each (ln(4/2)); z is user 3's.
    data = dataset([(1, "x"), (1, "y"), (2, "x"), (3, "z")])
    heavy, light = np.log(4 / 3), np.log(2)
    cosine = heavy**2 / (np.hypot(heavy, light) * heavy)
    scores = fit(ItemKnn, data, weighting="idf", shrink=0).scores(np.array([1], np.int32))[0]
    assert scores.tolist() == pytest.approx([0, cosine, 0])


def test_bm25_weighs_a_user_by_their_length_over_the_mean():
    # Items per user 2, 1, 1: mean 4/3; weights 2.2 / (1.2 (.25 + .75 · n / mean) + 1)
    data = dataset([(1, "x"), (1, "y"), (2, "x"), (3, "z")])
    heavy, light = (2.2 / (1.2 * (0.25 + 0.75 * n / (4 / 3)) + 1) for n in (2, 1))
    cosine = heavy**2 / (np.hypot(heavy, light) * heavy)
    scores = fit(ItemKnn, data, weighting="bm25", shrink=0).scores(np.array([1], np.int32))[0]
    assert scores.tolist() == pytest.approx([0, cosine, 0])


def test_the_k_largest_are_kept_and_ties_go_by_column():
    block = np.array([[1, 3, 2, 3, 0], [1, 1, 1, 1, 1], [0, -1, 0, 2, 0]], np.float32)
    row, column, value = largest(block, 2)
    assert list(zip(row.tolist(), column.tolist(), value.tolist(), strict=True)) == [
        (0, 1, 3), (0, 3, 3), (1, 0, 1), (1, 1, 1), (2, 3, 2)
    ]  # fmt: skip


def test_ease_of_two_items_by_hand():
    # G = [[2, 1], [1, 2]]; with l2 = 1, min (2 - 2b + ... ): off-diagonal b = G_12 / (G_11 + l2) = 1/3 each way
    data = dataset([(1, "x"), (1, "y"), (2, "x"), (3, "y")])
    ranker = fit(Ease, data, l2=1.0)
    assert ranker.weights.tolist() == [pytest.approx([0, 1 / 3]), pytest.approx([1 / 3, 0])]


def test_the_gradient_of_ease_is_zero_off_the_diagonal():
    rng = np.random.default_rng(0)
    x = (rng.random((30, 8)) < 0.4).astype(np.float64)
    x[:, 7] = 0
    events = [(f"u{u}", f"i{i}") for u, i in zip(*np.nonzero(x), strict=True)]
    data = dataset(events, items={"id": [f"i{i}" for i in range(8)]}, users={"id": [f"u{u}" for u in range(30)]})
    l2 = 2.0
    ranker = fit(Ease, data, l2=l2)
    x = data.positives().toarray().astype(np.float64)
    b = ranker.weights.astype(np.float64)
    gradient = 2 * (x.T @ (x @ b - x) + l2 * b)
    np.fill_diagonal(gradient, 0)
    assert np.abs(gradient).max() < 1e-4
    assert np.diag(b).tolist() == [0] * 8
    assert not b[7].any()
    assert not b[:, 7].any()


def test_both_ways_of_inverting_agree_with_numpy(monkeypatch):
    rng = np.random.default_rng(1)
    a = rng.normal(size=(40, 17))
    gram = (a.T @ a + np.eye(17)).astype(np.float32)
    monkeypatch.setattr("recprofile.builtin.recommend.linear.BLOCK", 17 * 5)  # blocks of 5 rows
    expected = np.linalg.inv(gram.astype(np.float64))
    assert_allclose(inverse_in_place(gram.copy()), expected, atol=1e-4)
    assert_allclose(inverse_on("cpu", gram.copy()), expected, atol=1e-4)


def test_a_ridge_is_added_to_the_diagonal_and_the_matrix_left_as_it_is():
    gram = np.array([[2, 1], [1, 2]], np.float32)
    gram.setflags(write=False)
    ridge = np.array([1, 2], np.float32)
    for made in (ridge_inverse(gram, ridge, context()), inverse_on("cpu", gram, ridge)):
        # (2 + 1) · (2 + 2) - 1 = 11
        assert_allclose(made, np.array([[4, -1], [-1, 3]]) / 11, rtol=1e-6)
    assert_allclose(ridge_inverse(gram, 1.0, context()), np.array([[3, -1], [-1, 3]]) / 8, rtol=1e-6)


def test_the_gram_matrix_is_made_once_for_the_same_events_and_is_not_written_to():
    data = checkerboard(6)
    once = gram_matrix(data, context())
    assert gram_matrix(data, context()) is once
    assert_allclose(once, (data.positives().T @ data.positives()).toarray())
    fit(Ease, data)
    assert not once.flags.writeable
    assert gram_matrix(data.revise(train=data.train), context()) is not once


@pytest.mark.parametrize("inverse", [inverse_in_place, lambda matrix: inverse_on("cpu", matrix)])
def test_a_matrix_without_an_inverse_is_refused(inverse):
    with pytest.raises(RunError, match="RP601 the item matrix has no inverse in float32"):
        inverse(np.array([[1, 2], [2, 1]], np.float32))


def test_ease_refuses_more_items_than_memory_holds():
    # 40,000² · 4 bytes · 2.5 = 16e9 bytes = 14.9 GiB
    with pytest.raises(RunError) as refused:
        refuse_unless_it_fits("ease", 40_000, 8 * 2**30)
    assert str(refused.value) == (
        "RP604 'ease' on 40,000 items needs 14.9 GiB of memory, and 8.0 GiB are free\n"
        "     = a 'k-core' stage with a larger 'min_item' leaves fewer items\n"
        "     = 'item-knn' needs far less memory"
    )
    refuse_unless_it_fits("ease", 40_000, 16 * 2**30)
    refuse_unless_it_fits("ease", 40_000, None)
    refuse_unless_it_fits("slim", 40_000, 10 * 2**30, squares=1.5)


def test_free_memory_is_known_here():
    free = free_memory()
    assert free is None or free > 0
