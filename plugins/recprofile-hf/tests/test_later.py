"""Text encoders in a profile store: items that come later get the vectors that they would have had in the run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

import recprofile
from recprofile.cli.main import status_of
from recprofile.profiles.base import Base
from recprofile.profiles.kept import load_base
from recprofile.profiles.store import Store
from recprofile.profiles.versions import publication

WORDS = [f"w{n}" for n in range(40)]
RATINGS = "user,item,weight,time\n" + "".join(
    f"u{u},i{i:02},{1 + (u * 3 + i * 7) % 5},{1000 * i + u}\n" for u in range(6) for i in range(12) if (u + i) % 3
)
ITEMS = "id,title\n" + "".join(f"i{i:02},w{i} w{(5 * i) % 13} w{i % 4}\n" for i in range(12))
# Many beside those that are known, and all alike: a mean over all items would be another one.
MORE = "id,title\n" + "".join(f"x{i:02},w{30 + i % 5} w39 w38\n" for i in range(30))
RECIPE = """\
recipe: 1
device: cpu
data:
  interactions: ratings.csv
  items: items.csv
  positive: ">= 2"
  split: {by: random, holdout: 0.2}
stages:
  - encode: hf/text
    id: text
    with: {model: ./model, columns: [title]}
  - fuse: weighted
    id: profile
  - recommend: dot
  - update: fold-in
list: {k: 5}
evaluate: {baselines: [], bootstrap: 10}
publish: sqlite:///p.db
"""


@pytest.fixture(autouse=True)
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECPROFILE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for name, text in (("ratings.csv", RATINGS), ("items.csv", ITEMS), ("more.csv", MORE), ("none.jsonl", "")):
        (tmp_path / name).write_text(text)
    made = Tokenizer(models.WordLevel({word: n for n, word in enumerate(["[PAD]", "[UNK]", *WORDS])}, "[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]", pad_token="[PAD]").save_pretrained("model")
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=len(WORDS) + 2,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        initializer_range=0.5,
    )
    BertModel(shape).save_pretrained("model")
    return tmp_path


def published(file: str, recipe: str) -> Base:
    store = Store(f"sqlite:///{file}")
    with store.read() as connection:
        return load_base(connection, publication(connection, store, recipe).id)


@pytest.fixture
def base(capsys: pytest.CaptureFixture[str]) -> Callable[[], tuple[Base, str]]:
    """Publishes a recipe, brings more items, and gives the base and what was said."""

    def made(recipe: str = RECIPE) -> tuple[Base, str]:
        Path("shop.yaml").write_text(recipe)
        recprofile.run("shop.yaml")
        capsys.readouterr()
        status = status_of(["update", "shop.yaml", "--events", "none.jsonl", "--items", "more.csv"])
        said = capsys.readouterr()
        assert status == 0, said.err
        return published("p.db", "shop"), said.out + said.err

    return made


@pytest.mark.parametrize("shape", ["", ", whiten: true", ", dim: 4", ", whiten: true, dim: 4"])
def test_later_items_are_encoded_with_the_statistics_of_the_run(base: Callable[..., tuple[Base, str]], shape: str):
    recipe = RECIPE.replace("columns: [title]", f"columns: [title]{shape}")
    found, said = base(recipe)
    vectors, missing = found.raw["text"]
    assert "left out" not in said
    assert not missing.any()
    assert len(vectors) == 42
    # The same as in a run that knows them, in which nobody had anything to do with them.
    Path("items.csv").write_text(ITEMS + MORE.removeprefix("id,title\n"))
    Path("whole.yaml").write_text(recipe.replace("sqlite:///p.db", "sqlite:///q.db"))
    recprofile.run("whole.yaml")
    whole = published("q.db", "whole")
    order = whole.ids.codes(found.names)
    np.testing.assert_allclose(vectors, whole.raw["text"][0][order], atol=1e-4)


def test_a_history_as_text_stays_as_it_was_published_and_later_items_have_no_part_in_it(
    base: Callable[..., tuple[Base, str]], capsys: pytest.CaptureFixture[str]
):
    recipe = RECIPE.replace("interactions: ratings.csv", "interactions: {path: ratings.csv, time: time}")
    found, said = base(recipe.replace("encode: hf/text", "encode: hf/history"))
    assert "left out" not in said
    assert found.raw["text"][1].tolist() == [False] * 12 + [True] * 30
    assert status_of(["recommend", "--user", "u1", "--store", "p.db", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["recommendations"]) == 5
