"""Some stages on one case, in this process; the driver starts one for each stage.

python -m benchmarks.speed.stage OUT.json CASE STAGE … [--rounds N] [--ours]
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.brief import Shop
from benchmarks.speed.case import Case
from benchmarks.speed.measure import Contest, measured, warm
from benchmarks.speed.stages import STAGES

SMALL = Shop(users=200, items=300, events=20)  # what sides are warmed up on


def contests(stage: str, case: Case) -> Iterator[Contest]:
    """The rows of a stage."""
    found: Iterator[Contest] = importlib.import_module(f"benchmarks.speed.stages.{stage}").contests(case)
    return found


def grown(case: Case) -> Iterator[Contest]:
    """The rows that are told at several numbers of events: what hangs on them, by ours alone."""
    from benchmarks.speed.stages import chain

    wanted = ("load", "weights and", "als, 5", "item-kNN", "Gram matrix in", "top 10 of 64")
    for stage in ("load", "pool", "als", "item_knn", "ease", "topk"):
        yield from (one for one in contests(stage, case) if one.name.startswith(wanted))
    yield chain.again(case)


def main() -> None:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("case", type=Path)
    parser.add_argument("stages", nargs="+", choices=(*STAGES, "growth"))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--ours", action="store_true", help="without the peers")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # what other libraries say of themselves
    case, small = Case(given.case), Case.made(SMALL, given.case.parent)
    rows: list[dict[str, Any]] = []
    for stage in given.stages:
        begun = time.perf_counter()
        of, ours = (grown, True) if stage == "growth" else (lambda case, stage=stage: contests(stage, case), given.ours)
        warm(of(small), ours_only=ours)
        for contest in of(case):
            rows.append({"stage": stage, **measured(contest, rounds=given.rounds, ours_only=ours)})
            given.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")
        print(f"{stage}: {time.perf_counter() - begun:.0f} s in all", flush=True)


if __name__ == "__main__":
    main()
