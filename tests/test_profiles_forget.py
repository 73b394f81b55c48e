"""Forgetting a person beyond the store's tables: what killed runs left, what was learnt again, models of each user."""

import json
import os
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa

import recprofile
from recprofile.artifacts import Pack
from recprofile.cli.main import status_of
from recprofile.profiles.kept import drop_pack, put_pack
from recprofile.profiles.store import Store

PERSON = "zebulon-quartz-7731"
USERS = ["ada", "ben", "cleo", PERSON]
RATINGS = "user,item,weight,time\n" + "".join(
    f"{u},i{i},{1 + (n + i) % 5},{1000 * i + n}\n" for n, u in enumerate(USERS) for i in range(8) if (n + i) % 3
)
ITEMS = "id,genre\n" + "".join(f"i{i},{'ab'[i % 2]}\n" for i in range(8))
RECIPE = """\
recipe: 1
device: cpu
data:
  interactions: ratings.csv
  items: items.csv
  split: {by: random, holdout: 0.2}
stages:
  - encode: category
    id: genre
    with: {columns: [genre]}
  - fuse: weighted
    id: profile
  - recommend: dot
  - update: fold-in
list: {k: 3}
evaluate: {baselines: [], bootstrap: 10}
publish: sqlite:///p.db
"""


@pytest.fixture(autouse=True)
def box(tmp_path, monkeypatch):
    folder = tmp_path / "box"
    folder.mkdir()
    for name, text in (("ratings.csv", RATINGS), ("items.csv", ITEMS), ("shop.yaml", RECIPE)):
        (folder / name).write_text(text)
    monkeypatch.chdir(folder)
    recprofile.run("shop.yaml")
    return folder


@pytest.fixture
def stages(tmp_path):
    return tmp_path / "cache" / "stages"


@pytest.fixture
def forgotten(capsys):
    """What forgetting a person came to."""

    def forget(user=PERSON):
        assert status_of(["profile", "forget", user, "--store", "p.db", "--yes", "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return forget


def half_written(folder, *users, inside="new"):
    """What a process leaves that was killed while it wrote a run folder, or a result of a stage."""
    (folder / inside).mkdir(parents=True)
    pl.DataFrame({"user": list(users), "item": ["i1"] * len(users)}).write_parquet(folder / inside / "lists.parquet")
    return folder


def long_ago(folder):
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (time.time() - 3600,) * 2)
    return folder


def test_what_killed_runs_left_of_a_person_goes_and_so_does_what_nobody_writes_any_more(forgotten, stages):
    run, old = (
        half_written(Path("runs/.shop-ab_12345"), PERSON),
        half_written(Path("runs/.shop-ab_12346"), PERSON, inside="old"),
    )
    result = half_written(stages / ".new-ab12cd34", "ada", PERSON, inside="entry")
    quiet = long_ago(half_written(Path("runs/.shop-00000000"), "ada"))
    assert forgotten()["litter"] == 4
    assert [path for path in (run, old, result, quiet) if path.exists()] == []


def test_what_others_write_at_this_moment_stays_and_so_does_what_is_no_runs(forgotten, stages):
    run = half_written(Path("runs/.shop-ab_12345"), "ada")
    result = half_written(stages / ".new-ab12cd34", "ada", inside="entry")
    mine = long_ago(half_written(Path("runs/.shop-mybackup"), PERSON))
    (mine / "notes.txt").write_text("no run folder looks like this")
    other = long_ago(half_written(Path("runs/.other-ab_12345"), "ada"))
    assert forgotten()["litter"] == 0
    assert [path for path in (run, result, mine, other) if not path.exists()] == []


def test_half_a_table_may_hold_anybody(forgotten):
    place = half_written(Path("runs/.shop-ab_12345"), "ada")
    (place / "new" / "profiles.parquet").write_bytes(b"PAR1 and no more")
    assert forgotten()["litter"] == 1
    assert not place.exists()


def test_who_is_only_in_what_a_killed_run_left_is_found_there(forgotten):
    place = half_written(Path("runs/.shop-ab_12345"), "somebody-else")
    done = forgotten("somebody-else")
    assert (done["recipes"], done["entries"], done["runs"], done["litter"]) == (0, 0, [], 1)
    assert not place.exists()


def test_what_stages_learnt_again_from_a_part_of_the_events_goes_too(forgotten, stages):
    keys = json.loads(Path("runs/shop/manifest.json").read_text())["keys"]
    again, other = stages / ("0" * 64), stages / ("1" * 64)
    for entry, of in ((again, keys["dot"]), (other, "2" * 64)):
        entry.mkdir()
        (entry / "record.json").write_text(json.dumps({"facts": {"of": of}}))
    forgotten()
    assert not again.exists()
    assert other.exists()


def test_a_model_that_holds_a_row_of_each_user_goes_with_the_person_and_that_is_said(forgotten, capsys):
    store = Store(f"sqlite:///{Path('p.db').resolve()}")
    with store.change() as connection:
        drop_pack(connection, 1, "ranker/dot")
        put_pack(connection, 1, "ranker/dot", Pack({"factors": np.full((4, 2), 7, np.float32)}))
    assert forgotten()["models"] == 1
    assert status_of(["recommend", "--user", "ada", "--store", "p.db"]) == 4
    told = capsys.readouterr().err
    assert told.startswith("RP608 the model of 'dot@1' held a person who was forgotten, and went with them")
    Path("ratings.csv").write_text("".join(f"{line}\n" for line in RATINGS.splitlines() if PERSON not in line))
    assert status_of(["publish", "shop.yaml"]) == 0
    assert status_of(["recommend", "--user", "ada", "--store", "p.db"]) == 0


def test_a_model_of_items_stays(forgotten, capsys):
    assert forgotten()["models"] == 0
    assert status_of(["recommend", "--user", "ada", "--store", "p.db"]) == 0


def test_a_person_is_not_forgotten_by_halves_while_others_read_the_file(forgotten, capsys):
    store = Store(f"sqlite:///{Path('p.db').resolve()}")
    with store.read() as connection:
        assert connection.execute(sa.text("select count(*) from users")).scalar() == 4
        with store.change() as change:  # something that the reader does not see, so that the log must stay
            change.execute(sa.text("update versions set asof = 1"))
        assert status_of(["profile", "forget", PERSON, "--store", "p.db", "--yes"]) == 4
    assert "another program is reading it" in capsys.readouterr().err
    assert forgotten()["versions"] == 1
