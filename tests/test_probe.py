"""`validate` looks at the data: what is wrong is told at its place in the recipe, and nothing is read whole."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recprofile.cli.main import status_of
from recprofile.cli.terminal import console, errors_console
from recprofile.dataset.source import DataFile

RATINGS = "user,item,weight,time\n" + "".join(
    f"{u},{i},{1 + (u + i) % 5},{1000 * i}\n" for u in range(6) for i in range(8)
)
ITEMS = "id,title,genre,year\n" + "".join(f"{i},title {i},g{i % 2},{1990 + i}\n" for i in range(8))
USERS = "id,gender\n" + "".join(f"{u},{'FM'[u % 2]}\n" for u in range(6))
RECIPE = """\
recipe: 1
data:
  interactions: {path: ratings.csv, weight: weight, time: time}
  items: items.csv
  users: users.csv
  positive: ">= 3"
  split: {by: user-time}
stages:
  - preprocess: impute
    with: {columns: {year: median}, missing_indicator: true}
  - encode: tfidf
    with: {columns: [title]}
  - encode: numbers
    with: {columns: [year, year_missing]}
  - fuse: weighted
    from: [tfidf, numbers]
    with: {half_life_days: 30}
  - recommend: dot
  - explain: evidence
    with: {label: title}
evaluate: {groups: [gender]}
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for made in (console, errors_console):
        made.cache_clear()
    for name, text in (("ratings.csv", RATINGS), ("items.csv", ITEMS), ("users.csv", USERS), ("r.yaml", RECIPE)):
        Path(name).write_text(text, encoding="utf-8")
    yield
    for made in (console, errors_console):
        made.cache_clear()


@pytest.fixture
def check(capsys):
    def run(*changes: tuple[str, str], recipe: str = RECIPE, options: tuple[str, ...] = ()) -> tuple[int, str, str]:
        """Exit code, standard output and error of `validate` for the recipe with these changes."""
        for old, new in changes:
            assert old in recipe
            recipe = recipe.replace(old, new, 1)
        Path("r.yaml").write_text(recipe, encoding="utf-8")
        status = status_of(["validate", "r.yaml", *options])
        out, err = capsys.readouterr()
        return status, out, err

    return run


def heads(err: str) -> list[str]:
    return [line for line in err.splitlines() if re.match(r"(\S+:\d+:\d+: )?RP\d", line)]


def test_a_right_recipe_with_its_data_is_said_to_be_right_with_sizes(check):
    assert check() == (
        0,
        "r.yaml: 6 stages, nothing wrong; ratings.csv 48 rows, items.csv 8 rows, users.csv 6 rows\n",
        "",
    )


def test_what_was_found_is_in_the_json(check):
    found = json.loads(check(options=("--json",))[1])
    assert (found["problems"], found["warnings"], found["notes"]) == ([], [], [])
    assert found["data"]["items"] == {
        "path": "items.csv",
        "kind": "csv",
        "bytes": len(ITEMS),
        "rows": 8,
        "rows_exact": True,
        "columns": {"id": "String", "title": "String", "genre": "String", "year": "String"},
    }


def test_without_data_only_the_recipe_is_looked_at(check):
    Path("ratings.csv").unlink()
    assert check()[0] == 3
    assert check(options=("--no-data",)) == (0, "r.yaml: 6 stages, nothing wrong\n", "")


@pytest.mark.parametrize(
    ("old", "new", "head", "help"),
    [
        ("ratings.csv", "rating.csv", "3:24: RP501 no file 'rating.csv'", "did you mean 'ratings.csv'?"),
        ("items.csv", "items", "4:10: RP501 no file 'items'", "did you mean 'items.csv'?"),
        (
            "weight: weight",
            "weight: wieght",
            "3:45: RP502 no column 'wieght' in 'ratings.csv'",
            "did you mean 'weight'?",
        ),
        ("time: time", "time: tme", "3:59: RP502 no column 'tme' in 'ratings.csv'", "did you mean 'time'?"),
        (
            "items: items.csv",
            "items: {path: items.csv, id: ide}",
            "4:32: RP502 no column 'ide' in 'items.csv'",
            "did you mean 'id'?",
        ),
        ("[title]", "[titel]", "12:22: RP502 no column 'titel' in items.csv", "did you mean 'title'?"),
        ("[title]", "[id]", "12:22: RP502 no column 'id' in items.csv", "columns: genre, title, year, year_missing"),
        ("label: title", "label: tile", "20:19: RP502 no column 'tile' in items.csv", "did you mean 'title'?"),
        (
            "{year: median}",
            "{yaer: median}",
            "10:22: RP502 no column 'yaer' in items, users or interactions",
            "did you mean 'year'?",
        ),
        ("[gender]", "[gendre]", "21:21: RP502 no column 'gendre' in users.csv", "did you mean 'gender'?"),
        ("weight: weight, time: time", "weight: weight, time: item", None, None),
    ],
)
def test_a_wrong_name_of_a_file_or_column_is_told_at_its_place(check, old, new, head, help):
    if old == "{year: median}":  # what the indicator would be called is a follow-up
        status, _, err = check((old, new), (", year_missing]", "]"))
    else:
        status, _, err = check((old, new))
    if head is None:
        assert status == 0
        return
    assert (status, heads(err)) == (3, [f"r.yaml:{head}"])
    assert help in err


def test_without_times_each_need_of_them_is_told_and_is_the_recipes_fault(check):
    Path("ratings.csv").write_text(RATINGS.replace("weight,time", "weight,when"), encoding="utf-8")
    status, _, err = check((", time: time", ""))
    assert status == 2
    assert heads(err) == [
        "r.yaml:7:10: RP507 the split 'user-time' needs times, and 'ratings.csv' has none",
        "r.yaml:15:11: RP406 'weighted' needs the time of events",
    ]


def test_values_of_the_first_rows_are_looked_at(check):
    Path("ratings.csv").write_text(RATINGS.replace("0,1,2,", "0,1,good,", 1).replace(",2000\n", ",soon\n", 1))
    status, _, err = check()
    assert (status, heads(err)) == (
        3,
        [
            "r.yaml:3:45: RP503 'good' in column 'weight' is no number",
            "r.yaml:3:59: RP503 'soon' in column 'time' is no time",
        ],
    )
    assert "at ratings.csv, row 2 (line 3), column 'weight'" in err
    assert "first 1000 rows" not in err


def test_that_only_the_first_rows_were_looked_at_is_said(check):
    many = "user,item,weight,time\n0,0,good,1\n" + RATINGS.partition("\n")[2] * 50
    Path("ratings.csv").write_text(many, encoding="utf-8")
    status, _, err = check()
    assert status == 3
    assert "     = seen in the first 1000 rows; the others were not looked at\n" in err
    late = "user,item,weight,time\n" + RATINGS.partition("\n")[2] * 50 + "0,0,good,1\n"
    Path("ratings.csv").write_text(late, encoding="utf-8")
    assert check()[0] == 0


def test_weights_with_gaps_are_right_where_a_stage_fills_them(check):
    Path("ratings.csv").write_text(RATINGS.replace("0,1,2,", "0,1,,", 1), encoding="utf-8")
    assert "RP503 no weight in column 'weight'" in check()[2]
    assert check(("{year: median}", "{year: median, weight: median}"))[0] == 0


def test_a_stage_that_names_the_weights_column_in_the_file_is_told_what_it_is_called(check):
    Path("ratings.csv").write_text(RATINGS.replace("weight", "amount"), encoding="utf-8")
    status, _, err = check(("weight: weight", "weight: amount"), ("{year: median}", "{year: median, amount: mean}"))
    assert status == 3
    assert "RP502 no column 'amount' in items, users or interactions" in err
    assert "= 'amount' is the events' weight, which stages call 'weight'" in err


def test_an_id_that_stands_twice_is_seen(check):
    Path("items.csv").write_text(ITEMS + "3,again,g,2000\n", encoding="utf-8")
    status, _, err = check()
    assert (status, heads(err)) == (3, ["r.yaml:4:10: RP506 the item id '3' stands twice in 'items.csv'"])


def test_ids_of_which_none_matches_are_a_warning(check):
    Path("items.csv").write_text(ITEMS.replace("\n", "\nB"), encoding="utf-8")
    status, out, err = check()
    assert status == 0
    assert "nothing wrong" in out
    assert err == (
        "warning: no item id of all events of 'ratings.csv' is in 'items.csv': column 'item' has ids such as 0, "
        "column 'id' of the table such as 'B0'\n"
    )


def test_a_rule_that_no_event_without_weight_can_meet_is_told(check):
    Path("ratings.csv").write_text(RATINGS.replace("weight", "stars"), encoding="utf-8")
    status, _, err = check(("weight: weight, ", ""))
    assert (status, heads(err)) == (3, ["r.yaml:6:13: RP505 no event is positive by '>= 3'"])
    assert "weight: …}" in err


def test_problems_of_recipe_and_data_are_one_list_in_file_order(check):
    status, _, err = check(
        ("time: time}", "time: tim}"), ("[title]", "[titel]"), ("encode: numbers", "encode: nubmers"), ("by:", "bye:")
    )
    assert status == 2
    assert [re.sub(r"^r.yaml:(\d+):\d+: (RP\d+).*", r"\1 \2", head) for head in heads(err)] == [
        "3 RP502",
        "7 RP201",
        "12 RP502",
        "13 RP301",
    ]


def test_a_misspelt_table_is_one_problem(check):
    status, _, err = check(("  items:", "  itmes:"))
    assert (status, heads(err)) == (2, ["r.yaml:4:3: RP201 unknown key 'itmes'"])


def test_parts_in_files_of_their_own_and_candidates_are_looked_at(check):
    Path("test.csv").write_text("user,item,time\n1,1,5\n", encoding="utf-8")
    Path("new.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    changes = [("{by: user-time}", "{by: file, test: test.csv, valid: valid.csv}")]
    status, _, err = check(*changes, recipe=RECIPE + "list: {candidates: new.csv}\n")
    assert status == 3
    assert heads(err) == [
        "r.yaml:7:27: RP502 no column 'weight' in 'test.csv'",
        "r.yaml:7:44: RP501 no file 'valid.csv'",
        "r.yaml:22:20: RP502 no column 'item', 'id' or 'item_id' in 'new.csv'",
    ]


def test_what_is_not_fetched_yet_is_noted_and_no_error(check):
    status, out, err = check(
        ("path: ratings.csv", "path: dataset://movielens-100k/interactions"),
        ("encode: tfidf", "encode: hf/text\n    id: tfidf"),
        ("{columns: [title]}", "{columns: [title], model: hub://org/model}"),
    )
    assert (status, err) == (0, "")
    assert out.splitlines()[1:] == [
        "note: dataset://movielens-100k is not here yet, so it was not looked at: recprofile data fetch movielens-100k",
        "note: hub://org/model is not here yet: recprofile data fetch 'hub://org/model'",
    ]


def test_an_asset_on_this_disk_that_is_not_there_is_told(check):
    status, _, err = check(("encode: tfidf", "encode: file\n    id: tfidf"), ("{columns: [title]}", "{path: v.npy}"))
    assert (status, len(heads(err))) == (4, 1)
    assert heads(err)[0].startswith("r.yaml:13:18: RP605 no file or folder '")


def test_the_columns_of_json_lines_and_parquet_are_known(check):
    pl.read_csv("ratings.csv").write_parquet("ratings.parquet")
    pl.read_csv("items.csv").write_ndjson("items.jsonl")
    changes = [("ratings.csv", "ratings.parquet"), ("items.csv", "items.jsonl")]
    assert check(*changes)[0] == 0
    assert heads(check(*changes, ("[title]", "[titel]"))[2]) == ["r.yaml:12:22: RP502 no column 'titel' in items.jsonl"]


def test_rows_of_a_text_file_are_counted_or_estimated(check):
    body = RATINGS.partition("\n")[2]
    Path("ratings.csv").write_text("user,item,weight,time\n" + body * 100, encoding="utf-8")
    assert "ratings.csv 4,800 rows" in check()[1]
    quoted = "".join(f'{i},"a\nb {i}",g,1990\n' for i in range(1200))
    Path("items.csv").write_text("id,title,genre,year\n" + quoted, encoding="utf-8")
    assert "items.csv 1,200 rows" in check()[1]
    Path("ratings.csv").write_text("user,item,weight,time\n" + body * 4000, encoding="utf-8")
    assert "ratings.csv about 190,000 rows" in check()[1]


def test_no_file_of_events_is_read_whole(check, monkeypatch):
    def refused(*_):
        raise AssertionError("read")

    Path("ratings.csv").write_text("user,item,weight,time\n" + RATINGS.partition("\n")[2] * 100, encoding="utf-8")
    monkeypatch.setattr(DataFile, "read", refused)
    monkeypatch.setattr(DataFile, "read_all", refused)
    assert check()[0] == 0


def test_ten_million_rows_of_parquet_are_probed_in_little_more_time_than_ten_and_without_torch(tmp_path):
    Path("r.yaml").write_text(RECIPE.replace("ratings.csv", "ratings.parquet").replace("users.csv", "items.csv"))
    Path("r.yaml").write_text(Path("r.yaml").read_text().replace("evaluate: {groups: [gender]}\n", ""))
    code = (
        "import sys\nfrom recprofile.cli.main import status_of\nstatus = status_of(['validate', 'r.yaml'])\n"
        "print(status, [m for m in ('torch', 'scipy', 'pandas', 'transformers') if m in sys.modules], file=sys.stderr)"
    )

    def least(n):
        """Seconds of a processor, and the better of two: this machine may be busy, or slow."""
        ids = np.arange(n, dtype=np.int32)
        columns = {"user": ids % 100_000, "item": ids % 8, "weight": (ids % 5 + 1).astype(np.int8), "time": ids}
        pl.DataFrame(columns).write_parquet("ratings.parquet", compression="uncompressed", statistics=False)
        took = []
        for _ in range(2):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            assert done.stderr.splitlines()[-1] == "0 []"
            assert f"ratings.parquet {n:,} rows" in done.stdout
        return min(took)

    assert least(10_000_000) < least(100) + 0.5
