"""`hf/finetune` on a tiny random BERT and planted tastes: what is trained, kept, resumed and refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, LlamaConfig, LlamaModel, PreTrainedTokenizerFast

from recprofile.plugin import DataError, Dataset, Encoded, FloatArray, RunError, UserScores
from recprofile.testing import EncoderTests, context, dataset
from recprofile_hf import FineTune, FineTuneParams
from recprofile_hf.tuning import checkpoint, train
from recprofile_hf.tuning.folds import Fold
from recprofile_hf.tuning.layers import Lower
from recprofile_hf.tuning.methods import Tuned
from recprofile_hf.tuning.track import Track

TOPICS, EACH = 4, 8
WORDS = [f"{kind}{n}" for kind in "abcd" for n in range(EACH)]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS]
METHODS = ["full", "lora", "adalora", "prefix", "ia3", "adapter"]
OBJECTIVES = ["episode", "contrastive", "align", "simcse", "click", "semi-supervised"]
SMALL: dict[str, Any] = {"columns": ("title",), "steps": 4, "batch": 16, "rank": 2, "folds": 0, "rate": 0.01}


def tokenizer() -> PreTrainedTokenizerFast:
    made = Tokenizer(models.WordPiece({word: n for n, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ends
    )
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]", pad_token="[PAD]", model_max_length=64)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of three layers and 32 dimensions."""
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    BertModel(shape).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def planted(*, n_items: int = 64, n_users: int = 60, seed: int = 0) -> Dataset:
    """Users who like one kind of items each; an item's three words are of its kind, and do not say which beforehand."""
    rng = np.random.default_rng(seed)
    titles, kinds = [], []
    for n in range(n_items):
        kind = n % TOPICS
        kinds.append(kind)
        titles.append(" ".join(WORDS[kind * EACH + int(word)] for word in rng.integers(EACH, size=3)))
    events = []
    for user in range(n_users):
        mine = [n for n in range(n_items) if kinds[n] == user % TOPICS]
        events += [(f"u{user:03d}", f"i{item:03d}") for item in rng.choice(mine, min(8, len(mine)), replace=False)]
    genre = [str(kind) if n % 3 else None for n, kind in enumerate(kinds)]
    ids = [f"i{n:03d}" for n in range(n_items)]
    return dataset(events, items={"id": ids, "title": titles, "genre": genre})


def stage(model: Path, **params: Any) -> FineTune:
    return FineTune(FineTuneParams(**{**SMALL, "model": str(model), **params}))


def tuned(model: Path, data: Dataset | None = None, *, ctx: dict[str, Any] | None = None, **params: Any) -> Encoded:
    found = stage(model, **params).encode(data or planted(), context(**(ctx or {})))
    assert isinstance(found, Encoded)
    return found


def rows(encoded: Encoded) -> FloatArray:
    assert encoded.items is not None
    return encoded.items.vectors


class TestFineTune(EncoderTests):
    component = FineTune

    @pytest.fixture(autouse=True)
    def _examples(self, model: Path) -> Iterator[None]:
        small = {"model": str(model), "columns": ["title"], "steps": 2, "batch": 8, "rank": 2}
        type(self).examples = [
            {**small, "folds": 0, "objective": "simcse"},
            {**small, "folds": 0, "objective": "simcse", "method": "full", "pooling": "cls", "normalise": False},
        ]
        yield
        type(self).examples = ({},)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_every_objective_and_gives_the_same_vectors_when_loaded(
    model: Path, method: str, objective: str, tmp_path: Path
):
    notes: dict[str, Any] = {}
    labels = {"labels": "genre"} if objective == "semi-supervised" else {}
    one = stage(model, method=method, objective=objective, **labels)
    data, ctx = planted(), context(store=tmp_path, note=notes.__setitem__)
    found = one.encode(data, ctx)
    plain = stage(model, objective="simcse")
    plain.steps = 0
    assert not np.allclose(rows(found), rows(plain.encode(data, context())), atol=1e-4)
    np.testing.assert_allclose(rows(one.more_items(found.learnt, data, context())), rows(found), atol=1e-6)
    np.testing.assert_array_equal(rows(one.encode(data, context(store=tmp_path))), rows(found))
    assert notes["tuning"]["steps"] == 4
    assert np.isfinite(notes["tuning"]["loss"])
    assert any(Path(notes["adapter"]).glob("*.safetensors"))


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
@pytest.mark.parametrize("method", ["lora", "ia3", "adalora"])
def test_what_peft_saved_is_loaded_by_peft_into_the_model_as_it_was(model: Path, method: str, tmp_path: Path):
    from peft import PeftModel

    notes: dict[str, Any] = {}
    found = tuned(
        model, ctx={"store": tmp_path, "note": notes.__setitem__}, method=method, centre=False, normalise=False
    )
    other = PeftModel.from_pretrained(BertModel.from_pretrained(model), notes["adapter"]).eval()
    data = planted()
    for row, title in enumerate(data.items.texts(["title"]).to_list()[:5]):
        asked = tokenizer()(title, return_tensors="pt")
        with torch.no_grad():
            out = other(input_ids=asked["input_ids"], attention_mask=asked["attention_mask"]).last_hidden_state
        np.testing.assert_allclose(rows(found)[row], out.mean(dim=1)[0].numpy(), atol=1e-5)


def test_episodes_teach_a_random_model_what_goes_together_and_folds_show_it(model: Path):
    notes: dict[str, Any] = {}
    found = tuned(
        model, ctx={"note": notes.__setitem__}, method="full", layers=3, steps=60, batch=32, folds=4, rate=1e-3
    )
    gain = notes["ndcg@10 on folds of items"]
    assert gain["tuned"] > gain["frozen"] + 0.05
    assert gain["folds better"] == "4 of 4"
    assert found.chosen["steps"] > 0
    kinds = np.arange(64) % TOPICS
    near = rows(found) @ rows(found).T
    same = kinds[:, None] == kinds
    assert near[same].mean() > near[~same].mean() + 0.5


def test_without_a_gain_the_model_stays_as_it_was(model: Path):
    rng = np.random.default_rng(0)
    data = planted()
    shuffled = data.revise(train=replace(data.train, item=rng.permutation(data.train.item)))
    notes: dict[str, Any] = {}
    found = tuned(model, shuffled, ctx={"note": notes.__setitem__}, folds=4, steps=8)
    plain = stage(model)
    plain.steps = 0
    assert "stays as it was" in notes["tuning"]
    np.testing.assert_array_equal(rows(found), rows(plain.encode(data, context())))
    kept = tuned(model, shuffled, folds=4, steps=8, fall_back=False)
    assert not np.array_equal(rows(kept), rows(found))


@pytest.mark.parametrize("method", ["lora", "adalora", "full"])
def test_a_training_that_is_killed_goes_on_and_ends_with_the_same_bits(
    model: Path, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    params: dict[str, Any] = {"method": method, "folds": 2, "steps": 12, "fall_back": False}
    whole: dict[str, Any] = {}
    expected = tuned(model, ctx={"note": whole.__setitem__}, **params)
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    advance, count = Track.advance, 0

    def dies(self: Track) -> None:
        nonlocal count
        count += 1
        if count in (8, 20, 31):
            raise KeyboardInterrupt
        advance(self)

    monkeypatch.setattr(Track, "advance", dies)
    notes: dict[str, Any] = {}
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            tuned(model, ctx={"store": tmp_path}, **params)
    found = tuned(model, ctx={"store": tmp_path, "note": notes.__setitem__}, **params)
    assert notes["went on at step"] == 28
    assert notes["tuning"] == whole["tuning"]
    assert notes["ndcg@10 on folds of items"] == whole["ndcg@10 on folds of items"]
    np.testing.assert_array_equal(rows(found), rows(expected))
    assert not list((tmp_path / "hf-finetune").glob("*"))


def test_a_damaged_checkpoint_costs_the_work_and_no_more(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    expected = tuned(model)
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    advance = Track.advance

    def dies(self: Track) -> None:
        if self.step == 2:
            raise KeyboardInterrupt
        advance(self)

    with monkeypatch.context() as patch:
        patch.setattr(Track, "advance", dies)
        with pytest.raises(KeyboardInterrupt):
            tuned(model, ctx={"store": tmp_path})
    (file,) = (tmp_path / "hf-finetune").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    np.testing.assert_array_equal(rows(tuned(model, ctx={"store": tmp_path})), rows(expected))


def test_a_choice_once_made_is_not_made_again(model: Path):
    data = planted()
    first = tuned(model, data, folds=2, steps=12, fall_back=False)
    settled = stage(model, folds=2, steps=12, fall_back=False).settled(first)
    notes: dict[str, Any] = {}
    again = settled.encode(data, context(note=notes.__setitem__))
    assert "ndcg@10 on folds of items" not in notes
    assert again.chosen["steps"] == first.chosen["steps"]


def test_new_items_lie_where_the_tuned_model_puts_them_and_the_others_stay(model: Path):
    whole = planted()
    known = np.arange(whole.n_items) < 60
    old = whole.keep(items=known)
    one = stage(model)
    found = one.encode(old, context())
    later = one.more_items(found.learnt, whole, context())
    np.testing.assert_allclose(rows(later)[known], rows(found), atol=1e-6)
    assert (np.linalg.norm(rows(later)[~known], axis=1) > 0.99).all()


@pytest.mark.parametrize("below", [0, 1, 2])
def test_a_model_in_two_halves_is_the_model(model: Path, below: int):
    base = BertModel.from_pretrained(model).eval()
    asked = tokenizer()(["a0 b1 c2 d3", "a1"], return_tensors="pt", padding=True)
    tokens, mask = asked["input_ids"], asked["attention_mask"].bool()
    with torch.no_grad():
        expected = base(input_ids=tokens, attention_mask=mask.long()).last_hidden_state[mask]
        half = Tuned(base, below, "full", rank=1, targets="all", steps=1)
        found = half.upper(Lower(base, 3 - below)(tokens, mask), tokens, mask)[mask]
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(base(input_ids=tokens, attention_mask=mask.long()).last_hidden_state[mask], expected)


def test_a_decoder_is_trained_too(tmp_path: Path):
    shape = LlamaConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=48,
        max_position_embeddings=64,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    LlamaModel(shape).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    one = stage(tmp_path, layers=1)
    data = planted()
    found = one.encode(data, context())
    np.testing.assert_allclose(rows(one.more_items(found.learnt, data, context())), rows(found), atol=1e-6)


def test_trained_share_and_frozen_layers_are_as_asked(model: Path):
    base = BertModel.from_pretrained(model).eval()
    one = Tuned(base, 1, "lora", rank=2, targets="attention", steps=4)
    assert one.count() == 2 * 2 * 2 * (32 * 2)  # two layers, queries and values, A and B
    assert all(".layer.0." not in name for name in one.trained)
    assert all(".layer.0." not in name for name in Tuned(base, 1, "ia3", rank=2, targets="all", steps=4).trained)


def test_a_loss_that_is_not_finite_is_an_error_that_names_the_step(model: Path):
    with pytest.raises(RunError, match="not finite at step") as caught:
        tuned(model, temperature=1e-39)
    assert "lower 'rate'" in str(caught.value)


def test_a_batch_that_does_not_fit_is_halved_and_that_is_said_once(model: Path, monkeypatch: pytest.MonkeyPatch):
    advance, said = Track.advance, []

    def full(self: Track) -> None:
        if self.lesson.task.batch > 8:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        advance(self)

    monkeypatch.setattr(Track, "advance", full)
    found = tuned(model, ctx={"warn": said.append}, batch=32, folds=2, fall_back=False)
    assert said == ["'batch: 32' does not fit into memory; batches were made smaller"]
    assert found.chosen["steps"] > 0


def test_a_batch_of_eight_that_does_not_fit_is_an_error(model: Path, monkeypatch: pytest.MonkeyPatch):
    def full(self: Track) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(Track, "advance", full)
    with pytest.raises(RunError, match="does not fit into memory"):
        tuned(model, batch=16)


def test_items_without_text_are_missing_and_counted(model: Path):
    ids = [f"i{n:02d}" for n in range(12)]
    titles = [WORDS[n] if n % 4 else None for n in range(12)]
    data = dataset([("u", ids[n]) for n in range(12)], items={"id": ids, "title": titles})
    said: list[str] = []
    found = tuned(model, data, ctx={"warn": said.append}, objective="simcse")
    assert found.items is not None
    assert found.items.missing.tolist() == [n % 4 == 0 for n in range(12)]
    assert said == ["3 of 12 items have no text in 'title', and no vector"]


def test_too_little_to_learn_from_is_said(model: Path):
    ids = [f"i{n}" for n in range(12)]
    data = dataset([("u", "i0"), ("u", "i1")], items={"id": ids, "title": WORDS[:12]})
    with pytest.raises(DataError, match="this objective needs"):
        tuned(model, data, fall_back=False)
    apart = dataset([(f"u{n}", f"i{n}") for n in range(12)], items={"id": ids, "title": WORDS[:12]})
    with pytest.raises(DataError, match="no user likes two items"):
        tuned(model, apart, fall_back=False)
    said: list[str] = []
    found = tuned(model, apart, ctx={"warn": said.append})
    assert said == ["no user likes two items with a text, so there is no episode to play: the model stays as it was"]
    assert found.chosen["steps"] == 0


def test_few_items_are_trained_on_without_folds_and_that_is_said(model: Path):
    said: list[str] = []
    tuned(model, planted(n_items=12), ctx={"warn": said.append}, folds=10)
    assert said == ["too few items with events for folds: trained for all steps, and its gain is not known"]


def test_looks_end_when_nothing_better_comes(model: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(train, "PATIENCE", 1)
    steps: list[int] = []
    advance = Track.advance

    def counted(self: Track) -> None:
        steps.append(1)
        advance(self)

    monkeypatch.setattr(Track, "advance", counted)
    users = np.arange(2, dtype=np.int32)
    monkeypatch.setattr(Fold, "judged", lambda *_: UserScores(users, np.full(2, 0.5)))
    tuned(model, folds=2, steps=40)
    assert len(steps) == 2 * 20
