import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from recprofile.builtin import inner
from recprofile.builtin.inner import FEW, InnerProducts
from recprofile.plugin import has_onednn


def vectors(n, d=24, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def test_few_users_are_scored_without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    users, items = vectors(100), vectors(50, seed=1)
    assert_array_equal(InnerProducts(items, users=100).of(users), users @ items.T)


@pytest.mark.parametrize("shape", [(1, 1), (40, 7), (3, 64), (0, 5)])
def test_one_user_is_scored_as_among_others(shape):
    items, users = vectors(*shape), vectors(3, shape[1], seed=1)
    products = InnerProducts(items, users=3)
    alone = np.concatenate([products.of(users[at : at + 1]) for at in range(3)])
    assert_allclose(alone, products.of(users), rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(not has_onednn(), reason="this processor or torch has no linear layer of oneDNN")
@pytest.mark.parametrize("n", [1, FEW - 1, FEW, 3000])
def test_many_users_are_scored_the_same_from_memory_that_may_not_be_written(monkeypatch, n):
    monkeypatch.setattr(inner, "WORTH", 1)
    users, items = vectors(n), vectors(501, seed=1)
    items.flags.writeable = users.flags.writeable = False
    products = InnerProducts(items, users=n)
    scores = products.of(users)
    assert_allclose(scores, users @ items.T, rtol=1e-4, atol=1e-5)
    assert scores.dtype == np.float32
    assert scores.flags.writeable
    assert_array_equal(products.of(users), scores)


@pytest.mark.skipif(not has_onednn(), reason="this processor or torch has no linear layer of oneDNN")
def test_it_is_onednn_that_multiplies_many(monkeypatch):
    monkeypatch.setattr(inner, "WORTH", 1)
    products = InnerProducts(vectors(10), users=FEW)
    products.of(vectors(FEW))
    assert "_laid_out" in vars(products)


def test_elsewhere_many_users_are_scored_by_numpy(monkeypatch):
    monkeypatch.setattr(inner, "WORTH", 1)
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    users, items = vectors(200), vectors(30, seed=1)
    assert_array_equal(InnerProducts(items, users=200).of(users), users @ items.T)
