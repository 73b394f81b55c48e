"""`hf/image` on tiny random models, made here: what is pooled, read, turned, kept and refused."""

from __future__ import annotations

import io
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image as Pictures
from transformers import (
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    ConvNextConfig,
    ConvNextImageProcessorPil,
    ConvNextModel,
    Dinov2Config,
    Dinov2Model,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
    ViTConfig,
    ViTImageProcessorPil,
    ViTModel,
)

import recprofile_hf.media
from recprofile.plugin import DataError, Dataset, Embeddings, RunError
from recprofile.testing import EncoderTests, context, dataset, toy
from recprofile_hf import Image, ImageParams
from recprofile_hf.image_model import image_model
from recprofile_hf.pictures import bounded, picture

SIZE = 16
RAW = {"centre": False, "normalise": False}
SMALL = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": SIZE,
    "patch_size": 8,
    "initializer_range": 0.3,
}


def clip(folder: Path) -> None:
    text = {**SMALL, "vocab_size": 20, "max_position_embeddings": 8, "projection_dim": 12}
    config = CLIPConfig(text_config=text, vision_config={**SMALL, "projection_dim": 12}, projection_dim=12)
    model = CLIPModel(config)
    torch.nn.init.normal_(model.vision_model.embeddings.patch_embedding.weight, std=0.1)
    model.save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": SIZE}, crop_size=SIZE).save_pretrained(folder)


def siglip(folder: Path) -> None:
    text = {**SMALL, "vocab_size": 20, "max_position_embeddings": 8}
    SiglipModel(SiglipConfig(text_config=text, vision_config=SMALL)).save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": SIZE, "width": SIZE}).save_pretrained(folder)


def vit(folder: Path, *, pooler: bool = True) -> None:
    ViTModel(ViTConfig(**SMALL), add_pooling_layer=pooler).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": SIZE, "width": SIZE}).save_pretrained(folder)


def dinov2(folder: Path) -> None:
    shape = {name: value for name, value in SMALL.items() if name != "intermediate_size"}
    Dinov2Model(Dinov2Config(**shape)).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": SIZE, "width": SIZE}).save_pretrained(folder)


def convnext(folder: Path) -> None:
    ConvNextModel(ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2)).save_pretrained(folder)
    ConvNextImageProcessorPil(size={"shortest_edge": 32}, crop_pct=1.0).save_pretrained(folder)


MAKERS: Mapping[str, Callable[[Path], None]] = {
    "clip": clip, "siglip": siglip, "vit": vit, "dinov2": dinov2, "convnext": convnext
}  # fmt: skip


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Each model with random weights, large enough that pictures matter."""
    made = {}
    for name, make in MAKERS.items():
        torch.manual_seed(0)
        made[name] = tmp_path_factory.mktemp(name)
        make(made[name])
    return made


@pytest.fixture
def copied(models: Mapping[str, Path], tmp_path: Path) -> Path:
    """The ViT, to be damaged."""
    folder = tmp_path / "model"
    folder.mkdir()
    for file in models["vit"].iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def noise(seed: int, shape: tuple[int, ...] = (20, 30, 3)) -> Pictures.Image:
    return Pictures.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


def coded(image: Pictures.Image, form: str = "PNG", **more: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **more)
    return stream.getvalue()


PICTURES = [coded(noise(n)) for n in range(5)]


def shop(cells: Sequence[bytes | str | None]) -> Dataset:
    ids = [f"i{n:03d}" for n in range(len(cells))]
    return dataset([("u", one) for one in ids], items={"id": ids, "picture": list(cells)})


def encode(
    model: Path, cells: Sequence[bytes | str | None], *, ctx: dict[str, Any] | None = None, **params: Any
) -> Embeddings:
    made = Image(ImageParams(model=str(model), column="picture", **params))
    return made.encode(shop(cells), context(**(ctx or {})))


class TestImage(EncoderTests):
    component = Image

    @pytest.fixture(autouse=True)
    def _examples(self, models: Mapping[str, Path]) -> Iterator[None]:
        type(self).examples = [
            {"model": str(models["clip"]), "column": "picture"},
            {"model": str(models["vit"]), "column": "picture", "pooling": "mean", "centre": False, "batch_size": 1},
        ]
        yield
        type(self).examples = ({},)

    def data(self) -> Dataset:
        data = toy()
        cells = [PICTURES[n % 5] if n != 2 else None for n in range(data.n_items)]
        return data.revise(items=data.items.with_columns(pl.Series("picture", cells, pl.Binary)))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of pictures in each batch that goes into a ViT."""
    seen: list[int] = []
    forward = ViTModel.forward

    def counted(self: ViTModel, pixel_values: torch.Tensor, **more: Any) -> object:
        seen.append(len(pixel_values))
        return forward(self, pixel_values=pixel_values, **more)

    monkeypatch.setattr(ViTModel, "forward", counted)
    return seen


def pixels(folder: Path, name: str, held: bytes) -> torch.Tensor:
    kinds = {"clip": CLIPImageProcessorPil, "siglip": SiglipImageProcessorPil, "convnext": ConvNextImageProcessorPil}
    processor = kinds.get(name, ViTImageProcessorPil).from_pretrained(folder)
    return processor(images=Pictures.open(io.BytesIO(held)).convert("RGB"), return_tensors="pt")["pixel_values"]


BY_HAND: list[tuple[str, str, Callable[[Any, torch.Tensor], torch.Tensor]]] = [
    ("clip", "auto", lambda m, x: m.visual_projection(m.vision_model(pixel_values=x).pooler_output)),
    ("clip", "cls", lambda m, x: m.vision_model(pixel_values=x).last_hidden_state[:, 0]),
    ("siglip", "auto", lambda m, x: m.vision_model(pixel_values=x).pooler_output),
    ("siglip", "mean", lambda m, x: m.vision_model(pixel_values=x).last_hidden_state.mean(dim=1)),
    ("vit", "auto", lambda m, x: m(pixel_values=x).pooler_output),
    ("vit", "cls", lambda m, x: m(pixel_values=x).last_hidden_state[:, 0]),
    ("vit", "mean", lambda m, x: m(pixel_values=x).last_hidden_state[:, 1:].mean(dim=1)),
    ("dinov2", "pooler", lambda m, x: m(pixel_values=x).last_hidden_state[:, 0]),
    ("dinov2", "mean", lambda m, x: m(pixel_values=x).last_hidden_state[:, 1:].mean(dim=1)),
    ("convnext", "auto", lambda m, x: m(pixel_values=x).pooler_output),
    ("convnext", "mean", lambda m, x: m(pixel_values=x).last_hidden_state.mean(dim=(2, 3))),
]
CLASSES = {"clip": CLIPModel, "siglip": SiglipModel, "vit": ViTModel, "dinov2": Dinov2Model, "convnext": ConvNextModel}


@pytest.mark.parametrize("batch", [1, 2, 32])
@pytest.mark.parametrize(("name", "pooling", "by_hand"), BY_HAND, ids=[f"{n} {p}" for n, p, _ in BY_HAND])
def test_a_vector_is_that_of_the_picture_run_alone(
    models: Mapping[str, Path],
    name: str,
    pooling: str,
    by_hand: Callable[[Any, torch.Tensor], torch.Tensor],
    batch: int,
):
    found = encode(models[name], PICTURES, pooling=pooling, batch_size=batch, **RAW).vectors
    model = CLASSES[name].from_pretrained(models[name]).eval()
    with torch.inference_mode():
        expected = np.concatenate([by_hand(model, pixels(models[name], name, held)).numpy() for held in PICTURES])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_a_model_of_text_and_images_gives_the_space_that_they_share(models: Mapping[str, Path]):
    found = encode(models["clip"], PICTURES, **RAW)
    model = CLIPModel.from_pretrained(models["clip"]).eval()
    with torch.inference_mode():
        text = model.get_text_features(input_ids=torch.tensor([[1, 2, 3]])).pooler_output
    assert found.dim == text.shape[1] == 12


def test_a_vit_without_pooler_gives_its_class_token_and_refuses_the_pooler(tmp_path: Path):
    torch.manual_seed(0)
    vit(tmp_path, pooler=False)
    auto, cls = (encode(tmp_path, PICTURES, pooling=how, **RAW).vectors for how in ("auto", "cls"))
    np.testing.assert_array_equal(auto, cls)
    with pytest.raises(RunError, match=r"RP605 .*it has no pooler, or no weights for it"):
        encode(tmp_path, PICTURES, pooling="pooler")


def test_a_model_without_a_class_token_refuses_it(models: Mapping[str, Path]):
    with pytest.raises(RunError, match=r"RP605 .*it has no class token, which 'pooling: cls' takes"):
        encode(models["siglip"], PICTURES, pooling="cls")


def test_paths_give_what_contents_give_and_equal_pictures_are_encoded_once(
    models: Mapping[str, Path], tmp_path: Path, calls: list[int]
):
    (tmp_path / "sub").mkdir()
    for n, held in enumerate(PICTURES):
        (tmp_path / "sub" / f"{n}.png").write_bytes(held)
    (tmp_path / "again.png").write_bytes(PICTURES[0])
    (tmp_path / "link.png").symlink_to(tmp_path / "sub" / "1.png")
    paths = [
        *(f"sub/{n}.png" for n in range(5)),
        "again.png",
        "sub/../link.png",
        " sub/0.png ",
        str(tmp_path / "sub/2.png"),
    ]
    found = encode(models["vit"], paths, folder=str(tmp_path), **RAW).vectors
    assert sum(calls) == 5
    expected = encode(models["vit"], PICTURES, **RAW).vectors
    np.testing.assert_allclose(found, expected[[0, 1, 2, 3, 4, 0, 1, 0, 2]], atol=1e-6)


def test_what_cannot_be_read_is_missing_counted_and_named(
    models: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "good.png").write_bytes(PICTURES[0])
    (tmp_path / "also.png").write_bytes(PICTURES[1])
    (tmp_path / "cut.png").write_bytes(PICTURES[1][:-200])
    (tmp_path / "words.jpg").write_text("not a picture")
    (tmp_path / "empty.gif").write_bytes(b"")
    (tmp_path / "large.png").write_bytes(PICTURES[0] + b"\0" * 5000)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    bad = ["cut.png", "words.jpg", "empty.gif", "large.png", "folder", "pipe", "loop", "gone.png", "../out.png",
           "/etc/hostname", "https://example.org/a.png", "a\0b", "x" * 5000]  # fmt: skip
    said: list[str] = []
    noted: dict[str, Any] = {}
    cells = ["good.png", None, *bad, "", "  ", "also.png", "gone.png"]
    found = encode(
        models["vit"],
        cells,
        folder=str(tmp_path),
        max_megabytes=5000 / 2**20,
        ctx={"warn": said.append, "note": noted.__setitem__},
    )
    there = [n for n, cell in enumerate(cells) if cell in ("good.png", "also.png")]
    assert np.flatnonzero(~found.missing).tolist() == there
    assert not found.vectors[found.missing].any()
    assert found.vectors[there].any()
    assert said[0] == "3 of 19 items have no image in 'picture', and no vector"
    assert said[1].startswith("14 of 19 items have no vector, for the image in 'picture' cannot be read: '")
    assert said[1].endswith(" and 10 more")
    assert said[1].count("(") == 3
    assert noted["images"] == {"items": 19, "without": 3, "unreadable": 14, "different": 4}


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("gone.png", "there is no such file"),
        ("..", "it leads out of the folder"),
        (".", "it is not a file"),
        ("http://a/b.png", "it is an address, and nothing is fetched"),
        ("words.png", "it is no picture"),
        ("cut.png", "it is broken: "),
        ("long.png", "it has 2 × 300 pixels"),
    ],
)
def test_when_none_can_be_read_it_is_an_error_that_says_why(
    models: Mapping[str, Path], tmp_path: Path, cell: str, why: str
):
    (tmp_path / "words.png").write_text("words")
    (tmp_path / "cut.png").write_bytes(PICTURES[0][:300])
    (tmp_path / "long.png").write_bytes(coded(noise(0, (300, 2, 3))))
    with pytest.raises(DataError, match=r"RP505 no item has any image in 'picture' that can be read") as error:
        encode(models["vit"], [cell, None], folder=str(tmp_path))
    assert why in error.value.problems[0].help[0]


def test_no_picture_at_all_is_an_error(models: Mapping[str, Path], tmp_path: Path):
    for cells in ([None, ""], [None, None]):
        with pytest.raises(DataError, match=r"RP505 no item has any image in 'picture'$"):
            encode(models["vit"], cells, folder=str(tmp_path))


def test_paths_without_a_folder_and_columns_of_another_type_are_refused(models: Mapping[str, Path]):
    with pytest.raises(DataError, match=r"RP503 column 'picture' holds paths, and no 'folder' is given"):
        encode(models["vit"], ["a.png"])
    with pytest.raises(
        DataError, match=r"RP503 column 'picture' is Int64, and must be paths .text. or contents .Binary."
    ):
        encode(models["vit"], [1, 2])  # type: ignore[list-item]
    with pytest.raises(DataError, match="RP502 no column 'photo'"):
        Image(ImageParams(model=str(models["vit"]), column="photo")).encode(shop(PICTURES), context())


def seen(held: bytes, *, max_pixels: int = 10**6) -> np.ndarray[Any, Any]:
    with bounded(max_pixels):
        return np.asarray(picture(held))


def test_a_bomb_is_refused_before_it_is_unpacked():
    head = b"\x89PNG\r\n\x1a\n"

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    size = (60_000).to_bytes(4) * 2
    bomb = head + chunk(b"IHDR", size + bytes([8, 2, 0, 0, 0])) + chunk(b"IDAT", zlib.compress(b"\0" * 10**6))
    for limit in (10**6, 3 * 10**9):  # over twice the limit Pillow raises, below that it warns
        with pytest.raises(recprofile_hf.media.UnreadableError, match="too many pixels"):
            seen(bomb, max_pixels=limit)
    before = Pictures.MAX_IMAGE_PIXELS
    assert seen(PICTURES[0]).shape == (20, 30, 3)
    assert before == Pictures.MAX_IMAGE_PIXELS


def test_an_animation_is_its_first_frame():
    frames = [noise(1).convert("P"), noise(2).convert("P")]
    held = coded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(seen(held), np.asarray(frames[0].convert("RGB")))


def test_transparency_becomes_white_in_every_mode_that_has_it():
    values = np.zeros((4, 6, 4), np.uint8)
    values[:, :3] = (200, 10, 10, 255)
    clear = Pictures.fromarray(values)
    palette = Pictures.new("P", (6, 4), 1)
    palette.putpalette([255, 0, 0, 0, 255, 0])
    for held in (
        coded(clear),
        coded(clear.convert("LA")),
        coded(clear.convert("RGBA"), "WEBP", lossless=True),
        coded(clear, "TIFF"),
    ):
        assert (seen(held)[:, 3:] == 255).all()
        assert not (seen(held)[:, :3] == 255).all()
    assert (seen(coded(palette, transparency=1)) == 255).all()
    assert (seen(coded(palette, transparency=b"\xff\x80"))[0, 0] == (127, 255, 127)).all()


def test_cmyk_grey_and_one_bit_become_rgb():
    red = Pictures.new("RGB", (6, 4), (250, 5, 5))
    for held in (coded(red.convert("CMYK"), "JPEG", quality=95), coded(red.convert("CMYK"), "TIFF")):
        np.testing.assert_allclose(seen(held)[2, 2], (250, 5, 5), atol=6)
    assert seen(coded(noise(0).convert("L"))).shape == (20, 30, 3)
    assert set(np.unique(seen(coded(noise(0).convert("1"))))) == {0, 255}


def test_sixteen_bits_become_eight():
    values = np.linspace(0, 65_535, 24).astype(np.uint16).reshape(4, 6)
    expected = (values / 257).round()
    for form in ("PNG", "TIFF"):
        np.testing.assert_array_equal(seen(coded(Pictures.fromarray(values), form))[:, :, 0], expected)
    floats = Pictures.fromarray((values / 65_535).astype(np.float32))
    np.testing.assert_allclose(seen(coded(floats, "TIFF"))[:, :, 0], expected, atol=1)
    broken = Pictures.fromarray(np.full((4, 6), np.nan, np.float32))
    with pytest.raises(recprofile_hf.media.UnreadableError, match="not finite"):
        seen(coded(broken, "TIFF"))


def test_a_photo_is_turned_as_its_exif_says():
    exif = Pictures.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise
    held = coded(noise(1), exif=exif)
    np.testing.assert_array_equal(seen(held), np.rot90(np.asarray(noise(1)), -1))


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 3, 3), (1, 40, 3), (40, 3, 3), (4, 4, 3)])
@pytest.mark.parametrize("name", MAKERS)
def test_pictures_of_a_few_pixels_have_vectors(models: Mapping[str, Path], name: str, shape: tuple[int, ...]):
    found = encode(models[name], [coded(noise(3, shape)), PICTURES[0]], **RAW)
    assert not found.missing.any()
    assert np.isfinite(found.vectors).all()


def test_a_row_of_three_pixels_is_read_as_colours_and_not_as_channels(models: Mapping[str, Path]):
    wide = Pictures.fromarray(np.tile(np.array([[[255, 0, 0]]], np.uint8), (3, 9, 1)))
    large = wide.resize((90, 30))
    vectors = encode(models["siglip"], [coded(wide), coded(large)], **RAW).vectors
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)


def test_kept_vectors_are_not_made_again_and_a_grown_catalogue_adds_its_own(
    models: Mapping[str, Path], tmp_path: Path, calls: list[int]
):
    ctx = {"store": tmp_path}
    first = encode(models["vit"], PICTURES[:3], ctx=ctx, **RAW)
    assert sum(calls) == 3
    again = encode(models["vit"], PICTURES, ctx=ctx, **RAW)
    assert sum(calls) == 5
    np.testing.assert_array_equal(again.vectors[:3], first.vectors)
    encode(models["vit"], PICTURES[::-1], ctx=ctx)
    assert sum(calls) == 5
    encode(models["vit"], PICTURES[:1], ctx=ctx, pooling="cls")
    assert sum(calls) == 6


def test_an_interrupted_run_keeps_what_it_made_and_ends_in_the_same_bits(
    models: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: list[int]
):
    broken = PICTURES[2][:-50]
    cells = [PICTURES[0], broken, *PICTURES[1:]]
    whole = encode(models["vit"], cells, batch_size=2, **RAW).vectors
    batches = calls.copy()
    forward = ViTModel.forward

    def stopped(self: ViTModel, *inputs: Any, **more: Any) -> object:
        if len(calls) - len(batches) == 1:
            raise KeyboardInterrupt
        return forward(self, *inputs, **more)

    with monkeypatch.context() as patch:
        patch.setattr(ViTModel, "forward", stopped)
        with pytest.raises(KeyboardInterrupt):
            encode(models["vit"], cells, batch_size=2, ctx={"store": tmp_path})
    found = encode(models["vit"], cells, batch_size=2, ctx={"store": tmp_path}, **RAW)
    np.testing.assert_array_equal(found.vectors, whole)
    assert calls[len(batches) :] == batches


def test_a_batch_that_does_not_fit_is_halved_and_said_once(models: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch):
    expected = encode(models["vit"], PICTURES).vectors
    forward = ViTModel.forward

    def small(self: ViTModel, pixel_values: torch.Tensor, **more: Any) -> object:
        if len(pixel_values) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, pixel_values=pixel_values, **more)

    monkeypatch.setattr(ViTModel, "forward", small)
    said: list[str] = []
    found = encode(models["vit"], PICTURES, ctx={"warn": said.append})
    np.testing.assert_allclose(found.vectors, expected, atol=1e-5)
    assert said == ["'batch_size: 32' does not fit into memory; batches were made smaller"]

    def full(self: ViTModel, **more: Any) -> object:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(ViTModel, "forward", full)
    with pytest.raises(RunError, match="RP604 one image does not fit into memory"):
        encode(models["vit"], PICTURES)


def test_any_other_failure_of_the_model_keeps_its_type(models: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch):
    def broken(self: ViTModel, **more: Any) -> object:
        raise RuntimeError("broken")

    monkeypatch.setattr(ViTModel, "forward", broken)
    with pytest.raises(RuntimeError, match=r"^broken$"):
        encode(models["vit"], PICTURES)


def test_centred_vectors_have_mean_zero_and_normalised_ones_length_one(models: Mapping[str, Path]):
    cells = [*PICTURES, None]
    centred = encode(models["vit"], cells, normalise=False).vectors
    np.testing.assert_allclose(centred[:-1].mean(axis=0), 0, atol=1e-5)
    unit = encode(models["vit"], cells).vectors
    np.testing.assert_allclose(np.linalg.norm(unit[:-1], axis=1), 1, atol=1e-6)
    assert not unit[-1].any()


def test_progress_counts_files_and_then_different_pictures(models: Mapping[str, Path]):
    told: list[tuple[int, int, str]] = []
    encode(models["vit"], [*PICTURES, PICTURES[0], b"words"], ctx={"report": lambda *at: told.append(at)})
    ends = {unit: (done, total) for done, total, unit in told}
    assert ends == {"files": (7, 7), "images": (6, 6)}


def rewritten(name: str, **changes: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        held = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**held, **changes}))

    return damage


def shortened(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def of_text(folder: Path) -> None:
    shape = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    BertModel(shape).save_pretrained(folder)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "config.json").unlink(), "its folder has no config.json"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "its folder has no image processor"),
        (lambda folder: (folder / "preprocessor_config.json").write_text("{"), ""),
        (lambda folder: (folder / "model.safetensors").unlink(), "its folder has no weights in safetensors"),
        (rewritten("config.json", hidden_size=48), "its weights are of another size than config.json says, as '"),
        (rewritten("config.json", num_hidden_layers=3), "its weights lack 16 parts"),
        (rewritten("preprocessor_config.json", image_processor_type="Nonsense"), ""),
        (shortened, "incomplete metadata"),
        (of_text, "it is no model of images"),
    ],
    ids=["no config", "no processor", "broken processor", "no weights", "other size", "more layers", "own processor",
         "cut weights", "of text"],
)  # fmt: skip
def test_a_folder_that_holds_no_whole_vision_model_is_refused(
    copied: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None], said: str
):
    damage(copied)
    capsys.readouterr()
    with pytest.raises(RunError) as error:
        encode(copied, PICTURES)
    (problem,) = error.value.problems
    assert problem.code == "RP605"
    assert problem.message.startswith(f"the model '{copied}' cannot be used: ")
    assert said in problem.message
    assert capsys.readouterr() == ("", "")


def test_vectors_that_are_not_finite_are_refused_and_not_kept(copied: Path, tmp_path: Path):
    model = ViTModel.from_pretrained(copied)
    with torch.no_grad():
        model.layernorm.weight[0] = torch.nan
    model.save_pretrained(copied)
    with pytest.raises(RunError, match=r"RP601 the model '.*' gave a vector that is not finite"):
        encode(copied, PICTURES, ctx={"store": tmp_path / "store"})
    assert list((tmp_path / "store").rglob("*.parquet")) == []


def test_without_pillow_it_says_what_to_install(models: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("recprofile_hf.image.find_spec", lambda _: None)
    with pytest.raises(RunError, match="RP601 'hf/image' needs Pillow") as error:
        encode(models["vit"], PICTURES)
    assert error.value.problems[0].help == ("pip install 'recprofile-hf[image]'",)


def test_a_file_that_goes_away_after_it_was_looked_at_is_a_fault(
    models: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for n in (0, 1):
        (tmp_path / f"{n}.png").write_bytes(PICTURES[n])

    def removing(folder: Path, name: str, device: str) -> object:
        (tmp_path / "1.png").unlink()
        return image_model("auto", max_pixels=10**6)(folder, name, device)

    monkeypatch.setattr("recprofile_hf.image_model.image_model", lambda *_, **__: removing)
    said: list[str] = []
    found = encode(models["vit"], ["0.png", "1.png"], folder=str(tmp_path), ctx={"warn": said.append})
    assert found.missing.tolist() == [False, True]
    assert "'1.png' (no such file or directory)" in said[0]


@pytest.mark.gpu
def test_a_gpu_gives_what_the_cpu_gives(models: Mapping[str, Path]):
    for name in MAKERS:
        found = encode(models[name], PICTURES, ctx={"device": "cuda:0"}, **RAW)
        np.testing.assert_allclose(found.vectors, encode(models[name], PICTURES, **RAW).vectors, atol=1e-3)
