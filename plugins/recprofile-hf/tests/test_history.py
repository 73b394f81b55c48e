"""`hf/history` on a tiny random BERT, made here: which events a user's text is of, and in which space it lies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from pydantic import ValidationError
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from recprofile.plugin import DataError, Dataset, Encoded, IdMap, PositiveRule, Table
from recprofile.testing import EncoderTests, context, dataset, toy
from recprofile_hf import History, HistoryParams, Text, TextParams
from recprofile_hf.texts import item_texts

WORDS = ["[PAD]", "[UNK]", "[CLS]", "red", "blue", "planet", "moon", "quiet", "river", "song", ";", ":", "liked"]
RAW = {"centre": False, "normalise": False}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    made = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(folder)
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        initializer_range=0.5,
    )
    BertModel(shape).save_pretrained(folder)
    return folder


class TestHistory(EncoderTests):
    component = History

    @pytest.fixture(autouse=True)
    def _examples(self, tiny: Path) -> Iterator[None]:
        type(self).examples = [
            {"model": str(tiny), "columns": ["title"]},
            {"model": str(tiny), "template": "{title} ({year})", "events": 2, "positive_only": False, "dim": 2},
            {"model": str(tiny), "columns": ["title", "genres"], "newest_first": False, "whiten": True},
        ]
        yield
        type(self).examples = ({},)


def history(model: Path, **params: Any) -> History:
    return History(HistoryParams(model=str(model), **{"columns": ("title",), **params}))


def encoded(model: Path, data: Dataset, *, ctx: dict[str, Any] | None = None, **params: Any) -> Encoded:
    return history(model, **params).encode(data, context(**(ctx or {})))


def read(model: Path, data: Dataset, **params: Any) -> list[str]:
    made = history(model, **params)
    return made._user_texts(item_texts(data, made.params), data).to_list()


def by_loops(data: Dataset, texts: list[str], *, events: int, positive_only: bool, newest_first: bool) -> list[str]:
    found = []
    train = data.train
    assert train.time is not None
    for user in range(data.n_users):
        rows = [n for n in range(len(train)) if train.user[n] == user and (train.positive[n] or not positive_only)]
        rows = sorted((n for n in rows if texts[train.item[n]]), key=lambda n: (train.time[n], n))
        last: dict[int, int] = {}
        for at, n in enumerate(rows):
            last[int(train.item[n])] = at
        items = sorted(last, key=lambda item: last[item])[-events:]
        found.append("; ".join(texts[item] for item in (items[::-1] if newest_first else items)))
    return found


@pytest.mark.parametrize("signs", [{"positive_only": True}, {"positive_only": False}])
@pytest.mark.parametrize("order", [{"newest_first": True}, {"newest_first": False}])
@pytest.mark.parametrize("events", [1, 3, 100])
def test_a_users_text_is_of_their_latest_items_each_once(
    tiny: Path, events: int, order: dict[str, bool], signs: dict[str, bool]
):
    rng = np.random.default_rng(0)
    log = [
        (f"u{rng.integers(9)}", f"i{rng.integers(7)}", int(rng.integers(1, 6)), int(rng.integers(5))) for _ in range(90)
    ]
    titles = ["red", "moon", None, "river", "song", " ", "planet"]
    data = dataset(
        log,
        items={"id": [f"i{n}" for n in range(7)], "title": titles},
        users={"id": ["u0", "lonely"]},
        positive=PositiveRule(">=", 4),
    )
    how: dict[str, Any] = {"events": events, **order, **signs}
    texts = [(title or "").strip() for title in titles]
    assert read(tiny, data, **how) == by_loops(data, texts, **how)


def test_a_user_is_what_the_model_makes_of_the_text(tiny: Path):
    found = encoded(tiny, toy(), user_prefix="liked: ", **RAW)
    bert = BertModel.from_pretrained(tiny).eval()
    words = PreTrainedTokenizerFast.from_pretrained(tiny)
    with torch.inference_mode():
        ids = torch.tensor([words("liked: blue planet; red moon; red planet")["input_ids"]])
        by_hand = bert(input_ids=ids).last_hidden_state[0].mean(dim=0).numpy()
    assert found.users is not None
    np.testing.assert_allclose(found.users.vectors[1], by_hand, atol=1e-5)  # u2 liked i1, i2, i3, in this order


def test_items_are_those_of_hf_text(tiny: Path):
    how: dict[str, Any] = {"template": "{title}: {year}", "prefix": "quiet ", "whiten": True, "dim": 2}
    alone = Text(TextParams(model=str(tiny), **how)).encode(toy(), context())
    both = encoded(tiny, toy(), columns=None, **how)
    assert both.items is not None
    np.testing.assert_allclose(both.items.vectors, alone.vectors, atol=1e-3)
    np.testing.assert_array_equal(both.items.missing, alone.missing)


def test_users_are_about_their_own_mean_in_the_items_directions(tiny: Path):
    raw = encoded(tiny, toy(), **RAW)
    found = encoded(tiny, toy(), dim=3, normalise=False)
    assert raw.users is not None
    assert raw.items is not None
    assert found.users is not None
    there = ~found.users.missing
    assert there.tolist() == [True, True, True, True, True, False]
    known = raw.items.vectors[:5].astype(np.float64)
    _, axes = np.linalg.eigh(np.cov(known.T))
    axes = axes[:, ::-1][:, :3]
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(3)])
    moved = (raw.users.vectors - raw.users.vectors[there].mean(axis=0)) @ axes
    np.testing.assert_allclose(found.users.vectors[there], moved[there], atol=1e-4)


def test_users_without_events_or_whose_items_have_no_text_are_missing_and_counted(tiny: Path):
    data = dataset(
        [("a", 1, 1, 10), ("b", 2, 1, 20)],
        items={"id": [1, 2], "title": ["moon", None]},
        users={"id": ["a", "b", "c"]},
    )
    told: dict[str, Any] = {}
    found = encoded(tiny, data, ctx={"note": told.__setitem__}, centre=False)
    assert found.users is not None
    assert found.users.missing.tolist() == [False, True, True]
    assert not found.users.vectors[1:].any()
    assert told == {"users read": {"users": 1, "of": 3}}


def test_texts_are_kept_and_a_new_event_reads_its_user_alone(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    encoded(tiny, toy(), ctx={"store": tmp_path})
    seen: list[int] = []
    forward = BertModel.forward

    def counted(self: BertModel, input_ids: torch.Tensor, **more: Any) -> object:
        seen.append(len(input_ids))
        return forward(self, input_ids=input_ids, **more)

    monkeypatch.setattr(BertModel, "forward", counted)
    encoded(tiny, toy(), ctx={"store": tmp_path})
    assert seen == []
    data = toy()
    left = np.arange(len(data.train)) != 3  # the first of u2, whose text is then 'blue planet; red moon'
    encoded(tiny, data.revise(train=data.train.take(left), held=data.held[left]), ctx={"store": tmp_path})
    assert seen == [1]


def test_events_without_time_and_users_without_a_word_are_told(tiny: Path):
    with pytest.raises(DataError, match="RP406 'hf/history' needs events with a time"):
        encoded(tiny, dataset([("a", 1)], items={"id": [1], "title": ["moon"]}))
    data = dataset([("a", 1, 1, 10)], items={"id": [1, 2], "title": [None, "moon"]})
    with pytest.raises(DataError, match="RP505 no user has an event with an item that has text in 'title'"):
        encoded(tiny, data)


def test_parameters_out_of_range_are_refused():
    for wrong in ({"events": 0}, {"columns": None}, {"template": "{title}"}, {"template": "{title", "columns": None}):
        with pytest.raises(ValidationError):
            HistoryParams(**{"model": "m", "columns": ("title",), **wrong})


def test_emoji_and_chinese_are_read(tiny: Path):
    ids = IdMap(pl.Series(["i1"]))
    data = dataset([("a", "i1", 1, 5)]).revise(items=Table(ids, pl.DataFrame({"title": ["🎬 月球"]})))
    found = encoded(tiny, data, centre=False)
    assert found.users is not None
    assert found.users.vectors.any()
