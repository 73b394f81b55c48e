"""A store in a SQLite file: one writer at a time, readers beside it by the write-ahead log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from recprofile.profiles.waiting import WAIT, Does, Unusable


@dataclass(frozen=True)
class Sqlite:
    """What is SQLite's own in a store; see `store.Database`."""

    path: Path

    @property
    def shown(self) -> str:
        """The path of the file."""
        return str(self.path)

    @property
    def beyond(self) -> str:
        """Nothing: all of the store is in the file and its log."""
        return ""

    def engine(self) -> sa.Engine:
        """Connections that wait for locks, check references, and overwrite what they delete."""
        engine = sa.create_engine(sa.URL.create("sqlite", database=str(self.path)), poolclass=sa.NullPool)

        @sa.event.listens_for(engine, "connect")
        def connected(raw: Any, _: object) -> None:  # noqa: ANN401 - a DBAPI connection, which has no common type
            raw.isolation_level = None  # transactions begin where we say, not at the first write
            for setting in (f"busy_timeout={WAIT * 1000}", "foreign_keys=ON", "secure_delete=ON", "synchronous=FULL"):
                raw.execute(f"PRAGMA {setting}")

        @sa.event.listens_for(engine, "begin")
        def begun(connection: sa.Connection) -> None:
            reads = connection.get_execution_options().get("does", "read") == "read"
            connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

        return engine

    def is_there(self) -> bool:
        """Whether there is a file that holds anything."""
        return self.path.is_file() and self.path.stat().st_size > 0

    def prepare(self, engine: sa.Engine) -> None:
        """Make the folder, and the file with its write-ahead log."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unusable((error.strerror or str(error)).lower()) from error
        with engine.connect() as connection:
            connection.connection.driver_connection.execute("PRAGMA journal_mode=WAL")  # type: ignore[union-attr]  # there is one

    def options(self, does: Does) -> dict[str, Any]:
        """Nothing that SQLAlchemy must know: what a transaction does is told where it begins."""
        return {}

    def begun(self, connection: sa.Connection, does: Does) -> None:
        """Nothing further: the lock is taken by how a transaction begins."""

    def ending(self, connection: sa.Connection, does: Does) -> None:
        """Nothing: what is deleted is overwritten at once (`secure_delete`)."""

    def expect_alone(self, engine: sa.Engine) -> None:
        """Raise Unusable while others read the file, whose log cannot be emptied then."""
        if not self._emptied(engine, "PRAGMA busy_timeout=1000"):
            raise Unusable("another program is reading it", "stop it and run this again")

    def scrub(self, engine: sa.Engine) -> None:
        """Write the file anew without free pages, and empty its log; raises Unusable when others began to read it."""
        if not self._emptied(engine, "VACUUM"):
            raise Unusable("another program began to read it, and what was deleted is in its log until that ends")

    def _emptied(self, engine: sa.Engine, first: str) -> bool:
        """Whether the log could be emptied, after a statement."""
        with engine.connect() as connection:
            raw: Any = connection.connection.driver_connection
            raw.execute(first)
            busy, *_ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def waited(self, error: BaseException) -> bool:
        """Whether an error says that a lock was not to be had."""
        return "locked" in str(error)
