"""Speed and memory of every stage beside other libraries, on the case of benchmarks/brief.py.

    make bench                                                     # ten million events: 25 minutes on 2 cores
    make bench ARGS="--users 10000 --items 1000 --stages load als --repeats 3"
    make bench ARGS=--write                                        # puts the tables into docs/performance.md

Each stage runs in a process of its own, ours and the peers in turn; docs/performance.md says what is measured. The
case is made in benchmarks/data/speed, the numbers go to benchmarks/runs/bench.json.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from typing import Any

from benchmarks.brief import Shop
from benchmarks.speed import growth
from benchmarks.speed.case import ROOT, Case, model_folder
from benchmarks.speed.machine import this_machine
from benchmarks.speed.stages import STAGES
from benchmarks.speed.table import agreement, measures, settings, table, unequal

PAGE = ROOT / "docs" / "performance.md"
PLOT = ROOT / "docs" / "growth.svg"
DATA, RUNS = ROOT / "benchmarks" / "data" / "speed", ROOT / "benchmarks" / "runs"
SHARES = (0.01, 0.1, 1.0)  # of the users, for growth; all items each time


def main() -> int:
    """Run the stages, print the tables; 1 where results were not equal."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=Shop.users)
    parser.add_argument("--items", type=int, default=Shop.items)
    parser.add_argument("--events", type=int, default=Shop.events, help="of each user")
    parser.add_argument("--stages", nargs="+", default=[*STAGES, "growth"], metavar="STAGE", help=", ".join(STAGES))
    parser.add_argument("--repeats", type=int, help="rounds of every stage (default: what each has time for)")
    parser.add_argument("--ours", action="store_true", help="without the other libraries")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    given = parser.parse_args()
    stages = [part for one in given.stages for part in one.split(",")]
    if unknown := set(stages) - {*STAGES, "growth"}:
        parser.error(f"no stage {', '.join(sorted(unknown))}; there are {', '.join(STAGES)} and growth")
    command = "make bench" + (f' ARGS="{shlex.join(sys.argv[1:])}"' if sys.argv[1:] else "")
    shop = Shop(given.users, given.items, given.events)
    begun = time.perf_counter()
    model_folder()
    machine = this_machine()
    said = settings(machine, command, shop.users * shop.events, shop.users, shop.items)
    print(f"{said}\n", flush=True)
    case = Case.made(shop, DATA)
    RUNS.mkdir(parents=True, exist_ok=True)
    options = [*(["--rounds", str(given.repeats)] if given.repeats else []), *(["--ours"] if given.ours else [])]
    every = [row for stage in stages if stage != "growth" for row in _measured(case, stage, options)]
    rows = [row for row in every if "failed" not in row]
    told = [said, table(rows, machine), agreement(rows)] if rows else [said]
    seconds: dict[str, dict[int, float]] = {}
    if "growth" in stages:
        seconds = _grown(shop, options[:2] if given.repeats else [])
        growth.plot(seconds, RUNS / "growth.svg")
        told += [growth.table(seconds)]
        if given.write:
            PLOT.write_bytes((RUNS / "growth.svg").read_bytes())
            told += [f"![Seconds by events, on logarithmic axes]({PLOT.name})"]
    found = {"machine": machine.to_json(), "command": command, "rows": rows, "growth": seconds}
    (RUNS / "bench.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    print("\n" + "\n\n".join(told[1:]))
    print(f"\n{time.perf_counter() - begun:.0f} s in all; {RUNS / 'bench.json'}")
    if given.write:
        _write("\n\n".join(told))
    wrong = [f"results differ: {name}" for name in unequal(rows)]
    wrong += [f"'{row['name']}' ended with {row['failed']}" for row in every if "failed" in row]
    for text in wrong:
        print(f"error: {text}", file=sys.stderr)
    return 1 if wrong else 0


def _measured(case: Case, stage: str, options: list[str]) -> list[dict[str, Any]]:
    """The rows of a stage, measured in a process of its own."""
    out = RUNS / f"{case.folder.name}-{stage}.json"
    out.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.speed.stage", str(out), str(case.folder), stage, *options]
    done = subprocess.run(command, cwd=ROOT, check=False)
    rows: list[dict[str, Any]] = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else []
    if done.returncode:  # the other stages go on: they may have taken twenty minutes
        rows.append({"name": stage, "failed": done.returncode})
    return rows


def _grown(shop: Shop, options: list[str]) -> dict[str, dict[int, float]]:
    """Seconds of ours by row and number of events."""
    seconds: dict[str, dict[int, float]] = {}
    for share in SHARES:
        part = Shop(max(1, round(shop.users * share)), shop.items, shop.events, shop.seed)
        for row in _measured(Case.made(part, DATA), "growth", options or ["--rounds", "1"]):
            if "failed" not in row and (took := measures(row)[0].seconds) is not None:
                seconds.setdefault(row["name"], {})[part.users * part.events] = took
    return seconds


def _write(text: str) -> None:
    """Put what was measured between its marks on the page."""
    begin, end = "<!-- measured: bench -->", "<!-- /measured: bench -->"
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(end)[2]
    PAGE.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
