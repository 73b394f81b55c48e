"""A run from its recipe to its folder: order, cache, observers, errors, outputs."""

import json
import os
import signal
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import polars as pl
import pytest

import recprofile
from recprofile.artifacts import load_pack
from recprofile.engine import Settings, run_plan
from recprofile.errors import DataError, RecipeError, RunError
from recprofile.plan import make_plan
from recprofile.plugin import Check as CheckKind
from recprofile.plugin import CheckResult, Embeddings, Encoder, Field, Params, hookimpl
from recprofile.registry import make_registry
from recprofile.runs import Run
from recprofile.source import read_source
from recprofile.testing import same_pack

USERS = "abcdefghij"
RATINGS = "user,item,weight,time\n" + "".join(
    f"{u},{i},{1 + (n * 3 + i * 7) % 5},{1000 * i + n}\n"
    for n, u in enumerate(USERS)
    for i in range(12)
    if (n + i) % 3 != 0
)
TITLES = [
    "red moon",
    "red sun",
    "blue sea",
    "sea life",
    "moon base",
    "old town",
    "new town",
    "sun rise",
    "deep sea",
    "far moon",
    "lost town",
    "night sun",
]
ITEMS = "id,title,genre,year\n" + "".join(
    f"{i},{title},{'sf' if 'moon' in title or 'sun' in title else 'doc'},{1990 + i}\n" for i, title in enumerate(TITLES)
)
PEOPLE = "id,gender\n" + "".join(f"{u},{'FM'[n % 2]}\n" for n, u in enumerate(USERS))
RECIPE = """\
recipe: 1
device: cpu
data:
  interactions: ratings.csv
  items: items.csv
  users: users.csv
  positive: ">= 3"
  split: {by: random, holdout: 0.3}
stages:
  - encode: tfidf
    id: plot
    with: {columns: [title, genre]}
  - fuse: mean-history
    id: profile
  - recommend: dot
  - explain: evidence
    with: {label: title}
list: {k: 5}
evaluate: {metrics: [ndcg@5, recall@5, coverage@5, diversity@5], bootstrap: 50}
"""


@pytest.fixture
def box(tmp_path, monkeypatch):
    folder = tmp_path / "box"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name, text in (("ratings.csv", RATINGS), ("items.csv", ITEMS), ("users.csv", PEOPLE), ("r.yaml", RECIPE)):
        (folder / name).write_text(text)
    return folder


def edit(box: Path, old: str, new: str) -> None:
    text = (box / "r.yaml").read_text()
    assert old in text
    (box / "r.yaml").write_text(text.replace(old, new))


class Probe(Params):
    """For the fake plugin below."""

    do: str = Field("vectors", description="What to do: vectors, or the way to fail.")


class Fake(Encoder[Probe]):
    """Vectors, or a failure on request."""

    name = "fake"
    ran = 0

    def encode(self, data, ctx):
        type(self).ran += 1
        match self.params.do:
            case "raise":
                raise ValueError("no luck")
            case "memory":
                raise MemoryError
            case "nan":
                return Embeddings("item", data.items.ids, np.full((data.n_items, 2), np.nan, np.float32))
            case "wrong":
                return "vectors"
            case "interrupt":
                raise KeyboardInterrupt
            case "warn":
                ctx.warn("thin data")
        return Embeddings("item", data.items.ids, ctx.rng().normal(size=(data.n_items, 2)).astype(np.float32))


class Gate(CheckKind[Probe]):
    """Holds unless told to fail."""

    name = "gate"

    def check(self, recs, inputs, data, ctx):
        return CheckResult({"pass": True, "none": None}.get(self.params.do, False), "as told")


@hookimpl
def recprofile_encoders():
    return [Fake]


@hookimpl
def recprofile_checks():
    return [Gate]


@pytest.fixture
def registry(monkeypatch):
    module = ModuleType("fake_plugin")
    module.recprofile_encoders = recprofile_encoders
    module.recprofile_checks = recprofile_checks
    monkeypatch.setitem(sys.modules, "fake_plugin", module)
    Fake.ran = 0

    class Point(EntryPoint):
        dist = SimpleNamespace(name="recprofile-fake", version="1.0", read_text=lambda _: None)

    mine = EntryPoint("builtin", "recprofile.builtin", "recprofile")
    return make_registry([mine, Point("fake", "fake_plugin", "recprofile")])


def run(box, registry, *sets, **settings):
    plan = make_plan(read_source(box / "r.yaml", sets), registry)
    return run_plan(plan, registry, Settings(**settings))


def test_a_run_writes_every_file_of_the_run_folder(box):
    result = recprofile.run("r.yaml")
    assert result.out == box / "runs" / "r" or result.out == Path("runs/r")
    names = {p.name for p in (box / "runs" / "r").iterdir()}
    assert names >= {
        "recipe.yaml", "manifest.json", "metrics.json", "recommendations.parquet", "profiles", "model",
        "checks.json", "explanations.parquet", "report.json", "report.html",
    }  # fmt: skip
    assert not list((box / "runs" / "r").rglob("*.pkl"))
    recs = pl.read_parquet("runs/r/recommendations.parquet")
    assert recs.columns == ["user", "item", "rank", "score", "reason"]
    assert set(recs["user"]) == set(USERS)
    assert recs.group_by("user").len()["len"].max() <= 5


def test_recommendations_leave_out_what_was_seen_in_training(box):
    recprofile.run("r.yaml")
    manifest = Run.open(Path("runs/r")).manifest
    recs = pl.read_parquet("runs/r/recommendations.parquet")
    log = pl.read_csv("ratings.csv")
    again = log.join(recs, on=["user", "item"], how="semi")
    # what is listed and in the log can only be test events
    assert again.height <= manifest["data"]["events"]["test"]


def test_a_second_run_computes_nothing_and_a_change_computes_what_follows_it(box, registry):
    first = run(box, registry)
    assert first.cached == ()
    second = run(box, registry)
    assert second.unchanged
    assert second.metrics == first.metrics
    third = run(box, registry, "stages.plot.with.min_df=2")
    assert "data" in third.cached
    assert "plot" in third.computed
    assert "profile" in third.computed
    assert "baseline-popular" in third.cached
    fourth = run(box, registry, "evaluate.bootstrap=60")
    assert fourth.computed == ("evaluation",)


def test_a_run_folder_that_is_gone_is_made_again_from_the_cache_with_the_same_contents(box, registry):
    run(box, registry, out=Path("one"))
    again = run(box, registry, out=Path("two"))
    assert again.computed == ()
    for name in ("metrics.json", "recommendations.parquet", "explanations.parquet", "checks.json"):
        assert (box / "one" / name).read_bytes() == (box / "two" / name).read_bytes()


def test_a_result_that_a_stage_hands_on_as_it_is_takes_no_room_again(box, registry, tmp_path):
    edit(box, "stages:\n", "stages:\n  - preprocess: dedupe\n")
    edit(box, "  - explain", "  - update: fold-in\n  - explain")
    result = run(box, registry)
    keys = Run.open(result.out).manifest["keys"]
    files = {id: tmp_path / "cache" / "stages" / key / "arrays.safetensors" for id, key in keys.items()}
    assert files["data"].samefile(files["dedupe"])  # which found nothing
    assert files["profile"].samefile(files["fold-in"])
    assert not files["data"].samefile(files["profile"])
    again = run(box, registry, out=Path("two"))
    assert again.computed == ()
    assert same_pack(load_pack(again.out / "profiles"), load_pack(result.out / "profiles"))


def test_a_changed_byte_in_the_data_computes_all_again(box, registry):
    run(box, registry)
    (box / "items.csv").write_text(ITEMS.replace("red moon", "red noon"))
    result = run(box, registry)
    assert "data" in result.computed
    assert "plot" in result.computed


def test_fresh_computes_every_stage_again_with_the_same_numbers(box, registry):
    first = run(box, registry)
    again = run(box, registry, fresh=True)
    assert again.cached == ()
    assert again.metrics == first.metrics


def test_the_recipe_in_the_run_folder_runs_from_there_and_gives_the_same(box, registry):
    first = run(box, registry)
    plan = make_plan(read_source(box / "runs" / "r" / "recipe.yaml"), registry)
    again = run_plan(plan, registry, Settings(out=box / "again"))
    assert again.computed == ()
    assert again.metrics == first.metrics


def test_the_same_recipe_and_seed_give_the_same_numbers_in_another_cache(box, registry, tmp_path):
    edit(box, "encode: tfidf\n    id: plot\n    with: {columns: [title, genre]}", "encode: fake/fake\n    id: plot")
    one = run(box, registry, out=Path("one"), cache=tmp_path / "c1")
    two = run(box, registry, out=Path("two"), cache=tmp_path / "c2")
    other = run(box, registry, "seed=1", out=Path("three"), cache=tmp_path / "c1")
    assert one.metrics == two.metrics
    profiles = [Run.open(box / n).profiles().pack() for n in ("one", "two", "three")]
    assert same_pack(profiles[0], profiles[1])
    assert not same_pack(profiles[0], profiles[2])
    assert len(other.computed) > 0


def test_adding_a_stage_leaves_the_seed_of_the_others_alone(box, registry):
    edit(box, "encode: tfidf\n    id: plot\n    with: {columns: [title, genre]}", "encode: fake/fake\n    id: plot")
    run(box, registry)
    edit(
        box,
        "  - fuse: mean-history\n    id: profile\n",
        "  - encode: category\n    with: {columns: [genre]}\n  - fuse: mean-history\n    id: profile\n    from: plot\n",
    )
    assert "plot" in run(box, registry).cached
    assert Fake.ran == 1


@pytest.mark.parametrize("part", ["stages", "run"])
def test_a_damaged_cache_entry_is_told_and_computed_again(box, registry, part):
    first = run(box, registry, out=Path("one"))
    key = Run.open(box / "one").manifest["keys"]["profile"]
    entry = Path(os.environ["RECPROFILE_CACHE"]) / "stages" / key / "arrays.safetensors"
    raw = bytearray(entry.read_bytes())
    raw[-1] ^= 1
    entry.write_bytes(raw)
    again = run(box, registry, out=Path("two"))
    assert "profile" in again.computed
    assert any("checksum" in w for w in again.warnings)
    assert again.metrics == first.metrics


def test_an_exception_in_a_component_keeps_its_type_and_names_the_stage(box, registry):
    edit(
        box,
        "encode: tfidf\n    id: plot\n    with: {columns: [title, genre]}",
        "encode: fake/fake\n    id: plot\n    with: {do: raise}",
    )
    with pytest.raises(ValueError, match="no luck") as caught:
        run(box, registry)
    (note,) = caught.value.__notes__
    assert "in encode stage 'plot' (fake/fake@1, recprofile-fake 1.0)" in note
    assert "r.yaml:10:13" in note


@pytest.mark.parametrize(
    ("do", "code", "words"),
    [
        ("memory", "RP604", "'plot' ran out of memory"),
        ("nan", "RP602", "Embeddings.vectors holds nan at [0, 0]"),
        ("wrong", "RP602", "fake/fake@1 returned str"),
    ],
)
def test_what_a_component_may_do_wrong_has_a_code_and_the_stages_position(box, registry, do, code, words):
    edit(
        box,
        "encode: tfidf\n    id: plot\n    with: {columns: [title, genre]}",
        f"encode: fake/fake\n    id: plot\n    with: {{do: {do}}}",
    )
    with pytest.raises(RunError) as caught:
        run(box, registry)
    (problem,) = caught.value.problems
    assert problem.code == code
    assert words in problem.message
    assert problem.at.line == 10


def test_a_failed_run_leaves_the_earlier_run_folder_as_it_was(box, registry):
    run(box, registry)
    before = {p: p.read_bytes() for p in (box / "runs").rglob("*") if p.is_file()}
    edit(
        box,
        "encode: tfidf\n    id: plot\n    with: {columns: [title, genre]}",
        "encode: fake/fake\n    id: plot\n    with: {do: raise}",
    )
    with pytest.raises(ValueError, match="no luck"):
        run(box, registry)
    assert before == {p: p.read_bytes() for p in (box / "runs").rglob("*") if p.is_file()}


def test_an_interrupted_run_goes_on_where_it_stopped(box, registry):
    edit(
        box,
        "  - fuse: mean-history",
        "  - {encode: fake/fake, id: fake, with: {do: interrupt}}\n  - fuse: mean-history\n    from: [plot, fake]",
    )
    with pytest.raises(KeyboardInterrupt):
        run(box, registry)
    again = run(box, registry, "stages.fake.with.do=vectors")
    assert again.cached == ("data", "plot")


def test_warnings_of_a_stage_come_back_with_its_cached_result(box, registry):
    edit(
        box,
        "encode: tfidf\n    id: plot\n    with: {columns: [title, genre]}",
        "encode: fake/fake\n    id: plot\n    with: {do: warn}",
    )
    for out in ("one", "two"):
        result = run(box, registry, out=Path(out))
        assert "plot: thin data" in result.warnings
    assert "thin data" in (box / "two" / "report.html").read_text()


@pytest.mark.parametrize(
    ("do", "fail", "passed"),
    [("pass", "error", True), ("no", "error", False), ("no", "warn", True), ("none", "error", True)],
)
def test_a_gate_fails_the_run_only_when_it_does_not_hold_and_says_error(box, registry, do, fail, passed):
    edit(
        box,
        "  - explain: evidence",
        f"  - check: fake/gate\n    with: {{do: '{do}'}}\n    fail: {fail}\n  - explain: evidence",
    )
    assert run(box, registry).passed is passed
    assert run(box, registry).passed is passed  # from the run folder
    (check,) = json.loads((box / "runs/r/checks.json").read_text())
    assert check["summary"] == "as told"


def test_observers_hear_of_every_stage_in_order_and_cached_ones_as_such(box, registry):
    heard = []

    class Observer:
        @hookimpl
        def recprofile_run_started(self, run):
            heard.append(("started", run["name"]))

        @hookimpl
        def recprofile_stage_finished(self, stage):
            heard.append((stage["id"], stage["cached"]))

        @hookimpl
        def recprofile_metrics(self, metrics):
            heard.append(("metrics", metrics["rankers"][0]["id"]))

        @hookimpl
        def recprofile_run_finished(self, run):
            heard.append(("finished", run["passed"]))

    registry.manager.register(Observer())
    run(box, registry, out=Path("one"))
    assert heard[0] == ("started", "r")
    assert heard[1:5] == [("data", False), ("plot", False), ("profile", False), ("dot", False)]
    assert heard[-2:] == [("metrics", "dot"), ("finished", True)]
    heard.clear()
    run(box, registry, out=Path("two"))
    assert ("plot", True) in heard


def test_a_failing_stage_is_told_to_observers(box, registry):
    failed = []

    class Observer:
        @hookimpl
        def recprofile_stage_failed(self, stage, error):
            failed.append((stage["id"], type(error)))

    registry.manager.register(Observer())
    edit(
        box,
        "encode: tfidf\n    id: plot\n    with: {columns: [title, genre]}",
        "encode: fake/fake\n    id: plot\n    with: {do: raise}",
    )
    with pytest.raises(ValueError, match="no luck"):
        run(box, registry)
    assert failed == [("plot", ValueError)]


def test_a_wrong_column_of_any_stage_is_told_before_the_first_stage_runs(box, registry):
    edit(box, "  - fuse: mean-history", "  - encode: fake/fake\n  - fuse: mean-history\n    from: [plot, fake]")
    edit(box, "with: {label: title}", "with: {label: titel}")
    edit(box, "with: {columns: [title, genre]}", "with: {columns: [title, gender]}")
    with pytest.raises(DataError) as caught:
        run(box, registry)
    assert Fake.ran == 0
    first, second = caught.value.problems
    assert (first.code, first.at.line, first.at.text[first.at.column - 1 :][: first.at.length]) == (
        "RP502",
        12,
        "gender",
    )
    assert "no column 'gender' in items.csv" in first.message
    assert first.help[0] == "did you mean 'genre'?"
    assert (second.code, second.at.line) == ("RP502", 19)


def test_a_column_that_a_preprocess_stage_names_wrongly_is_pointed_at(box, registry):
    edit(box, "stages:\n", "stages:\n  - preprocess: scale\n    with: {columns: {yaer: standard}}\n")
    with pytest.raises(DataError) as caught:
        run(box, registry)
    (problem,) = caught.value.problems
    assert problem.code == "RP502"
    assert problem.at.text[problem.at.column - 1 :][: problem.at.length] == "yaer"


def test_a_stage_that_needs_time_is_refused_when_the_log_has_none(box, registry):
    (box / "ratings.csv").write_text("\n".join(line.rpartition(",")[0] for line in RATINGS.splitlines()) + "\n")
    edit(box, "id: profile\n", "id: profile\n    with: {half_life_days: 3}\n")
    with pytest.raises(RecipeError) as caught:
        run(box, registry)
    (problem,) = caught.value.problems
    assert (problem.code, problem.at.line) == ("RP406", 13)


def test_every_missing_data_file_is_told_at_its_place(box, registry):
    edit(box, "ratings.csv", "rating.csv")
    edit(box, "  items: items.csv", "  items: {path: no/items.csv}")
    with pytest.raises(DataError) as caught:
        run(box, registry)
    first, second = caught.value.problems
    assert (first.code, first.at.line, second.code, second.at.line) == ("RP501", 4, "RP501", 5)
    assert "did you mean 'ratings.csv'?" in first.help


def test_a_device_that_is_not_there_is_an_error_and_never_the_cpu_in_silence(box, registry):
    with pytest.raises(RunError) as caught:
        run(box, registry, device="cuda:7")
    assert caught.value.problems[0].code == "RP603"


def test_a_folder_that_is_no_run_is_not_replaced(box, registry):
    (box / "mine").mkdir()
    (box / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError) as caught:
        run(box, registry, out=box / "mine")
    assert caught.value.problems[0].code == "RP606"
    assert (box / "mine" / "thesis.txt").read_text() == "years of work"


def test_an_environment_variable_in_a_path_is_used_and_never_written(box, registry, monkeypatch):
    monkeypatch.setenv("SECRET_FOLDER", str(box))
    edit(box, "interactions: ratings.csv", 'interactions: "${env:SECRET_FOLDER}/ratings.csv"')
    result = run(box, registry, out=Path("one"))
    text = "".join(
        (box / "one" / n).read_text() for n in ("manifest.json", "recipe.yaml", "report.html", "report.json")
    )
    assert "${env:SECRET_FOLDER}" in text
    assert f"{box}/ratings.csv" not in text
    assert result.computed


def test_lists_are_none_without_a_recommend_stage_and_profiles_are_kept(box, registry):
    (box / "r.yaml").write_text(RECIPE[: RECIPE.index("  - recommend")])
    result = run(box, registry)
    assert Run.open(result.out).profiles().dim > 0
    assert not (result.out / "recommendations.parquet").exists()
    assert (result.out / "report.html").is_file()


def test_reranked_lists_are_given_out_and_both_are_measured(box, registry):
    edit(box, "  - explain", "  - rerank: mmr\n    with: {relevance: 0.3, candidates: 8}\n  - explain")
    result = run(box, registry)
    lines = [(r["id"], r["role"], r["after"]) for r in result.metrics["rankers"]]
    assert lines[:2] == [("dot", "main", None), ("dot", "main", "mmr")]
    assert pl.read_parquet(result.out / "recommendations.parquet").group_by("user").len()["len"].max() == 5


def test_a_recommend_stage_that_is_a_baseline_is_fitted_once(box, registry):
    edit(box, "  - recommend: dot", "  - recommend: popular\n  - recommend: dot")
    result = run(box, registry)
    roles = {r["id"]: r["role"] for r in result.metrics["rankers"]}
    assert roles["popular"] == "baseline"
    assert "baseline-popular" not in roles


def test_killed_with_sigkill_a_run_goes_on_and_equals_an_undisturbed_one(box, tmp_path):
    edit(
        box,
        "  - recommend: dot",
        "  - {encode: als, id: slow, with: {dim: 2, epochs: 400}}\n"
        "  - {fuse: concat, id: both, from: [plot, slow]}\n"
        "  - {recommend: dot, from: both}",
    )
    env = {**os.environ, "RECPROFILE_CACHE": str(tmp_path / "killed")}
    command = [sys.executable, "-m", "recprofile", "run", "r.yaml", "--out", "killed"]
    child = subprocess.Popen(command, env=env, cwd=box, stderr=subprocess.PIPE, text=True)
    for line in child.stderr:
        if "plot" in line:  # its result is stored; the next stages are not yet
            break
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stderr.close()
    assert not (box / "killed").exists()
    done = subprocess.run(command, env=env, cwd=box, check=True, capture_output=True, text=True, timeout=120)
    assert "from the cache" in done.stdout
    subprocess.run(
        [*command[:-1], "calm"],
        env={**env, "RECPROFILE_CACHE": str(tmp_path / "calm")},
        cwd=box,
        check=True,
        capture_output=True,
    )
    for name in ("metrics.json", "recommendations.parquet", "explanations.parquet"):
        assert (box / "killed" / name).read_bytes() == (box / "calm" / name).read_bytes()


def test_an_engine_that_a_plugin_offers_ranks_the_same_lists(box, registry):
    used = []

    class Spread:
        def map_blocks(self, function, blocks):
            used.append(len(blocks))
            return map(function, blocks)

    class Plugin:
        @hookimpl
        def recprofile_executors(self):
            return {"spread": lambda options: Spread()}

    here = run(box, registry, out=Path("here"))
    registry.manager.register(Plugin())
    there = run(box, registry, "engine=spread", out=Path("there"), fresh=True)
    assert used
    assert there.metrics == here.metrics
