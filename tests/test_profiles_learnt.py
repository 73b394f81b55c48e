"""Profiles of fusers that learn, in a store: published, shown, updated and forgotten with what was learnt."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import recprofile
from recprofile.cli.main import status_of
from recprofile.profiles.kept import load_base
from recprofile.profiles.rebuild import EXACT
from recprofile.profiles.store import Store
from recprofile.runs import Run

GENRES, EACH, USERS = 6, 20, 60
RECIPE = """\
recipe: 1
device: cpu
data:
  interactions: ratings.csv
  items: items.csv
  split: {by: user-time, holdout: 2}
stages:
  - encode: category
    id: genre
    with: {columns: [genre]}
  - encode: category
    id: look
    with: {columns: [look]}
  - encode: als
    id: taste
    with: {dim: 3, epochs: 3}
  - fuse: FUSER
    id: profile
    from: [genre, look, taste]
  - recommend: dot
  - update: fold-in
list: {k: 5}
evaluate: {baselines: [], bootstrap: 10}
publish: sqlite:///p.db
"""
FUSERS = {
    "attention": "attention\n    with: {weights: {taste: 0.1}}",
    "gated": "gated\n    with: {weights: {taste: 0.1}, learning_rate: 0.1}",
    "align": "align",
    "cca": "cca",
    "product": "product\n    with: {components: 4}",
}


@pytest.fixture(params=FUSERS)
def shop(request, tmp_path, monkeypatch):
    """A shop whose users turn from one genre to another (attention), or choose by look or genre (gated)."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    films = GENRES * EACH
    genre, look = np.repeat(np.arange(GENRES), EACH), rng.permutation(np.repeat(np.arange(GENRES), EACH))
    lines = ["user,item,weight,time"]
    for user in range(USERS):
        old, new = rng.permutation(GENRES)[:2]
        by = look if request.param == "gated" and user % 2 else genre
        if request.param == "gated":
            old = new
        mine = rng.permutation(np.flatnonzero(by == old))[:6]
        mine = np.concatenate([mine, rng.permutation(np.setdiff1d(np.flatnonzero(by == new), mine))[:9]])
        lines += [f"u{user:02},f{film:03},1,{1000 * at + user}" for at, film in enumerate(mine)]
    Path("ratings.csv").write_text("\n".join(lines) + "\n")
    rows = [f"f{film:03},{'abcdef'[genre[film]]},{'uvwxyz'[look[film]]}" for film in range(films)]
    Path("items.csv").write_text("id,genre,look\n" + "\n".join(rows) + "\n")
    Path("shop.yaml").write_text(RECIPE.replace("FUSER", FUSERS[request.param]))
    recprofile.run("shop.yaml")
    return request.param


def facts():
    manifest = Run.open(Path("runs/shop")).manifest
    return next(stage for stage in manifest["stages"] if stage["id"] == "profile")["facts"]


def json_of(capsys, *arguments):
    assert status_of([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_learnt_profiles_live_on_in_a_store(shop, capsys):
    if shop in {"attention", "gated"}:
        wanted = {"attention": "weights of blocks and history", "gated": "weights of blocks by user"}
        assert facts()["learnt"] == wanted[shop]
    store = Store("sqlite:///p.db")
    with store.read() as connection:
        base = load_base(connection, 1)
    profiles = Run.open(Path("runs/shop")).profiles()
    assert sorted(base.learnt) == sorted(profiles.learnt) != []

    # A store shows what the run shows: each block at what it weighs for that user.
    of_run = json_of(capsys, "profile", "show", "u01", "--run", "shop.yaml")
    of_store = json_of(capsys, "profile", "show", "u01", "--store", "p.db")
    ours, theirs = ({b["name"]: (b["weight"], b["overall"]) for b in card["blocks"]} for card in (of_run, of_store))
    assert ours == {name: pytest.approx(weights, rel=1e-4) for name, weights in theirs.items()}
    if shop == "gated":
        assert any(block["weight"] != pytest.approx(block["overall"], rel=0.05) for block in of_run["blocks"])

    # An update gives what the recipe's fuse stage gives for the whole history, what it learnt held fixed.
    Path("new.csv").write_text("user,item,weight,time\nu01,f003,1,99999\nu02,f100,1,99999\nnew,f005,1,99999\n")
    assert status_of(["update", "shop.yaml", "--events", "new.csv"]) == 0
    told = capsys.readouterr()
    assert json_of(capsys, "profile", "show", "new", "--store", "p.db")["known"]
    assert float(re.search(r"parity +(\S+) at most", told.out)[1]) <= EXACT

    # An item that came later lies where its attributes say.
    Path("more.csv").write_text("id,genre,look\nx1,a,u\n")
    Path("then.csv").write_text("user,item,weight,time\nu03,x1,1,199999\n")
    assert status_of(["update", "shop.yaml", "--events", "then.csv", "--items", "more.csv"]) == 0
    assert float(re.search(r"parity +(\S+) at most", capsys.readouterr().out)[1]) <= EXACT
    assert status_of(["profile", "forget", "u01", "--store", "shop.yaml", "--yes"]) == 0
    capsys.readouterr()
    left = Run.open(Path("runs/shop")).profiles()
    assert "u01" not in set(left.users.ids)
    assert left.block_weights is None or len(left.block_weights) == len(left.users)
    assert sorted(left.learnt) == sorted(profiles.learnt)
