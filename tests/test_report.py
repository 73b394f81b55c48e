"""The report: what build_report chooses and counts, and what the page shows of it, escaped and by itself."""

from __future__ import annotations

import json
import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recprofile.artifacts import Dataset, Explanations, Profiles, Recommendations
from recprofile.artifacts.results import EVIDENCE_SCHEMA, SENTENCE_SCHEMA
from recprofile.dataset import describe
from recprofile.report import build_report, render_report
from recprofile.report.build import plain
from recprofile.report.plots import axis, bars, dot, zero_of
from recprofile.report.words import (
    duration,
    interval,
    memory,
    moment,
    number,
    p_value,
    places,
    plain_value,
    share,
    signed,
)
from recprofile.testing import dataset, fused, toy

VOID = {"br", "hr", "img", "input", "link", "meta", "col", "circle", "line", "path", "rect"}


# A run of the toy data, its numbers made up


def cell(value: float | None, low: float | None = None, high: float | None = None, n: int = 4) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": n}


def ranker(id: str, role: str, ndcg: dict[str, Any], after: str | None = None, **more: Any) -> dict[str, Any]:
    gini = cell(0.75)
    metrics = {"ndcg@10": ndcg, "gini@10": gini}
    found = {"id": id, "component": f"builtin/{id}@1", "role": role, "after": after, "metrics": metrics}
    return {**found, "groups": {}, "fallbacks": {}, **more}


def metrics() -> dict[str, Any]:
    by_gender = {
        "F": {"n": 2, "metrics": {"ndcg@10": cell(0.301, 0.2, 0.4, 2)}},
        "M": {"n": 1, "metrics": {"ndcg@10": cell(0.402, 0.3, 0.5, 1)}},
    }
    return {
        "k": 10,
        "users": 4,
        "cold_users": 1,
        "confidence": 0.95,
        "resamples": 1000,
        "notes": ["2 positive test pairs are left out: the item is no candidate"],
        "rankers": [
            ranker("mix", "main", cell(0.3612, 0.3405, 0.3821)),
            ranker("mix", "main", cell(0.3514, 0.3411, 0.3617), "mmr", groups={"gender": by_gender}),
            ranker("popular", "baseline", cell(0.1721, 0.16, 0.185)),
            ranker("ease", "baseline", cell(0.3456, 0.33, 0.36), fallbacks={"no history": 1}),
        ],
        "differences": [
            {"metric": name, "a": "mix + mmr", "b": b, "value": value, "low": low, "high": high, "p": p}
            for name, b, value, low, high, p in [
                ("ndcg@10", "popular", 0.1793, 0.17, 0.19, 0.0002),
                ("ndcg@10", "ease", 0.0058, -0.002, 0.013, 0.134),
                ("gini@10", "ease", -0.02, -0.03, -0.01, 0.004),
            ]
        ],
    }


def check(*, passed: bool | None = True, fail: str = "error", **more: Any) -> dict[str, Any]:
    return {
        "id": "gap",
        "component": "fairlearn/quality-gap@1",
        "fail": fail,
        "passed": passed,
        "summary": "ndcg@10 by 'gender' differs by 0.101",
        "measures": [{"name": "difference", "value": 0.101, "low": 0.02, "high": 0.19, "limit": 0.15, "n": 3}],
        "groups": [
            {"group": "F", "n": 2, "value": 0.301, "low": 0.2, "high": 0.4},
            {"group": "M", "n": 1, "value": 0.402, "low": 0.3, "high": 0.5},
        ],
        "tables": {"Left out": [{"reason": "no gender", "users": 1, "share": 0.25}]},
        **more,
    }


def manifest() -> dict[str, Any]:
    return {
        "recprofile": "0.1.0",
        "name": "toy",
        "command": "recprofile run recipes/toy.yaml --set 'seed=7'",
        "recipe_file": "recipes/toy.yaml",
        "recipe": "recipe: 1\nname: toy\n",
        "seed": 7,
        "device": "cpu",
        "python": "3.11.9",
        "platform": "Linux",
        "started": "2026-09-01T14:05:11+00:00",
        "seconds": 200.4,
        "plugins": [
            {"namespace": "builtin", "distribution": "recprofile", "version": "0.1.0"},
            {"namespace": "hf", "distribution": "recprofile-hf", "version": "0.3.2"},
        ],
        "libraries": {"torch": "2.13.0"},
        "data": describe(toy()),
        "files": {"interactions": {"uri": "ratings.csv", "fingerprint": "sha256:abc123"}},
        "assets": {"plot.model": {"uri": "hub://some/model", "fingerprint": "0123abcd"}},
        "stages": [
            {"id": "plot", "kind": "encode", "component": "hf/text@1", "seconds": 38.2, "peak_mib": 1320.0,
             "cached": True, "key": "k1", "warnings": ["1 item has no text"], "facts": {"dim": 384}},
            {"id": "evaluation", "kind": "evaluation", "component": "evaluation", "seconds": 0.04, "peak_mib": 180.2,
             "cached": False, "key": "k2", "warnings": [], "facts": {}},
        ],
        "warnings": [{"stage": "plot", "text": "1 item has no text"}],
        "notes": ["3 rows without a weight were dropped"],
        "keys": {"plot": "k1"},
        "passed": True,
        "contents": {"report.html": {"size": 1}},
    }  # fmt: skip


def lists(data: Dataset) -> Recommendations:
    """Three items each: i3, i4, i1 for the five who have a history, a fall-back for u6."""
    n = data.n_users
    items = np.tile(np.array([2, 3, 0], np.int32), (n, 1))
    scores = np.tile(np.array([0.9, 0.5, 0.25], np.float32), (n, 1))
    reasons = data.cold_users().astype(np.int8)
    return Recommendations(
        data.users.ids, data.items.ids, np.arange(n, dtype=np.int32), items, scores, reasons
    )  # fmt: skip


def explanations(data: Dataset) -> Explanations:
    """Of u1's first item alone."""
    evidence = [
        (0, 2, "history", "i1", "i1", 0.625),
        (0, 2, "history", "i4", "i4", -0.125),
        (0, 2, "block", "plot", "plot", 0.5),
    ]
    sentences = [(0, 2, "recommended because you liked 'red planet'", "without 'red planet' it would fall", "profile")]
    return Explanations(
        data.users.ids,
        data.items.ids,
        pl.DataFrame(evidence, schema=EVIDENCE_SCHEMA, orient="row"),
        pl.DataFrame(sentences, schema=SENTENCE_SCHEMA, orient="row"),
    )


def report(**changes: Any) -> dict[str, Any]:
    data = toy()
    whole: dict[str, Any] = {
        "manifest": manifest(),
        "metrics": metrics(),
        "checks": [check()],
        "data": data,
        "recs": lists(data),
        "explanations": explanations(data),
        "profiles": fused(data, np.ones((6, 2))),
    }
    return build_report(**(whole | changes))


def text_of(page: str) -> str:
    """What a reader sees, on one line."""
    body = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    plain_text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>|&nbsp;", " ", body))
    return re.sub(r" ([.,;:])", r"\1", plain_text)


class Balance(HTMLParser):
    """Finds tags that do not match, and every id and attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def parsed(page: str) -> Balance:
    parser = Balance()
    parser.feed(page)
    parser.close()
    return parser


def variants() -> dict[str, dict[str, Any]]:
    bare = {"metrics": {}, "checks": [], "recs": None, "explanations": None, "profiles": None}
    return {
        "whole": report(),
        "bare": report(**bare, manifest={"name": "bare"}),
        "no lists": report(recs=None, explanations=None),
        "no reasons": report(explanations=None, profiles=None),
        "no verdict": report(checks=[check(passed=None, measures=[], groups=[], tables={"Empty": []})]),
    }


# The page as a file


@pytest.mark.parametrize("name", ["whole", "bare", "no lists", "no reasons", "no verdict"])
def test_every_tag_is_closed_and_every_id_is_one(name):
    found = parsed(render_report(variants()[name]))
    assert found.wrong == []
    assert found.open == []
    ids = [value for _, attribute, value in found.attributes if attribute == "id"]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", ["whole", "bare"])
def test_links_and_labels_lead_to_something_on_the_page(name):
    found = parsed(render_report(variants()[name]))
    ids = {value for _, attribute, value in found.attributes if attribute == "id"}
    used = [str(v).removeprefix("#") for _, a, v in found.attributes if a in ("href", "aria-labelledby")]
    assert used
    assert set(used) <= ids


def test_the_page_asks_for_no_other_file():
    page = render_report(report())
    found = parsed(page)
    assert [a for a in found.attributes if a[1] in ("src", "srcset", "data", "action", "poster")] == []
    assert [value for _, a, value in found.attributes if a == "href" and not str(value).startswith("#")] == []
    assert not {tag for tag, *_ in found.attributes} & {"link", "img", "iframe", "object", "embed"}
    assert re.search(r"@import|url\(|https?:|fetch\(|XMLHttpRequest|import\(", page) is None


def test_what_comes_from_data_is_escaped_wherever_it_stands():
    bad = '<script>alert("x")</script>\'&'
    data = toy()
    titles = data.items.with_columns(pl.Series("title", [bad] * 6))
    people = data.users.with_columns(pl.Series(bad, [bad] * 6))
    data = data.revise(items=titles, users=people)
    told = explanations(data)
    shown = Explanations(
        data.users.ids,
        data.items.ids,
        told.evidence.with_columns(pl.lit(bad).alias("label")),
        told.sentences.with_columns(pl.lit(bad).alias("sentence"), pl.lit(bad).alias("counterfactual")),
    )
    odd = manifest() | {"name": bad, "command": bad, "recipe": bad, "notes": [bad], "data": {bad: bad}, "seed": bad}
    odd |= {"stages": [{"id": bad, "kind": bad, "component": bad, "facts": {bad: bad}, "warnings": [bad]}]}
    odd |= {"files": {bad: {"uri": bad, "fingerprint": bad}}, "libraries": {bad: bad}, "keys": {bad: bad}}
    judged = metrics() | {"rankers": [ranker(bad, "main", cell(0.5), groups={bad: {bad: {"n": 1, "metrics": {}}}})]}
    gate = check(
        id=bad, component=bad, summary=bad, groups=[{"group": bad, "n": 1, "value": 1}], tables={bad: [{bad: bad}]}
    )
    page = render_report(
        report(manifest=odd, metrics=judged, checks=[gate], data=data, recs=lists(data), explanations=shown)
    )
    assert page.count("<script>") == 1  # our own
    assert 'alert("x")' not in page
    assert page.count("&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;&#39;&amp;") > 20
    assert parsed(page).wrong == []
    # The style sheet and the script are the same whatever the data say.
    assert re.findall(r"<style>.*?</style>|<script>.*?</script>", page, re.DOTALL) == re.findall(
        r"<style>.*?</style>|<script>.*?</script>", render_report(report()), re.DOTALL
    )


def test_unicode_stays_as_it_is():
    data = toy()
    data = data.revise(items=data.items.with_columns(pl.Series("title", ["東京物語 – “Ночь”"] * 6)))
    assert "東京物語 – “Ночь”" in render_report(report(data=data))


def test_the_page_is_made_from_the_json_alone():
    made = report()
    read = json.loads(json.dumps(made, allow_nan=False))
    assert read == made
    assert render_report(read) == render_report(made)


def test_the_same_run_gives_the_same_report_and_page():
    first, second = report(), report()
    assert json.dumps(first) == json.dumps(second)
    assert render_report(first) == render_report(second)


# Metrics


def test_the_head_compares_what_was_given_out_with_the_best_baseline():
    page = text_of(render_report(report()))
    # ease (0.3456) is the best baseline, not popular; the line after the rerank is the one given out
    assert "0.351 ndcg@10 mix + mmr, 95 % interval 0.341 to 0.362, 4 users" in page
    assert "+0.0058 against ease, the best baseline (0.346); the interval −0.0020 to +0.0130 includes 0" in page


def test_the_lowest_error_is_the_best_baseline():
    rated = {"rankers": [], "differences": [], "users": 4}
    for id, role, value in (("svd", "main", 0.94), ("mean", "baseline", 1.02), ("knn", "baseline", 0.98)):
        rated["rankers"].append({"id": id, "role": role, "metrics": {"rmse": cell(value)}})
    assert "−0.0400 against knn, the best baseline (0.980)" in text_of(render_report(report(metrics=rated)))


def test_values_stand_with_their_intervals_beside_the_baselines():
    page = text_of(render_report(report()))
    assert "popular baseline 0.172 0.160 to 0.185" in page
    assert "mix + mmr main, reranked 0.351 0.341 to 0.362" in page
    assert "Each interval is a 95 % bootstrap interval over users" in page
    assert "2 positive test pairs are left out: the item is no candidate" in page
    assert "ease 1 no history" in page


def test_a_difference_says_whether_its_interval_excludes_0_and_which_way_is_better():
    page = render_report(report())
    told = re.findall(r'<td class="told[^"]*"><span class="(\w+)" aria-hidden="true">(.)</span>&nbsp;([\w ]+)<', page)
    # a lower gini is the better one
    assert told == [("good", "▲", "higher"), ("unclear", "○", "not told apart"), ("good", "▼", "lower")]
    assert "popular +0.1793 +0.1700 to +0.1900 &lt; 0.001 ▲ higher" in text_of(page)
    assert "ease +0.0058 −0.0020 to +0.0130 0.134 ○ not told apart" in text_of(page)


def test_groups_show_their_size_and_value():
    page = text_of(render_report(report()))
    assert "By gender: ndcg@10 of mix + mmr" in page
    assert "F 2 0.301 0.200 to 0.400" in page


def test_rating_predictors_say_what_they_predicted():
    judged = metrics()
    judged["rankers"][0]["ratings"] = {"events": 1200, "by_default": 3, "left_out": 1}
    page = text_of(render_report(report(metrics=judged)))
    assert "mix 1,200 test events predicted, 3 of them only by default; 1 left out" in page


# Checks


@pytest.mark.parametrize(
    ("gates", "line"),
    [
        ([check()], "Passed the check held"),
        ([check(), check(id="other")], "Passed all 2 checks held"),
        ([check(), check(passed=False)], "Failed ‘gap’ did not hold"),
        ([check(passed=False, fail="warn")], "Passed with a warning ‘gap’ did not hold"),
        ([check(passed=None)], "No verdict the data do not allow a verdict on ‘gap’"),
        ([], "Finished the recipe has no check"),
    ],
)
def test_the_verdict_stands_at_the_top(gates, line):
    assert f"toy {line}" in text_of(render_report(report(checks=gates)))


def test_a_check_shows_its_measures_limits_and_groups():
    page = text_of(render_report(report()))
    assert "ndcg@10 by &#39;gender&#39; differs by 0.101" in page
    assert "difference 0.101 0.020 to 0.190 0.15 3" in page
    assert "M 1 0.402 0.300 to 0.500" in page
    assert "no gender 1 0.250" in page


# Sample users


def test_samples_are_spread_over_the_length_of_histories_with_a_fall_back_last():
    made = report(explanations=None)
    # u1, u2, u3 have three events, u4, u5 two, u6 none
    assert [s["user"] for s in made["samples"]] == ["u4", "u5", "u1", "u2", "u3", "u6"]
    assert [s["fallback"] for s in made["samples"]] == [False] * 5 + [True]
    assert "training event is known of this user" in text_of(render_report(made))


def test_few_samples_are_taken_at_even_steps():
    # two of the five with a list of their own, by length u4 u5 u1 u2 u3: at 1/4 and 3/4 of them
    assert [s["user"] for s in report(explanations=None, samples=3)["samples"]] == ["u5", "u2", "u6"]
    assert [s["user"] for s in report(explanations=None, samples=1)["samples"]] == ["u1"]
    assert report(samples=0)["samples"] == []


def test_users_with_an_explanation_are_preferred():
    assert [s["user"] for s in report()["samples"]] == ["u1", "u6"]


def test_without_lists_users_come_from_the_profiles():
    made = report(recs=None, explanations=None)
    assert [s["user"] for s in made["samples"]][-1] == "u6"
    assert made["samples"][-1]["reason"] == "not in the profiles"
    assert made["samples"][0]["recommendations"] == []


def test_a_sample_holds_attributes_history_and_test_items():
    first = report()["samples"][0]
    assert first["attributes"] == {"gender": "F", "age": 20}
    assert (first["events"], first["positive"], first["order"]) == (3, 2, "latest")
    assert [(e["label"], e["weight"], e["positive"]) for e in first["history"]] == [
        ("quiet river", 1.0, False),
        ("red moon", 4.0, True),
        ("red planet", 5.0, True),
    ]
    # u1's one test item is i3, the first of the list
    assert (first["relevant"], first["found"], first["listed"]) == (1, 1, 3)
    assert [r["hit"] for r in first["recommendations"]] == [True, False, False]


def test_an_item_without_a_title_is_named_by_its_id():
    data = toy()
    made = report(data=data.revise(items=data.items.with_columns(pl.lit(None, pl.String).alias("title"))))
    assert [r["label"] for r in made["samples"][0]["recommendations"]] == ["i3", "i4", "i1"]


def test_without_times_the_strongest_events_come_first():
    data = dataset([("u", "a", 2), ("u", "b", 5), ("u", "c", 3)])
    made = report(data=data, recs=None, explanations=None, profiles=fused(data))
    (sample,) = made["samples"]
    assert [e["item"] for e in sample["history"]] == ["b", "c", "a"]
    assert (sample["order"], sample["first"]) == ("strongest", None)


def test_evidence_is_named_signed_and_told_to_be_after_the_fact():
    first = report()["samples"][0]["recommendations"][0]
    assert [(p["kind"], p["label"], p["contribution"]) for p in first["evidence"]] == [
        ("history", "red planet", 0.625),
        ("history", "quiet river", -0.125),
        ("block", "plot", 0.5),
    ]
    page = text_of(render_report(report()))
    assert "Recommended because you liked &#39;red planet&#39;. Told after the fact" in page
    assert "Without &#39;red planet&#39; it would fall." in page
    assert "red planet +0.625 quiet river −0.125 block plot +0.500" in page


def test_shares_of_the_blocks_are_their_part_of_the_sizes_of_the_score():
    data = toy()
    vectors = np.zeros((6, 3), np.float32)
    vectors[[0, 2, 3], :2] = 1  # the listed items have 1 in both columns of the first block, and -2 in the second
    vectors[[0, 2, 3], 2] = -2
    whole = fused(data, vectors)
    plot = whole.blocks[0]
    blocks = (type(plot)("plot", 0, 2, 0.75), type(plot)("taste", 2, 3, 0.25))
    users = np.tile(np.array([1, 1, 1], np.float32), (6, 1))
    profiles = Profiles(whole.users, whole.items, users, vectors, blocks, whole.known)
    found = report(profiles=profiles)["samples"][0]["profile"]["blocks"]
    # each item scores 1 + 1 by plot and -2 by taste: half of the size each
    assert [(b["name"], b["weight"], b["share"]) for b in found] == [("plot", 0.75, 0.5), ("taste", 0.25, 0.5)]


def test_ids_that_are_numbers_stay_numbers():
    data = dataset([(7, 1), (7, 2)])
    made = report(data=data, recs=None, explanations=None, profiles=fused(data))
    assert made["samples"][0]["user"] == 7
    assert "User 7" in text_of(render_report(made))


# The run


def test_stages_say_where_their_time_went_and_what_came_from_the_cache():
    page = text_of(render_report(report()))
    assert "plot hf/text@1 · dim 384 encode 38.2 s 1.29 GiB from cache" in page
    assert "evaluation evaluation 40 ms 180 MiB computed" in page
    assert "1 stage computed in 40 ms, 1 taken from the cache" in page


def test_a_warning_is_shown_once():
    page = text_of(render_report(report()))
    assert page.count("1 item has no text") == 1
    assert "1 warning" in page


def test_the_run_can_be_done_again_from_the_page():
    page = text_of(render_report(report()))
    assert "recprofile run recipes/toy.yaml --set &#39;seed=7&#39;" in page
    for part in (
        "seed 7",
        "torch 2.13.0",
        "recprofile-hf (plugin ‘hf’) 0.3.2",
        "ratings.csv sha256:abc123",
        "name: toy",
    ):
        assert part in page
    assert "hub://some/model 0123abcd" in page


def test_data_are_summed_up_with_their_notes():
    page = text_of(render_report(report()))
    # 13 training events, three of them held for tuning, and 4 for the test
    assert "users 6 items 6 events 17 device cpu" in page
    for part in ("events: valid 3", "positive: train 11", "positive rule &gt;= 4", "density 0.361", "cold: users 1"):
        assert part in page
    assert "time: first 1970-01-01 00:01 UTC" in page
    assert "columns: items title, genres, year, price" in page
    assert "3 rows without a weight were dropped" in page


def test_a_summary_of_another_shape_is_shown_as_it_is():
    odd = manifest() | {"data": {"events": 123456, "share_of_x": 0.25, "time": None, "rules": ["a", "b"]}}
    page = text_of(render_report(report(manifest=odd)))
    assert "events 123,456 device" in page
    assert "share of x 0.250 time none rules a, b" in page


def test_the_list_of_files_is_no_part_of_the_report():
    assert "contents" not in report()["manifest"]


# What is not there


def test_an_empty_part_says_so():
    page = text_of(render_report(variants()["bare"]))
    for sentence in (
        "Nothing was judged: the recipe makes no recommendations.",
        "The recipe has no check stage",
        "No users to show: the recipe makes neither profiles nor recommendations.",
        "No row was dropped and no id was unknown.",
        "No stage warned of anything.",
        "The run holds no record of its stages.",
        "No file is on record.",
    ):
        assert sentence in page
    assert "<table" not in render_report(variants()["bare"])


def test_without_test_events_there_is_no_table_of_dashes():
    nothing = cell(None, n=0)
    judged = metrics() | {"users": 0, "cold_users": 0, "notes": ["no user has a relevant item"], "differences": []}
    judged["rankers"] = [{**r, "metrics": {"ndcg@10": nothing}} for r in judged["rankers"]]
    page = text_of(render_report(report(metrics=judged)))
    assert "Nothing was judged: no metric has a value." in page
    assert "no user has a relevant item" in page
    assert "Nothing was judged. evaluate:" in page


def test_lists_without_reasons_say_so():
    page = text_of(render_report(variants()["no reasons"]))
    assert "The recipe has no explain stage" in page
    assert "The recipe makes no profiles." in page


def test_one_user_with_one_event_is_enough():
    data = dataset([("u", "i")])
    recs = Recommendations(
        data.users.ids, data.items.ids, np.zeros(1, np.int32), np.full((1, 2), -1, np.int32),
        np.full((1, 2), np.nan, np.float32), np.array([3], np.int8),
    )  # fmt: skip
    made = report(data=data, recs=recs, explanations=None, profiles=fused(data))
    page = text_of(render_report(made))
    assert "No item was left to list for this user." in page
    assert "Nothing was listed for this user." in page


# Plain values, words and plots


def test_plain_values_are_json():
    mixed = {
        1: np.float32(0.5),
        "n": np.int64(3),
        "bad": float("nan"),
        "d": date(2020, 1, 2),
        "t": (1, {2}),
        "p": Path("a"),
    }
    assert plain(mixed) == {"1": 0.5, "n": 3, "bad": None, "d": "2020-01-02", "t": [1, [2]], "p": "a"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.35123, "0.351"), (0.35, "0.350"), (12.345, "12.3"), (1234.5, "1,234"), (0, "0"), (-0.0123, "−0.0123"),
        (0.9996, "1.00"), (0.000012345, "1.23 × 10⁻⁵"), (None, "–"), (float("nan"), "–"),
    ],
)  # fmt: skip
def test_a_number_has_three_digits_that_count(value, text):
    assert number(value) == text


def test_a_column_has_the_decimals_of_its_largest_or_one_more():
    assert places([0.5, 0.25]) == 3
    assert places([0.5, 0.003]) == 4
    assert places([12.0, 0.003]) == 2
    assert places([None, 0.0]) == 3


def test_other_words():
    assert [signed(v, 2) for v in (0.031, -0.0042, 0.0)] == ["+0.03", "0.00", "0.00"]
    assert interval(-0.1, 0.2, 1, sign=True) == "−0.1 to +0.2"
    assert interval(None, 0.2) == ""
    assert [p_value(p) for p in (0.0004, 0.04, None)] == ["< 0.001", "0.040", "–"]
    assert [duration(s) for s in (0.012, 4.206, 200.4, 3725)] == ["12 ms", "4.21 s", "3 min 20 s", "1 h 02 min"]
    assert [memory(m) for m in (411.6, 1280)] == ["412 MiB", "1.25 GiB"]
    assert [share(s) for s in (0.344, 0.001, None)] == ["34 %", "< 1 %", "–"]
    assert moment("2026-09-01T16:05:00+02:00") == "2026-09-01 14:05 UTC"
    assert moment("yesterday") == "yesterday"
    assert plain_value([1990, True, 2.5, {"a": None}]) == "1990, yes, 2.50, a –"


def test_an_axis_has_round_ticks_within_the_values():
    scale = axis([0.17, 0.36])
    assert scale is not None
    assert [t.label for t in scale.ticks] == ["0.20", "0.25", "0.30", "0.35"]
    # 4 % is free on both sides
    assert (scale.at(0.17), scale.at(0.36), scale.at(0.265)) == ("4%", "96%", "50%")


@pytest.mark.parametrize("values", [[0.5], [0.0, 0.0], [-3.0, -3.0], [1e-12, 1e12], [0.25, 0.26]])
def test_an_axis_is_wide_enough_for_at_least_two_ticks(values):
    scale = axis(values)
    assert scale is not None
    assert len(scale.ticks) >= 2
    assert dot(scale, values[0]) is not None


def test_without_values_there_is_no_axis_and_no_dot():
    assert axis([None, float("nan")]) is None
    assert dot(None, 0.5) is None
    assert dot(axis([0.1]), None) is None


def test_bars_start_at_zero_and_share_one_scale():
    # from -1 to 3: zero stands at a quarter
    assert [(b.start, b.width, b.negative, b.zero) for b in bars([3, -1, 0, None])] == [
        ("25%", "75%", False, "25%"),
        ("0%", "25%", True, "25%"),
        ("25%", "0%", False, "25%"),
        ("25%", "0%", False, "25%"),
    ]
    # with zero in the middle, 2 fills one half and -1 half of the other
    assert [(b.start, b.width) for b in bars([2, -1], 0.5)] == [("50%", "50%"), ("25%", "25%")]
    assert zero_of([1, 2]) == 0
