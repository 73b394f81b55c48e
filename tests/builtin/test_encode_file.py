import re

import numpy as np
import polars as pl
import pytest

from recprofile.builtin.encode import File
from recprofile.plugin import DataError
from recprofile.testing import EncoderTests, context, dataset, toy

VECTORS = np.arange(12, dtype=np.float32).reshape(6, 2)
IDS = ["i1", "i2", "i3", "i4", "i5", "i6"]


class TestFile(EncoderTests):
    component = File
    examples = [{"path": "v.parquet"}, {"path": "v.npy", "ids": "ids.txt"}]

    @pytest.fixture(autouse=True)
    def files(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        pl.DataFrame({"id": IDS, "vector": VECTORS.tolist()}).write_parquet("v.parquet")
        np.save("v.npy", VECTORS)
        (tmp_path / "ids.txt").write_text("\n".join(IDS))


@pytest.fixture
def read(tmp_path):
    """Reads a file of tmp_path, and gives the vectors and what was warned."""

    def run(data=None, **params):
        warned: list[str] = []
        made = File(File.params_type.model_validate(params))
        got = made.encode(data or toy(), context(asset=lambda name: tmp_path / name, warn=warned.append))
        return got, warned

    return run


def test_parquet_lists_arrays_and_columns_give_the_same_vectors(tmp_path, read):
    ids = pl.Series("id", IDS[::-1])
    rows = VECTORS[::-1].tolist()
    pl.DataFrame([ids, pl.Series("v", rows)]).write_parquet(tmp_path / "lists.parquet")
    pl.DataFrame([ids, pl.Series("v", rows, dtype=pl.Array(pl.Float64, 2))]).write_parquet(tmp_path / "arrays.parquet")
    pl.DataFrame([ids, *(pl.Series(f"d{d}", VECTORS[::-1, d]) for d in (0, 1))]).write_parquet(
        tmp_path / "flat.parquet"
    )
    for name in ("lists", "arrays", "flat"):
        got, warned = read(path=f"{name}.parquet")
        assert got.vectors.tolist() == VECTORS.tolist()
        assert not got.missing.any()
        assert warned == []
    assert read(path="flat.parquet", columns=["d1"])[0].vectors.tolist() == VECTORS[:, 1:].tolist()


def test_vectors_are_matched_by_id_and_gaps_are_counted(tmp_path, read):
    frame = pl.DataFrame({"film": ["i2", "other", "i1", "i3"], "v": [[1, 2], [9, 9], [3, 4], None]})
    frame.write_parquet(tmp_path / "v.parquet")
    got, warned = read(path="v.parquet", id_column="film")
    assert got.vectors.tolist() == [[3, 4], [1, 2], [0, 0], [0, 0], [0, 0], [0, 0]]
    assert got.missing.tolist() == [False, False, True, True, True, True]
    assert warned == [
        "file: 4 of 6 items have no vector in 'v.parquet', and 1 of its vectors are of no item of the data"
    ]


def test_npy_and_safetensors_take_ids_from_text_parquet_and_npy(tmp_path, read):
    import torch
    from safetensors.torch import save_file

    np.save(tmp_path / "v.npy", VECTORS[::-1].astype(np.float64))
    save_file({"v": torch.from_numpy(VECTORS[::-1].copy()).bfloat16()}, tmp_path / "v.safetensors")
    (tmp_path / "ids.txt").write_text("\n".join(IDS[::-1]) + "\n")
    pl.DataFrame({"id": IDS[::-1]}).write_parquet(tmp_path / "ids.parquet")
    np.save(tmp_path / "ids.npy", np.array(IDS[::-1]))
    for path in ("v.npy", "v.safetensors"):
        for ids in ("ids.txt", "ids.parquet", "ids.npy"):
            assert read(path=path, ids=ids)[0].vectors.tolist() == VECTORS.tolist()


def test_whole_number_ids_are_matched_as_numbers(tmp_path, read):
    np.save(tmp_path / "v.npy", VECTORS[:2])
    data = dataset([(1, 10), (1, 2)])
    (tmp_path / "ids.txt").write_text("10\n2")
    np.save(tmp_path / "ids.npy", np.array([10, 2]))
    for ids in ("ids.txt", "ids.npy"):
        assert read(data, path="v.npy", ids=ids)[0].vectors.tolist() == VECTORS[[1, 0]].tolist()


def test_without_ids_vectors_are_those_of_the_rows_of_the_items_file(tmp_path, read):
    np.save(tmp_path / "v.npy", VECTORS[:3])
    items = {"id": ["c", "a", "b"], "title": ["x", "y", "z"]}
    got, _ = read(dataset([("u", "a"), ("u", "new")], items=items), path="v.npy")
    # dense order is a, b, c, new; the file's is c, a, b
    assert got.vectors.tolist() == [*VECTORS[[1, 2, 0]].tolist(), [0, 0]]
    assert got.missing.tolist() == [False, False, False, True]


def test_counts_that_differ_are_refused(tmp_path, read):
    np.save(tmp_path / "v.npy", VECTORS[:5])
    with pytest.raises(DataError, match=r"RP506 'v.npy' has 5 vectors for 6 rows of toy table") as caught:
        read(path="v.npy")
    assert caught.value.problems[0].help == ("give the ids of the vectors as 'ids: FILE'",)
    np.save(tmp_path / "w.npy", VECTORS)
    fewer = toy().keep(items=np.arange(6) != 1)
    with pytest.raises(DataError, match=r"RP506 'w.npy' has 6 vectors for 5 rows"):
        read(fewer, path="w.npy")
    (tmp_path / "ids.txt").write_text("i1\ni2")
    with pytest.raises(DataError, match=r"RP506 'ids.txt' has 2 ids for 5 vectors in 'v.npy'"):
        read(path="v.npy", ids="ids.txt")


def test_ids_that_are_repeated_or_all_unknown_are_refused(tmp_path, read):
    pl.DataFrame({"id": ["i1", "i2", "i1"], "v": [[1.0], [2.0], [3.0]]}).write_parquet(tmp_path / "twice.parquet")
    with pytest.raises(DataError, match=r"RP506 'twice.parquet' has the id 'i1' in rows 1 and 3"):
        read(path="twice.parquet")
    pl.DataFrame({"id": [1, 2], "v": [[1.0], [2.0]]}).write_parquet(tmp_path / "other.parquet")
    with pytest.raises(DataError, match=r"RP506 no id in 'other.parquet' is one of the items") as caught:
        read(path="other.parquet")
    assert caught.value.problems[0].help == ("the items are 'i1', 'i2', 'i3', …",)


@pytest.mark.parametrize(("value", "says"), [(float("nan"), "nan"), (float("inf"), "inf"), (1e300, "inf")])
def test_a_value_that_is_not_finite_is_refused_with_its_row(tmp_path, read, value, says):
    pl.DataFrame({"id": ["i5", "i9", "i1"], "v": [None, [0.0, 0.0], [0.0, value]]}).write_parquet(
        tmp_path / "v.parquet"
    )
    with pytest.raises(DataError, match=f"RP503 'v.parquet' holds {says} in row 3, the vector of item 'i1'"):
        read(path="v.parquet")


def test_parquet_vectors_must_be_of_one_length_and_of_numbers(tmp_path, read):
    pl.DataFrame({"id": ["i1", "i2"], "v": [[1.0], [2.0, 3.0]]}).write_parquet(tmp_path / "v.parquet")
    with pytest.raises(DataError, match=r"RP506 'v.parquet' has 1 numbers in row 1 and 2 in row 2"):
        read(path="v.parquet")
    pl.DataFrame({"id": ["i1"], "v": [["a"]]}).write_parquet(tmp_path / "text.parquet")
    with pytest.raises(DataError, match=r"RP503 column 'v' of 'text.parquet' is List\(String\)"):
        read(path="text.parquet")
    pl.DataFrame({"id": ["i1"], "v": [[1.0]], "w": [[1.0]]}).write_parquet(tmp_path / "two.parquet")
    with pytest.raises(DataError, match=r"RP502 'two.parquet' has 2 columns of lists"):
        read(path="two.parquet")
    assert read(path="two.parquet", columns=["w"])[0].vectors[0].tolist() == [1]


def test_names_that_are_not_there_are_refused_with_the_closest(tmp_path, read):
    from safetensors.numpy import save_file

    pl.DataFrame({"item_id": ["i1"], "v": [[1.0]]}).write_parquet(tmp_path / "v.parquet")
    with pytest.raises(DataError, match=r"RP502 no column 'itemid' in 'v.parquet'") as caught:
        read(path="v.parquet", id_column="itemid")
    assert "did you mean 'item_id'?" in caught.value.problems[0].help
    save_file({"query": VECTORS, "value": VECTORS}, tmp_path / "v.safetensors")
    with pytest.raises(DataError, match=r"RP502 no tensor 'quary' in 'v.safetensors'") as caught:
        read(path="v.safetensors", tensor="quary")
    assert "did you mean 'query'?" in caught.value.problems[0].help
    with pytest.raises(DataError, match=r"RP502 2 tensors, and 'tensor' does not say which, in 'v.safetensors'"):
        read(path="v.safetensors")
    assert read(path="v.safetensors", tensor="value")[0].dim == 2


def test_a_file_that_cannot_be_read_is_refused(tmp_path, read):
    for name in ("v.parquet", "v.npy", "v.safetensors"):
        with pytest.raises(DataError, match=f"RP501 '{name}' cannot be read"):
            read(path=name)
        (tmp_path / name).write_bytes(b"nonsense")
        with pytest.raises(DataError, match=f"RP501 '{name}' cannot be read"):
            read(path=name)
    with pytest.raises(DataError, match=r"RP501 'v.pkl' is none of"):
        read(path="v.pkl")
    np.save(tmp_path / "objects.npy", np.array([{}, {}], dtype=object))
    with pytest.raises(DataError, match=r"RP501 'objects.npy' cannot be read"):
        read(path="objects.npy")
    np.save(tmp_path / "flat.npy", np.arange(6))
    with pytest.raises(DataError, match=r"RP506 'flat.npy' holds int64 of shape"):
        read(path="flat.npy")
    np.save(tmp_path / "none.npy", np.zeros((0, 4)))
    with pytest.raises(DataError, match=r"RP504 'none.npy' has no vectors"):
        read(path="none.npy")


def test_user_vectors_are_read_by_user_id(tmp_path, read):
    pl.DataFrame({"id": ["u2"], "v": [[1.0]]}).write_parquet(tmp_path / "v.parquet")
    got, _ = read(path="v.parquet", axis="user")
    assert got.axis == "user"
    assert got.vectors[:, 0].tolist() == [0, 1, 0, 0, 0, 0]


def test_keys_of_another_format_are_refused_before_anything_is_read():
    for wrong, says in (
        ({"path": "v.parquet", "ids": "ids.txt"}, "'ids' goes with .npy or .safetensors, not with 'v.parquet'"),
        ({"path": "v.npy", "columns": ["a"]}, "'columns' goes with .parquet, not with 'v.npy'"),
        ({"path": "v.npy", "tensor": "a"}, "'tensor' goes with .safetensors, not with 'v.npy'"),
    ):
        with pytest.raises(ValueError, match=re.escape(says)):
            File.params_type.model_validate(wrong)
