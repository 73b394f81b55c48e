"""What fine-tuning is worth on films that nobody has rated: recipes/finetune-lora.yaml, films dealt into folds.

    .venv/bin/python benchmarks/finetune.py                      # 5 folds, 3 seeds: 15 runs, 40 minutes on 2 cores
    .venv/bin/python benchmarks/finetune.py --table --folds 2    # each method and each objective instead

Each fold of films is the test part once, and the run learns from the others. Printed are NDCG@10 of the ranker `alike`,
which has the encoder as it is, of `both`, which adds the tuned one, and the gain with its standard error over users;
then the gain over all folds, with its error over folds. --table runs the recipe for each method with one objective
and for each objective with one method, on one seed, and prints seconds, peak memory and what was trained.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recprofile import run
from recprofile.assets import cache_root, resolve
from recprofile.runs import Run

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "recipes" / "finetune-lora.yaml"
METHODS = ("lora", "adalora", "prefix", "ia3", "adapter", "full")
OBJECTIVES = ("episode", "contrastive", "align", "simcse", "click", "semi-supervised")


def folds(count: int, work: Path) -> Iterator[tuple[Path, Path]]:
    """Files of training and of test events, films dealt at random."""
    uri = "dataset://movielens-100k/interactions"
    events = pl.read_parquet(resolve(uri, base=ROOT, cache=cache_root()).path)
    films = events["item"].unique().sort().to_numpy()
    order = np.random.default_rng(0).permutation(films)
    work.mkdir(parents=True, exist_ok=True)
    for n in range(count):
        held = pl.col("item").is_in(order[n::count].tolist())
        paths = work / f"train-{n}-{count}.parquet", work / f"test-{n}-{count}.parquet"
        events.filter(~held).write_parquet(paths[0])
        events.filter(held).write_parquet(paths[1])
        yield paths


def gain(files: tuple[Path, Path], out: Path, sets: Sequence[str]) -> tuple[pl.DataFrame, dict[str, Any]]:
    """NDCG@10 of each user by both rankers, and what the manifest says of the stage `tuned`."""
    train, test = files
    split = f"data.split={{by: file, test: {test}}}"
    result = run(RECIPE, (f"data.interactions.path={train}", split, *sets), out=out)
    kept = Run.open(result.out)
    users = kept.table("per_user.parquet").filter(pl.col("after").is_null())
    both = users.filter(pl.col("ranker") == "both").select("user", both="ndcg@10")
    alike = users.filter(pl.col("ranker") == "alike").select("user", alike="ndcg@10")
    (stage,) = (stage for stage in kept.manifest["stages"] if stage["id"] == "tuned")
    return both.join(alike, on="user"), stage


def told(users: pl.DataFrame) -> str:
    """Both means, and the gain with its standard error over users."""
    apart = (users["both"] - users["alike"]).to_numpy()
    error = apart.std(ddof=1) / np.sqrt(len(apart))
    return f"{users['alike'].mean():.4f} -> {users['both'].mean():.4f}: {apart.mean():+.4f} ± {error:.4f}"


def over_folds(found: Sequence[pl.DataFrame]) -> str:
    """The gain over folds, with its standard error over them."""
    means = np.array([float((one["both"] - one["alike"]).to_numpy().mean()) for one in found])
    error = means.std(ddof=1) / np.sqrt(len(means)) if len(means) > 1 else float("nan")
    return f"{means.mean():+.4f} ± {error:.4f} over folds, better on {int((means > 0).sum())} of {len(means)}"


def main() -> None:
    """Print as the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds", type=int, default=5, help="folds of films")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the recipe")
    parser.add_argument("--table", action="store_true", help="methods and objectives, instead of seeds")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of `recprofile run`")
    parser.add_argument("--work", type=Path, default=ROOT / "benchmarks" / "runs" / "finetune")
    asked = parser.parse_args()
    files = list(folds(asked.folds, asked.work))
    if asked.table:
        pairs = [(method, OBJECTIVES[0]) for method in METHODS] + [(METHODS[0], other) for other in OBJECTIVES[1:]]
        for method, objective in pairs:
            sets = [f"stages.tuned.with.method={method}", f"stages.tuned.with.objective={objective}", *asked.set]
            if objective == "semi-supervised":
                sets.append("stages.tuned.with.labels=genres")
            ran = [gain(one, asked.work / f"{method}-{objective}-{n}", sets) for n, one in enumerate(files)]
            stages = [stage for _, stage in ran]
            seconds = np.mean([stage["seconds"] for stage in stages])
            memory = max(stage["peak_mib"] or 0 for stage in stages)
            share = [stage["facts"]["tuning"] for stage in stages]
            print(f"{method} {objective}: {over_folds([users for users, _ in ran])}; {seconds:.0f} s, {memory:.0f} MiB")
            print(f"  {share}", flush=True)
        return
    for seed in range(asked.seeds):
        found = []
        for n, one in enumerate(files):
            users, stage = gain(one, asked.work / f"seed-{seed}-{n}", (f"seed={seed}", *asked.set))
            found.append(users)
            print(f"seed {seed} fold {n}: {told(users)}  {stage['facts'].get('tuning')}", flush=True)
        print(f"seed {seed}: {over_folds(found)}", flush=True)


if __name__ == "__main__":
    main()
