"""Tags and cards of people: in the run folder and the store, and edits of them, which act at once and last."""

import json
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import recprofile
from recprofile.api import planned
from recprofile.cli.main import status_of
from recprofile.errors import RunError
from recprofile.interests import tagged, tags_of, write_card
from recprofile.profiles.answer import answer
from recprofile.profiles.edit import Asked, edit
from recprofile.profiles.forget import forget, traces
from recprofile.profiles.incoming import incoming_events, new_items
from recprofile.profiles.person import person
from recprofile.profiles.read import card, export
from recprofile.profiles.stages import Stages
from recprofile.profiles.store import Store
from recprofile.profiles.update import update
from recprofile.registry import make_registry
from recprofile.runs import Run

USERS = ["ada", "ben", "cleo", "dan", "eve", "finn"]
KINDS = ["Crime", "Drama", "Opera", "Western"]
RATINGS = "user,item,weight,time\n" + "".join(
    f"{u},i{i:02},{5 if (i + n) % 4 == 0 else 1 + (n * 3 + i) % 5},{1000 * i + n}\n"
    for n, u in enumerate(USERS)
    for i in range(16)
    if (n + i) % 3 != 0
)
ITEMS = "id,title,genre\n" + "".join(f"i{i:02},Book {i},{KINDS[i % 4]}\n" for i in range(17))
RECIPE = """\
recipe: 1
device: cpu
data:
  interactions: ratings.csv
  items: items.csv
  positive: ">= 3"
  split: {by: random, holdout: 0.1}
stages:
  - encode: tags
    id: tags
    with: {columns: [genre], min_count: 1, least: 0}
  - encode: als
    id: taste
    with: {dim: 3}
  - fuse: weighted
    id: profile
    from: [tags, taste]
  - recommend: dot
  - update: fold-in
list: {k: 5, exclude_seen: false}
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


def take_in(store, *events, items=None):
    Path("events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    told = []
    plan, registry = planned("shop.yaml")
    stages = Stages.of(plan, registry, told.append)
    log = incoming_events(Path("events.jsonl"), plan, has_time=True, warn=told.append)
    new = None
    if items is not None:
        Path("more.csv").write_text(items)
        new = new_items(Path("more.csv"), plan, warn=told.append)
    done = update(store, stages, log, new)
    assert told == []
    assert done.parity["largest"] < 1e-5
    return done


def event(user, item, weight=5, time=LATER):
    return {"user": user, "item": item, "weight": weight, "time": time}


def said(store, user, **asked):
    pairs = tuple((tag, None) if isinstance(tag, str) else tag for tag in asked.pop("like", ()))
    told = []
    done = edit(store, make_registry(), user, Asked(like=pairs, **asked), by="the tests", warn=told.append)
    assert told == []
    return done


def shown(store, user):
    with store.read() as connection:
        return card(connection, store, make_registry(), "shop", user)


def weights(store, user):
    return {tag["tag"]: pytest.approx(tag["weight"], rel=1e-5) for tag in shown(store, user)["tags"]}


def scores(store, user):
    registry = make_registry()
    with store.read() as connection:
        who = person(connection, store, registry, "shop", user)
        return {row["item"]: row["score"] for row in answer(connection, registry, who, 20)}


def block(store, user, name="tags"):
    with store.read() as connection:
        who = person(connection, store, make_registry(), "shop", user)
    mine = next(block for block in who.profile.blocks if block.name == name)
    return who.profile.user_vectors[0, mine.start : mine.stop] / who.base.blocks[mine.start > 0].scale


def test_profiles_of_a_run_have_the_cards_of_their_encoder_and_show_prints_them(published, capsys):
    profiles = Run.open(Path("runs/shop")).profiles()
    assert profiles.cards.columns == ["user", "text", "tags"]
    assert profiles.cards["user"].to_list() == profiles.users.ids.to_list()
    first = tags_of(profiles, 0)
    assert profiles.cards["text"][0].startswith(f"Likes {next(t['tag'] for t in first if t['weight'] > 0)}")
    for where in ("--run runs/shop", "--store shop.yaml"):
        capsys.readouterr()
        assert status_of(shlex.split(f"profile show ada {where}")) == 0
        out = " ".join(capsys.readouterr().out.split())
        assert profiles.cards["text"][0] in out
        assert "tag weight theirs usual trend as in" in out
        assert "made by" in out
        assert "fused by" in out
    assert status_of(shlex.split("profile show ada --run runs/shop --json")) == 0
    assert json.loads(capsys.readouterr().out)["tags"] == first


def test_a_store_makes_the_tags_and_cards_of_the_run(published):
    profiles = Run.open(Path("runs/shop")).profiles()
    for code, user in enumerate(USERS):
        told = shown(published, user)
        assert told["text"] == profiles.cards["text"][code]
        own = tags_of(profiles, code)
        assert [tag["tag"] for tag in told["tags"]] == [tag["tag"] for tag in own]
        for name in ("weight", "share", "usual", "trend"):
            np.testing.assert_allclose([t[name] for t in told["tags"]], [t[name] for t in own], rtol=1e-5)
    with published.read() as connection:
        (version,) = connection.exec_driver_sql("SELECT parity FROM versions").all()
    assert json.loads(version[0])["blocks"]["tags"] < 1e-5


def test_an_update_writes_tags_and_card_of_the_users_it_touches_anew(published):
    before, other = shown(published, "ada"), shown(published, "ben")
    take_in(
        published,
        event("ada", "i02"),
        event("ada", "i06"),
        event("ada", "i10"),
        event("ada", "i14"),
        event("zoe", "i03"),
    )
    after = shown(published, "ada")
    assert after["text"] != before["text"]
    opera = next(tag for tag in after["tags"] if tag["tag"] == "Opera")
    assert opera["items"] == 4
    assert opera["trend"] > 0
    assert next((t["weight"] for t in before["tags"] if t["tag"] == "Opera"), 0) < opera["weight"]
    assert shown(published, "ben") == {**other}
    assert shown(published, "zoe")["text"].startswith("Likes Western, by 1 event.")
    np.testing.assert_allclose(block(published, "zoe").sum(), shown(published, "zoe")["tags"][0]["weight"], rtol=1e-5)


def test_new_items_have_their_tags(published):
    take_in(published, event("zoe", "i99"), items="id,title,genre\ni99,A New One,Opera\n")
    told = shown(published, "zoe")
    assert [(tag["tag"], tag["evidence"]) for tag in told["tags"]] == [("Opera", ["A New One"])]
    assert scores(published, "zoe")["i99"] > scores(published, "zoe")["i00"]


def test_an_edit_acts_on_the_next_list_through_its_tags(published):
    before = scores(published, "ada")
    old = block(published, "ada")
    done = said(published, "ada", like=[("opera", 3.0)], dislike=("Crime",))
    assert done.version == 2
    strongest = max(abs(old).max(), 0)
    told = weights(published, "ada")
    assert told["Opera"] == 3.0
    assert told["Crime"] == pytest.approx(-strongest, rel=1e-4)
    after = scores(published, "ada")
    moved = {item: after[item] - before[item] for item in before}
    kind = {f"i{i:02}": KINDS[i % 4] for i in range(17)}
    assert min(moved[i] for i in moved if kind[i] == "Opera") > 0 > max(moved[i] for i in moved if kind[i] == "Crime")
    assert max(abs(moved[i]) for i in moved if kind[i] in ("Drama", "Western")) < 1e-5
    assert next(iter(after)) in [i for i in kind if kind[i] == "Opera"]
    text = shown(published, "ada")["text"]
    assert text.startswith("Likes Opera")
    assert "They say so of Opera." in text
    assert "Avoids Crime" in text


def test_an_edit_outlives_updates_and_publications_until_it_is_undone(published, capsys):
    take_in(published, event("ada", "i03"))
    said(published, "ada", like=[("Opera", 3.0)], remove=("Western",))
    take_in(published, event("ada", "i07"), event("ada", "i11"))
    assert weights(published, "ada")["Opera"] == 3.0
    assert "Western" not in weights(published, "ada")
    Path("shop.yaml").write_text(RECIPE.replace("dim: 3", "dim: 4"))
    assert status_of(["publish", "shop.yaml"]) == 0
    capsys.readouterr()
    with published.read() as connection:
        assert len(person(connection, published, make_registry(), "shop", "ada").profile.user_vectors[0]) == 8
    assert weights(published, "ada")["Opera"] == 3.0
    assert block(published, "ada")[2] == pytest.approx(3.0, rel=1e-5)
    done = said(published, "ada", undo=True)
    assert done.undone == 3
    assert weights(published, "ada").get("Opera", 0) != 3.0
    assert "Western" in weights(published, "ada")
    assert block(published, "ada")[2] < 1
    with pytest.raises(RunError, match="left to undo"):
        said(published, "ada", undo=True)


def test_undoing_gives_back_the_profile_before(published):
    old, list_ = block(published, "ben"), scores(published, "ben")
    said(published, "ben", like=["Opera"])
    said(published, "ben", dislike=("Opera",))
    assert block(published, "ben")[2] < 0
    said(published, "ben", undo=True)
    assert block(published, "ben")[2] > 0
    said(published, "ben", undo=True)
    np.testing.assert_allclose(block(published, "ben"), old, atol=1e-6)
    assert scores(published, "ben") == pytest.approx(list_, abs=1e-5)
    told = shown(published, "ben")
    assert [one["undone"] for one in told["edits"]] == [5, 4]
    assert [version["kind"] for version in told["versions"]] == ["publish", "edit", "edit", "edit", "edit"]


def test_an_edit_counts_in_later_versions_and_not_in_earlier_ones(published):
    said(published, "ada", like=[("Opera", 2.0)])
    registry = make_registry()
    with published.read() as connection:
        from recprofile.profiles.read import numbered

        first = person(connection, published, registry, "shop", "ada", at=numbered(connection, "shop", 1))
        second = person(connection, published, registry, "shop", "ada", at=numbered(connection, "shop", 2))
    assert not any(tag["edited"] for tag in tags_of(first.profile, 0))
    assert any(tag["edited"] for tag in tags_of(second.profile, 0))


def test_a_card_in_ones_own_words_stays(published):
    said(published, "ada", text="I read on trains.")
    assert shown(published, "ada")["text"] == "I read on trains."
    take_in(published, event("ada", "i03"))
    assert shown(published, "ada")["text"] == "I read on trains."
    said(published, "ada", undo=True)
    assert shown(published, "ada")["text"].startswith("Likes ")


def test_an_unknown_tag_and_an_unknown_user_are_told_with_near_names(published):
    with pytest.raises(RunError) as told:
        said(published, "ada", like=["Oprea"])
    assert told.value.problems[0].code == "RP607"
    assert any("did you mean 'Opera'?" in line for line in told.value.problems[0].help)
    with pytest.raises(RunError) as told:
        said(published, "adda", like=["Opera"])
    assert told.value.problems[0].code == "RP607"
    with closing(sqlite3.connect("p.db")) as connection:
        assert connection.execute("SELECT count(*) FROM versions").fetchone() == (1,)


def test_profiles_without_tags_refuse_them_and_take_words(published):
    text = RECIPE.replace("encode: tags", "encode: category").replace(", min_count: 1, least: 0", "")
    Path("shop.yaml").write_text(text)
    recprofile.run("shop.yaml")
    with pytest.raises(RunError) as told:
        said(published, "ada", like=["Opera"])
    assert told.value.problems[0].code == "RP608"
    before = scores(published, "ada")
    said(published, "ada", text="Mine.")
    assert shown(published, "ada")["text"] == "Mine."
    assert scores(published, "ada") == pytest.approx(before, abs=1e-5)
    said(published, "ada", text="Mine, too.")
    said(published, "ada", undo=True)
    assert shown(published, "ada")["text"] == "Mine."
    said(published, "ada", undo=True)
    assert shown(published, "ada")["text"] is None


def test_an_edit_needs_no_update_stage_and_says_where_lists_do_not_rest_on_profiles(published):
    Path("shop.yaml").write_text(
        RECIPE.replace("  - update: fold-in\n", "").replace("recommend: dot", "recommend: ease")
    )
    recprofile.run("shop.yaml")
    done = said(published, "ada", like=[("Opera", 2.0)])
    assert done.told == ("the lists of this recipe do not rest on its profiles, and stay as they are",)
    assert block(published, "ada")[2] == pytest.approx(2.0, rel=1e-5)


def test_edits_are_exported_and_forgotten(published, tmp_path):
    said(published, "ada", like=[("Opera", 2.0)], text="I am ada-quartz.")
    with published.read() as connection:
        held = export(connection, published, make_registry(), "ada")["recipes"]["shop"]
    (one,) = held["edits"]
    assert one["by"] == "the tests"
    assert one["tags"] == [{"column": "genre", "tag": "Opera", "weight": 2.0}]
    assert one["version"] == 2
    assert one["undone"] is None
    forget(published, traces(published, tmp_path, "ada"))
    with closing(sqlite3.connect("p.db")) as connection:
        assert connection.execute("SELECT count(*) FROM edits").fetchone() == (0,)
    assert b"ada-quartz" not in Path("p.db").read_bytes()
    assert b"the tests" not in Path("p.db").read_bytes()


def test_the_command_takes_weights_and_refuses_what_means_nothing(published, capsys):
    assert status_of(shlex.split("profile edit ada --store shop.yaml --like opera=0.5 --like Drama --by Ada")) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "version 2" in out
    assert "likes Opera (0.500), likes Drama" in out
    assert status_of(shlex.split("profile show ada --store shop.yaml")) == 0
    assert "by Ada: likes Opera (0.500)" in " ".join(capsys.readouterr().out.split())
    assert status_of(shlex.split("profile edit ada --store shop.yaml --undo --json")) == 0
    assert json.loads(capsys.readouterr().out)["undone"] == 2
    for wrong in ("", "--undo --like Opera", "--like Opera=-1", "--like Opera=inf"):
        assert status_of(shlex.split(f"profile edit ada --store shop.yaml {wrong}")) == 2
        assert "version" not in capsys.readouterr().out


def test_cards_of_all_users_of_a_store_are_those_of_their_facts(published):
    from recprofile.interests import facts_of

    registry = make_registry()
    for user in USERS:
        with published.read() as connection:
            who = person(connection, published, registry, "shop", user)
        params = planned("shop.yaml")[0].of("encode")[0].component.params
        (facts,) = facts_of(tagged(who.data, params), who.data, np.zeros(1, np.int32))
        assert write_card(facts) == shown(published, user)["text"]
