"""The stage cache: what goes in comes out, whole or not at all."""

import numpy as np
import polars as pl
import pytest

from recprofile.artifacts import Pack, load_pack, save_pack
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


@pytest.mark.parametrize("can_link", [True, False])
def test_a_result_is_kept_under_a_second_key_with_a_record_of_its_own(cache, tmp_path, monkeypatch, can_link):
    def refuse(*_):
        raise OSError("no links here")

    if not can_link:
        monkeypatch.setattr("os.link", refuse)
    cache.put("k", PACK, Record(("first",)))
    assert cache.put_again("again", "k", Record(("second",)))
    pack, record = cache.load("again")
    assert same_pack(pack, PACK)
    assert record == Record(("second",))
    assert cache.load("k")[1] == Record(("first",))
    files = [tmp_path / "stages" / key / "arrays.safetensors" for key in ("k", "again")]
    assert files[0].samefile(files[1]) == can_link


def test_what_is_not_kept_cannot_be_kept_again_or_copied(cache, tmp_path):
    assert not cache.put_again("again", "k", Record())
    assert not cache.has("again")
    assert not cache.copy("k", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_copy_is_what_save_pack_writes(cache, tmp_path):
    cache.put("k", PACK, Record())
    (tmp_path / "copy").mkdir()
    assert cache.copy("k", tmp_path / "copy")
    assert same_pack(load_pack(tmp_path / "copy"), PACK)
    (tmp_path / "saved").mkdir()
    save_pack(PACK, tmp_path / "saved")
    copied, saved = (
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("copy", "saved")
    )
    assert copied == saved


def test_a_key_depends_on_every_part_and_not_on_their_order():
    a = key_of({"a": 1, "b": {"c": 2, "d": 3}})
    assert a == key_of({"b": {"d": 3, "c": 2}, "a": 1})
    assert a != key_of({"a": 1, "b": {"c": 2, "d": 4}})
    assert len(a) == 64
