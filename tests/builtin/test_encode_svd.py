"""`svd`: the kit, its arithmetic against numpy's own decomposition, and its edges."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from recprofile.builtin.encode import Svd, svd
from recprofile.builtin.encode.singular import right_vectors
from recprofile.builtin.fuse import Concat
from recprofile.builtin.update import FoldInHistory
from recprofile.plugin import DataError
from recprofile.testing import EncoderTests, UpdaterTests, checkerboard, context, dataset, emptied, toy


class TestSvd(EncoderTests):
    component = Svd
    examples = [{"dim": 3}, {"dim": 2, "scaling": 0.4, "positive_only": False, "weighted": True}]


def encode(data, warned=None, seed=0, **params):
    made = Svd(Svd.params_type.model_validate(params))
    return made.encode(data, context(seed=seed, warn=(warned if warned is not None else []).append))


def scattered(users=200, items=90, seed=0):
    rng = np.random.default_rng(seed)
    pairs = {(int(u), int(i)) for u, i in zip(rng.integers(0, users, 3000), rng.integers(0, items, 3000), strict=True)}
    return dataset([(u, i, float(1 + (u + i) % 5)) for u, i in sorted(pairs)])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dim", [8, 60])  # by Lanczos, and whole
def test_scores_are_the_best_approximation_of_the_matrix(weighted, dim):
    data = scattered()
    matrix = data.matrix("train", binary=not weighted).toarray().astype(np.float64)
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    got = encode(data, dim=dim, weighted=weighted, scaling=1)
    want = (left[:, :dim] * values[:dim]) @ right[:dim]
    assert_allclose(got.users.vectors @ got.items.vectors.T, want, atol=1e-4)
    assert_allclose(got.items.vectors.T @ got.items.vectors, np.eye(dim), atol=1e-5)


def test_scaling_multiplies_items_by_a_power_of_their_length_before_the_decomposition():
    data = scattered()
    matrix = data.matrix("train", binary=True).toarray().astype(np.float64)
    scaled = matrix * np.linalg.norm(matrix, axis=0) ** (0.3 - 1)
    right = np.linalg.svd(scaled, full_matrices=False)[2][:5]
    got = encode(data, dim=5, scaling=0.3)
    assert_allclose(got.users.vectors @ got.items.vectors.T, matrix @ right.T @ right, atol=1e-4)


@pytest.mark.parametrize("scaling", [1.0, 0.5])
def test_user_vectors_follow_from_their_events_by_least_squares(scaling):
    got = encode(scattered(), dim=6, scaling=scaling)
    assert_allclose(got.fold_in.solve(got.items.vectors), got.users.vectors, atol=1e-4)
    parts = got.fold_in.parts(got.items.vectors, np.array([3, 5], np.int32), np.array([1, 2], np.int32))
    scores = (got.users.vectors[[3, 5]] * got.items.vectors[[1, 2]]).sum(axis=1)
    assert_allclose(np.asarray(parts.sum(axis=1)).ravel(), scores, atol=1e-5)
    assert encode(scattered(), dim=6, weighted=True).fold_in is None


def test_the_missing_item_of_a_checkerboard_comes_first():
    data = checkerboard(10)
    got = encode(data, dim=2)
    scores = got.users.vectors @ got.items.vectors.T
    scores[data.seen().toarray() > 0] = -np.inf
    assert scores.argmax(axis=1).tolist() == list(range(10))


def test_the_same_seed_gives_the_same_vectors_and_signs_hang_on_no_seed():
    data = scattered()
    one, other = encode(data, dim=8), encode(data, dim=8, seed=1)
    assert np.array_equal(one.items.vectors, encode(data, dim=8).items.vectors)
    assert_allclose(one.items.vectors, other.items.vectors, atol=1e-5)


def test_fewer_dimensions_than_wanted_are_told():
    warned = []
    got = encode(dataset([("u", "a"), ("v", "b"), ("w", "b")], items={"id": ["a", "b", "c"]}), warned, dim=5)
    assert got.dim == 2
    assert got.items.missing.tolist() == [False, False, True]
    assert warned == ["svd: the events span 2 dimensions, fewer than the dim of 5"]
    warned.clear()
    nothing = encode(emptied(toy(), "events"), warned)
    assert nothing.dim == 0
    assert nothing.users.missing.all()
    assert warned == ["svd: no training event to learn from, so every vector is missing"]


def test_weights_that_are_negative_or_missing_are_refused():
    for weight in (-1.0, float("nan")):
        with pytest.raises(DataError, match="weight") as found:
            encode(dataset([("u", "a", 1.0), ("u", "b", weight)]), weighted=True)
        assert found.value.problems[0].code == "RP503"


class TestProfilesOfSvdMove(UpdaterTests):
    """Later events move users of an svd block exactly, its items held fixed."""

    component = FoldInHistory

    def profiles(self, data):
        block = encode(toy(), dim=3)
        model = svd._fold_in(data.positives(), Svd.params_type())
        users = model.solve(block.items.vectors)
        moved = type(block)(block.items, type(block.users)("user", data.users.ids, users, ~users.any(axis=1)), model)
        return Concat(Concat.params_type()).fuse({"taste": moved}, data, context())


def test_no_vectors_of_an_empty_matrix():
    from scipy.sparse import csr_array

    assert right_vectors(csr_array((0, 4)), 3, np.random.default_rng(0)).shape == (4, 0)
