"""The arithmetic of `bpr`, `mlp`, `two-tower` and `sasrec`, held against formulas written out."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from recprofile.builtin.descent.sampled_softmax import sampled_softmax
from recprofile.builtin.descent.sequences import Sequences, batches, levels, padded
from recprofile.builtin.descent.tensors import Chance, Descent
from recprofile.builtin.descent.training import new_items
from recprofile.builtin.recommend.gradient import Bpr, Mlp, SasRec, TwoTower, sasrec_loss, two_tower_nets
from recprofile.builtin.recommend.gradient.attributes import Attributes
from recprofile.builtin.recommend.gradient.bpr_learner import BprLearner
from recprofile.builtin.recommend.gradient.content import content_of
from recprofile.builtin.recommend.gradient.folds import folds, turned
from recprofile.builtin.recommend.gradient.mlp_learner import MlpLearner
from recprofile.builtin.recommend.gradient.negatives import Pairs, Sampler
from recprofile.builtin.recommend.gradient.sasrec_net import principal, start, states
from recprofile.plugin import Embeddings, Encoded, Inputs
from recprofile.testing import context, dataset, fused, toy


def chance(seed=0):
    return Chance(seed, "cpu")


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_the_gradient_of_bpr_is_that_of_the_paper():
    data = dataset([("u", "a"), ("v", "b")])
    learner = BprLearner(data, Bpr.params_type(dim=3, l2=0.5), context())
    w = learner.descent.weights
    x, y, z = (w[name][row].detach().double().numpy() for name, row in (("user", 0), ("item", 0), ("item", 1)))
    learner.loss(torch.tensor([0]), torch.tensor([0]), torch.tensor([[1]])).backward()
    push = -sigmoid(-(x @ y - x @ z))  # d(-ln σ(s))/ds, at s = s_ui - s_uj
    assert_allclose(w["user"].grad[0], push * (y - z) + 0.5 * x, rtol=1e-5)
    assert_allclose(w["item"].grad[0], push * x + 0.5 * y, rtol=1e-5)
    assert_allclose(w["item"].grad[1], -push * x + 0.5 * z, rtol=1e-5)
    assert_allclose(w["bias"].grad.ravel(), [push, -push], rtol=1e-5)
    assert_array_equal(w["user"].grad[1], np.zeros(3))


def test_a_drawn_item_that_is_the_users_own_does_not_count_in_bpr():
    data = dataset([("u", "a"), ("u", "b"), ("v", "c")])
    learner = BprLearner(data, Bpr.params_type(dim=3), context())
    one = torch.tensor([0])
    alone = learner.loss(one, one, torch.tensor([[2]]))
    assert_allclose(learner.loss(one, one, torch.tensor([[1, 2, 0]])).detach(), alone.detach(), rtol=1e-6)
    assert learner.loss(one, one, torch.tensor([[1]])).item() == 0


def test_popular_items_are_drawn_by_the_root_of_their_count():
    data = dataset([(u, "a") for u in range(9)] + [(0, "b")], items={"id": ["c"]})
    drawn = Sampler(data, "popular", chance()).draw(4000)
    share = np.bincount(drawn, minlength=3) / 4000
    assert_allclose(share, [0.75, 0.25, 0], atol=0.03)
    share = np.bincount(Sampler(data, "uniform", chance()).draw(4000), minlength=3) / 4000
    assert_allclose(share, [0.5, 0.5, 0], atol=0.03)


def test_pairs_know_what_they_have():
    data = dataset([("u", "a"), ("v", "b")])
    pairs = Pairs(data.positives(), "cpu")
    assert pairs.have(torch.tensor([[0], [1]]), torch.tensor([0, 1])).tolist() == [[True, False], [False, True]]


def test_the_first_step_of_adam_is_as_long_as_the_learning_rate_and_the_average_starts_there():
    w = torch.tensor([1.0, -2.0], requires_grad=True)
    descent = Descent({"w": w}, learning_rate=0.1)
    assert descent.step(w.square().sum()) == 5
    assert_allclose(w.detach(), [0.9, -1.9], rtol=1e-5)
    assert_allclose(descent.averaged()["w"], w.detach())
    descent.step(w.square().sum())
    assert_allclose(descent.averaged()["w"], [0.85, -1.85], atol=1e-3)  # the mean of two places


def test_dropout_keeps_the_mean():
    x = chance().drop(torch.ones(100_000), 0.25)
    assert x.unique().tolist() == pytest.approx([0, 4 / 3])
    assert x.mean().item() == pytest.approx(1, abs=0.02)


def test_sampled_softmax_is_the_softmax_when_every_item_is_drawn_alike():
    scores = torch.tensor([[0.5, -1.0, 2.0, 0.0]])
    own = torch.tensor([[False, False, True, False]])
    found = sampled_softmax(scores[:, 2], scores, torch.full((4,), -math.log(4)), own)
    assert_allclose(found, -torch.log_softmax(scores, 1)[:, 2], rtol=1e-6)


def test_an_item_that_is_drawn_twice_as_often_counts_half_in_the_sampled_softmax():
    right, none = torch.tensor([0.0]), torch.zeros(1, 3, dtype=torch.bool)
    q = torch.tensor([0.5, 0.5, 0.25]).log()  # items 0, 0 and 1, drawn with 1/2, 1/2 and 1/4
    found = sampled_softmax(right, torch.tensor([[1.0, 1.0, 3.0]]), q, none)
    assert found.item() == pytest.approx(math.log(1 + (math.e / 0.5 * 2 + math.e**3 / 0.25) / 3), rel=1e-6)


def test_two_towers_pool_the_weighted_mean_of_a_history():
    vectors = torch.tensor([[1.0, 0.0], [0.0, 2.0], [4.0, 4.0]])
    found = two_tower_nets.pooled(
        vectors, torch.tensor([0, 1, 2]), torch.tensor([0, 0, 2]), torch.tensor([3.0, 1.0, 7.0]), 3
    )
    assert_allclose(found, [[0.75, 0.5], [0, 0], [4, 4]])


def test_towers_end_on_the_unit_sphere():
    p = TwoTower.params_type(dim=4, hidden=3)
    w = two_tower_nets.start(p, chance(), n_items=5, content=0, codes=0, numbers=0)
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    assert_allclose(two_tower_nets.tower(w, "user", x).detach().norm(dim=1), np.ones(6), rtol=1e-5)


def test_columns_of_users_are_learnt_from_known_rows_and_serve_others():
    users = dataset([("u", "a"), ("v", "a"), ("w", "a")], users={
        "id": ["u", "v", "w"], "job": ["x", None, "y"], "age": [10, 30, None]}).users  # fmt: skip
    known = Attributes.of(users, ["job", "age"], np.array([True, True, False]))
    assert known.codes(users).ravel().tolist() == [1, 0, 0]  # y was not among the rows
    assert known.numbers(users).ravel().tolist() == [-1, 1, 0]
    assert Attributes.from_data(known.to_data()) == known
    assert known.codes(toy().users).ravel().tolist() == [0] * 6  # a table without the column


def test_content_has_one_length_from_every_stage_and_knows_where_it_lacks():
    data = dataset([("u", "a"), ("u", "b")])
    one = Embeddings("item", data.items.ids, np.array([[3, 4], [0, 0]], np.float32), np.array([False, True]))
    two = Embeddings("item", data.items.ids, np.array([[2], [0]], np.float32), np.array([False, True]))
    found, missing = content_of(data, Inputs(encoded={"one": Encoded(items=one), "two": Encoded(items=two)}))
    assert_allclose(found, [[0.6, 0.8, 1], [0, 0, 0]], rtol=1e-6)
    assert missing.tolist() == [False, True]


def network(**changes):
    p = SasRec.params_type(dim=8, **changes)
    return p, start(p, chance(), n_items=6, marks=3)


@pytest.mark.parametrize("positions", ["none", "learnt"])
def test_later_events_do_not_change_earlier_states(positions):
    p, w = network(positions=positions)
    item, mark = torch.tensor([[0, 3, 2, 5, 1]]), torch.tensor([[1, 2, 1, 0, 1]])
    whole = states(w, item, mark, p).detach()
    other = states(w, torch.tensor([[0, 3, 2, 4, 4]]), torch.tensor([[1, 2, 1, 2, 2]]), p).detach()
    assert_allclose(whole[:, :3], other[:, :3], atol=1e-6)
    assert not np.allclose(whole[:, 3:], other[:, 3:], atol=1e-3)
    assert_allclose(states(w, item[:, :3], mark[:, :3], p).detach(), whole[:, :3], atol=1e-6)


def test_a_state_foretells_later_positive_events_the_next_one_most():
    item, positive = torch.tensor([[0, 1, 2, 3]]), torch.tensor([[True, True, False, True]])
    right, share = sasrec_loss.targets(item, positive, horizon=2, none=9)
    assert right.tolist() == [[[1, 9], [9, 3], [3, 9]]]
    assert share.tolist() == [[[1, 0], [0, 1], [1, 0]]]
    _, share = sasrec_loss.targets(item, torch.ones(1, 4, dtype=torch.bool), horizon=2, none=9)
    assert_allclose(share[0], [[2 / 3, 1 / 3], [2 / 3, 1 / 3], [1, 0]], rtol=1e-6)


def test_what_came_before_is_left_out_of_the_softmax():
    item, foretells = torch.tensor([[0, 1, 2]]), torch.tensor([[True, False, True]])
    rows, items = sasrec_loss.earlier(item, foretells, 5)
    assert sorted(zip(rows.tolist(), items.tolist(), strict=True)) == [(0, 0), (1, 0), (1, 1), (1, 2)]
    scores = torch.tensor([[0.0, 1.0, 2.0, 3.0, 0.0], [1.0, 1.0, 1.0, 1.0, 0.0]])  # four items and padding
    right, items = torch.tensor([[1.0], [1.0]]), torch.tensor([[1], [3]])
    found = sasrec_loss.softmax_loss(
        right, torch.ones(2, 1), scores, items, (torch.tensor([0, 1, 1, 1]), torch.tensor([0, 0, 1, 2]))
    )
    assert_allclose(found, [math.log(math.e + math.e**2 + math.e**3) - 1, 0], atol=1e-6)


def test_gbce_is_the_binary_cross_entropy_where_nothing_is_made_up_for():
    right, share = torch.tensor([[0.3, -0.2]]), torch.tensor([[0.75, 0.25]])
    drawn, counts = torch.tensor([[1.0, -1.0, 5.0]]), torch.tensor([[True, True, False]])
    found = sasrec_loss.gbce_loss(right, share, drawn, counts, n_items=100, t=0)
    for_right = 0.75 * math.log(sigmoid(0.3)) + 0.25 * math.log(sigmoid(-0.2))
    against = math.log(1 - sigmoid(1)) + math.log(1 - sigmoid(-1))
    assert found.item() == pytest.approx(-(for_right + against) / 4, rel=1e-5)
    made_up = sasrec_loss.gbce_loss(right, share, drawn, counts, n_items=100, t=1)
    assert made_up.item() == pytest.approx(-(3 / 99 * for_right + against) / 4, rel=1e-5)  # β = α at t = 1


def test_what_came_before_each_event_is_known_of_drawn_items():
    found = sasrec_loss.came_before(torch.tensor([[0, 2, 1]]), torch.tensor([2, 3]))
    assert found.tolist() == [[[False, False], [True, False], [True, False]]]


def test_sequences_run_by_time_and_ties_stay_in_the_order_of_the_log():
    data = dataset([("u", "b", 5, 30), ("v", "a", 1, 5), ("u", "a", 3, 10), ("u", "c", 1, 30)])
    found = Sequences.of(data, positive_only=False, edges=np.array([3, 5], np.float32))
    assert found.indptr.tolist() == [0, 3, 4]
    assert data.items.ids.ids[found.item.tolist()].to_list() == ["a", "b", "c", "a"]
    assert found.mark.tolist() == [2, 3, 1, 1]


def test_every_event_but_the_first_is_foretold_once():
    sequences = Sequences(np.array([0, 1, 8, 8]), np.arange(8), np.zeros(8), np.ones(8, np.bool_))
    first, stop = sequences.windows(3)
    assert sorted(zip(first.tolist(), stop.tolist(), strict=True)) == [(1, 2 + 3), (4, 8)]
    foretold = sorted(at for a, b in zip(first, stop, strict=True) for at in range(a + 1, b))
    assert foretold == [2, 3, 4, 5, 6, 7]
    assert [x.tolist() for x in sequences.last(np.array([0, 1, 2]), 3)] == [[0, 5, 8], [1, 8, 8]]


def test_batches_hold_every_row_once_and_no_more_events_than_allowed():
    length = np.array([5, 1, 9, 3, 3, 40])
    found = list(batches(length, events=10, shuffle=np.random.default_rng(0)))
    assert sorted(np.concatenate(found).tolist()) == [0, 1, 2, 3, 4, 5]
    assert all(len(rows) == 1 or length[rows].max() * len(rows) <= 10 for rows in found)
    assert padded(np.array([7, 8, 9], np.int32), np.array([0, 2]), np.array([2, 3]), -1).tolist() == [[7, 8], [9, -1]]


def test_weights_that_are_all_alike_are_one_level():
    assert levels(np.array([3, 3, 3], np.float32)).tolist() == [3]
    assert levels(np.array([np.nan], np.float32)).tolist() == []


def test_items_start_from_the_principal_components_of_their_content():
    x = torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    found = principal(x, 3)
    unit = 0.02 / found.new_tensor([2, 2, 1, 1]).square().sum().div(12).sqrt()  # 12 numbers of mean 0
    assert_allclose(found, torch.nn.functional.pad(x, (0, 1)) * unit, rtol=1e-5, atol=1e-8)


def test_mlp_ranks_as_dot_before_it_learns():
    data = toy()
    learner = MlpLearner(data, Inputs(profiles=fused(data)), Mlp.params_type(), context())
    p = fused(data)
    found = learner.ranker().scores(np.arange(6, dtype=np.int32))
    dot = p.user_vectors @ p.item_vectors.T
    unit = 2 / dot[p.known].std()
    assert_allclose(found, dot * unit, rtol=1e-4, atol=1e-6)


def test_mlp_learns_each_event_from_profiles_made_without_it():
    data = toy()
    ctx = context(refit=lambda d: Inputs(profiles=fused(d)))
    found = list(folds(data, fused(data), ctx, count=3))
    pairs = sorted((int(u), int(i)) for fold in found for u, i in zip(fold.user, fold.item, strict=True))
    positive = data.train.positive
    assert pairs == sorted(zip(data.train.user[positive].tolist(), data.train.item[positive].tolist(), strict=True))
    for fold in found:  # the item vectors are one-hot, so a profile shows its history
        assert_allclose(fold.user_vectors[fold.user, fold.item], 0, atol=1e-6)


def test_a_space_that_came_out_turned_is_turned_back():
    data = toy()
    whole = fused(data, np.random.default_rng(0).normal(size=(6, 2)))
    turn = np.array([[0, 1], [-1, 0]], np.float32)
    other = replace(whole, user_vectors=whole.user_vectors @ turn, item_vectors=whole.item_vectors @ turn)
    users, items = turned(other, whole)
    assert_allclose(users, whole.user_vectors, atol=1e-5)
    assert_allclose(items, whole.item_vectors, atol=1e-5)


def test_items_to_judge_by_are_those_held_out_where_all_are_new():
    data = dataset([("u", "a"), ("v", "b")], test=[("u", "c")], items={"id": ["d"]})
    assert new_items(data).tolist() == [False, False, True, False]
    assert new_items(dataset([("u", "a")], test=[("v", "a"), ("u", "c")])) is None
    assert new_items(dataset([("u", "a")])) is None
