"""A store in a PostgreSQL database: many readers, changes one after another by an advisory lock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from recprofile.profiles.waiting import WAIT, Does

LOCK = 7_266_355  # the number of the advisory lock that changes take
CONNECTING = 10  # seconds; the address may say another 'connect_timeout'
NOT_AVAILABLE = "55P03"  # SQLSTATE of a lock that was not to be had in time
# A column of each table that holds something of people, given what it holds: in words by which PostgreSQL cannot know
# that it stays as it is, so that it writes the table anew.
REWRITTEN = {
    "users": "whole TYPE boolean USING whole IS TRUE",
    "profiles": "known TYPE boolean USING known IS TRUE",
    "edits": "undone TYPE integer USING undone + 0",
    "events": "positive TYPE boolean USING positive IS TRUE",
    "artifacts": "part TYPE integer USING part + 0",
}


@dataclass(frozen=True)
class Postgres:
    """What is PostgreSQL's own in a store; see `store.Database`."""

    url: sa.URL

    @property
    def shown(self) -> str:
        """The address without a password, nor what else it may hold that is nobody's business."""
        u = self.url
        return sa.URL.create("postgresql", u.username, None, u.host, u.port, u.database).render_as_string()

    @property
    def beyond(self) -> str:
        """What no client can clean."""
        return "the server's write-ahead log, replicas and backups hold what they hold until they are overwritten"

    def engine(self) -> sa.Engine:
        """Connections that are closed after each use: 9 ms to make one on this machine."""
        given = {"fallback_application_name": "recprofile", "connect_timeout": CONNECTING}
        more = {name: value for name, value in given.items() if name not in self.url.query}
        return sa.create_engine(self.url, poolclass=sa.NullPool, connect_args=more)

    def is_there(self) -> bool:
        """Whoever connects finds out."""
        return True

    def prepare(self, engine: sa.Engine) -> None:
        """Nothing: the database is there."""

    def options(self, does: Does) -> dict[str, Any]:
        """Who reads sees one moment. A change must see what those before it did while it waited for the lock."""
        if does == "read":
            return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        return {"isolation_level": "READ COMMITTED"}

    def begun(self, connection: sa.Connection, does: Does) -> None:
        """Take the locks: before the first query, which fixes the moment that a reader sees.

        A forgetting waits for readers and keeps new ones out, as tables that it writes anew are empty to whoever looks
        at an earlier moment.
        """
        if does == "read":
            connection.exec_driver_sql("LOCK TABLE meta IN ACCESS SHARE MODE")
            return
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{WAIT}s'")
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        if does == "forget":
            connection.exec_driver_sql("LOCK TABLE meta IN ACCESS EXCLUSIVE MODE")

    def ending(self, connection: sa.Connection, does: Does) -> None:
        """After a forgetting, write tables and indexes anew in new files, and sample them again for the planner.

        VACUUM FULL would keep deleted rows while any transaction, of anybody, is older; this form of ALTER TABLE does
        not, and is undone with the rest when the transaction fails.
        """
        if does == "forget":
            for table, column in REWRITTEN.items():
                connection.exec_driver_sql(f"ALTER TABLE {table} ALTER COLUMN {column}")
            connection.exec_driver_sql(f"ANALYZE {', '.join(REWRITTEN)}")

    def expect_alone(self, engine: sa.Engine) -> None:
        """Nothing: a forgetting waits for readers where it begins."""

    def scrub(self, engine: sa.Engine) -> None:
        """Rewrite the planner's samples, in which ids of users were: where the store's user owns the database.

        For others the server answers with a warning and leaves it to its own housekeeping.
        """
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"SET lock_timeout = '{WAIT}s'")
            connection.exec_driver_sql("VACUUM FULL pg_catalog.pg_statistic")

    def waited(self, error: BaseException) -> bool:
        """Whether an error says that a lock was not to be had."""
        return getattr(error, "sqlstate", None) == NOT_AVAILABLE
