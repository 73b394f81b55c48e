"""The case of the benchmarks is what it says, and every stage of `make bench` runs on a small one, without peers."""

import importlib
import json
import sys

import numpy as np
import polars as pl
import pytest

from benchmarks.brief import KINDS, Shop
from benchmarks.speed import growth, measure, stage, table
from benchmarks.speed.case import Case
from benchmarks.speed.machine import Machine
from benchmarks.speed.measure import Bound, Contest, Side, UnequalError, measured
from benchmarks.speed.same import same_arrays, same_csr, same_directions, same_lists
from benchmarks.speed.stages import STAGES

SHOP = Shop(users=1000, items=500, events=40)
MACHINE = Machine("a processor", 2, 8.0, "3.11", "Linux", "2026-01-01", 100.0, 20.0)


@pytest.fixture(autouse=True)
def _memory_is_left_as_it_is(monkeypatch):
    """Collecting garbage among all that tests have imported takes a tenth of a second, before each side."""
    monkeypatch.setattr(measure, "_settle", lambda: None)


@pytest.fixture(scope="module")
def log():
    return SHOP.log()


@pytest.fixture(scope="module")
def items():
    return SHOP.item_table()


def test_the_same_seed_gives_the_same_shop_and_another_one_another(log, items):
    assert Shop(1000, 500, 40).log().equals(log)
    assert Shop(1000, 500, 40).item_table().equals(items)
    assert not Shop(1000, 500, 40, seed=8).log().equals(log)


def test_a_shop_has_as_many_events_users_and_items_as_it_says(log, items):
    users = SHOP.user_table()
    assert (log.height, users.height, items.height) == (40_000, 1000, 500)
    assert set(log["user_id"]) == set(users["user_id"])
    assert set(log["item_id"]) <= set(items["item_id"])
    assert log["time"].is_sorted()


def test_two_of_a_hundred_events_repeat_another_and_columns_have_gaps(log, items):
    assert log.is_duplicated().mean() == pytest.approx(0.04, abs=0.01)  # the event and what it repeats
    assert log["amount"].is_null().mean() == pytest.approx(0.10, abs=0.01)
    assert items["price"].is_null().mean() == pytest.approx(0.05, abs=0.03)
    assert SHOP.user_table()["age"].is_null().mean() == pytest.approx(0.15, abs=0.04)


def test_popularity_falls_as_a_power_of_the_rank(log):
    counts = np.sort(log["item_id"].value_counts()["count"].to_numpy())[::-1]
    rank = np.arange(len(counts)) + 20.0
    middle = slice(10, 300)
    steepness = -np.polyfit(np.log(rank[middle]), np.log(counts[middle]), 1)[0]
    assert 0.5 < steepness < 1.5  # 0.8 of what goes by popularity alone, and more by how large a kind is
    assert counts[0] > 5 * np.median(counts)


def test_users_buy_from_few_kinds_of_items(log):
    kind = pl.DataFrame({"item_id": SHOP.item_table()["item_id"], "kind": SHOP._kind()})
    shares = log.join(kind, on="item_id").group_by("user_id", "kind").len().sort("len", descending=True)
    top = shares.group_by("user_id").agg(pl.col("len").head(3).sum())["len"].mean() / SHOP.events
    assert 0.6 < top < 0.9  # 0.7 by taste and a little of what is popular; by chance 3 of 64
    assert KINDS == 64


def test_texts_have_about_thirty_tokens_and_tell_their_category(items):
    words = items["text"].str.count_matches(r"\w+|[^\w\s]").to_numpy()
    assert 25 < words.mean() < 35
    assert items["text"].n_unique() > 0.99 * items.height


# -- stages ------------------------------------------------------------------


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return Case.made(Shop(users=120, items=60, events=20), tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def words(tmp_path_factory, case):
    """A BERT of one layer with random weights, that knows the words of the texts."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    known = ["[PAD]", "[UNK]", *sorted({word for text in case.texts for word in text.lower().split()})]
    made = Tokenizer(models.WordLevel({word: n for n, word in enumerate(known)}, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.WhitespaceSplit()
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(known), max_position_embeddings=64, **shape)).save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]", pad_token="[PAD]")
    tokenizer.model_max_length = 64
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", STAGES)
def test_our_side_of_each_stage_runs(name, case, words, monkeypatch):
    for module in ("encode", "chain"):
        found = importlib.import_module(f"benchmarks.speed.stages.{module}")
        monkeypatch.setattr(found, "model_folder", lambda: words)
    for contest in stage.contests(name, case):
        row = measured(contest, rounds=1, ours_only=True)
        told = table.table([{"stage": name, **row}], MACHINE)
        assert row["sides"]["recprofile"]["seconds"][0] > 0
        assert f"| {contest.name} |" in told
        assert MACHINE.least(row["bound"]) > 0


def test_growth_is_told_of_seven_rows(case):
    assert len(list(stage.grown(case))) == 7


def test_a_stage_is_written_as_json(case, tmp_path, monkeypatch, capsys):
    out = tmp_path / "pool.json"
    monkeypatch.setattr(stage, "SMALL", Shop(users=30, items=30, events=10))
    monkeypatch.setattr(sys, "argv", ["stage", str(out), str(case.folder), "pool", "--rounds", "2", "--ours"])
    stage.main()
    (row,) = json.loads(out.read_text())
    assert row["stage"] == "pool"
    assert len(row["sides"]["recprofile"]["seconds"]) == 2
    assert capsys.readouterr().out.startswith("pool: ")


# -- the clock and what is equal ---------------------------------------------


def contest(*peers, ours=lambda: 1, **more):
    def same(mine, theirs):
        if mine != theirs:
            raise UnequalError(f"{mine} and {theirs}")
        return "equal"

    return Contest("adding", Side("recprofile", lambda: ours), peers, same, **more)


def test_sides_take_turns_and_their_preparation_is_not_timed():
    order = []

    def side(name):
        def ready():
            order.append(f"ready {name}")
            return lambda: order.append(name) or 1

        return Side(name, ready)

    found = measured(Contest("adding", side("recprofile"), [side("peer")], lambda *_: "equal"), rounds=2)
    timed = [step for step in order if not step.startswith("ready")]
    assert timed == ["recprofile", "peer", "peer", "recprofile"]
    assert order[::2] == [f"ready {name}" for name in timed]
    assert [len(side["seconds"]) for side in found["sides"].values()] == [2, 2]
    assert found["sides"]["peer"]["same"] == "equal"


def test_a_peer_that_is_not_installed_is_left_out_and_told():
    def missing():
        raise ImportError("no module named 'peer'")

    found = measured(contest(Side("peer", missing)), rounds=2)
    assert found["sides"]["peer"]["left out"] == "ImportError: no module named 'peer'"
    assert "| peer | left out |" in table.table([{"stage": "adding", **found}], MACHINE)
    assert "left out" in table.agreement([found])


def test_our_own_failure_is_not_swallowed():
    def broken():
        raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        measured(contest(ours=broken))


def test_other_results_are_told_as_unequal():
    found = measured(contest(Side("peer", lambda: lambda: 2)), rounds=1)
    assert table.unequal([found]) == ["adding, peer: 1 and 2"]
    assert "NOT EQUAL: 1 and 2" in table.agreement([found])


def test_a_share_is_extrapolated_and_marked_and_a_piece_is_told_of_many():
    slow = Side("slow", lambda: lambda: 1, rounds=1, share=0.001)
    found = measured(contest(slow, per=10), rounds=3)
    assert len(found["sides"]["slow"]["seconds"]) == 1
    found["sides"] = {"recprofile": {"seconds": [0.02], "mib": 1, "share": 1}, "slow": {**found["sides"]["slow"]}}
    found["sides"]["slow"]["seconds"] = [2.0]
    (line,) = table.table([found], MACHINE).splitlines()[2:]
    assert line.startswith("| adding | **20 ms** | slow | ≈ 2 s | 0.01 |")


def test_a_bound_is_the_longer_of_arithmetic_and_reading():
    assert MACHINE.least({"flops": 200e9, "bytes": 20e9, "seconds": 0.5}) == pytest.approx(2.5)
    assert MACHINE.least({"flops": 100e9, "bytes": 60e9, "seconds": 0}) == pytest.approx(3)
    assert Bound() == Bound(0, 0, 0)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(123.4, "123 s"), (1.234, "1.23 s"), (0.0456, "45.6 ms"), (3.4e-4, "340 µs"), (1e-8, "0.01 µs")],
)
def test_durations_have_three_digits_and_a_unit_that_fits(seconds, shown):
    assert table.duration(seconds) == shown


def test_numbers_and_directions_are_equal_within_float32_and_no_further():
    ours = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    assert same_arrays(ours, ours[:1] * np.float32(1 + 1e-6)).startswith("numbers equal")
    assert same_directions(ours, 5 * ours).startswith("cosines of 1.0")
    with pytest.raises(UnequalError, match="differ by up to 1"):
        same_arrays(ours, ours + np.float32(1))
    with pytest.raises(UnequalError, match="a cosine is"):
        same_directions(ours, ours[:, ::-1])
    with pytest.raises(UnequalError, match="shapes"):
        same_arrays(ours, ours[:, :1])


def test_a_csr_is_the_same_when_pairs_and_values_are():
    from scipy.sparse import csr_array

    ours = csr_array(np.array([[0.0, 1.0], [2.0, 0.0]], np.float32))
    assert same_csr(ours, ours.copy()) == "the same CSR of 2 pairs"
    with pytest.raises(UnequalError, match="other values"):
        same_csr(ours, ours * 2)
    with pytest.raises(UnequalError, match="other pairs"):
        same_csr(ours, csr_array(np.array([[1.0, 0.0], [0.0, 2.0]], np.float32)))


def test_lists_are_the_same_up_to_the_order_of_equals():
    items, scores = np.array([[3, 1, 2, 0]]), np.array([[1.0, 0.5, 0.5, 0.1]])
    assert "50.00%" in same_lists((items, scores), (np.array([[3, 2, 1, 0]]), scores))
    assert "25.00%" in same_lists((items, scores), (np.array([[3, 1, 2, 9]]), scores))  # the last may tie with others
    with pytest.raises(UnequalError, match="hold another item"):
        same_lists((items, scores), (np.array([[7, 1, 2, 0]]), scores))
    with pytest.raises(UnequalError, match="scores differ"):
        same_lists((items, scores), (items, scores * 2))
    with pytest.raises(UnequalError, match="other lengths"):
        same_lists((items, scores), (np.array([[3, 1, 2, -1]]), scores))


def test_growth_in_proportion_has_slope_one():
    assert growth.slope({10: 1.0, 100: 5.0, 1000: 50.0}) == pytest.approx(1)
    assert growth.table({"load": {10: 1.0, 100: 10.0}}).splitlines()[2] == "| load | 1 s | 10 s | 1.00 |"
