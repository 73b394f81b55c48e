"""A store after its publication: lists by the recipe's candidates, new items later on, and what is left out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import recprofile
from recprofile.cli.main import status_of
from recprofile.plugin import Pack
from recprofile.profiles.kept import load_base
from recprofile.profiles.revised import as_they_come, revised
from recprofile.profiles.rewrite import of_users
from recprofile.profiles.store import Store
from recprofile.profiles.tables import FORM, meta
from recprofile.profiles.versions import publication
from recprofile.runs import Run
from recprofile.testing import dataset

USERS = ["ada", "ben", "cleo", "dan", "eve", "finn"]
RATINGS = "user,item,weight,time\n" + "".join(
    f"{u},i{i:02},{1 + (n * 3 + i * 7) % 5},{1000 * i + n}\n"
    for n, u in enumerate(USERS)
    for i in range(12)
    if (n + i) % 3 != 0
)
ITEMS = "id,title,genre,pages\n" + "".join(f"i{i:02},the {i}. book,{'ab'[i % 2]},{100 + 10 * i}\n" for i in range(12))
RECIPE = """\
recipe: 1
device: cpu
data:
  interactions: ratings.csv
  items: items.csv
  positive: ">= 2"
  split: {by: random, holdout: 0.2}
stages:
  - encode: category
    id: genre
    with: {columns: [genre]}
  - fuse: weighted
    id: profile
  - recommend: dot
  - update: fold-in
list: {k: 5}
evaluate: {baselines: [], bootstrap: 10}
publish: sqlite:///p.db
"""
LATER = 1_700_000_000


@pytest.fixture(autouse=True)
def box(tmp_path, monkeypatch):
    folder = tmp_path / "box"
    folder.mkdir()
    for name, text in (("ratings.csv", RATINGS), ("items.csv", ITEMS), ("shop.yaml", RECIPE)):
        (folder / name).write_text(text)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def said(capsys):
    """Both outputs of a command that ends with this status."""

    def run(*arguments, status=0):
        assert status_of(list(arguments)) == status, capsys.readouterr().err
        out = capsys.readouterr()
        return out.out, out.err

    return run


def base_of(path):
    store = Store(f"sqlite:///{path}")
    with store.read() as connection:
        return load_base(connection, publication(connection, store, "shop").id)


def listed(said, *arguments):
    told, _ = said("recommend", *arguments, "--store", "p.db", "--json")
    return [row["item"] for row in json.loads(told)["recommendations"]]


def write_events(*events):
    lines = [dict(zip(("user", "item", "weight", "time"), event, strict=True)) for event in events]
    Path("new.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_store_lists_only_what_the_recipes_file_of_candidates_names(said):
    Path("shelf.txt").write_text("i02\ni07\ni09\nx1\n")
    Path("shop.yaml").write_text(RECIPE.replace("list: {k: 5}", "list: {k: 5, candidates: shelf.txt}"))
    recprofile.run("shop.yaml")
    mine = Run.open(Path("runs/shop")).table("recommendations.parquet", user="ben").sort("rank")["item"].to_list()
    assert listed(said, "--user", "ben") == mine
    assert set(listed(said, "--history", "i01")) == {"i02", "i07", "i09"}
    # x1 is on the shelf as well, and may be listed as soon as something is known of it; x2 is not on the shelf
    Path("more.csv").write_text("id,title,genre,pages\nx1,a new book,b,120\nx2,another book,b,130\n")
    Path("none.jsonl").write_text("")
    said("update", "shop.yaml", "--events", "none.jsonl", "--items", "more.csv")
    assert set(listed(said, "--history", "i01")) == {"i02", "i07", "i09", "x1"}


def test_cold_candidates_are_those_without_a_training_event(said):
    Path("shop.yaml").write_text(
        RECIPE.replace("by: random", "by: item-cold").replace("list: {k: 5}", "list: {k: 5, candidates: cold}")
    )
    recprofile.run("shop.yaml")
    base = base_of("p.db")
    cold = {name for name, trained in zip(base.names, base.trained, strict=True) if not trained}
    assert set(listed(said, "--user", "ben")) <= cold


def test_new_items_are_known_in_a_later_publication_too(said):
    recprofile.run("shop.yaml")
    write_events(("ada", "x1", 5, LATER))
    Path("more.csv").write_text("id,title,genre,pages\nx1,a new book,b,120\n")
    said("update", "shop.yaml", "--events", "new.jsonl", "--items", "more.csv")
    before = base_of("p.db")
    Path("shop.yaml").write_text(RECIPE.replace("holdout: 0.2", "holdout: 0.3"))
    told, _ = said("publish", "shop.yaml")
    assert "1 item of earlier updates, which the run lacks, encoded again" in told
    after = base_of("p.db")
    assert after.version != before.version
    assert (after.names[-1], after.label("x1"), after.added) == ("x1", "a new book", 1)
    genre = after.names.to_list().index("i01")  # of the same genre, which is all that is encoded
    assert np.allclose(after.vectors[-1], after.vectors[genre])
    card = json.loads(said("profile", "show", "ada", "--store", "p.db", "--json")[0])
    assert card["activity"]["waiting"] == 0
    assert "x1" in {one["item"] for one in card["history"]}


def test_new_items_that_a_later_run_knows_are_its_own(said):
    recprofile.run("shop.yaml")
    Path("more.csv").write_text("id,title,genre,pages\nx1,a new book,b,120\n")
    Path("none.jsonl").write_text("")
    said("update", "shop.yaml", "--events", "none.jsonl", "--items", "more.csv")
    Path("items.csv").write_text(ITEMS + "x1,the same book,a,120\n")
    assert "encoded again" not in said("publish", "shop.yaml")[0]
    assert base_of("p.db").label("x1") == "the same book"


def test_new_items_whose_attributes_no_longer_fit_are_left_out_and_named(said):
    recprofile.run("shop.yaml")
    Path("more.csv").write_text("id,title,genre,pages\nx1,a new book,b,120\n")
    Path("none.jsonl").write_text("")
    said("update", "shop.yaml", "--events", "none.jsonl", "--items", "more.csv")
    Path("items.csv").write_text(ITEMS.replace("the 0. book", "1900-01-01").replace(",b,", ",7,").replace(",a,", ",8,"))
    _, err = said("publish", "shop.yaml")
    assert "items of earlier updates are left out (x1): 'b' in column 'genre' of the new items is no Int64" in err


def test_a_list_of_an_earlier_version_holds_no_item_that_came_later(said):
    recprofile.run("shop.yaml")
    write_events(("ada", "i03", 5, LATER))
    said("update", "shop.yaml", "--events", "new.jsonl")
    write_events(("ada", "x1", 5, LATER + 1))
    Path("more.csv").write_text("id,title,genre,pages\nx1,a new book,b,120\nx2,another book,b,130\n")
    said("update", "shop.yaml", "--events", "new.jsonl", "--items", "more.csv")
    told = json.loads(said("profile", "diff", "ada", "2", "3", "--store", "p.db", "--json")[0])
    assert [row["before"] for row in told["recommended"] if row["item"] == "x2"] == [None]
    assert "x2" in {row["item"] for row in told["recommended"] if row["after"]}


def test_interests_are_shares_of_the_items_of_which_something_is_known(said):
    recprofile.run("shop.yaml")
    write_events(("newt", "i01", 5, LATER), ("newt", "unheard-of", 5, LATER))
    said("update", "shop.yaml", "--events", "new.jsonl")
    card = json.loads(said("profile", "show", "newt", "--store", "p.db", "--json")[0])
    assert [(one["value"], one["share"]) for one in card["interests"]] == [("b", 1.0)]
    assert card["activity"]["waiting"] == 1


def test_an_update_says_which_stage_is_not_done_to_later_weights(said):
    Path("shop.yaml").write_text(
        RECIPE.replace("stages:\n", "stages:\n  - preprocess: propensity\n    with: {weights: multiply}\n")
    )
    recprofile.run("shop.yaml")
    write_events(("ada", "i03", 5, LATER))
    _, err = said("update", "shop.yaml", "--events", "new.jsonl")
    assert err == "warning propensity: is not done to later events, which weigh what their file says\n"
    assert said("update", "shop.yaml", "--events", "new.jsonl")[1] == ""  # there was nothing to weigh


def test_an_update_says_nothing_of_stages_that_make_no_difference_to_it(said):
    Path("shop.yaml").write_text(
        RECIPE.replace(
            "stages:\n",
            "stages:\n  - preprocess: dedupe\n  - preprocess: k-core\n    with: {min_user: 2, min_item: 2}\n",
        )
    )
    recprofile.run("shop.yaml")
    write_events(("ada", "i03", 5, LATER))
    assert said("update", "shop.yaml", "--events", "new.jsonl")[1] == ""


def test_what_a_stage_would_have_changed_counts_as_missing_in_new_items():
    before = dataset([(1, 1)], items={"id": [1, 2, 3], "price": [1.0, None, 3.0], "pages": [10, 20, 30]})
    after = before.revise(
        items=before.items.with_columns(
            pl.Series("price", [1.0, 2.0, 3.0]),
            pl.Series("pages", [-1.0, 0.0, 1.0]),
            pl.Series("gap", [False, True, False]),
        )
    )
    said = revised("mend", before, after)
    assert said == {"stage": "mend", "weight": None, "items": {"price": "filled", "pages": "changed", "gap": "added"}}
    told = []
    new = pl.DataFrame({"price": [4.0, None], "pages": [40, 50], "gap": [False, True]})
    assert as_they_come([said], new, told.append).rows() == [(4.0, None, False), (None, None, True)]
    assert told == [
        "mend: is not done to new items, whose 'price' counts as missing until the next run",
        "mend: is not done to new items, whose 'pages' counts as missing until the next run",
    ]


def test_events_that_went_are_no_change_of_weights_and_a_filled_one_is_told_from_a_changed_one():
    data = dataset([(1, 1, 2.0), (1, 2, 3.0), (2, 2, float("nan"))])
    kept = replace(data.train.take(np.array([0])), weight=np.array([2.0], np.float32))
    fewer = data.revise(train=kept, held=np.zeros(1, np.bool_))
    assert revised("k-core", data, fewer)["weight"] is None

    def weighing(*weights):
        return data.revise(train=replace(data.train, weight=np.array(weights, np.float32)))

    assert revised("impute", data, weighing(2, 3, 2.5))["weight"] == "filled"
    assert revised("scale", data, weighing(-1, 1, float("nan")))["weight"] == "changed"


def test_a_model_that_holds_a_row_of_each_user_is_told_from_one_of_items():
    rows = np.zeros((6, 3), np.float32)
    assert of_users(Pack({"factors": rows}), 6, 12)
    assert not of_users(Pack({"weights": np.zeros((12, 12))}), 6, 12)
    assert not of_users(Pack({"weights": np.zeros((6, 6))}), 6, 6)  # pairs of as many items as there are users


def test_a_store_of_another_form_is_refused_and_left_alone(said):
    recprofile.run("shop.yaml")
    store = Store(f"sqlite:///{Path('p.db').resolve()}")
    with store.change() as connection:
        connection.execute(meta.update().values(form=1))
    before = Path("p.db").read_bytes()
    _, err = said("profile", "show", "ada", "--store", "p.db", status=4)
    assert f"cannot be used: its tables are of form 1, and this recprofile knows {FORM}" in err
    assert "recprofile publish RECIPE --store FILE" in err
    assert Path("p.db").read_bytes() == before
