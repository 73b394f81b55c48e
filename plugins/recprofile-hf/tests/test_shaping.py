"""Centring, whitening and principal directions, held against slow references, and learnt from items in training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recprofile.plugin import BoolArray, FloatArray
from recprofile.testing import context, dataset
from recprofile_hf.params import EncoderParams
from recprofile_hf.shaping import learnt
from recprofile_hf.texts import shape_of

RNG = np.random.default_rng(0)
N, D = 60, 8
VECTORS = (RNG.normal(size=(N, D)) @ RNG.normal(size=(D, D)) + RNG.normal(size=D)).astype(np.float32)
KNOWN = np.arange(N) < 50
THERE = np.ones(N, np.bool_)


def shaped(known: BoolArray = KNOWN, **how: Any) -> FloatArray:
    asked = {"centre": True, "whiten": False, "shrinkage": None, "dim": None, **how}
    return learnt(VECTORS, known, **asked).of(VECTORS, THERE, normalise=False)


def test_whitened_items_in_training_have_the_identity_as_covariance():
    found = shaped(whiten=True, shrinkage=0.0)[KNOWN].astype(np.float64)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(found.T @ found / 50, np.eye(D), atol=1e-4)


def test_whitening_is_the_symmetric_one_which_moves_coordinates_least():
    directions = learnt(VECTORS, KNOWN, centre=True, whiten=True, shrinkage=0.3, dim=None).directions
    assert directions is not None
    np.testing.assert_allclose(directions, directions.T, atol=1e-5)
    covariance = np.cov(VECTORS[KNOWN].T.astype(np.float64), bias=True)
    shrunk = 0.7 * covariance + 0.3 * np.trace(covariance) / D * np.eye(D)
    np.testing.assert_allclose(directions @ shrunk @ directions, np.eye(D), atol=1e-4)


def test_a_shrinkage_of_one_leaves_the_directions_of_vectors():
    found, plain = shaped(whiten=True, shrinkage=1.0), shaped()
    np.testing.assert_allclose(found / np.linalg.norm(found), plain / np.linalg.norm(plain), atol=1e-5)


@pytest.mark.parametrize("n", [2, 5, 50])
def test_shrinkage_is_that_of_ledoit_and_wolf(n: int):
    known = np.arange(N) < n
    x = VECTORS[:n].astype(np.float64)
    x = x - VECTORS[:n].mean(axis=0)
    s = sum(np.outer(row, row) for row in x) / n
    mu = np.trace(s) / D
    delta = ((s - mu * np.eye(D)) ** 2).sum() / D
    beta = sum(((np.outer(row, row) - s) ** 2).sum() for row in x) / D / n**2
    found = learnt(VECTORS, known, centre=True, whiten=True, shrinkage=None, dim=None)
    assert found.shrinkage == pytest.approx(min(beta, delta) / delta, rel=1e-4)


@pytest.mark.parametrize("whiten", [{"whiten": True}, {"whiten": False}])
def test_dim_keeps_the_leading_directions(whiten: dict[str, bool]):
    found = shaped(dim=3, shrinkage=0.0, **whiten).astype(np.float64)
    centred = VECTORS - VECTORS[KNOWN].mean(axis=0)
    _, s, right = np.linalg.svd(centred[KNOWN].astype(np.float64), full_matrices=False)
    right = right * np.sign(right[np.arange(D), np.abs(right).argmax(axis=1)])[:, None]
    expected = centred @ right[:3].T
    if whiten["whiten"]:
        expected = expected / (s[:3] / np.sqrt(50))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_all_directions_keep_every_dot_product():
    found, plain = shaped(dim=D), shaped()
    np.testing.assert_allclose(found @ found.T, plain @ plain.T, atol=1e-3)
    whitened = shaped(dim=D, whiten=True), shaped(whiten=True)
    np.testing.assert_allclose(whitened[0] @ whitened[0].T, whitened[1] @ whitened[1].T, atol=1e-3)


def test_fewer_items_than_dimensions_give_fewer_directions_and_finite_whitening():
    few = np.arange(N) < 4
    assert shaped(known=few, dim=6).shape == (N, 3)
    assert np.isfinite(shaped(known=few, whiten=True, shrinkage=0.0)).all()
    assert np.isfinite(shaped(known=few, whiten=True)).all()


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_to_learn_from_leaves_the_coordinates(n: int):
    known = np.arange(N) < n
    shape = learnt(VECTORS, known, centre=True, whiten=True, shrinkage=None, dim=3)
    assert (shape.directions, shape.shrinkage, shape.rows) == (None, None, n)
    equal = np.ones((5, D), np.float32)
    assert learnt(equal, np.ones(5, np.bool_), centre=True, whiten=True, shrinkage=None, dim=None).directions is None


def test_without_centring_directions_are_about_zero():
    found = shaped(centre=False, whiten=True, shrinkage=0.0)[KNOWN].astype(np.float64)
    np.testing.assert_allclose(found.T @ found / 50, np.eye(D), atol=1e-3)


def test_missing_rows_stay_zero_and_the_given_vectors_stay_as_they_were():
    before = VECTORS.copy()
    there = THERE.copy()
    there[3] = False
    shape = learnt(VECTORS, KNOWN & there, centre=True, whiten=True, shrinkage=None, dim=3)
    found = shape.of(VECTORS, there, normalise=True)
    assert not found[3].any()
    np.testing.assert_allclose(np.linalg.norm(found[there], axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(VECTORS, before)


def test_a_new_item_changes_no_other_ones_vector(tmp_path: Path):
    ids = [f"i{n:02d}" for n in range(N)]
    log = [("u", id) for id in ids[:50]]
    p = EncoderParams(model=str(tmp_path), columns=("title",), whiten=True, dim=4)
    found = []
    for n in (50, N):
        data = dataset(log, items={"id": ids[:n], "title": ids[:n]})
        there = np.ones(n, np.bool_)
        shape = shape_of(VECTORS[:n], there, data, p, context())
        found.append(shape.of(VECTORS[:n], there, normalise=True))
    np.testing.assert_array_equal(found[0], found[1][:50])


def test_what_could_not_be_learnt_is_said(tmp_path: Path):
    said: list[str] = []
    told: dict[str, Any] = {}
    ctx = context(warn=said.append, note=told.__setitem__)
    data = dataset([("u", "a")], items={"id": ["a", "b", "c"], "title": ["a", "b", "c"]})
    there = np.ones(3, np.bool_)
    p = EncoderParams(model=str(tmp_path), columns=("title",), whiten=True)
    shape_of(VECTORS[:3], there, data, p, ctx)
    assert said.pop() == "'whiten' is left out: 1 items with a text and a training event teach it nothing"
    data = dataset([("u", "a"), ("u", "b")], items={"id": ["a", "b", "c"], "title": ["a", "b", "c"]})
    shape_of(VECTORS[:3], there, data, p.model_copy(update={"dim": 2}), ctx)
    assert said.pop() == "the texts span 1 dimensions, fewer than the dim of 2"
    assert set(told) == {"shrinkage"}
    nobody = data.revise(train=data.train.take(np.zeros(0, np.int32)), held=np.zeros(0, np.bool_))
    shape_of(VECTORS[:3], there, nobody, p.model_copy(update={"whiten": False}), ctx)
    assert said == ["no item with a training event has a text: vectors are not centred"]
