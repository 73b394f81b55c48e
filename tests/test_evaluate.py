"""Evaluation: agreement with a slow loop, who is judged, groups, differences, ratings, and what is said."""

from __future__ import annotations

import json
import subprocess
import sys
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import ArrayLike

from recprofile.artifacts import (
    BoolArray,
    Dataset,
    FloatArray,
    IntArray,
    Pack,
    PositiveRule,
    Recommendations,
    load_pack,
    save_pack,
)
from recprofile.components import Ranker
from recprofile.errors import ArtifactError, DataError
from recprofile.evaluate import Entry, Evaluation, evaluate
from recprofile.evaluate import ratings as ratings_module
from recprofile.ranking import rank
from recprofile.testing import checkerboard, dataset, toy

METRICS = ("ndcg@10", "recall@20", "map@10", "mrr@20", "hit-rate@10", "coverage@10")


class Scores(Ranker):
    """Scores, and predictions if any, that were written down."""

    def __init__(self, table: ArrayLike) -> None:
        self.table = np.asarray(table, np.float32)

    def scores(self, users: IntArray) -> FloatArray:
        return self.table[users]

    def known_users(self) -> BoolArray:
        return np.ones(len(self.table), np.bool_)

    def pack(self) -> Pack:
        return Pack()


class Predictor(Scores):
    """Predicts its own scores."""

    def predict(self, users: IntArray, items: IntArray) -> FloatArray:
        return self.table[users, items]


def lists(data: Dataset, items: list[list[int]], users: list[int] | None = None) -> Recommendations:
    """Lists of item codes, -1 at the end."""
    rows = np.array(items, np.int32).reshape(len(items), -1)
    scores = np.where(rows >= 0, -np.arange(rows.shape[1]), np.nan).astype(np.float32)
    who = np.array(range(len(rows)) if users is None else users, np.int32)
    return Recommendations(data.users.ids, data.items.ids, who, rows, scores, np.zeros(len(rows), np.int8))


def entry(recs: Recommendations, id: str = "mine", role: str = "main", **more: Any) -> Entry:
    return Entry(id, f"{id}@1", role, recs, **more)


def values_of(found: Evaluation, line: int = 0) -> dict[str, float | None]:
    return {name: cell["value"] for name, cell in found.summary["rankers"][line]["metrics"].items()}


def random_case(seed: int) -> tuple[Dataset, Recommendations, BoolArray]:
    """Sixty users, forty items, ratings 1 to 5, a test without pairs of the training part, some users with no list."""
    rng = np.random.default_rng(seed)
    pairs = rng.permutation(60 * 40)[:900]
    events = [(int(p // 40), int(p % 40), int(rng.integers(1, 6))) for p in pairs]
    data = dataset(
        events[:600],
        test=events[600:],
        users={"id": list(range(60))},
        items={"id": list(range(40))},
        positive=PositiveRule(">=", 4),
    )
    candidates = rng.random(40) < 0.8
    users = np.flatnonzero(rng.random(60) < 0.9).astype(np.int32)
    return data, rank(Scores(rng.random((60, 40))), data, k=20, candidates=candidates, users=users), candidates


def slowly_scored(data: Dataset, recs: Recommendations, candidates: BoolArray) -> dict[str, float]:
    """The definitions, user by user and place by place."""
    lists_ = {int(u): [int(i) for i in row if i >= 0] for u, row in zip(recs.users, recs.items, strict=True)}
    relevant: dict[int, set[int]] = {}
    for user, item, positive in zip(data.test.user, data.test.item, data.test.positive, strict=True):
        if positive and candidates[item]:
            relevant.setdefault(int(user), set()).add(int(item))
    sums, covered = dict.fromkeys(METRICS, 0.0), set()
    for user, wanted in relevant.items():
        listed = lists_.get(user, [])
        covered |= set(listed[:10])
        gain = sum(1 / log2(rank + 1) for rank, item in enumerate(listed[:10], 1) if item in wanted)
        ideal = sum(1 / log2(rank + 1) for rank in range(1, min(10, len(wanted)) + 1))
        sums["ndcg@10"] += gain / ideal
        sums["recall@20"] += len(wanted & set(listed[:20])) / len(wanted)
        found = 0
        for rank_, item in enumerate(listed[:10], 1):
            if item in wanted:
                found += 1
                sums["map@10"] += found / rank_ / len(wanted)
        sums["mrr@20"] += next((1 / rank for rank, item in enumerate(listed[:20], 1) if item in wanted), 0.0)
        sums["hit-rate@10"] += bool(wanted & set(listed[:10]))
    means = {name: total / len(relevant) for name, total in sums.items()}
    return means | {"coverage@10": len(covered) / int(candidates.sum())}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_metrics_agree_with_a_slow_loop(seed: int):
    data, recs, candidates = random_case(seed)
    found = evaluate([entry(recs)], data, metrics=METRICS, candidates=candidates, resamples=10)
    assert values_of(found) == pytest.approx(slowly_scored(data, recs, candidates), abs=1e-6)


def test_a_perfect_ranker_scores_one_on_the_checkerboard():
    data = checkerboard()
    recs = lists(data, [[u] for u in range(10)])
    found = evaluate([entry(recs)], data, metrics=["ndcg@1", "recall@1", "precision@1", "coverage@1", "gini@1"])
    assert values_of(found) == {"ndcg@1": 1, "recall@1": 1, "precision@1": 1, "coverage@1": 1, "gini@1": 0}
    assert found.summary["users"] == 10
    cell = found.summary["rankers"][0]["metrics"]["ndcg@1"]
    assert cell == {"value": 1, "low": 1, "high": 1, "n": 10}


def test_users_with_nothing_relevant_are_not_judged():
    # u1 and u4 like i3, u5 likes i1; u2 has a test event of 2 only.
    data = toy()
    found = evaluate([entry(lists(data, [[2]] * 6))], data, metrics=["hit-rate@1"])
    assert found.summary["users"] == 3
    assert values_of(found)["hit-rate@1"] == pytest.approx(2 / 3, abs=1e-6)
    assert found.per_user["user"].to_list() == ["u1", "u4", "u5"]
    assert found.per_user["hit-rate@1"].to_list() == [1, 1, 0]


def test_a_user_without_a_list_scores_zero_and_is_counted():
    data = toy()
    found = evaluate([entry(lists(data, [[2]], users=[0]))], data, metrics=["hit-rate@1"])
    assert values_of(found)["hit-rate@1"] == pytest.approx(1 / 3, abs=1e-6)
    assert found.summary["rankers"][0]["fallbacks"]["no list"] == 2


def test_cold_users_and_fall_backs_are_counted():
    data = dataset([("a", "x")], test=[("a", "y"), ("new", "x")])
    recs = rank(Scores(np.zeros((2, 2))), data, k=1)
    known = Recommendations(
        recs.user_ids, recs.item_ids, recs.users, recs.items, recs.scores, np.array([0, 1], np.int8)
    )
    found = evaluate([entry(known)], data, metrics=["ndcg@1"])
    assert found.summary["cold_users"] == 1
    assert found.summary["rankers"][0]["fallbacks"] == {
        "no history": 1, "not in model": 0, "nothing to rank": 0, "no list": 0
    }  # fmt: skip


def test_what_was_seen_in_training_is_not_relevant_and_is_counted():
    data = dataset([("a", "x"), ("a", "z")], test=[("a", "x"), ("a", "y"), ("b", "x")])
    y = int(data.items.ids.codes(["y"])[0])
    recs = lists(data, [[y], [y]])
    found = evaluate([entry(recs)], data, metrics=["recall@1"])
    assert found.per_user["recall@1"].to_list() == [1, 0]
    assert "1 positive test pairs are left out: the user has the item in training" in found.summary["notes"]
    kept = evaluate([entry(recs)], data, metrics=["recall@1"], exclude_seen=False)
    assert kept.per_user["recall@1"].to_list() == [0.5, 0]


def test_what_is_no_candidate_is_not_relevant_and_is_counted():
    data = dataset([("a", "x")], test=[("a", "y"), ("a", "z")])
    candidates = data.items.ids.codes(["x", "y", "z"]) == data.items.ids.codes(["y"])[0]
    found = evaluate([entry(lists(data, [[1, 2]]))], data, metrics=["recall@2", "coverage@2"], candidates=candidates)
    assert values_of(found) == {"recall@2": 1, "coverage@2": 1}
    assert "1 positive test pairs are left out: the item is no candidate" in found.summary["notes"]


def test_a_pair_with_two_test_events_counts_once():
    data = dataset([("a", "x")], test=[("a", "y"), ("a", "y"), ("a", "z")])
    found = evaluate([entry(lists(data, [[1]]))], data, metrics=["recall@1"])
    assert values_of(found) == {"recall@1": 0.5}


@pytest.mark.parametrize("test", [[], [("a", "y", 1)]])
def test_without_anything_relevant_every_value_is_null_and_a_note_says_why(test: list[tuple[str, str, int]]):
    data = dataset([("a", "x", 5)], test=test, users={"id": ["a"], "g": ["f"]}, positive=PositiveRule(">=", 4))
    entries = [entry(lists(data, [[0]])), entry(lists(data, [[0]]), "popular", "baseline")]
    found = evaluate(entries, data, metrics=["ndcg@1", "coverage@1", "gini@1", "rmse"], groups=["g"])
    assert found.summary["users"] == 0
    assert set(values_of(found).values()) == {None}
    assert found.summary["notes"][0] == "no user has a relevant item in the test part: there is nothing to judge"
    assert found.summary["differences"][0]["value"] is None
    assert found.per_user.height == 0
    json.dumps(found.to_json(), allow_nan=False)


def test_without_lists_there_is_an_evaluation_without_lines():
    found = evaluate([], toy(), metrics=["ndcg@1"], groups=["gender"])
    assert found.summary["rankers"] == []
    assert found.summary["differences"] == []


def test_metrics_are_given_by_group_with_sizes():
    data = toy()
    found = evaluate([entry(lists(data, [[2]] * 6))], data, metrics=["hit-rate@1", "coverage@1"], groups=["gender"])
    groups = found.summary["rankers"][0]["groups"]["gender"]
    # u1 is F and u4 is M, both with a hit; the gender of u5 is not known.
    assert list(groups) == ["F", "M", "(missing)"]
    assert [g["n"] for g in groups.values()] == [1, 1, 1]
    assert [g["metrics"]["hit-rate@1"]["value"] for g in groups.values()] == [1, 1, 0]
    assert groups["F"]["metrics"]["coverage@1"]["value"] == pytest.approx(1 / 6, abs=1e-6)


def test_a_column_with_many_values_is_cut_to_the_largest_groups():
    n = 30
    data = dataset(
        [(u, 0) for u in range(n)],
        test=[(u, 1) for u in range(n)],
        users={"id": list(range(n)), "age": [min(u, 25) for u in range(n)]},
    )
    found = evaluate([entry(lists(data, [[1]] * n))], data, metrics=["ndcg@1"], groups=["age"])
    groups = found.summary["rankers"][0]["groups"]["age"]
    assert len(groups) == 20
    assert groups["25"]["n"] == 5
    assert list(groups)[:3] == ["0", "1", "2"]
    assert "'age' has 26 values: only the 20 largest groups are shown" in found.summary["notes"]


def test_an_unknown_group_column_is_an_error_with_the_closest_name():
    with pytest.raises(DataError, match="RP502 no column 'gendre'"):
        evaluate([entry(lists(toy(), [[2]] * 6))], toy(), metrics=["ndcg@1"], groups=["gendre"])


def test_the_last_main_line_is_compared_with_every_baseline():
    data = checkerboard()
    good, bad = lists(data, [[u] for u in range(10)]), lists(data, [[(u + 1) % 10] for u in range(10)])
    entries = [
        entry(bad, "ease"),
        entry(good, "ease", after="mmr"),
        entry(bad, "popular", "baseline"),
        entry(good, "knn", "baseline"),
        entry(bad, "other", "stage"),
    ]
    found = evaluate(entries, data, metrics=["ndcg@1", "coverage@1"], resamples=99)
    assert [(d["metric"], d["a"], d["b"]) for d in found.summary["differences"]] == [
        ("ndcg@1", "ease + mmr", "popular"),
        ("ndcg@1", "ease + mmr", "knn"),
        ("coverage@1", "ease + mmr", "popular"),
        ("coverage@1", "ease + mmr", "knn"),
    ]
    first, second, third, _ = found.summary["differences"]
    assert (first["value"], first["low"], first["high"], first["p"], first["n"]) == (1, 1, 1, 0.02, 10)
    assert (second["value"], second["p"]) == (0, 1)
    assert (third["value"], third["low"], third["p"]) == (0, None, None)
    assert [(r["role"], r["after"]) for r in found.summary["rankers"][:3]] == [
        ("main", None), ("main", "mmr"), ("baseline", None)
    ]  # fmt: skip


def test_system_metrics_have_no_interval_and_a_note_says_why():
    data = checkerboard()
    found = evaluate([entry(lists(data, [[u] for u in range(10)]))], data, metrics=["coverage@1"])
    assert found.summary["rankers"][0]["metrics"]["coverage@1"] == {"value": 1, "low": None, "high": None, "n": 10}
    assert any(note.startswith("coverage@1: without an interval") for note in found.summary["notes"])


def test_diversity_needs_vectors_and_is_left_out_with_a_note():
    data = toy()
    recs = lists(data, [[0, 1]] * 6)
    without = evaluate([entry(recs)], data, metrics=["ndcg@2", "diversity@2"])
    assert list(values_of(without)) == ["ndcg@2"]
    assert "diversity@2: left out, for no stage gives vectors of the items" in without.summary["notes"]
    with_ = evaluate([entry(recs)], data, metrics=["diversity@2"], item_vectors=np.eye(6, dtype=np.float32))
    assert values_of(with_) == {"diversity@2": 1}


def test_novelty_counts_users_with_any_training_event():
    # i1 has events of u1 and u2, of five users with events: p = (2 + 1) / (5 + 1).
    data = toy()
    found = evaluate([entry(lists(data, [[0]] * 6))], data, metrics=["novelty@1"])
    assert values_of(found) == {"novelty@1": 1}


def test_ratings_are_judged_on_pairs_of_known_users_and_items():
    data = dataset([("a", "x", 4), ("b", "y", 2)], test=[("a", "y", 3), ("b", "x", 5), ("b", "new", 1), ("c", "x", 1)])
    table = np.zeros((data.n_users, data.n_items))
    code = data.items.ids.codes
    table[0, code(["y"])] = 4  # off by 1
    table[1, code(["x"])] = 2  # off by 3
    recs = lists(data, [[0]] * 3)
    found = evaluate([entry(recs, ranker=Predictor(table))], data, metrics=["rmse", "mae"])
    cells = found.summary["rankers"][0]["metrics"]
    assert cells["rmse"]["value"] == pytest.approx(5**0.5, abs=1e-6)  # (1 + 9) / 2
    assert (cells["mae"]["value"], cells["mae"]["n"]) == (2, 2)
    assert cells["mae"]["low"] == 1  # a resample of user a alone
    assert cells["mae"]["high"] == 3
    assert found.summary["rankers"][0]["ratings"] == {"events": 2, "by_default": 0, "left_out": 2}
    assert any("2 test events left out" in note for note in found.summary["notes"])


def test_rating_predictors_are_compared_with_baselines_that_predict():
    data, recs, _ = random_case(0)
    right = np.zeros((60, 40))
    right[data.test.user, data.test.item] = data.test.weight
    entries = [
        entry(recs, "svd", ranker=Predictor(right)),
        entry(recs, "svd", after="mmr"),
        entry(recs, "mean", "baseline", ranker=Predictor(right + 1)),
        entry(recs, "ease", "baseline", ranker=Scores(right)),
    ]
    found = evaluate(entries, data, metrics=["mae", "ndcg@5"], resamples=50)
    assert [list(values_of(found, line)) for line in range(4)] == [["mae", "ndcg@5"], ["ndcg@5"]] * 2
    rated = [d for d in found.summary["differences"] if d["metric"] == "mae"]
    assert [(d["a"], d["b"], d["value"], d["low"], d["high"]) for d in rated] == [("svd", "mean", -1, -1, -1)]


def test_rating_metrics_do_not_depend_on_the_block(monkeypatch: pytest.MonkeyPatch):
    data, recs, _ = random_case(1)
    line = entry(recs, ranker=Predictor(np.random.default_rng(0).random((60, 40))))
    whole = evaluate([line], data, metrics=["rmse", "mae"], resamples=20)
    monkeypatch.setattr(ratings_module, "PAIRS", 7)
    assert evaluate([line], data, metrics=["rmse", "mae"], resamples=20).summary == whole.summary


def test_rating_metrics_without_a_predictor_are_left_out_with_a_note():
    data = toy()
    found = evaluate([entry(lists(data, [[0]] * 6), ranker=Scores(np.zeros((6, 6))))], data, metrics=["rmse"])
    assert values_of(found) == {}
    assert found.summary["notes"] == ["rmse: left out, for no ranker predicts ratings"]


def test_a_prediction_that_is_not_finite_is_refused():
    data, recs, _ = random_case(1)
    with pytest.raises(ArtifactError, match=r"Predictor.predict\(\) holds nan"):
        evaluate([entry(recs, ranker=Predictor(np.full((60, 40), np.nan)))], data, metrics=["rmse"])


def test_lists_that_are_too_short_for_a_metric_are_noted():
    data = toy()
    found = evaluate([entry(lists(data, [[2]] * 6))], data, metrics=["recall@5"])
    assert "recall@5: the lists of 'mine' hold 1 items at most" in found.summary["notes"]


def test_a_list_with_an_item_twice_is_refused():
    data = toy()
    with pytest.raises(ArtifactError, match="the list of 'mine' for user 'u1' holds an item twice"):
        evaluate([entry(lists(data, [[2, 0, 2]] * 6))], data, metrics=["ndcg@3"])


def test_lists_over_other_ids_are_refused():
    with pytest.raises(ArtifactError, match="the lists of 'mine' are of other users or items than the data"):
        evaluate([entry(lists(checkerboard(), [[0]] * 10))], toy(), metrics=["ndcg@3"])


def test_the_same_evaluation_gives_the_same_bytes_and_survives_the_disk(tmp_path: Path):
    data, recs, candidates = random_case(2)
    entries = [entry(recs), entry(recs.cut(5), "popular", "baseline")]
    first, again = (
        evaluate(entries, data, metrics=METRICS, candidates=candidates, resamples=50, seed=3) for _ in range(2)
    )
    assert json.dumps(first.to_json()) == json.dumps(again.to_json())
    save_pack(first.pack(), tmp_path)
    restored = Evaluation.unpack(load_pack(tmp_path))
    assert json.dumps(restored.to_json()) == json.dumps(first.to_json())
    assert restored.per_user.equals(first.per_user)


def test_per_user_values_have_a_row_per_line_and_user():
    data = toy()
    recs = lists(data, [[2]] * 6)
    found = evaluate([entry(recs), entry(recs, after="mmr")], data, metrics=["ndcg@1", "novelty@1", "coverage@1"])
    assert found.per_user.columns == ["ranker", "after", "user", "train_events", "relevant", "ndcg@1", "novelty@1"]
    assert found.per_user["after"].to_list() == [None] * 3 + ["mmr"] * 3
    assert found.per_user.schema["after"] == pl.String


def test_relevant_pairs_and_hits_are_kept_with_their_ranks():
    # u1 and u4 like i3, u5 likes i1.
    data = toy()
    found = evaluate(
        [entry(lists(data, [[0, 2]] * 6)), entry(lists(data, [[1]] * 6), "other")], data, metrics=["ndcg@2"]
    )
    assert found.relevant.rows() == [("u1", "i3"), ("u4", "i3"), ("u5", "i1")]
    assert found.hits.columns == ["ranker", "after", "user", "item", "rank"]
    assert found.hits.rows() == [
        ("mine", None, "u1", "i3", 2),
        ("mine", None, "u4", "i3", 2),
        ("mine", None, "u5", "i1", 1),
    ]
    assert found.per_user["relevant"].to_list() == [1] * 6
    trained = np.bincount(data.train.user, minlength=6)
    assert found.per_user["train_events"].to_list() == trained[[0, 3, 4]].tolist() * 2


def test_per_user_ratings_are_of_whoever_has_rated_test_events():
    data = dataset(
        [(0, 0, 4), (0, 1, 2), (1, 0, 3), (1, 1, 5)],
        test=[(0, 1, 5), (1, 0, 1), (1, 1, 2)],  # nothing that user 1 likes
        users={"id": [0, 1]},
        items={"id": [0, 1]},
        positive=PositiveRule(">=", 4),
    )
    table = [[0.0, 3.0], [4.0, 2.0]]
    recs = lists(data, [[1]] * 2)
    entries = [entry(recs, ranker=Predictor(table)), entry(recs, "no", "baseline", ranker=Scores(table))]
    found = evaluate(entries, data, metrics=["hit-rate@1", "rmse", "mae"], exclude_seen=False)
    rows = found.per_user.drop("ranker", "after", "train_events").rows()
    assert found.per_user.columns[3:] == ["train_events", "relevant", "rated", "hit-rate@1", "rmse", "mae"]
    assert rows[:2] == [(0, 1, 1, 1.0, 2.0, 2.0), (1, 0, 2, None, pytest.approx(np.sqrt(4.5)), 1.5)]
    assert rows[2:] == [(0, 1, None, 1.0, None, None)]


def test_evaluating_imports_no_torch():
    code = (
        "import sys; import recprofile.evaluate, recprofile.ranking as r; from recprofile.testing import toy; "
        "from recprofile.evaluate import Entry, evaluate; evaluate([], toy(), metrics=['ndcg@1']); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
