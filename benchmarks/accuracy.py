"""How good lists are: recprofile's recipes beside other libraries, on fixed splits of real data.

    make accuracy                                        # MovieLens-100K; 15 minutes on 2 cores
    make accuracy ARGS="--data movielens-1m book-crossing complete-journey"
    .venv/bin/python benchmarks/accuracy.py [--tools ../shared/accuracy] [--splits random …] [--no-ablation] [--write]

--tools is the folder with prepare.py, which cuts the splits, and score.py, which judges every list, ours and theirs.
Each split holds training events, of which a part is for validation, test events, and the items that may be listed:
`random` a fifth of each user's events, `temporal-user` the last fifth, `temporal` the last fifth of all events,
`item-cold` a fifth of the items, whole. Recipes run as they stand but for their `data` (and the groups they compare,
where people are not described); the other libraries run in .peers by benchmarks/peers/libraries.py. Everybody tunes on
the validation part, and nobody sees the test part before the lists are made. The recipes were made on MovieLens-100K;
on the other data sets nothing was chosen.

For each split a table of NDCG@10 ± one standard error over users, recall@10, and the seconds of search and fit; for
recipes also NDCG@10 as the run itself measures it, which must agree with score.py. Then, on MovieLens-100K, what the
parts of the models are worth: the same models with one part switched off, and the difference on the same users.
--write puts the tables into docs/accuracy.md. Work is kept in --work, and what has not changed is not done again.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import yaml
from cases import KNOWN, ROOT, Case, make_splits

from recprofile import run
from recprofile.artifacts import Encoded
from recprofile.assets import cache_root
from recprofile.cache import StageCache

PAGE = ROOT / "docs" / "accuracy.md"
# Recipes, the recommend stage whose lists count, and what it is called in the tables.
FIRST = "movielens-100k"  # on which recipes were made
RECIPES = {
    "movies": ("movies", "**movies.yaml**"),
    "sequence": ("sasrec", "sequence.yaml: SASRec"),
    "two-tower": ("two-tower", "two-tower.yaml"),
    "attention": ("dot", "attention.yaml: learned fusion"),
}
COLD = ("movies", "two-tower", "attention")  # recipes that can rank items without events
AGREE = 1e-5  # how far the run's own NDCG@10 may be from score.py's

MODELS = {"together": "weighted-ease", "cold": "content-ridge"}
WARM_PARTS: Mapping[str, Mapping[str, Any]] = {
    "order of events": {"order": "no"},
    "what items are about": {"prior": 0},
    "grades of positives": {"grade": 0},
    "low ratings": {"low": 0},
    "less of active users": {"activity": 0},
    "less of popular items": {"popularity": 0},
    "l2 by an item's events": {"l2_growth": 0},
}
COLD_PARTS: Mapping[str, Mapping[str, Any]] = {
    "EASE's part of the targets": {"linear": 0},
    "iALS's part of the targets": {"factors": 0},
    "both: targets are histories": {"linear": 0, "factors": 0},
    "ridge by an item's events": {"ridge_growth": 0},
    "plot": {"from": ("words", "genres", "year")},
    "words of titles": {"from": ("plot", "genres", "year")},
    "genres": {"from": ("plot", "words", "year")},
    "year": {"from": ("plot", "words", "genres")},
}


@dataclass(frozen=True)
class Row:
    """One model on one split; `own` is NDCG@10 as the run measures it, `users` its values by score.py."""

    name: str
    ndcg: float
    error: float
    recall: float
    own: float | None
    seconds: float | None
    tried: int | None
    users: Any


@dataclass(frozen=True)
class Bench:
    """The folders of one run, and score.py as a module."""

    tools: Path
    work: Path
    score: ModuleType

    def judged(self, case: Case, lists: Any, **facts: Any) -> Row:  # noqa: ANN401 - a pandas frame
        """A row of score.py's numbers for lists: user_id, item_id, rank."""
        found, users = self.score.evaluate(str(case.folder), lists, per_user=True)
        own, seconds, tried = (facts.get(name) for name in ("own", "seconds", "tried"))
        numbers = (found["NDCG@10"], found["NDCG@10_se"], found["Recall@10"])
        return Row(facts["name"], *numbers, own, seconds, tried, users["NDCG@10"])


def main() -> int:
    """Make the splits, run everything, print the tables; 1 where a run and score.py do not agree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tools", type=Path, default=ROOT.parent / "shared" / "accuracy")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "accuracy")
    parser.add_argument("--peers", type=Path, default=ROOT / ".peers" / "bin" / "python")
    parser.add_argument("--data", nargs="+", choices=KNOWN, default=[FIRST], metavar="NAME", help=", ".join(KNOWN))
    parser.add_argument("--splits", nargs="+", metavar="SPLIT", help="only these (default: all that a data set has)")
    parser.add_argument("--no-ablation", action="store_true")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/accuracy.md")
    given = parser.parse_args()
    score = given.tools / "score.py"
    if not score.is_file():
        parser.error(f"no score.py in {given.tools}; say with --tools where prepare.py and score.py are")
    bench = Bench(given.tools, given.work, _module(score))
    off = []
    for name in given.data:
        data = KNOWN[name]
        make_splits(data, given.work, given.tools)
        cases = [Case(data, split, given.work) for split in data.splits if split in (given.splits or data.splits)]
        tables = []
        for case in cases:
            rows = [*_recipes(bench, case), *_peers(bench, case, given.peers)]
            off += [f"{row.name} on {case}" for row in rows if row.own is not None and abs(row.own - row.ndcg) > AGREE]
            tables.append(_table(case, rows))
            print(f"\n{tables[-1]}", flush=True)
        for case in cases if data.ratings else ():
            if case.split == "random":
                tables.append(_ratings(case))
                print(f"\n{tables[-1]}", flush=True)
        for case in cases if name == FIRST and not given.no_ablation else ():
            tables.append(_ablation(bench, case))
            print(f"\n{tables[-1]}", flush=True)
        if given.write:
            _write(name, "\n\n".join(tables))
    for name in off:
        print(f"error: the run's own NDCG@10 and score.py's differ: {name}", file=sys.stderr)
    return 1 if off else 0


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _run(case: Case, name: str, recipe: Mapping[str, Any], stage: str) -> tuple[Any, float, float]:
    """Lists of a stage (user_id, item_id, rank), its own NDCG@10, and the seconds that all stages took to make."""
    import pandas as pd

    file = case.out / "recipes" / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    recipe = {**recipe, "evaluate": {**recipe["evaluate"], "groups": list(case.data.groups)}}
    file.write_text(yaml.safe_dump({**recipe, **case.blocks()}, sort_keys=False), encoding="utf-8")
    result = run(file, out=case.out / "runs" / name)
    lists = pl.read_parquet(result.out / "recommendations.parquet")
    frame = lists.select(pl.col("user").cast(str).alias("user_id"), pl.col("item").cast(str).alias("item_id"), "rank")
    metrics = json.loads((result.out / "metrics.json").read_text())["rankers"]
    own = next(one["metrics"]["ndcg@10"]["value"] for one in metrics if one["id"] == stage)
    stages = json.loads((result.out / "manifest.json").read_text())["stages"]
    seconds = sum(one["seconds"] for one in stages if one["kind"] in ("preprocess", "encode", "fuse", "recommend"))
    return pd.DataFrame(frame.to_dict(as_series=False)), own, seconds


def _recipe(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "recipes" / f"{name}.yaml").read_text(encoding="utf-8"))
    return {key: value for key, value in found.items() if key != "publish"}


def _recipes(bench: Bench, case: Case) -> list[Row]:
    rows = []
    for name in case.data.recipes:
        stage, label = RECIPES[name]
        if case.cold and name not in COLD:
            continue
        print(f"{case}: {name}.yaml", file=sys.stderr, flush=True)
        lists, own, seconds = _run(case, name, _recipe(name), stage)
        rows.append(bench.judged(case, lists, name=label, own=own, seconds=seconds))
    return rows


def _peers(bench: Bench, case: Case, python: Path) -> list[Row]:
    """The other libraries, in their own process; the vectors of content are those that the recipe's encoders made."""
    import pandas as pd

    out = case.out / "peers"
    if not (out / "peers.json").is_file():
        print(f"{case}: other libraries", file=sys.stderr, flush=True)
        vectors = _vectors(case)
        script = ROOT / "benchmarks" / "peers" / "libraries.py"
        tools = ["--score", bench.tools / "score.py", "--vectors", vectors]
        tools += ["--ratings"] if case.data.ratings else []
        subprocess.run([python, script, case.folder, out, *tools], check=True, stdout=subprocess.DEVNULL)
    rows = []
    for name, facts in json.loads((out / "peers.json").read_text())["models"].items():
        lists = pd.read_csv(out / f"{name}.tsv", sep="\t", dtype={"user_id": str, "item_id": str})
        rows.append(bench.judged(case, lists, name=name, seconds=facts["seconds"], tried=facts["tried"]))
    return sorted(rows, key=lambda row: -row.ndcg)


def _vectors(case: Case) -> Path:
    """Item vectors of text, genres and year, as movies.yaml's encoders made them, in a file for other libraries."""
    cache = StageCache(cache_root(), print)
    stages = json.loads((case.out / "runs" / "movies" / "manifest.json").read_text())["stages"]
    blocks = {}
    for name in ("plot", "genres", "year"):
        found = cache.load(next(one["key"] for one in stages if one["id"] == name))
        assert found is not None
        items = Encoded.unpack(found[0]).items
        assert items is not None
        blocks[name], ids = items.vectors, items.ids.ids
    path = case.out / "vectors.npz"
    np.savez(path, ids=ids.cast(pl.String).to_numpy().astype(str), **blocks)
    return path


def _ratings(case: Case) -> str:
    """RMSE of SVD by its defaults, by the plugin and run directly."""
    stages = [{"recommend": "surprise/svd", "id": "svd", "with": {"dim": 100, "epochs": 20}}]
    recipe = {"recipe": 1, "name": "svd", "stages": stages, "evaluate": {"metrics": ["ndcg@10", "rmse"]}}
    _run(case, "svd", recipe, "svd")
    metrics = json.loads((case.out / "runs" / "svd" / "metrics.json").read_text())["rankers"]
    ours = next(one["metrics"]["rmse"]["value"] for one in metrics if one["id"] == "svd")
    theirs = json.loads((case.out / "peers" / "peers.json").read_text())["rmse"]["Surprise SVD"]
    head = f"{case}: RMSE of predicted ratings, SVD by its defaults\n\n| | RMSE |\n|---|---|\n"
    return f"{head}| surprise/svd | {ours:.4f} |\n| Surprise, run directly | {theirs:.4f} |"


def _ablation(bench: Bench, case: Case) -> str:
    """The model that ranks a split's items, with one part switched off at a time, on the same users."""
    stage, parts = ("cold", COLD_PARTS) if case.cold else ("together", WARM_PARTS)
    whole = _recipe("movies")
    needed = [one for one in whole["stages"] if "encode" in one or "preprocess" in one or one.get("id") == stage]
    rows = {}
    for name, change in {"": {}, **parts}.items():
        print(f"{case}: without {name or 'nothing'}", file=sys.stderr, flush=True)
        *before, model = json.loads(json.dumps(needed))
        changed = {key: value for key, value in change.items() if key != "from"}
        model["from"] = list(change.get("from", model["from"]))
        weights = {block: w for block, w in model["with"]["blocks"].items() if block in model["from"]}
        model["with"] |= {"blocks": weights, **changed}
        recipe = {**whole, "stages": [*before, model], "evaluate": {"metrics": ["ndcg@10"], "baselines": []}}
        lists, own, seconds = _run(case, f"ablation-{len(rows)}", recipe, stage)
        rows[name] = bench.judged(case, lists, name=name, own=own, seconds=seconds)
    all_of_it = rows.pop("")
    lines = [
        f"{case}: `{MODELS[stage]}` with one part switched off",
        "",
        "| without | NDCG@10 | difference |",
        "|---|---|---|",
        f"| nothing | {all_of_it.ndcg:.4f} ± {all_of_it.error:.4f} | |",
    ]
    for name, row in rows.items():
        lines.append(f"| {name} | {row.ndcg:.4f} | {_difference(row, all_of_it)} |")
    return "\n".join(lines)


def _difference(row: Row, other: Row) -> str:
    gap = (row.users - other.users).to_numpy()
    return f"{gap.mean():+.4f} ± {gap.std(ddof=1) / np.sqrt(len(gap)):.4f}"


def _table(case: Case, rows: Sequence[Row]) -> str:
    ours = rows[0]
    lines = [
        f"{case}: {len(ours.users)} users",
        "",
        "| | NDCG@10 | recall@10 | NDCG@10 by the run | movies.yaml is ahead by | settings tried | search and fit |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        own = "" if row.own is None else f"{row.own:.4f}"
        ahead = "" if row is ours else _difference(ours, row)
        tried = "" if row.tried is None else str(row.tried)
        seconds = "" if row.seconds is None else f"{row.seconds:.0f} s"
        numbers = f"{row.ndcg:.4f} ± {row.error:.4f} | {row.recall:.4f} | {own} | {ahead} | {tried} | {seconds}"
        lines.append(f"| {row.name} | {numbers} |")
    return "\n".join(lines)


def _write(name: str, tables: str) -> None:
    """Put the tables of a data set between its marks on the page."""
    begin, end = f"<!-- measured: {name} -->", f"<!-- /measured: {name} -->"
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    PAGE.write_text(f"{before}{begin}\n\n{tables}\n\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
