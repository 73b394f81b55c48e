"""The comparison by user activity and by item popularity, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from recprofile.artifacts import BoolArray
from recprofile.evaluate.compare.contenders import Contender
from recprofile.evaluate.compare.grid import Grid
from recprofile.evaluate.compare.groups import (
    POPULARITY,
    activity_bounds,
    activity_of,
    by_popularity,
    popularity_bins,
)
from recprofile.evaluate.lines import interval_json, number
from recprofile.metrics import Values, differences, intervals, resampled_means
from recprofile.metrics.formulas import ratio

Cell = dict[str, Any]


def cells_of(values: Values, *, against: int | None, **drawing: Any) -> list[list[Cell]]:
    """Mean, interval and n of values (n, l, m), by l and m; with `against`, each has its `difference` to that l.

    Users without any value are not drawn, so that an interval is the same whatever it is compared with.
    """
    confidence = drawing.pop("confidence")
    known: BoolArray = ~np.asarray(np.isnan(values).all(axis=2))
    m = values.shape[2]
    out: list[list[Cell]] = [[] for _ in known.T]
    groups: dict[bytes, list[int]] = {}  # contenders with the same users are drawn together
    for line, rows in enumerate(known.T):
        groups.setdefault(rows.tobytes(), []).append(line)
    for lines in groups.values():
        rows = known[:, lines[0]]
        columns = values[rows][:, lines].reshape(np.count_nonzero(rows), len(lines) * m)
        found = iter(intervals(columns, resampled_means(columns, **drawing), confidence=confidence))
        for line in lines:
            out[line] = [interval_json(next(found)) for _ in range(m)]
    if against is not None:
        less = (values - values[:, [against]])[known[:, against]]
        columns = less.reshape(len(less), len(out) * m)
        for at, one in enumerate(differences(columns, resampled_means(columns, **drawing), confidence=confidence)):
            line, column = divmod(at, m)
            if line != against:
                out[line][column]["difference"] = interval_json(one)
    return out


def by_activity(grid: Grid, contenders: Sequence[Contender], *, against: int, **drawing: Any) -> dict[str, Any]:
    """Every metric per user in each quartile of training events: {bins, metrics: {name: {key: a cell per bin}}}."""
    paired, members = bool(grid.paired.any()), grid.members
    events = np.repeat(grid.events[:, [against]], len(contenders), axis=1) if paired else grid.events
    bounds = activity_bounds(events[members])
    metrics: dict[str, dict[str, list[Cell]]] = {m: {c.key: [] for c in contenders} for m in grid.metrics}
    counts = []
    for at in range(len(bounds)):
        here: BoolArray = members & (activity_of(np.nan_to_num(events), bounds) == at)
        counts.append({c.key: int(n) for c, n in zip(contenders, here.sum(axis=0), strict=True)})
        values = np.where(here[:, :, None], grid.values, np.nan)
        found = cells_of(values, against=against if paired else None, **drawing)
        for contender, line in zip(contenders, found, strict=True):
            for name, cell in zip(grid.metrics, line, strict=True):
                metrics[name][contender.key].append(cell)
    bins = [{"low": low, "high": high, "users": n} for (low, high), n in zip(bounds, counts, strict=True)]
    return {"bins": bins, "metrics": metrics}


def by_item_popularity(
    grid: Grid, contenders: Sequence[Contender], *, against: int, k: int, **drawing: Any
) -> dict[str, Any]:
    """Recall at k among the relevant items of each third of popularity, and what share of the hits is on it.

    {k, bins: names, lines: {key: {items, relevant, hits, recall}}}, each a list with an entry per bin: how many items
    there are, the bin's share of the relevant pairs and of the hits, and a cell of recall, the mean over users to whom
    an item of the bin was relevant. Where users are paired, the bins are those of `against`.
    """
    paired, members = bool(grid.paired.any()), grid.members
    shares: list[Mapping[str, Any]] = []
    recalls = []
    known: dict[int, tuple[Any, Values]] = {}
    for at, contender in enumerate(contenders):
        evidence = contenders[against].evidence if paired else contender.evidence
        if id(evidence) not in known:
            bins = popularity_bins(evidence.items)
            known[id(evidence)] = bins, by_popularity(evidence.relevant, bins, grid.users)
        bins, every = known[id(evidence)]
        relevant = np.where(members[:, [at]], every, 0)
        found = contender.hits
        hits = np.where(members[:, [at]], by_popularity(found.filter(found["rank"] <= k), bins, grid.users), 0)
        recalls.append(ratio(hits, relevant))
        sums = hits.sum(axis=0), relevant.sum(axis=0)
        shares.append(
            {
                "items": np.bincount(bins["bin"].to_numpy(), minlength=len(POPULARITY)).tolist(),
                "relevant": [number(one) for one in ratio(sums[1], sums[1].sum().repeat(len(POPULARITY)))],
                "hits": [number(one) for one in ratio(sums[0], sums[0].sum().repeat(len(POPULARITY)))],
            }
        )
    cells = cells_of(np.stack(recalls, axis=1), against=against if paired else None, **drawing)
    lines = {c.key: {**s, "recall": cell} for c, s, cell in zip(contenders, shares, cells, strict=True)}
    return {"k": k, "bins": list(POPULARITY), "lines": lines}
