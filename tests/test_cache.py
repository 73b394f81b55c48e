"""The stage cache: what goes in comes out, whole or not at all."""

import numpy as np
import polars as pl
import pytest

from recprofile.artifacts import Pack
from recprofile.cache import Record, StageCache, key_of
from recprofile.testing import same_pack

PACK = Pack({"x": np.arange(6, dtype=np.float32)}, {"t": pl.DataFrame({"a": [1, None]})}, {"n": 3})


@pytest.fixture
def told():
    return []


@pytest.fixture
def cache(tmp_path, told):
    return StageCache(tmp_path, told.append)


def test_what_is_put_in_comes_out_with_its_record(cache):
    record = Record(("mind the gap",), 1.5, 20.0, {"rows": 3})
    cache.put("k", PACK, record)
    pack, again = cache.load("k")
    assert same_pack(pack, PACK)
    assert again == record
    assert cache.record("k") == record


def test_a_key_that_was_never_put_is_absent_and_nothing_is_told(cache, told):
    assert not cache.has("k")
    assert cache.load("k") is None
    assert told == []


@pytest.mark.parametrize("name", ["arrays.safetensors", "t.parquet", "values.json", "record.json"])
def test_a_flipped_byte_in_any_file_is_told_and_the_entry_refused(cache, told, tmp_path, name):
    cache.put("k", PACK, Record())
    file = tmp_path / "stages" / "k" / name
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    file.write_bytes(raw)
    assert cache.load("k") is None
    assert len(told) == 1
    assert f"the checksum of '{name}' differs" in told[0]


def test_a_missing_file_is_seen_without_reading_contents(cache, tmp_path):
    cache.put("k", PACK, Record())
    (tmp_path / "stages" / "k" / "t.parquet").unlink()
    assert not cache.has("k")


def test_a_damaged_entry_is_replaced_by_the_next_put(cache, tmp_path):
    cache.put("k", PACK, Record())
    (tmp_path / "stages" / "k" / "values.json").write_text("{}")
    cache.put("k", PACK, Record())
    assert same_pack(cache.load("k")[0], PACK)


def test_nothing_but_entries_is_left_behind(cache, tmp_path):
    cache.put("k", PACK, Record())
    assert [p.name for p in (tmp_path / "stages").iterdir()] == ["k"]


def test_a_key_depends_on_every_part_and_not_on_their_order():
    a = key_of({"a": 1, "b": {"c": 2, "d": 3}})
    assert a == key_of({"b": {"d": 3, "c": 2}, "a": 1})
    assert a != key_of({"a": 1, "b": {"c": 2, "d": 4}})
    assert len(a) == 64
