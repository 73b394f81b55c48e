"""Templates, prefixes, and texts that are longer than the model reads, on a tiny random BERT made here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from pydantic import ValidationError
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from recprofile.plugin import Dataset, Embeddings, FloatArray, IdMap, RunError, Table
from recprofile.testing import context, dataset
from recprofile_hf import Text, TextParams

WORDS = [f"w{n}" for n in range(60)]
RAW = {"centre": False, "normalise": False}
LONG = [" ".join(WORDS[:n]) for n in (60, 6, 7, 31, 1, 14)]  # words; eight tokens are six words and both ends


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    vocabulary = {word: n for n, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, "(", ")", ":"])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="[UNK]", pad_token="[PAD]", sep_token="[SEP]"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=24,
        initializer_range=0.5,
    )
    BertModel(shape).save_pretrained(folder)
    return folder


def films(titles: Sequence[str | None], **more: Sequence[Any]) -> Dataset:
    ids = [f"i{n:03d}" for n in range(len(titles))]
    return dataset([("u", id) for id in ids], items={"id": ids, "title": list(titles), **more})


def encode(
    model: Path, titles: Sequence[str | None], *, ctx: dict[str, Any] | None = None, **params: Any
) -> Embeddings:
    text = Text(TextParams(model=str(model), **{"columns": ("title",), **params}))
    return text.encode(films(titles), context(**(ctx or {})))


def alone(model: Path, words: Sequence[str], *, pooling: str = "mean") -> FloatArray:
    """The vector of some words by themselves."""
    bert = BertModel.from_pretrained(model).eval()
    ids = PreTrainedTokenizerFast.from_pretrained(model)(" ".join(words))["input_ids"]
    with torch.inference_mode():
        tokens = bert(input_ids=torch.tensor([ids])).last_hidden_state[0]
    found: FloatArray = {"mean": tokens.mean(dim=0), "max": tokens.amax(dim=0), "last": tokens[-1]}[pooling].numpy()
    return found


def in_windows(model: Path, text: str, *, most: int, overlap: int, pooling: str) -> FloatArray:
    """The slow way: windows of `most` words, each with [CLS] and [SEP], weighted by tokens."""
    words, at, found = text.split(), 0, []
    while True:
        part = words[at : at + most]
        found.append((alone(model, part, pooling=pooling), len(part) + 2))
        if at + most >= len(words):
            break
        at += most - overlap
    return np.average([vector for vector, _ in found], axis=0, weights=[weight for _, weight in found])


@pytest.mark.parametrize("batch_tokens", [1, 30, 1024])
@pytest.mark.parametrize(("overlap", "used"), [(0, 0), (2, 2), (500, 3)])  # no more than half of six words
@pytest.mark.parametrize("pooling", ["mean", "max", "last"])
def test_long_texts_are_the_mean_of_overlapping_chunks(
    tiny: Path, pooling: str, overlap: int, used: int, batch_tokens: int
):
    found = encode(
        tiny, LONG, max_tokens=8, long="chunks", overlap=overlap, pooling=pooling, batch_tokens=batch_tokens, **RAW
    )
    expected = [in_windows(tiny, text, most=6, overlap=used, pooling=pooling) for text in LONG]
    np.testing.assert_allclose(found.vectors, np.stack(expected), atol=1e-5)


def test_chunks_end_where_the_model_ends_and_are_counted(tiny: Path):
    told: dict[str, Any] = {}
    said: list[str] = []
    found = encode(tiny, LONG, long="chunks", overlap=4, ctx={"note": told.__setitem__, "warn": said.append}, **RAW)
    assert told == {"read in chunks": {"texts": 2, "of": 6, "tokens each": 24}}
    assert said == []
    np.testing.assert_allclose(
        found.vectors[0], in_windows(tiny, LONG[0], most=22, overlap=4, pooling="mean"), atol=1e-5
    )


def test_short_texts_have_the_same_bits_with_chunks_or_without(tiny: Path):
    short = [text for text in LONG if len(text.split()) < 20]
    np.testing.assert_array_equal(encode(tiny, short, long="chunks", **RAW).vectors, encode(tiny, short, **RAW).vectors)


def test_chunks_are_kept_apart_from_cut_texts_and_counted_again(tiny: Path, tmp_path: Path):
    told: list[tuple[str, object]] = []
    ctx = {"store": tmp_path, "note": lambda *one: told.append(one)}
    encode(tiny, LONG, max_tokens=8, ctx=ctx, **RAW)
    first = encode(tiny, LONG, max_tokens=8, long="chunks", ctx=ctx, **RAW)
    again = encode(tiny, LONG, max_tokens=8, long="chunks", ctx=ctx, **RAW)
    np.testing.assert_array_equal(first.vectors, again.vectors)
    np.testing.assert_allclose(
        first.vectors[0], in_windows(tiny, LONG[0], most=6, overlap=3, pooling="mean"), atol=1e-5
    )
    assert told[0] == told[1] == ("read in chunks", {"texts": 4, "of": 6, "tokens each": 8})


def test_chunks_that_do_not_fit_into_memory_are_halved_and_said_once(tiny: Path, monkeypatch: pytest.MonkeyPatch):
    how: dict[str, Any] = {"max_tokens": 8, "long": "chunks", **RAW}
    expected = encode(tiny, LONG, **how).vectors
    forward = BertModel.forward

    def small(self: BertModel, input_ids: torch.Tensor, **more: Any) -> object:
        if input_ids.numel() > 16:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, input_ids=input_ids, **more)

    monkeypatch.setattr(BertModel, "forward", small)
    said: list[str] = []
    found = encode(tiny, LONG, ctx={"warn": said.append}, **how)
    np.testing.assert_allclose(found.vectors, expected, atol=1e-5)
    assert said == ["'batch_tokens: 1024' does not fit into memory; batches were made smaller"]


def test_an_interrupted_run_over_chunks_ends_in_the_same_bits(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    how: dict[str, Any] = {"max_tokens": 8, "long": "chunks", "batch_tokens": 24, **RAW}
    whole = encode(tiny, LONG, **how).vectors
    monkeypatch.setattr("recprofile_hf.networks.threads", lambda: 1)  # or others' batches count, too
    forward, done = BertModel.forward, []

    def stopped(self: BertModel, **more: Any) -> object:
        done.append(1)
        if len(done) == 8:  # past the chunks of the longest text
            raise KeyboardInterrupt
        return forward(self, **more)

    with monkeypatch.context() as patch:
        patch.setattr(BertModel, "forward", stopped)
        with pytest.raises(KeyboardInterrupt):
            encode(tiny, LONG, ctx={"store": tmp_path}, **how)
    assert list(tmp_path.rglob("*.parquet"))
    np.testing.assert_array_equal(encode(tiny, LONG, ctx={"store": tmp_path}, **how).vectors, whole)


def test_whitespace_emoji_chinese_and_100_000_characters_in_chunks(tiny: Path):
    found = encode(tiny, ["🎬", "月球上的人", " \t ", "", None, "w1 " * 40_000], long="chunks")
    assert found.missing.tolist() == [False, False, True, True, True, False]
    assert np.isfinite(found.vectors).all()


def test_a_template_is_the_text(tiny: Path):
    data = films(["w1", "w2", None, None], year=[4, None, 5, None], genres=[["w7", "w8"], [], None, None])
    p = TextParams(model=str(tiny), template="{title} ({year}): {genres}", prefix="w9 : ", **RAW)
    said: list[str] = []
    found = Text(p).encode(data, context(warn=said.append))
    assert found.missing.tolist() == [False, False, False, True]
    for row, text in enumerate(["w9 : w1 (4): w7, w8", "w9 : w2", "w9 : (5)"]):
        np.testing.assert_allclose(found.vectors[row], alone(tiny, [text]), atol=1e-5)
    assert said == ["1 of 4 items have no text in 'title', 'year', 'genres', and no vector"]


def test_a_prefix_stands_before_every_text_and_none_without(tiny: Path):
    found = encode(tiny, ["w1 w2", None], prefix="w3 ", **RAW)
    np.testing.assert_allclose(found.vectors[0], alone(tiny, ["w3 w1 w2"]), atol=1e-5)
    assert found.missing.tolist() == [False, True]


def test_text_is_asked_for_once(tiny: Path):
    for wrong in ({}, {"columns": ("a",), "template": "{a}"}, {"template": "a"}, {"template": "{a"}, {"columns": ()}):
        with pytest.raises(ValidationError):
            TextParams(model="m", **wrong)
    assert TextParams(model="m", template="{a}").columns is None


def test_the_end_of_text_is_added_where_the_tokenizer_does_not(tiny: Path, tmp_path: Path):
    for file in tiny.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    bare = PreTrainedTokenizerFast.from_pretrained(tiny)
    bare.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    bare.save_pretrained(tmp_path)
    with pytest.raises(RunError, match=r"RP605 .* its tokenizer has no end-of-text token"):
        encode(tmp_path, LONG, eos=True)
    bare.eos_token = "[SEP]"
    bare.save_pretrained(tmp_path)
    by_itself = encode(tmp_path, ["w1 w2 [SEP]", "w1", *LONG], **RAW, max_tokens=8, pooling="last")
    added = encode(tmp_path, ["w1 w2 [SEP]", "w1 [SEP]", *LONG], **RAW, max_tokens=8, pooling="last", eos=True)
    np.testing.assert_allclose(added.vectors[0], by_itself.vectors[0], atol=1e-5)
    assert np.abs(added.vectors[2:] - by_itself.vectors[2:]).min(axis=1).max() > 0
    # Cut texts end with it too: seven words and the end.
    cut = encode(tmp_path, [f"{' '.join(WORDS[:7])} [SEP]"], **RAW, pooling="last")
    np.testing.assert_allclose(added.vectors[2], cut.vectors[0], atol=1e-5)
    chunks = encode(tmp_path, [LONG[2], LONG[0]], **RAW, max_tokens=8, pooling="last", eos=True, long="chunks")
    np.testing.assert_allclose(chunks.vectors[0], cut.vectors[0], atol=1e-5)
    assert np.isfinite(chunks.vectors).all()


def test_ids_of_any_kind_and_columns_that_are_lists(tiny: Path):
    ids = IdMap(pl.Series([1, 2]))
    data = dataset([("u", 1), ("u", 2)]).revise(items=Table(ids, pl.DataFrame({"tags": [["w1", "w2"], ["w3"]]})))
    found = Text(TextParams(model=str(tiny), columns=("tags",), **RAW)).encode(data, context())
    np.testing.assert_allclose(found.vectors[0], alone(tiny, ["w1 w2"]), atol=1e-5)
