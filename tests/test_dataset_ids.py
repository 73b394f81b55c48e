"""Ids of any kind → their sorted union and dense rows."""

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from recprofile.dataset import ids
from recprofile.dataset.ids import dense_rows


def column(kind, n=20_000, *, different=3_000, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, different, n)
    if kind == "text":
        return pl.Series([f" {c} " if c % 7 == 0 else f"ü-{c}-{'long' * (c % 9)}" for c in codes.tolist()])
    return pl.Series(codes * np.int64(2**45) - 2**55)  # too far apart for a table


@pytest.mark.parametrize("kind", ["text", "number"])
@pytest.mark.parametrize("different", [1, 50, 3_000, 20_000])
def test_columns_are_coded_by_their_sorted_union(kind, different):
    columns = [column(kind, different=different), column(kind, 100, different=9_000, seed=1), column(kind, 0)]
    found, codes = dense_rows(*columns)
    assert_array_equal(found.ids.to_list(), sorted(set(columns[0]) | set(columns[1])))
    for code, of in zip(codes, columns, strict=True):
        assert code.dtype == np.int32
        assert found.ids.gather(code).to_list() == of.to_list()


@pytest.mark.parametrize("kind", ["text", "number"])
def test_few_ids_are_coded_as_many_are(monkeypatch, kind):
    columns = column(kind), column(kind, 100, seed=1)
    many = dense_rows(*columns)
    monkeypatch.setattr(ids, "MANY", 10**9)
    monkeypatch.setattr(ids, "_by_hash", None)
    few = dense_rows(*columns)
    assert many[0] == few[0]
    for one, other in zip(many[1], few[1], strict=True):
        assert_array_equal(one, other)


def test_ids_with_the_same_hash_are_kept_apart(monkeypatch):
    columns = column("text"), column("text", 100, seed=1)
    want = dense_rows(*columns)
    monkeypatch.setattr(ids, "_keys", lambda series: series.hash(0).to_numpy() & np.uint64(0xFF))
    assert ids._by_hash(columns) is None
    found = dense_rows(*columns)
    assert found[0] == want[0]
    assert_array_equal(found[1][0], want[1][0])


def test_keys_that_end_alike_are_told_apart(monkeypatch):
    """What goes into the same place of the table, time and again."""
    columns = (column("number", different=500),)
    want = dense_rows(*columns)
    monkeypatch.setattr(ids, "_keys", lambda series: series.hash(0).to_numpy() << np.uint64(40))
    found = ids._by_hash(columns)
    assert found is not None
    assert found[0] == want[0]
    assert_array_equal(found[1][0], want[1][0])
