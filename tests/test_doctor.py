"""`recprofile doctor`: facts of the environment, and for each thing that is broken the command that mends it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recprofile.artifacts import Pack
from recprofile.cache import Record, StageCache
from recprofile.cli import health
from recprofile.cli.main import status_of
from recprofile.registry import loading, make_registry

KEY = "a" * 64


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def doctor(capsys):
    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        status = status_of(["doctor", "--json", *arguments])
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return status, found

    return run


def leftover(path: str, *inside: str, age: float = 7200) -> Path:
    """What a killed run leaves, so many seconds ago."""
    place = Path(path)
    for name in inside:
        (place / name).mkdir(parents=True)
    os.utime(place, (time.time() - age,) * 2)
    return place


def test_all_is_well_here(doctor, capsys):
    status, found = doctor()
    assert (status, found["well"], found["troubles"]) == (0, True, [])
    assert {"builtin", "fairlearn", "hf", "lightgbm", "surprise"} <= set(found["plugins"]["loaded"])
    assert found["versions"]["numpy"]
    assert found["devices"]["cores"] >= 1
    assert found["devices"]["torch_seconds"] >= 0
    assert found["offline"] is True
    assert status_of(["doctor"]) == 0
    assert capsys.readouterr().out.endswith("nothing is broken\n")


def test_a_damaged_result_is_found_by_its_size_and_by_its_checksum(doctor, tmp_path):
    root = tmp_path / "cache"
    StageCache(root, print).put(KEY, Pack(values={"x": 1}), Record())
    record = root / "stages" / KEY / "record.json"
    assert doctor("--deep")[1]["cache"]["kinds"]["results of stages"]["entries"] == 1
    record.write_text(record.read_text(encoding="utf-8").replace("warnings", "wornings"), encoding="utf-8")
    assert doctor()[0] == 0  # of the same size
    status, found = doctor("--deep")
    assert status == 4
    assert "the checksum of 'record.json' differs" in found["troubles"][0]["what"]
    subprocess.run(found["troubles"][0]["mend"], shell=True, check=True)
    assert doctor("--deep")[0] == 0


def test_what_killed_runs_left_is_found_and_mended(doctor):
    leftover("runs/.shop-abc_1234", "new")
    leftover("recipes/runs/.film-abcd1234", "new", "old")
    leftover("runs/.fresh-abcd1234", "new", age=10)  # may belong to a run that goes on
    leftover("runs/.git-abcd1234", "hooks")  # not ours
    leftover("runs/.shop", "new")
    status, found = doctor()
    assert status == 4
    assert [one["mend"] for one in found["troubles"]] == [
        "mv recipes/runs/.film-abcd1234/old recipes/runs/film && rm -r recipes/runs/.film-abcd1234",
        "rm -r runs/.shop-abc_1234",
    ]
    for one in found["troubles"]:
        subprocess.run(one["mend"], shell=True, check=True)
    assert Path("recipes/runs/film").is_dir()
    assert doctor()[0] == 0


def test_a_run_without_its_manifest_or_with_a_changed_file_is_damaged(doctor):
    Path("runs/one").mkdir(parents=True)
    Path("runs/one/manifest.json").write_text("{", encoding="utf-8")
    Path("runs/two").mkdir()
    contents = {"metrics.json": {"size": 2, "sha256": "0" * 64}}
    manifest = {"recprofile": "0", "keys": {}, "recipe_file": "my shop.yaml", "contents": contents}
    Path("runs/two/manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert [one["mend"] for one in doctor()[1]["troubles"]] == ["recprofile run RECIPE --out runs/one"]
    assert doctor("--deep")[1]["troubles"][1]["mend"] == "recprofile run 'my shop.yaml' --out runs/two"


def test_a_plugin_that_did_not_load_is_told_with_its_cause(monkeypatch):
    point = EntryPoint("acme", "recprofile_acme_that_is_not_there", "recprofile")
    monkeypatch.setattr("recprofile.registry.make_registry", lambda: make_registry([point]))
    registry, (trouble,) = health.plugins()
    assert registry is not None
    assert trouble.code == "RP302"
    assert "No module named 'recprofile_acme_that_is_not_there'" in trouble.what
    assert trouble.mend == "pip install --force-reinstall unknown"


def test_two_plugins_with_one_namespace_are_named(monkeypatch, capsys):
    def point(name: str) -> SimpleNamespace:
        return SimpleNamespace(name="acme", value=name, dist=SimpleNamespace(name=name, version="1"))

    clash = [point("acme-one"), point("acme-two")]
    monkeypatch.setattr(loading, "entry_points", lambda group: clash)
    monkeypatch.setattr(health, "entry_points", lambda group: clash)
    registry, (trouble,) = health.plugins()
    assert registry is None
    assert (trouble.code, trouble.mend) == ("RP303", "pip uninstall acme-two")
    assert status_of(["doctor"]) == 4
    assert "broken plugins: RP303 the namespace 'acme' is claimed by acme-one 1" in capsys.readouterr().out


def test_a_library_that_is_missing_or_too_old_is_told_with_the_command_that_installs_it(monkeypatch):
    dist = SimpleNamespace(version="1", requires=["none-such>=2", "numpy>=999", 'pytest>=999; extra == "dev"'])
    real = health.distribution
    monkeypatch.setattr(health, "distribution", lambda name: dist if name == "recprofile" else real(name))
    _, troubles = health.versions(None)
    assert [one.mend for one in troubles] == ["pip install 'none-such>=2'", "pip install 'numpy>=999'"]
    assert troubles[0].what == "none-such is not installed, and recprofile needs it"


def test_a_cache_that_cannot_be_written_is_told(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("RECPROFILE_CACHE", str(tmp_path / "file" / "cache"))
    found, (trouble,) = health.cache(deep=False)
    assert found["writable"] is False
    assert trouble.code == "RP606"


def test_help_has_examples(capsys):
    assert status_of(["doctor", "--help"]) == 0
    assert "recprofile doctor --deep" in capsys.readouterr().out
