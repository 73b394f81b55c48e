"""Recommenders asked from a store, each by itself and hybrids: as the run ranked, and for people who came later."""

import json
from pathlib import Path

import numpy as np
import pytest

import recprofile
from recprofile.cli.main import status_of
from recprofile.errors import RunError
from recprofile.registry import make_registry
from recprofile.runs import Run

USERS = ["ada", "ben", "cleo", "dan", "eve", "finn"]
RATINGS = "user,item,weight,time\n" + "".join(
    f"{u},i{i:02},{1 + (n * 3 + i * 7) % 5},{1000 * i + n}\n"
    for n, u in enumerate(USERS)
    for i in range(12)
    if (n + i) % 3 != 0
)
ITEMS = "id,title,genre\n" + "".join(f"i{i:02},the {i}. book,{'ab'[i % 2]}\n" for i in range(12))
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
RANKERS
  - update: fold-in
list: {k: 5}
evaluate: {baselines: [], bootstrap: 10}
publish: sqlite:///p.db
"""


@pytest.fixture
def asked(tmp_path, monkeypatch, capsys):
    """What a store of a recipe with these recommend stages answers for a user: items and scores."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("ratings.csv", RATINGS), ("items.csv", ITEMS)):
        Path(name).write_text(text)

    def publish(*rankers):
        Path("shop.yaml").write_text(RECIPE.replace("RANKERS", "\n".join(f"  - {ranker}" for ranker in rankers)))
        recprofile.run("shop.yaml")

        def ask(user, status=0):
            assert status_of(["recommend", "--user", user, "--store", "p.db", "--json"]) == status
            out = capsys.readouterr()
            if status:
                return out.err
            rows = json.loads(out.out)["recommendations"]
            return {row["item"]: row["score"] for row in rows}

        return ask

    return publish


def take_in(capsys, *events, items=None):
    Path("new.csv").write_text("user,item,weight,time\n" + "".join(f"{u},{i},5,99999\n" for u, i in events))
    more = []
    if items is not None:
        Path("more.csv").write_text(f"id,title,genre\n{items}\n")
        more = ["--items", "more.csv"]
    assert status_of(["update", "shop.yaml", "--events", "new.csv", *more]) == 0
    capsys.readouterr()


def of_run(user):
    mine = Run.open(Path("runs/shop")).table("recommendations.parquet", user=user).sort("rank")
    return dict(mine.select("item", "score").iter_rows())


def can_be_asked():
    for offer in make_registry().offers:
        component = offer.component
        if offer.name == "user-knn":  # has a test of its own
            continue
        if offer.verb == "recommend" and component.ranks_new_users and not component.takes_rankers:
            yield pytest.param(offer.name, component, id=offer.name)


@pytest.mark.parametrize(("use", "component"), list(can_be_asked()))
def test_what_ranks_from_a_history_answers_from_a_store(use, component, asked, capsys):
    try:
        ask = asked(f"recommend: {use}")
    except RunError:  # it learns from what items are about
        ask = asked(f"{{recommend: {use}, from: [genre]}}")
    for user in ("ben", "finn"):
        told, mine = ask(user), of_run(user)
        assert len(told) == len(mine)
        if component.exact_for_new_users:
            assert np.allclose(list(told.values()), list(mine.values()), atol=1e-4)
    take_in(capsys, ("newt", "i01"), ("newt", "zz"), items="zz,a new book,b")
    assert ask("newt")


def test_what_ranks_by_the_histories_of_others_says_why_it_cannot_answer(asked):
    ask = asked("recommend: user-knn")
    assert ask("ben", status=4).startswith("RP608 'user-knn' ranks by the histories of all users of its training")


@pytest.mark.parametrize(
    "hybrid",
    [
        "{recommend: blend, from: [ease, dot, profile], with: {weights: {ease: 0.6, dot: 0.4}}}",
        "{recommend: switch, from: [dot, ease], with: {by: activity, min_events: 3}}",
    ],
    ids=["blend", "switch"],
)
def test_a_hybrid_answers_by_the_rankers_that_it_takes(hybrid, asked, capsys):
    ask = asked("recommend: ease", "recommend: dot", hybrid)
    for user in ("ben", "finn"):
        assert ask(user) == pytest.approx(of_run(user), abs=1e-5)
    before = ask("ada")
    take_in(capsys, ("ada", "i03"), ("ada", "zz"), items="zz,a new book,b")
    after = ask("ada")
    assert "i03" not in after
    assert before != after


def test_a_hybrid_of_what_cannot_be_asked_cannot_be_asked(asked):
    pytest.importorskip("surprise")
    ask = asked("recommend: ease", "{recommend: surprise/svd, id: svd}", "{recommend: blend, from: [ease, svd]}")
    assert ask("ben", status=4).startswith("RP608 'blend@1' ranks only for users of its training")
