"""A folder or a pattern in place of a file: its parts are read as one table, and an error names the part."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from recprofile.assets import resolve
from recprofile.cli.main import status_of
from recprofile.dataset.parts import open_data
from recprofile.errors import DataError, RunError

HEAD = "user,item,weight,time\n"
ROWS = [f"u{n % 5},i{n % 7},{1 + n % 5},{1000 + n}\n" for n in range(60)]
ITEMS = [f"i{n},title {n},g{n % 2}\n" for n in range(7)]
RECIPE = """\
recipe: 1
device: cpu
data:
  interactions: EVENTS
  items: ITEMS
stages:
  - encode: tfidf
    with: {columns: [title]}
  - fuse: mean-history
  - recommend: dot
list: {k: 3}
evaluate: {metrics: [ndcg@3], baselines: [], bootstrap: 10}
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECPROFILE_CACHE", str(tmp_path / "cache"))
    put({"whole-items.csv": "id,title,genre\n" + "".join(ITEMS)})


def put(files: dict[str, str | bytes | pl.DataFrame]) -> None:
    for name, held in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(held, pl.DataFrame):
            held.write_parquet(path)
        else:
            path.write_bytes(held.encode() if isinstance(held, str) else held)


def frame(rows: list[str]) -> pl.DataFrame:
    return pl.read_csv((HEAD + "".join(rows)).encode())


def jsonl(rows: list[str]) -> str:
    return frame(rows).write_ndjson()


def ran(events: str, items: str = "items.csv", out: str = "out") -> pl.DataFrame:
    put({"items.csv": "id,title,genre\n" + "".join(ITEMS)})
    Path("r.yaml").write_text(RECIPE.replace("EVENTS", events).replace("ITEMS", items))
    assert status_of(["run", "r.yaml", "-q", "--out", out]) == 0
    return pl.read_parquet(f"{out}/recommendations.parquet")


def read(path: str) -> pl.DataFrame:
    file = open_data(Path(path), path, at=None)
    return file.read_text(file.columns)


def refused(path: str) -> str:
    with pytest.raises(DataError) as caught:
        read(path)
    return str(caught.value).replace(f"{Path.cwd()}/", "")


@pytest.mark.parametrize(
    ("events", "files"),
    [
        ("parts", {f"parts/{n}.csv": HEAD + "".join(ROWS[20 * n : 20 * n + 20]) for n in range(3)}),
        ("parts/", {f"parts/day={n}/a.csv": HEAD + "".join(ROWS[20 * n : 20 * n + 20]) for n in range(3)}),
        ('"p*/*.csv"', {f"p{n}/a.csv": HEAD + "".join(ROWS[20 * n : 20 * n + 20]) for n in range(3)}),
        ('"p/**/*.csv"', {f"p/{n}/x/a.csv": HEAD + "".join(ROWS[20 * n : 20 * n + 20]) for n in range(3)}),
        ("parts", {f"parts/{n}.parquet": frame(ROWS[20 * n : 20 * n + 20]) for n in range(3)}),
        ("parts", {f"parts/{n}.jsonl": jsonl(ROWS[20 * n : 20 * n + 20]) for n in range(3)}),
        ("parts", {f"parts/{n}.csv.gz": gzip.compress((HEAD + "".join(ROWS[20 * n : 20 * n + 20])).encode())
                   for n in range(3)}),
        ("{path: parts, format: csv}", {f"parts/{n}": HEAD + "".join(ROWS[20 * n : 20 * n + 20]) for n in range(3)}),
        ("file://parts/*.csv", {"parts/a.csv": HEAD + "".join(ROWS)}),
        ("parts[1].csv", {"parts[1].csv": HEAD + "".join(ROWS)}),
    ],
)  # fmt: skip
def test_parts_in_any_form_give_what_one_file_gives(events, files):
    put({"whole.csv": HEAD + "".join(ROWS), **files})
    assert_frame_equal(ran(events, out="a"), ran("whole.csv", out="b"))


def test_tables_of_items_may_have_parts_too_with_columns_in_another_order():
    put({"whole.csv": HEAD + "".join(ROWS), "items/1.csv": "id,title,genre\n" + "".join(ITEMS[:4])})
    swapped = [",".join(reversed(line.strip().split(","))) + "\n" for line in ITEMS[4:]]
    put({"items/2.csv": "genre,title,id\n" + "".join(swapped)})
    assert_frame_equal(ran("whole.csv", "items", out="a"), ran("whole.csv", out="b"))


def test_parts_come_in_order_of_their_names_and_without_what_is_no_data():
    put({"e/b.csv": HEAD + ROWS[1], "e/a.csv": HEAD + ROWS[0], "e/c.csv": HEAD, "e/d.csv": "", "e/_SUCCESS": ""})
    put({"e/.hidden.csv": "x", "e/_new/a.csv": "x", "e/README.md": "what this is"})
    file = open_data(Path("e"), "e", at=None)
    assert file.read_text(["user"])["user"].to_list() == ["u0", "u1"]
    assert file.sample["user"].to_list() == ["u0", "u1"]
    assert file.first(1)["user"].to_list() == ["u0"]
    assert file.notes == ("1 file of e left out, whose ending tells no format: README.md",)


def test_the_first_rows_are_those_of_several_parts_and_no_more_than_of_one_file():
    put({f"e/{n}.csv": HEAD + "".join(f"u{n},{i},1,1\n" for i in range(400)) for n in range(4)})
    sample = open_data(Path("e"), "e", at=None).sample
    assert sample.height == 1000
    assert sample["user"].value_counts().sort("user").rows() == [("u0", 400), ("u1", 400), ("u2", 200)]


def test_ids_that_are_numbers_in_one_part_and_text_in_another_are_text_in_all():
    put({"e/a.csv": "user,item\n1,2\n", "e/b.csv": "user,item\nx,3\n"})
    put({"whole.csv": HEAD + "".join(ROWS)})
    from recprofile.dataset.events import names_in, read_events
    from recprofile.recipe import InteractionsSource

    for folder in ("e", "j"):
        put({"j/a.jsonl": '{"user": 1, "item": 2}\n', "j/b.jsonl": '{"user": "x", "item": 3}\n'})
        file, names, problems = names_in(
            open_data(Path(folder), folder, at=None), InteractionsSource(path=folder), lambda *_, **__: None
        )
        assert not problems
        events = read_events(file, names, lambda *_, **__: None, fills=frozenset(), warn=print)
        assert events.user.to_list() == ["1", "x"]
        assert events.item.to_list() == [2, 3]


def test_a_column_that_only_one_json_part_has_is_null_in_the_others():
    put({"j/a.jsonl": '{"id": 1}\n', "j/b.jsonl": '{"id": 2, "title": "two"}\n'})
    assert open_data(Path("j"), "j", at=None).having(["id", "title"]).read_all().rows() == [(1, None), (2, "two")]


def test_a_value_that_cannot_be_used_is_told_with_its_own_file_row_and_line(capsys):
    put({"e/a.csv": HEAD + "".join(ROWS[:30]), "e/b.csv": HEAD + ROWS[0] + "u1,i1,much,1\n", "items.csv": ""})
    Path("r.yaml").write_text(RECIPE.replace("EVENTS", "e/").replace("items: ITEMS", "items: whole-items.csv"))
    assert status_of(["run", "r.yaml", "-q"]) == 3
    said = capsys.readouterr().err
    assert "RP503 'much' in column 'weight' is no number" in said
    assert "at e/b.csv, row 2 (line 3), column 'weight'" in said


def test_an_id_that_stands_twice_is_told_with_both_files(capsys):
    put({"whole.csv": HEAD + "".join(ROWS), "i/a.csv": "id,title\ni1,x\n", "i/b.csv": "id,title\ni2,x\ni1,y\n"})
    Path("r.yaml").write_text(RECIPE.replace("EVENTS", "whole.csv").replace("ITEMS", "i"))
    assert status_of(["run", "r.yaml", "-q"]) == 3
    assert "at i/a.csv, row 1 (line 2) and i/b.csv, row 2 (line 3)" in capsys.readouterr().err


def test_a_broken_part_is_named_with_its_line():
    put({"e/a.csv": HEAD + ROWS[0], "e/b.csv": HEAD + ROWS[1] + "u,i,1,2,3,4\n"})
    said = refused("e")
    assert said.startswith("RP501 'e/b.csv' cannot be read: a line has 6 fields, and the header 4")
    assert "at e/b.csv, line 3" in said
    put({"p/a.parquet": frame(ROWS), "p/b.parquet": b"no parquet"})
    assert refused("p").startswith("RP501 'p/b.parquet' cannot be read")


def test_a_part_that_lacks_a_column_is_named(capsys):
    put({"e/a.csv": HEAD + ROWS[0], "e/b.csv": "user,item,wieght,time\n" + ROWS[1], "items.csv": "id\ni0\n"})
    Path("r.yaml").write_text(RECIPE.replace("EVENTS", "e").replace("ITEMS", "items.csv"))
    assert status_of(["validate", "r.yaml"]) != 0
    said = capsys.readouterr().err
    assert "RP502 no column 'weight' in 'e/b.csv'" in said
    assert "e/a.csv has it" in said
    assert "did you mean 'wieght'?" in said
    put({"e/b.csv": HEAD + ROWS[1], "i/a.csv": "id,title\ni0,x\n", "i/b.csv": "id\ni1\n", "i/c.csv": "id\ni2\n"})
    Path("r.yaml").write_text(RECIPE.replace("EVENTS", "e").replace("ITEMS", "i"))
    assert status_of(["run", "r.yaml", "-q"]) == 3
    assert "RP502 no column 'title' in 'i/b.csv' (2 such files)" in capsys.readouterr().err


def test_parts_whose_types_are_of_another_sort_are_named(capsys):
    put({"e/a.parquet": frame(ROWS), "e/b.parquet": frame(ROWS).cast({"time": pl.String}), "items.csv": "id\ni0\n"})
    Path("r.yaml").write_text(RECIPE.replace("EVENTS", "e").replace("items: ITEMS", "items: whole-items.csv"))
    assert status_of(["run", "r.yaml", "-q"]) == 3
    assert "RP503 column 'time' is String in 'e/b.parquet', and Int64 in 'e/a.parquet'" in capsys.readouterr().err


def test_parts_whose_types_differ_in_width_alone_are_one_table():
    put({"e/a.parquet": frame(ROWS), "e/b.parquet": frame(ROWS).cast({"time": pl.Int32, "weight": pl.Int8})})
    file = open_data(Path("e"), "e", at=None)
    assert file.types_problems(file.columns, None) == []
    assert file.read_text(["time"]).height == 120


def test_several_formats_and_none_are_refused():
    put({"e/a.csv": HEAD + ROWS[0], "e/b.parquet": frame(ROWS)})
    said = refused("e")
    assert "'e' has files of several formats: csv (a.csv), parquet (b.parquet)" in said
    assert "take those of one format: e/**/*.csv" in said
    put({"n/readme.md": ""})
    assert "no ending of a file of 'n' tells its format" in refused("n")


def test_no_match_and_no_row_are_errors_with_near_names(tmp_path, capsys):
    put({"events/a.parquet": frame(ROWS), "hollow/a.csv": HEAD})
    Path("empty").mkdir()
    with pytest.raises(RunError, match="no file matches"):
        resolve("events/*.parqet", base=tmp_path, takes="table")
    assert "in 'events': a.parquet" in refused("events/*.parqet")
    said = refused("evnts/*.parquet")
    assert "did you mean 'events'?" in said
    assert refused("empty").startswith("RP501 no file in the folder 'empty'")
    assert refused("hollow") == "RP504 no file of 'hollow' has a row"
    for path in ("empty", "evnts/*.parquet"):
        Path("r.yaml").write_text(
            RECIPE.replace("EVENTS", f'"{path}"').replace("items: ITEMS", "items: whole-items.csv")
        )
        for command in (["run", "r.yaml", "-q"], ["validate", "r.yaml"]):
            assert status_of(command) == 3
            assert "r.yaml:4:17: RP501 no file" in capsys.readouterr().err


def test_the_fingerprint_counts_every_part_and_its_name(tmp_path):
    put({"e/a.csv": HEAD + ROWS[0], "e/b.csv": HEAD + ROWS[1]})

    def prints() -> set[str]:
        return {resolve(uri, base=tmp_path, takes="table").fingerprint for uri in ("e", "e/*.csv", "e/**/*.csv")}

    first = prints()
    assert len(first) == 1
    put({"e/b.csv": HEAD + ROWS[2]})
    changed = prints()
    Path("e/b.csv").rename(Path("e/c.csv"))
    renamed = prints()
    put({"e/d.csv": HEAD})
    more = prints()
    assert len(first | changed | renamed | more) == 4
    put({"e/_SUCCESS": ""})
    assert prints() == more


def test_candidates_stay_one_file(tmp_path, capsys):
    put({"whole.csv": HEAD + "".join(ROWS), "ids/a.txt": "i1\n"})
    text = (
        RECIPE.replace("EVENTS", "whole.csv")
        .replace("items: ITEMS", "items: whole-items.csv")
        .replace("{k: 3}", "{k: 3, candidates: ids}")
    )
    Path("r.yaml").write_text(text)
    assert status_of(["run", "r.yaml", "-q"]) == 3
    assert "'ids' is a folder, and must be a file" in capsys.readouterr().err


def test_validate_says_the_rows_of_all_parts(capsys):
    put({f"e/{n}.csv": HEAD + "".join(ROWS) for n in range(3)} | {"p/1.parquet": frame(ROWS)})
    for path, count in (("e", 180), ("p", 60)):
        Path("r.yaml").write_text(f"recipe: 1\ndata:\n  interactions: {path}\nstages:\n  - recommend: popular\n")
        assert status_of(["validate", "r.yaml"]) == 0
        assert f"{count} rows" in capsys.readouterr().out


def test_init_takes_a_folder(capsys):
    put({f"e/{n}.csv": HEAD + "".join(ROWS) for n in range(3)})
    assert status_of(["init", "e"]) == 0
    assert "path: e" in capsys.readouterr().out
