"""Training on disk, so that a kill costs seconds: safetensors and JSON in one file, renamed into place."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from recprofile_hf.tuning.track import Track

EVERY = 10.0  # seconds of work that a kill may cost


class Checkpoint:
    """Where trainings stand, and what folds have shown; None for `path`: nothing is kept."""

    def __init__(self, path: Path | None, tracks: Sequence[Track]) -> None:
        self.path, self.tracks, self._last = path, tracks, time.monotonic()

    def due(self) -> bool:
        """Whether so much was done that it should be kept."""
        return time.monotonic() - self._last > EVERY

    def save(self, values: Mapping[str, Any]) -> None:
        """Keep all tracks and these plain values."""
        self._last = time.monotonic()
        if self.path is None:
            return
        tensors: dict[str, torch.Tensor] = {}
        told = {}
        for track in self.tracks:
            state, told[track.name] = track.state()
            tensors |= {f"{track.name}/{key}": value.contiguous() for key, value in state.items()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.path.parent, suffix=".tmp")
        os.close(handle)
        try:
            save_file(tensors, temporary, {"tracks": json.dumps(told), "values": json.dumps(dict(values))})
            os.replace(temporary, self.path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)

    def load(self) -> dict[str, Any] | None:
        """Put all tracks where they stood, and give the values; None without a file, or with one that is damaged."""
        if self.path is None or not self.path.is_file():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                about = file.metadata()
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
            told, values = json.loads(about["tracks"]), json.loads(about["values"])
            for track in self.tracks:
                cut = f"{track.name}/"
                mine = {key.removeprefix(cut): value for key, value in tensors.items() if key.startswith(cut)}
                track.load(mine, told[track.name])
        except (SafetensorError, OSError, KeyError, ValueError, TypeError, RuntimeError):
            return None
        found: dict[str, Any] = values
        return found

    def remove(self) -> None:
        """All is done."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
