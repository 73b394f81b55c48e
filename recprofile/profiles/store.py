"""The database: tables, connections, transactions. SQLAlchemy Core on SQLite or PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from recprofile.errors import RunError, quoted
from recprofile.profiles.address import SQLITE

FORM = 1  # raised when the tables change; a store of another form is refused
WAIT = 120  # seconds that a change waits for those before it
LOCK = 7_266_355  # PostgreSQL: the number of the lock that changes take
CHUNK = 20_000  # rows handed to the database at once
NAMED = 500  # values in one IN (…); SQLite takes 999

tables = sa.MetaData()


def _on(column: str) -> sa.ForeignKey:
    return sa.ForeignKey(column, ondelete="CASCADE")


meta = sa.Table("meta", tables, sa.Column("form", sa.Integer, nullable=False))
# One row a change. `base` is the publication that it stands on: its own id, where it is one.
versions = sa.Table(
    "versions",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("recipe", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),  # publish, update or forget
    sa.Column("base", sa.Integer, nullable=False),
    sa.Column("created", sa.Text, nullable=False),
    sa.Column("asof", sa.BigInteger),
    sa.Column("events", sa.Integer, nullable=False),
    sa.Column("users", sa.Integer, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),  # what the change did: new users, new items, …
    sa.Column("parity", sa.JSON),
    sa.Column("provenance", sa.JSON, nullable=False),
    sa.UniqueConstraint("recipe", "number"),
)
# What an update needs of a run: the parts of a Pack, in pieces, for SQLite holds at most 1 GB in one value.
artifacts = sa.Table(
    "artifacts",
    tables,
    sa.Column("version", _on("versions.id"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
)
# `whole`: the outside id is a whole number, and comes back as one.
users = sa.Table(
    "users",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("recipe", sa.Text, nullable=False),
    sa.Column("user", sa.Text, nullable=False),
    sa.Column("whole", sa.Boolean, nullable=False),
    sa.UniqueConstraint("recipe", "user"),
)
# One row a user and version in which their profile changed; `vector` is float32, `state` what the updater keeps.
profiles = sa.Table(
    "profiles",
    tables,
    sa.Column("user", _on("users.id"), primary_key=True),
    sa.Column("version", _on("versions.id"), primary_key=True),
    sa.Column("vector", sa.LargeBinary, nullable=False),
    sa.Column("known", sa.Boolean, nullable=False),
    sa.Column("state", sa.LargeBinary),
    sa.Column("card", sa.Text),
)
events = sa.Table(
    "events",
    tables,
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("recipe", sa.Text, nullable=False),
    sa.Column("event_id", sa.Text, nullable=False),
    sa.Column("user", _on("users.id"), nullable=False),
    sa.Column("item", sa.Text, nullable=False),
    sa.Column("weight", sa.Float, nullable=False),
    sa.Column("time", sa.BigInteger),
    sa.Column("positive", sa.Boolean, nullable=False),
    sa.Column("version", _on("versions.id"), nullable=False),
    sa.UniqueConstraint("recipe", "event_id"),
    sa.Index("events_user", "user"),
    sa.Index("events_item", "recipe", "item"),
)
# Items that came after the publication, encoded from their attributes alone; `raw` are the encoders' vectors.
items = sa.Table(
    "items",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("base", _on("versions.id"), nullable=False),
    sa.Column("version", _on("versions.id"), nullable=False),
    sa.Column("item", sa.Text, nullable=False),
    sa.Column("label", sa.Text),
    sa.Column("attributes", sa.Text, nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("vector", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("base", "item"),
)


@dataclass(frozen=True)
class Store:
    """A profile store. Every method that reads or writes is a transaction; see the package."""

    url: str

    @property
    def path(self) -> Path | None:
        """The file of a SQLite store."""
        return Path(self.url.removeprefix(SQLITE)) if self.url.startswith(SQLITE) else None

    @property
    def shown(self) -> str:
        """The store as a person is told of it, without a password."""
        return str(self.path) if self.path else sa.make_url(self.url).render_as_string(hide_password=True)

    @cached_property
    def engine(self) -> sa.Engine:
        """Connections; a SQLite one waits for locks, checks references, and overwrites what it deletes."""
        if self.path is None:
            return sa.create_engine(self.url)
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)

        @sa.event.listens_for(engine, "connect")
        def connected(raw: Any, _: object) -> None:  # noqa: ANN401 - a DBAPI connection, which has no common type
            raw.isolation_level = None  # transactions begin where we say, not at the first write
            for setting in (f"busy_timeout={WAIT * 1000}", "foreign_keys=ON", "secure_delete=ON", "synchronous=FULL"):
                raw.execute(f"PRAGMA {setting}")

        @sa.event.listens_for(engine, "begin")
        def begun(connection: sa.Connection) -> None:
            changes = connection.get_execution_options().get("changes")
            connection.exec_driver_sql("BEGIN IMMEDIATE" if changes else "BEGIN")

        return engine

    def create(self) -> None:
        """Make the tables where there are none. Raises RunError RP608 where that cannot be done."""
        if not self.is_empty():
            return self.expect()
        if self.path is not None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise self._unusable((error.strerror or str(error)).lower()) from error
            with self._told(), self.engine.connect() as connection:
                connection.connection.driver_connection.execute("PRAGMA journal_mode=WAL")  # type: ignore[union-attr]  # there is one
        with self.change() as connection:
            tables.create_all(connection)
            if connection.execute(sa.select(meta.c.form)).first() is None:
                connection.execute(meta.insert().values(form=FORM))
        return None

    def is_empty(self) -> bool:
        """Whether there is no database yet, or one without tables, as a creation that was killed leaves it."""
        if self.path is not None and not (self.path.is_file() and self.path.stat().st_size):
            return True
        with self._told(), self.engine.connect() as connection:
            return not sa.inspect(connection).get_table_names()

    def expect(self) -> None:
        """Raise RunError RP608 when there is no store, or one of another form."""
        if self.is_empty():
            helps = ("make it: recprofile publish RECIPE",)
            raise RunError.of("RP608", f"no profile store {quoted(self.shown)}", help=helps)
        with self._told(), self.engine.connect() as connection:
            if not sa.inspect(connection).has_table("meta"):
                raise self._unusable("it is another database")
            form = connection.execute(sa.select(meta.c.form)).scalar()
        if form != FORM:
            raise self._unusable(f"its tables are of form {form}, and this recprofile knows {FORM}")

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that sees the store as it is at this moment; raises RunError RP608 where it cannot be read."""
        self.expect()
        with self._told(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def change(self) -> Iterator[sa.Connection]:
        """The transaction of a change: all of it is kept, or nothing. Waits for other changes.

        Raises RunError RP608 where it cannot be written, or another change takes too long.
        """
        with self._told(), self.engine.connect().execution_options(changes=True) as connection, connection.begin():
            if self.path is None:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
            yield connection

    def scrub(self) -> None:
        """Leave nothing of deleted rows in the files of the store. Raises RunError RP608 while others read it."""
        if self.path is None:
            return
        with self._told(), self.engine.connect() as connection:
            raw: Any = connection.connection.driver_connection
            raw.execute("VACUUM")
            busy, *_ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise self._unusable("another program is reading it", "stop it and run this again")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DBAPIError, sqlite3.Error) as error:
            why = str(getattr(error, "orig", error)).strip().partition("\n")[0]
            if "locked" in why:
                raise self._unusable(f"another change has held it for {WAIT} s", "try again later") from error
            raise self._unusable(why) from error

    def _unusable(self, why: str, *helps: str) -> RunError:
        return RunError.of("RP608", f"the profile store {quoted(self.shown)} cannot be used: {why}", help=helps)


def insert_columns(connection: sa.Connection, table: sa.Table, columns: Mapping[str, Any]) -> None:
    """Insert rows given as columns, lists of equal length; what is no list goes to every row.

    The database's own interface takes rows, so each becomes a mapping here, a chunk at a time: 5 s a million rows.
    """
    listed = {name: value for name, value in columns.items() if isinstance(value, list)}
    every = {name: value for name, value in columns.items() if name not in listed}
    rows = len(next(iter(listed.values())))
    for at in range(0, rows, CHUNK):
        parts = [values[at : at + CHUNK] for values in listed.values()]
        chunk = [{**every, **dict(zip(listed, row, strict=True))} for row in zip(*parts, strict=True)]
        connection.execute(table.insert(), chunk)


def select_in(
    connection: sa.Connection, query: sa.Select[Any], column: sa.ColumnElement[Any], values: Sequence[Any]
) -> list[sa.Row[Any]]:
    """The rows of a query in which a column has one of these values, in chunks of values."""
    rows: list[sa.Row[Any]] = []
    for at in range(0, len(values), NAMED):
        rows += connection.execute(query.where(column.in_(values[at : at + NAMED]))).all()
    return rows
