"""What people know, as vectors: `rules`, which set or bound what a profile holds of named values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self, TypeVar

import numpy as np
import polars as pl

from recprofile.builtin.encode.conditions import Condition, compared, expect_comparison, expect_condition, holds
from recprofile.builtin.history import HistoryParams, history_weights
from recprofile.plugin import (
    BoolArray,
    Context,
    Dataset,
    Embeddings,
    Encoded,
    Encoder,
    Field,
    FloatArray,
    Params,
    column_values,
    did_you_mean,
    field_validator,
    model_validator,
    refusal,
)

Entry = Annotated[float, Field(ge=-1, le=1)]
Entries = dict[str, dict[str, Entry]]
X = TypeVar("X")
Value = tuple[str, str]  # an item column, and one of its values


class Rule(Params):
    name: str | None = Field(None, min_length=1, description="What the report calls it; null: 'rule 1', and so on.")
    when: dict[str, Condition] = Field(
        default={},
        description="User column → what it must be: a comparison as '< 18', a text, true or false, or a list of texts; "
        "all of them must hold, and a missing value holds to none. Without any, the rule is for everybody.",
    )
    history: dict[str, dict[str, str]] = Field(
        default={}, description="Item column → value → what its share of the user's history must be, as '>= 0.3'."
    )
    set: Entries = Field(default={}, description="Item column → value → the user's entry, −1 to 1.")
    at_least: Entries = Field(default={}, description="Item column → value → the least that the user's entry is.")
    at_most: Entries = Field(default={}, description="Item column → value → the most that the user's entry is.")

    @field_validator("when")
    @classmethod
    def _are_conditions(cls, when: dict[str, Condition]) -> dict[str, Condition]:
        for column, condition in when.items():
            if isinstance(condition, str):
                expect_condition(condition, at=column)
        return when

    @field_validator("history")
    @classmethod
    def _are_comparisons(cls, history: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        for column, by_value in history.items():
            for comparison in by_value.values():
                expect_comparison(comparison, at=column)
        return history

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        named = [dict(_flat(one)) for one in (self.set, self.at_least, self.at_most)]
        fixed, least, most = named
        if not any(named):
            raise refusal("RP205", "the rule says nothing", help=("give it 'set', 'at_least' or 'at_most'",))
        for value in least.keys() & most.keys():
            if least[value] > most[value]:
                bounds = f"at least {least[value]:g} and at most {most[value]:g}"
                raise refusal("RP205", f"no entry of '{value[1]}' is {bounds}", key="at_least")
        for value in fixed.keys() & (least.keys() | most.keys()):
            raise refusal("RP205", f"the rule sets '{value[1]}' and bounds it, too", key="set")
        return self


class RulesParams(HistoryParams):
    rules: tuple[Rule, ...] = Field(min_length=1, description="What holds for whom; a later rule has the last word.")
    separator: str | None = Field(
        None, min_length=1, description="What parts the values within one text, as ' ' in 'Drama War'; null: one value."
    )


class Rules(Encoder[RulesParams]):
    """Users and items by the values that rules name, such as genres; rules set or bound the users' entries.

    One dimension per value that a rule names, in the order they are named: (n, values) float32. An item has 1 where it
    has the value. A user has p_v = Σ_j w_j [j has v] / Σ_j w_j, its share of their history (items without any value
    left out), and then, rule by rule for whom it holds: p_v = x where it sets it, max(p_v, x) for `at_least`, min(p_v,
    x) for `at_most`. So a score is Σ_v p_v [i has v]: a rule leads towards a value, and an entry below 0 away from it.
    It weighs, as much as the block does, and bars nothing: what must not be listed is a matter for a rerank stage.

    `annotations` of users have a column `rules`, the names of the rules that hold for them. The report tells for how
    many each holds, and how many entries it moved; a warning tells where later rules overrule it, and which values no
    item has. Users without history for whom no rule holds are missing, and so are items without any value in the
    columns. Entries move at the next run, not by later events.
    Raises DataError RP502 for an unknown column, RP503 for an order of a column that holds no numbers.
    """

    name = "rules"
    needs_items = True

    def __init__(self, params: RulesParams) -> None:
        super().__init__(params)
        self.needs_users = any(rule.when for rule in params.rules)
        self.needs_time = params.half_life_days is not None

    def encode(self, data: Dataset, ctx: Context) -> Encoded:
        """Vectors of all users and items."""
        p = self.params
        values = list(dict.fromkeys(v for rule in p.rules for v in _named(rule)))
        items, none = self._items(data, values, ctx)
        shares, known = self._shares(data, items, none)
        users, holding = shares.copy(), np.zeros((data.n_users, len(p.rules)), np.bool_)
        places = {value: at for at, value in enumerate(values)}
        told = {}
        for n, rule in enumerate(p.rules):
            held = holding[:, n] = self._held(rule, data, shares, places)
            before = users[held]
            _apply(rule, users, held, places)
            moved = int((users[held] != before).sum())
            told[_name(rule, n)] = f"{int(held.sum())} users, {moved} entries moved"
        ctx.note("rules", told)
        self._say_overruled(users, holding, places, ctx)
        missing = ~(known | holding.any(axis=1))
        users[missing] = 0
        names = pl.Series([_name(rule, n) for n, rule in enumerate(p.rules)])
        return Encoded(
            Embeddings("item", data.items.ids, items, none),
            Embeddings("user", data.users.ids, users, missing, _lists(names, holding)),
        )

    def _items(self, data: Dataset, values: list[Value], ctx: Context) -> tuple[FloatArray, BoolArray]:
        """Which values items have, (n_items, values), and which have none at all in the columns."""
        columns = list(dict.fromkeys(column for column, _ in values))
        every = column_values(data.items, columns, self.params.separator)
        numbers = [columns.index(column) for column, _ in values]
        wanted = pl.DataFrame({"source": numbers, "value": [value for _, value in values]}).with_row_index("place")
        found = every.join(wanted.with_columns(pl.col("source").cast(pl.Int32)), on=["source", "value"])
        vectors = np.zeros((data.n_items, len(values)), np.float32)
        vectors[found["row"].to_numpy(), found["place"].to_numpy()] = 1
        none = np.ones(data.n_items, np.bool_)
        none[every["row"].to_numpy()] = False
        for place in np.flatnonzero(~vectors.any(axis=0)) if data.n_items else ():
            column, value = values[place]
            there = every.filter(pl.col("source") == columns.index(column))["value"].unique().sort()
            near = "; ".join(did_you_mean(value, there, label="values"))
            ctx.warn(f"rules: no item has '{value}' in '{column}'{f' ({near})' if near else ''}")
        return vectors, none

    def _shares(self, data: Dataset, items: FloatArray, none: BoolArray) -> tuple[FloatArray, BoolArray]:
        """Shares of histories, (n_users, values), and who has a history."""
        weights = history_weights(data, self.params, since="user")
        total = np.asarray(weights @ (~none).astype(np.float32), np.float32)
        per = np.divide(1, total, out=np.zeros_like(total), where=total > 0)
        return np.asarray((weights @ items) * per[:, None], np.float32), total > 0

    def _held(self, rule: Rule, data: Dataset, shares: FloatArray, places: Mapping[Value, int]) -> BoolArray:
        """For whom the rule holds, bool (n_users,)."""
        held = np.ones(data.n_users, np.bool_)
        for column, condition in rule.when.items():
            held &= holds(data.users.column(column), condition, of=f"column '{column}' of the users")
        for value, comparison in _flat(rule.history):
            held &= compared(shares[:, places[value]].astype(np.float64), comparison)
        return held

    def _say_overruled(self, users: FloatArray, holding: BoolArray, places: Mapping[Value, int], ctx: Context) -> None:
        """A rule whose last word was not the last."""
        for n, rule in enumerate(self.params.rules):
            held = holding[:, n]
            after = users[held]
            again = users.copy()
            _apply(rule, again, held, places)
            many = int((again[held] != after).any(axis=1).sum())
            if many:
                ctx.warn(f"rules: later rules overrule '{_name(rule, n)}' for {many} of {int(held.sum())} users")


def _apply(rule: Rule, users: FloatArray, held: BoolArray, places: Mapping[Value, int]) -> None:
    """Writes the entries of those for whom it holds."""
    for value, x in _flat(rule.set):
        users[held, places[value]] = x
    for value, x in _flat(rule.at_least):
        users[held, places[value]] = np.maximum(users[held, places[value]], np.float32(x))
    for value, x in _flat(rule.at_most):
        users[held, places[value]] = np.minimum(users[held, places[value]], np.float32(x))


def _flat(entries: Mapping[str, Mapping[str, X]]) -> list[tuple[Value, X]]:
    return [((column, value), x) for column, by_value in entries.items() for value, x in by_value.items()]


def _named(rule: Rule) -> list[Value]:
    return [value for one in (rule.history, rule.set, rule.at_least, rule.at_most) for value, _ in _flat(one)]


def _name(rule: Rule, n: int) -> str:
    return rule.name or f"rule {n + 1}"


def _lists(names: pl.Series, holding: BoolArray) -> pl.DataFrame:
    """The names of the rules that hold for each user."""
    user, rule = np.nonzero(holding)
    pairs = pl.DataFrame({"user": user, "rules": names.gather(rule.astype(np.uint32))})
    lists = pairs.group_by("user", maintain_order=True).agg("rules")
    every = pl.DataFrame({"user": np.arange(len(holding))})
    found = every.join(lists, on="user", how="left", maintain_order="left")["rules"]
    return found.fill_null(pl.Series([[]], dtype=pl.List(pl.String))).to_frame()
