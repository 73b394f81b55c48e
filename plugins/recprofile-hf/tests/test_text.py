"""`hf/text` on a tiny random BERT, made here: what is pooled, kept, cut and refused."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

import recprofile_hf.encoding
from recprofile.plugin import DataError, Dataset, Embeddings, RunError
from recprofile.testing import EncoderTests, context, dataset
from recprofile_hf import Text, TextParams

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "red",
    "blue",
    "planet",
    "moon",
    "quiet",
    "river",
    "song",
    "##s",
    "café",
    "月",
]
POSITIONS = 24
RAW = {"centre": False, "normalise": False}


def tokenizer(*, special: bool = True) -> PreTrainedTokenizerFast:
    made = Tokenizer(models.WordPiece({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(strip_accents=False)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    if special:
        ends = [("[CLS]", WORDS.index("[CLS]")), ("[SEP]", WORDS.index("[SEP]"))]
        made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]", pad_token="[PAD]", model_max_length=512)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers and 32 dimensions, with random weights large enough that words matter."""
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=POSITIONS,
        initializer_range=0.3,
    )
    BertModel(shape).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def copied(tiny: Path, tmp_path: Path) -> Path:
    """The same model, to be damaged."""
    folder = tmp_path / "model"
    folder.mkdir()
    for file in tiny.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


class TestText(EncoderTests):
    component = Text

    @pytest.fixture(autouse=True)
    def _examples(self, tiny: Path) -> Iterator[None]:
        type(self).examples = [
            {"model": str(tiny), "columns": ["title"]},
            {"model": str(tiny), "columns": ["title", "genres"], "pooling": "cls", "centre": False, "batch_tokens": 1},
            {"model": str(tiny), "columns": ["genres"], "pooling": "max", "normalise": False, "max_tokens": 8},
        ]
        yield
        type(self).examples = ({},)


def films(titles: Sequence[str | None]) -> Dataset:
    ids = [f"i{n:03d}" for n in range(len(titles))]
    return dataset([("u", id) for id in ids], items={"id": ids, "title": list(titles)})


def encode(
    model: Path, titles: Sequence[str | None], *, ctx: dict[str, Any] | None = None, **params: Any
) -> Embeddings:
    text = Text(TextParams(model=str(model), columns=("title",), **params))
    return text.encode(films(titles), context(**(ctx or {})))


def alone(model: Path, title: str) -> torch.Tensor:
    """Token vectors of one text by itself, without padding: (t, 32)."""
    bert = BertModel.from_pretrained(model).eval()
    ids = PreTrainedTokenizerFast.from_pretrained(model)(title)["input_ids"]
    with torch.inference_mode():
        return bert(input_ids=torch.tensor([ids])).last_hidden_state[0]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shape of each batch that goes into a BERT."""
    seen: list[tuple[int, ...]] = []
    forward = BertModel.forward

    def counted(self: BertModel, input_ids: torch.Tensor, **more: Any) -> object:
        seen.append(tuple(input_ids.shape))
        return forward(self, input_ids=input_ids, **more)

    monkeypatch.setattr(BertModel, "forward", counted)
    return seen


TITLES = ["red planet", "red moon", "blue planets", "quiet river song " * 4, "river", "月 café", "moon"]


@pytest.mark.parametrize("batch_tokens", [1, 13, 1024])
@pytest.mark.parametrize(
    ("pooling", "by_hand"),
    [
        ("mean", lambda tokens: tokens.mean(dim=0)),
        ("cls", lambda tokens: tokens[0]),
        ("max", lambda tokens: tokens.amax(dim=0)),
        ("last", lambda tokens: tokens[-1]),
    ],
)
def test_a_vector_is_that_of_the_text_run_alone(
    tiny: Path, pooling: str, by_hand: Callable[[torch.Tensor], torch.Tensor], batch_tokens: int
):
    vectors = encode(tiny, TITLES, pooling=pooling, batch_tokens=batch_tokens, **RAW).vectors
    expected = np.stack([by_hand(alone(tiny, title)).numpy() for title in TITLES])
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_batches_are_of_similar_length_and_within_their_tokens(tiny: Path, calls: list[tuple[int, ...]]):
    # Tokens with [CLS] and [SEP]: 6, 4, 4, 3, 3. Longest first, at most 12 with padding: 6; 4 + 4 and a padded 3; 3.
    encode(tiny, ["red moon", "red", "blue blue blue blue", "moon", "red red"], batch_tokens=12, **RAW)
    assert calls == [(2, 6), (3, 4)]


def test_centred_vectors_have_mean_zero(tiny: Path):
    found = encode(tiny, [*TITLES, None], normalise=False)
    np.testing.assert_allclose(found.vectors[:-1].mean(axis=0), 0, atol=1e-6)
    assert not found.vectors[-1].any()


def test_normalised_vectors_have_length_one(tiny: Path):
    for centre in (True, False):
        vectors = encode(tiny, TITLES, centre=centre).vectors
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_the_mean_is_over_items_and_not_over_different_texts(tiny: Path):
    raw = encode(tiny, ["moon", "moon", "moon", "river"], **RAW).vectors
    centred = encode(tiny, ["moon", "moon", "moon", "river"], normalise=False).vectors
    np.testing.assert_allclose(centred[0], raw[0] - (3 * raw[0] + raw[3]) / 4, atol=1e-6)


def test_equal_texts_are_encoded_once_and_have_equal_vectors(tiny: Path, calls: list[tuple[int, ...]]):
    vectors = encode(tiny, ["moon", "river", "moon", " moon "], batch_tokens=1).vectors
    assert len(calls) == 2
    np.testing.assert_array_equal(vectors[0], vectors[2])
    np.testing.assert_array_equal(vectors[0], vectors[3])


def test_items_without_text_are_missing_and_said(tiny: Path):
    said: list[str] = []
    found = encode(tiny, ["moon", None, "", " \t\n ", "river"], ctx={"warn": said.append})
    assert found.missing.tolist() == [False, True, True, True, False]
    assert not found.vectors[1:4].any()
    assert said == ["3 of 5 items have no text in 'title', and no vector"]


def test_a_text_of_which_no_token_is_left_is_missing(copied: Path):
    tokenizer(special=False).save_pretrained(copied)
    found = encode(copied, ["moon", "\x01", "river"])
    assert found.missing.tolist() == [False, True, False]
    with pytest.raises(DataError, match=r"RP505 the tokenizer of '.*' keeps nothing of any text in 'title'"):
        encode(copied, ["\x01", None])


def test_no_text_at_all_is_an_error(tiny: Path):
    with pytest.raises(DataError, match="RP505 no item has text in 'title'"):
        encode(tiny, [None, "", "  "])


def test_any_script_is_a_text(tiny: Path):
    found = encode(tiny, ["月", "café", "🎬 שלום مرحبا", "\u202emoon", "a" * 500])
    assert np.isfinite(found.vectors).all()
    assert not found.missing.any()


def test_a_text_of_100_000_characters_is_cut_and_controls_are_no_words(tiny: Path):
    found = encode(tiny, ["red moon " * 11_112, "red moon " * 12, "\x00\x07moon\x7f", "moon", "a" * 100_000], **RAW)
    np.testing.assert_array_equal(found.vectors[0], found.vectors[1])
    np.testing.assert_allclose(found.vectors[2], found.vectors[3], atol=1e-6)
    assert not found.missing.any()


def test_a_single_item_is_zero_once_centred_and_itself_otherwise(tiny: Path):
    assert not encode(tiny, ["moon"]).vectors.any()
    np.testing.assert_allclose(np.linalg.norm(encode(tiny, ["moon"], centre=False).vectors), 1, atol=1e-6)


def test_a_long_text_is_cut_after_max_tokens_and_said(tiny: Path):
    said: list[str] = []
    # [CLS] + 6 words + [SEP] are 8 tokens.
    found = encode(tiny, ["red " * 10, "red " * 6, "red"], max_tokens=8, ctx={"warn": said.append}, **RAW)
    np.testing.assert_array_equal(found.vectors[0], found.vectors[1])
    assert said == ["1 of 3 different texts were cut after 8 tokens ('max_tokens: 8')"]


def test_a_text_is_cut_to_what_the_model_takes(tiny: Path):
    said: list[str] = []
    encode(tiny, ["red " * 100, "red"], ctx={"warn": said.append})
    assert said == ["1 of 2 different texts were cut after 24 tokens (the model takes no more than 24 tokens)"]


def test_kept_vectors_are_not_made_again(tiny: Path, tmp_path: Path, calls: list[tuple[int, ...]]):
    said: list[str] = []
    ctx = {"store": tmp_path, "warn": said.append}
    first = encode(tiny, [*TITLES, "red " * 100], ctx=ctx)
    n = len(calls)
    again = encode(tiny, [*TITLES, "red " * 100], ctx=ctx)
    assert n > 0
    assert len(calls) == n
    np.testing.assert_array_equal(first.vectors, again.vectors)
    assert said[0] == said[1]  # a kept text still counts as cut
    assert len(said) == 2


def test_a_grown_catalogue_encodes_its_new_texts_only(tiny: Path, tmp_path: Path, calls: list[tuple[int, ...]]):
    ctx = {"store": tmp_path}
    encode(tiny, ["moon", "river"], ctx=ctx)
    calls.clear()
    grown = encode(tiny, ["river", "song", "moon"], ctx=ctx, **RAW)
    assert calls == [(1, 3)]
    np.testing.assert_allclose(grown.vectors, encode(tiny, ["river", "song", "moon"], **RAW).vectors, atol=1e-5)
    calls.clear()
    encode(tiny, ["moon", "song"], ctx=ctx)
    assert calls == []


def test_raw_vectors_are_kept_so_that_centring_may_change(tiny: Path, tmp_path: Path, calls: list[tuple[int, ...]]):
    ctx = {"store": tmp_path}
    encode(tiny, TITLES, ctx=ctx)
    calls.clear()
    np.testing.assert_array_equal(encode(tiny, TITLES, ctx=ctx, **RAW).vectors, encode(tiny, TITLES, **RAW).vectors)


@pytest.mark.parametrize("change", [{"pooling": "max"}, {"max_tokens": 9}])
def test_other_settings_have_vectors_of_their_own(
    tiny: Path, tmp_path: Path, calls: list[tuple[int, ...]], change: dict[str, Any]
):
    encode(tiny, TITLES, ctx={"store": tmp_path})
    calls.clear()
    encode(tiny, TITLES, ctx={"store": tmp_path}, **change)
    assert calls


def test_another_model_of_the_same_size_has_vectors_of_its_own(tiny: Path, copied: Path, tmp_path: Path):
    store = {"store": tmp_path / "store"}
    before = encode(copied, TITLES, ctx=store, **RAW).vectors
    other = BertModel.from_pretrained(copied)
    with torch.no_grad():
        other.embeddings.word_embeddings.weight.mul_(-1)
    other.save_pretrained(copied)
    assert not np.allclose(encode(copied, TITLES, ctx=store, **RAW).vectors, before, atol=1e-3)


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[:-20], lambda b: b"", lambda b: b[:200] + bytes([b[200] ^ 1]) + b[201:]],
    ids=["cut short", "empty", "one bit"],
)
def test_damaged_kept_vectors_are_said_and_made_again(
    tiny: Path, tmp_path: Path, calls: list[tuple[int, ...]], damage: Callable[[bytes], bytes]
):
    said: list[str] = []
    ctx = {"store": tmp_path, "warn": said.append}
    first = encode(tiny, TITLES, ctx=ctx)
    (file,) = tmp_path.rglob("*.parquet")
    file.write_bytes(damage(file.read_bytes()))
    calls.clear()
    np.testing.assert_array_equal(encode(tiny, TITLES, ctx=ctx).vectors, first.vectors)
    assert calls
    assert said == [f"kept vectors are damaged, and are made again: {file}"]
    calls.clear()
    encode(tiny, TITLES, ctx=ctx)
    assert (calls, len(said)) == ([], 1)


def test_two_writers_of_the_same_texts_do_no_harm(tiny: Path, tmp_path: Path, calls: list[tuple[int, ...]]):
    encode(tiny, TITLES, ctx={"store": tmp_path / "a"})
    encode(tiny, [*TITLES, "song"], ctx={"store": tmp_path / "b"})
    for file in (tmp_path / "b").rglob("*.parquet"):
        (tmp_path / "a" / file.relative_to(tmp_path / "b")).write_bytes(file.read_bytes())
    calls.clear()
    found = encode(tiny, [*TITLES, "song"], ctx={"store": tmp_path / "a"})
    assert calls == []
    np.testing.assert_allclose(found.vectors, encode(tiny, [*TITLES, "song"]).vectors, atol=1e-5)


def test_an_interrupted_run_keeps_what_it_made_and_ends_in_the_same_bits(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: list[tuple[int, ...]]
):
    monkeypatch.setattr("recprofile_hf.networks.threads", lambda: 1)  # batches one after the other
    whole = encode(tiny, TITLES, batch_tokens=10).vectors
    batches = calls.copy()
    forward = BertModel.forward

    def stopped(self: BertModel, *inputs: Any, **more: Any) -> object:
        if len(calls) - len(batches) == 2:
            raise KeyboardInterrupt
        return forward(self, *inputs, **more)

    with monkeypatch.context() as patch:
        patch.setattr(BertModel, "forward", stopped)
        with pytest.raises(KeyboardInterrupt):
            encode(tiny, TITLES, batch_tokens=10, ctx={"store": tmp_path})
    np.testing.assert_array_equal(encode(tiny, TITLES, batch_tokens=10, ctx={"store": tmp_path}).vectors, whole)
    assert calls[len(batches) :] == batches


def test_vectors_are_kept_while_the_work_goes_on(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recprofile_hf.encoding, "FLUSH_SECONDS", -1.0)
    encode(tiny, ["moon", "red river"], batch_tokens=1, ctx={"store": tmp_path})
    assert len(list(tmp_path.rglob("*.parquet"))) == 2
    assert list(tmp_path.rglob(".new-*")) == []


def test_a_store_that_cannot_be_written_is_said_and_no_more(tiny: Path, tmp_path: Path):
    said: list[str] = []
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    encode(tiny, TITLES, ctx={"store": blocked, "warn": said.append})
    assert len(said) == 1
    assert said[0].startswith("vectors could not be kept for the next run: ")


def test_a_batch_that_does_not_fit_is_halved_and_said_once(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, calls: list[tuple[int, ...]]
):
    expected = encode(tiny, TITLES).vectors
    calls.clear()
    forward = BertModel.forward

    def small(self: BertModel, input_ids: torch.Tensor, **more: Any) -> object:
        if input_ids.numel() > 30:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, input_ids=input_ids, **more)

    monkeypatch.setattr(BertModel, "forward", small)
    said: list[str] = []
    found = encode(tiny, TITLES, ctx={"warn": said.append})
    np.testing.assert_allclose(found.vectors, expected, atol=1e-5)
    assert max(rows * tokens for rows, tokens in calls) <= 30
    assert said == ["'batch_tokens: 1024' does not fit into memory; batches were made smaller"]


def test_a_single_text_that_does_not_fit_is_an_error(tiny: Path, monkeypatch: pytest.MonkeyPatch):
    def full(self: BertModel, **more: Any) -> object:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:113] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(BertModel, "forward", full)
    with pytest.raises(RunError, match="RP604 a text of 14 tokens does not fit into memory"):
        encode(tiny, TITLES)


def test_any_other_failure_of_the_model_keeps_its_type(tiny: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(self: BertModel, **more: Any) -> object:
        raise RuntimeError("broken")

    monkeypatch.setattr(BertModel, "forward", broken)
    with pytest.raises(RuntimeError, match=r"^broken$"):
        encode(tiny, TITLES)


def test_progress_counts_different_texts(tiny: Path, tmp_path: Path):
    seen: list[tuple[int, int, str]] = []
    ctx = {"store": tmp_path, "report": lambda *at: seen.append(at)}
    encode(tiny, ["moon", "moon", "river"], ctx=ctx)
    assert (seen[0], seen[-1]) == ((0, 2, "texts"), (2, 2, "texts"))
    seen.clear()
    encode(tiny, ["moon", "river", "song"], ctx=ctx)
    assert seen == [(0, 3, "texts"), (2, 3, "texts"), (3, 3, "texts")]


def test_half_precision_is_refused_on_a_cpu_that_does_not_multiply_it(tiny: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False})
    needed = "a cuda device, or a processor that multiplies bfloat16 .AVX512-BF16, AMX., and this stage runs on 'cpu'"
    with pytest.raises(RunError, match=f"RP603 'precision: bf16' needs {needed}"):
        encode(tiny, TITLES, precision="bf16")
    with pytest.raises(RunError, match="RP603 'precision: fp16' needs a cuda device, and this stage runs on 'cpu'"):
        encode(tiny, TITLES, precision="fp16")


def test_bfloat16_on_a_cpu_that_multiplies_it_is_held_against_float32(tiny: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})  # without, torch takes longer
    told: dict[str, Any] = {}
    half = encode(tiny, TITLES, precision="bf16", ctx={"note": told.__setitem__}).vectors
    full = encode(tiny, TITLES).vectors
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, full, atol=0.1)
    assert np.abs(half - full).max() > 1e-5
    found = told["agreement with torch"]
    assert found["texts"] == len(set(TITLES))
    assert 0.99 < found["worst cosine"] <= found["mean cosine"] < 1


@pytest.mark.parametrize("workers", [1, 2])
def test_each_thread_does_batches_by_itself_and_the_number_of_threads_changes_no_bit(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, workers: int
):
    texts = [f"{title} {n}" for n in range(40) for title in TITLES]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    expected = encode(tiny, texts, batch_tokens=64, **RAW)
    seen: list[tuple[int, int]] = []
    forward = BertModel.forward

    def counted(self: BertModel, **more: Any) -> object:
        seen.append((threading.get_ident(), torch.get_num_threads()))
        time.sleep(0.001)  # long enough for another thread to take a batch
        return forward(self, **more)

    monkeypatch.setattr(BertModel, "forward", counted)
    monkeypatch.setattr("recprofile_hf.networks.threads", lambda: workers)
    try:
        found = encode(tiny, texts, batch_tokens=64, **RAW)
        assert ({count for _, count in seen}, torch.get_num_threads()) == ({1}, 2)
    finally:
        torch.set_num_threads(before)
    assert len({thread for thread, _ in seen}) == workers
    assert np.array_equal(found.vectors, expected.vectors)


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 0.1), ("fp16", 0.02)])
def test_a_gpu_gives_what_the_cpu_gives(tiny: Path, precision: str, tolerance: float):
    # TF32 and the order of sums differ in fp32; bf16 and fp16 keep 8 and 11 bits of values of about 1.
    found = encode(tiny, TITLES, precision=precision, ctx={"device": "cuda:0"}, **RAW)
    np.testing.assert_allclose(found.vectors, encode(tiny, TITLES, **RAW).vectors, atol=tolerance)


def rewritten(name: str, **changes: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        held = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**held, **changes}))

    return damage


def shortened(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def without_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def with_pickled_weights(folder: Path) -> None:
    torch.save(BertModel.from_pretrained(folder).state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def with_nan(folder: Path) -> None:
    model = BertModel.from_pretrained(folder)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight[4] = torch.nan
    model.save_pretrained(folder)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "config.json").unlink(), "its folder has no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "it looks like the config file at"),
        (rewritten("config.json", model_type="nonsense"), "the checkpoint you are trying to load has model type"),
        (rewritten("config.json", auto_map={"AutoConfig": "own.C"}, model_type="own"), "contains custom code"),
        (rewritten("config.json", hidden_size=64), "its weights are of another size than config.json says, as '"),
        (rewritten("config.json", num_hidden_layers=3), "its weights lack 16 parts, as 'encoder.layer.2"),
        (without_tokenizer, "its folder has no tokenizer"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "added_tokens"),
        (lambda folder: (folder / "tokenizer.json").write_text('{"added_tokens": [], "model": {}}'), "did not match"),
        (shortened, "incomplete metadata"),
        (with_pickled_weights, "its folder has no weights in safetensors"),
    ],
    ids=[
        "no config", "broken config", "unknown type", "own code", "other size", "more layers", "no tokenizer",
        "empty tokenizer", "broken tokenizer", "cut weights", "pickled weights",
    ],
)  # fmt: skip
def test_a_folder_that_holds_no_whole_model_is_refused(
    copied: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None], said: str
):
    damage(copied)
    capsys.readouterr()  # the damage itself may load and save
    with pytest.raises(RunError) as error:
        encode(copied, TITLES)
    (problem,) = error.value.problems
    assert problem.code == "RP605"
    assert problem.message.startswith(f"the model '{copied}' cannot be used: ")
    assert said in problem.message
    assert capsys.readouterr() == ("", "")


def test_models_of_images_are_refused(tmp_path: Path):
    from transformers import CLIPConfig, CLIPModel, ViTConfig, ViTModel

    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    vision = {**small, "image_size": 32, "patch_size": 16}
    both = CLIPConfig(text_config={**small, "vocab_size": len(WORDS)}, vision_config=vision, projection_dim=8)
    for folder, model in (("vit", ViTModel(ViTConfig(**vision))), ("clip", CLIPModel(both))):
        model.save_pretrained(tmp_path / folder)
        with pytest.raises(RunError, match=r"RP605 .* its folder has no tokenizer"):
            encode(tmp_path / folder, TITLES)
        tokenizer().save_pretrained(tmp_path / folder)
        name = type(model).__name__
        with pytest.raises(RunError, match=f"RP605 .* cannot be used: it is no text model, but {name}"):
            encode(tmp_path / folder, TITLES)


def test_a_path_that_is_no_folder_is_refused(tmp_path: Path):
    with pytest.raises(RunError, match=r"RP605 the model '.*nowhere' cannot be used: it is not a folder"):
        encode(tmp_path / "nowhere", TITLES)
    with pytest.raises(RunError, match=r"RP605 the model '.*nowhere' cannot be "):
        encode(tmp_path / "nowhere", TITLES, ctx={"store": tmp_path})


def test_a_tokenizer_that_knows_more_than_the_model_is_refused(copied: Path):
    larger = tokenizer()
    larger.add_tokens(["extra"])
    larger.save_pretrained(copied)
    with pytest.raises(RunError, match="its tokenizer has the token 14, and its weights are for 14 tokens"):
        encode(copied, ["extra moon"])


def test_vectors_that_are_not_finite_are_refused_and_not_kept(copied: Path, tmp_path: Path):
    with_nan(copied)
    with pytest.raises(RunError, match=r"RP601 the model '.*' gave a vector that is not finite"):
        encode(copied, ["red"], ctx={"store": tmp_path / "store"})
    assert list((tmp_path / "store").rglob("*.parquet")) == []


def test_loading_says_nothing_and_leaves_the_settings_of_transformers(tiny: Path, capsys: pytest.CaptureFixture[str]):
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    encode(tiny, TITLES)
    assert capsys.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_a_model_with_a_decoder_is_used_for_its_encoder(tmp_path: Path):
    from transformers import T5Config, T5Model

    torch.manual_seed(0)
    shape = T5Config(vocab_size=len(WORDS), d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    T5Model(shape).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    assert encode(tmp_path, TITLES).vectors.shape == (len(TITLES), 16)


def test_parameters_out_of_range_are_refused():
    for wrong in ({"max_tokens": 7}, {"columns": ()}, {"batch_tokens": 0}, {"pooling": "sum"}, {"model": ""}):
        with pytest.raises(ValidationError):
            TextParams(**{"model": "m", "columns": ("title",), **wrong})
