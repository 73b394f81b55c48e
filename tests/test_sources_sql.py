"""Rows of databases: of a real PostgreSQL that the tests start on loopback, and of SQLite."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import threading
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from recprofile.assets import Copies, resolve
from recprofile.builtin.source import SOURCES, blocks
from recprofile.cli.main import status_of
from recprofile.cli.terminal import console, errors_console
from recprofile.errors import DataError, RunError
from scripts.postgres import NoServer, server

EVENTS = [
    (f"u{n % 9}", n * 7 % 11, None if n % 10 == 3 else 1 + n % 5, 1_700_000_000 + 60 * n, f'it\'s \\ a\ttab\nand "{n}"')
    for n in range(200)
]
TABLE = "CREATE TABLE events (who text, item bigint, amount float, at bigint, note text)"
QUERY = "SELECT who AS user, item, amount AS weight, at AS time FROM events ORDER BY at"
RECIPE = """\
recipe: 1
device: cpu
data:
  interactions: SOURCE
  split: {by: user-time, holdout: 0.2}
stages:
  - preprocess: impute
    with: {columns: {weight: median}}
  - encode: als
    id: taste
    with: {dim: 3}
  - fuse: weighted
  - recommend: dot
list: {k: 4}
evaluate: {metrics: [ndcg@4, recall@4], baselines: [popular], bootstrap: 20}
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECPROFILE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "300")
    for name in ("RECPROFILE_OFFLINE", "HF_HUB_OFFLINE"):  # the server is on loopback
        monkeypatch.delenv(name, raising=False)
    for made in (console, errors_console):
        made.cache_clear()


@pytest.fixture(scope="module")
def running():
    try:
        with server() as found:
            yield found
    except NoServer as why:
        pytest.skip(str(why))


@pytest.fixture
def shop(running):
    """The address of a database with the events, and a connection to it."""
    import psycopg

    url = running.database(f"shop-{uuid4()}")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLE)
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO events VALUES (%s, %s, %s, %s, %s)", EVENTS)
        yield url, connection


def put_sqlite(path: str = "shop.db") -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(TABLE)
        connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", EVENTS)


def put_recipe(path: str, query: str | None = QUERY, name: str = "r.yaml") -> None:
    source = path if query is None else json.dumps({"path": path, "query": query})
    Path(name).write_text(RECIPE.replace("SOURCE", source))


def fetched(uri: str, query: str, **options: object) -> pl.DataFrame:
    found = resolve(uri, base=Path.cwd(), schemes=SOURCES, query=query, **options)
    return pl.read_parquet(found.path)


def refused(uri: str, query: str = QUERY, kind: type[Exception] = RunError, **options: object) -> str:
    with pytest.raises(kind) as caught:
        fetched(uri, query, **options)
    return str(caught.value)


def parts(folder: str = "cache") -> list[str]:
    """Everything below the cache of sources, but for the folders."""
    return [str(p) for p in Path(folder, "assets", "sources").rglob("*") if p.is_file()]


# --- a run ---


def test_a_run_from_postgresql_sqlite_and_parquet_gives_the_same(shop, capsys):
    put_sqlite()
    frame = pl.DataFrame(
        EVENTS, schema=["user", "item", "weight", "time", "note"], orient="row", infer_schema_length=99
    )
    frame.drop("note").sort("time").write_parquet("events.parquet")
    results = []
    for name, path, query in (
        ("pg", shop[0], QUERY),
        ("lite", "sqlite:///shop.db", QUERY),
        ("file", "events.parquet", None),
    ):
        put_recipe(path, query, f"{name}.yaml")
        assert status_of(["run", f"{name}.yaml", "-q"]) == 0, capsys.readouterr().err
        metrics = json.loads(Path(f"runs/{name}/metrics.json").read_text())
        results.append((metrics, pl.read_parquet(f"runs/{name}/recommendations.parquet")))
    for metrics, lists in results[1:]:
        assert metrics == results[0][0]
        assert_frame_equal(lists, results[0][1])


def test_an_unchanged_database_computes_nothing_and_a_changed_one_everything(shop, capsys):
    put_recipe(shop[0])
    assert status_of(["run", "r.yaml", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["computed"]
    assert status_of(["run", "r.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["computed"] == []
    shop[1].execute("UPDATE events SET amount = 5 WHERE at = (SELECT min(at) FROM events)")
    assert status_of(["run", "r.yaml", "--json"]) == 0
    assert "data" in json.loads(capsys.readouterr().out)["computed"]


def test_offline_the_rows_of_the_last_time_are_given(shop, capsys):
    said = refused(shop[0], offline=True)
    assert "was not asked yet, and there is no network (offline)" in said
    rows = fetched(shop[0], QUERY)
    shop[1].execute("DELETE FROM events")
    assert_frame_equal(fetched(shop[0], QUERY, offline=True), rows)


def test_validate_asks_no_database_and_says_so(capsys):
    put_recipe("postgresql://ada:${env:PW}@127.0.0.1:1/shop")
    assert status_of(["validate", "r.yaml"]) == 2  # the variable is not set
    assert "RP107" in capsys.readouterr().err


def test_validate_says_that_rows_were_not_looked_at(monkeypatch, capsys):
    monkeypatch.setenv("PW", "hush-8841")
    put_recipe("postgresql://ada:${env:PW}@127.0.0.1:1/shop")
    assert status_of(["validate", "r.yaml"]) == 0
    out = "".join(capsys.readouterr())
    assert "${env:PW}@127.0.0.1:1/shop was not asked" in out
    assert "hush" not in out


# --- types ---


def test_types_of_postgresql_arrive(shop):
    made = fetched(
        shop[0],
        """SELECT 1::smallint AS small, 2::int AS whole, 3::bigint AS large, 0.5::real AS real, 0.1::float8 AS double,
        1.25::numeric(10, 2) AS price, 42::numeric(10, 0) AS code, 7.5::numeric AS free, true AS yes, false AS no,
        DATE '2024-02-29' AS day, TIMESTAMP '2024-02-29 12:00:00.25' AS plain,
        TIMESTAMPTZ '2024-02-29 12:00:00+02' AS zoned, NULL::int AS nothing, 'x' AS word, '' AS empty,
        'it''s \\ a' || chr(9) || chr(10) || '\\n \\N' AS odd, '\\N' AS mark, 'é ☂'::varchar(9) AS letters,
        'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid AS id, '{"a": 1}'::jsonb AS json, 'NaN'::float8 AS nan,
        'c'::char(3) AS fixed""",
    )
    assert made.schema == {
        "small": pl.Int64, "whole": pl.Int64, "large": pl.Int64, "real": pl.Float64, "double": pl.Float64,
        "price": pl.Float64, "code": pl.Int64, "free": pl.Float64, "yes": pl.Boolean, "no": pl.Boolean,
        "day": pl.Date, "plain": pl.Datetime("us"), "zoned": pl.Datetime("us", "UTC"), "nothing": pl.Int64,
        "word": pl.String, "empty": pl.String, "odd": pl.String, "mark": pl.String, "letters": pl.String,
        "id": pl.String, "json": pl.String, "nan": pl.Float64, "fixed": pl.String,
    }  # fmt: skip
    row = made.row(0, named=True)
    assert row["real"] == 0.5
    assert (row["price"], row["code"], row["yes"], row["no"]) == (1.25, 42, True, False)
    assert row["odd"] == "it's \\ a\t\n\\n \\N"
    assert (row["mark"], row["empty"], row["letters"], row["nothing"]) == ("\\N", "", "é ☂", None)
    assert str(row["plain"]) == "2024-02-29 12:00:00.250000"
    assert str(row["zoned"]) == "2024-02-29 10:00:00+00:00"
    assert row["id"] == "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"


def test_text_with_every_character_arrives(shop):
    rows = fetched(shop[0], "SELECT at, note FROM events ORDER BY at")
    assert rows["note"].to_list() == [row[4] for row in EVENTS]


def test_what_has_no_exact_number_or_time_is_told(shop):
    said = refused(shop[0], "SELECT 'u' AS user, 12345678901234567890::numeric AS item", DataError)
    assert "RP503 '12345678901234567168' in column 'item' is too large to be exact" in said
    assert "CAST(item AS bigint)" in said
    said = refused(shop[0], "SELECT 'u' AS user, 'infinity'::timestamptz AS time", DataError)
    assert "RP503 'infinity' in column 'time' is no time" in said
    assert parts() == []


def test_values_of_a_driver_become_columns():
    from datetime import UTC, date, datetime, timedelta, timezone
    from decimal import Decimal
    from uuid import UUID

    one = UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
    when, zone = datetime(2024, 2, 29, 12), timezone(timedelta(hours=2))  # noqa: DTZ001 - as drivers give them
    for values, dtype, kept in (
        ([1, None, 3], pl.Int64, [1, None, 3]),
        ([True, None], pl.Boolean, [True, None]),
        ([1, 2.5, Decimal("1.5")], pl.Float64, [1.0, 2.5, 1.5]),
        ([2**70, 1], pl.String, [str(2**70), "1"]),
        (["a", None, ""], pl.String, ["a", None, ""]),
        (["a", 1], pl.String, ["a", "1"]),
        ([date(2024, 2, 29)], pl.Date, [date(2024, 2, 29)]),
        ([when], pl.Datetime("us"), [when]),
        ([when.replace(tzinfo=zone)], pl.Datetime("us", "UTC"), [datetime(2024, 2, 29, 10, tzinfo=UTC)]),
        ([b"ab", None], pl.Binary, [b"ab", None]),
        ([one, None], pl.String, [str(one), None]),
        ([None, None], pl.Null, [None, None]),
    ):
        made = blocks.series_of("x", values)
        assert (made.dtype, made.to_list()) == (dtype, kept)


def test_rows_of_sqlite_have_the_type_that_all_of_them_allow(monkeypatch):
    monkeypatch.setattr(blocks.Blocks, "height", 2)
    with closing(sqlite3.connect("t.db")) as connection, connection:
        connection.execute("CREATE TABLE t (a, b, c, d)")
        rows = [(1, 1, None, 1), (2, 2, None, None), (3, 0.5, 7, "x"), (4, None, 8, 1), (None, 1, 9, 2)]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
    made = fetched("sqlite:///t.db", "SELECT * FROM t")
    assert made.schema == {"a": pl.Int64, "b": pl.Float64, "c": pl.Int64, "d": pl.String}
    assert made.rows() == [
        (1, 1, None, "1"),
        (2, 2, None, None),
        (3, 0.5, 7, "x"),
        (4, None, 8, "1"),
        (None, 1, 9, "2"),
    ]


def test_rows_come_in_blocks_in_their_order(shop, monkeypatch):
    monkeypatch.setattr(blocks.Blocks, "height", 7)
    heard = []
    rows = fetched(shop[0], "SELECT at FROM events ORDER BY at", progress=lambda *said: heard.append(said[1]))
    assert rows["at"].to_list() == [row[3] for row in EVENTS]
    assert heard[:2] == [7, 14]
    assert heard[-1] == 200


# --- errors ---


def test_wrong_host_database_password_table_and_column_are_told_in_the_words_of_the_database(shop):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    said = refused(f"postgresql://ada:hush-8841@127.0.0.1:{port}/shop")
    assert f"RP605 cannot connect to the database 'postgresql://127.0.0.1:{port}/shop'" in said
    assert "refused" in said
    assert "hush" not in said
    said = refused(re.sub(r"/shop-.*", "/shpo", shop[0]))
    assert 'database "shpo" does not exist' in said
    said = refused(shop[0], "SELECT * FROM evnts")
    assert "refuses the query" in said
    assert 'relation "evnts" does not exist' in said
    said = refused(shop[0], "SELECT whom FROM events")
    assert 'column "whom" does not exist' in said
    put_sqlite()
    assert "no such table: evnts" in refused("sqlite:///shop.db", "SELECT * FROM evnts")
    assert "no such column: whom" in refused("sqlite:///shop.db", "SELECT whom FROM events")
    said = refused("sqlite:///shpo.db")
    assert "no SQLite file" in said
    assert "did you mean 'shop.db'?" in said
    assert "sqlite:///shop.db, relative to the recipe" in refused("sqlite://")
    assert "cannot be read" in refused("postgresql://host:port/shop")
    assert parts() == []


def test_a_wrong_password_is_told_without_it(running, shop, monkeypatch, capsys):
    import psycopg

    role, secret = f"ada{uuid4().hex[:6]}", "hush@8841"
    shop[1].execute(f"CREATE ROLE {role} LOGIN PASSWORD 'other'")
    rules = running.data / "pg_hba.conf"
    before = rules.read_text()
    try:
        rules.write_text(f"host all {role} 127.0.0.1/32 scram-sha-256\n{before}")
        shop[1].execute("SELECT pg_reload_conf()")
        monkeypatch.setenv("SHOP_PW", "hush%408841")
        address = shop[0].replace("postgres@", f"{role}:${{env:SHOP_PW}}@")
        put_recipe(address)
        for _ in range(50):  # until the server has read its rules
            try:
                psycopg.connect(address.replace("${env:SHOP_PW}", "hush%408841")).close()
            except psycopg.OperationalError as error:
                if "password" in str(error):
                    break
        assert status_of(["run", "r.yaml", "-q"]) == 4
        said = capsys.readouterr().err
        assert "r.yaml:4:" in said
        assert "password authentication failed" in said
        shop[1].execute(f"ALTER ROLE {role} PASSWORD '{secret}'")
        shop[1].execute(f"GRANT SELECT ON events TO {role}")
        assert status_of(["run", "r.yaml"]) == 0, capsys.readouterr().err
        out, err = capsys.readouterr()
        held = b"".join(p.read_bytes() for p in Path().rglob("*") if p.is_file())
        names = " ".join(map(str, Path().rglob("*")))
        for text in (secret, "hush%408841", "hush", "8841"):
            assert text not in said + out + err + names
            assert text == "8841" or text.encode() not in held
        assert "${env:SHOP_PW}" in Path("runs/r/manifest.json").read_text()
    finally:
        rules.write_text(before)
        shop[1].execute("SELECT pg_reload_conf()")


def test_a_query_without_a_row_and_one_with_two_columns_of_a_name_are_refused(shop):
    put_sqlite()
    for uri in (shop[0], "sqlite:///shop.db"):
        assert "RP504 the query gives no row" in refused(uri, QUERY.replace("ORDER", "WHERE at < 0 ORDER"), DataError)
        said = refused(uri, "SELECT who, item AS who FROM events", DataError)
        assert "RP502 the query gives two columns 'who'" in said
    assert parts() == []


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("DELETE FROM events", "begins with 'DELETE', and must be a SELECT"),
        ("  ", "holds no statement"),
        ("-- only\n/* words */", "holds no statement"),
        ("SELECT 1; DELETE FROM events", "holds several statements, and must be one SELECT"),
        ("COPY events TO '/tmp/x'", "begins with 'COPY', and must be a SELECT"),
    ],
)
def test_what_is_no_select_is_refused_by_validate_and_run(query, why, capsys, shop):
    put_recipe(shop[0], query)
    for command in ("validate", "run"):
        assert status_of([command, "r.yaml"]) == 2
        said = capsys.readouterr().err
        assert "RP204" in said
        assert why in said
    assert why in refused(shop[0], query)


def test_what_a_select_may_hold(shop):
    for query in (
        "select 1 AS one;",
        "-- a word; more\nWITH t AS (SELECT ';' AS a) SELECT a, '--' AS b FROM t -- end",
        "VALUES (1), (2)",
        "SELECT '100%' AS share, '12:30:00' AS clock WHERE 'a' LIKE '%a%'",
    ):
        assert fetched(shop[0], query).height >= 1
    put_sqlite()
    assert fetched("sqlite:///shop.db", "SELECT '100%' AS a, '12:30:00' AS b WHERE 'a' LIKE '%a';").height == 1


def test_a_select_that_writes_is_refused_by_the_database(shop):
    shop[1].execute("CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM events; SELECT 1'")
    assert "read-only transaction" in refused(shop[0], "SELECT wipe()")
    said = refused(shop[0], "WITH gone AS (DELETE FROM events RETURNING *) SELECT * FROM gone")
    assert "data-modifying statement must be at the top level" in said
    assert fetched(shop[0], QUERY).height == 200


def test_without_a_driver_what_to_install_is_said(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "psycopg", None)
    said = refused("postgresql://host/shop")
    assert "no driver for the database 'postgresql://host/shop' is installed" in said
    assert "pip install 'recprofile[postgresql]'" in said
    assert "pip install pymysql" in refused("mysql://host/shop")


def test_a_password_in_a_recipe_a_query_without_a_database_and_a_database_without_a_query(capsys):
    cases = {
        ("postgresql://ada:hush@host/shop", QUERY): "RP204 a password stands in the address",
        ("postgresql://host/shop?user=a&password=b", QUERY): "RP204 a password stands in the address",
        ("postgresql://host/shop", None): "RP202 missing key 'query': 'postgresql' is a database",
        ("events.csv", QUERY): "RP205 'path' is no database, so there is nothing to ask",
        ("mysqlx://host/shop", QUERY): "RP204 no scheme 'mysqlx://'",
    }
    for (path, query), why in cases.items():
        put_recipe(path, query)
        assert status_of(["validate", "r.yaml", "--no-data"]) == 2
        said = capsys.readouterr().err
        assert why in said
        assert "hush" not in said
    assert "takes no query" in refused("events.csv")


def test_an_address_that_is_a_variable_is_judged_when_it_is_known(shop, monkeypatch, capsys):
    put_recipe("${env:SHOP}")
    monkeypatch.setenv("SHOP", shop[0])
    assert status_of(["run", "r.yaml", "-q"]) == 0
    assert shop[0] not in Path("runs/r/manifest.json").read_text()
    put_recipe("${env:SHOP}", None)
    Path("r.yaml").write_text(Path("r.yaml").read_text().replace("${env:SHOP}", '{path: "${env:SHOP}"}'))
    assert status_of(["run", "r.yaml", "-q"]) == 3
    assert "'postgresql' needs a query" in capsys.readouterr().err


# --- what is cut off ---


@contextmanager
def cut(url: str, after: int):
    """The address of a proxy before a server that closes both ends after so many bytes of answers."""
    host, port = re.search(r"@([^:]+):(\d+)/", url).groups()
    listening = socket.create_server(("127.0.0.1", 0))
    open_ends = [listening]

    def carry(source, target, most):
        left = most
        try:
            while data := source.recv(4096):
                target.sendall(data[:left])
                left -= len(data)
                if left <= 0:
                    break
        except OSError:
            pass
        for end in (source, target):
            with closing(end), suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve():
        while True:
            try:
                near, _ = listening.accept()
                far = socket.create_connection((host, int(port)))
            except OSError:
                return
            open_ends.extend((near, far))
            threading.Thread(target=carry, args=(near, far, 1 << 40), daemon=True).start()
            threading.Thread(target=carry, args=(far, near, after), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield re.sub(r"@[^/]+/", f"@127.0.0.1:{listening.getsockname()[1]}/", url)
    finally:
        for end in open_ends:
            end.close()


def test_a_connection_that_drops_midway_says_how_many_rows_had_come_and_keeps_nothing(shop, monkeypatch):
    monkeypatch.setattr(blocks.Blocks, "height", 1000)
    many = "SELECT 'user ' || i AS user, i AS item FROM generate_series(1, 100000) AS t(i)"
    with cut(shop[0], 200_000) as address:
        said = refused(address, many)
    found = re.search(r"stopped after ([\d,]+) rows of the query, of which nothing is kept", said)
    assert found, said
    assert 1000 < int(found[1].replace(",", "")) < 100_000
    assert "server closed the connection" in said
    assert parts() == []
    assert not list(Path("cache").rglob("*.parquet"))
    with cut(shop[0], 700) as address:
        assert re.search("cannot connect to|was lost before the first row", refused(address, many))


def test_a_query_that_the_server_ends_midway_says_how_many_rows_had_come(shop):
    said = refused(shop[0], "SELECT 1 / (5000 - i) AS user, i AS item FROM generate_series(1, 10000) AS t(i)")
    assert "stopped after 4,999 rows of the query" in said
    assert "division by zero" in said


def test_copies_are_counted_and_cleared_with_the_cache(capsys):
    put_sqlite()
    fetched("sqlite:///shop.db", QUERY)
    assert status_of(["cache", "list", "--json"]) == 0
    kinds = json.loads(capsys.readouterr().out)["kinds"]
    assert kinds["copies of databases and the web"]["entries"] == 1
    assert status_of(["cache", "clear"]) == 0
    assert len(parts()) == 1
    assert status_of(["cache", "clear", "--all"]) == 0
    assert parts() == []


def test_an_older_copy_stays_for_who_reads_it_and_is_gone_a_day_later(tmp_path):
    import os

    copies = Copies.of(tmp_path, "address", "query")
    kept = []
    for text in ("a", "b", "a", "c"):
        with copies.building() as place:
            (place / "new.csv.gz").write_text(text)
            kept.append(copies.keep(place / "new.csv.gz"))
    assert kept[0] == kept[2]
    assert kept[0].name.endswith(".csv.gz")
    assert copies.newest() == kept[3]
    os.utime(kept[1], (0, 0))
    with copies.building() as place:
        (place / "new.csv.gz").write_text("d")
        copies.keep(place / "new.csv.gz")
    assert not kept[1].exists()
    assert kept[0].exists()
