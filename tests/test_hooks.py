"""Each hook is called, with what its specification says: a plugin that implements all of them, and a run of it."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType, new_class

import pytest
import typer

from recprofile.engine import Settings, run_plan
from recprofile.plan import make_plan
from recprofile.plugin import (
    Check,
    Encoder,
    Explainer,
    Fuser,
    Params,
    Preprocessor,
    Recommender,
    Reranker,
    Updater,
    hookimpl,
)
from recprofile.registry import make_registry
from recprofile.source import read_source

DATA = Path(__file__).parents[1] / "recipes" / "data"
RECIPE = """\
recipe: 1
device: cpu
engine: {acme: {threads: 2}}
data:
  interactions: acme://ratings.csv
  items: acme://books.csv
stages:
  - encode: tfidf
    with: {columns: [title, genre]}
  - fuse: mean-history
  - recommend: dot
evaluate: {metrics: [ndcg@5], baselines: [], bootstrap: 0}
"""
FAILING = RECIPE.replace("  - fuse", "  - encode: acme/broken\n  - fuse").replace(
    "mean-history", "mean-history\n    from: tfidf"
)
OF_VERB = {
    "recprofile_preprocessors": Preprocessor,
    "recprofile_encoders": Encoder,
    "recprofile_fusers": Fuser,
    "recprofile_recommenders": Recommender,
    "recprofile_rerankers": Reranker,
    "recprofile_checks": Check,
    "recprofile_explainers": Explainer,
    "recprofile_updaters": Updater,
}


def plugin(monkeypatch, **hooks):
    """A registry of the builtin components and a plugin `acme` with these hooks."""
    module = ModuleType("recprofile_acme")
    for name, function in hooks.items():
        setattr(module, name, hookimpl(function))
    monkeypatch.setitem(sys.modules, "recprofile_acme", module)
    points = {"builtin": "recprofile.builtin", "acme": "recprofile_acme"}
    registry = make_registry([EntryPoint(name, value, "recprofile") for name, value in points.items()])
    assert [plugin.problem for plugin in registry.plugins] == [None, None]
    return registry


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a recipe with the hooks given."""
    monkeypatch.chdir(tmp_path)
    opened = []

    def from_data(uri, *, cache, offline):
        opened.append((uri, offline))
        return DATA / uri.removeprefix("acme://")

    def run_with(text, **hooks):
        from recprofile.executor import LocalExecutor

        made = {"recprofile_sources": lambda: {"acme": from_data}, **hooks}
        made.setdefault("recprofile_executors", lambda: {"acme": lambda options: LocalExecutor()})
        registry = plugin(monkeypatch, **made)
        Path("r.yaml").write_text(text, encoding="utf-8")
        return run_plan(make_plan(read_source("r.yaml"), registry), registry, Settings(offline=True))

    run_with.opened = opened
    return run_with


@pytest.mark.parametrize(("hook", "kind"), OF_VERB.items())
def test_a_component_is_offered_by_the_hook_of_its_verb(hook, kind, monkeypatch):
    methods = dict.fromkeys(kind.__abstractmethods__, lambda *_: None)
    body = {"name": "own", "__doc__": "Does nothing.", "__module__": __name__, **methods}
    made = new_class("Own", (kind[Params],), exec_body=lambda namespace: namespace.update(body))
    registry = plugin(monkeypatch, **{hook: lambda: [made]})
    assert registry.find("acme/own", kind.verb).component is made


def test_a_source_opens_addresses_of_its_scheme_and_an_executor_runs_the_blocks(run):
    options = []

    def executors():
        from recprofile.executor import LocalExecutor

        return {"acme": lambda given: options.append(dict(given)) or LocalExecutor()}

    assert run(RECIPE, recprofile_executors=executors).passed
    assert {uri for uri, _ in run.opened} == {"acme://ratings.csv", "acme://books.csv"}
    assert all(offline for _, offline in run.opened)
    assert options
    assert all(one == {"threads": 2} for one in options)


def test_a_command_is_offered_with_its_name(monkeypatch):
    def greet(name: str) -> None:
        """Greet."""
        typer.echo(f"hello {name}")

    registry = plugin(monkeypatch, recprofile_commands=lambda: [("greet", greet)])
    assert [(command.name, command.function) for command in registry.commands] == [("greet", greet)]


def test_observers_are_told_of_a_run_from_start_to_end(run):
    told = []
    observers = {
        "recprofile_run_started": lambda run: told.append(("started", run["name"], len(run["stages"]))),
        "recprofile_stage_started": lambda stage: told.append(("stage", stage["id"], stage["at"])),
        "recprofile_stage_finished": lambda stage: told.append(("done", stage["id"], stage["cached"])),
        "recprofile_metrics": lambda metrics: told.append(("metrics", "ndcg@5" in str(metrics), 0)),
        "recprofile_run_finished": lambda run: told.append(("finished", run["passed"], run["seconds"] >= 0)),
    }
    run(RECIPE, **observers)
    kinds = [kind for kind, *_ in told]
    assert kinds[0] == "started"
    assert kinds[-1] == "finished"
    assert kinds.count("stage") == kinds.count("done") == told[0][2]
    assert ("metrics", True, 0) in told
    assert ("finished", True, True) in told
    assert ("done", "tfidf", False) in told


def test_progress_is_told_while_a_stage_runs_and_failure_when_it_raises(run):
    class Broken(Encoder[Params]):
        """Counts to two, and breaks."""

        name = "broken"

        def encode(self, data, ctx):
            ctx.progress(2, "steps").add()
            raise ZeroDivisionError("on purpose")

    told = []
    with pytest.raises(ZeroDivisionError):
        run(
            FAILING,
            recprofile_encoders=lambda: [Broken],
            recprofile_progress=lambda stage, done, total, unit: told.append((stage, done, total, unit)),
            recprofile_stage_failed=lambda stage, error: told.append((stage["id"], type(error).__name__)),
        )
    assert ("broken", 0, 2, "steps") in told
    assert told[-1] == ("broken", "ZeroDivisionError")


def test_every_hook_has_a_test_here_or_in_the_tests_of_a_plugin():
    from recprofile import hookspecs

    text = Path(__file__).read_text(encoding="utf-8")
    missing = [name for name in vars(hookspecs) if name.startswith("recprofile_") and f'"{name}"' not in text]
    assert [name for name in missing if f"{name}=" not in text] == []
