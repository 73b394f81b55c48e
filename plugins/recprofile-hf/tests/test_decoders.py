"""`hf/text` with decoders: tiny Llama and GPT-2 with random weights, made here, and a Llama in one GGUF file."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModel,
    GPT2Config,
    GPT2Model,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from recprofile.plugin import Embeddings, RunError
from recprofile.testing import context, dataset
from recprofile_hf import Text, TextParams, loading
from recprofile_hf.loading import gguf_file

needs_gguf = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("gguf", "accelerate")), reason="not installed: gguf"
)
LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())
TITLES = ["red planet", "red moon", "quiet river song", "a", "月 🎬", "red planet red"]
RAW = {"centre": False, "normalise": False}


def words() -> PreTrainedTokenizerFast:
    """Bytes as tokens, without special tokens around a text, as GPT-2 and Llama 3 have them."""
    vocabulary = {token: n for n, token in enumerate(["<|end|>", *LETTERS, "re", "red"])}
    made = Tokenizer(models.BPE(vocabulary, [("r", "e"), ("re", "d")]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|end|>", pad_token="<|end|>")


def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=len(words()),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.3,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    return LlamaForCausalLM(shape).eval()


def gpt2() -> GPT2Model:
    torch.manual_seed(0)
    shape = GPT2Config(
        vocab_size=len(words()), n_embd=32, n_layer=2, n_head=2, n_positions=64, initializer_range=0.3,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return GPT2Model(shape).eval()


@pytest.fixture(scope="session", params=[llama, gpt2], ids=["llama", "gpt2"])
def decoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("decoder")
    request.param().save_pretrained(folder)
    words().save_pretrained(folder)
    return folder


def encode(model: Path, titles: Sequence[str], *, ctx: dict[str, Any] | None = None, **params: Any) -> Embeddings:
    ids = [f"i{n}" for n in range(len(titles))]
    data = dataset([("u", id) for id in ids], items={"id": ids, "title": list(titles)})
    return Text(TextParams(model=str(model), columns=("title",), **params)).encode(data, context(**(ctx or {})))


def alone(model: Any, title: str) -> torch.Tensor:  # noqa: ANN401 - each model has a class of its own
    """Token vectors of one text by itself, without padding."""
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=torch.tensor([words()(title)["input_ids"]])).last_hidden_state[0]
    return found


@pytest.mark.parametrize("batch_tokens", [1, 1024])
@pytest.mark.parametrize(
    ("pooling", "by_hand"), [("last", lambda tokens: tokens[-1]), ("mean", lambda tokens: tokens.mean(dim=0))]
)
def test_a_decoders_vector_is_that_of_the_text_run_alone(
    decoder: Path, pooling: str, by_hand: Callable[[torch.Tensor], torch.Tensor], batch_tokens: int
):
    found = encode(decoder, TITLES, pooling=pooling, batch_tokens=batch_tokens, **RAW)
    model = AutoModel.from_pretrained(decoder).eval()
    expected = np.stack([by_hand(alone(model, title)).numpy() for title in TITLES])
    np.testing.assert_allclose(found.vectors, expected, atol=1e-4)


def test_a_token_sees_none_that_come_after_it(decoder: Path):
    # The first token of a causal model knows of no other: all texts that begin with it agree there.
    found = encode(decoder, ["red planet", "red moon", "moon"], pooling="cls", **RAW).vectors
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    assert np.abs(found[0] - found[2]).max() > 1e-2


def test_the_end_of_text_is_the_last_token_where_it_is_asked_for(decoder: Path):
    found = encode(decoder, TITLES, pooling="last", eos=True, **RAW)
    model = AutoModel.from_pretrained(decoder).eval()
    expected = np.stack([alone(model, f"{title}<|end|>")[-1].numpy() for title in TITLES])
    np.testing.assert_allclose(found.vectors, expected, atol=1e-4)


@pytest.fixture(scope="session")
def in_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Llama in float32, with its tokenizer, in one GGUF file."""
    gguf = pytest.importorskip("gguf")
    folder = tmp_path_factory.mktemp("gguf")
    model, said = llama(), words()
    c = model.config
    file = gguf.GGUFWriter(folder / "tiny.gguf", "llama")
    file.add_context_length(c.max_position_embeddings)
    file.add_embedding_length(c.hidden_size)
    file.add_block_count(c.num_hidden_layers)
    file.add_feed_forward_length(c.intermediate_size)
    file.add_head_count(c.num_attention_heads)
    file.add_head_count_kv(c.num_key_value_heads)
    file.add_layer_norm_rms_eps(c.rms_norm_eps)
    file.add_rope_freq_base(10000.0)
    file.add_rope_dimension_count(c.hidden_size // c.num_attention_heads)
    file.add_vocab_size(c.vocab_size)
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("default")
    file.add_token_list(said.convert_ids_to_tokens(list(range(len(said)))))
    file.add_token_types([3] + [1] * (len(said) - 1))  # control, then normal
    file.add_token_merges(["r e", "re d"])
    file.add_bos_token_id(0)
    file.add_eos_token_id(0)
    file.add_pad_token_id(0)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, c.num_hidden_layers)
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        held = weight.numpy()
        heads = {"q_proj": c.num_attention_heads, "k_proj": c.num_key_value_heads}
        for part, count in heads.items():  # llama.cpp turns pairs of neighbours, transformers halves
            if part in name:
                held = held.reshape(count, 2, -1, held.shape[1]).swapaxes(1, 2).reshape(held.shape)
        file.add_tensor(names.get_name(name, try_suffixes=(".weight",)), np.ascontiguousarray(held))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return folder


@needs_gguf
def test_a_model_in_gguf_gives_what_it_gives_in_safetensors(
    in_gguf: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    llama().save_pretrained(tmp_path)
    words().save_pretrained(tmp_path)
    assert (gguf_file(in_gguf), gguf_file(tmp_path)) == ("tiny.gguf", None)
    capfd.readouterr()
    for pooling in ("mean", "last"):
        found = encode(in_gguf, TITLES[:4], pooling=pooling, **RAW).vectors
        assert capfd.readouterr() == ("", "")
        np.testing.assert_allclose(found, encode(tmp_path, TITLES[:4], pooling=pooling, **RAW).vectors, atol=1e-4)
        capfd.readouterr()


@needs_gguf
def test_vectors_of_another_gguf_file_are_not_taken_for_its_own(in_gguf: Path, tmp_path: Path):
    folder, store = tmp_path / "model", tmp_path / "store"
    shutil.copytree(in_gguf, folder)
    before = encode(folder, TITLES[:3], ctx={"store": store}, **RAW).vectors
    held = bytearray((folder / "tiny.gguf").read_bytes())
    held[-512:] = np.full(128, 0.5, np.float32).tobytes()
    (folder / "tiny.gguf").write_bytes(held)
    assert np.abs(encode(folder, TITLES[:3], ctx={"store": store}, **RAW).vectors - before).max() > 1e-3


@needs_gguf
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda held: b"", "its file 'tiny.gguf' is not in GGUF"),
        (lambda held: b"PK" + held[2:], "its file 'tiny.gguf' is not in GGUF"),
        (lambda held: held[:300], ""),
        (lambda held: held[:-4000], ""),
    ],
    ids=["empty", "of another kind", "no tensors", "cut"],
)
def test_a_damaged_gguf_file_is_refused(in_gguf: Path, tmp_path: Path, damage: Callable[[bytes], bytes], said: str):
    (tmp_path / "tiny.gguf").write_bytes(damage((in_gguf / "tiny.gguf").read_bytes()))
    with pytest.raises(RunError) as error:
        encode(tmp_path, TITLES)
    (problem,) = error.value.problems
    assert problem.code == "RP605"
    assert problem.message.startswith(f"the model '{tmp_path}' cannot be used: ")
    assert said in problem.message


@needs_gguf
def test_a_folder_with_several_gguf_files_is_refused(in_gguf: Path, tmp_path: Path):
    for name in ("a.gguf", "b.gguf"):
        shutil.copy(in_gguf / "tiny.gguf", tmp_path / name)
    with pytest.raises(RunError, match=r"RP605 .*: its folder has 2 models in GGUF, as 'a.gguf'"):
        encode(tmp_path, TITLES)


def test_without_its_package_gguf_is_refused_with_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    with pytest.raises(RunError, match=r"RP601 .* in GGUF, which needs gguf and accelerate") as error:
        encode(tmp_path, TITLES)
    assert error.value.problems[0].help == ("pip install 'recprofile-hf[gguf]'",)
