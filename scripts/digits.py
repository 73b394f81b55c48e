"""Real pictures and a small vision transformer for recipes/images.yaml: handwritten digits, and a model of them.

    python -m scripts.digits [--out benchmarks/data/digits]

The pictures are the 1,797 of scikit-learn (8 × 8, 16 greys; Alpaydin & Kaynak 1998). Half of them, drawn at random,
train a ViT to tell digits apart; it is saved as any model on the hub is, and never sees the other half, which are the
items. One in twenty has no picture, three are broken files. The people are made up: each likes two digits, and takes 40
pictures, nine in ten of those. So what the recipe shows is that pictures that nobody has taken are ranked by their
looks alone; how well it would do for people and pictures of a shop, it does not show.
"""

from __future__ import annotations

import argparse
import io
import time
from pathlib import Path

import numpy as np
import polars as pl

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PEOPLE, TAKEN, LIKED = 300, 40, 2
WITHOUT, BROKEN = 0.05, 3
EPOCHS, BATCH = 30, 64


def main() -> None:
    """Write pictures, items, interactions and the model below a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "benchmarks" / "data" / "digits")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    given = parser.parse_args()
    print(prepare(given.out, epochs=given.epochs))


def prepare(out: Path, *, epochs: int = EPOCHS) -> str:
    """The same files each time on one machine; says what they are."""
    from sklearn.datasets import load_digits

    begun = time.perf_counter()
    digits = load_digits()
    images, labels = digits.images, digits.target
    rng = np.random.default_rng(0)
    order = rng.permutation(len(labels))
    to_learn, shown = order[: len(order) // 2], np.sort(order[len(order) // 2 :])
    right = _model(images[to_learn], labels[to_learn], images[shown], labels[shown], out / "model", epochs)
    _shop(images[shown], labels[shown], out, rng)
    made = f"{len(shown)} pictures and a model of {len(to_learn)} others in {out}"
    return f"{made} after {time.perf_counter() - begun:.0f} s; it tells {right:.1%} of the pictures right"


def _shop(images: np.ndarray, labels: np.ndarray, out: Path, rng: np.random.Generator) -> None:
    """Pictures as files, the table of items, and what made-up people took."""
    from PIL import Image

    (out / "pictures").mkdir(parents=True, exist_ok=True)
    names: list[str | None] = [f"{n:04}.png" for n in range(len(labels))]
    for name, image in zip(names, images, strict=True):
        large = Image.fromarray((image * (255 / 16)).round().astype(np.uint8)).resize(
            (64, 64), Image.Resampling.NEAREST
        )
        stream = io.BytesIO()
        large.save(stream, "PNG")
        (out / "pictures" / str(name)).write_bytes(stream.getvalue())
    odd = rng.permutation(len(labels))[: int(WITHOUT * len(labels)) + BROKEN]
    for n in odd[:BROKEN]:
        file = out / "pictures" / str(names[n])
        file.write_bytes(file.read_bytes()[:60])
    for n in odd[BROKEN:]:
        names[n] = None
    title = [f"{WORDS[digit]} {n:04}" for n, digit in enumerate(labels)]
    pl.DataFrame({"id": range(len(labels)), "title": title, "picture": names}).write_parquet(out / "items.parquet")
    liked = np.argsort(rng.random((PEOPLE, 10)), axis=1)[:, :LIKED]
    appeal = np.where((liked[:, :, None] == labels).any(axis=1), 9 / LIKED, 1 / (10 - LIKED))
    # Gumbel's trick: the highest of log-weight plus noise is a draw without replacement.
    drawn = np.argsort(-(np.log(appeal) + rng.gumbel(size=appeal.shape)), axis=1)[:, :TAKEN]
    users = np.repeat(np.arange(PEOPLE), TAKEN)
    pl.DataFrame({"user": users, "item": drawn.ravel()}).write_parquet(out / "interactions.parquet")


def _model(  # noqa: PLR0917 - what it learns from, and what it is tried on
    images: np.ndarray, labels: np.ndarray, others: np.ndarray, right: np.ndarray, folder: Path, epochs: int
) -> float:
    """Train a ViT of 110,000 weights on these pictures, save it, and give its share of right answers on the others."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil
    from transformers.utils import logging

    torch.manual_seed(0)
    shape = ViTConfig(
        image_size=8,
        patch_size=2,
        num_channels=3,
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=128,
        num_labels=10,
    )
    model = ViTForImageClassification(shape)

    def pixels(of: np.ndarray) -> torch.Tensor:
        return torch.tensor(of / 8 - 1, dtype=torch.float32)[:, None].expand(-1, 3, -1, -1)

    known, answers = pixels(images), torch.tensor(labels)
    steps = epochs * -(-len(labels) // BATCH)
    descent = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    rate = torch.optim.lr_scheduler.OneCycleLR(descent, 2e-3, total_steps=steps)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(labels)).split(BATCH):
            loss = model(pixel_values=known[rows], labels=answers[rows]).loss
            descent.zero_grad()
            loss.backward()
            descent.step()
            rate.step()
    model.eval()
    with torch.inference_mode():
        told = model(pixel_values=pixels(others)).logits.argmax(dim=1).numpy()
    logging.disable_progress_bar()
    model.save_pretrained(folder)
    ViTImageProcessorPil(
        size={"height": 8, "width": 8}, resample=4, image_mean=[0.5] * 3, image_std=[0.5] * 3
    ).save_pretrained(folder)
    return float((told == right).mean())


if __name__ == "__main__":
    main()
