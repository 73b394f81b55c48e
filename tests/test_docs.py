"""What the README and docs show is true."""

import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

import recprofile
from recprofile.cli.main import status_of
from recprofile.plan import make_plan
from recprofile.registry import make_registry
from recprofile.source import read_source

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language, containing, text=README):
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return next(inside for found, inside in blocks if found == language and containing in inside)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with the data of recipes/minimal.yaml."""
    (tmp_path / "data").mkdir()
    for name in ("ratings.csv", "books.csv"):
        (tmp_path / "data" / name).write_bytes((ROOT / "recipes" / "data" / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_recipe_of_the_readme_runs(folder):
    (folder / "r.yaml").write_text(block("yaml", "encode: tfidf"))
    assert recprofile.run("r.yaml", offline=True).passed


def test_the_python_of_the_readme_runs(folder, capsys):
    (folder / "recipes").mkdir()
    (folder / "data").rename(folder / "recipes" / "data")
    (folder / "recipes" / "minimal.yaml").write_text(block("yaml", "encode: tfidf"))
    exec(block("python", "recprofile.run("), {})
    assert "ndcg" not in capsys.readouterr().err


def test_the_error_of_the_readme_is_what_is_printed(folder, capsys):
    shown = block("", "RP301 no component 'tf-idf'")
    shown = shown.replace(
        "installed: ", "installed: acme/numbers@1, "
    )  # the plugin of the manual, which nobody else has
    recipe = block("yaml", "encode: tfidf").replace("encode: tfidf", "encode: tf-idf")
    (folder / "shop.yaml").write_text(recipe)
    assert status_of(["validate", "shop.yaml"]) == 2
    assert capsys.readouterr().err.strip() == shown.strip()


def test_the_component_of_the_readme_is_one_and_a_recipe_may_name_it(folder, monkeypatch):
    module = ModuleType("recprofile_acme")
    exec(block("python", "class Numbers"), module.__dict__)
    monkeypatch.setitem(sys.modules, "recprofile_acme", module)
    assert 'acme = "recprofile_acme"' in block("toml", "entry-points")
    points = [
        EntryPoint(n, v, "recprofile") for n, v in (("builtin", "recprofile.builtin"), ("acme", "recprofile_acme"))
    ]
    (folder / "r.yaml").write_text(
        block("yaml", "encode: tfidf").replace("tfidf", "acme/numbers").replace("[title, genre]", "[year, price]")
    )
    plan = make_plan(read_source("r.yaml"), make_registry(points))
    assert plan.stages[0].offer.pinned == "acme/numbers@1"
    from recprofile.testing import context, toy

    data = toy()
    component = module.Numbers(module.NumberParams(columns=("year", "price")))
    assert component.encode(data, context()).vectors.shape == (6, 2)


def test_the_readmes_table_lists_every_component_and_no_other():
    table = README[README.index("| verb |") : README.index("`recprofile plugins` lists")]
    rows = {row.split("|")[1].strip(" `"): row for row in table.splitlines()[2:] if row.startswith("|")}
    offered = {(offer.verb, offer.name) for offer in make_registry().offers if offer.namespace != "acme"}
    listed = {(verb, name) for verb, row in rows.items() for name in re.findall(r"`([^`]+)`", row.split("|")[3])}
    assert listed == offered


def test_every_command_of_the_readme_is_there(capsys):
    for name in ("run", "validate", "plan", "profile", "recommend", "report", "plugins", "describe", "data", "cache"):
        assert f"recprofile {name}" in README or f", {name}" in README
        assert status_of([name, "--help"]) == 0
    capsys.readouterr()
