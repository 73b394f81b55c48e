"""The profile store: what publish and update leave in it, and what they leave alone."""

import json
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import recprofile
from recprofile.api import planned
from recprofile.cli.main import status_of
from recprofile.errors import RunError
from recprofile.profiles.address import find_store, store_of, store_url
from recprofile.profiles.incoming import event_ids, incoming_events
from recprofile.profiles.kept import load_base
from recprofile.profiles.people import load_people, load_profiles
from recprofile.profiles.stages import Stages
from recprofile.profiles.store import Store
from recprofile.profiles.update import update
from recprofile.profiles.versions import all_versions, publication
from recprofile.runs import Run
from recprofile.testing import context

USERS = ["ada", "ben", "cleo", "dan", "eve", "finn"]
RATINGS = "user,item,weight,time\n" + "".join(
    f"{u},i{i:02},{1 + (n * 3 + i * 7) % 5},{1000 * i + n}\n"
    for n, u in enumerate(USERS)
    for i in range(12)
    if (n + i) % 3 != 0
)
ITEMS = "id,title,genre\n" + "".join(
    f"i{i:02},the {w} book,{'ab'[i % 2]}\n"
    for i, w in enumerate(["red", "blue", "green", "grey", "lost", "found", "deep", "far"] * 2)
)
RECIPE = """\
recipe: 1
device: cpu
data:
  interactions: ratings.csv
  items: items.csv
  positive: ">= 2"
  split: {by: random, holdout: 0.2}
stages:
  - preprocess: dedupe
  - encode: tfidf
    id: plot
    with: {columns: [title]}
  - encode: category
    id: genre
    with: {columns: [genre]}
  - encode: als
    id: taste
    with: {dim: 3}
  - fuse: weighted
    id: profile
    from: [plot, genre, taste]
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
def published(box):
    recprofile.run("shop.yaml")
    return Store(f"sqlite:///{box / 'p.db'}")


def write(name, *events):
    Path(name).write_text("".join(json.dumps(event) + "\n" for event in events))


def event(user, item, weight=5, time=LATER, **more):
    return {"user": user, "item": item, "weight": weight, "time": time, **more}


def take_in(store, *events, items=None, recipe="shop.yaml"):
    write("events.jsonl", *events)
    plan, registry = planned(recipe)
    told = []
    stages = Stages.of(plan, registry, told.append)
    log = incoming_events(Path("events.jsonl"), plan, has_time=True, warn=told.append)
    done = update(store, stages, log, items)
    assert told == []
    return done


def stored(store, user):
    with store.read() as connection:
        base = load_base(connection, publication(connection, store, "shop").id)
        people = load_people(connection, "shop", [user])
        return load_profiles(connection, base, [people.keys[user]]).vectors[0], people.log


def rows(store, query):
    with closing(sqlite3.connect(store.path)) as connection:
        return connection.execute(query).fetchall()


def test_publishing_stores_every_profile_as_it_is_in_the_run_and_every_training_event(published):
    run = Run.open(Path("runs/shop"))
    profiles = run.profiles()
    for code, user in enumerate(profiles.users.ids):
        assert stored(published, user)[0].tolist() == profiles.user_vectors[code].tolist()
    assert rows(published, "select count(*) from events") == [(run.manifest["data"]["events"]["train"],)]
    (version,) = rows(published, "select number, kind, users from versions")
    assert version == (1, "publish", 6)


def test_publishing_the_same_run_again_adds_nothing(published, capsys):
    before = published.path.read_bytes()
    assert recprofile.run("shop.yaml").published.is_new is False
    assert status_of(["publish", "shop.yaml"]) == 0
    assert "is this run already; nothing changed" in capsys.readouterr().out
    assert published.path.read_bytes() == before


def test_a_store_that_is_gone_is_published_again_from_a_run_that_is_done(published):
    published.path.unlink()
    result = recprofile.run("shop.yaml")
    assert result.unchanged
    assert result.published.is_new


def test_publishing_measures_that_the_store_holds_all_that_the_profiles_rest_on(published):
    ((parity,),) = rows(published, "select parity from versions")
    assert json.loads(parity)["largest"] <= 1e-5
    assert set(json.loads(parity)["blocks"]) == {"plot", "genre", "taste"}


def test_another_run_becomes_a_further_version(published):
    assert recprofile.run("shop.yaml", ["seed=3"]).published.version == 2
    assert rows(published, "select count(*) from users") == [(6,)]


def test_an_update_moves_the_users_concerned_and_no_other(published):
    before = {user: stored(published, user)[0] for user in USERS}
    done = take_in(published, event("ada", "i03"), event("ada", "i05", 1))
    assert (done.events, done.users, done.new_users, done.version) == (2, 1, 0, 2)
    after = {user: stored(published, user)[0] for user in USERS}
    assert [user for user in USERS if not np.array_equal(before[user], after[user])] == ["ada"]
    assert rows(published, "select count(*) from profiles where version = 2") == [(1,)]


def test_an_exact_update_is_what_a_full_rebuild_gives(published):
    done = take_in(published, event("ada", "i03"), event("new", "i01"), event("new", "i04"))
    assert done.exact
    assert done.parity["users"] == 2
    assert done.parity["largest"] <= 1e-5


def test_an_update_is_what_another_run_of_the_model_would_solve(published):
    # The encoder's own half-sweep, in float32 with torch, on the whole history: another code than the update's.
    import torch
    from scipy.sparse import csr_array

    from recprofile.builtin.encode.als import AlsParams
    from recprofile.builtin.encode.als_device import _batches, _solve

    take_in(published, event("ada", "i03"))
    vector, log = stored(published, "ada")
    with published.read() as connection:
        base = load_base(connection, 1)
    codes = np.unique(base.ids.codes(log.filter(pl.col("positive"))["item"]))
    history = csr_array((np.ones(len(codes), np.float32), codes, [0, len(codes)]), shape=(1, len(base.names)))
    items = torch.from_numpy(base.raw["taste"][0].copy())
    users = torch.zeros((1, 3))
    params = AlsParams(dim=3, l2=0.02)
    progress = context().progress(1, "users")
    _solve(users, items, list(_batches(history, params, "cpu")), alpha=params.alpha, progress=progress)
    block = base.blocks[2]
    assert np.allclose(vector[block.start : block.stop], users.numpy()[0] * block.scale, atol=1e-5)


def test_the_same_events_a_second_time_change_nothing(published):
    events = [event("ada", "i03"), event("ada", "i03"), event("new", "i01")]
    first = take_in(published, *events)
    before = published.path.read_bytes()
    again = take_in(published, *events)
    assert (first.events, first.is_new) == (3, True)
    assert (again.events, again.duplicates, again.is_new, again.version) == (0, 3, False, 2)
    assert published.path.read_bytes() == before


def test_an_event_that_was_in_training_is_known_by_what_it_says(published):
    _, log = stored(published, "ada")
    first = log.row(0, named=True)
    again = take_in(published, event("ada", first["item"], first["weight"], first["time"]))
    assert (again.events, again.duplicates) == (0, 1)


def test_an_event_id_tells_events_apart_and_together(published):
    done = take_in(published, event("ada", "i03", event_id="e1"), event("ben", "i03", event_id="e1"))
    assert (done.events, done.duplicates) == (1, 1)
    assert take_in(published, event("ada", "i03", event_id="e2")).events == 1


def test_updates_in_two_halves_equal_one_of_both(published, box):
    first, second = [event("ada", "i03"), event("new", "i01")], [event("new", "i07"), event("ada", "i05")]
    other = box / "q.db"
    other.write_bytes(published.path.read_bytes())
    take_in(published, *first)
    take_in(published, *second)
    whole = Store(f"sqlite:///{other}")
    take_in(whole, *first, *second)
    for user in ("ada", "new"):
        assert np.allclose(stored(published, user)[0], stored(whole, user)[0], atol=1e-6)


def test_the_order_of_updates_does_not_matter(published, box):
    other = box / "q.db"
    other.write_bytes(published.path.read_bytes())
    again = Store(f"sqlite:///{other}")
    for store, order in ((published, ["i03", "i05"]), (again, ["i05", "i03"])):
        for item in order:
            take_in(store, event("ada", item))
    assert np.allclose(stored(published, "ada")[0], stored(again, "ada")[0], atol=1e-6)


def test_an_event_with_an_unknown_item_waits_until_its_attributes_come(published):
    done = take_in(published, event("new", "x1"))
    assert (done.events, done.waiting, done.new_users) == (1, 1, 1)
    assert not stored(published, "new")[0].any()
    items = pl.Series("id", ["x1"]), pl.DataFrame({"title": ["the red book"], "genre": ["a"]})
    done = take_in(published, items=items)
    assert (done.events, done.new_items, done.users) == (0, 1, 1)
    assert done.parity["largest"] <= 1e-5
    assert stored(published, "new")[0].any()


def test_a_new_item_lies_where_a_known_one_with_the_same_attributes_lies(published):
    items = pl.Series("id", ["x1"]), pl.DataFrame({"title": ["the red book"], "genre": ["a"]})
    take_in(published, items=items)  # as i00
    with published.read() as connection:
        base = load_base(connection, 1)
    model = base.blocks[2]
    assert np.allclose(base.vectors[-1, : model.start], base.vectors[0, : model.start], atol=1e-6)
    # Of behaviour nothing is known: it is taken for the average item.
    known = base.trained & base.vectors[:, model.start :].any(axis=1)
    assert np.allclose(base.vectors[-1, model.start :], base.vectors[known, model.start :].mean(axis=0), atol=1e-5)
    assert base.label("x1") == "the red book"


def test_events_of_updates_count_in_a_later_publication(published):
    take_in(published, event("ada", "i03", time=LATER))
    result = recprofile.run("shop.yaml", ["stages.taste.with.epochs=5"])
    assert result.published.carried == 1
    vector, log = stored(published, "ada")
    assert log["time"].max() == LATER
    profiles = Run.open(Path("runs/shop")).profiles()
    assert not np.allclose(vector, profiles.user_vectors[int(profiles.users.codes(["ada"])[0])])
    assert rows(published, "select count(*) from profiles where version = 3") == [(6,)]


def test_whole_numbers_come_back_as_whole_numbers(box):
    for name in ("ratings.csv", "items.csv"):
        text = Path(name).read_text().replace(",i", ",").replace("\ni", "\n")
        for n, user in enumerate(USERS):
            text = text.replace(f"{user},", f"{n},")
        Path(name).write_text(text.replace(",0", ",1").replace("\n0", "\n1") if name == "items.csv" else text)
    Path("items.csv").write_text("id,title,genre\n" + "".join(f"{i},the book {i},a\n" for i in range(12)))
    lines = [f"{n},{i},{1 + (n + i) % 5},{1000 * i + n}\n" for n in range(6) for i in range(12) if (n + i) % 3]
    Path("ratings.csv").write_text("user,item,weight,time\n" + "".join(lines))
    recprofile.run("shop.yaml")
    store = Store(f"sqlite:///{box / 'p.db'}")
    take_in(store, event(3, 5), event(77, 2))
    found = sorted(rows(store, 'select "user", whole from users'))
    assert ("77", 1) in found
    assert all(whole for _, whole in found)


def test_two_updates_at_once_wait_for_one_another(published):
    plan, registry = planned("shop.yaml")
    failed = []

    def one(n):
        try:
            write(f"{n}.jsonl", *(event(f"u{n}", f"i{i:02}") for i in range(5)))
            stages = Stages.of(plan, registry, lambda _: None)
            log = incoming_events(Path(f"{n}.jsonl"), plan, has_time=True, warn=lambda _: None)
            update(Store(published.url), stages, log)
        except Exception as error:  # noqa: BLE001 - told by the assertion below
            failed.append(error)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert rows(published, "select sum(events), count(*) from versions where kind = 'update'") == [(20, 4)]


def test_an_update_that_fails_leaves_the_store_as_it_was(published, monkeypatch):
    from recprofile.builtin.update import FoldInHistory

    def broken(*_):
        raise RuntimeError("broken")

    before = rows(published, "select * from events") + rows(published, "select * from versions")
    monkeypatch.setattr(FoldInHistory, "update", broken)
    with pytest.raises(RuntimeError):
        take_in(published, event("ada", "i03"), event("new", "i01"))
    assert rows(published, "select * from events") + rows(published, "select * from versions") == before
    assert rows(published, "select count(*) from users") == [(6,)]


def test_equal_events_of_one_file_have_different_ids_which_are_the_same_in_every_file():
    frame = pl.DataFrame({"user": ["a", "a", "b"], "item": ["x"] * 3, "weight": [1.0] * 3, "time": [None] * 3})
    ids = event_ids(frame.with_columns(pl.col("time").cast(pl.Int64)))
    assert ids.n_unique() == 3
    assert event_ids(frame[:1].with_columns(pl.col("time").cast(pl.Int64)))[0] == ids[0]


@pytest.mark.parametrize("name", ["events.csv", "events.tsv", "events.parquet", "events.jsonl"])
def test_events_are_read_from_files_of_every_form(name):
    frame = pl.DataFrame({"user": ["ada"], "item": ["i03"], "weight": [5.0], "time": [LATER], "event_id": ["e1"]})
    writers = {
        "csv": frame.write_csv,
        "tsv": lambda path: frame.write_csv(path, separator="\t"),
        "parquet": frame.write_parquet,
        "jsonl": frame.write_ndjson,
    }
    writers[name.partition(".")[2]](name)
    plan, _ = planned("shop.yaml")
    read = incoming_events(Path(name), plan, has_time=True, warn=lambda _: None)
    assert read.select("user", "item", "weight", "time", "positive", "event_id").rows() == [
        ("ada", "i03", 5.0, LATER, True, "e1")
    ]


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("with: {dim: 2}", "RP608 the recipe's encode stages changed since its profiles were published"),
        ("with: {dim: 3, l2: 0.5}", "RP608 the recipe's encode stages changed since its profiles were published"),
    ],
)
def test_a_recipe_that_changed_since_it_was_published_is_refused(published, stage, message, capsys):
    Path("shop.yaml").write_text(RECIPE.replace("with: {dim: 3}", stage))
    write("new.jsonl", event("ada", "i03"))
    assert status_of(["update", "shop.yaml", "--events", "new.jsonl"]) == 4
    assert capsys.readouterr().err.startswith(message)


def test_what_is_wrong_with_an_update_is_said(published, capsys):
    def said(*arguments):
        assert status_of(["update", *arguments]) != 0
        return capsys.readouterr().err.splitlines()[0]

    write("new.jsonl", event("ada", "i03"))
    assert said("shop.yaml", "--events", "none.jsonl").endswith("RP501 no file 'none.jsonl'")
    Path("b.csv").write_text("user,item,weight\nada,i02,5\n")
    assert said("shop.yaml", "--events", "b.csv") == "RP502 no column 'time' in 'b.csv'"
    Path("c.csv").write_text("user,item,weight,time\nada,i02,x,5\n")
    assert said("shop.yaml", "--events", "c.csv") == "RP503 'x' in column 'weight' is no number"
    assert said("shop.yaml", "--events", "new.jsonl", "--store", "q.db").startswith("RP608 no profile store")
    Path("none.yaml").write_text(RECIPE.replace("  - update: fold-in\n", ""))
    assert "RP404 the recipe has no update stage" in said("none.yaml", "--events", "new.jsonl")
    Path("other.yaml").write_text(RECIPE)
    assert said("other.yaml", "--events", "new.jsonl").startswith("RP608 no profiles of 'other' in")
    Path("q.db").write_bytes(b"this is no database at all" * 100)
    assert "cannot be used" in said("shop.yaml", "--events", "new.jsonl", "--store", "q.db")


def test_an_update_without_events_is_no_mistake(published, capsys):
    Path("empty.jsonl").write_text("")
    assert status_of(["update", "shop.yaml", "--events", "empty.jsonl"]) == 0
    assert capsys.readouterr().out.startswith("nothing new: version 1")


def test_a_store_is_named_by_a_file_a_url_or_a_recipe(published, box):
    assert store_url("x.db", box) == store_url("sqlite:///x.db", box) == f"sqlite:///{box / 'x.db'}"
    assert find_store("shop.yaml", None) == (published.url, "shop")
    Path("bare.yaml").write_text(RECIPE.replace("publish: sqlite:///p.db\n", ""))
    assert store_of(planned("bare.yaml")[0], None) == f"sqlite:///{box / 'runs' / 'profiles.db'}"
    with pytest.raises(RunError, match=r"RP608 no profile store in \./runs"):
        find_store(None, None)
    with pytest.raises(RunError, match="RP608 'mysql://h/x' is no profile store"):
        store_url("mysql://h/x", box)


def test_versions_say_where_they_came_from(published):
    take_in(published, event("ada", "i03"))
    with published.read() as connection:
        first, second = all_versions(connection, "shop")
    assert first.provenance["recipe_file"].endswith("shop.yaml")
    assert first.provenance["keys"] == Run.open(Path("runs/shop")).manifest["keys"]
    assert "tfidf@1" in first.provenance["recipe"]
    assert (second.kind, second.base, second.asof, second.provenance["updater"]) == (
        "update", first.id, LATER, "fold-in@1",
    )  # fmt: skip


def test_a_store_whose_creation_was_killed_is_made_again(box):
    with closing(sqlite3.connect("p.db")) as connection:  # what is there before the first transaction ends
        connection.execute("pragma journal_mode=wal")
        connection.execute("create table t (x)")
        connection.execute("drop table t")
        connection.commit()
    assert Path("p.db").stat().st_size > 0
    assert recprofile.run("shop.yaml").published.is_new


def test_another_database_is_left_alone(box):
    with closing(sqlite3.connect("p.db")) as connection:
        connection.execute("create table theirs (x)")
        connection.commit()
    with pytest.raises(RunError, match="cannot be used: it is another database"):
        recprofile.run("shop.yaml")
    with closing(sqlite3.connect("p.db")) as connection:
        assert connection.execute("select name from sqlite_master").fetchall() == [("theirs",)]
