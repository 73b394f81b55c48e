"""Databases: the rows that a query gives, as a Parquet file in the cache.

PostgreSQL hands its rows out by COPY, all others through a cursor; either way block by block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from recprofile.builtin.source.blocks import Blocks
from recprofile.plugin import Copies, DataError, FetchProgress, RunError, near_names

if TYPE_CHECKING:
    import sqlalchemy as sa

# What to install for each database that SQLAlchemy knows by itself; SQLite comes with Python.
DATABASES: Mapping[str, str] = {
    "sqlite": "",
    "postgresql": "'recprofile[postgresql]'",
    "postgres": "'recprofile[postgresql]'",
    "mysql": "pymysql, and write mysql+pymysql://…",
    "mariadb": "pymysql, and write mariadb+pymysql://…",
    "mssql": "pyodbc",
    "oracle": "oracledb, and write oracle+oracledb://…",
}
ROWS = 50_000  # at a time of a driver that makes Python values of them
TIMEOUT = 10  # seconds to connect to PostgreSQL, unless the address says connect_timeout


def fetch_query(
    uri: str, *, query: str, base: Path, cache: Path, offline: bool, progress: FetchProgress | None = None
) -> Path:
    """The rows of a query. The database is asked each time; rows that are as before give the same file.

    Offline, a database on a server is not asked, and the rows of the last time are given. Raises RunError RP605 where
    it cannot be asked, with its own words, DataError RP504 where there is no row, and RP503 for values without a type.
    """
    import sqlalchemy as sa

    url = _url(uri, base)
    shown = _shown(url)
    copies = Copies.of(cache, shown, url.username or "", query)
    if offline and url.get_backend_name() != "sqlite":
        kept = copies.newest()
        if kept is None:
            message = f"{shown} was not asked yet, and there is no network (offline)"
            raise RunError.of("RP605", message, help=("run once with a network",))
        return kept
    engine = _engine(url, shown)
    blocks: Blocks | None = None
    with copies.building() as place:
        try:
            with _asked(engine, url, shown) as connection:
                blocks = Blocks(place, lambda rows: progress(f"rows of {shown}", rows, None) if progress else None)
                if url.drivername == "postgresql+psycopg":
                    from recprofile.builtin.source.copied import copy_rows

                    copy_rows(connection, query, blocks)
                else:
                    _fetch_rows(connection, query, blocks)
        except sa.exc.SQLAlchemyError as error:
            raise _failed(error, url, shown, blocks) from None
        finally:
            engine.dispose()
        if blocks.rows == 0:
            raise DataError.of("RP504", f"the query gives no row of {shown}")
        return copies.keep(blocks.written())


def _url(uri: str, base: Path) -> sa.URL:
    """The address with its driver, the path of a SQLite file made absolute; raises RP605 for what is none."""
    import sqlalchemy as sa

    scheme, _, rest = uri.partition("://")
    if scheme == "sqlite":
        if not rest.startswith("/") or rest == "/":
            raise RunError.of("RP605", "a SQLite file is written sqlite:///shop.db, relative to the recipe")
        path = Path(base, rest[1:].partition("?")[0]).absolute()
        if not path.is_file():
            raise RunError.of("RP605", f"no SQLite file '{path}'", help=near_names(path))
        return sa.URL.create("sqlite", database=str(path))
    try:
        url = sa.make_url(uri)
    except (ValueError, sa.exc.ArgumentError):  # such as a port that is no number
        helps = (f"for example {scheme}://user:${{env:PASSWORD}}@host/database",)
        raise RunError.of("RP605", f"an address of '{scheme}' that cannot be read", help=helps) from None
    if scheme in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername == "postgresql+psycopg":
        url = url.update_query_dict({"connect_timeout": str(TIMEOUT), **url.query})
    return url


def _shown(url: sa.URL) -> str:
    """A database in the words of a message: neither user nor password, nor what else an address may have."""
    if url.get_backend_name() == "sqlite":
        return f"the database '{url.database}'"
    port = f":{url.port}" if url.port else ""
    return f"the database '{url.get_backend_name()}://{url.host or ''}{port}/{url.database or ''}'"


def _engine(url: sa.URL, shown: str) -> sa.Engine:
    import sqlalchemy as sa

    if url.get_backend_name() == "sqlite":  # read only, so that nothing is made or changed
        url = url.set(database=f"file:{quote(url.database or '')}", query={"mode": "ro", "uri": "true"})
    try:
        return sa.create_engine(url, poolclass=sa.pool.NullPool)
    except ImportError:
        install = DATABASES.get(url.get_backend_name())
        helps = (f"pip install {install}",) if install else ()
        raise RunError.of("RP605", f"no driver for {shown} is installed", help=helps) from None
    except sa.exc.SQLAlchemyError as error:
        raise RunError.of("RP605", f"{shown} cannot be asked", help=(_words(error, url),)) from None


@contextmanager
def _asked(engine: sa.Engine, url: sa.URL, shown: str) -> Iterator[sa.Connection]:
    """A connection; why there is none is told apart from what a query does."""
    import sqlalchemy as sa

    try:
        connection = engine.connect()
    except sa.exc.SQLAlchemyError as error:
        raise RunError.of("RP605", f"cannot connect to {shown}", help=(_words(error, url),)) from None
    try:
        yield connection
    finally:
        try:
            connection.close()
        except sa.exc.SQLAlchemyError:  # it was lost before
            connection.invalidate()


def _fetch_rows(connection: sa.Connection, query: str, blocks: Blocks) -> None:
    import sqlalchemy as sa

    options = {"stream_results": True, "no_parameters": True}
    result = connection.execution_options(**options).exec_driver_sql(query)
    blocks.begin(tuple(result.keys()))
    cursor = result.cursor  # the driver's own: SQLAlchemy's rows take three times as long, and are only taken apart
    try:
        while rows := cursor.fetchmany(min(blocks.height, ROWS)):
            blocks.add_rows(rows)
    except connection.dialect.loaded_dbapi.Error as error:
        raise sa.exc.DBAPIError(query, None, error) from error


def _failed(error: Exception, url: sa.URL, shown: str, blocks: Blocks | None) -> RunError:
    """RP605: the query as such was refused, or the rows stopped coming after so many."""
    import sqlalchemy as sa

    words = (_words(error, url),)
    if blocks is not None and (came := blocks.rows + blocks.lost):
        message = f"{shown} stopped after {came:,} rows of the query, of which nothing is kept"
        return RunError.of("RP605", message, help=words)
    if isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated:
        return RunError.of("RP605", f"{shown} was lost before the first row of the query", help=words)
    return RunError.of("RP605", f"{shown} refuses the query", help=words)


def _words(error: Exception, url: sa.URL) -> str:
    """What the database says, on one line, without a password."""
    said = " ".join(str(getattr(error, "orig", None) or error).split())
    for secret in {url.password or "", *map(str, url.query.values())} - {"", str(TIMEOUT)}:
        said = said.replace(str(secret), "***")
    return said[:300]
