"""The tables of a store, the same in both databases, and rows put into and taken from them by columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa

FORM = 4  # raised when the tables, or what a publication keeps, change; a store of another form is refused
CHUNK = 20_000  # rows handed to SQLite at once
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
    sa.Column("kind", sa.Text, nullable=False),  # publish, update, edit or forget
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
# What people say of themselves: one row an edit. It counts until `undone`, the id of the version that took it back.
edits = sa.Table(
    "edits",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("user", _on("users.id"), nullable=False),
    sa.Column("version", _on("versions.id"), nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),  # [{"column", "tag", "weight"}], 0: left out
    sa.Column("text", sa.Text),  # the card in their own words
    sa.Column("undone", sa.Integer),
    sa.Index("edits_user", "user"),
)
events = sa.Table(
    "events",
    tables,
    # SQLite counts rows by 'INTEGER' alone, which there has 64 bits.
    sa.Column("n", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("recipe", sa.Text, nullable=False),
    sa.Column("event_id", sa.Text, nullable=False),
    sa.Column("user", _on("users.id"), nullable=False),
    sa.Column("item", sa.Text, nullable=False),
    sa.Column("weight", sa.Float),  # null where a preprocess stage fills it
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
    sa.Column("attributes", sa.Text, nullable=False),  # as the recipe's stages leave them
    sa.Column("given", sa.Text, nullable=False),  # as they came
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("vector", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("base", "item"),
)


def insert_columns(connection: sa.Connection, table: sa.Table, columns: Mapping[str, Any]) -> None:
    """Insert rows given as columns, lists of equal length; what is no list goes to every row.

    A million events take 15 s. The drivers take rows, so each becomes a tuple or a mapping here.
    """
    listed = {name: value for name, value in columns.items() if isinstance(value, list)}
    every = {name: value for name, value in columns.items() if name not in listed}
    rows = zip(*listed.values(), strict=True)
    if connection.dialect.name == "postgresql":
        # COPY takes two fifths of the time of INSERT with many rows of values.
        from psycopg import sql  # noqa: PLC0415 - only where the driver is installed

        names = sql.SQL(", ").join(map(sql.Identifier, [*listed, *every]))
        into = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), names)
        raw: Any = connection.connection.driver_connection
        with raw.cursor() as cursor, cursor.copy(into) as copy:
            for row in rows:
                copy.write_row((*row, *every.values()))
        return
    while chunk := [{**every, **dict(zip(listed, row, strict=True))} for row in islice(rows, CHUNK)]:
        connection.execute(table.insert(), chunk)


def select_in(
    connection: sa.Connection, query: sa.Select[Any], column: sa.ColumnElement[Any], values: Sequence[Any]
) -> list[sa.Row[Any]]:
    """The rows of a query in which a column has one of these values, in chunks of values."""
    rows: list[sa.Row[Any]] = []
    for at in range(0, len(values), NAMED):
        rows += connection.execute(query.where(column.in_(values[at : at + NAMED]))).all()
    return rows
