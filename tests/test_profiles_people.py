"""`profile show|history|diff|export|forget` and `recommend` on a profile store, and that forgetting leaves no trace."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import recprofile
from recprofile.cli.main import status_of
from recprofile.runs import Run

PERSON = "zebulon-quartz-7731"
USERS = ["ada", "ben", "cleo", "dan", PERSON, "finn"]
RATINGS = "user,item,weight,time\n" + "".join(
    f"{u},i{i:02},{1 + (n * 3 + i * 7) % 5},{1_600_000_000 + 1000 * i + n}\n"
    for n, u in enumerate(USERS)
    for i in range(12)
    if (n + i) % 3 != 0
)
ITEMS = "id,title,genre\n" + "".join(
    f"i{i:02},{w} book,{'Crime Drama' if i % 2 else 'Poetry'}\n"
    for i, w in enumerate(["red", "blue", "green", "grey", "lost", "found", "deep", "far", "old", "new", "odd", "even"])
)
USERS_CSV = "id,group\n" + "".join(f"{u},{'xy'[n % 2]}\n" for n, u in enumerate(USERS))
RECIPE = """\
recipe: 1
device: cpu
data:
  interactions: ratings.csv
  items: items.csv
  users: users.csv
  positive: ">= 2"
  split: {by: random, holdout: 0.2}
stages:
  - encode: category
    id: genre
    with: {columns: [genre], separator: " "}
  - encode: als
    id: taste
    with: {dim: 3}
  - fuse: weighted
    id: profile
    from: [genre, taste]
  - recommend: dot
  - explain: evidence
    with: {label: title}
  - update: fold-in
list: {k: 5}
evaluate: {metrics: [ndcg@5, gini@5], baselines: [popular, ease], bootstrap: 10}
publish: sqlite:///p.db
"""


@pytest.fixture(autouse=True)
def box(tmp_path, monkeypatch):
    folder = tmp_path / "box"
    folder.mkdir()
    files = (("ratings.csv", RATINGS), ("items.csv", ITEMS), ("users.csv", USERS_CSV), ("shop.yaml", RECIPE))
    for name, text in files:
        (folder / name).write_text(text)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def lived(box, capsys):
    """A store with a publication and an update of ada, who liked i03 and i09, and of somebody new."""
    recprofile.run("shop.yaml")
    events = [("ada", "i03", 5), ("ada", "i09", 5), ("newt", "i01", 4)]
    text = "".join(
        json.dumps({"user": u, "item": i, "weight": w, "time": 1_700_000_000 + n}) + "\n"
        for n, (u, i, w) in enumerate(events)
    )
    Path("new.jsonl").write_text(text)
    assert status_of(["update", "shop.yaml", "--events", "new.jsonl"]) == 0
    capsys.readouterr()
    return box


@pytest.fixture
def said(capsys):
    def run(*arguments, status=0):
        assert status_of(list(arguments)) == status, capsys.readouterr().err
        out = capsys.readouterr()
        return out.out if status == 0 else out.err

    return run


def test_an_update_says_what_it_did_and_the_second_time_that_there_was_nothing(box, said):
    recprofile.run("shop.yaml")
    Path("new.csv").write_text("user,item,weight,time\nada,i03,5,1700000000\nnewt,zz,5,1700000001\n")
    assert said("update", "shop.yaml", "--events", "new.csv").splitlines()[1:4] == [
        "  events   2 events taken in",
        "  users    2 users moved, 1 of them new",
        "  waiting  1 event with items of which nothing is known: kept until --items tells of them",
    ]
    assert said("update", "shop.yaml", "--events", "new.csv").startswith(
        "nothing new, 2 events known already: version 2"
    )
    told = json.loads(said("update", "shop.yaml", "--events", "new.csv", "--json"))
    assert (told["events"], told["duplicates"], told["version"], told["is_new"]) == (0, 2, 2, False)


def test_new_items_come_with_a_file_of_their_attributes(lived, said):
    Path("more.jsonl").write_text('{"user": "newt", "item": "zz", "weight": 5, "time": 1700000009}\n')
    Path("more.csv").write_text("id,title,genre\nzz,last book,Poetry\n")
    told = said("update", "shop.yaml", "--events", "more.jsonl", "--items", "more.csv")
    assert "  items    1 new item, encoded from their attributes" in told
    assert "waiting" not in told
    card = json.loads(said("profile", "show", "newt", "--store", "p.db", "--json"))
    assert {"item": "zz", "label": "last book"}.items() <= max(card["history"], key=lambda h: h["item"]).items()


def test_a_card_says_who_what_since_when_and_from_where(lived, said):
    card = json.loads(said("profile", "show", "ada", "--store", "shop.yaml", "--json"))
    assert card["version"]["number"] == 2
    assert [v["kind"] for v in card["versions"]] == ["publish", "update"]
    assert [block["name"] for block in card["blocks"]] == ["genre", "taste"]
    assert {block["rests_on"] for block in card["blocks"]} == {"history", "history, by model"}
    assert card["activity"]["last"] == "2023-11-14T22:13:21+00:00"
    assert card["recipe"] == "shop.yaml"
    assert {"i03", "i09"} <= {h["item"] for h in card["history"]}
    text = said("profile", "show", "ada", "--store", "shop.yaml")
    assert text.startswith("user ada\n")
    for part in ("interests", "activity: ", "block", "first on their list", "versions: 2", "p.db, version 2"):
        assert part in text


def test_interests_are_what_a_person_has_more_of_than_all(lived, said):
    # newt's one item i01 is 'Crime Drama': all of theirs, and about half of everybody's.
    card = json.loads(said("profile", "show", "newt", "--store", "p.db", "--json"))
    assert [(i["value"], i["share"], i["evidence"]) for i in card["interests"]] == [
        ("Crime", 1.0, ["blue book"]),
        ("Drama", 1.0, ["blue book"]),
    ]
    assert all(0.2 < i["of_all"] < 0.8 for i in card["interests"])


def test_a_store_recommends_what_the_run_does_to_who_did_not_move(lived, said):
    mine = Run.open(Path("runs/shop")).table("recommendations.parquet", user="ben").sort("rank")
    told = json.loads(said("recommend", "--user", "ben", "--store", "p.db", "--json"))
    assert [row["item"] for row in told["recommendations"]] == mine["item"].to_list()
    scores = [row["score"] for row in told["recommendations"]]
    assert np.allclose(scores, mine["score"].to_numpy(), atol=1e-5)
    assert told["version"] == 1


def test_a_store_recommends_by_the_updated_profile_and_says_for_what(lived, said):
    told = json.loads(said("recommend", "--user", "ada", "--store", "p.db", "--json", "-k", "3"))
    items = [row["item"] for row in told["recommendations"]]
    assert not {"i03", "i09"} & set(items)
    assert all(row["because"] for row in told["recommendations"] if row["score"] > 0.5)
    assert "ada" in said("recommend", "ada", "--store", "p.db")


def test_a_store_recommends_for_a_history_that_somebody_names(lived, said):
    told = json.loads(said("recommend", "--history", "i01, i03", "--store", "p.db", "--json"))
    assert len(told["recommendations"]) == 5
    assert not {"i01", "i03"} & {row["item"] for row in told["recommendations"]}
    err = said("recommend", "--history", "i0x", "--store", "p.db", status=4)
    assert err.startswith("RP607 no item 'i0x' in")
    assert "name one: USER, --user or --history" in said("recommend", status=2)


@pytest.mark.parametrize("ranker", ["ease", "item-knn"])
def test_linear_models_answer_from_the_history(box, said, ranker):
    stages = f"stages:\n  - recommend: {ranker}\n  - update: history\n"
    text = RECIPE[: RECIPE.index("stages:")] + stages + RECIPE[RECIPE.index("list:") :]
    Path("shop.yaml").write_text(text)
    recprofile.run("shop.yaml")
    mine = Run.open(Path("runs/shop")).table("recommendations.parquet", user="ben").sort("rank")
    told = json.loads(said("recommend", "--user", "ben", "--store", "p.db", "--json"))
    assert [row["item"] for row in told["recommendations"]] == mine["item"].to_list()
    Path("new.csv").write_text("user,item,weight,time\nnewt,i01,5,1700000000\nnewt,i05,5,1700000001\n")
    done = json.loads(said("update", "shop.yaml", "--events", "new.csv", "--json"))
    assert (done["events"], done["new_users"], done["parity"]["largest"]) == (2, 1, 0.0)
    of_user = json.loads(said("recommend", "--user", "newt", "--store", "p.db", "--json"))["recommendations"]
    of_history = json.loads(said("recommend", "--history", "i01,i05", "--store", "p.db", "--json"))["recommendations"]
    assert [row["item"] for row in of_user] == [row["item"] for row in of_history]
    assert of_user[0]["reason"] == "ranked"
    assert "2 items" in said("profile", "show", "newt", "--store", "p.db")


def test_the_pooled_updater_lives_in_a_store(box, said):
    Path("shop.yaml").write_text(
        RECIPE.replace("  - encode: als\n    id: taste\n    with: {dim: 3}\n", "")
        .replace("from: [genre, taste]", "with: {half_life_days: 30}")
        .replace("update: fold-in", "update: pooled\n    with: {half_life_days: 30}")
    )
    recprofile.run("shop.yaml")
    for n in range(2):
        Path("new.csv").write_text(f"user,item,weight,time\nada,i0{3 * n},5,{1_600_000_000 + 9_000_000 * n}\n")
        done = json.loads(said("update", "shop.yaml", "--events", "new.csv", "--json"))
        assert not done["exact"]
        assert done["parity"]["largest"] <= 1e-4  # the same half-life, and no pair twice; kept in float32


def test_a_recommender_that_knows_only_its_training_users_is_not_asked(box, said):
    pytest.importorskip("surprise")
    Path("shop.yaml").write_text(RECIPE.replace("recommend: dot", "recommend: surprise/svd"))
    recprofile.run("shop.yaml")
    err = said("recommend", "--user", "ben", "--store", "p.db", status=4)
    assert err.startswith("RP608 'surprise/svd@1' ranks only for users of its training")
    assert said("profile", "show", "ben", "--store", "p.db")


def test_the_history_of_a_profile_lists_its_versions(lived, said):
    told = json.loads(said("profile", "history", "ada", "--store", "p.db", "--json"))
    assert [(v["version"], v["kind"]) for v in told] == [(1, "publish"), (2, "update")]
    assert told[1]["events"] == 2
    assert told[1]["moved"] > 0
    assert len(json.loads(said("profile", "history", "ben", "--store", "p.db", "--json"))) == 1
    assert "update" in said("profile", "history", "ada", "--store", "p.db")


def test_a_difference_shows_what_the_last_update_did(lived, said):
    told = json.loads(said("profile", "diff", "ada", "--store", "p.db", "--json"))
    assert (told["from"]["version"], told["to"]["version"]) == (1, 2)
    assert [e["item"] for e in told["events"]] == ["i03", "i09"]
    assert all(block["moved"] > 0 for block in told["blocks"])
    assert told == json.loads(said("profile", "diff", "ada", "1", "2", "--store", "p.db", "--json"))
    nothing = json.loads(said("profile", "diff", "ben", "1", "2", "--store", "p.db", "--json"))
    assert nothing["events"] == []
    assert {block["moved"] for block in nothing["blocks"]} == {0.0}
    text = said("profile", "diff", "ada", "--store", "p.db")
    for part in ("user ada  version 1 → 2", "2 events taken in", "grey book (i03)", "head of the list"):
        assert part in text


def test_a_difference_across_publications_compares_no_vectors(lived, said):
    recprofile.run("shop.yaml", ["seed=5"])
    told = json.loads(said("profile", "diff", "ada", "1", "3", "--store", "p.db", "--json"))
    assert not told["same_space"]
    assert {block["cosine"] for block in told["blocks"]} == {None}
    assert "another space" in said("profile", "diff", "ada", "--store", "p.db")


def test_who_or_what_is_not_there_is_said(lived, said):
    err = said("profile", "show", "adda", "--store", "p.db", status=4)
    assert err.splitlines()[0].startswith("RP607 no user 'adda' in")
    assert "users like that: ada" in err
    assert "RP607 no version 9 of 'shop'" in said("profile", "diff", "ada", "1", "9", "--store", "p.db", status=4)
    assert "nothing changed yet" in said("profile", "diff", "ben", "--store", "p.db", status=4)
    assert "RP608 no profiles of 'x'" in said("profile", "show", "ada", "--store", "p.db", "--recipe", "x", status=4)


def test_an_export_holds_all_that_the_store_holds_of_a_person(lived, said):
    told = json.loads(said("profile", "export", "ada", "--store", "p.db"))
    held = told["recipes"]["shop"]
    with closing(sqlite3.connect("p.db")) as connection:
        query = "select count(*) from events join users on users.id = events.user where users.user = 'ada'"
        assert len(held["events"]) == connection.execute(query).fetchone()[0]
    assert [p["version"] for p in held["profiles"]] == [1, 2]
    assert len(held["profiles"][0]["vector"]) == held["card"]["dimensions"]


def places_of(text, *folders):
    """Files that hold a text: as it is, in a Parquet column, or in the database."""
    found = []
    for path in sorted(p for folder in folders for p in ([folder] if folder.is_file() else folder.rglob("*"))):
        if not path.is_file():
            continue
        if text.encode() in path.read_bytes():
            found.append(str(path))
        elif path.suffix == ".parquet":
            frame = pl.read_parquet(path)
            if text in frame.write_json():
                found.append(str(path))
    return found


def test_forgetting_leaves_no_trace_of_a_person(lived, said, tmp_path):
    more = "".join(f'{{"user": "{PERSON}", "item": "i0{n}", "weight": 4, "time": 1700000{n}00}}\n' for n in range(8))
    Path("more.jsonl").write_text(more)
    said("update", "shop.yaml", "--events", "more.jsonl")
    everywhere = [*Path().glob("p.db*"), Path("runs"), tmp_path / "cache"]
    before = places_of(PERSON, *everywhere)
    assert {Path(name).parts[0] for name in before if not Path(name).is_absolute()} == {"p.db", "runs"}
    assert any("stages" in name for name in before)

    done = json.loads(said("profile", "forget", PERSON, "--store", "p.db", "--yes", "--json"))

    assert places_of(PERSON, *Path().glob("p.db*"), Path("runs"), tmp_path / "cache") == []
    assert (done["versions"], done["recipes"]) == (2, 1)
    assert done["sources"] == ["ratings.csv", "users.csv"]  # the person's own data are not ours to change
    with closing(sqlite3.connect("p.db")) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        assert connection.execute("select count(*) from users").fetchone() == (6,)
    assert "RP607" in said("profile", "show", PERSON, "--store", "p.db", status=4)


def test_what_is_left_after_forgetting_is_whole(lived, said):
    others = Run.open(Path("runs/shop")).table("recommendations.parquet").filter(pl.col("user") != PERSON)
    said("profile", "forget", PERSON, "--store", "p.db", "-y")
    run = Run.open(Path("runs/shop"))
    assert run.damage() is None
    assert run.table("recommendations.parquet").equals(others)
    profiles = run.profiles()
    assert sorted(profiles.users.ids) == sorted(set(USERS) - {PERSON})
    assert profiles.history_scores(np.zeros(1, np.int32), np.zeros(1, np.int32)).shape == (1, 12)
    assert said("recommend", "ada", "--run", "runs/shop")
    assert said("profile", "show", "ada", "--run", "runs/shop")
    assert recprofile.run("shop.yaml").unchanged  # the person does not come back while nothing else changes
    assert said("update", "shop.yaml", "--events", "new.jsonl").startswith("nothing new")


def test_who_is_only_in_the_store_is_forgotten_there_alone(lived, said):
    done = json.loads(said("profile", "forget", "newt", "--store", "p.db", "-y", "--json"))
    assert (done["events"], done["entries"], done["runs"]) == (1, 0, [])


def test_forgetting_asks_first(lived, said, monkeypatch, capsys):
    monkeypatch.setattr("typer.confirm", lambda *_, **__: (_ for _ in ()).throw(__import__("typer").Abort()))
    assert status_of(["profile", "forget", "ada", "--store", "p.db"]) == 130
    assert "user 'ada' is in 1 recipe of" in capsys.readouterr().err
    assert said("profile", "show", "ada", "--store", "p.db")


def test_nobody_can_be_forgotten_twice(lived, said):
    said("profile", "forget", "ben", "--store", "p.db", "-y")
    assert said("profile", "forget", "ben", "--store", "p.db", "-y", status=4).startswith("RP607 no user 'ben'")
