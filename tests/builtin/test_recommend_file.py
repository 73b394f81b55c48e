import json

import numpy as np
import polars as pl
import pytest

from recprofile.builtin.recommend import FileLists
from recprofile.plugin import DataError, Inputs
from recprofile.testing import RecommenderTests, context, dataset, toy

LISTS = {"user": ["u1", "u1", "u2"], "item": ["i3", "i2", "i5"], "score": [0.5, 0.0, -1.0]}
NOTHING = -np.inf


@pytest.fixture(scope="class")
def lists(tmp_path_factory, request):
    path = tmp_path_factory.mktemp("lists") / "lists.parquet"
    pl.DataFrame(LISTS).write_parquet(path)
    request.cls.examples = [{"path": str(path)}]


@pytest.mark.usefixtures("lists")
class TestFileLists(RecommenderTests):
    component = FileLists
    examples = []


def fit(path, *, data=None, ctx=None, **params):
    component = FileLists(FileLists.params_type(path=str(path), **params))
    return component.fit(data or toy(), Inputs(), ctx or context())


def written(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_listed_items_have_their_score_and_all_others_are_not_ranked(tmp_path):
    path = tmp_path / "lists.parquet"
    pl.DataFrame(LISTS).write_parquet(path)
    ranker = fit(path)
    assert ranker.known_users().tolist() == [True, True, False, False, False, False]
    assert ranker.scores(np.array([1, 0, 5], np.int32)).tolist() == [
        [NOTHING, NOTHING, NOTHING, NOTHING, -1, NOTHING],
        [NOTHING, 0, 0.5, NOTHING, NOTHING, NOTHING],
        [NOTHING] * 6,
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lists.csv", "user,item,score\nu1,i3,0.5\nu1,i2,0\nu2,i5,-1\n"),
        ("lists.tsv", "user\titem\tscore\nu1\ti3\t0.5\nu1\ti2\t0\nu2\ti5\t-1\n"),
        ("lists.jsonl", "\n".join(json.dumps(row) for row in pl.DataFrame(LISTS).rows(named=True))),
    ],
)
def test_every_format_gives_the_same(tmp_path, name, text):
    scores = fit(written(tmp_path, name, text)).scores(np.array([0, 1], np.int32))
    assert scores[0, [1, 2]].tolist() == [0, 0.5]
    assert scores[1, 4] == -1
    assert np.isfinite(scores).sum() == 3


def test_without_a_score_the_best_rank_scores_highest(tmp_path):
    path = written(tmp_path, "lists.csv", "user,item,rank\nu1,i3,1\nu1,i2,2\nu1,i6,3\n")
    assert fit(path).scores(np.array([0], np.int32))[0].tolist() == [NOTHING, -2, -1, NOTHING, NOTHING, -3]


def test_columns_may_have_other_names(tmp_path):
    path = written(tmp_path, "lists.csv", "who,what,place,score\nu1,i3,1,7\nu1,i2,2,9\n")
    ranker = fit(path, user="who", item="what", rank="place")
    assert ranker.scores(np.array([0], np.int32))[0, [1, 2]].tolist() == [-2, -1]


@pytest.mark.parametrize("column", [[1, 2], [1.0, 2.0], ["1", "2"]])
def test_ids_are_matched_by_value_whatever_their_type(tmp_path, column):
    path = tmp_path / "lists.parquet"
    pl.DataFrame({"user": column, "item": column, "score": [1.0, 2.0]}).write_parquet(path)
    for data in (dataset([(1, 1), (2, 2)]), dataset([("1", "1"), ("2", "2")])):
        scores = fit(path, data=data).scores(np.array([0, 1], np.int32))
        assert scores.tolist() == [[1, NOTHING], [NOTHING, 2]]


def test_a_fraction_is_not_taken_for_the_whole_number_below_it(tmp_path):
    path = tmp_path / "lists.parquet"
    pl.DataFrame({"user": [1, 1], "item": [1.5, 2.5], "score": [1.0, 2.0]}).write_parquet(path)
    with pytest.raises(DataError, match="RP506"):
        fit(path, data=dataset([(1, 1), (2, 2)]))


def test_unknown_ids_and_repeated_pairs_are_counted(tmp_path):
    said = []
    path = written(tmp_path, "lists.csv", "user,item,score\nu1,i3,1\nu1,i3,3\nu1,i3,2\nu9,i3,1\nu1,i9,1\nu1,,1\n")
    ranker = fit(path, ctx=context(warn=said.append))
    assert ranker.scores(np.array([0], np.int32))[0, 2] == 3
    assert said == [
        "3 of 6 rows of 'lists.csv' have a user or item that the data lack: left out",
        "2 rows of 'lists.csv' repeat a pair: the better row counts",
    ]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e300", "much", ""])
def test_a_score_that_is_no_finite_number_is_refused_with_its_row(tmp_path, value):
    path = written(tmp_path, "lists.csv", f"user,item,score\nu1,i1,1\nu1,i2,{value}\n")
    with pytest.raises(DataError, match=r"RP503 .* in column 'score' is no finite number\n.*lists.csv, row 2"):
        fit(path)


def test_a_misspelt_column_gets_the_closest_name(tmp_path):
    path = written(tmp_path, "lists.csv", "user,item,scores\nu1,i1,1\n")
    with pytest.raises(DataError, match=r"RP502 no column 'userr' in 'lists.csv'\n.*did you mean 'user'"):
        fit(path, user="userr")
    with pytest.raises(DataError, match=r"RP502 no column 'score' or 'rank'(.|\n)*did you mean 'scores'"):
        fit(path)
    with pytest.raises(DataError, match=r"RP502 no column 'place'"):
        fit(path, rank="place")


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("lists.csv", "", "RP504 'lists.csv' has no rows"),
        ("lists.csv", "user,item,score\n", "RP504 'lists.csv' has no rows"),
        ("lists.jsonl", "", "RP504 'lists.jsonl' has no rows"),
        ("lists.parquet", "not parquet", "RP501 'lists.parquet' cannot be read"),
        ("lists.jsonl", "{", "RP501 'lists.jsonl' cannot be read"),
        ("lists.xlsx", "", "RP501 'lists.xlsx' is of no known format"),
        ("lists.csv", "user,item,score\nx,y,1\n", "RP506 no row of 'lists.csv' has a user and an item of the data"),
    ],
)
def test_a_file_that_cannot_serve_is_named(tmp_path, name, text, code):
    with pytest.raises(DataError, match=code):
        fit(written(tmp_path, name, text))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="RP501 no file"):
        fit(tmp_path / "lists.csv")
