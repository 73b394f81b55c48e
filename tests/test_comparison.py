"""Runs compared: who is paired, and the numbers against slow loops."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recprofile.errors import RunError
from recprofile.evaluate.compare import Contender, best_of, compare, contenders_of, default_of
from recprofile.evaluate.compare.contenders import letters
from recprofile.evaluate.compare.significance import holm
from recprofile.metrics import bootstrap_interval, paired_difference
from recprofile.report import render_comparison
from recprofile.runs import Run

RECIPE = """\
recipe: 1
seed: 7
data:
  interactions: {path: r.csv, user: user, item: item}
  split: {by: random, holdout: 0.2}
stages: [{recommend: ease}]
list: {candidates: all}
"""
Values = Mapping[str, Sequence[float | None]]  # a metric's values, user by user
RELEVANT = {"u1": ["i1", "i2"], "u2": ["i2"], "u3": ["i3"], "u4": ["i1"], "u5": ["i4", "i3"], "u6": ["i2"]}
POPULAR = {"i1": 10, "i2": 6, "i3": 3, "i4": 1, "i5": 0}  # 20 events: i1 head, i2 middle, i3, i4 and i5 tail
EVENTS = {"u1": 1, "u2": 2, "u3": 3, "u4": 4, "u5": 5, "u6": 6}


def p_by_enumeration(differences: Sequence[float]) -> float:
    """The definition, sign pattern by sign pattern."""
    known = [d for d in differences if not np.isnan(d)]
    far = abs(sum(known))
    sums = [abs(sum(s * d for s, d in zip(signs, known, strict=True))) for signs in product((1, -1), repeat=len(known))]
    return sum(one >= far - 1e-12 for one in sums) / len(sums)


def judged(
    folder: Path,
    lines: Mapping[str, Values],
    *,
    relevant: Mapping[str, Sequence[str]] = RELEVANT,
    hits: Mapping[str, Sequence[tuple[str, str, int]]] | None = None,
    recipe: str = RECIPE,
    system: Mapping[str, float] | None = None,
    after: str | None = None,
    rated: Sequence[int] | None = None,
) -> Run:
    """A run folder as far as a comparison reads it; `after`: the last line is a rerank of the one before it."""
    folder.mkdir(parents=True)
    users = list(relevant)
    frames, told = [], []
    for n, (name, values) in enumerate(lines.items()):
        late = after if n == len(lines) - 1 else None
        own = {"ranker": name, "after": late, "user": users, "train_events": [EVENTS[u] for u in users]}
        own |= {"relevant": [len(relevant[u]) for u in users], **({"rated": rated} if rated else {}), **values}
        frames.append(pl.DataFrame(own, schema_overrides={"after": pl.String} | dict.fromkeys(values, pl.Float64)))
        known = {m: [v for v in column if v is not None] for m, column in values.items()}
        cells = {m: {"value": float(np.mean(v)) if v else None} for m, v in known.items()}
        cells |= {m: {"value": v, "low": None, "high": None, "n": len(users)} for m, v in (system or {}).items()}
        role = "main" if n == 0 or late else "baseline"
        told.append({"id": name, "component": f"{name}@1", "role": role, "after": late, "metrics": cells})
    pl.concat(frames).write_parquet(folder / "per_user.parquet")
    pairs = [(user, item) for user, items in relevant.items() for item in items]
    pl.DataFrame(pairs, schema=["user", "item"], orient="row").write_parquet(folder / "relevant.parquet")
    rows = [(name, None, *hit) for name, of in (hits or {}).items() for hit in of]
    schema = {"ranker": pl.String, "after": pl.String, "user": pl.String, "item": pl.String, "rank": pl.Int32}
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(folder / "hits.parquet")
    items = {"item": list(POPULAR), "name": list(POPULAR), "positive_events": list(POPULAR.values())}
    pl.DataFrame(items).write_parquet(folder / "items.parquet")
    metrics = {"k": 10, "candidates": 5, "users": len(users), "rankers": told}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    manifest = {"command": "recprofile run r.yaml", "files": {"interactions": {"fingerprint": "abc"}}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "recipe.yaml").write_text(recipe)
    return Run.open(folder)


A, B = [0.1, 0.5, 0.3, 0.9, 0.0, 0.4], [0.4, 0.6, 0.2, 1.0, 0.5, 0.6]


@pytest.fixture
def two(tmp_path) -> list[Contender]:
    return contenders_of([judged(tmp_path / n, {"x": {"ndcg@10": v}}) for n, v in (("a", A), ("b", B))])


def only(found: Mapping[str, Any]) -> Mapping[str, Any]:
    (difference,) = found["differences"]
    return difference


def test_metrics_have_the_bootstrap_intervals_of_their_users(two):
    found = compare(two, resamples=200)
    expected = bootstrap_interval(np.array(B), resamples=200, confidence=0.95, seed=0)
    cell = found["metrics"]["ndcg@10"]["b"]
    assert cell == pytest.approx({**vars(expected)}, abs=1e-6)
    assert [line["name"] for line in found["lines"]] == [str(c.evidence.run.folder) for c in two]


def test_differences_are_paired_and_tested(two):
    found = compare(two, resamples=200, confidence=0.85)
    expected = paired_difference(np.array(B), np.array(A), resamples=200, confidence=0.85, seed=0)
    difference = only(found)
    assert difference["value"] == pytest.approx(0.55 - 0.366667, abs=1e-6)
    assert (difference["low"], difference["high"]) == pytest.approx((expected.low, expected.high), abs=1e-6)
    assert difference["p"] == difference["p_holm"] == pytest.approx(p_by_enumeration(np.subtract(B, A)), abs=1e-6)
    assert (difference["n"], found["tests"], found["paired"]) == (6, 1, {"users": 6, "why": None})
    assert difference["verdict"] == "higher"  # 8 of 64 patterns are as far: p = 0.125
    assert only(compare(two, resamples=0))["verdict"] == "not told apart"


def test_the_other_way_round_signs_turn_and_p_stays(two):
    one, other = only(compare(two, against=0)), only(compare(two, against=1))
    assert (one["value"], one["low"], one["p"]) == pytest.approx((-other["value"], -other["high"], other["p"]))
    assert (one["key"], other["key"]) == ("b", "a")


def test_a_run_does_not_differ_from_itself(tmp_path):
    run = judged(tmp_path / "a", {"x": {"ndcg@10": A}})
    difference = only(compare(contenders_of([run, run])))
    assert [difference[n] for n in ("value", "low", "high", "p", "verdict")] == [0, 0, 0, 1, "not told apart"]


def test_p_values_are_corrected_over_metrics_and_runs(tmp_path):
    values = {"a": (A, B), "b": (B, A), "c": (B[::-1], A)}
    runs = [judged(tmp_path / n, {"x": {"ndcg@10": v, "mrr@10": w}}) for n, (v, w) in values.items()]
    found = compare(contenders_of(runs))
    p = [d["p"] for d in found["differences"]]
    assert found["tests"] == len(p) == 4
    assert [d["p_holm"] for d in found["differences"]] == pytest.approx(holm(np.array(p)).tolist(), abs=1e-6)
    assert [(d["metric"], d["key"]) for d in found["differences"]] == [
        ("ndcg@10", "b"), ("ndcg@10", "c"), ("mrr@10", "b"), ("mrr@10", "c")
    ]  # fmt: skip


def test_users_with_other_relevant_items_are_left_out_where_the_data_are_the_same(tmp_path):
    # What a k-core does: i4 is gone, and u6 with it.
    fewer = {**{u: RELEVANT[u] for u in ("u1", "u2", "u3", "u4")}, "u5": ["i3"]}
    runs = [
        judged(tmp_path / "a", {"x": {"ndcg@10": A}}),
        judged(tmp_path / "b", {"x": {"ndcg@10": B[:5]}}, relevant=fewer),
    ]
    found = compare(contenders_of(runs))
    assert found["paired"] == {"users": 4, "why": None}
    assert only(found)["value"] == pytest.approx(np.mean(np.subtract(B[:4], A[:4])))
    assert found["metrics"]["ndcg@10"]["a"]["value"] == pytest.approx(np.mean(A), abs=1e-6)
    assert found["notes"] == ["not paired: 2 of the users, whom not all runs judged, or not on the same items"]
    assert found["popularity"]["lines"]["a"]["relevant"] == pytest.approx([0.4, 0.4, 0.2])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("seed: 7", "seed: 8", "seed is 7 and 8"),
        ("holdout: 0.2", "holdout: 0.3", "data.split is {by: random, holdout: 0.2} and {by: random, holdout: 0.3}"),
        ("  split", '  positive: ">= 4"\n  split', "data.positive is every event and >= 4"),
    ],
)
def test_other_test_parts_are_not_paired_and_it_says_why(tmp_path, old, new, told):
    other = {u: items[::-1] if u == "u1" else ["i5"] for u, items in RELEVANT.items()}  # u1 happens to be alike
    assert old in RECIPE
    runs = [
        judged(tmp_path / "a", {"x": {"ndcg@10": A}}, system={"gini@10": 0.5}),
        judged(tmp_path / "b", {"x": {"ndcg@10": B}}, system={"gini@10": 0.4}, relevant=other,
               recipe=RECIPE.replace(old, new)),
    ]  # fmt: skip
    found = compare(contenders_of(runs))
    assert found["paired"] == {"users": 0, "why": f"a and b were judged on different test parts: {told}"}
    assert [(d["value"], d["p"], d["verdict"]) for d in found["differences"]] == [(None, None, None)] * 2
    assert found["metrics"]["ndcg@10"]["b"]["value"] == pytest.approx(np.mean(B), abs=1e-6)
    assert "difference" not in found["activity"]["metrics"]["ndcg@10"]["b"][0]


def test_the_same_test_part_is_paired_though_the_seeds_differ(tmp_path):
    runs = [judged(tmp_path / f"{seed}", {"x": {"ndcg@10": A}}, recipe=RECIPE.replace("7", seed)) for seed in "78"]
    assert compare(contenders_of(runs))["paired"]["users"] == 6


def test_other_candidates_are_another_task(tmp_path):
    cold = RECIPE.replace("candidates: all", "candidates: cold")
    runs = [judged(tmp_path / f"{n}", {"x": {"ndcg@10": A}}, recipe=one) for n, one in enumerate((RECIPE, cold))]
    assert "list.candidates is all and cold" in compare(contenders_of(runs))["paired"]["why"]


def test_nobody_in_common_is_no_error(tmp_path):
    mine, theirs = ({u: RELEVANT[u] for u in us} for us in (("u1", "u2"), ("u3", "u4")))
    runs = [judged(tmp_path / "a", {"x": {"ndcg@10": A[:2]}}, relevant=mine)]
    runs.append(judged(tmp_path / "b", {"x": {"ndcg@10": B[:2]}}, relevant=theirs))
    found = compare(contenders_of(runs))
    assert found["paired"] == {"users": 0, "why": "no user was judged alike in all of them"}
    assert render_comparison(found)


def test_one_user_has_a_difference_that_says_nothing(tmp_path):
    runs = [judged(tmp_path / n, {"x": {"ndcg@10": [v]}}, relevant={"u1": ["i1"]}) for n, v in (("a", 0.2), ("b", 0.7))]
    difference = only(compare(contenders_of(runs)))
    assert [difference[n] for n in ("value", "p", "n", "verdict")] == [0.5, 1, 1, "not told apart"]


def test_a_metric_without_a_value_has_no_difference(tmp_path):
    nothing: list[float | None] = [None] * 6
    runs = [judged(tmp_path / n, {"x": {"ndcg@10": A, "diversity@10": nothing}}) for n in "ab"]
    found = compare(contenders_of(runs))
    assert found["metrics"]["diversity@10"]["b"] == {"value": None, "low": None, "high": None, "n": 0}
    (_, difference) = found["differences"]
    assert (difference["value"], difference["p"], difference["p_holm"], found["tests"]) == (None, None, None, 1)
    assert render_comparison(found)


def test_a_user_without_a_value_in_one_is_left_out_of_that_pair(tmp_path):
    runs = [judged(tmp_path / "a", {"x": {"novelty@10": A}})]
    runs.append(judged(tmp_path / "b", {"x": {"novelty@10": [None, *B[1:]]}}))
    difference = only(compare(contenders_of(runs)))
    assert difference["n"] == 5
    assert difference["p"] == pytest.approx(p_by_enumeration(np.subtract(B[1:], A[1:])), abs=1e-6)


def test_metrics_that_only_one_has_are_left_out_and_named(tmp_path):
    runs = [judged(tmp_path / "a", {"x": {"ndcg@10": A, "mrr@10": A}}), judged(tmp_path / "b", {"x": {"mrr@10": B}})]
    found = compare(contenders_of(runs))
    assert (list(found["metrics"]), found["left_out"], found["metric"]) == (["mrr@10"], ["ndcg@10"], "mrr@10")


def test_what_cannot_be_compared_is_refused(tmp_path):
    one, other = judged(tmp_path / "a", {"x": {"ndcg@10": A}}), judged(tmp_path / "b", {"x": {"mrr@10": B}})
    with pytest.raises(RunError, match="no metric was measured in all of them"):
        compare(contenders_of([one, other]))
    with pytest.raises(RunError, match="no metric 'mrr@5' was measured in all of them"):
        compare(contenders_of([one, one]), metric="mrr@5")
    with pytest.raises(RunError, match="judged one recommender"):
        compare(contenders_of([one]))


def test_one_run_compares_its_rankers_with_the_lists_it_gave_out(tmp_path):
    lines = {"x": {"ndcg@10": A}, "y": {"ndcg@10": B}, "z": {"ndcg@10": A}}
    contenders = contenders_of([judged(tmp_path / "a", lines, after="mmr", system={"gini@10": 0.5})])
    assert [c.name for c in contenders] == ["x", "y", "z + mmr"]
    assert default_of(contenders) == 2
    found = compare(contenders, against=2)
    assert [(d["key"], d["value"], d["verdict"]) for d in found["differences"] if d["metric"] == "gini@10"] == [
        ("a", 0, None), ("b", 0, None)
    ]  # fmt: skip
    assert best_of(contenders) == 1


def test_the_best_is_the_lowest_where_lower_is_better(tmp_path):
    runs = [judged(tmp_path / f"{v}", {"x": {"ndcg@10": A}}, system={"gini@10": v}) for v in (0.7, 0.2, 0.5)]
    contenders = contenders_of(runs)
    assert (best_of(contenders, "gini@10"), best_of(contenders)) == (1, 0)


def test_activity_and_popularity_agree_with_slow_loops(tmp_path):
    hits = [
        [("u1", "i1", 1), ("u1", "i2", 11), ("u2", "i2", 3), ("u5", "i4", 10)],
        [("u1", "i2", 2), ("u3", "i3", 1), ("u4", "i1", 4), ("u6", "i2", 30)],
    ]
    runs = [judged(tmp_path / f"{n}", {"x": {"ndcg@10": (A, B)[n]}}, hits={"x": hits[n]}) for n in range(2)]
    found = compare(contenders_of(runs))
    bins = [range(2), range(2, 3), range(3, 5), range(5, 6)]  # of six users the quartiles are 2, 1, 2 and 1
    assert [(b["low"], b["high"]) for b in found["activity"]["bins"]] == [(1, 2), (3, 3), (4, 5), (6, 6)]
    for key, values in (("a", A), ("b", B)):
        cells = found["activity"]["metrics"]["ndcg@10"][key]
        assert [c["value"] for c in cells] == pytest.approx([np.mean([values[u] for u in one]) for one in bins])
    changes = [c["difference"]["value"] for c in found["activity"]["metrics"]["ndcg@10"]["b"]]
    assert changes == pytest.approx([np.mean([B[u] - A[u] for u in one]) for one in bins], abs=1e-6)

    part = {"i1": 0, "i2": 1, "i3": 2, "i4": 2, "i5": 2}
    for key, own in zip("ab", hits, strict=True):
        listed = {(user, item) for user, item, rank in own if rank <= 10}
        line = found["popularity"]["lines"][key]
        for at in range(3):
            recalls = []
            for user, items in RELEVANT.items():
                wanted = [item for item in items if part[item] == at]
                if wanted:
                    recalls.append(sum((user, item) in listed for item in wanted) / len(wanted))
            assert line["recall"][at]["value"] == pytest.approx(np.mean(recalls), abs=1e-6)
            assert line["recall"][at]["n"] == len(recalls)
            assert line["hits"][at] == pytest.approx(sum(part[i] == at for _, i in listed) / len(listed), abs=1e-6)
        assert (line["items"], line["relevant"]) == ([1, 1, 3], pytest.approx([2 / 8, 3 / 8, 3 / 8]))


def test_predicted_ratings_are_compared_by_users_and_events(tmp_path):
    rated, x, y = [2, 1, 4, 1, 3, 2], [1.0, 0.5, 2.0, 1.5, 1.0, 0.8], [0.9, 0.7, 1.0, 1.4, 0.9, 0.8]  # RMSE of each
    runs = [judged(tmp_path / n, {"x": {"ndcg@10": A, "rmse": v}}, rated=rated) for n, v in (("a", x), ("b", y))]
    found = compare(contenders_of(runs), resamples=100)
    sums = {key: np.square(v) * rated for key, v in (("a", x), ("b", y))}
    values = {key: np.sqrt(s.sum() / sum(rated)) for key, s in sums.items()}
    assert {key: cell["value"] for key, cell in found["metrics"]["rmse"].items()} == pytest.approx(values, abs=1e-6)
    (difference,) = (d for d in found["differences"] if d["metric"] == "rmse")
    assert difference["value"] == pytest.approx(values["b"] - values["a"], abs=1e-6)
    assert difference["p"] == pytest.approx(p_by_enumeration(sums["b"] - sums["a"]), abs=1e-6)
    # Of the roots themselves: swapping a user's two sums, pattern by pattern.
    far, gaps = abs(values["b"] - values["a"]), []
    for swap in product((False, True), repeat=6):
        one, other = np.where(swap, sums["b"], sums["a"]).sum(), np.where(swap, sums["a"], sums["b"]).sum()
        gaps.append(abs(np.sqrt(one / sum(rated)) - np.sqrt(other / sum(rated))))
    assert difference["p"] == pytest.approx(np.mean(np.array(gaps) >= far - 1e-12), abs=1e-6)


def test_many_are_called_by_letters():
    assert [letters(n) for n in (0, 25, 26, 27, 52)] == ["a", "z", "aa", "ab", "ba"]


# --- the page


def test_the_page_is_one_file_and_escapes_what_comes_from_data(tmp_path):
    runs = [judged(tmp_path / name, {"x": {"ndcg@10": v}}) for name, v in (("<b>", A), ("b", B))]
    page = render_comparison(compare(contenders_of(runs)))
    assert "<b>" not in page
    assert "&lt;b&gt;" in page
    assert page.count("<svg") > 10
    assert "http" not in page
    assert "src=" not in page
