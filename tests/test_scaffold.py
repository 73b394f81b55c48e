"""`plugins new` writes packages that work at once, and the plugin of the manual works as a stranger's would."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from recprofile import testing
from recprofile.cli.main import status_of
from recprofile.cli.plugins import KindOfComponent
from recprofile.components import KINDS as CLASSES
from recprofile.scaffold import KINDS
from recprofile.testing import RecipeBox
from recprofile.testing.kinds import (
    CheckTests,
    EncoderTests,
    ExplainerTests,
    FuserTests,
    PreprocessorTests,
    RecommenderTests,
    RerankerTests,
    UpdaterTests,
)

ROOT = Path(__file__).parents[1]
ACME = ROOT / "plugins" / "example-acme"


def template(kind):
    return import_module(f"recprofile.scaffold.templates.{kind}")


def examples(kind):
    return ast.literal_eval(f"[{KINDS[kind].example}]")


class TestPreprocessor(PreprocessorTests):
    component = template("preprocessor").Strong
    examples = examples("preprocessor")


class TestEncoder(EncoderTests):
    component = template("encoder").Numbers
    examples = examples("encoder")


class TestFuser(FuserTests):
    component = template("fuser").Likes
    examples = examples("fuser")


class TestRecommender(RecommenderTests):
    component = template("recommender").Chosen
    examples = examples("recommender")


class TestReranker(RerankerTests):
    component = template("reranker").First
    examples = examples("reranker")


class TestCheck(CheckTests):
    component = template("check").Shown
    examples = examples("check")


class TestExplainer(ExplainerTests):
    component = template("explainer").Crowd
    examples = examples("explainer")


class TestUpdater(UpdaterTests):
    component = template("updater").Drawn
    examples = examples("updater")


def test_there_is_a_template_for_every_kind():
    assert {one.verb for one in KINDS.values()} == set(CLASSES)
    assert [CLASSES[one.verb].__name__.lower() for one in KINDS.values()] == list(KINDS)
    assert [kind.value for kind in KindOfComponent] == list(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_of_every_kind_has_a_test_class_and_a_recipe_that_runs(kind, tmp_path, capsys):
    assert status_of(["plugins", "new", "shop", "--kind", kind, "--out", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    chosen = KINDS[kind]
    assert (told["verb"], told["component"]) == (chosen.verb, f"shop/{chosen.name}")
    folder = tmp_path / "recprofile-shop"
    test = (folder / "tests" / "test_shop.py").read_text()
    assert "@" not in test
    assert hasattr(testing, chosen.kit)
    compile(test, "test_shop.py", "exec")

    box = RecipeBox(tmp_path)
    box.plugin("shop", (folder / "recprofile_shop" / "__init__.py").read_text())
    stages = chosen.stages.replace("{use}", told["component"])
    assert stages in test
    box.run(box.recipe(stages)).check()


def test_what_is_written_is_told_with_the_next_two_commands(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert status_of(["plugins", "new", "recprofile-shop-2"]) == 0
    assert capsys.readouterr().out == (
        "wrote recprofile-shop-2:\n"
        "  pyproject.toml\n"
        "  README.md\n"
        "  recprofile_shop_2/__init__.py\n"
        "  recprofile_shop_2/py.typed\n"
        "  tests/test_shop_2.py\n"
        "next:\n"
        "  pip install -e recprofile-shop-2\n"
        "  pytest recprofile-shop-2\n"
        "A recipe may then say 'encode: shop-2/numbers'.\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recprofile-shop-2"]
    readme = (tmp_path / "recprofile-shop-2" / "README.md").read_text()
    assert "  - encode: shop-2/numbers\n" in readme
    assert "@" not in readme


@pytest.mark.parametrize(
    ("name", "near"),
    [("Shop", "shop"), ("my_shop", "my-shop"), ("9lives", "lives"), ("shop/x", "shop-x"), ("", None), ("-", None),
     ("recprofile-", None), ("a" * 41, "a" * 40), ("läden", "l-den"), ("../up", "up"), ("shop\n", "shop")],
)  # fmt: skip
def test_what_is_no_namespace_is_refused(name, near, tmp_path, capsys):
    assert status_of(["plugins", "new", "--out", str(tmp_path), "--", name]) == 2
    err = capsys.readouterr().err
    assert err.startswith("RP307 '")
    assert (f"     = did you mean '{near}'?\n" in err) == (near is not None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["builtin", "hf", "lightgbm", "surprise", "acme"])
def test_a_namespace_that_is_taken_is_refused(name, tmp_path, capsys):
    assert status_of(["plugins", "new", name, "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"RP303 the namespace '{name}' is taken by recprofile")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_as_it_is(tmp_path, capsys):
    (tmp_path / "recprofile-shop").mkdir()
    assert status_of(["plugins", "new", "shop", "--out", str(tmp_path)]) == 4
    assert capsys.readouterr().err.startswith("RP606 '")
    assert list((tmp_path / "recprofile-shop").iterdir()) == []


def test_a_place_that_is_a_file_is_told(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert status_of(["plugins", "new", "shop", "--out", str(tmp_path / "file" / "below")]) == 4
    assert "RP606 cannot write '" in capsys.readouterr().err


def test_an_unknown_kind_is_refused_with_those_there_are(tmp_path, capsys):
    assert status_of(["plugins", "new", "shop", "--kind", "verb", "--out", str(tmp_path)]) == 2
    assert "reranker" in capsys.readouterr().err


# --- as a stranger does it


def installed(source: Path, place: Path) -> dict[str, str]:
    """Build a plugin from a copy of its folder and install it beside nothing; the environment that finds it."""
    copy, site = place / "source", place / "site"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    flags = [
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "--no-compile",
        "--disable-pip-version-check",
        "--quiet",
    ]
    command = [sys.executable, "-m", "pip", "install", *flags, "--target", str(site), str(copy)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    shutil.rmtree(copy)  # what runs is what was installed
    return {**os.environ, "PYTHONPATH": str(site)}


def recprofile(*arguments: str, env: dict[str, str], cwd: Path, program: str = "recprofile") -> str:
    """What a command prints in a process of its own."""
    command = [sys.executable, "-m", program, *arguments]
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_plugin_goes_from_its_name_to_a_recipe(tmp_path):
    """What the guide promises: a package, its tests, and a recipe of which one line is edited."""
    recprofile("plugins", "new", "acme2", env=dict(os.environ), cwd=tmp_path)
    written = tmp_path / "recprofile-acme2"
    env = installed(written, tmp_path)
    flags = ["-q", "-p", "no:cacheprovider", "-W", "error"]
    assert " passed" in recprofile(str(written), *flags, env=env, cwd=tmp_path, program="pytest")

    assert "acme2/numbers@1" in recprofile("plugins", env=env, cwd=tmp_path)
    assert "Numeric item columns" in recprofile("describe", "acme2/numbers", env=env, cwd=tmp_path)
    box = RecipeBox(tmp_path)
    recipe = box.recipe("- encode: numbers\n  with: {columns: [year, price]}\n- fuse: mean-history\n- recommend: dot")
    box.write("mine.yaml", recipe.replace("encode: numbers", "encode: acme2/numbers"))
    recprofile("run", "mine.yaml", env=env, cwd=box.folder)
    assert "acme2/numbers@1" in (box.folder / "out" / "recipe.yaml").read_text()


def test_the_plugin_of_the_manual_works_as_a_strangers_would(tmp_path):
    env = installed(ACME, tmp_path)
    (listed,) = [
        one for one in json.loads(recprofile("plugins", "--json", env=env, cwd=tmp_path)) if one["namespace"] == "acme"
    ]
    assert listed["problem"] is None
    assert (listed["distribution"], listed["module"]) == ("recprofile-example-acme", "recprofile_acme")
    assert [one["name"] for one in listed["components"]] == ["acme/numbers@1", "acme/in-stock@1"]
    shown = recprofile("describe", "acme/numbers", env=env, cwd=tmp_path)
    assert "acme/numbers@1  encode: Dataset → Embeddings" in shown
    box = RecipeBox(tmp_path)
    box.write("r.yaml", box.recipe(
        "- encode: acme/numbers\n  with: {columns: [year, price]}\n- fuse: mean-history\n- recommend: dot\n"
        "- rerank: acme/in-stock\n  with: {column: price}"
    ))  # fmt: skip
    recprofile("run", "r.yaml", env=env, cwd=box.folder)
    pinned = (box.folder / "out" / "recipe.yaml").read_text()
    assert "encode: acme/numbers@1" in pinned
    assert "rerank: acme/in-stock@1" in pinned
