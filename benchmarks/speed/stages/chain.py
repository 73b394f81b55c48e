"""The whole chain, each side in a process of its own, imports included: files → ten unseen items for every user.

Ours is `recprofile run` of brief.yaml without baselines, groups and intervals: it also checks its input, measures
NDCG@10, keeps every stage's result in the cache, and writes the run folder with its report. Its cache begins empty,
and the model is there. The peers write the lists and nothing else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.speed.case import ROOT, Case, model_folder
from benchmarks.speed.measure import Bound, Contest, Finished, Side, Timed
from benchmarks.speed.same import expect
from benchmarks.speed.stages import encode, load, peer_chain
from benchmarks.speed.stages.als import sweep_flops

NEAR = 0.02  # by how much of it NDCG@10 may be below the other's, beside chance: models differ in what they regularise


def contests(case: Case) -> Iterator[Contest]:
    """With texts to encode."""
    yield Contest(
        "whole chain",
        Side("recprofile", lambda: ours(case)),
        [Side("polars, ONNX Runtime, implicit, scipy, torch", lambda: peer(case))],
        lambda mine, theirs: same(case, mine, theirs),
        lambda: bound(case),
        rounds=2,
    )


def again(case: Case) -> Contest:
    """With texts whose vectors are kept from an earlier run, as events change more often than texts: for growth."""
    return Contest("whole chain, texts known", Side("recprofile", lambda: ours(case, known=True)), [], lambda *_: "")


def ours(case: Case, *, known: bool = False) -> Timed:
    """`recprofile run`."""
    folder = case.folder / "chain"
    cache, kept = folder / "cache", case.folder.parent / f"texts-{len(case.texts)}"
    if not kept.is_dir() and (cache / "inputs").is_dir():
        shutil.move(cache / "inputs", kept)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if known and kept.is_dir():
        shutil.copytree(kept, cache / "inputs")
    sets = [*case.sets(), f"stages.words.with.model={model_folder()}"]
    recipe = ROOT / "benchmarks" / "brief.yaml"
    command = [sys.executable, "-m", "recprofile", "run", str(recipe), "--quiet", "--out", str(folder / "run")]
    command += [part for one in sets for part in ("--set", one)]

    return lambda: Finished(folder / "run", finished(command, RECPROFILE_CACHE=str(cache)))


def peer(case: Case) -> Timed:
    """`peer_chain`."""
    folder, model = case.folder / "peer", model_folder()
    encode.exported(model, case.folder.parent)
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", peer_chain.__name__, str(case.folder), str(folder), str(model)]
    return lambda: Finished(folder, finished(command))


def finished(command: Sequence[str], **environment: str) -> float:
    """Run a process to its end; the most memory that it had, in MiB."""
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} … ended with {process.returncode}: {said.decode()[-2000:]}")
    return float(usage.ru_maxrss) / 1024


def same(case: Case, ours: Finished, theirs: Finished) -> str:
    """Ten items for the same users, and no worse a ranking."""
    mine, other = (pl.read_parquet(one.folder / "recommendations.parquet") for one in (ours, theirs))
    mine = mine.filter(pl.col("rank") <= peer_chain.K)
    expect(mine.height == other.height, f"{mine.height:,} places and {other.height:,}")
    scores, others = ndcg(case, mine), ndcg(case, other)
    apart = scores - others
    error = float(apart.std(ddof=1) / np.sqrt(len(apart)))
    told = f"NDCG@10 {scores.mean():.4f} and {others.mean():.4f} ± {error:.4f}"
    expect(apart.mean() > -2 * error - NEAR * others.mean(), told)
    return told


def ndcg(case: Case, lists: pl.DataFrame) -> NDArray[np.float64]:
    """Of each user with a test event of a pair that is new to them, by id; gain 1, discount log2(rank + 1)."""
    data = case.data
    ids = data.users.ids.ids, data.items.ids.ids
    test = pl.DataFrame({"user": ids[0].gather(data.test.user), "item": ids[1].gather(data.test.item)}).unique()
    seen = pl.DataFrame({"user": ids[0].gather(data.train.user), "item": ids[1].gather(data.train.item)})
    test = test.join(seen, on=["user", "item"], how="anti")
    gain = 1 / (pl.col("rank") + 1).log(2)
    got = test.join(lists.select("user", "item", "rank"), on=["user", "item"], how="left")
    users = got.group_by("user").agg(gain.fill_null(0).sum().alias("dcg"), pl.len().alias("n")).sort("user")
    ideal = np.concatenate([[0], np.cumsum(1 / np.log2(np.arange(peer_chain.K) + 2))])
    scores: NDArray[np.float64] = users["dcg"].to_numpy() / ideal[np.minimum(users["n"].to_numpy(), peer_chain.K)]
    return scores


def bound(case: Case) -> Bound:
    """Decoding, and the arithmetic of the model, of four sweeps, and of all scores; the rest counts as nothing."""
    n_users, n_items = case.positives.shape
    scores = 2.0 * n_users * n_items * (peer_chain.DIM + 384)
    flops = encode.model_flops(case.texts, model_folder()) + 4 * sweep_flops(case) + scores
    return Bound(flops=flops, seconds=load.decoding(case))
