"""`hf/text` in ONNX Runtime and OpenVINO, in 8 bits, and on several devices: held against torch on one."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from recprofile.plugin import Embeddings, RunError
from recprofile.testing import context, dataset
from recprofile_hf import Text, TextParams, agreement, runtimes
from recprofile_hf.encoding import Settings
from recprofile_hf.loading import load
from recprofile_hf.model import TextModel
from recprofile_hf.networks import Network, on_devices

WORDS = [f"w{n}" for n in range(60)]
RAW = {"centre": False, "normalise": False}


def needing(backend: str) -> object:
    lacking = [name for name in runtimes.PACKAGES[backend] if find_spec(name) is None]
    return pytest.param(backend, marks=pytest.mark.skipif(bool(lacking), reason=f"not installed: {lacking}"))


BACKENDS = [needing("onnx"), needing("openvino")]
needs_onnx = pytest.mark.parametrize("backend", BACKENDS[:1])


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers and 64 dimensions with random weights, whose words are w0 to w59."""
    folder = tmp_path_factory.mktemp("small")
    vocabulary = {word: n for n, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="[UNK]", pad_token="[PAD]", model_max_length=40
    ).save_pretrained(folder)
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=40,
        initializer_range=0.1,
    )
    BertModel(shape).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def graph(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the model's graph, made once, for that takes seconds."""
    from recprofile_hf.backend import text_model

    folder = tmp_path_factory.mktemp("graph")
    for backend, packages in runtimes.PACKAGES.items():
        if not any(find_spec(name) is None for name in packages):
            asked = Settings(str(small), 256, 40, "mean", backend=backend)
            with text_model(small, settings=asked, ctx=context(store=folder), check=None):
                break
    return folder


@pytest.fixture
def store(graph: Path, tmp_path: Path) -> Path:
    """That store, for one test."""
    shutil.copytree(graph, tmp_path, dirs_exist_ok=True)
    return tmp_path


def texts(n: int) -> list[str]:
    """Of 1 to 12 words; all differ."""
    rng = np.random.default_rng(1)
    return [" ".join([WORDS[at % 60], *rng.choice(WORDS, at % 12)]) + f" w{at // 60}" for at in range(n)]


TEXTS = texts(50)


def encode(model: Path, titles: Sequence[str], *, ctx: dict[str, Any] | None = None, **params: Any) -> Embeddings:
    ids = [f"i{n:03d}" for n in range(len(titles))]
    data = dataset([("u", ids[0])], items={"id": ids, "title": list(titles)})
    return Text(TextParams(model=str(model), columns=("title",), **params)).encode(data, context(**(ctx or {})))


def cosines(a: Embeddings, b: Embeddings) -> np.ndarray:
    return (a.vectors * b.vectors).sum(axis=1)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("pooling", "batch_tokens"), [("mean", 1024), ("max", 30), ("cls", 1)])
def test_another_backend_gives_the_vectors_of_torch(
    small: Path, backend: str, pooling: str, batch_tokens: int, store: Path
):
    how = {"pooling": pooling, "batch_tokens": batch_tokens, **RAW}
    found = encode(small, TEXTS, backend=backend, ctx={"store": store}, **how)
    np.testing.assert_allclose(found.vectors, encode(small, TEXTS, **how).vectors, atol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_agreement_is_told_and_told_again_when_nothing_is_left_to_encode(
    small: Path, backend: str, store: Path, monkeypatch: pytest.MonkeyPatch
):
    told: dict[str, Any] = {}
    ctx = {"store": store, "note": told.__setitem__}
    first = encode(small, TEXTS, backend=backend, ctx=ctx)
    facts = {"texts": 50, "mean cosine": 1.0, "worst cosine": 1.0, "10 nearest kept": 1.0}
    assert told == {"agreement with torch": pytest.approx(facts, abs=1e-4)}
    told.clear()
    monkeypatch.setattr("recprofile_hf.backend.load", None)  # not called
    again = encode(small, TEXTS, backend=backend, ctx=ctx)
    assert told == {"agreement with torch": pytest.approx(facts, abs=1e-4)}
    np.testing.assert_array_equal(first.vectors, again.vectors)


@needs_onnx
def test_a_grown_catalogue_is_held_against_torch_again_where_the_sample_was_smaller(
    small: Path, backend: str, store: Path
):
    told: list[Any] = []
    ctx = {"store": store, "note": lambda _, facts: told.append(facts["texts"])}
    for n in (5, 30, 20):
        encode(small, TEXTS[:n], backend=backend, ctx=ctx)
    assert told == [5, 30, 30]


@pytest.mark.parametrize("held", ["", "{", "[]", '{"texts": 900}'])
def test_an_agreement_that_cannot_be_read_is_measured_again(tmp_path: Path, held: str):
    (tmp_path / agreement.FILE).write_text(held)
    assert agreement.kept_agreement(tmp_path, least=1) is None


def test_an_agreement_is_kept_as_it_was_and_serves_no_larger_sample(tmp_path: Path):
    found = agreement.Agreement(50, 0.99, 0.98, None)
    agreement.keep_agreement(found, tmp_path / "new")
    assert agreement.kept_agreement(tmp_path / "new", least=50) == found
    assert agreement.kept_agreement(tmp_path / "new", least=51) is None
    assert [path.name for path in (tmp_path / "new").iterdir()] == [agreement.FILE]


@needs_onnx
def test_torch_notes_no_agreement_and_shares_no_vectors(small: Path, backend: str, store: Path):
    told: dict[str, Any] = {}
    ctx = {"store": store, "note": told.__setitem__}
    encode(small, TEXTS, ctx=ctx)
    assert told == {}
    encode(small, TEXTS, backend=backend, ctx=ctx)
    assert len(list((store / "hf-text").iterdir())) == 2


@needs_onnx
def test_the_graph_is_made_once_and_a_damaged_one_again(small: Path, backend: str, store: Path):
    said: list[str] = []
    ctx = {"store": store, "warn": said.append}
    encode(small, TEXTS[:5], backend=backend, ctx=ctx)
    (graph,) = store.glob("hf-onnx/*/model.onnx")
    made = graph.stat().st_mtime_ns
    encode(small, TEXTS[:9], backend=backend, ctx=ctx)
    assert (graph.stat().st_mtime_ns, said) == (made, [])
    graph.write_bytes(graph.read_bytes()[:-9])
    encode(small, TEXTS[:12], backend=backend, ctx=ctx)
    assert said == [f"the exported model is damaged, and is made again: {graph.parent}"]
    assert [path.name for path in graph.parent.parent.iterdir()] == [graph.parent.name]


@needs_onnx
def test_a_store_that_cannot_take_the_graph_is_an_error(small: Path, backend: str, tmp_path: Path):
    (tmp_path / "hf-onnx").write_text("in the way")
    with pytest.raises(RunError, match="RP606 the exported model cannot be written: "):
        encode(small, TEXTS, backend=backend, ctx={"store": tmp_path})


@pytest.mark.parametrize("backend", BACKENDS)
def test_without_a_store_nothing_is_left_behind(
    small: Path, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    encode(small, TEXTS[:3], backend=backend)
    assert list(tmp_path.iterdir()) == []


@needs_onnx
def test_eight_bits_agree_roughly_and_have_vectors_of_their_own(small: Path, backend: str, store: Path):
    told: dict[str, Any] = {}
    ctx = {"store": store, "note": told.__setitem__}
    plain = encode(small, TEXTS, backend=backend, ctx=ctx, centre=False)
    short = encode(small, TEXTS, backend=backend, ctx=ctx, centre=False, precision="int8")
    facts = told["agreement with torch"]
    assert 0.95 < facts["worst cosine"] < facts["mean cosine"] < 0.99999
    assert 0.5 < facts["10 nearest kept"] <= 1
    # The sample is all texts, in another order and other batches.
    np.testing.assert_allclose(cosines(short, plain).min(), facts["worst cosine"], atol=0.01)
    sizes = sorted(path.stat().st_size for path in store.glob("hf-onnx/*/model.onnx"))
    assert len(sizes) == 2
    assert list(store.glob("hf-onnx/*/*.fp32*")) == []


@needs_onnx
def test_below_the_floor_nothing_is_encoded_or_kept(
    small: Path, backend: str, store: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(agreement.FLOORS, "int8", 0.99999)
    with pytest.raises(
        RunError, match=r"RP601 .* is too far from torch: of 50 texts, the worst cosine is 0\.9"
    ) as error:
        encode(small, TEXTS, backend=backend, precision="int8", ctx={"store": store})
    assert error.value.problems[0].help == ("leave 'precision' at fp32 for this model",)
    assert list((store / "hf-text").glob("*/*")) == []


@needs_onnx
def test_texts_without_a_token_are_missing_in_any_backend(small: Path, backend: str, store: Path):
    found = encode(small, ["w1 w2", " ", "\x01", "w3"], backend=backend, ctx={"store": store})
    assert found.missing.tolist() == [False, True, False, False]  # a control character is [UNK] to this tokenizer


@needs_onnx
def test_exporting_says_nothing_and_leaves_no_logger_changed(
    small: Path, backend: str, capsys: pytest.CaptureFixture[str]
):
    before = logging.getLogger("torch.onnx").level, list(logging.getLogger().handlers)
    encode(small, TEXTS[:3], backend=backend, precision="int8")
    assert capsys.readouterr() == ("", "")
    assert (logging.getLogger("torch.onnx").level, list(logging.getLogger().handlers)) == before


@needs_onnx
def test_a_model_that_torch_cannot_export_is_refused(small: Path, backend: str, monkeypatch: pytest.MonkeyPatch):
    forward = BertModel.forward

    def by_value(self: BertModel, input_ids: torch.Tensor, **more: Any) -> object:
        return forward(self, input_ids=input_ids if input_ids.sum() > 3 else input_ids + 1, **more)

    monkeypatch.setattr(BertModel, "forward", by_value)
    with pytest.raises(RunError, match=r"RP605 the model '.*' cannot be used: torch cannot export it to ONNX"):
        encode(small, TEXTS, backend=backend)


def test_a_backend_that_is_not_installed_is_an_error_that_says_how(small: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(runtimes.PACKAGES, "openvino", ("no-such-package", "torch"))
    with pytest.raises(RunError, match="RP601 'backend: openvino' needs no-such-package, which this") as error:
        encode(small, TEXTS, backend="openvino")
    assert error.value.problems[0].help == ("pip install 'recprofile-hf[openvino]'",)


def test_other_backends_are_for_the_cpu(small: Path):
    with pytest.raises(RunError, match="RP603 'backend: onnx' needs the cpu, and this stage runs on 'cuda:0'"):
        encode(small, TEXTS, backend="onnx", ctx={"device": "cuda:0"})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"precision": "int8"}, "'precision: int8' needs 'backend: onnx', and it is torch"),
        ({"precision": "int8", "backend": "openvino"}, "'precision: int8' needs 'backend: onnx', and it is openvino"),
        ({"precision": "bf16", "backend": "onnx"}, "'precision: bf16' needs 'backend: torch', and it is onnx"),
        ({"precision": "fp16", "backend": "openvino"}, "'precision: fp16' needs 'backend: torch', and it is openvino"),
        ({"devices": 2, "backend": "onnx"}, "'devices: 2' needs 'backend: torch', and it is onnx"),
        ({"devices": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(wrong: dict[str, Any], said: str):
    with pytest.raises(ValidationError, match=said):
        TextParams(model="m", columns=("title",), **wrong)


def test_agreement_is_what_loops_over_texts_count():
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(40, 6)).astype(np.float32) + 1
    vectors = reference + rng.normal(scale=0.3, size=(40, 6)).astype(np.float32)

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    def nearest(of: np.ndarray, at: int) -> set[int]:
        flat = of - of.mean(axis=0)
        others = [n for n in range(len(of)) if n != at]
        return set(sorted(others, key=lambda n: -cosine(flat[at], flat[n]))[:10])

    each = [cosine(a, b) for a, b in zip(vectors, reference, strict=True)]
    shared = [len(nearest(vectors, at) & nearest(reference, at)) / 10 for at in range(40)]
    found = agreement.agreement(vectors, reference)
    assert (found.texts, found.mean, found.worst) == (40, pytest.approx(np.mean(each)), pytest.approx(min(each)))
    assert found.neighbours == pytest.approx(np.mean(shared), abs=1e-4)
    assert 0.2 < found.neighbours < 0.95


@pytest.mark.parametrize("n", [1, 2, 20])
def test_of_few_texts_no_neighbours_are_told(n: int):
    vectors = np.eye(n, 20, dtype=np.float32)
    assert agreement.agreement(vectors, vectors).facts == {"texts": n, "mean cosine": 1.0, "worst cosine": 1.0}


def test_a_sample_goes_from_the_shortest_to_the_longest_and_hangs_on_no_order():
    import polars as pl

    all_texts = pl.Series(["x" * n for n in range(1, 1025)])
    sample = agreement.sample_of(all_texts)
    assert (len(sample), sample[0], sample[-1]) == (256, "x", "x" * 1024)
    assert agreement.sample_of(all_texts.reverse()).to_list() == sample.to_list()
    assert agreement.sample_of(all_texts[:3]).to_list() == ["x", "xx", "xxx"]


def settings(model: Path) -> Settings:
    return Settings(str(model), 256, 40, "mean")


def vectors(model: TextModel, titles: Sequence[str], warn: Callable[[str], None] = print) -> list[np.ndarray]:
    return [part.vectors for _, part in model.encode(titles, batch_tokens=40, warn=warn)]


def on_cpus(model: Path, n: int) -> TextModel:
    loaded = load(model, settings(model))
    return TextModel.of(loaded, on_devices(loaded, ["cpu"] * n, pooling="mean"))


def test_several_devices_give_the_same_batches_in_the_same_order(small: Path):
    shared = on_cpus(small, 3)
    assert len({id(network.model) for network in shared.networks}) == 3
    for ours, theirs in zip(vectors(shared, texts(400)), vectors(on_cpus(small, 1), texts(400)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_device_does_one_batch_at_a_time_and_all_have_some(small: Path):
    import threading

    # Each waits in its first batch until all three are in theirs: with two at work, this would break.
    together = threading.Barrier(3, timeout=60)
    shared = on_cpus(small, 3)
    at_work: list[int] = []

    class Waiting:
        def __init__(self, network: Network) -> None:
            self.network, self.busy, self.batches = network, False, 0

        def __call__(self, *batch: Any) -> np.ndarray:
            assert not self.busy
            self.busy, self.batches = True, self.batches + 1
            if self.batches == 1:
                together.wait()
            at_work.append(id(self))
            found = self.network(*batch)
            self.busy = False
            return found

    networks = [Waiting(network) for network in shared.networks]
    vectors(TextModel(**{**vars(shared), "networks": networks}), texts(100))
    assert len(set(at_work)) == 3


def test_what_fails_on_one_of_several_devices_is_raised(small: Path):
    shared = on_cpus(small, 2)

    def broken(*_: object) -> np.ndarray:
        raise ValueError("broken")

    model = TextModel(**{**vars(shared), "networks": [shared.networks[0], broken]})
    with pytest.raises(ValueError, match="broken"):
        vectors(model, texts(200))


def test_several_devices_are_cuda_devices_that_are_there(small: Path):
    with pytest.raises(RunError, match="RP603 'devices: 2' needs so many cuda devices, and "):
        encode(small, TEXTS, devices=2)


@pytest.mark.gpu
def test_all_cuda_devices_give_what_one_gives(small: Path):
    count = torch.cuda.device_count()
    if count < 2:
        pytest.skip("needs two CUDA devices")
    ctx = {"device": "cuda:0"}
    several = encode(small, TEXTS, batch_tokens=40, devices=count, ctx=ctx, **RAW)
    np.testing.assert_allclose(several.vectors, encode(small, TEXTS, ctx=ctx, **RAW).vectors, atol=1e-4)
