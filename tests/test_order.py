"""Rows sorted by several keys, by digits as by comparison."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recprofile import order
from recprofile.order import in_order

LOGS = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@pytest.fixture(autouse=True)
def _by_digits(monkeypatch):
    monkeypatch.setattr(order, "FEW", 1)


@settings(max_examples=100, deadline=None)
@given(rng=LOGS, n=st.integers(0, 80), widths=st.lists(st.sampled_from((1, 3, 31, 40, 62)), min_size=1, max_size=4))
def test_rows_are_ordered_as_lexsort_orders_them(rng, n, widths):
    # Coarse keys, so that many are equal.
    keys = [rng.integers(-2, 3, n) * (2**width // 4) for width in widths]
    assert in_order(*keys).tolist() == np.lexsort(keys[::-1]).tolist()


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint32])
def test_keys_may_be_of_any_whole_type_and_use_its_whole_range(dtype):
    info = np.iinfo(dtype)
    key = np.array([info.max, info.min, 0, info.max, 5, info.min], dtype)
    assert in_order(key).tolist() == np.argsort(key, kind="stable").tolist()
    assert in_order(key, np.arange(6)[::-1]).tolist() == np.lexsort((np.arange(6)[::-1], key)).tolist()


def test_a_key_in_order_keeps_the_rows():
    assert in_order(np.arange(10), np.zeros(10, np.int64)).tolist() == list(range(10))


def test_many_rows_are_sorted_through_several_digits(monkeypatch):
    monkeypatch.setattr(order, "FEW", 5000)
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 300, 20_000), rng.integers(0, 2**40, 20_000) // 2**36, rng.integers(0, 9, 20_000)
    np.testing.assert_array_equal(in_order(*keys), np.lexsort(keys[::-1]))
