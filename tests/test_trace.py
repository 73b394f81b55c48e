"""Hooks: each is called when it says, RECPROFILE_TRACE tells each call, and what is wrong with one is told where."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from recprofile.registry.rules import known_hooks
from recprofile.registry.trace import MOST, short
from recprofile.testing import RecipeBox

# A plugin that implements every hook there is; observers write down what they are given.
EVERY_HOOK = '''
"""Implements every hook."""
import json
import os
from pathlib import Path

import numpy as np

from recprofile.executor import LocalExecutor
from recprofile.plugin import hookimpl
from recprofile.scaffold.templates import (
    check, encoder, explainer, fuser, preprocessor, recommender, reranker, updater,
)

TOLD = Path(os.environ["TOLD"])


def tell(hook, **given):
    with TOLD.open("a") as file:
        file.write(json.dumps([hook, given], default=str) + "\\n")


@hookimpl
def recprofile_preprocessors():
    return [preprocessor.Strong]


@hookimpl
def recprofile_encoders():
    return [encoder.Numbers]


@hookimpl
def recprofile_fusers():
    return [fuser.Likes]


@hookimpl
def recprofile_recommenders():
    return [recommender.Chosen]


@hookimpl
def recprofile_rerankers():
    return [reranker.First]


@hookimpl
def recprofile_checks():
    return [check.Shown]


@hookimpl
def recprofile_explainers():
    return [explainer.Crowd]


@hookimpl
def recprofile_updaters():
    return [updater.Drawn]


def fetched(uri, *, cache, offline):
    return Path(uri.removeprefix("shelf://"))


@hookimpl
def recprofile_sources():
    return {"shelf": fetched}


@hookimpl
def recprofile_executors():
    return {"here": lambda options: LocalExecutor()}


def greet():
    """Say hello."""
    print("hello")


@hookimpl
def recprofile_commands():
    return [("greet", greet)]


@hookimpl
def recprofile_run_started(run):
    tell("recprofile_run_started", run=run)


@hookimpl
def recprofile_stage_started(stage):
    tell("recprofile_stage_started", stage=stage)


@hookimpl
def recprofile_progress(stage, done, total, unit):
    tell("recprofile_progress", stage=stage, done=done, total=total, unit=unit)


@hookimpl
def recprofile_stage_finished(stage):
    tell("recprofile_stage_finished", stage=stage)


@hookimpl
def recprofile_stage_failed(stage, error):
    tell("recprofile_stage_failed", stage=stage, error=str(error))


@hookimpl
def recprofile_metrics(metrics):
    tell("recprofile_metrics", metrics=metrics)


@hookimpl
def recprofile_run_finished(run):
    tell("recprofile_run_finished", run=run)
'''

STAGES = """
- preprocess: every/strong
  with: {min_weight: 2}
- encode: every/numbers
  with: {columns: [year, price]}
- fuse: every/likes
- recommend: every/chosen
- rerank: every/first
  with: {column: genres, value: Drama}
- check: every/shown
- explain: every/crowd
- update: every/drawn
"""


class Every:
    """A box with the plugin, and what its observers wrote down."""

    def __init__(self, folder: Path) -> None:
        self.box = RecipeBox(folder)
        self.box.plugin("every", EVERY_HOOK)
        self.file = folder / "told.jsonl"

    def told(self) -> list[tuple[str, dict]]:
        return [tuple(json.loads(line)) for line in self.file.read_text().splitlines()]


@pytest.fixture
def every(tmp_path, monkeypatch):
    made = Every(tmp_path)
    monkeypatch.setenv("TOLD", str(made.file))
    return made


def test_every_hook_is_implemented_here():
    assert [hook for hook in known_hooks() if f"def {hook}(" not in EVERY_HOOK] == []


def test_every_hook_is_found_in_a_plugin(every):
    listed = json.loads(every.box.invoke("plugins", "--json").check().out)
    (mine,) = [one for one in listed if one["namespace"] == "every"]
    assert mine["problem"] is None
    assert mine["hooks"] == sorted(known_hooks())


def test_components_of_every_kind_serve_in_one_recipe(every):
    every.box.run(every.box.recipe(STAGES)).check()


def test_observers_are_called_in_the_order_of_a_run(every):
    every.box.run(every.box.recipe(STAGES)).check()
    hooks = [hook for hook, _ in every.told()]
    assert hooks[0] == "recprofile_run_started"
    assert hooks[-1] == "recprofile_run_finished"
    assert hooks.index("recprofile_stage_started") < hooks.index("recprofile_stage_finished")
    assert "recprofile_progress" in hooks
    assert hooks.count("recprofile_metrics") == 1
    assert "recprofile_stage_failed" not in hooks
    (finished,) = [given["run"] for hook, given in every.told() if hook == "recprofile_run_finished"]
    assert finished["passed"] is True


def test_a_stage_that_fails_is_told_with_its_error(every):
    recipe = every.box.recipe("- preprocess: every/strong\n  with: {min_weight: 6}\n- recommend: popular")
    assert every.box.run(recipe).check(3).codes == ["RP505"]
    ((stage, error),) = [(g["stage"], g["error"]) for hook, g in every.told() if hook == "recprofile_stage_failed"]
    assert stage["id"] == "strong"
    assert "no training event has a weight of at least 6" in error


def test_a_source_of_a_plugin_gives_the_data(every):
    recipe = every.box.recipe("- recommend: popular").replace("path: ratings.csv", "path: 'shelf://ratings.csv'")
    recipe = recipe.replace("shelf://ratings.csv", f"shelf://{every.box.folder}/ratings.csv")
    every.box.run(recipe).check()


def test_an_executor_of_a_plugin_serves_a_run(every):
    every.box.run(every.box.recipe("- recommend: popular", more="engine: here\n")).check()


def test_a_command_of_a_plugin_is_one_of_recprofile(every):
    assert every.box.invoke("greet").check().out == "hello\n"
    assert "Say hello." in every.box.invoke("greet", "--help").check().out


# --- RECPROFILE_TRACE


def test_each_call_of_a_hook_is_told_with_plugin_arguments_result_and_time(every, monkeypatch):
    monkeypatch.setenv("RECPROFILE_TRACE", "1")
    err = every.box.run(every.box.recipe(STAGES)).check().err
    assert re.search(r"^trace: every recprofile_encoders\(\) → \[Numbers\] in \d+\.\d ms$", err, re.MULTILINE)
    assert re.search(r"^trace: builtin recprofile_fusers\(\) → \[Align, Attention, .*\] in ", err, re.MULTILINE)
    assert re.search(
        r"^trace: every recprofile_stage_started\(stage=\{.*'id': 'numbers'.*\) → None in ", err, re.MULTILINE
    )
    assert re.search(r"^trace: terminal recprofile_run_started\(run=", err, re.MULTILINE)
    assert max(map(len, err.splitlines())) < 4 * MOST


def test_what_a_hook_raises_is_told_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("RECPROFILE_TRACE", "1")
    box = RecipeBox(tmp_path)
    box.plugin("bad", EVERY_HOOK[: EVERY_HOOK.index("TOLD =")] + "@hookimpl\ndef recprofile_encoders():\n    1 / 0\n")
    told = box.invoke("plugins").check()
    assert "trace: bad recprofile_encoders() raised ZeroDivisionError: division by zero in " in told.err
    assert "RP302 recprofile_encoders raised ZeroDivisionError" in told.out


@pytest.mark.parametrize("value", [None, "", "0"])
def test_nothing_is_told_unless_it_is_asked_for(tmp_path, monkeypatch, value):
    if value is not None:
        monkeypatch.setenv("RECPROFILE_TRACE", value)
    assert RecipeBox(tmp_path).invoke("plugins").check().err == ""


def test_values_are_cut():
    assert short({"key": "x" * 1000}).startswith("{'key': 'xxx")
    assert len(short({str(n): "x" * 1000 for n in range(10)})) <= MOST
    assert short([RecipeBox, Every]) == "[RecipeBox, Every]"
    assert "\n" not in short("one\ntwo")


# --- what is wrong with a hook, told where it stands

GOOD = """from recprofile.plugin import hookimpl
from recprofile.scaffold.templates.encoder import Numbers


@hookimpl
def recprofile_encoders():
    return [Numbers]
"""


@pytest.mark.parametrize(
    ("before", "after", "line", "said"),
    [
        ("Numbers\n\n", "Numbers\nimport no_such_library\n\n", 3, "RP302 importing box_bad_plugin raised ModuleNotFo"),
        (
            "def recprofile_encoders():",
            "def recprofile_encoders(:",
            6,
            "RP302 importing box_bad_plugin raised SyntaxErr",
        ),
        ("[Numbers]", "[Numbers][1]", 7, "RP302 recprofile_encoders raised IndexError"),
        ("recprofile_encoders", "recprofile_encoder", 5, "RP307 there is no hook 'recprofile_encoder'"),
        ("encoders():", "encoders(plan):", 5, "RP307 a hook does not take what its specification gives"),
        ("@hookimpl\n", "", 5, "RP307 'recprofile_encoders' is not marked with @hookimpl"),
        ("[Numbers]", "[int]", 5, "RP307 int of recprofile_encoders is no Encoder"),
    ],
)
def test_a_broken_hook_is_told_with_its_line_where_plugins_are_listed_and_where_one_is_needed(
    tmp_path, before, after, line, said
):
    box = RecipeBox(tmp_path)
    assert before in GOOD
    box.plugin("bad", GOOD.replace(before, after))
    listed = box.invoke("plugins").check().out
    assert f"not usable: {said}" in listed
    assert f"box_bad_plugin.py:{line}:" in listed

    box.run(box.recipe("- recommend: popular")).check()  # who does not need it is not bothered
    told = box.run(box.recipe("- encode: bad/numbers\n- recommend: popular"), command="validate").check(2)
    assert (told.codes, told.positions) == (["RP302"], [(10, 13)])
    assert said[6:] in "\n".join(told.problems[0].help)
    assert f"box_bad_plugin.py:{line}:" in "\n".join(told.problems[0].help)


def test_an_import_that_fails_further_in_is_told_at_its_own_line(tmp_path):
    box = RecipeBox(tmp_path)
    box.plugin("deep", "import box_deep_inner\n" + GOOD)
    (tmp_path / "box-plugins" / "box_deep_inner.py").write_text("x = 1\ny = x.nothing\n")
    assert "box_deep_inner.py:2:" in box.invoke("plugins").check().out


def test_two_plugins_of_one_namespace_are_both_named(tmp_path):
    box = RecipeBox(tmp_path)
    box.plugin("twice", GOOD, distribution="one")
    other = tmp_path / "box-plugins" / "two-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: two\nVersion: 1.0\n")
    (other / "entry_points.txt").write_text("[recprofile]\ntwice = somewhere_else\n")
    for told in (box.invoke("plugins"), box.run(box.recipe("- recommend: popular"), command="validate")):
        assert told.check(2).codes == ["RP303"]
        assert told.problems[0].message == (
            "the namespace 'twice' is claimed by one 1.0 (box_twice_plugin) and two 1.0 (somewhere_else)"
        )
