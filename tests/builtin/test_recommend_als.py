import numpy as np
import pytest
from numpy.testing import assert_allclose

from recprofile.builtin.encode import Als
from recprofile.builtin.encode.als import counted, fold_in
from recprofile.builtin.recommend import ImplicitAls
from recprofile.plugin import DataError, Inputs, UserScores
from recprofile.testing import RecommenderTests, checkerboard, context, dataset, emptied, toy


class TestImplicitAls(RecommenderTests):
    component = ImplicitAls
    examples = [
        {"dim": 4, "epochs": 3},
        {"dim": 2, "epochs": 1, "nu": 0, "l2": 1.0, "positive_only": False, "weighted": True},
    ]


def fit(data, **params):
    return ImplicitAls(ImplicitAls.params_type(**params)).fit(data, Inputs(), context())


def test_scores_are_those_of_the_encoders_vectors():
    data = toy()
    params = {"dim": 3, "epochs": 4, "alpha": 2.0}
    made = Als(Als.params_type(**params)).encode(data, context())
    scores = fit(data, **params).scores(np.arange(6, dtype=np.int32))
    assert_allclose(scores[:, :5], (made.users.vectors @ made.items.vectors.T)[:, :5], atol=1e-6)
    assert np.isneginf(scores[:, 5]).all()


def test_a_user_is_the_solution_of_the_fold_in_equations():
    data = toy()
    ranker = fit(data, dim=3, epochs=2)
    solved = fold_in(counted(data, ranker.params), ranker.params).solve(ranker.items_by)
    assert_allclose(ranker.scores_of(data)[:, :5], (solved @ ranker.items_by.T)[:, :5], atol=1e-5)


def test_somebody_new_is_ranked_by_what_they_did():
    data = checkerboard(20)
    ranker = fit(data, dim=2)
    person = dataset([("new", 0), ("new", 2), ("new", 4)], items={"id": list(range(20))})
    scores = ranker.scores_of(person)[0]
    assert scores[0:20:2].min() > scores[1:20:2].max()


def test_each_user_gets_their_one_missing_item_first():
    data = checkerboard(20)
    users = np.arange(20, dtype=np.int32)
    scores = fit(data, dim=16).scores(users)
    scores[data.seen().toarray() > 0] = -np.inf
    assert scores.argmax(axis=1).tolist() == users.tolist()


def test_only_item_vectors_are_packed():
    assert {name: array.shape for name, array in fit(toy(), dim=3).pack().arrays.items()} == {"items_by": (6, 3)}


def test_without_an_item_the_others_weigh_anew():
    assert not fit(toy(), dim=3).additive()


def test_a_negative_weight_is_refused():
    data = dataset([(1, "x", -2), (1, "y", 3)])
    with pytest.raises(DataError, match="RP503 'als' with 'weighted' needs weights of 0 or more, and one is -2"):
        fit(data, weighted=True)


def test_no_events_are_said_and_leave_nothing_to_rank():
    said = []
    data = emptied(toy(), "events")
    ranker = ImplicitAls(ImplicitAls.params_type(dim=2)).fit(data, Inputs(), context(warn=said.append))
    assert said == ["als: no training event to learn from, so nothing can be ranked"]
    assert np.isneginf(ranker.scores(np.arange(6, dtype=np.int32))).all()
    assert not ranker.known_users().any()


@pytest.mark.parametrize(("gains", "chosen"), [((0.0, 0.5), 0.02), ((0.5, 0.0, 0.5), 0.01), ((0.5,) * 6, 0.0003125)])
def test_an_open_l2_is_halved_as_long_as_that_ranks_better(monkeypatch, gains, chosen):
    from recprofile.builtin.encode import als_choice

    steps = (als_choice.L2, *als_choice.WEAKER)
    worth = dict(zip(steps, np.concatenate([[0], np.cumsum(gains)]), strict=False))

    def judged(p, matrix, fit, ctx):
        return UserScores(np.arange(4, dtype=np.int32), np.full(4, worth[p.l2]))

    monkeypatch.setattr(als_choice, "_judged", judged)
    data = dataset([(u, i) for u in range(4) for i in range(3)], valid=[2, 5])
    ranker = fit(data, dim=2)
    assert ranker.params.l2 == chosen
    assert ImplicitAls(ImplicitAls.params_type(dim=2)).settled(ranker).params.l2 == chosen
    encoder = Als(Als.params_type(dim=2))
    encoded = encoder.encode(data, context())
    assert encoded.fold_in.l2 == chosen
    assert encoder.settled(encoded).params.l2 == chosen
    assert fit(data, dim=2, l2=0.5).params.l2 == 0.5
    assert fit(data.for_tuning(), dim=2).params.l2 == als_choice.L2


def test_no_more_users_than_tell_are_judged_by(monkeypatch):
    from recprofile.builtin.encode import als_choice

    judged = []

    def remember(p, matrix, fit, ctx):
        judged.append(np.unique(fit.test.user).tolist())
        assert matrix.shape[0] == 9  # all are learnt from
        return UserScores(np.arange(4, dtype=np.int32), np.zeros(4))

    monkeypatch.setattr(als_choice, "_judged", remember)
    monkeypatch.setattr(als_choice, "JUDGED", 5)
    fit(dataset([(u, i) for u in range(9) for i in range(3)], valid=list(range(0, 27, 3))), dim=2)
    assert len(judged) == 2
    assert judged[0] == judged[1]
    assert len(judged[0]) == 5


def test_an_open_l2_is_judged_by_validation_events_of_items_with_events():
    from recprofile.builtin.encode.als_choice import _judged

    held = dataset([(u, i) for u in range(20) for i in range(u % 2, 20, 2) if i != u] + [(u, u) for u in range(20)],
                   valid=list(range(180, 200)))  # fmt: skip
    tuning = held.for_tuning()
    both = [ImplicitAls.params_type(dim=2, l2=l2) for l2 in (0.02, 1e6)]
    strong, weak = (_judged(p, counted(tuning, p), tuning, context()) for p in both)
    assert len(strong.values) == 20
    assert strong.mean == 1
    assert strong.beats(weak)
