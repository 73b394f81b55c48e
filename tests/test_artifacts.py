"""Artifacts refuse what breaks their contract, and survive the disk."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recprofile.artifacts import (
    Block,
    CheckResult,
    Dataset,
    Embeddings,
    Encoded,
    Explanations,
    IdMap,
    Interactions,
    Measure,
    Pack,
    PositiveRule,
    Profiles,
    Recommendations,
    Table,
    load_pack,
    save_pack,
)
from recprofile.artifacts.results import EVIDENCE_SCHEMA, SENTENCE_SCHEMA
from recprofile.errors import ArtifactError, DataError
from recprofile.testing import dataset, fused, same_pack, toy


def ids(*values):
    return IdMap.of(pl.Series(list(values)))


def test_ids_are_sorted_and_whole_numbers_stay_whole_numbers():
    assert ids(10, 9, 10, None, 2).ids.to_list() == [2, 9, 10]
    assert IdMap.of(pl.Series([10, 9]), pl.Series(["a"])).ids.to_list() == ["10", "9", "a"]
    assert len(IdMap.of()) == 0


def test_codes_and_outside_ids_are_inverse_and_unknown_is_minus_one():
    known = ids("b", "a", "c")
    assert known.codes(["c", "x", None, "a"]).tolist() == [2, -1, -1, 0]
    assert known.outside(np.array([2, 0], np.int32)).to_list() == ["c", "a"]
    assert ids(1, 2).codes(["2", "x"]).tolist() == [1, -1]
    assert IdMap.of().codes([1]).tolist() == [-1]


@pytest.mark.parametrize("wrong", [pl.Series([1, 1]), pl.Series([1, None]), pl.Series([1.5])])
def test_ids_that_are_no_ids_are_refused(wrong):
    with pytest.raises(ArtifactError, match="RP602 ids"):
        IdMap(wrong)


def test_a_table_gives_numbers_with_nan_and_points_at_text_by_row():
    table = Table(
        ids("a", "b"), pl.DataFrame({"year": [1990, None], "size": ["1", "big"]}), "t.csv", np.array([4, 9], np.int32)
    )
    np.testing.assert_array_equal(table.numbers(["year"]), [[1990], [np.nan]])
    with pytest.raises(DataError) as caught:
        table.numbers(["size"])
    assert "RP503 'big' in column 'size' is no number" in str(caught.value)
    assert "t.csv, row 9" in str(caught.value)
    with pytest.raises(DataError, match=r"RP502 no column 'yaer' in t\.csv") as caught:
        table.column("yaer")
    assert "did you mean 'year'?" in str(caught.value)


def test_a_column_as_text_joins_lists_and_refuses_what_is_no_text():
    frame = pl.DataFrame(
        {"tags": [["a", None, "b"], None], "size": [1, 2], "raw": [b"x", b"y"], "pair": [{"a": 1}] * 2}
    )
    table = Table(ids("i", "j"), frame, "items.parquet")
    assert table.text("tags").to_list() == ["a b", None]
    assert table.text("size").to_list() == ["1", "2"]
    for name in ("raw", "pair"):
        with pytest.raises(DataError, match=rf"RP503 column .{name}. is .+, and must be text") as caught:
            table.text(name)
        assert caught.value.problems[0].help == ("in items.parquet",)
    with pytest.raises(DataError, match=r"RP503 column .tags. is .+, and must be numbers"):
        table.numbers(["tags"])


def test_texts_leave_out_missing_parts():
    table = Table(ids("a", "b", "c"), pl.DataFrame({"t": ["x", None, None], "g": ["y", "z", None]}))
    assert table.texts(["t", "g"]).to_list() == ["x y", "z", ""]


def test_a_table_of_the_wrong_height_is_refused():
    with pytest.raises(ArtifactError, match="1 rows for 2 ids"):
        Table(ids("a", "b"), pl.DataFrame({"x": [1]}))


def test_the_positive_rule_takes_a_missing_weight_for_not_positive():
    weights = np.array([3, 4, 5, np.nan], np.float32)
    assert PositiveRule(">=", 4).mask(weights).tolist() == [False, True, True, False]
    assert PositiveRule("!=", 4).mask(weights).tolist() == [True, False, True, False]


def test_events_of_unequal_length_or_type_are_refused():
    good = Interactions.empty()
    with pytest.raises(ArtifactError, match=r"Interactions.weight has shape \(1,\)"):
        replace(good, weight=np.ones(1, np.float32))
    with pytest.raises(ArtifactError, match=r"Interactions\.user is int64"):
        replace(good, user=np.zeros(0, np.int64))


def test_matrices_sum_repeated_pairs_or_count_them_once():
    data = dataset([("u", "i", 2.0), ("u", "i", 3.0), ("v", "i", 1.0)])
    assert data.matrix().toarray().tolist() == [[5], [1]]
    assert data.matrix(binary=True).toarray().tolist() == [[1], [1]]
    assert data.matrix() is data.matrix()


def test_positives_are_by_the_rule_and_seen_is_everything():
    data = toy()
    assert data.positives().sum() == 11
    assert data.seen().sum() == 13
    assert data.item_counts().tolist() == [2, 3, 2, 2, 2, 0]
    assert data.cold_items().tolist() == [False] * 5 + [True]
    assert data.cold_users().tolist() == [False] * 5 + [True]


def test_tuning_data_lack_the_validation_events_and_test_on_them():
    data = toy()
    tuning = data.for_tuning()
    assert len(tuning.train) == len(data.train) - 3
    assert tuning.test.item.tolist() == data.valid.item.tolist()
    with pytest.raises(DataError, match="RP507"):
        tuning.for_tuning()


def test_keeping_some_users_and_items_closes_codes_up_everywhere():
    data = toy()
    users = np.array([True, False, True, True, True, True])
    items = np.array([False, True, True, True, True, True])
    kept = data.keep(users=users, items=items)
    assert kept.users.ids.ids.to_list() == ["u1", "u3", "u4", "u5", "u6"]
    assert kept.items.ids.ids.to_list() == ["i2", "i3", "i4", "i5", "i6"]
    pairs = set(zip(kept.users.ids.outside(kept.train.user), kept.items.ids.outside(kept.train.item), strict=True))
    left = {"u1": ["i2", "i4"], "u3": ["i3", "i4", "i5"], "u4": ["i4", "i5"], "u5": ["i2", "i5"]}
    assert pairs == {(user, item) for user, items in left.items() for item in items}
    assert len(kept.held) == len(kept.train)
    assert kept.items.column("title").to_list()[0] == "red moon"


def test_events_outside_the_tables_are_refused():
    data = toy()
    with pytest.raises(ArtifactError, match=r"Dataset.train.user holds the code 9, and must lie in \[0, 6\)"):
        data.revise(train=replace(data.train, user=np.full(len(data.train), 9, np.int32)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite_are_refused_with_their_place(value):
    vectors = np.zeros((2, 3), np.float32)
    vectors[1, 2] = value
    with pytest.raises(ArtifactError, match=rf"holds {value} at \[1, 2\]"):
        Embeddings("item", ids("a", "b"), vectors)


def test_encoded_sides_must_have_one_width_and_the_right_axis():
    items = Embeddings("item", ids("a"), np.zeros((1, 2), np.float32))
    users = Embeddings("user", ids("u"), np.zeros((1, 3), np.float32))
    with pytest.raises(ArtifactError, match="2 dimensions and user vectors 3"):
        Encoded(items, users)
    with pytest.raises(ArtifactError, match="user vectors as items"):
        Encoded(items=users)
    with pytest.raises(ArtifactError, match="neither"):
        Encoded()
    assert Encoded.of(items).users is None


def test_block_and_history_scores_add_up_to_the_inner_product():
    profiles = fused(toy(), np.random.default_rng(0).normal(size=(6, 3)))
    users, items = np.array([0, 2, 4], np.int32), np.array([2, 0, 5], np.int32)
    whole = (profiles.user_vectors[users] * profiles.item_vectors[items]).sum(axis=1)
    np.testing.assert_allclose(profiles.block_scores(users, items).sum(axis=1), whole, rtol=1e-5)
    np.testing.assert_allclose(profiles.history_scores(users, items).sum(axis=1), whole, rtol=1e-5)


def test_blocks_that_do_not_cover_the_columns_are_refused():
    profiles = fused(toy())
    for blocks, words in (
        ((Block("a", 0, 5),), "the blocks cover 5 of 6 columns"),
        ((Block("a", 0, 3), Block("b", 4, 6)), "block 'b' starts at column 4, and must start at 3"),
        ((Block("a", 0, 3), Block("a", 3, 6)), "two blocks have one name"),
    ):
        with pytest.raises(ArtifactError, match=words):
            replace(profiles, blocks=blocks)


def lists(items, scores):
    return Recommendations(
        ids("u", "v"), ids("a", "b", "c"), np.array([0, 1], np.int32), np.array(items, np.int32),
        np.array(scores, np.float32), np.array([0, 1], np.int8),
    )  # fmt: skip


def test_lists_give_one_row_per_recommendation_with_outside_ids():
    frame = lists([[2, 0], [1, -1]], [[2, 1], [5, np.nan]]).frame()
    assert frame.rows() == [
        ("u", "c", 1, 2.0, "ranked"),
        ("u", "a", 2, 1.0, "ranked"),
        ("v", "b", 1, 5.0, "no history"),
    ]


@pytest.mark.parametrize(
    ("items", "scores", "words"),
    [
        ([[2, 0], [-1, 1]], [[2, 1], [np.nan, 5]], "a gap before the end"),
        ([[2, 0], [1, -1]], [[1, 2], [5, np.nan]], "rises within a list"),
        ([[2, 0], [1, -1]], [[2, np.inf], [5, np.nan]], "not finite"),
        ([[3, 0], [1, -1]], [[2, 1], [5, np.nan]], "holds the code 3"),
    ],
)
def test_lists_that_break_the_contract_are_refused(items, scores, words):
    with pytest.raises(ArtifactError, match=words):
        lists(items, scores)


def test_every_artifact_survives_the_disk(tmp_path):
    data = toy()
    recs = lists([[2, 0], [1, -1]], [[2, 1], [5, np.nan]])
    evidence = pl.DataFrame([(0, 2, "history", "a", "A", 0.5)], schema=EVIDENCE_SCHEMA, orient="row")
    said = pl.DataFrame([(0, 2, "because", None, "model")], schema=SENTENCE_SCHEMA, orient="row")
    groups = pl.DataFrame({"group": ["F"], "n": [3], "value": [0.5], "low": [0.4], "high": [0.6]})
    check = CheckResult(None, "too few", (Measure("gap", 0.1, 0.0, 0.2, 0.05, 9),), groups, {"by age/sex": groups})
    both = Encoded(
        Embeddings("item", data.items.ids, np.ones((6, 2), np.float32)),
        Embeddings(
            "user", data.users.ids, np.ones((6, 2), np.float32), annotations=pl.DataFrame({"tag": list("abcdef")})
        ),
    )
    explained = Explanations(recs.user_ids, recs.item_ids, evidence, said)
    for n, artifact in enumerate((data, recs, check, both, fused(data), explained)):
        folder = tmp_path / str(n)
        folder.mkdir()
        save_pack(artifact.pack(), folder)
        again = type(artifact).unpack(load_pack(folder))
        assert same_pack(again.pack(), artifact.pack())
        assert not [f for f in folder.iterdir() if f.suffix in (".pkl", ".pickle")]


def test_a_dataset_from_the_disk_has_its_rule_and_notes(tmp_path):
    data = toy().note("two rows dropped")
    save_pack(data.pack(), tmp_path)
    again = Dataset.unpack(load_pack(tmp_path))
    assert again.notes == ("two rows dropped",)
    assert again.positive == PositiveRule(">=", 4)


def test_profiles_from_the_disk_keep_their_pools(tmp_path):
    save_pack(fused(toy()).pack(), tmp_path)
    again = Profiles.unpack(load_pack(tmp_path))
    np.testing.assert_array_equal(again.blocks[0].pool, np.ones(6, np.float32))


def test_evidence_of_the_wrong_shape_is_refused():
    with pytest.raises(ArtifactError, match=r"Explanations\.evidence has the columns"):
        Explanations(ids("u"), ids("a"), pl.DataFrame({"user": [1]}), pl.DataFrame(schema=SENTENCE_SCHEMA))


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"])
def test_arrays_of_every_type_come_back_as_they_were(dtype, tmp_path):
    numbers = np.arange(12).astype(dtype)
    arrays = {"row": numbers, "grid": numbers.reshape(3, 4), "none": numbers[:0]}
    save_pack(Pack(arrays), tmp_path)
    again = load_pack(tmp_path).arrays
    assert sorted(again) == sorted(arrays)
    for name, array in arrays.items():
        assert again[name].dtype == array.dtype
        assert again[name].shape == array.shape
        assert again[name].tolist() == array.tolist()


def test_what_is_written_to_a_loaded_array_does_not_reach_the_file(tmp_path):
    save_pack(Pack({"x": np.arange(5)}), tmp_path)
    load_pack(tmp_path).arrays["x"][2] = 99
    assert load_pack(tmp_path).arrays["x"].tolist() == [0, 1, 2, 3, 4]


def test_arrays_that_were_cut_short_are_told(tmp_path):
    save_pack(Pack({"x": np.arange(1000)}), tmp_path)
    file = tmp_path / "arrays.safetensors"
    file.write_bytes(file.read_bytes()[:4000])
    with pytest.raises(ValueError, match=r"buffer"):
        load_pack(tmp_path)
    file.write_bytes(b"")
    with pytest.raises(ValueError, match=r"empty"):
        load_pack(tmp_path)
