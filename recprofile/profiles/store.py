"""The database of a store: transactions that read, change or forget. SQLAlchemy Core on SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from recprofile.errors import RunError, quoted
from recprofile.profiles.address import SQLITE
from recprofile.profiles.postgres import Postgres
from recprofile.profiles.sqlite import Sqlite
from recprofile.profiles.tables import FORM, meta, tables
from recprofile.profiles.waiting import WAIT, Does, Unusable


class Database(Protocol):
    """What the databases do each in their own way."""

    @property
    def shown(self) -> str:
        """The store as a person is told of it, without a password."""

    @property
    def beyond(self) -> str:
        """What a forgetting cannot reach, in words; '' where it reaches all."""

    def engine(self) -> sa.Engine:
        """Connections that are closed after each use, so that a store need not be."""

    def is_there(self) -> bool:
        """Whether there is anything to connect to, without connecting."""

    def prepare(self, engine: sa.Engine) -> None:
        """What must be done before the first transaction; raises Unusable."""

    def options(self, does: Does) -> dict[str, Any]:
        """SQLAlchemy's execution options of a transaction."""

    def begun(self, connection: sa.Connection, does: Does) -> None:
        """Take the locks of a transaction that begins."""

    def ending(self, connection: sa.Connection, does: Does) -> None:
        """What a transaction does last."""

    def expect_alone(self, engine: sa.Engine) -> None:
        """Raise Unusable where others would keep a forgetting from leaving nothing."""

    def scrub(self, engine: sa.Engine) -> None:
        """What remains to be done after a forgetting; raises Unusable."""

    def waited(self, error: BaseException) -> bool:
        """Whether an error of the driver says that a lock was not to be had in time."""


@dataclass(frozen=True)
class Store:
    """A profile store, by the URL that `address.store_url` gives. Every method is a transaction; see the package."""

    url: str

    @cached_property
    def database(self) -> Database:
        """The kind of database."""
        return Postgres(sa.make_url(self.url)) if self.path is None else Sqlite(self.path)

    @property
    def path(self) -> Path | None:
        """The file of a SQLite store."""
        return Path(self.url.removeprefix(SQLITE)) if self.url.startswith(SQLITE) else None

    @property
    def shown(self) -> str:
        """The store as a person is told of it, without a password."""
        return self.database.shown

    @cached_property
    def engine(self) -> sa.Engine:
        """Connections."""
        return self.database.engine()

    def create(self) -> None:
        """Make the tables where there are none. Raises RunError RP608 where that cannot be done."""
        if not self.is_empty():
            return self.expect()
        with self._told():
            self.database.prepare(self.engine)
        with self.change() as connection:
            tables.create_all(connection)
            if connection.execute(sa.select(meta.c.form)).first() is None:
                connection.execute(meta.insert().values(form=FORM))
        return None

    def is_empty(self) -> bool:
        """Whether there is no database yet, or one without tables, as a creation that was killed leaves it."""
        if not self.database.is_there():
            return True
        with self._told(), self.engine.connect() as connection:
            return not sa.inspect(connection).get_table_names()

    def expect(self) -> None:
        """Raise RunError RP608 when there is no store, or one of another form."""
        self._expect_there()
        with self._told(), self.engine.connect() as connection:
            self._expect(connection)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that sees the store as it is at this moment; raises RunError RP608 where it cannot be read."""
        self._expect_there()
        with self._told(), self._connected("read") as connection:
            with connection.begin():
                self._expect(connection)
            with connection.begin():
                self.database.begun(connection, "read")
                yield connection

    @contextmanager
    def change(self, does: Does = "change") -> Iterator[sa.Connection]:
        """The transaction of a change: all of it is kept, or nothing. Waits for other changes.

        Raises RunError RP608 where it cannot be written, or another change takes too long.
        """
        with self._told(), self._connected(does) as connection, connection.begin():
            self.database.begun(connection, does)
            yield connection
            self.database.ending(connection, does)

    @contextmanager
    def forgetting(self) -> Iterator[sa.Connection]:
        """A change after which the files of the store hold nothing of what it deleted.

        Raises RunError RP608 while others read the store.
        """
        with self._told():
            self.database.expect_alone(self.engine)
        with self.change("forget") as connection:
            yield connection
        with self._told():
            self.database.scrub(self.engine)

    @contextmanager
    def _connected(self, does: Does) -> Iterator[sa.Connection]:
        with self.engine.connect() as connection:
            yield connection.execution_options(does=does, **self.database.options(does))

    def _expect_there(self) -> None:
        if not self.database.is_there():
            raise self._missing()

    def _expect(self, connection: sa.Connection) -> None:
        """Within a connection: that there is a store, of this form."""
        there = sa.inspect(connection)
        if not there.has_table("meta"):
            raise self._unusable("it is another database") if there.get_table_names() else self._missing()
        form = connection.execute(sa.select(meta.c.form)).scalar()
        if form != FORM:
            help = "remove it, or publish elsewhere: recprofile publish RECIPE --store FILE"
            raise self._unusable(f"its tables are of form {form}, and this recprofile knows {FORM}", help)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except Unusable as error:
            raise self._unusable(error.why, *error.helps) from error
        except (sa.exc.DBAPIError, self.engine.dialect.loaded_dbapi.Error) as error:
            raw = getattr(error, "orig", error)
            if self.database.waited(raw):
                raise self._unusable(f"another change has held it for {WAIT} s", "try again later") from error
            raise self._unusable(str(raw).strip().partition("\n")[0].removeprefix("connection failed: ")) from error

    def _missing(self) -> RunError:
        return RunError.of(
            "RP608", f"no profile store {quoted(self.shown)}", help=("make it: recprofile publish RECIPE",)
        )

    def _unusable(self, why: str, *helps: str) -> RunError:
        return RunError.of("RP608", f"the profile store {quoted(self.shown)} cannot be used: {why}", help=helps)
