"""Components over Hugging Face transformers, in the namespace `hf`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recprofile.plugin import Encoder, hookimpl
from recprofile_hf.audio import Audio, AudioParams
from recprofile_hf.finetune import FineTune, FineTuneParams
from recprofile_hf.history import History, HistoryParams
from recprofile_hf.image import Image, ImageParams
from recprofile_hf.text import Text, TextParams

__all__ = [
    "Audio",
    "AudioParams",
    "FineTune",
    "FineTuneParams",
    "History",
    "HistoryParams",
    "Image",
    "ImageParams",
    "Text",
    "TextParams",
]


@hookimpl
def recprofile_encoders() -> Sequence[type[Encoder[Any]]]:
    return [Text, History, FineTune, Image, Audio]
