"""Every line of an evaluation: metrics with intervals, by group, and against the baselines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl

from recprofile.artifacts import BoolArray, Dataset, FloatArray
from recprofile.artifacts.types import expect
from recprofile.evaluate.evaluation import Entry, Evaluation
from recprofile.evaluate.frames import hits_frame, per_user_frame, relevant_frame
from recprofile.evaluate.lines import Asked, Cells, Group, Line, hits_of, interval_json, line_json, number
from recprofile.evaluate.ratings import RatingSheet, TestEvents, predicts
from recprofile.evaluate.relevance import PROPENSITY, Relevance
from recprofile.metrics import (
    METRICS,
    Difference,
    Interval,
    PerUserMetric,
    RatingMetric,
    SystemMetric,
    differences,
    intervals,
    metric_problem,
    p_value,
    percentile_interval,
    resampled_means,
)
from recprofile.recipe import parse_metric

MOST_GROUPS = 20  # values of one user column that are told apart; the largest, and a note says how many more there are
MISSING = "(missing)"


def evaluate(  # noqa: PLR0913 - plain pieces, so that the engine and a notebook call it alike
    entries: Sequence[Entry],
    data: Dataset,
    *,
    metrics: Sequence[str],
    candidates: BoolArray | None = None,
    exclude_seen: bool = True,
    groups: Sequence[str] = (),
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    item_vectors: FloatArray | None = None,
) -> Evaluation:
    """Every metric of every entry over the test part, with bootstrap intervals over users.

    Judged is every user with at least one relevant test item: a positive test event on a candidate that the user
    has not seen in training (seen or not when `exclude_seen` is off). A user without a list scores 0. `groups` are
    user columns; `item_vectors` float32 (n_items, d) are for diversity, which is left out without them. Ratings are
    judged on the test events whose user and item both have training events. The last 'main' entry is compared with
    every baseline, user by user.

    What was left out, and why, is in the notes; without a user to judge every value is null.

    Raises ArtifactError for lists or predictions that break their contract, DataError RP502 for an unknown column.
    """
    asked = _asked(metrics)
    if candidates is not None:
        expect(candidates, "candidates", dtype=np.bool_, shape=(data.n_items,))
    if item_vectors is not None:
        expect(item_vectors, "item vectors", dtype=np.float32, shape=(data.n_items, None))
    observed = PROPENSITY in data.test.context.columns
    weighed = observed and any(a.metric.needs_propensities for a in asked)
    relevance = Relevance.of(data, candidates=candidates, exclude_seen=exclude_seen, weighed=weighed)
    notes = [*_relevance_notes(relevance), *_metric_notes(asked, entries, relevance, vectors=item_vectors is not None)]
    if item_vectors is None:
        asked = [a for a in asked if not a.metric.needs_vectors]
    if not observed:
        asked = [a for a in asked if not a.metric.needs_propensities]
    every = np.ones(len(relevance.users), np.bool_)
    parts = [Group(None, "", every), *(g for column in groups for g in _groups(data, relevance, column, notes))]

    lines = [_measured(entry, relevance, asked, parts, item_vectors) for entry in entries]
    drawing = {"resamples": resamples, "seed": seed}
    for at, part in enumerate(parts):
        columns = np.hstack([line.values[part.members] for line in lines] or [np.zeros((0, 0))])
        found = iter(intervals(columns, resampled_means(columns, **drawing), confidence=confidence))
        for line in lines:
            line.cells.append(_cells(asked, found, line.system[at], int(part.members.sum())))
    events, told = _rate(lines, asked, data, confidence=confidence, **drawing)
    notes += told

    summary = {
        "k": max((a.k for a in asked), default=0),
        "users": len(relevance.users),
        "cold_users": int(np.count_nonzero(data.cold_users()[relevance.users])),
        "candidates": int(np.count_nonzero(relevance.candidates)),
        "relevant": len(relevance.pairs),
        "confidence": confidence,
        "resamples": resamples,
        "notes": notes,
        "rankers": [line_json(line, relevance, parts) for line in lines],
        "differences": [
            {"metric": metric, "a": a, "b": b, **interval_json(found), "p": number(found.p)}
            for metric, a, b, found in _differences(lines, asked, confidence=confidence, **drawing)
        ],
    }
    return Evaluation(
        summary,
        per_user_frame(lines, asked, relevance, events),
        relevant_frame(relevance),
        hits_frame(lines, relevance),
    )


def _asked(metrics: Sequence[str]) -> list[Asked]:
    found = []
    for text in dict.fromkeys(metrics):
        problem = metric_problem(text)
        if problem is not None:
            raise ValueError(problem.message)
        name, k = parse_metric(text)
        found.append(Asked(text, METRICS[name], k or 0))
    return found


def _measured(
    entry: Entry, relevance: Relevance, asked: Sequence[Asked], parts: Sequence[Group], vectors: FloatArray | None
) -> Line:
    judged = relevance.judge(entry, k=max((a.k for a in asked), default=0), vectors=vectors)
    columns = [a.metric.compute(judged, a.k) for a in asked if isinstance(a.metric, PerUserMetric)]
    values = np.stack(columns, axis=1) if columns else np.zeros((len(relevance.users), 0))
    system: list[dict[str, float]] = []
    for part in parts:
        lists = judged if part.column is None else judged.take(part.members)
        some = part.members.any()
        system.append(
            {
                a.text: a.metric.compute(lists, a.k) if some else np.nan
                for a in asked
                if isinstance(a.metric, SystemMetric)
            }
        )
    return Line(entry, values, system, hits=hits_of(judged.items, judged.hits))


def _cells(asked: Sequence[Asked], found: Iterator[Interval], system: Mapping[str, float], n: int) -> Cells:
    """The metrics of one line and group, in the order asked for."""
    cells: Cells = {}
    for a in asked:
        if isinstance(a.metric, PerUserMetric):
            cells[a.text] = next(found)
        elif isinstance(a.metric, SystemMetric):
            cells[a.text] = Interval(system[a.text], np.nan, np.nan, n)
    return cells


def _rate(
    lines: Sequence[Line], asked: Sequence[Asked], data: Dataset, *, resamples: int, seed: int, confidence: float
) -> tuple[TestEvents | None, list[str]]:
    """Measure the ratings of the lines that predict any: on which events (None: no line was), and what to note."""
    wanted = [a.metric for a in asked if isinstance(a.metric, RatingMetric)]
    able = [line for line in lines if predicts(line.entry)]
    if not wanted:
        return None, []
    names = ", ".join(metric.name for metric in wanted)
    if not able:
        return None, [f"{names}: left out, for no ranker predicts ratings"]
    events = TestEvents.of(data)
    if len(events) == 0:
        why = "no test event is of a user and an item that both have training events"
        return None, [f"{names}: left out, for {why}"]
    for line in able:
        assert line.entry.ranker is not None
        line.ratings = events.measure(line.entry.ranker, wanted, resamples=resamples, confidence=confidence, seed=seed)
        line.cells[0] |= line.ratings.intervals
        line.cells[0] = {a.text: line.cells[0][a.text] for a in asked}
    if events.left_out:
        why = "whose user or item has no training event or weight"
        return events, [f"{names}: {events.left_out} test events left out, {why}"]
    return events, []


def _differences(
    lines: Sequence[Line], asked: Sequence[Asked], *, resamples: int, seed: int, confidence: float
) -> list[tuple[str, str, str, Difference]]:
    """Metric, a, b and the difference a - b of the main line and every baseline, in the order of the metrics."""
    mains = [line for line in lines if line.entry.role == "main"]
    others = [line for line in lines if line.entry.role == "baseline"]
    if not mains or not others:
        return []
    main = mains[-1]
    rated = next((line for line in mains if line.ratings is not None), None)
    columns = np.hstack([main.values - other.values for other in others])
    drawn = resampled_means(columns, resamples=resamples, seed=seed)
    found = iter(differences(columns, drawn, confidence=confidence))
    by_line: list[tuple[int, str, str, str, Difference]] = []
    for other in others:
        for order, a in enumerate(asked):
            line = main
            if isinstance(a.metric, PerUserMetric):
                difference = next(found)
            elif isinstance(a.metric, SystemMetric):
                here, there = main.cells[0][a.text], other.cells[0][a.text]
                difference = Difference(here.value - there.value, np.nan, np.nan, here.n)
            elif rated is not None and rated.ratings is not None and other.ratings is not None:
                line = rated
                difference = _rating_difference(a.text, rated.ratings, other.ratings, confidence)
            else:
                continue
            by_line.append((order, a.text, line.entry.label, other.entry.label, difference))
    return [rest for _, *rest in sorted(by_line, key=lambda d: d[0])]  # type: ignore[misc]  # a tuple's tail is a list


def _rating_difference(name: str, a: RatingSheet, b: RatingSheet, confidence: float) -> Difference:
    drawn = a.samples[name] - b.samples[name]
    here, there = a.intervals[name], b.intervals[name]
    return Difference(here.value - there.value, *percentile_interval(drawn, confidence), here.n, p_value(drawn))


def _groups(data: Dataset, relevance: Relevance, column: str, notes: list[str]) -> list[Group]:
    """The largest groups of judged users by a user column, in the order of its values."""
    every = data.users.column(column)
    every = data.users.text(column) if every.dtype.is_nested() else every
    values = every.gather(relevance.users.astype(np.uint32)).rename("value")
    counts = values.value_counts(name="n").sort("n", "value", descending=[True, False])
    if counts.height > MOST_GROUPS:
        notes.append(f"'{column}' has {counts.height} values: only the {MOST_GROUPS} largest groups are shown")
    shown = counts.head(MOST_GROUPS)["value"].sort(nulls_last=True)
    return [Group(column, MISSING if value is None else str(value), _equal(values, value)) for value in shown]


def _equal(values: pl.Series, value: object) -> BoolArray:
    same = values.is_null() if value is None else (values == value).fill_null(value=False)
    return same.to_numpy().astype(np.bool_, copy=False)


def _relevance_notes(relevance: Relevance) -> Iterator[str]:
    if len(relevance.users) == 0:
        yield "no user has a relevant item in the test part: there is nothing to judge"
    if relevance.no_candidate:
        yield f"{relevance.no_candidate} positive test pairs are left out: the item is no candidate"
    if relevance.seen_already:
        yield f"{relevance.seen_already} positive test pairs are left out: the user has the item in training"


def _metric_notes(
    asked: Sequence[Asked], entries: Sequence[Entry], relevance: Relevance, *, vectors: bool
) -> Iterator[str]:
    lacking = [a.text for a in asked if a.metric.needs_vectors and not vectors]
    if lacking:
        yield f"{', '.join(lacking)}: left out, for no stage gives vectors of the items"
    blind = [a.text for a in asked if a.metric.needs_propensities]
    if blind and PROPENSITY not in relevance.data.test.context.columns:
        yield (
            f"{', '.join(blind)}: left out, for the events have no column '{PROPENSITY}', which a stage "
            "'preprocess: propensity' adds"
        )
    system = [a.text for a in asked if isinstance(a.metric, SystemMetric)]
    if system:
        yield (
            f"{', '.join(system)}: without an interval, for a resample of the users holds fewer distinct lists, "
            "so that its values lie to one side"
        )
    for entry in entries:
        short = [a.text for a in asked if entry.recs.k < min(a.k, int(relevance.candidates.sum()))]
        if short:
            yield f"{', '.join(short)}: the lists of '{entry.label}' hold {entry.recs.k} items at most"
