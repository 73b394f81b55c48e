"""Parquet → dense ids, a split by time, one event per pair, gaps filled, numbers scaled, a CSR of the training part.

The value of a pair is its last event's amount: gaps are filled with the median of the training part, then the median is
subtracted and the quartiles are brought 1 apart. Ages of users and prices of items likewise (ages are not scaled).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.case import HOLDOUT, Case
from benchmarks.speed.measure import Bound, Contest, Side, Timed
from benchmarks.speed.same import same_arrays, same_csr

Column = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Loaded:
    """(n_users, n_items) CSR of the training part; age of each user, price of each item, in the order of ids.

    `test` are the codes of user and item of the test events, where they are asked for.
    """

    matrix: Any
    age: Column
    price: Column
    ids: tuple[Any, Any] = (None, None)


def contests(case: Case) -> Iterator[Contest]:
    """One row."""
    yield Contest(
        "load",
        Side("recprofile", lambda: ours(case)),
        [
            Side("duckdb", lambda: duckdb(case)),
            Side("polars", lambda: polars(case)),
            Side("pandas + scikit-learn", lambda: pandas(case), rounds=1),
        ],
        same,
        lambda: Bound(seconds=decoding(case)),
    )


def ours(case: Case) -> Timed:
    """The loader and the preprocess stages of brief.yaml."""
    _ = case.plan

    def run() -> Loaded:
        data = case.load()
        age, price = data.users.numbers(["age"])[:, 0], data.items.numbers(["price"])[:, 0]
        return Loaded(data.matrix("train"), age, price)

    return run


def same(ours: Loaded, theirs: Loaded) -> str:
    """The CSR, and the columns."""
    told = same_csr(ours.matrix, theirs.matrix)
    same_arrays(ours.age, theirs.age)
    same_arrays(ours.price, theirs.price, rtol=1e-3, atol=1e-4)
    return told


def polars(case: Case) -> Timed:
    """Categories in the order of the sorted ids; the rest in expressions."""
    import polars as pl

    def run() -> Loaded:
        items = pl.read_parquet(case.file("items"), columns=["item_id", "price"]).sort("item_id")
        users = pl.read_parquet(case.file("users"), columns=["user_id", "age"]).sort("user_id")
        known = {"user": pl.Enum(users["user_id"]), "item": pl.Enum(items["item_id"])}
        events = pl.read_parquet(case.file("events")).select(
            pl.col("user_id").cast(known["user"]).to_physical().alias("user"),
            pl.col("item_id").cast(known["item"]).to_physical().alias("item"),
            "time",
            "amount",
        )
        late = last_of(*(events[name].to_numpy() for name in ("time", "user", "item")))
        train = events.filter(~pl.Series(late)).unique(["user", "item"], keep="last")
        amount = scaled(train["amount"].to_numpy())
        user, item = train["user"].to_numpy(), train["item"].to_numpy()
        bought, came = _there(item, len(items)), _there(user, len(users))
        price = items["price"].to_numpy()
        age = filled(users["age"].cast(pl.Float32).to_numpy(), came)
        ids = users["user_id"], items["item_id"]
        return Loaded(csr(amount, user, item, len(users), len(items)), age, scaled(price, bought), ids)

    return run


def duckdb(case: Case) -> Timed:
    """SQL as far as the pairs; numpy for the split's moment and the CSR, as duckdb has none."""
    import duckdb

    sql = {
        "users": """
            create table users as
            select *, (row_number() over (order by user_id) - 1)::int as code from read_parquet(?)
        """,
        "items": """
            create table items as
            select *, (row_number() over (order by item_id) - 1)::int as code from read_parquet(?)
        """,
        "events": """
            create table events as
            select u.code as "user", i.code as item, e.time, e.amount, e.file_row_number as row
            from read_parquet(?, file_row_number = true) e
            join users u on u.user_id = e.user_id join items i on i.item_id = e.item_id
        """,
        "pairs": """
            select "user", item, arg_max_null(amount, row) as amount from events
            where time < $moment or (time = $moment and ("user", item) not in (
                select "user", item from events where time = $moment order by all desc limit $rest
            ))
            group by "user", item
        """,
    }

    def run() -> Loaded:
        database = duckdb.connect()
        files = {table: str(case.file(table)) for table in ("users", "items", "events")}
        database.execute(sql["users"], [files["users"]])
        database.execute(sql["items"], [files["items"]])
        database.execute(sql["events"], [files["events"]])
        moment, rest = moment_of(database.execute("select time from events").fetchnumpy()["time"])
        pairs = database.execute(sql["pairs"], {"moment": moment, "rest": rest}).fetchnumpy()
        user, item, amount = pairs["user"], pairs["item"], _plain(pairs["amount"])
        age = database.execute("select age from users order by code").fetchnumpy()["age"]
        price = database.execute("select price from items order by code").fetchnumpy()["price"]
        n_users, n_items = len(age), len(price)
        matrix = csr(scaled(amount), user, item, n_users, n_items)
        age = filled(_plain(age).astype(np.float32), _there(user, n_users))
        return Loaded(matrix, age, scaled(_plain(price), _there(item, n_items)))

    return run


def pandas(case: Case) -> Timed:
    """The usual way: categories, drop_duplicates, SimpleImputer, RobustScaler."""
    import pandas as pd
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import RobustScaler

    def run() -> Loaded:
        items = pd.read_parquet(case.file("items"), columns=["item_id", "price"]).sort_values("item_id")
        users = pd.read_parquet(case.file("users"), columns=["user_id", "age"]).sort_values("user_id")
        events = pd.read_parquet(case.file("events"))
        events["user"] = pd.Categorical(events.user_id, categories=users.user_id).codes
        events["item"] = pd.Categorical(events.item_id, categories=items.item_id).codes
        late = last_of(*(events[name].to_numpy() for name in ("time", "user", "item")))
        train = events[~late].drop_duplicates(["user", "item"], keep="last")
        fill, scale = SimpleImputer(strategy="median"), RobustScaler()
        amount = scale.fit_transform(fill.fit_transform(train[["amount"]]))[:, 0]
        user, item = train["user"].to_numpy(), train["item"].to_numpy()
        bought, came = _there(item, len(items)), _there(user, len(users))
        fill, scale = SimpleImputer(strategy="median").fit(items[["price"]][bought]), RobustScaler()
        price = fill.transform(items[["price"]])
        price = scale.fit(price[bought]).transform(price)[:, 0]
        age = SimpleImputer(strategy="median").fit(users[["age"]][came]).transform(users[["age"]])[:, 0]
        return Loaded(csr(amount, user, item, len(users), len(items)), age, price)

    return run


def last_of(time: Column, user: Column, item: Column) -> NDArray[np.bool_]:
    """The last events by (time, user, item): the test."""
    moment, rest = moment_of(time)
    last = time > moment
    tied = np.flatnonzero(time == moment)
    last[tied[np.lexsort((item[tied], user[tied]))][len(tied) - rest :]] = True
    return last


def moment_of(time: Column) -> tuple[int, int]:
    """When the test begins, and how many events of that very second belong to it."""
    late = len(time) - round(len(time) * (1 - HOLDOUT))
    moment = int(np.partition(time, len(time) - late)[len(time) - late])
    return moment, late - int(np.count_nonzero(time > moment))


def filled(values: Column, known: NDArray[np.bool_] | slice = slice(None)) -> Column:
    """Gaps become the median of what is known."""
    middle = np.nanmedian(values[known])
    return np.where(np.isnan(values), middle, values)


def scaled(values: Column, known: NDArray[np.bool_] | slice = slice(None)) -> Column:
    """Filled, then the median 0 and the quartiles 1 apart."""
    whole = filled(values, known)
    low, middle, high = np.quantile(whole[known].astype(np.float64), [0.25, 0.5, 0.75])
    return (whole - middle) / (high - low)


def csr(value: Column, user: Column, item: Column, n_users: int, n_items: int) -> Any:  # noqa: ANN401 - no stubs
    """The matrix of pairs."""
    from scipy.sparse import coo_array

    return coo_array((value.astype(np.float32), (user, item)), shape=(n_users, n_items)).tocsr()


def _plain(values: Any) -> Column:  # noqa: ANN401 - an array, masked where it has gaps
    return values.filled(np.nan) if isinstance(values, np.ma.MaskedArray) and values.dtype.kind == "f" else (
        np.ma.filled(values.astype(np.float64), np.nan)
    )  # fmt: skip


def _there(codes: Column, n: int) -> NDArray[np.bool_]:
    there: NDArray[np.bool_] = np.bincount(codes, minlength=n) > 0
    return there


def decoding(case: Case) -> float:
    """The seconds that reading the file takes, and nothing else."""
    import time

    import polars as pl

    pl.read_parquet(case.file("events"))
    begun = time.perf_counter()
    pl.read_parquet(case.file("events"))
    return time.perf_counter() - begun
