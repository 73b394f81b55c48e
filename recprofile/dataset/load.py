"""The `data:` block and its files → a Dataset."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from recprofile.artifacts import BoolArray, Dataset, IdMap, IntArray, Interactions, PositiveRule, Table
from recprofile.dataset.events import Events, read_events
from recprofile.dataset.ids import dense_rows
from recprofile.dataset.opened import open_files, place_of, split_problems
from recprofile.dataset.source import DataFile, Where
from recprofile.dataset.split import Cut, cut_events, default_split
from recprofile.dataset.tables import Attributes, Axis, made_table, read_table
from recprofile.errors import DataError, quoted
from recprofile.recipe import (
    DataBlock,
    FileSplit,
    ItemColdSplit,
    LeaveOneOutSplit,
    RandomSplit,
    Split,
    TimeSplit,
    UserTimeSplit,
)
from recprofile.threads import each

AXES: tuple[Axis, Axis] = ("users", "items")


@dataclass(frozen=True)
class _Read:
    """What the files hold, with outside ids: events by role ('interactions', 'test', 'valid') and tables by axis."""

    events: Mapping[str, Events]
    tables: Mapping[Axis, Attributes]
    files: Mapping[str, DataFile]
    span: Where


def load_dataset(
    block: DataBlock,
    *,
    files: Mapping[str, Path],
    span: Where,
    seed: int = 0,
    fills: frozenset[str] = frozenset(),
    warn: Callable[[str], None] = lambda _: None,
) -> Dataset:
    """The data that a `data:` block describes: read, checked and split.

    `files` are local paths of 'interactions' and, where the block names them, 'items', 'users', 'test' and 'valid';
    `span` says where in the recipe a key below `data:` is written. `fills` are columns whose gaps a stage fills: a
    missing weight is then NaN and no error. Events keep the order of their file; users and items are in order of id.

    With `by: file` the interactions file is all training data. Events of `valid` that are in it, by user and item,
    are held for tuning; those that are not are validation events all the same. Without `valid`, the default rule is
    applied to the training events.

    Raises DataError: RP501 to RP504 for files, columns and values, RP505 when no training event is positive, RP506
    when ids repeat in a table or none matches the events, RP507 when the split leaves a part empty.
    """
    found = _read(block, files, span, fills=fills, warn=warn)
    ids: dict[Axis, IdMap] = {}
    codes: dict[Axis, dict[str, IntArray]] = {}

    def code(axis: Axis) -> int:
        ids[axis], codes[axis] = _dense(found, axis)
        return len(ids[axis])

    each(code, AXES)
    notes = [note for file in found.files.values() for note in file.notes]
    notes += [note for events in found.events.values() for note in events.notes]
    notes += [note for axis in AXES if (note := _spaced(ids[axis], axis))]
    tables = {axis: _table(found, axis, ids[axis], codes[axis], notes) for axis in AXES}
    rule = PositiveRule(block.positive.op, block.positive.threshold) if block.positive else None
    parts = {
        role: _interactions(events, codes["users"][role], codes["items"][role], rule)
        for role, events in found.events.items()
    }
    train, valid, test, held = _split(block, found, parts, seed, notes)
    if rule is not None:
        _check_positive(rule, train, found, fills)
        if len(test) and not test.positive.any():
            notes.append(f"no test event is positive by '{block.positive}': nothing can be measured on them")
    for note in notes:
        warn(note)
    return Dataset(tables["users"], tables["items"], train, valid, test, held, rule, tuple(notes))


def _read(
    block: DataBlock,
    paths: Mapping[str, Path],
    span: Where,
    *,
    fills: frozenset[str],
    warn: Callable[[str], None],
) -> _Read:
    """Every file opened before one is read, so that all files and columns that are missing are told at once."""
    opened = open_files(block, paths, span)
    if opened.problems:
        raise DataError(opened.problems)
    files, names, sources = opened.files, opened.names, opened.tables
    tables = {axis: read_table(files[axis], source, axis, span, warn=warn) for axis, source in sources.items()}
    events = {
        role: read_events(files[role], names[role], place_of(role, files[role], span), fills=fills, warn=warn)
        for role in names
    }
    return _Read(events, tables, files, span)


def _dense(found: _Read, axis: Axis) -> tuple[IdMap, dict[str, IntArray]]:
    """All ids of an axis, and the dense rows of each event file and, under the axis's own name, of its table."""
    outside = {role: events.user if axis == "users" else events.item for role, events in found.events.items()}
    if axis in found.tables:
        outside[axis] = found.tables[axis].ids
    ids, codes = dense_rows(*outside.values())
    return ids, dict(zip(outside, codes, strict=True))


def _spaced(ids: IdMap, axis: Axis) -> str:
    """That ids have spaces at an end, by which an id may have become two; '' where none has."""
    if ids.ids.dtype != pl.String:
        return ""
    bare = ids.ids.str.strip_chars()
    spaced = ids.ids.filter(bare != ids.ids)
    if len(spaced) == 0:
        return ""
    twins = len(ids) - bare.n_unique()
    more = f", {twins} differing from another by that alone" if twins else ""
    which = f"{_counted(len(spaced), f'{axis[:-1]} id')} with spaces at an end, such as {spaced[0]!r}"
    return f"{which}, kept as they are{more}"


def _table(found: _Read, axis: Axis, ids: IdMap, codes: Mapping[str, IntArray], notes: list[str]) -> Table:
    """The table of all ids of an axis; notes what the events have and the file lacks, RP506 when that is all."""
    given = found.tables.get(axis)
    if given is None:
        return Table(ids)
    table = made_table(ids, codes[axis], given)
    unknown = table.rows == 0
    if not unknown.any():
        return table
    events = sum(int(unknown[codes[role]].sum()) for role in found.events)
    if events == sum(map(len, found.events.values())):
        log = found.events["interactions"]
        theirs = (log.user if axis == "users" else log.item)[0]
        shown = found.files["interactions"].shown
        message = f"no {axis[:-1]} id of {quoted(shown)} is in {quoted(given.file.shown)}"
        helps = [f"{shown} has ids such as {theirs!r}, {given.file.shown} such as {given.ids[0]!r}"]
        helps.append(f"name the column with the same ids: {axis}: {{path: {given.file.shown}, id: …}}")
        raise DataError.of("RP506", message, at=found.span((axis, "id")), help=helps)
    count = int(unknown.sum())
    which = f"{_counted(count, f'{axis[:-1]} id')} of {_events(events)}"
    notes.append(f"{which} kept without attributes, not being in {given.file.shown}")
    return table


def _interactions(events: Events, user: IntArray, item: IntArray, rule: PositiveRule | None) -> Interactions:
    positive = np.ones(len(events), np.bool_) if rule is None else rule.mask(events.weight)
    return Interactions(user, item, events.weight, events.time, positive, events.context)


def _split(
    block: DataBlock,
    found: _Read,
    parts: Mapping[str, Interactions],
    seed: int,
    notes: list[str],
) -> tuple[Interactions, Interactions, Interactions, BoolArray]:
    """Train, validation and test part, and which training events are held."""
    log = parts["interactions"]
    split = block.split or default_split(has_time=log.time is not None)
    problems = split_problems(block, found.files["interactions"], found.span, has_time=log.time is not None)
    if problems:
        raise DataError(problems)
    if isinstance(split, FileSplit):
        train, test = log, parts["test"]
        again = int(_also_in(train, test).sum())
        if again:
            notes.append(f"{_events(again)} of {split.test} with a user and item that training has too")
        if "valid" in parts:
            valid, held = parts["valid"], _also_in(parts["valid"], train)
            left = int((~_also_in(train, valid)).sum())
            if left:
                notes.append(f"{_events(left)} of {split.valid} for validation only, not being in the interactions")
            return train, valid, test, held
        rule = default_split(has_time=log.time is not None)
        held = cut_events(rule, train.user, train.item, train.time, seed=seed).test
    else:
        cut = cut_events(split, log.user, log.item, log.time, seed=seed)
        _check_parts(split, cut, log, found.span, is_default=block.split is None)
        stays = np.flatnonzero(~cut.test)  # rows, not a mask: half the time for five columns
        train, test, held = log.take(stays), log.take(np.flatnonzero(cut.test)), cut.held[stays]
    if not held.any():
        notes.append(f"the split '{split.by}' leaves no validation events")
    return train, train.take(np.flatnonzero(held)), test, held


def _also_in(known: Interactions, events: Interactions) -> BoolArray:
    """For each event, whether its user and item also stand in `known`."""
    width = 1 + max(int(known.item.max(initial=0)), int(events.item.max(initial=0)))
    pairs = [part.user.astype(np.int64) * width + part.item for part in (events, known)]
    return np.isin(pairs[0], pairs[1])


def _check_parts(split: Split, cut: Cut, log: Interactions, span: Where, *, is_default: bool) -> None:
    """RP507 when there is no training or no test event, with what the rule would need."""
    test = int(cut.test.sum())
    if 0 < test < len(log):
        return
    holdout = getattr(split, "holdout", 1)
    helps = [] if not is_default else [f"'{split.by}' is what is done when 'split' is not given"]
    if test == 0 and isinstance(split, UserTimeSplit | RandomSplit | LeaveOneOutSplit):
        needed = 2 if isinstance(holdout, int) else math.ceil(1 / holdout)
        most = int(np.bincount(log.user).max())
        helps.append(f"only users with {needed} events or more have one held out, and none has more than {most}")
    elif test == 0:
        code = log.item if isinstance(split, ItemColdSplit) else log.user
        of = _events(len(log)) if isinstance(split, TimeSplit) else _counted(len(np.unique(code)), split.by[:4])
        helps.append(f"{holdout:g} of {of} is rounded to none")
    message = f"the split '{split.by}' leaves {_events(len(log) - test)} for training and {test} for the test"
    raise DataError.of("RP507", message, at=span(("split",)), help=helps)


def _check_positive(rule: PositiveRule, train: Interactions, found: _Read, fills: frozenset[str]) -> None:
    """RP505 when no training event is positive; not while weights are missing that a stage will fill."""
    names = found.events["interactions"].names
    gaps = np.isnan(train.weight)
    if train.positive.any() or (gaps.any() and "weight" in fills):
        return
    file = found.files["interactions"]
    if names.weight is None:
        helps = [f"{file.shown} has no column 'weight', so every weight is 1", "name it in the recipe: "]
        helps[1] += f"interactions: {{path: {file.shown}, weight: …}}"
    else:
        helps = [f"weights in column {quoted(names.weight)} lie from {train.weight.min():g} to {train.weight.max():g}"]
    message = f"no training event is positive by '{rule.op} {rule.threshold:g}': the largest weight is "
    raise DataError.of("RP505", message + f"{train.weight.max():g}", at=found.span(("positive",)), help=helps)


def _events(count: int) -> str:
    return _counted(count, "event")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
