"""The profile store in PostgreSQL: on a real server, which the tests start on loopback and stop again."""

import json
import re
import shlex
import shutil
import sys
import threading
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

import recprofile
from recprofile.api import planned
from recprofile.cli.main import status_of
from recprofile.errors import RunError
from recprofile.profiles import postgres
from recprofile.profiles.address import store_url
from recprofile.profiles.forget import forget, traces
from recprofile.profiles.incoming import incoming_events
from recprofile.profiles.stages import Stages
from recprofile.profiles.store import Store
from recprofile.profiles.tables import tables
from recprofile.profiles.update import update
from scripts.postgres import NoServer, server

PERSON = "zebulon-quartz-7731"
USERS = ["ada", "ben", "cleo", "dan", PERSON, "finn"]
RATINGS = "user,item,weight,time\n" + "".join(
    f"{u},i{i:02},{1 + (n * 3 + i * 7) % 5},{1_600_000_000 + 1000 * i + n}\n"
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
  - encode: als
    id: taste
    with: {dim: 3}
  - encode: tags
    id: tags
    with: {columns: [genre], least: 0}
  - fuse: weighted
    id: profile
    from: [genre, taste, tags]
  - recommend: dot
  - update: fold-in
list: {k: 5}
evaluate: {baselines: [], bootstrap: 10}
publish: ${env:PROFILES}
"""
LATER = 1_700_000_000


def put_files(folder):
    for name, text in (("ratings.csv", RATINGS), ("items.csv", ITEMS), ("shop.yaml", RECIPE)):
        (folder / name).write_text(text)


@pytest.fixture(scope="module")
def running():
    """A server; there is none, and the tests are skipped, where its program is not to be had."""
    try:
        with server() as found:
            yield found
    except NoServer as why:
        pytest.skip(str(why))


@pytest.fixture(scope="module")
def pattern(running, tmp_path_factory):
    """A folder with a finished run, and a database named 'pattern' into which it was published."""
    folder = tmp_path_factory.mktemp("pattern")
    put_files(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("RECPROFILE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("PROFILES", running.database("pattern"))
        recprofile.run("shop.yaml")
    return folder


@pytest.fixture
def asked(running):
    """Asks the server in a connection of its own, as its superuser."""
    import psycopg

    def ask(query, *values, url=running.url):
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    return ask


@pytest.fixture
def box(tmp_path, monkeypatch):
    """A folder with the recipe and its data, in which we are."""
    folder = tmp_path / "box"
    folder.mkdir()
    put_files(folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def url(running, asked, box, monkeypatch):
    """The address of a new, empty database, which the recipe reads from the environment."""
    name = f"t{uuid4().hex}"
    made = running.database(name)
    monkeypatch.setenv("PROFILES", made)
    yield made
    asked(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def store(pattern, url, asked, box):
    """A store that is as it was published, in a database of its own; the folder holds the run."""
    shutil.copytree(pattern, box, dirs_exist_ok=True)
    name = url.rpartition("/")[2]
    asked(f"DROP DATABASE {name}")
    asked(f"CREATE DATABASE {name} TEMPLATE pattern")
    moved = "UPDATE versions SET provenance = replace(provenance::text, %s, %s)::json"
    asked(moved, str(pattern), str(box), url=url)
    return Store(store_url(url, Path()))


@pytest.fixture
def said(capsys):
    def run(*arguments, status=0):
        assert status_of(list(arguments)) == status, capsys.readouterr().err
        out = capsys.readouterr()
        return out.out if status == 0 else out.err

    return run


def write(name, *events):
    lines = [dict(zip(("user", "item", "weight", "time"), event, strict=True)) for event in events]
    Path(name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def take_in(store, name, *events):
    write(name, *events)
    plan, registry = planned("shop.yaml")
    log = incoming_events(Path(name), plan, has_time=True, warn=pytest.fail)
    return update(Store(store.url), Stages.of(plan, registry, pytest.fail), log)


def rows(store):
    """Every row of every table, in the order of its key, less what tells one moment and place from another."""
    found = {}
    with store.read() as connection:
        for table in tables.sorted_tables:
            columns = [c for c in table.c if c.name not in ("created", "provenance")]
            order = list(table.primary_key) or columns
            found[table.name] = [tuple(row) for row in connection.execute(sa.select(*columns).order_by(*order))]
    return found


def files_with(text, folder):
    """Files below a folder in which a text stands; those that go meanwhile do not count."""
    found = []
    for path in sorted(folder.rglob("*")):
        try:
            if path.is_file() and text.encode() in path.read_bytes():
                found.append(path.relative_to(folder).as_posix())
        except FileNotFoundError:
            continue
    return found


@contextmanager
def meanwhile(task):
    """Run a task beside what stands in the block, and wait for it; what it raises is raised at the end."""
    failed = []

    def run():
        try:
            task()
        except Exception as error:  # noqa: BLE001 - raised again below
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(60)
    assert not thread.is_alive()
    assert failed == []


def until(asked, query):
    """Wait until a query has a row; the server's own patience ends it."""
    while not asked(query):
        asked("SELECT pg_sleep(0.01)")


def test_a_person_lives_in_a_store_until_nothing_is_left_of_them(url, said, running, asked):
    assert f"version 1 in {url}: 6 users" in said("publish", "shop.yaml")
    assert "is this run already" in said("publish", "shop.yaml")

    write("new.jsonl", (PERSON, "i01", 5, LATER), ("newt", "i03", 4, LATER))
    first = json.loads(said("update", "shop.yaml", "--events", "new.jsonl", "--json"))
    again = json.loads(said("update", "shop.yaml", "--events", "new.jsonl", "--json"))
    assert (first["version"], first["events"], first["new_users"]) == (2, 2, 1)
    assert first["parity"]["largest"] <= 1e-5
    assert (again["version"], again["events"], again["duplicates"], again["is_new"]) == (2, 0, 2, False)

    card = json.loads(said("profile", "show", PERSON, "--store", url, "--json"))
    assert (card["version"]["number"], card["store"]) == (2, url)
    history = json.loads(said("profile", "history", PERSON, "--store", "shop.yaml", "--json"))
    assert [(v["version"], v["kind"]) for v in history] == [(1, "publish"), (2, "update")]
    difference = json.loads(said("profile", "diff", PERSON, "--store", url, "--json"))
    assert [event["item"] for event in difference["events"]] == ["i01"]
    held = json.loads(said("profile", "export", PERSON, "--store", url))["recipes"]["shop"]
    assert [one["version"] for one in held["profiles"]] == [1, 2]
    listed = json.loads(said("recommend", "--user", PERSON, "--store", url, "--json"))["recommendations"]
    assert len(listed) == 5
    before = {row["item"]: row["score"] for row in listed}
    said("profile", "edit", PERSON, "--store", url, "--like", "b=2", "--text", f"I am {PERSON}.", "--by", PERSON)
    listed = json.loads(said("recommend", "--user", PERSON, "--store", url, "--json"))["recommendations"]
    assert {row["item"]: row["score"] for row in listed} != before
    write("later.jsonl", (PERSON, "i04", 5, LATER + 1))
    said("update", "shop.yaml", "--events", "later.jsonl")
    card = json.loads(said("profile", "show", PERSON, "--store", url, "--json"))
    assert (card["version"]["number"], card["text"]) == (4, f"I am {PERSON}.")
    assert [(tag["tag"], tag["weight"]) for tag in card["tags"] if tag["edited"]] == [("b", 2.0)]
    said("profile", "edit", PERSON, "--store", url, "--undo")
    assert json.loads(said("profile", "show", PERSON, "--store", url, "--json"))["text"].startswith("Likes ")
    assert "users like that: zebulon" in said("profile", "show", "Zebulon-quartz", "--store", url, status=4)

    asked("ANALYZE", url=url)  # the planner's samples hold ids of users, too
    asked("CHECKPOINT")
    assert {name.partition("/")[0] for name in files_with(PERSON, running.data)} == {"base", "pg_wal"}
    done = said("profile", "forget", PERSON, "--store", url, "--yes")
    assert "write-ahead log" in done
    assert "no user" in said("profile", "show", PERSON, "--store", url, status=4)
    asked("SELECT pg_switch_wal()")
    asked("CHECKPOINT")  # the server's, who is told to keep nothing of the log: wal_recycle=off
    assert files_with(PERSON, running.data) == []
    assert json.loads(said("profile", "show", "newt", "--store", url, "--json"))["version"]["number"] == 2
    assert said("update", "shop.yaml", "--events", "new.jsonl").startswith("nothing new") is False  # they came back


def test_both_databases_hold_the_same_to_the_last_bit(store, said):
    said("publish", "shop.yaml", "--store", "p.db")
    write("new.jsonl", ("ada", "i03", 5, LATER), ("newt", "zz", 4, LATER))
    Path("more.csv").write_text("id,title,genre\nzz,another book,b\n")
    for where in ("p.db", store.url):
        said("update", "shop.yaml", "--events", "new.jsonl", "--items", "more.csv", "--store", where)
        said("profile", "edit", "ada", "--like", "a", "--dislike", "b", "--by", "her", "--store", where)
        said("profile", "edit", "newt", "--text", "Mine.", "--by", "them", "--store", where)
    in_file, in_server = rows(Store(store_url("p.db", Path()))), rows(store)
    assert {name for name, found in in_server.items() if found} == {table.name for table in tables.sorted_tables}
    assert in_file == in_server


def test_updates_at_once_wait_for_one_another(store):
    def one(n):
        return lambda: take_in(store, f"{n}.jsonl", *((f"u{n}", f"i{i:02}", 5, LATER) for i in range(5)))

    with meanwhile(one(0)), meanwhile(one(1)), meanwhile(one(2)):
        pass
    found = rows(store)
    assert [version[2] for version in found["versions"]] == [1, 2, 3, 4]
    assert [version[6] for version in found["versions"][1:]] == [5, 5, 5]


def test_who_reads_sees_the_store_as_it_was_at_one_moment(store):
    with store.read() as connection:
        query = sa.text("select count(*) from events")
        before = connection.execute(query).scalar()
        assert take_in(store, "new.jsonl", ("ada", "i03", 5, LATER)).events == 1
        assert connection.execute(query).scalar() == before
        with pytest.raises(sa.exc.InternalError, match="read-only"):
            connection.execute(sa.text("delete from events"))
    assert len(rows(store)["events"]) == before + 1


def test_an_update_that_loses_the_server_leaves_the_store_as_it_was(store, asked, monkeypatch):
    from recprofile.builtin.update import FoldInHistory

    def cut(self, profiles, *_):
        asked("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'recprofile'")
        return profiles

    before = rows(store)
    monkeypatch.setattr(FoldInHistory, "update", cut)
    with pytest.raises(RunError, match=r"RP608 the profile store 'postgresql://.* cannot be used: "):
        take_in(store, "new.jsonl", ("ada", "i03", 5, LATER), ("newt", "i01", 5, LATER))
    monkeypatch.undo()
    assert rows(store) == before


def test_a_change_that_waits_too_long_says_so(store, monkeypatch):
    monkeypatch.setattr(postgres, "WAIT", 0.05)
    with store.change(), pytest.raises(RunError, match="cannot be used: another change has held it for"):
        take_in(store, "new.jsonl", ("ada", "i03", 5, LATER))


def test_a_forgetting_waits_for_readers(store, asked):
    waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
    found = traces(store, Path("cache"), PERSON)
    with ExitStack() as after, store.read() as connection:
        after.enter_context(meanwhile(lambda: forget(store, found)))
        until(asked, waits)
        assert connection.execute(sa.text("select count(*) from profiles")).scalar() == 6
    assert len(rows(store)["users"]) == 5


def test_a_transaction_of_others_does_not_keep_what_was_forgotten(store, running, asked, said):
    import psycopg

    shown = store.url.replace("+psycopg", "")
    with closing(psycopg.connect(shown)) as other:
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT 1 FROM pg_class LIMIT 1")  # from now on it may see all that is there at this moment
        said("profile", "forget", PERSON, "--store", shown, "-y")
        ((oid,),) = asked("SELECT oid FROM pg_database WHERE datname = current_database()", url=shown)
        asked("CHECKPOINT")
        assert files_with(PERSON, running.data / "base" / str(oid)) == []


def test_a_store_may_lie_in_a_schema_of_a_database_that_holds_more(url, said, asked, monkeypatch):
    asked("CREATE TABLE theirs (x int)", url=url)
    asked("CREATE SCHEMA profiles", url=url)
    assert "cannot be used: it is another database" in said("publish", "shop.yaml", status=4)
    monkeypatch.setenv("PROFILES", f"{url}?options=-csearch_path%3Dprofiles")
    said("publish", "shop.yaml")
    assert asked("SELECT count(*) FROM profiles.users", url=url) == [(6,)]
    said("profile", "forget", "ben", "--store", "shop.yaml", "-y")
    assert asked("SELECT count(*) FROM profiles.users", url=url) == [(5,)]


def test_a_store_that_cannot_be_reached_is_told_without_its_password(store, said, running):
    def told(address):
        return said("profile", "show", "ada", "--store", address, status=4)

    host = running.url.rpartition("@")[2].partition("/")[0]
    away = told("postgresql://me:s3cret@127.0.0.1:1/shop?application_name=s3cret")
    assert away.startswith("RP608 the profile store 'postgresql://me@127.0.0.1:1/shop' cannot be used: connection to")
    missing = told(f"postgresql://postgres:s3cret@{host}/nowhere")
    assert 'database "nowhere" does not exist' in missing
    wrong = told("postgresql://me:s3cret@host:port/shop")
    assert wrong.startswith("RP608 'host:port/shop' is no profile store")
    empty = told(running.url)
    assert empty.startswith("RP608 no profile store 'postgresql://postgres@")
    assert "s3cret" not in away + missing + wrong + empty


def test_what_the_server_refuses_is_told(store):
    before = rows(store)
    with pytest.raises(RunError, match=r"RP608 the profile store .* cannot be used: PostgreSQL text fields cannot"):
        take_in(store, "new.jsonl", ("a\0b", "i03", 5, LATER))
    assert rows(store) == before


def test_a_missing_driver_is_told_where_the_store_is_named(box, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setenv("PROFILES", "postgresql://db/profiles")
    line = RECIPE.splitlines().index("publish: ${env:PROFILES}") + 1
    assert status_of(["publish", "shop.yaml"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[0] == f"shop.yaml:{line}:10: RP304 no driver of PostgreSQL is installed"
    assert told[-1].strip() == "= pip install 'recprofile[postgresql]'"


def test_what_the_page_shows_of_postgresql_works(url, said):
    page = (Path(__file__).parents[1] / "docs" / "profiles.md").read_text(encoding="utf-8")
    block = re.search(r"^## PostgreSQL$.*?^```bash\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)[1]
    write("new.jsonl", ("ada", "i03", 5, LATER))
    shown = [shlex.split(line)[1:] for line in block.splitlines() if line.startswith("recprofile ")]
    for words in shown:
        said(*(url if word == "postgresql://localhost/profiles" else word for word in words))
    assert [words[0] for words in shown] == ["publish", "update", "profile", "profile"]


def test_rights_decide_who_reads_who_updates_and_who_forgets(store, url, asked, said):
    for role, rights in (("reader", "SELECT"), ("writer", "SELECT, INSERT, UPDATE, DELETE")):
        asked(f"CREATE ROLE {role} LOGIN")
        asked(f"GRANT {rights} ON ALL TABLES IN SCHEMA public TO {role}", url=url)
    asked("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO writer", url=url)
    reader, writer = (url.replace("//postgres@", f"//{role}@") for role in ("reader", "writer"))
    write("new.jsonl", ("ada", "i03", 5, LATER), ("newt", "i01", 4, LATER))
    try:
        assert said("profile", "show", "ada", "--store", reader).startswith("user ada")
        refused = "cannot be used: permission denied for "
        assert refused in said("update", "shop.yaml", "--events", "new.jsonl", "--store", reader, status=4)
        assert "version 2" in said("update", "shop.yaml", "--events", "new.jsonl", "--store", writer)
        assert "cannot be used: must be owner of table" in said(
            "profile", "forget", "ada", "--store", writer, "--yes", status=4
        )
        assert len(rows(store)["users"]) == 7
    finally:
        for role in ("reader", "writer"):
            asked(f"DROP OWNED BY {role}", url=url)
            asked(f"DROP ROLE {role}")
