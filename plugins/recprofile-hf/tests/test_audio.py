"""`hf/audio` on tiny random models, made here: what is heard, in which windows, kept and refused."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from scipy.io import wavfile
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTModel,
    BertConfig,
    BertModel,
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    HubertConfig,
    HubertModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperModel,
)

from recprofile.plugin import DataError, Dataset, Embeddings, RunError
from recprofile.testing import EncoderTests, RecipeBox, context, dataset, toy
from recprofile_hf import Audio, AudioParams
from recprofile_hf.audio_model import audio_model
from recprofile_hf.media import UnreadableError
from recprofile_hf.recordings import recording

RATE = 16_000
RAW = {"centre": False, "normalise": False}
SPEECH = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": (8, 8),
    "conv_stride": (40, 8),
    "conv_kernel": (80, 16),
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 8,
    "initializer_range": 0.3,
}
SWIN = {
    "patch_embeds_hidden_size": 8,
    "patch_size": 4,
    "patch_stride": [4, 4],
    "window_size": 4,
    "spec_size": 64,
    "num_mel_bins": 16,
    "depths": [1, 1],
    "num_attention_heads": [2, 2],
    "num_hidden_layers": 2,
    "hidden_size": 16,
    "projection_dim": 12,
}


def wav2vec2(folder: Path) -> None:
    Wav2Vec2Model(Wav2Vec2Config(**SPEECH)).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=RATE).save_pretrained(folder)


def hubert(folder: Path) -> None:
    HubertModel(HubertConfig(**SPEECH)).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=RATE, return_attention_mask=True).save_pretrained(folder)


def clap(folder: Path, *, fusion: bool = False) -> None:
    text = {"vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 16, "max_position_embeddings": 12, "projection_dim": 12}  # fmt: skip
    sound = {**SWIN, "enable_fusion": fusion, "aff_block_r": 2} if fusion else SWIN
    ClapModel(ClapConfig(text_config=text, audio_config=sound, projection_dim=12)).save_pretrained(folder)
    ClapFeatureExtractor(
        feature_size=16,
        sampling_rate=RATE,
        hop_length=160,
        fft_window_size=400,
        max_length_s=2,
        frequency_max=8000,
        truncation="fusion" if fusion else "rand_trunc",
    ).save_pretrained(folder)


def ast(folder: Path) -> None:
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    ASTModel(ASTConfig(**shape, max_length=128, num_mel_bins=16, patch_size=8)).save_pretrained(folder)
    ASTFeatureExtractor(num_mel_bins=16, max_length=128, sampling_rate=RATE).save_pretrained(folder)


def whisper(folder: Path) -> None:
    shape = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
             "decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "vocab_size": 60,
             "num_mel_bins": 16, "max_source_positions": 100, "pad_token_id": 0, "bos_token_id": 1,
             "eos_token_id": 2, "decoder_start_token_id": 1}  # fmt: skip
    WhisperModel(WhisperConfig(**shape)).save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=16, chunk_length=2, sampling_rate=RATE).save_pretrained(folder)


MAKERS = {
    "wav2vec2": wav2vec2, "hubert": hubert, "clap": clap, "ast": ast, "whisper": whisper
}  # fmt: skip


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Each model with random weights."""
    made = {}
    for name, make in MAKERS.items():
        torch.manual_seed(0)
        made[name] = tmp_path_factory.mktemp(name)
        make(made[name])
    return made


def sound(seed: int, seconds: float = 0.5, rate: int = RATE) -> np.ndarray[Any, Any]:
    """A chord with noise, quite unlike that of another seed."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    tones = [np.sin(2 * np.pi * hertz * time) for hertz in rng.uniform(100, 3000, 3)]
    return (0.2 * np.sum(tones, axis=0) + 0.01 * rng.normal(size=len(time))).astype(np.float32)


def wave(values: np.ndarray[Any, Any], rate: int = RATE) -> bytes:
    stream = io.BytesIO()
    wavfile.write(stream, rate, values)
    return stream.getvalue()


SOUNDS = [wave(sound(n)) for n in range(4)]


def shop(cells: Sequence[bytes | str | None]) -> Dataset:
    ids = [f"i{n:03d}" for n in range(len(cells))]
    return dataset([("u", ids[0])], items={"id": ids, "clip": list(cells)})


def encode(
    model: Path, cells: Sequence[bytes | str | None], *, ctx: dict[str, Any] | None = None, **params: Any
) -> Embeddings:
    made = Audio(AudioParams(model=str(model), column="clip", **params))
    return made.encode(shop(cells), context(**(ctx or {})))


class TestAudio(EncoderTests):
    component = Audio

    @pytest.fixture(autouse=True)
    def _examples(self, models: Mapping[str, Path]) -> Iterator[None]:
        type(self).examples = [
            {"model": str(models["wav2vec2"]), "column": "clip"},
            {"model": str(models["clap"]), "column": "clip", "window_seconds": 0.2, "centre": False, "batch_size": 1},
        ]
        yield
        type(self).examples = ({},)

    def data(self) -> Dataset:
        data = toy()
        cells = [SOUNDS[n % 4] if n != 2 else None for n in range(data.n_items)]
        return data.revise(items=data.items.with_columns(pl.Series("clip", cells, pl.Binary)))


def by_hand(folder: Path, name: str, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The vector of one window, run alone."""
    with torch.inference_mode():
        if name in ("wav2vec2", "hubert"):
            kind = Wav2Vec2Model if name == "wav2vec2" else HubertModel
            given = Wav2Vec2FeatureExtractor.from_pretrained(folder)(values, sampling_rate=RATE, return_tensors="pt")
            return kind.from_pretrained(folder).eval()(given.input_values).last_hidden_state.mean(dim=1)[0].numpy()
        if name == "clap":
            given = ClapFeatureExtractor.from_pretrained(folder)(values, sampling_rate=RATE, return_tensors="pt")
            model = ClapModel.from_pretrained(folder).eval()
            return model.get_audio_features(input_features=given.input_features.float()).pooler_output[0].numpy()
        if name == "ast":
            given = ASTFeatureExtractor.from_pretrained(folder)(values, sampling_rate=RATE, return_tensors="pt")
            return ASTModel.from_pretrained(folder).eval()(given.input_values).last_hidden_state.mean(dim=1)[0].numpy()
        given = WhisperFeatureExtractor.from_pretrained(folder)(values, sampling_rate=RATE, return_tensors="pt")
        encoder = WhisperModel.from_pretrained(folder).eval().get_encoder()
        return encoder(given.input_features).last_hidden_state.mean(dim=1)[0].numpy()


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", MAKERS)
def test_a_vector_is_that_of_the_recording_run_alone(models: Mapping[str, Path], name: str, batch: int):
    values = [sound(0), sound(1), sound(2, 0.3), sound(3)]
    found = encode(models[name], [wave(one) for one in values], batch_size=batch, **RAW).vectors
    expected = np.stack([by_hand(models[name], name, one) for one in values])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 1e-4


@pytest.mark.parametrize("name", MAKERS)
def test_a_long_recording_is_the_mean_of_windows_that_cover_it(models: Mapping[str, Path], name: str):
    values = sound(5, 1.3)
    found = encode(models[name], [wave(values), SOUNDS[0]], window_seconds=0.5, **RAW).vectors[0]
    size, starts = RATE // 2, (0, int(0.4 * RATE), int(0.8 * RATE))  # three windows, from the first sample to the last
    expected = np.mean([by_hand(models[name], name, values[at : at + size]) for at in starts], axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["clap", "ast", "whisper"])
def test_a_model_that_takes_so_much_and_no_more_is_given_no_longer_windows(models: Mapping[str, Path], name: str):
    values = sound(6, 3.0)
    found, again = (encode(models[name], [wave(values)], window_seconds=60, **RAW).vectors[0] for _ in range(2))
    np.testing.assert_array_equal(found, again)  # CLAP's extractor would cut at random
    seconds = {"clap": 2.0, "ast": 1.28, "whisper": 2.0}[name]
    np.testing.assert_allclose(
        found, encode(models[name], [wave(values)], window_seconds=seconds, **RAW).vectors[0], atol=1e-6
    )


def test_the_fused_clap_hears_short_windows_the_same_each_time(tmp_path: Path):
    torch.manual_seed(0)
    clap(tmp_path, fusion=True)
    runs = [encode(tmp_path, SOUNDS, **RAW).vectors for _ in range(3)]
    alone = np.concatenate([encode(tmp_path, [one], **RAW).vectors for one in SOUNDS])
    for run in runs:
        np.testing.assert_allclose(run, alone, atol=1e-5)


def test_clap_gives_the_space_that_it_shares_with_text_and_mean_the_frames(models: Mapping[str, Path]):
    assert encode(models["clap"], SOUNDS, **RAW).dim == 12
    assert encode(models["clap"], SOUNDS, pooling="mean", **RAW).dim == 16


def of(held: bytes, *, rate: int = RATE, longest: float = 100.0) -> np.ndarray[Any, Any]:
    return recording(held, rate=rate, longest=longest).samples


def test_every_depth_of_pcm_is_read_alike():
    values = np.clip(sound(0), -1, 0.999)
    deep = (values * 2**31).astype(np.int64).clip(-(2**31), 2**31 - 1).astype(np.int32)
    whole = wave(deep)
    data = b"".join(struct.pack("<i", one)[1:] for one in deep.tolist())  # the upper 24 of 32 bits
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, RATE, RATE * 3, 3, 24,
                       b"data", len(data))  # fmt: skip
    for held, atol in (
        (whole, 1e-6),
        (head + data, 1e-6),
        (wave((values * 2**15).astype(np.int16)), 4e-5),
        (wave((values * 128 + 128).astype(np.uint8)), 1e-2),
        (wave(values), 1e-6),
        (wave(values.astype(np.float64)), 1e-6),
    ):
        np.testing.assert_allclose(of(held), values, atol=atol)


def test_channels_become_one_by_their_mean():
    both = np.stack([sound(0), sound(1)], axis=1)
    np.testing.assert_allclose(of(wave(both)), both.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 44_099, 48_000])
def test_a_recording_comes_at_the_rate_of_the_model(rate: int):
    time = np.arange(rate) / rate
    found = of(wave(np.sin(2 * np.pi * 440 * time).astype(np.float32), rate))
    assert len(found) == pytest.approx(RATE, abs=RATE // 500)
    spectrum = np.abs(np.fft.rfft(found * np.hanning(len(found))))
    assert np.argmax(spectrum) * RATE / len(found) == pytest.approx(440, abs=1.5)


def test_a_recording_is_cut_after_max_seconds_and_said(models: Mapping[str, Path], tmp_path: Path):
    said: list[str] = []
    ctx = {"store": tmp_path, "warn": said.append}
    values = sound(1, 2.0)
    for _ in range(2):  # a kept one still counts as cut
        found = encode(models["wav2vec2"], [wave(values), SOUNDS[0]], max_seconds=1.0, ctx=ctx, **RAW)
    expected = encode(models["wav2vec2"], [wave(values[:RATE])], **RAW).vectors[0]
    np.testing.assert_allclose(found.vectors[0], expected, atol=1e-5)
    assert said == ["1 of 2 different recordings were cut after 1 seconds ('max_seconds: 1')"] * 2


def test_a_recording_of_a_few_samples_is_followed_by_silence(models: Mapping[str, Path]):
    found = encode(models["wav2vec2"], [wave(sound(0)[:7]), SOUNDS[0]], **RAW)
    padded = np.pad(sound(0)[:7], (0, RATE // 10 - 7))
    np.testing.assert_allclose(found.vectors[0], by_hand(models["wav2vec2"], "wav2vec2", padded), atol=1e-4)


def cut(held: bytes) -> bytes:
    return held[: len(held) // 2]


@pytest.mark.parametrize(
    ("held", "why"),
    [
        (b"words", "it is no WAV, and others need: pip install 'recprofile-hf[audio]'"),
        (b"RIFF\x10\0\0\0WAVE", "it is broken"),
        (b"RIFF" + b"\xff" * 60, "it is broken: "),
        (wave(np.zeros(0, np.float32)), "it has no samples"),
        (wave(np.array([0, np.nan, 0], np.float32)), "it holds a sample that is not finite"),
        (wave(sound(0), 100), "its rate is 100 Hz"),
        (wave(sound(0), 2**29), "its rate is 536870912 Hz"),
    ],
)
def test_what_is_no_recording_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch, held: bytes, why: str):
    monkeypatch.setattr("recprofile_hf.recordings._soundfile", lambda: None)
    with pytest.raises(UnreadableError) as error:
        of(held)
    assert why in str(error.value)


def test_half_a_file_is_either_half_a_recording_or_broken_and_never_noise():
    try:
        found = of(cut(SOUNDS[0]))
    except UnreadableError:
        return
    np.testing.assert_allclose(found, sound(0)[: len(found)], atol=1e-6)


def test_other_forms_are_read_where_soundfile_is_installed():
    soundfile = pytest.importorskip("soundfile")
    for form in ("FLAC", "OGG"):
        stream = io.BytesIO()
        soundfile.write(stream, sound(0), RATE, format=form)
        np.testing.assert_allclose(of(stream.getvalue()), sound(0), atol=0.05 if form == "OGG" else 1e-4)
        assert len(of(stream.getvalue(), longest=0.25)) == RATE // 4


def test_other_forms_go_through_soundfile_for_no_longer_than_they_are_cut(monkeypatch: pytest.MonkeyPatch):
    asked: list[int] = []

    class File:
        samplerate, frames = 8_000, 80_000

        def __init__(self, _: object) -> None: ...
        def __enter__(self) -> File:
            return self

        def __exit__(self, *_: object) -> None: ...
        def read(self, frames: int, **_: object) -> np.ndarray[Any, Any]:
            asked.append(frames)
            return np.ones((frames, 2), np.float32)

    class Package:
        SoundFile = File

    monkeypatch.setattr("recprofile_hf.recordings._soundfile", lambda: Package)
    found = recording(b"fLaC", rate=8_000, longest=2.0)
    assert (asked, len(found.samples), found.seconds) == ([16_000], 16_000, 10.0)


def test_what_cannot_be_read_is_missing_counted_and_named(models: Mapping[str, Path], tmp_path: Path):
    (tmp_path / "good.wav").write_bytes(SOUNDS[0])
    (tmp_path / "also.wav").write_bytes(SOUNDS[1])
    (tmp_path / "broken.wav").write_bytes(b"RIFF\x10\0\0\0WAVE")
    said: list[str] = []
    noted: dict[str, Any] = {}
    ctx = {"warn": said.append, "note": noted.__setitem__}
    cells = ["good.wav", "broken.wav", None, "gone.wav", "also.wav", "broken.wav"]
    found = encode(models["wav2vec2"], cells, folder=str(tmp_path), ctx=ctx)
    assert found.missing.tolist() == [False, True, True, True, False, True]
    assert not found.vectors[found.missing].any()
    assert said[0] == "1 of 6 items have no recording in 'clip', and no vector"
    assert said[1].startswith(
        "3 of 6 items have no vector, for the recording in 'clip' cannot be read: 'gone.wav' (there is no such file), "
        "'broken.wav' (it is broken"
    )
    assert noted["recordings"] == {"items": 6, "without": 1, "unreadable": 3, "different": 3}
    with pytest.raises(DataError, match="RP505 no item has any recording in 'clip' that can be read"):
        encode(models["wav2vec2"], ["broken.wav"], folder=str(tmp_path))
    with pytest.raises(DataError, match=r"RP505 no item has any recording in 'clip'$"):
        encode(models["wav2vec2"], [None], folder=str(tmp_path))


def test_kept_vectors_are_not_made_again(models: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    heard: list[int] = []
    forward = Wav2Vec2Model.forward

    def counted(self: Wav2Vec2Model, input_values: torch.Tensor, **more: Any) -> object:
        heard.append(len(input_values))
        return forward(self, input_values=input_values, **more)

    monkeypatch.setattr(Wav2Vec2Model, "forward", counted)
    ctx = {"store": tmp_path}
    first = encode(models["wav2vec2"], SOUNDS[:2], ctx=ctx, **RAW)
    again = encode(models["wav2vec2"], [*SOUNDS, SOUNDS[0]], ctx=ctx, **RAW)
    assert sum(heard) == 4
    np.testing.assert_array_equal(again.vectors[:2], first.vectors)
    np.testing.assert_array_equal(again.vectors[4], first.vectors[0])
    encode(models["wav2vec2"], SOUNDS[:1], ctx=ctx, window_seconds=0.25)
    assert sum(heard) == 6


def test_a_batch_that_does_not_fit_is_halved_and_a_window_that_does_not_is_an_error(
    models: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
):
    expected = encode(models["wav2vec2"], SOUNDS).vectors
    forward, most = Wav2Vec2Model.forward, [1]

    def small(self: Wav2Vec2Model, input_values: torch.Tensor, **more: Any) -> object:
        if len(input_values) > most[0]:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, input_values=input_values, **more)

    monkeypatch.setattr(Wav2Vec2Model, "forward", small)
    said: list[str] = []
    np.testing.assert_allclose(
        encode(models["wav2vec2"], SOUNDS, ctx={"warn": said.append}).vectors, expected, atol=1e-5
    )
    assert said == ["'batch_size: 8' does not fit into memory; batches were made smaller"]
    most[0] = 0
    with pytest.raises(RunError, match="RP604 one recording does not fit into memory"):
        encode(models["wav2vec2"], SOUNDS)


def test_a_model_of_something_else_is_refused(tmp_path: Path, models: Mapping[str, Path]):
    for file in models["wav2vec2"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    shape = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    BertModel(shape).save_pretrained(tmp_path)
    with pytest.raises(RunError, match=r"RP605 the model '.*' cannot be used: it is no model of sound"):
        encode(tmp_path, SOUNDS)
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(RunError, match=r"RP605 .*its folder has no feature extractor"):
        audio_model("auto", window=1, longest=1)(tmp_path, "m", "cpu")


def test_a_recipe_fuses_items_without_a_recording_and_its_report_counts_them(
    models: Mapping[str, Path], tmp_path: Path
):
    box = RecipeBox(tmp_path)
    for n in range(1, 5):  # of six items one has no cell, and the file of another is broken
        box.write(f"clips/{n}.wav", SOUNDS[n - 1])
    box.write("clips/5.wav", b"RIFF\x10\0\0\0WAVE")
    items = pl.read_csv(box.folder / "items.csv").sort("id")
    items = items.with_columns(clip=pl.Series([*(f"{n}.wav" for n in range(1, 6)), None]))
    items.write_csv(box.folder / "items.csv")
    stages = f"""
- encode: hf/audio
  id: sound
  with: {{model: {models["wav2vec2"]}, column: clip, folder: clips}}
- {{encode: tfidf, id: plot, with: {{columns: [title, genre]}}}}
- {{fuse: weighted, id: profile, from: [sound, plot]}}
- recommend: dot
"""
    ran = box.run(box.recipe(stages.replace("genre]", "genres]"))).check()
    found = ran.artifact("sound").items
    assert found.missing.tolist() == [False] * 4 + [True] * 2
    facts = {stage["id"]: stage["facts"] for stage in ran.json("manifest.json")["stages"]}
    assert facts["sound"]["recordings"] == {"items": 6, "without": 1, "unreadable": 1, "different": 5}
    assert facts["profile"]["masked"]["sound"] == "0 users, 2 items"
    (block,) = [one for one in ran.artifact("profile").blocks if one.name == "sound"]
    assert block.filled.tolist() == found.missing.tolist()
    assert "items 6, without 1, unreadable 1, different 5" in (ran.folder / "report.html").read_text(encoding="utf-8")
    assert ran.recommendations["score"].is_finite().all()


@pytest.mark.gpu
def test_a_gpu_gives_what_the_cpu_gives(models: Mapping[str, Path]):
    for name in MAKERS:
        found = encode(models[name], SOUNDS, ctx={"device": "cuda:0"}, **RAW)
        np.testing.assert_allclose(found.vectors, encode(models[name], SOUNDS, **RAW).vectors, atol=1e-3)
