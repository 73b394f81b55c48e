"""An audio model from a local folder: recordings through its feature extractor and its layers to one vector each."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoFeatureExtractor

from recprofile.plugin import FloatArray
from recprofile_hf.loading import as_run_error, quiet, require_files, unusable
from recprofile_hf.media import Loads, MediaModel, Opened
from recprofile_hf.media_loading import load_model
from recprofile_hf.recordings import recording

EXTRACTOR_FILES = ("preprocessor_config.json", "processor_config.json")
INPUTS = frozenset({"input_values", "input_features"})
SHORTEST = 0.1  # seconds; a shorter recording is followed by silence, for a network's first layers need some samples


def audio_model(pooling: str, *, window: float, longest: float) -> Loads:
    """What loads a model; RunError RP605 saying what is wrong with its folder."""

    def load(folder: Path, name: str, device: str) -> MediaModel:
        require_files(folder, name, EXTRACTOR_FILES, "feature extractor (preprocessor_config.json)")
        with quiet(), as_run_error(name):
            local = {"local_files_only": True, "trust_remote_code": False}
            extractor = AutoFeatureExtractor.from_pretrained(folder, **local)  # type: ignore[no-untyped-call]  # as theirs
        model, _ = load_model(folder, name, device)
        shared = hasattr(model, "get_audio_features")
        if not hasattr(extractor, "sampling_rate") or not (shared or model.main_input_name in INPUTS):
            raise unusable(name, "it is no model of sound")
        if getattr(model.config, "is_encoder_decoder", False):
            model = model.get_encoder()
        return AudioModel(name, extractor, model, pooling, window=window, longest=longest)

    return load


class AudioModel:
    """A feature extractor and a model on one device."""

    at_once = 1  # reading a recording bends Python's warnings, which belong to the whole process

    def __init__(
        self,
        name: str,
        extractor: Any,  # noqa: ANN401 - each model has a class of its own
        model: Any,  # noqa: ANN401 - as above
        pooling: str,
        *,
        window: float,
        longest: float,
    ) -> None:
        self.name, self.extractor, self.model, self.pooling = name, extractor, model, pooling
        self.longest = longest
        self.rate = int(extractor.sampling_rate)
        self.window = max(1, int(min(window, _takes(extractor)) * self.rate))
        self.shared = hasattr(model, "get_audio_features")

    def opening(self) -> AbstractContextManager[object]:
        """Nothing is held."""
        return nullcontext()

    def open(self, held: bytes) -> Opened:
        """A recording as the model's inputs, window by window."""
        found = recording(held, rate=self.rate, longest=self.longest)
        samples = found.samples
        if len(samples) < (least := int(SHORTEST * self.rate)):
            samples = np.pad(samples, (0, least - len(samples)))
        count = ceil(len(samples) / self.window)
        starts = np.linspace(0, max(0, len(samples) - self.window), count).astype(np.int64).tolist()
        pieces = [self._inputs(samples[start : start + self.window]) for start in starts]
        if found.seconds > self.longest:  # what is cut off is counted, too
            return Opened(pieces, max(count + 1, ceil(found.seconds * self.rate / self.window)))
        return Opened(pieces, count)

    def _inputs(self, samples: FloatArray) -> Mapping[str, NDArray[Any]]:
        found = self.extractor(samples, sampling_rate=self.rate, return_tensors="np")
        inputs = {name: np.asarray(values) for name, values in found.items()}
        inputs.pop("attention_mask", None)  # nothing is padded
        if "is_longer" in inputs:  # CLAP's draws one of a batch by chance; no window is longer than it takes
            inputs["is_longer"] = np.zeros_like(inputs["is_longer"], dtype=np.bool_)
        return inputs

    def vectors(self, inputs: Mapping[str, NDArray[Any]]) -> FloatArray:
        """Vectors (b, d)."""
        device = self.model.device
        given = {
            name: torch.from_numpy(values if values.dtype == np.bool_ else values.astype(np.float32)).to(device)
            for name, values in inputs.items()
        }
        with torch.inference_mode():
            out = self.model.get_audio_features(**given) if self.shared else self.model(**given)
            made: FloatArray = self._pooled(out).float().cpu().numpy()
            return made

    def _pooled(self, out: Any) -> Any:  # noqa: ANN401 - each model has a class of its own
        if isinstance(out, torch.Tensor):
            return out
        if self.pooling == "auto" and self.shared:
            return out.pooler_output
        hidden = out.last_hidden_state
        return hidden.flatten(2).mean(dim=2) if hidden.ndim == 4 else hidden.mean(dim=1)


def _takes(extractor: Any) -> float:  # noqa: ANN401 - each model has a class of its own
    """The longest stretch that a feature extractor does not cut, in seconds."""
    if (samples := getattr(extractor, "nb_max_samples", None) or getattr(extractor, "n_samples", None)) is not None:
        return float(samples) / float(extractor.sampling_rate)  # CLAP; Whisper
    if "ASTFeatureExtractor" in type(extractor).__name__:
        return float(extractor.max_length) * 0.01  # frames of 10 ms
    return float("inf")
