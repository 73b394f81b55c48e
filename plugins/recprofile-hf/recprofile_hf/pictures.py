"""The bytes of a picture as RGB, whatever they are, or why not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from recprofile_hf.media import UnreadableError

LONGEST = 100  # times as long as wide: scaled by its shorter side, a longer one would fill the memory
DEEP = ("I", "F")  # modes of one channel with more than 8 bits, and "I;16" with its kin


@contextmanager
def bounded(max_pixels: int) -> Iterator[None]:
    """While it lasts, Pillow refuses larger pictures, on any thread, and keeps its advice to itself.

    Its limit and Python's warnings are settings of the whole process, hence one place that sets both and puts them
    back.
    """
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        Image.MAX_IMAGE_PIXELS = max_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def picture(held: bytes) -> Image.Image:
    """The first frame, upright, RGB on white; raises UnreadableError. Within `bounded` only."""
    try:
        with Image.open(BytesIO(held)) as opened:
            short, long = sorted(opened.size)
            if short < 1 or long > LONGEST * short:
                raise UnreadableError(f"it has {opened.width} × {opened.height} pixels")
            opened.load()
            return _rgb(ImageOps.exif_transpose(opened))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnreadableError("it has too many pixels") from None
    except UnidentifiedImageError:
        raise UnreadableError("it is no picture") from None
    except UnreadableError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - readers of forty formats raise whatever a broken file leads to
        raise UnreadableError(f"it is broken: {_words(error)}") from None


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in DEEP or image.mode.startswith("I;"):
        image = _eight_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """16 bits by their highest 8; 32 bits and floats over 16 bits from their least to their greatest value."""
    values: Any = np.asarray(image, np.float64)
    if not np.isfinite(values).all():
        raise UnreadableError("it holds a value that is not finite")
    low, high = float(values.min()), float(values.max())
    if image.mode != "F" and low >= 0 and high <= 65_535:
        # a 16-bit picture, opened as 32 bits by some readers
        return Image.fromarray((values / 257).round().astype(np.uint8), "L")
    span = high - low
    return Image.fromarray(((values - low) * (255 / span if span else 0)).round().astype(np.uint8), "L")


def _words(error: Exception) -> str:
    said = str(error).strip().partition("\n")[0][:80].rstrip(".")
    return f"{said[:1].lower()}{said[1:]}" if said else type(error).__name__
