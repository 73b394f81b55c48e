"""What `run`, `profile show`, `recommend`, `report`, `cache` and `data` print, and the exit codes."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from recprofile.cli import progress, summary, terminal
from recprofile.cli.main import status_of
from recprofile.engine import RunResult
from recprofile.hookspecs import hookimpl
from recprofile.registry import make_registry

RATINGS = "user,item,weight,time\n" + "".join(
    f"{u},i{i:02},{1 + (n * 3 + i * 7) % 5},{1000 * i + n}\n"
    for n, u in enumerate(["ada", "ben", "cleo", "dan", "eve", "finn"])
    for i in range(12)
    if (n + i) % 3 != 0
)
ITEMS = "id,title,genre\n" + "".join(f"i{i:02},the [{w}] book,{'ab'[i % 2]}\n" for i, w in enumerate("abcdefghijkl"))
USERS = "id\n" + "".join(f"{u}\n" for u in ("ada", "ben", "cleo", "dan", "eve", "finn", "zoe"))  # zoe has no events
RECIPE = """\
recipe: 1
device: cpu
data:
  interactions: ratings.csv
  items: items.csv
  users: users.csv
  split: {by: random, holdout: 0.3}
stages:
  - encode: tfidf
    id: plot
    with: {columns: [title, genre]}
  - fuse: mean-history
  - recommend: dot
  - explain: evidence
    with: {label: title}
list: {k: 5}
evaluate: {metrics: [ndcg@5, recall@5, coverage@5], baselines: [popular], bootstrap: 50}
"""


@pytest.fixture(autouse=True)
def box(tmp_path, monkeypatch):
    folder = tmp_path / "box"
    folder.mkdir()
    for name, text in (("ratings.csv", RATINGS), ("items.csv", ITEMS), ("users.csv", USERS), ("shop.yaml", RECIPE)):
        (folder / name).write_text(text)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def made():
    """What the first test that needs a finished run made of the box and the cache; others copy it."""
    return {}


@pytest.fixture
def ran(box, capsys, made, tmp_path_factory):
    """A box in which `run shop.yaml` was done, and what that said."""
    cache = Path(os.environ["RECPROFILE_CACHE"])
    if made:
        shutil.copytree(made["box"], box, dirs_exist_ok=True)
        shutil.copytree(made["cache"], cache)
    else:
        assert status_of(["run", "shop.yaml"]) == 0
        kept = tmp_path_factory.mktemp("made")
        made |= {"box": kept / "box", "cache": kept / "cache", "told": capsys.readouterr()}
        shutil.copytree(box, made["box"])
        shutil.copytree(cache, made["cache"])
    return made["told"]


def edit(old, new):
    text = Path("shop.yaml").read_text()
    assert old in text
    Path("shop.yaml").write_text(text.replace(old, new))


# run


def test_a_run_tells_its_stages_on_standard_error_and_its_result_on_standard_output(ran):
    assert ran.err.splitlines()[0] == "shop → runs/shop  device cpu, seed 0"
    assert "  1/9  data " in ran.err
    assert "plot" in ran.err
    lines = ran.out.splitlines()
    assert lines[0].split() == ["recommender", "ndcg@5", "recall@5"]  # coverage is for the report
    assert [line.split()[:2] for line in lines[1:3]] == [["dot", "main"], ["popular", "baseline"]]
    assert lines[-2].startswith("9 stages: 9 computed, 0 from the cache; ")
    assert lines[-1] == "report: runs/shop/report.html"
    assert max(map(len, lines)) <= 120
    assert "\x1b" not in ran.out + ran.err


def test_the_difference_to_the_best_baseline_is_a_sentence_with_the_numbers_of_metrics_json(ran):
    (told,) = [line for line in ran.out.splitlines() if "best baseline" in line]
    assert told.startswith("dot is ")
    assert " on ndcg@5 against popular, the best baseline: " in told
    metrics = json.loads(Path("runs/shop/metrics.json").read_text())
    (found,) = [d for d in metrics["differences"] if d["metric"] == "ndcg@5"]
    value = float(told.split()[2].replace("−", "-"))
    assert value == pytest.approx(found["value"], abs=1e-3)


def test_an_unchanged_run_says_so_and_shows_the_same_metrics(ran, capsys):
    assert status_of(["run", "shop.yaml"]) == 0
    again = capsys.readouterr()
    assert "nothing to compute: the run folder is up to date" in again.out
    assert again.out.splitlines()[:3] == ran.out.splitlines()[:3]


def test_cached_stages_are_told_as_such(ran, capsys):
    assert status_of(["run", "shop.yaml", "--out", "elsewhere"]) == 0
    told = capsys.readouterr()
    assert told.err.count("cached") == 9
    assert "9 stages: 0 computed, 9 from the cache" in told.out


def test_quiet_prints_the_path_of_the_report_and_no_more(capsys):
    assert status_of(["run", "shop.yaml", "--quiet"]) == 0
    told = capsys.readouterr()
    assert told.out == "report: runs/shop/report.html\n"
    assert "1/9" not in told.err


def test_json_prints_nothing_but_json_on_standard_output_whatever_a_component_prints(capsys, monkeypatch):
    class Chatty:
        @hookimpl
        def recprofile_stage_started(self, stage):
            print("hello from a component")

    def talking():
        registry = make_registry()
        registry.manager.register(Chatty())
        return registry

    monkeypatch.setattr("recprofile.registry.make_registry", talking)
    assert status_of(["run", "shop.yaml", "--json"]) == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert found["passed"] is True
    assert found["report"] == "runs/shop/report.html"
    assert len(found["computed"]) == 9
    assert found["metrics"]["rankers"][0]["id"] == "dot"
    assert "hello from a component" in told.err


def test_a_wrong_recipe_a_wrong_file_and_a_missing_device_have_their_exit_codes(capsys):
    assert status_of(["run", "nothing.yaml"]) == 2
    assert status_of(["run", "shop.yaml", "--device", "gpu"]) == 2
    assert status_of(["run", "shop.yaml", "--device", "cuda:99"]) == 4
    edit("users: users.csv", "users: persons.csv")
    assert status_of(["run", "shop.yaml"]) == 3
    assert capsys.readouterr().out == ""


def test_json_output_of_a_failing_run_is_empty_and_the_error_is_on_standard_error(capsys):
    edit("users: users.csv", "users: persons.csv")
    assert status_of(["run", "shop.yaml", "--json"]) == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert "RP501" in told.err


def test_an_interrupted_run_says_how_much_is_kept_and_goes_on_from_there(capsys, monkeypatch):
    class Impatient:
        @hookimpl
        def recprofile_stage_started(self, stage):
            if stage["id"] == "dot":
                raise KeyboardInterrupt

    def interrupting():
        registry = make_registry()
        registry.manager.register(Impatient())
        return registry

    with monkeypatch.context() as patch:
        patch.setattr("recprofile.registry.make_registry", interrupting)
        assert status_of(["run", "shop.yaml"]) == 130
    told = capsys.readouterr().err
    assert "3 of 9 stages are done and in the cache" in told
    assert "run again to go on" in told
    assert status_of(["run", "shop.yaml"]) == 0
    assert "6 computed, 3 from the cache" in capsys.readouterr().out


@pytest.mark.parametrize("option", [[], ["--json"], ["--quiet"]])
def test_a_gate_that_does_not_hold_gives_exit_code_1_after_everything_is_printed(capsys, monkeypatch, option):
    failed = RunResult(Path("runs/x"), ("a",), (), False, 1.0)
    monkeypatch.setattr("recprofile.engine.run_plan", lambda *_: failed)
    assert status_of(["run", "shop.yaml", *option]) == 1
    assert "runs/x/report.html" in capsys.readouterr().out


def test_the_package_runs_as_a_module(box):
    done = subprocess.run(
        [sys.executable, "-m", "recprofile", "validate", "shop.yaml"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "shop.yaml: 4 stages, nothing wrong; ratings.csv 48 rows, items.csv 12 rows, users.csv 7 rows\n"
    )


# The summary, from results made by hand


def cell(value, half=None):
    return {
        "value": value,
        "low": None if half is None else value - half,
        "high": None if half is None else value + half,
    }


def line(id, role, *, after=None, fallbacks=None, **metrics):
    named = {name.replace("_", "-") + "@10": c for name, c in metrics.items()}
    return {
        "id": id, "component": f"{id}@1", "role": role, "after": after, "metrics": named, "groups": {},
        "fallbacks": fallbacks or {},
    }  # fmt: skip


METRICS = {
    "users": 930,
    "cold_users": 3,
    "confidence": 0.95,
    "resamples": 1000,
    "notes": [],
    "rankers": [
        line("dot", "main", ndcg=cell(0.387, 0.017), coverage=cell(0.3)),
        line("dot", "main", after="mmr", ndcg=cell(0.386, 0.017), coverage=cell(0.3), fallbacks={"no history": 3}),
        line("baseline-popular", "baseline", ndcg=cell(0.177, 0.013), coverage=cell(0.1), fallbacks={"no history": 0}),
        line("baseline-ease", "baseline", ndcg=cell(0.38, 0.018), coverage=cell(0.2), fallbacks={"no history": 3}),
    ],
    "differences": [
        {"metric": "ndcg@10", "a": "dot + mmr", "b": "baseline-ease", "value": 0.006, "low": -0.003, "high": 0.014,
         "n": 930, "p": 0.2},
    ],
}  # fmt: skip


def summed(capsys, *, metrics=METRICS, checks=(), warnings=(), computed=("a",), cached=("b", "c")):
    result = RunResult(Path("runs/x"), computed, cached, True, 75.2, warnings, metrics, checks)
    summary.print_summary(result, quiet=False)
    return capsys.readouterr()


def test_a_summary_in_full(capsys):
    told = summed(capsys)
    assert [text.rstrip() for text in told.out.splitlines()] == [
        "recommender                 ndcg@10",
        "dot          main      0.387 ±0.017",
        "dot + mmr    main      0.386 ±0.017",
        "popular      baseline  0.177 ±0.013",
        "ease         baseline  0.380 ±0.018",
        "930 users judged, 3 of them without training events; ± is half of the 95 % interval over users",
        "dot + mmr is +0.0060 (−0.0030 to +0.0140) on ndcg@10 against ease, the best baseline: not told apart",
        "fall-back lists among those judged: dot + mmr, ease: 3 no history",
        "3 stages: 1 computed, 2 from the cache; 1 min 15 s",
        "report: runs/x/report.html",
    ]


def test_the_line_of_the_lists_that_are_given_out_stands_out(capsys, monkeypatch):
    coloured = Console(force_terminal=True, highlight=False, soft_wrap=True, width=80)
    monkeypatch.setattr(summary, "console", lambda: coloured)
    (bold,) = [text for text in summed(capsys).out.splitlines() if text.startswith("\x1b[1mdot + mmr ")]
    assert "0.386" in bold


def test_the_same_warning_of_many_stages_is_told_once(capsys):
    told = summed(capsys, warnings=("a: thin", "b: thin", "c: thin", "d: thin", "a: thick: very"))
    assert told.err.splitlines() == ["warning a, b and 2 more: thin", "warning a: thick: very"]


def test_checks_are_told_in_the_words_of_the_report(capsys):
    checks = [
        {"id": c, "component": "x@1", "passed": passed, "fail": fail, "summary": "so [it] is"}
        for c, passed, fail in (("a", True, "error"), ("b", False, "error"), ("c", False, "warn"), ("d", None, "error"))
    ]
    assert [text for text in summed(capsys, checks=checks).out.splitlines() if text.startswith("check")] == [
        "check a: held; so [it] is",
        "check b: did not hold; so [it] is",
        "check c: did not hold (a warning); so [it] is",
        "check d: no verdict; so [it] is",
    ]


def test_metrics_that_do_not_fit_are_left_to_the_report(capsys):
    many = {f"m{n}@10": cell(0.123, 0.01) for n in range(9)}
    narrow = {**METRICS, "rankers": [{**r, "metrics": many} for r in METRICS["rankers"]]}
    table = summed(capsys, metrics=narrow).out.splitlines()[:5]
    assert table[0].split()[1:] == ["m0@10", "m1@10", "m2@10", "m3@10"]
    assert max(map(len, table)) <= 80


def test_without_intervals_metrics_are_shown_without_them(capsys):
    bare = {**METRICS, "resamples": 0, "differences": []}
    bare["rankers"] = [{**r, "metrics": {"ndcg@10": cell(0.3)}} for r in METRICS["rankers"]]
    told = summed(capsys, metrics=bare).out
    assert "±" not in told
    assert "0.300" in told


@pytest.mark.parametrize("metrics", [{}, {**METRICS, "rankers": []}])
def test_without_a_recommender_there_is_no_table(capsys, metrics):
    assert summed(capsys, metrics=metrics).out.startswith("3 stages")


def test_users_of_whom_none_could_be_judged_are_told(capsys):
    none = {"ndcg@10": {"value": None, "low": None, "high": None, "n": 0}}
    told = summed(capsys, metrics={**METRICS, "users": 0, "cold_users": 0, "differences": [],
                                   "rankers": [{**r, "metrics": none} for r in METRICS["rankers"]]})  # fmt: skip
    assert told.out.splitlines()[0] == "0 users judged"


# Bars


@pytest.fixture
def screen(monkeypatch):
    """A terminal of 80 columns, and the observer that writes on it; bars come at once."""
    file = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - closed below
    out = Console(file=file, force_terminal=True, force_interactive=True, width=80, highlight=False, record=True)
    monkeypatch.setattr(progress, "errors_console", lambda: out)
    monkeypatch.setattr(progress, "SHOW_AFTER", 0.0)
    yield out
    file.close()


def stage(at, id, **more):
    return {"id": id, "verb": "encode", "component": f"{id}@1", "at": at, "of": 12, **more}


def until(what):
    give_up = time.monotonic() + 10
    while not what():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_a_bar_is_drawn_while_a_stage_runs_and_is_gone_after_it(screen):
    observer = progress.TerminalObserver()
    observer.recprofile_stage_started(stage(3, "plot"))
    observer.recprofile_progress("plot", 25, 100, "texts")
    until(lambda: "25 %" in screen.export_text(clear=False))
    observer.recprofile_stage_finished(stage(3, "plot", seconds=2.0, cached=False))
    assert observer._bar.name != "plot"
    observer.close()
    assert observer._bar is None
    assert ["3/12", "plot", "2.0", "s", "plot@1"] in [text.split() for text in screen.export_text().splitlines()]


def test_a_stage_that_tells_nothing_shows_the_time_since_its_start(screen):
    observer = progress.TerminalObserver()
    observer.recprofile_stage_started(stage(3, "plot"))
    until(lambda: "0 s" in screen.export_text(clear=False))
    observer.close()


def test_a_stage_made_within_another_gives_the_bar_back_to_it(screen):
    observer = progress.TerminalObserver()
    observer.recprofile_stage_started(stage(5, "outer"))
    observer.recprofile_stage_started(stage(2, "inner"))
    observer.recprofile_stage_finished(stage(2, "inner", seconds=0.1, cached=False))
    assert observer._bar.name == "outer"
    observer.recprofile_stage_started(stage(6, "next"))  # the outer one was given up without a word
    observer.recprofile_stage_finished(stage(6, "next", seconds=0.1, cached=False))
    assert observer._bar.name == "looking into the cache"
    observer.close()


def test_no_bar_is_made_where_the_output_is_no_terminal_and_fetches_are_lines(capsys):
    observer = progress.TerminalObserver()
    for done in range(3):
        observer.recprofile_progress("a 1.0: download", done, 3, "bytes")
    observer.recprofile_progress("a 1.0: unpack", 1, 3, "bytes")
    observer.recprofile_stage_started(stage(3, "plot"))
    observer.recprofile_progress("plot", 25, 100, "texts")
    observer.close()
    assert capsys.readouterr().err == "  a 1.0: download\n  a 1.0: unpack\n"


@pytest.mark.parametrize(
    ("speed", "unit", "told"),
    [(None, "texts", ""), (1234.4, "texts", "1,234 texts/s"), (2.25, "epochs", "2.2 epochs/s"),
     (0.25, "epochs", "0.25 epochs/s"), (3.4e6, "bytes", "3.4 MB/s")],
)  # fmt: skip
def test_rates_have_the_digits_that_they_need(speed, unit, told):
    assert progress.rate(speed, unit) == told


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3725, "1 h 02 min")]
)
def test_times_that_move_are_whole_seconds(seconds, told):
    assert progress.roughly(seconds) == told


# A finished run


def test_a_profile_card_says_what_is_in_it_and_where_it_came_from(ran, capsys):
    assert status_of(["profile", "show", "ada"]) == 0
    told = capsys.readouterr().out
    assert told.splitlines()[0] == "user ada"
    assert "in 1 block" in told
    assert "tfidf@1" in told
    assert "mean-history@1" in told
    assert "shop.yaml" in told
    assert "the [" in told  # names of items, whose brackets are no markup
    assert "first on their list" in told


def test_a_profile_card_as_json(ran, capsys):
    assert status_of(["profile", "show", "ada", "--run", "shop.yaml", "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["known"] is True
    assert [(b["name"], b["component"], b["share"]) for b in card["blocks"]] == [("plot", "tfidf@1", 1.0)]
    assert card["history"][0]["label"].startswith("the [")
    assert sum(h["weight"] for h in card["history"]) == pytest.approx(1)
    assert card["recipe"] == "shop.yaml"


def test_a_user_without_events_has_an_empty_profile_and_a_fall_back_list_and_both_say_so(ran, capsys):
    assert status_of(["profile", "show", "zoe"]) == 0
    assert "nothing is known of this user" in capsys.readouterr().out
    assert status_of(["recommend", "zoe"]) == 0
    assert "fall-back: no training event is known of this user" in capsys.readouterr().out


def test_recommendations_have_names_scores_and_reasons_that_fit_the_screen(ran, capsys):
    assert status_of(["recommend", "ada", "-k", "2"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "user ada  from runs/shop"
    assert told[1].startswith("1  the [")
    assert any(text.startswith("   recommended because") for text in told)
    assert max(map(len, told)) <= 80


def test_recommendations_as_json(ran, capsys):
    assert status_of(["recommend", "ada", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5][: len(rows)]
    assert rows[0]["because"].startswith("recommended because")
    assert rows[0]["label"].startswith("the [")


@pytest.mark.parametrize("command", [["profile", "show"], ["recommend"]])
def test_an_unknown_user_is_told_with_the_ids_like_it(ran, capsys, command):
    assert status_of([*command, "adda"]) == 4
    told = capsys.readouterr().err.splitlines()
    assert told == ["RP607 no user 'adda' in the run 'runs/shop'", "     = users like that: ada, … (7 in all)"]


def test_without_profiles_the_card_cannot_be_shown(capsys):
    edit("  - fuse: mean-history\n  - recommend: dot\n", "  - recommend: popular\n")
    edit("  - explain: evidence\n    with: {label: title}\n", "")
    assert status_of(["run", "shop.yaml", "--quiet"]) == 0
    assert status_of(["profile", "show", "ada"]) == 4
    assert "RP607 the run 'runs/shop' has no profiles" in capsys.readouterr().err


def test_a_report_is_written_again_with_the_same_contents(ran, capsys):
    page = Path("runs/shop/report.html")
    before = page.read_text()
    page.unlink()
    assert status_of(["report", "runs/shop"]) == 0
    assert page.read_text() == before
    assert "open it in a browser: file:///" in capsys.readouterr().out
    assert status_of(["run", "shop.yaml"]) == 0
    assert "nothing to compute" in capsys.readouterr().out


def test_where_no_run_is_named_the_newest_is_taken_and_what_to_give_is_told_where_there_is_none(
    ran, capsys, monkeypatch
):
    Path("other").mkdir()
    monkeypatch.chdir("other")
    assert status_of(["recommend", "ada"]) == 4
    assert "name a run elsewhere: --run FOLDER, or --run RECIPE" in capsys.readouterr().err
    assert status_of(["recommend", "ada", "--run", "../shop.yaml"]) == 0


# cache and data


@pytest.fixture
def cache():
    return Path(os.environ["RECPROFILE_CACHE"])


def test_the_cache_is_listed_by_what_is_in_it(ran, cache, capsys):
    assert status_of(["cache", "list"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"cache: {cache}"
    assert told[2].split()[:4] == ["results", "of", "stages", "9"]
    assert status_of(["cache", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kinds"]["results of stages"]["entries"] == 9


def test_a_cache_that_is_not_there_is_empty_and_can_be_cleared(cache, capsys):
    assert not cache.exists()
    for command in (["cache", "list"], ["cache", "prune"], ["cache", "clear", "--all"]):
        assert status_of(command) == 0
    assert "nothing is in it" in capsys.readouterr().out


def test_what_is_not_of_recprofile_is_neither_counted_nor_removed(ran, cache, capsys):
    mine = [
        cache / "thesis.txt",
        cache / "stages" / "act-1.txt",
        cache / "stages" / ("a" * 64) / "notes.txt",  # named like an entry, and none
        cache / "inputs" / "letter.txt",
        cache / "inputs" / "hf-text" / ("b" * 32) / "photo.jpg",
        cache / "inputs" / "hf-onnx" / ("b" * 32) / "photo.jpg",
        cache / "assets" / "packages" / "my-parcel" / "label.txt",
        cache / "assets" / "datasets" / "mine" / "log.csv",
    ]
    for path in mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    outside = cache.parent / "outside"
    outside.mkdir()
    (outside / ".recprofile.json").write_text("{}")
    (cache / "stages" / ("c" * 64)).symlink_to(outside)
    assert status_of(["cache", "clear", "--all"]) == 0
    assert capsys.readouterr().out.startswith("removed 9 entries, ")
    assert [path.read_text() for path in mine] == ["mine"] * len(mine)
    assert (outside / ".recprofile.json").is_file()


def test_what_encoders_keep_is_counted_and_cleared_with_the_results(cache, capsys):
    kept = {
        "hf-text": ["f" * 64 + ".parquet", ".agreement.json"],
        "hf-image": ["f" * 64 + ".parquet"],
        "hf-audio": ["f" * 64 + ".parquet"],
        "hf-onnx": [".recprofile.json"],
    }
    for kind, names in kept.items():
        for name in names:
            path = cache / "inputs" / kind / ("e" * 32) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
    assert status_of(["cache", "list", "--json"]) == 0
    kinds = json.loads(capsys.readouterr().out)["kinds"]
    assert kinds["encoded texts"] == {"entries": 1, "bytes": 4}
    assert kinds["encoded images"] == {"entries": 1, "bytes": 2}
    assert kinds["exported models"] == {"entries": 1, "bytes": 2}
    assert status_of(["cache", "clear"]) == 0
    assert capsys.readouterr().out.startswith("removed 4 entries, ")


def test_results_that_were_not_used_for_long_are_pruned_and_a_hit_counts_as_use(ran, cache, capsys):
    long_ago = time.time() - 40 * 86_400
    for path in cache.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    assert status_of(["run", "shop.yaml", "--set", "stages.plot.with.min_df=2"]) == 0
    assert "from the cache" in capsys.readouterr().out
    assert status_of(["cache", "prune", "--days", "30"]) == 0
    told = capsys.readouterr().out
    # The earlier plot, mean-history, dot, dot/lists, evidence and evaluation; data and popular were used just now.
    assert told.startswith("removed 6 entries")
    assert status_of(["run", "shop.yaml", "--set", "stages.plot.with.min_df=2", "--out", "x"]) == 0
    assert "0 computed, 9 from the cache" in capsys.readouterr().out


def test_an_entry_that_another_process_removes_meanwhile_is_no_error(ran, cache, capsys, monkeypatch):
    from recprofile.cli import cache as commands

    entries = commands.entries(cache, "results of stages")
    monkeypatch.setattr(commands, "entries", lambda root, what: [*entries, cache / "stages" / ("d" * 64)])
    assert status_of(["cache", "prune", "--days", "0"]) == 0
    assert capsys.readouterr().out.startswith("removed 9 entries")


def test_known_data_sets_are_listed_with_the_addresses_of_their_parts(capsys):
    assert status_of(["data", "list"]) == 0
    told = capsys.readouterr().out
    assert "not here yet: recprofile data fetch movielens-100k" in told
    assert "dataset://movielens-100k/interactions" in told
    assert status_of(["data", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["movielens-100k"]["cached"] is False


def test_fetching_an_unknown_data_set_or_without_a_network_says_what_to_do(capsys):
    assert status_of(["data", "fetch", "movielens-100"]) == 4
    assert "did you mean 'movielens-100k'?" in capsys.readouterr().err
    assert status_of(["data", "fetch", "movielens-100k"]) == 4
    assert "run once with a network: recprofile data fetch movielens-100k" in capsys.readouterr().err


def test_what_is_on_this_disk_is_its_own_path(box, capsys):
    assert status_of(["data", "fetch", f"file://{box}/items.csv"]) == 0
    assert capsys.readouterr().out.strip().endswith("items.csv")


def test_terminal_sentences_are_broken_between_words_and_elsewhere_stay_whole(capsys, monkeypatch):
    text = "word " * 30
    terminal.print_flowing(text)
    assert len(capsys.readouterr().out.splitlines()) == 1
    narrow = Console(force_terminal=True, highlight=False, soft_wrap=True, width=40)
    monkeypatch.setattr(terminal, "console", lambda: narrow)
    terminal.print_flowing(text)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert all(part.strip().endswith("word") for part in lines)
