import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from recprofile.builtin.encode.als_tiles import add_squares, factor

DIMS = [8, 16, 24, 40, 64, 72, 136]


def rows(n, d):
    return np.random.default_rng(d).normal(size=(n, d)).astype(np.float32)


@pytest.mark.parametrize("d", DIMS)
@pytest.mark.parametrize("n", [1, 3, 64])
def test_products_of_rows_are_added_to_the_upper_triangle(d, n):
    of, into = rows(64, d), rows(d, d)
    want = into + of[:n].T @ of[:n]
    add_squares(into, of, n)
    assert_allclose(np.triu(into), np.triu(want), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("d", DIMS)
def test_the_factor_is_that_of_cholesky_whatever_is_below_the_diagonal(d):
    x = rows(2 * d, d)
    matrix = x.T @ x / d + np.eye(d, dtype=np.float32)
    got = np.triu(matrix) + np.tril(np.full_like(matrix, np.nan), -1)
    assert factor(got)
    want = np.linalg.cholesky(matrix.astype(np.float64)).T
    assert_allclose(1 / got.diagonal(), want.diagonal(), rtol=1e-4)
    above = np.triu_indices(d, 1)
    assert_allclose(got[above], want[above], atol=1e-4)


@pytest.mark.parametrize("at", [0, 7, 8, 23])
@pytest.mark.parametrize("pivot", [0.0, -1.0, np.nan])
def test_without_a_positive_pivot_there_is_no_factor(at, pivot):
    matrix = np.eye(24, dtype=np.float32)
    assert factor(matrix.copy())
    matrix[at, at] = pivot
    assert not factor(matrix)


def test_the_same_comes_out_each_time():
    x = rows(100, 64)
    one, other = np.zeros((64, 64), np.float32), np.zeros((64, 64), np.float32)
    add_squares(one, x, 100)
    add_squares(other, x, 100)
    assert_array_equal(one, other)
