"""A vision model from a local folder: pictures through its processor and its layers to one vector each."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoImageProcessor

from recprofile.plugin import FloatArray, threads
from recprofile_hf.loading import as_run_error, quiet, require_files, unusable
from recprofile_hf.media import Loads, MediaModel, Opened
from recprofile_hf.media_loading import load_model
from recprofile_hf.pictures import bounded, picture

PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
CLASS_TOKENS = ("cls_token", "class_embedding")


def image_model(pooling: str, *, max_pixels: int) -> Loads:
    """What loads a model; RunError RP605 saying what is wrong with its folder."""

    def load(folder: Path, name: str, device: str) -> MediaModel:
        require_files(folder, name, PROCESSOR_FILES, "image processor (preprocessor_config.json)")
        with quiet(), as_run_error(name):
            # Pillow's, whatever else is installed: two ways to resize give two vectors.
            processor = AutoImageProcessor.from_pretrained(  # type: ignore[no-untyped-call]  # transformers'
                folder, local_files_only=True, trust_remote_code=False, backend="pil"
            )
        model, has_pooler = load_model(folder, name, device)
        if not hasattr(model, "get_image_features") and model.main_input_name != "pixel_values":
            raise unusable(name, "it is no model of images")
        return ImageModel(name, processor, model, pooling, has_pooler=has_pooler, max_pixels=max_pixels)

    return load


class ImageModel:
    """A processor and a model on one device."""

    def __init__(
        self,
        name: str,
        processor: Any,  # noqa: ANN401 - each model has a class of its own
        model: Any,  # noqa: ANN401 - as above
        pooling: str,
        *,
        has_pooler: bool,
        max_pixels: int,
    ) -> None:
        self.name, self.processor, self.model, self.pooling = name, processor, model, pooling
        self.has_pooler, self.max_pixels = has_pooler, max_pixels
        self.at_once = max(1, min(threads(), 16))
        self.shared = hasattr(model, "get_image_features")  # one space with text
        names = [parameter for parameter, _ in model.named_parameters()]
        self.has_class = any(parameter.endswith(CLASS_TOKENS) for parameter in names)
        vision = getattr(model.config, "vision_config", model.config)
        distilled = any(parameter.endswith("distillation_token") for parameter in names)
        self.before_patches = int(self.has_class) + int(distilled) + int(getattr(vision, "num_register_tokens", 0) or 0)
        if pooling == "cls" and not self.has_class:
            raise unusable(name, "it has no class token, which 'pooling: cls' takes")

    def opening(self) -> AbstractContextManager[object]:
        """Holds Pillow to `max_pixels`."""
        return bounded(self.max_pixels)

    def open(self, held: bytes) -> Opened:
        """A picture as the model's inputs."""
        # Said, since of a picture of three pixels' height nobody can tell where the channels are.
        found = self.processor(images=picture(held), return_tensors="np", input_data_format="channels_last")
        return Opened([{name: np.asarray(values) for name, values in found.items()}], 1)

    def vectors(self, inputs: Mapping[str, NDArray[Any]]) -> FloatArray:
        """Vectors (b, d)."""
        device = self.model.device
        given = {name: torch.from_numpy(values).to(device) for name, values in inputs.items()}
        with torch.inference_mode():
            out = self.model.get_image_features(**given) if self.shared else self.model(**given)
            made: FloatArray = self._pooled(out).float().cpu().numpy()
            return made

    def _pooled(self, out: Any) -> Any:  # noqa: ANN401 - each model has a class of its own
        if isinstance(out, torch.Tensor):
            if self.pooling not in ("auto", "pooler"):
                raise unusable(self.name, f"it gives no vectors of patches, which 'pooling: {self.pooling}' takes")
            return out
        own = getattr(out, "pooler_output", None) if self.has_pooler else None
        if self.pooling in ("auto", "pooler") and own is not None:
            return own.flatten(1)
        if self.pooling == "pooler":
            raise unusable(self.name, "it has no pooler, or no weights for it", "leave 'pooling' at auto")
        hidden = out.last_hidden_state
        if hidden.ndim == 4:  # feature maps of a convolutional model, (b, d, height, width)
            return hidden.flatten(2).mean(dim=2)
        if self.pooling != "mean" and self.has_class:
            return hidden[:, 0]
        return hidden[:, self.before_patches :].mean(dim=1)
