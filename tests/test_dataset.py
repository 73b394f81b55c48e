"""The `data:` block: files read, ids mapped, values checked, parts made; and the exact message for every bad input."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recprofile.artifacts import Dataset, Interactions, PositiveRule
from recprofile.dataset import describe, load_dataset, read_ids
from recprofile.errors import DataError
from recprofile.recipe import load_recipe
from recprofile.source import read_source

# Two users with the items 1 to 5, in order of time, and ratings 5, 3, 4, 4, 1: of each, item 5 is test.
HEAD = "user,item,weight,time\n"
ROWS = "".join(f"{u},{i},{w},{10 * i}\n" for u in (1, 2) for i, w in enumerate((5, 3, 4, 4, 1), start=1))
LOG = HEAD + ROWS
PLAIN = "  interactions: log.csv\n"
PARTS = PLAIN + "  split: {by: file, test: t.csv, valid: v.csv}\n"


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Dataset]:
    """Load a `data:` block; files by name, with '_' for '.', as text, bytes or a frame for Parquet."""
    monkeypatch.chdir(tmp_path)

    def loaded(
        block: str = PLAIN, *, warned: list[str] | None = None, more: dict[str, Any] | None = None, **files: Any
    ) -> Dataset:
        for name, content in files.items():
            path = tmp_path / name.replace("_", ".")
            if isinstance(content, pl.DataFrame):
                content.write_parquet(path)
            else:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
        (tmp_path / "r.yaml").write_text(f"recipe: 1\ndata:\n{block}stages:\n  - recommend: popular\n")
        source = read_source("r.yaml")
        data = load_recipe(source).data
        paths = {"interactions": data.interactions.path}
        paths |= {name: table.path for name in ("items", "users") if (table := getattr(data, name))}
        for name in ("test", "valid"):
            if path := getattr(data.split, name, None):
                paths[name] = path
        return load_dataset(
            data,
            files={name: tmp_path / path for name, path in paths.items()},
            span=lambda loc, key=False: source.at(("data", *loc), key=key),
            warn=(warned if warned is not None else []).append,
            **(more or {}),
        )

    return loaded


@pytest.fixture
def refusal(load: Callable[..., Dataset], tmp_path: Path) -> Callable[..., str]:
    """The rendered error that loading gives, without its source lines."""

    def refused(*args: Any, **kwargs: Any) -> str:
        with pytest.raises(DataError) as caught:
            load(*args, **kwargs)
        lines = str(caught.value).replace(f"{tmp_path}/", "").splitlines()
        return "\n".join(line.strip() for line in lines if " | " not in line)

    return refused


def rows(data: Dataset, part: Interactions) -> list[tuple[Any, ...]]:
    users, items = data.users.ids.outside(part.user), data.items.ids.outside(part.item)
    return list(zip(users.to_list(), items.to_list(), part.weight.tolist(), strict=True))


def everything(data: Dataset) -> list[tuple[Any, ...]]:
    return sorted(rows(data, data.train) + rows(data, data.test))


# --- what is read ---


def test_a_log_becomes_parts_in_the_order_of_the_file(load):
    data = load(log_csv=LOG)
    assert rows(data, data.train) == [(u, i, w) for u in (1, 2) for i, w in ((1, 5), (2, 3), (3, 4), (4, 4))]
    assert rows(data, data.test) == [(1, 5, 1), (2, 5, 1)]
    assert data.test.time.tolist() == [50, 50]
    assert data.train.user.dtype == data.train.item.dtype == np.int32
    assert data.train.positive.all()
    assert data.notes == ("the split 'user-time' leaves no validation events",)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.csv", b"\xef\xbb\xbf" + LOG.encode()),
        ("log.csv", LOG.replace("\n", "\r\n").encode()),
        ("log.csv", LOG.rstrip("\n").encode()),
        ("log.csv.gz", gzip.compress(LOG.encode())),
        ("log.tsv", LOG.replace(",", "\t").encode()),
        ("log.jsonl", pl.read_csv(LOG.encode()).write_ndjson().encode()),
        ("log.ndjson", b"\xef\xbb\xbf" + pl.read_csv(LOG.encode()).write_ndjson().replace("\n", "\n\n").encode()),
        ("log.parquet", pl.read_csv(LOG.encode())),
        ("log.parquet", pl.read_csv(LOG.encode()).cast({"user": pl.Float64, "item": pl.UInt16, "weight": pl.Int8})),
    ],
    ids=["bom", "crlf", "no last newline", "gzip", "tsv", "jsonl", "jsonl bom", "parquet", "parquet types"],
)
def test_every_format_gives_the_same_data(load, name, content):
    data = load(f"  interactions: {name}\n", **{name.replace(".", "_"): content})
    assert everything(data) == everything(load(log_csv=LOG))
    assert data.items.ids.ids.dtype == data.users.ids.ids.dtype == pl.Int64
    assert data.train.time is not None


def test_columns_are_mapped_and_a_separator_and_format_can_be_named(load):
    text = LOG.replace("user,item,weight,time", "u,i,r,t").replace(",", ";")
    named = "{path: log.dat, user: u, item: i, weight: r, time: t, format: csv, separator: ';'}"
    assert everything(load(f"  interactions: {named}\n", log_dat=text)) == everything(load(log_csv=LOG))


def test_without_weights_each_is_one_and_without_times_there_are_none(load):
    data = load(log_csv="user,item\n" + "".join(f"a,{i}\n" for i in range(10)))
    assert data.train.time is None
    assert data.test.weight.tolist() == [1, 1]


def test_context_columns_are_kept_with_their_types(load):
    text = "user,item,device,age\n" + "".join(f"1,{i},d{i},{20 + i}\n" for i in range(5))
    context = load("  interactions: {path: log.csv, columns: [device, age]}\n", log_csv=text).train.context
    assert context.schema == {"device": pl.String, "age": pl.Int64}
    assert len(context) == 4


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (["1", "20", "3"], [1, 3, 20]),
        (["1.0", "20.0", "3.0"], [1, 3, 20]),
        (["-1", "0", "5"], [-1, 0, 5]),
        (["007", "7", "8"], ["007", "7", "8"]),
        (["+7", "8", "9"], ["+7", "8", "9"]),
        (["1", "2", "b"], ["1", "2", "b"]),
        (["1.5", "2", "3"], ["1.5", "2", "3"]),
        (["1e3", "2", "3"], ["1e3", "2", "3"]),
        ([" a", "a", "a "], [" a", "a", "a "]),
        (["99999999999999999999", "1", "2"], ["1", "2", "99999999999999999999"]),
    ],
)
def test_ids_in_text_are_numbers_only_if_all_come_out_as_they_went_in(load, written, kept):
    text = "user,item\n" + "".join(f"{u},{i}\n" for u in written for i in range(5))
    assert load(log_csv=text).users.ids.ids.to_list() == kept


def test_an_id_that_is_no_number_may_come_late(load):
    text = "user,item\n" + "".join(f"{i},{i % 5}\n" for i in range(3000)) + "x,1\n" * 5
    users = load(log_csv=text).users.ids.ids
    assert users.dtype == pl.String
    assert len(users) == 3001


def test_text_ids_of_a_typed_file_stay_text_and_so_does_the_axis(load):
    log = pl.read_csv(LOG.encode()).with_columns(pl.col("item").cast(pl.String))
    data = load(
        "  interactions: log.parquet\n  items: items.csv\n", log_parquet=log, items_csv="id,name\n1,a\n2,b\n11,c\n"
    )
    assert data.items.ids.ids.to_list() == ["1", "11", "2", "3", "4", "5"]
    assert data.items.frame["name"].to_list() == ["a", "c", "b", None, None, None]


def test_whole_numbers_far_apart_are_ids_too(load):
    text = "user,item\n" + "".join(f"{u},{i}\n" for u in (-(10**17), 10**17) for i in range(5))
    data = load(log_csv=text)
    assert data.users.ids.ids.to_list() == [-(10**17), 10**17]
    assert sorted(set(data.train.user.tolist())) == [0, 1]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (["1600000000", "1600000001"], [1600000000, 1600000001]),
        (["1600000000.9", "1600000001"], [1600000000, 1600000001]),
        (["1600000000123", "1600000001000"], [1600000000, 1600000001]),
        (["1600000000000000", "1600000001999999"], [1600000000, 1600000001]),
        (["1600000000000000000", "1600000001000000000"], [1600000000, 1600000001]),
        (["2020-09-13T12:26:40Z", "2020-09-13 12:26:41"], [1600000000, 1600000001]),
        (["2020-09-13T14:26:40+02:00", "2020-09-13T12:26:41.5Z"], [1600000000, 1600000001]),
        (["1970-01-01", "1970-01-02"], [0, 86400]),
        (["0", "100000"], [0, 100000]),
    ],
)
def test_times_are_seconds_whatever_they_were(load, written, seconds):
    text = "user,item,time\n" + "".join(f"1,{i},{written[i > 3]}\n" for i in range(5))
    data = load(log_csv=text)
    assert [data.train.time[0], data.test.time[0]] == seconds


def test_a_finer_unit_of_time_is_noted(load):
    text = "user,item,time\n" + "".join(f"1,{i},160000000000{i}\n" for i in range(5))
    note = "times in column 'time' are milliseconds since 1970, and were cut to seconds"
    assert note in load(log_csv=text).notes


def test_dates_of_parquet_are_times(load):
    frame = pl.DataFrame({"user": [1] * 5, "item": range(5), "time": [86_400 * 10**6] * 5})
    for dtype in (pl.Datetime("us"), pl.Datetime("us", "Europe/Berlin"), pl.Datetime("ns")):
        times = frame["time"].cast(pl.Datetime("us")).dt.cast_time_unit(dtype.time_unit).cast(dtype)
        data = load("  interactions: log.parquet\n", log_parquet=frame.with_columns(time=times))
        assert data.train.time.tolist() == [86_400] * 4
    dates = frame.with_columns(time=frame["time"].cast(pl.Datetime("us")).cast(pl.Date))
    assert load("  interactions: log.parquet\n", log_parquet=dates).train.time.tolist() == [86_400] * 4


def test_a_missing_weight_is_let_through_only_when_a_stage_fills_it(load):
    text = LOG.replace("1,2,3,20", "1,2,,20")
    named = "  interactions: {path: log.csv, weight: rating}\n"
    for block, log, fills in (
        (PLAIN, text, {"weight"}),
        (named, text.replace("weight", "rating"), {"weight"}),
    ):
        data = load(block + '  positive: ">= 4"\n', log_csv=log, more={"fills": frozenset(fills)})
        assert np.isnan(data.train.weight).tolist() == [False, True] + [False] * 6
        assert not data.train.positive[1]


def test_stages_call_the_weight_by_that_name_whatever_its_column(refusal):
    log = LOG.replace("1,2,3,20", "1,2,,20").replace("weight", "rating")
    named = "  interactions: {path: log.csv, weight: rating}\n"
    told = refusal(named, log_csv=log, more={"fills": frozenset({"rating"})})
    assert "no weight in column 'rating'" in told
    assert "columns: {weight: median}" in told


def test_empty_rows_are_left_out_and_counted_and_later_rows_keep_their_number(load, refusal):
    warned: list[str] = []
    assert everything(load(log_csv=HEAD + "\n" + ROWS + "\n\n", warned=warned)) == everything(load(log_csv=LOG))
    assert warned[0] == "3 empty rows of log.csv left out"
    assert "row 12 (line 13)" in refusal(log_csv=HEAD + "\n" + ROWS + "1,2,x,4\n")


def test_a_line_is_named_even_where_a_field_has_line_breaks(refusal):
    text = 'user,item,weight\n"a\n\nb",1,1\n"c",2,x\n'
    assert "at log.csv, row 2 (line 5), column 'weight'" in refusal(log_csv=text)


# --- tables ---

ITEMS = "id,name,year,zip,seen\n9,nine,1999,00501,true\n1,one,,10001,false\n2,two,2002,10002,true\n"


def test_a_table_is_put_in_the_order_of_ids_and_knows_the_rows_of_its_file(load):
    warned: list[str] = []
    data = load(PLAIN + "  items: items.csv\n", log_csv=LOG, items_csv=ITEMS, warned=warned)
    assert data.items.ids.ids.to_list() == [1, 2, 3, 4, 5, 9]
    assert data.items.frame["name"].to_list() == ["one", "two", None, None, None, "nine"]
    assert data.items.rows.tolist() == [2, 3, 0, 0, 0, 1]
    assert data.items.origin == "items.csv"
    assert data.cold_items().tolist() == [False] * 4 + [True] * 2  # item 5 is in the test part only, 9 in none
    note = "3 item ids of 6 events kept without attributes, not being in items.csv"
    assert note in data.notes
    assert note in warned


def test_columns_of_a_table_have_the_type_that_every_value_has(load):
    frame = load(PLAIN + "  items: items.csv\n", log_csv=LOG, items_csv=ITEMS).items.frame
    assert dict(frame.schema) == {"name": pl.String, "year": pl.Int64, "zip": pl.String, "seen": pl.Boolean}


def test_a_table_of_ids_alone_and_one_of_users_will_do(load):
    files = {
        "log_csv": LOG,
        "items_csv": "id\n1\n2\n3\n4\n5\n",
        "users_jsonl": '{"no":2,"age":5}\n{"no":1,"age":null}\n',
    }
    data = load(PLAIN + "  items: items.csv\n  users: {path: users.jsonl, id: no}\n", **files)
    assert data.items.columns == []
    assert data.items.rows.tolist() == [1, 2, 3, 4, 5]
    assert data.users.frame["age"].to_list() == [None, 5]


def test_a_packed_dataset_comes_back(load):
    data = load(PLAIN + "  items: items.csv\n", log_csv=LOG, items_csv=ITEMS)
    assert Dataset.unpack(data.pack()).items.frame.equals(data.items.frame)


# --- what is positive, and the parts ---


def test_positive_is_by_the_weight_in_the_file(load):
    data = load(PLAIN + '  positive: ">= 4"\n', log_csv=LOG)
    assert data.positive == PositiveRule(">=", 4.0)
    assert data.train.positive.tolist() == [True, False, True, True] * 2


def test_no_positive_test_event_is_warned_of(load):
    warned: list[str] = []
    load(PLAIN + '  positive: ">= 4"\n', log_csv=LOG, warned=warned)
    assert "no test event is positive by '>= 4': nothing can be measured on them" in warned


def test_parts_of_their_own_files_are_taken_as_they_are(load):
    data = load(PARTS, log_csv=LOG, t_csv=HEAD + "1,7,4,99\n8,1,2,99\n", v_csv=HEAD + "2,4,4,40\n1,1,5,10\n")
    assert rows(data, data.test) == [(1, 7, 4), (8, 1, 2)]
    assert rows(data, data.valid) == [(2, 4, 4), (1, 1, 5)]
    assert len(data.train) == 10
    assert rows(data, data.train.take(data.held)) == [(1, 1, 5), (2, 4, 4)]
    assert data.notes == ()
    assert len(data.for_tuning().train) == 8


def test_what_parts_have_in_common_is_noted(load):
    data = load(PARTS, log_csv=LOG, t_csv=HEAD + "1,1,5,99\n1,7,5,99\n", v_csv=HEAD + "1,1,5,10\n3,3,3,3\n2,9,3,3\n")
    assert data.notes == (
        "1 event of t.csv with a user and item that training has too",
        "2 events of v.csv for validation only, not being in the interactions",
    )
    assert rows(data, data.train.take(data.held)) == [(1, 1, 5)]
    assert len(data.valid) == 3


def test_a_test_file_alone_gets_its_validation_part_by_the_default_rule(load):
    data = load(PLAIN + "  split: {by: file, test: t.csv}\n", log_csv=LOG, t_csv="user,item,weight\n1,7,1\n")
    assert rows(data, data.valid) == [(1, 5, 1), (2, 5, 1)]
    assert data.held.tolist() == ([False] * 4 + [True]) * 2
    assert data.test.time is None


def test_valid_is_what_is_held_of_train(load):
    text = HEAD + "".join(f"{u},{i},1,{i}\n" for u in range(3) for i in range(10))
    data = load(log_csv=text)
    assert rows(data, data.valid) == rows(data, data.train.take(data.held)) == [(0, 7, 1), (1, 7, 1), (2, 7, 1)]


def test_a_cold_split_leaves_users_or_items_without_training_events(load):
    text = "user,item\n" + "".join(f"{u},{i}\n" for u in range(10) for i in range(10))
    assert load(PLAIN + "  split: {by: item-cold}\n", log_csv=text).cold_items().sum() == 2
    assert load(PLAIN + "  split: {by: user-cold}\n", log_csv=text).cold_users().sum() == 2
    tuning = load(PLAIN + "  split: {by: item-cold}\n", log_csv=text).for_tuning()
    assert tuning.cold_items().sum() == 4  # 2 of test, and round(8 · 0.2) = 2 of tuning
    assert len(tuning.test) == 20


def test_a_dataset_is_described_in_plain_values(load):
    data = load(PLAIN + '  items: items.csv\n  positive: ">= 4"\n', log_csv=LOG, items_csv=ITEMS)
    assert describe(data) == {
        "users": 2,
        "items": 6,
        "events": {"train": 8, "valid": 0, "test": 2},
        "positive": {"train": 6, "valid": 0, "test": 0},
        "positive_rule": ">= 4",
        "density": 8 / 12,
        "cold": {"users": 0, "items": 2},
        "columns": {"users": [], "items": ["name", "year", "zip", "seen"]},
        "time": {"first": "1970-01-01T00:00:10Z", "last": "1970-01-01T00:00:50Z"},
        "notes": list(data.notes),
    }


# --- candidates ---


@pytest.mark.parametrize(
    ("name", "text", "ids"),
    [
        ("c.csv", "item_id\n3\n1\n3\n", [3, 1]),
        ("c.csv", "name,item\na,3\nb,x\n", ["3", "x"]),
        ("c.txt", "3\n1\n\n", [3, 1]),
        ("c.txt", "a\nb", ["a", "b"]),
        ("c.jsonl", '{"id": 2}\n', [2]),
        ("c.jsonl", '{"id": "2"}\n', ["2"]),
    ],
)
def test_ids_are_read_from_a_column_or_from_lines(tmp_path, name, text, ids):
    (tmp_path / name).write_text(text)
    assert read_ids(tmp_path / name).to_list() == ids


def test_a_file_of_ids_without_an_id_column_is_refused(tmp_path):
    (tmp_path / "c.csv").write_text("name,year\na,1\n")
    with pytest.raises(DataError, match=r"RP502 no column 'item', 'id' or 'item_id' in 'c.csv'"):
        read_ids(tmp_path / "c.csv")


def test_an_empty_file_of_ids_is_refused(tmp_path):
    (tmp_path / "c.txt").write_text("\n")
    with pytest.raises(DataError, match=r"RP504 'c.txt' is empty"):
        read_ids(tmp_path / "c.txt")


# --- bad input: files ---


def test_a_missing_file_names_its_nearest_neighbour(refusal):
    assert refusal(logs_csv=LOG) == (
        "r.yaml:3:17: RP501 no file 'log.csv'\n"
        "= did you mean 'logs.csv'?\n"
        "= files there: logs.csv, r.yaml"
    )  # fmt: skip


def test_everything_that_is_missing_is_told_at_once(refusal):
    told = refusal(PLAIN + "  items: movies.csv\n  split: {by: file, test: t.csv}\n", t_csv=LOG)
    assert [line for line in told.splitlines() if "RP" in line] == [
        "r.yaml:3:17: RP501 no file 'log.csv'",
        "r.yaml:4:10: RP501 no file 'movies.csv'",
    ]


def test_an_empty_folder_is_no_table(refusal, tmp_path):
    (tmp_path / "log.csv").mkdir()
    assert refusal().startswith("r.yaml:3:17: RP501 no file in the folder 'log.csv'")


def test_an_unknown_ending_asks_for_the_format(refusal):
    assert refusal("  interactions: log.dat\n", log_dat=LOG) == (
        "r.yaml:3:17: RP501 the ending of 'log.dat' does not tell its format\n"
        "= say so: {path: …, format: csv}\n"
        "= formats: csv, tsv, parquet, jsonl\n"
        "= endings: .csv, .tsv, .tab, .parquet, .pq, .jsonl, .ndjson"
    )


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("log.csv", "", "is empty"),
        ("log.csv", "\n\n", "is empty"),
        ("log.csv", HEAD, "has a header and no rows"),
        ("log.jsonl", "", "is empty"),
        ("log.jsonl", "\n \n", "is empty"),
        ("log.parquet", pl.DataFrame({"user": [], "item": []}), "has a header and no rows"),
    ],
)
def test_a_file_without_rows_is_refused(refusal, name, content, why):
    told = refusal(f"  interactions: {name}\n", **{name.replace(".", "_"): content})
    assert told == f"r.yaml:3:17: RP504 '{name}' {why}"


@pytest.mark.parametrize(
    ("name", "content", "why", "helps"),
    [
        (
            "log.csv",
            LOG + "1,2,3,4,5\n",
            "a line has 5 fields, and the header 4",
            ["at log.csv, line 12", "a field with the separator in it stands in double quotes"],
        ),
        (
            "log.csv",  # even where the columns that are needed come before
            "user,item,a,b\n1,2,3,4\n1,2,3,4,true\n",
            "a line has 5 fields, and the header 4",
            ["at log.csv, line 3", "a field with the separator in it stands in double quotes"],
        ),
        (
            "log.csv",
            'user,item\n1,2\n"1,2\n3,4\n',
            'a double quote (") is not closed, or text follows the closing one',
            ["at log.csv, line 3", 'inside quotes, write " as ""'],
        ),
        (
            "log.csv",
            'user,item\n"1,2\n3,4\n',
            'a double quote (") is not closed, or text follows the closing one',
            ["at log.csv, line 2", 'inside quotes, write " as ""'],
        ),
        (
            "log.csv",
            b"user,item\n1,2\n1,caf\xe9\n",
            "the text is not UTF-8 (byte 0xe9)",
            ["at log.csv, line 3", "save it as UTF-8, or convert it: iconv -f latin1 -t utf-8"],
        ),
        (
            "log.jsonl",
            '{"user":1,"item":2}\n\n{"user":1 "item":2}\n',
            "a line is not JSON: expecting ',' delimiter",
            ["at log.jsonl, line 3"],
        ),
        ("log.jsonl", '{"user":1,"item":NaN}\n', "a line is not JSON: NaN is no JSON number", ["at log.jsonl, line 1"]),
        ("log.jsonl", "[1]\n", "a line is '[1]', and must be one JSON object", ["at log.jsonl, line 1"]),
    ],
)
def test_a_broken_file_is_refused_with_the_line(refusal, name, content, why, helps):
    told = refusal(f"  interactions: {name}\n", **{name.replace(".", "_"): content})
    lines = [f"r.yaml:3:17: RP501 '{name}' cannot be read: {why}", *(f"= {line}" for line in helps)]
    assert told == "\n".join(lines)


def test_a_file_of_two_encodings_is_refused_with_the_line_and_how_many_there_are(refusal):
    mixed = (HEAD + "José,1,1,1\n").encode() + "René,1,1,1\nZoë,1,1,1\n".encode("latin-1")
    told = refusal(log_csv=mixed).splitlines()
    assert told == [
        "r.yaml:3:17: RP501 'log.csv' cannot be read: the text is not UTF-8 (byte 0xe9)",
        "= at log.csv, line 3",
        "= read as latin-1, 'René,1,1,1' stands there",
        "= of the lines beyond ASCII, 2 of another encoding and 1 of UTF-8: mend the former",
    ]


def test_ids_with_spaces_at_an_end_are_kept_and_noted(load):
    notes: list[str] = []
    log = HEAD + "".join(f"{u},{i},1,{t}\n" for t, (u, i) in enumerate([("a", "x y"), ("a ", "x y"), ("b c", "z")] * 5))
    data = load(log_csv=log, warned=notes)
    assert data.users.ids.ids.to_list() == ["a", "a ", "b c"]
    assert (
        notes[0]
        == "1 user id with spaces at an end, such as 'a ', kept as they are, 1 differing from another by that alone"
    )


def test_a_broken_table_is_refused_with_the_line(refusal):
    told = refusal(PLAIN + "  items: items.csv\n", log_csv=LOG, items_csv="id,name\n1,a\n2,b,c\n")
    assert told.splitlines()[:2] == [
        "r.yaml:4:10: RP501 'items.csv' cannot be read: a line has 3 fields, and the header 2",
        "= at items.csv, line 3",
    ]


def test_what_is_no_parquet_is_refused(refusal):
    told = refusal("  interactions: log.parquet\n", log_parquet="hello")
    assert told.startswith("r.yaml:3:17: RP501 'log.parquet' cannot be read: parquet: File out of specification")


# --- bad input: columns ---


def test_missing_columns_are_told_with_how_to_name_them(refusal):
    assert refusal(log_csv="userId,movieId,rating\n1,2,3\n") == (
        "r.yaml:3:17: RP502 no column 'user' in 'log.csv'\n"
        "= did you mean 'userId'?\n"
        "= columns: movieId, rating, userId\n"
        "= name it in the recipe: interactions: {path: log.csv, user: userId}\n"
        "r.yaml:3:17: RP502 no column 'item' in 'log.csv'\n"
        "= columns: movieId, rating, userId\n"
        "= name it in the recipe: interactions: {path: log.csv, item: …}"
    )


def test_a_wrong_name_is_told_where_the_recipe_has_it(refusal):
    block = "  interactions: {path: log.csv, weight: raiting, columns: [device]}\n"
    assert refusal(block, log_csv="user,item,rating\n1,2,3\n") == (
        "r.yaml:3:41: RP502 no column 'raiting' in 'log.csv'\n"
        "= did you mean 'rating'?\n"
        "= columns: item, rating, user\n"
        "= name it in the recipe: interactions: {path: log.csv, weight: rating}\n"
        "r.yaml:3:60: RP502 no column 'device' in 'log.csv'\n"
        "= columns: item, rating, user"
    )


def test_a_table_without_its_id_column_is_refused(refusal):
    assert refusal(PLAIN + "  items: items.csv\n", log_csv=LOG, items_csv="itemId,name\n1,a\n") == (
        "r.yaml:4:10: RP502 no column 'id' in 'items.csv'\n"
        "= columns: itemId, name\n"
        "= name it in the recipe: items: {path: items.csv, id: itemId}"
    )


def test_a_test_file_must_have_the_columns_of_the_interactions(refusal):
    assert refusal(PLAIN + "  split: {by: file, test: t.csv}\n", log_csv=LOG, t_csv="user,item\n1,2\n") == (
        "r.yaml:4:27: RP502 no column 'weight' in 't.csv'\n"
        "= columns: item, user"
    )  # fmt: skip


def test_two_columns_of_one_name_are_refused(refusal):
    told = refusal(log_csv="user,user,item\n1,2,3\n")
    assert told == "r.yaml:3:17: RP502 two columns are called 'user' in 'log.csv'"


def test_a_column_that_only_later_json_lines_have_is_found(load):
    text = '{"user":1,"item":1}\n' * 1500 + '{"user":1,"item":1,"weight":2.5}\n' * 2
    block = "  interactions: {path: log.jsonl, weight: weight}\n"
    data = load(block, log_jsonl=text, more={"fills": frozenset({"weight"})})
    weights = np.concatenate([data.train.weight, data.test.weight])
    assert np.isnan(weights).sum() == 1500
    assert weights[~np.isnan(weights)].tolist() == [2.5, 2.5]


# --- bad input: values ---


@pytest.mark.parametrize(
    ("rows", "message", "place"),
    [
        ("1,1,good,1\n1,2,3,2\n1,3,bad,3\n", "'good' in column 'weight' is no number (2 such values)", "1 (line 2)"),
        ("1,1,1,1\n1,2,inf,2\n", "'inf' in column 'weight' is not finite", "2 (line 3)"),
        ("1,1,1,1\n1,2,-1e39,2\n", "'-1e39' in column 'weight' is too large for a 32-bit number", "2 (line 3)"),
        ("1,1,1,1\n1,1,1,-5\n", "'-5' in column 'time' lies before 1970", "2 (line 3)"),
        ("1,1,1,\n1,1,1,5\n", "no time in column 'time'", "1 (line 2)"),
        ("1,1,1,5\n1,1,1,nan\n1,1,1,nan\n", "no time in column 'time' (2 such rows)", "2 (line 3)"),
        ("1,1,1,5\n1,1,1,inf\n", "'inf' in column 'time' is not finite", "2 (line 3)"),
        ("1,1,1,1969-12-31\n", "'1969-12-31' in column 'time' lies before 1970", "1 (line 2)"),
        ("1,1,1,1\n,1,1,5\n,2,1,5\n", "no user id in column 'user' (2 such rows)", "2 (line 3)"),
        ("1,1,1,1\n1,,1,5\n", "no item id in column 'item'", "2 (line 3)"),
        ("1,1\n", "no weight in column 'weight'", "1 (line 2)"),
        (
            "1,1,1,5\n1,1,1,1600000000000\n",
            "'5' in column 'time' is in another unit than '1600000000000', which is milliseconds since 1970",
            "1 (line 2)",
        ),
    ],
)
def test_a_value_that_cannot_be_used_is_told_with_its_row(refusal, rows, message, place):
    first, second, *_ = refusal(log_csv=HEAD + rows).splitlines()
    column = message.split("column ")[1].split()[0]
    assert first == f"r.yaml:3:17: RP503 {message}"
    assert second == f"= at log.csv, row {place}, column {column}"


def test_a_missing_weight_is_told_with_how_to_fill_it(refusal):
    block = "  interactions: {path: log.csv, weight: rating}\n"
    assert refusal(block, log_csv="user,item,rating\n1,1,\n1,2,nan\n") == (
        "r.yaml:3:41: RP503 no weight in column 'rating' (2 such rows)\n"
        "= at log.csv, row 1 (line 2), column 'rating'\n"
        "= fill it with a stage: {preprocess: impute, with: {columns: {weight: median}}}"
    )


def test_text_for_a_time_is_told_with_what_a_time_is(refusal):
    assert refusal(log_csv=HEAD + "1,1,1,soon\n") == (
        "r.yaml:3:17: RP503 'soon' in column 'time' is no time\n"
        "= at log.csv, row 1 (line 2), column 'time'\n"
        "= times are seconds since 1970, or dates such as 2024-01-31T10:00:00Z"
    )


def test_what_is_wrong_in_several_columns_is_told_at_once_and_parquet_has_rows_only(refusal):
    frame = pl.DataFrame({"user": [[1], [2]], "item": [1, None], "weight": ["a", "1"], "time": [[1], [2]]})
    assert refusal("  interactions: log.parquet\n", log_parquet=frame) == (
        "r.yaml:3:17: RP503 column 'user' is List(Int64), and cannot hold ids\n"
        "= in log.parquet\n"
        "r.yaml:3:17: RP503 no item id in column 'item'\n"
        "= at log.parquet, row 2, column 'item'\n"
        "r.yaml:3:17: RP503 'a' in column 'weight' is no number\n"
        "= at log.parquet, row 1, column 'weight'\n"
        "r.yaml:3:17: RP503 column 'time' is List(Int64), and must be a time\n"
        "= in log.parquet"
    )


def test_a_wrong_value_in_a_test_file_is_told_at_its_path(refusal):
    told = refusal(PLAIN + "  split: {by: file, test: t.csv}\n", log_csv=LOG, t_csv=HEAD + "1,2,x,4\n")
    assert told == (
        "r.yaml:4:27: RP503 'x' in column 'weight' is no number\n"
        "= at t.csv, row 1 (line 2), column 'weight'"
    )  # fmt: skip


# --- bad input: ids, parts ---


def test_an_id_that_stands_twice_in_a_table_is_refused(refusal):
    assert refusal(PLAIN + "  items: items.csv\n", log_csv=LOG, items_csv="id,name\n1,a\n2,b\n1,c\n") == (
        "r.yaml:4:10: RP506 the item id '1' stands twice in 'items.csv'\n"
        "= at items.csv, row 1 (line 2) and row 3 (line 4)"
    )


def test_a_missing_id_in_a_table_is_refused(refusal):
    assert refusal(PLAIN + "  users: users.csv\n", log_csv=LOG, users_csv="id,name\n1,a\n,b\n") == (
        "r.yaml:4:10: RP503 no user id in column 'id'\n"
        "= at users.csv, row 2 (line 3), column 'id'"
    )  # fmt: skip


def test_a_table_whose_ids_never_meet_the_events_is_refused(refusal):
    block = PLAIN + "  items: {path: items.csv, id: name}\n"
    assert refusal(block, log_csv=LOG, items_csv="id,name\n1,a\n2,b\n") == (
        "r.yaml:4:32: RP506 no item id of 'log.csv' is in 'items.csv'\n"
        "= log.csv has ids such as 1, items.csv such as 'a'\n"
        "= name the column with the same ids: items: {path: items.csv, id: …}"
    )


def test_nothing_positive_is_told_with_the_weights(refusal):
    assert refusal(PLAIN + '  positive: ">= 6"\n', log_csv=LOG) == (
        "r.yaml:4:13: RP505 no training event is positive by '>= 6': the largest weight is 5\n"
        "= weights in column 'weight' lie from 3 to 5"
    )


def test_nothing_positive_for_want_of_weights_is_told_so(refusal):
    text = "user,item,rating\n" + "".join(f"1,{i},5\n" for i in range(5))
    assert refusal(PLAIN + '  positive: ">= 4"\n', log_csv=text) == (
        "r.yaml:4:13: RP505 no training event is positive by '>= 4': the largest weight is 1\n"
        "= log.csv has no column 'weight', so every weight is 1\n"
        "= name it in the recipe: interactions: {path: log.csv, weight: …}"
    )


@pytest.mark.parametrize(
    ("split", "at", "first", "helps"),
    [
        (
            "",
            "3:3",
            "the split 'user-time' leaves 2 events for training and 0 for the test",
            [
                "'user-time' is what is done when 'split' is not given",
                "only users with 5 events or more have one held out, and none has more than 1",
            ],
        ),
        (
            "  split: {by: leave-one-out}\n",
            "4:10",
            "the split 'leave-one-out' leaves 2 events for training and 0 for the test",
            ["only users with 2 events or more have one held out, and none has more than 1"],
        ),
        (
            "  split: {by: item-cold}\n",
            "4:10",
            "the split 'item-cold' leaves 2 events for training and 0 for the test",
            ["0.2 of 1 item is rounded to none"],
        ),
        (
            "  split: {by: time}\n",
            "4:10",
            "the split 'time' leaves 2 events for training and 0 for the test",
            ["0.2 of 2 events is rounded to none"],
        ),
        (
            "  split: {by: time, holdout: 0.9}\n",
            "4:10",
            "the split 'time' leaves 0 events for training and 2 for the test",
            [],
        ),
    ],
)
def test_a_part_that_would_be_empty_is_refused_with_the_sizes(refusal, split, at, first, helps):
    told = refusal(PLAIN + split, log_csv=HEAD + "1,1,1,1\n2,1,1,2\n")
    assert told.splitlines() == [f"r.yaml:{at}: RP507 {first}", *(f"= {line}" for line in helps)]


def test_a_split_by_time_without_times_is_refused(refusal):
    assert refusal(PLAIN + "  split: {by: user-time}\n", log_csv="user,item,when\n1,2,3\n") == (
        "r.yaml:4:10: RP507 the split 'user-time' needs times, and 'log.csv' has none\n"
        "= name their column: interactions: {path: log.csv, time: …}\n"
        "= columns: user, item, when"
    )
