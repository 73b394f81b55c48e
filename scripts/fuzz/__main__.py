"""`make fuzz`: 10,000 recipes through `validate`, 500 tables through `run`; the counts, and the first fault if any."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from scripts.fuzz.judge import Counts, Misbehaved
from scripts.fuzz.trials import try_recipes, try_tables


def main(arguments: list[str]) -> int:
    """The exit code: 1 when something misbehaved."""
    parser = argparse.ArgumentParser(prog="make fuzz ARGS='…'", description=__doc__)
    parser.add_argument("--recipes", type=int, default=10_000, metavar="N", help="recipes for `validate`")
    parser.add_argument("--tables", type=int, default=500, metavar="N", help="tables for `run`")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another seed makes others")
    given = parser.parse_args(arguments)
    for what, trial, count in (("recipes", try_recipes, given.recipes), ("tables", try_tables, given.tables)):
        if count < 1:
            continue
        counts = Counts()
        begun = time.perf_counter()
        try:
            with tempfile.TemporaryDirectory() as folder:
                trial(count, given.seed, counts, Path(folder))
        except Misbehaved as fault:
            print(f"{what}: {fault}")
            print("\n".join(getattr(fault, "__notes__", ())))
            return 1
        _print(what, counts, time.perf_counter() - begun)
    return 0


def _print(what: str, counts: Counts, seconds: float) -> None:
    statuses = ", ".join(f"{n:,} exit {status}" for status, n in sorted(counts.statuses.items()))
    print(f"{sum(counts.statuses.values()):,} {what}: no traceback, every exit code right, in {seconds:.0f} s")
    print(f"  {statuses}")
    print(f"  {len(counts.codes)} codes: {', '.join(f'{code} {n:,}' for code, n in sorted(counts.codes.items()))}")
    print(f"  slowest {counts.slowest:.2f} s, memory grew by {counts.grown_mib:.0f} MiB")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
