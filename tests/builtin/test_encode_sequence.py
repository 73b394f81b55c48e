"""`sequence`: the kit, its network against one written out in numpy, and what it learns."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from recprofile.artifacts import load_pack, save_pack
from recprofile.builtin.encode import Sequence, SequenceParams
from recprofile.builtin.encode.sequence_learner import SequenceLearner, states
from recprofile.plugin import DataError, Encoded, RunError
from recprofile.testing import EncoderTests, context, dataset, emptied, toy

SMALL = {"epochs": 2, "dim": 4}


class TestSequence(EncoderTests):
    component = Sequence
    examples = [
        SMALL,
        {"max_epochs": 2, "dim": 6, "heads": 3, "layers": 1, "max_length": 2, "masked": 0},
        SMALL | {"negatives": 3, "positive_only": False, "masked": 1},
    ]


def encode(data, warned=None, seed=0, **params):
    warn = ([] if warned is None else warned).append
    return Sequence(SequenceParams.model_validate(params)).encode(data, context(seed=seed, warn=warn))


def learner(data, **params):
    return SequenceLearner(data, SequenceParams.model_validate(SMALL | params), context())


def rings(users=60, items=12, length=8):
    """Each user walks up the items of a ring, one by one, from a place of their own; what comes next is the test."""
    train = [(f"u{u:02}", (u * 5 + n) % items, 1, n) for u in range(users) for n in range(length)]
    return dataset(train, test=[(f"u{u:02}", (u * 5 + length) % items, 1, length) for u in range(users)])


def test_the_network_is_that_of_the_formula():
    params = SequenceParams(dim=4, heads=2, layers=2, max_length=6)
    w = learner(toy(), heads=2, layers=2, max_length=6).descent.weights
    at = {name: x.detach().numpy().astype(np.float64) for name, x in w.items()}
    items = [3, 0, 5, 1]

    def normal(x, name):
        return (x - x.mean()) / math.sqrt(x.var() + 1e-5) * at[name] + at[f"{name}_bias"]

    def gelu(x):
        return np.array([v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x])

    x = np.array([2 * (at["item"][i] + at["position"][len(items) - 1 - n]) for n, i in enumerate(items)])
    for layer in range(2):
        y = np.array([normal(row, f"{layer}/before") for row in x])
        q, k, v = (y @ at[f"{layer}/{name}"] for name in ("query", "key", "value"))
        seen = np.zeros_like(x)
        for head in (slice(0, 2), slice(2, 4)):
            for n in range(len(items)):
                weight = np.exp([q[n, head] @ k[m, head] / math.sqrt(2) for m in range(len(items))])
                seen[n, head] = (weight / weight.sum()) @ v[:, head]
        x = x + seen @ at[f"{layer}/out"]
        for n in range(len(items)):
            y = gelu(normal(x[n], f"{layer}/between") @ at[f"{layer}/wide"] + at[f"{layer}/wide_bias"])
            x[n] = x[n] + y @ at[f"{layer}/narrow"] + at[f"{layer}/narrow_bias"]
    want = [normal(row, "end") for row in x]
    item = torch.tensor([[*items, 0, 0], [2, 0, 0, 0, 0, 0]])  # padded, in the company of a shorter one
    got = states(w, item, torch.tensor([4, 1]), params).detach().numpy()
    assert_allclose(got[0, :4], want, atol=1e-5)


@pytest.mark.parametrize("negatives", [0, 7])
def test_what_is_hidden_has_no_part_in_what_is_filled_in(negatives):
    made = learner(toy(), dropout=0, negatives=negatives)
    item, length = torch.tensor([[0, 1, 2, 3]]), torch.tensor([4])
    hidden = torch.tensor([[False, True, False, True]])
    known = states(made.descent.weights, torch.where(hidden, 6, item), length, made._p)[hidden]
    loss = made.loss(item, length, hidden)
    assert loss.shape == (2,)
    if not negatives:
        scores = known @ made.descent.weights["item"][:-1].T
        want = torch.logsumexp(scores, 1) - scores[torch.arange(2), torch.tensor([1, 3])]
        assert_allclose(loss.detach().numpy(), want.detach().numpy(), rtol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_last_event_of_a_run_is_always_hidden_and_padding_never(share):
    made = learner(toy(), masked=share)
    item, length = torch.zeros(400, 5, dtype=torch.int64), torch.tensor([5, 3] * 200)
    hidden = made._hidden(item, length)
    assert hidden[::2, 4].all()
    assert hidden[1::2, 2].all()
    assert not hidden[1::2, 3:].any()
    assert_allclose(hidden[::2, :4].float().mean(), share, atol=0.06)


@pytest.mark.parametrize("settings", [{}, {"negatives": 8}])
def test_what_comes_next_on_a_ring_is_learnt(settings):
    data = rings()
    got = encode(data, epochs=60, dim=16, dropout=0, learning_rate=0.01, batch=40, layers=1, **settings)
    first = (got.users.vectors @ got.items.vectors.T).argmax(axis=1)
    assert (first == data.test.item[np.argsort(data.test.user)]).mean() > 0.8  # by chance: 0.08


def test_only_the_last_events_that_it_looks_at_count():
    head = [("u", i, 1, n) for n, i in enumerate("abcd")]
    tail = [("u", i, 1, 10 + n) for n, i in enumerate("efg")]
    both = [("v", i, 1, n) for n, i in enumerate("abcdefg")]
    made = learner(dataset([*head, *tail, *both]), max_length=4)
    users, _ = made.vectors()
    alone = learner(dataset([*tail, *both]), max_length=4)
    alone.descent = made.descent
    assert_allclose(users[0], alone.vectors()[0][0], atol=1e-6)
    assert_allclose(users[0], users[1], atol=1e-6)


def test_the_same_seed_gives_the_same_vectors_and_another_seed_others():
    one, again, other = (encode(toy(), **SMALL, seed=seed).users.vectors for seed in (0, 0, 1))
    assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-3


def test_users_and_items_without_events_are_missing():
    got = encode(toy(), **SMALL)
    assert got.users.missing.tolist() == [False] * 5 + [True]
    assert got.items.missing.tolist() == [False] * 5 + [True]
    nothing = encode(emptied(toy(), "events"), **SMALL)
    assert nothing.users.missing.all()
    assert nothing.items.missing.all()


def test_the_number_of_epochs_is_chosen_kept_and_made_again(tmp_path):
    noted = {}
    made = Sequence(SequenceParams(max_epochs=3, dim=4))
    got = made.encode(toy(), context(note=noted.__setitem__))
    assert got.chosen == {"epochs": noted["epochs"]}
    save_pack(got.pack(), tmp_path)
    assert Encoded.unpack(load_pack(tmp_path)).chosen == got.chosen
    again = made.settled(got)
    assert again.params.epochs == noted["epochs"]
    assert_array_equal(again.encode(toy(), context()).users.vectors, got.users.vectors)


def test_without_a_validation_part_the_default_is_made_and_said(monkeypatch):
    monkeypatch.setattr("recprofile.builtin.encode.sequence.DEFAULT_EPOCHS", 2)
    warned = []
    assert encode(rings(4), warned, dim=4).chosen == {"epochs": 2}
    assert "no validation part" in warned[0]


def test_what_cannot_be_is_said(monkeypatch):
    with pytest.raises(ValueError, match="must divide 'dim'"):
        SequenceParams(dim=5, heads=2)
    with pytest.raises(DataError) as found:
        encode(dataset([("u", "a"), ("u", "b")]), **SMALL)
    assert found.value.problems[0].code == "RP406"
    monkeypatch.setattr(SequenceLearner, "epoch", lambda _: float("nan"))
    with pytest.raises(RunError, match="is nan after epoch 1"):
        encode(toy(), **SMALL)
