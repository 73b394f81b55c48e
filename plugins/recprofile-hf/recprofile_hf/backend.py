"""The text model that settings ask for, in the program that is to run it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from recprofile.plugin import Context, threads
from recprofile_hf.encoding import Settings
from recprofile_hf.exported import exported
from recprofile_hf.kept import model_fingerprint
from recprofile_hf.loading import load
from recprofile_hf.model import TextModel
from recprofile_hf.networks import devices_from, on_devices
from recprofile_hf.runtimes import EXPORT, PACKAGES, runtime

Check = Callable[[TextModel, TextModel], None]


@contextmanager
def text_model(folder: Path, *, settings: Settings, ctx: Context, check: Check | None) -> Iterator[TextModel]:
    """The model of a folder; `check` is given it and torch's in float32, before anything else is."""
    loaded = load(folder, settings)
    if settings.backend == "torch":
        devices = devices_from(ctx.device, settings.devices)
        model = TextModel.of(loaded, on_devices(loaded, devices, pooling=settings.pooling))
        if check is not None:
            whole = load(folder, replace(settings, precision="fp32"))
            check(model, TextModel.of(whole, on_devices(whole, ["cpu"], pooling=settings.pooling)))
            del whole
        yield model
        return
    int8 = settings.precision == "int8"
    makers = PACKAGES[settings.backend] if int8 else EXPORT
    with _lent(ctx.store) as within:
        graph = exported(
            loaded,
            about={
                "model": model_fingerprint(folder, settings.model),
                **{name: version(name) for name in ("torch", "transformers", *makers)},
            },
            int8=int8,
            within=within / "hf-onnx",
            warn=ctx.warn,
        )
        # As many as torch would take: it counts cores, and knows OMP_NUM_THREADS.
        count = min(torch.get_num_threads(), threads())
        network = runtime(settings.backend, graph, pooling=settings.pooling, threads=count)
        model = TextModel.of(loaded, [network])
        if check is not None:
            check(model, TextModel.of(loaded, on_devices(loaded, ["cpu"], pooling=settings.pooling)))
        del loaded  # the weights in torch, which are not used any more
        yield model


@contextmanager
def _lent(store: Path | None) -> Iterator[Path]:
    """The folder that outlives the run, or one that does not."""
    if store is not None:
        yield store
        return
    with TemporaryDirectory(prefix="recprofile-", ignore_cleanup_errors=True) as folder:  # Windows keeps what is mapped
        yield Path(folder)
