"""Texts as vectors: those kept from earlier runs, and the rest through the model in batches of similar length."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from recprofile.plugin import Context, FloatArray, IntArray, Rows, RunError
from recprofile_hf.agreement import (
    SAMPLE,
    Agreement,
    agreement,
    keep_agreement,
    kept_agreement,
    require,
    sample_of,
)
from recprofile_hf.kept import KeptVectors, model_fingerprint
from recprofile_hf.runtimes import versions_of

if TYPE_CHECKING:
    from recprofile_hf.backend import Check
    from recprofile_hf.model import TextModel

FLUSH_SECONDS = 20.0  # how much work a kill can cost


@dataclass(frozen=True, slots=True)
class Settings:
    """How vectors are made, besides text and device; see TextParams."""

    model: str
    max_tokens: int
    batch_tokens: int
    pooling: str
    precision: str = "fp32"
    backend: str = "torch"
    devices: int = 1
    overlap: int | None = None  # of chunks; None: long texts are cut
    eos: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Encodings:
    """Vectors of n texts, float32 (n, d); how many tokens each has, and how many were read at once: int32 (n,).

    A text without tokens has a zero row. Of pictures and recordings, what is counted are the pieces of each.
    """

    vectors: FloatArray
    tokens: IntArray
    used: IntArray


def encodings_of(texts: pl.Series, folder: Path, *, settings: Settings, ctx: Context) -> Encodings:
    """Pooled vectors of texts that all differ, neither centred nor normalised; see `Text`."""
    _require_device(settings, ctx.device)
    kept = _kept_vectors(folder, settings, ctx)
    rows, known = kept.find(texts) if kept is not None else (np.zeros(0, np.int64), None)
    left = np.ones(len(texts), np.bool_)
    left[rows] = False
    progress = ctx.progress(len(texts), "texts")
    whole = blank(len(texts), known)
    if known is not None:
        put(whole, rows, known)
        progress.add(len(rows))
    # On CUDA float32 would need the memory for a second model.
    is_reference = settings.backend == "torch" and (settings.precision == "fp32" or ctx.device != "cpu")
    check = None if is_reference else _check(texts, settings, ctx, kept)
    if left.any() or check is not None:
        wanted = np.flatnonzero(left)
        asked = texts.filter(pl.Series(left))
        for at, part in _encoded(asked, folder, settings=settings, ctx=ctx, kept=kept, check=check):
            whole = whole if whole.vectors.shape[1] else blank(len(texts), part)
            put(whole, wanted[at], part)
            progress.add(len(at))
    if progress.done < progress.total:  # texts without a token
        progress.add(progress.total - progress.done)
    _say_what_was_long(whole, settings, ctx)
    return whole


def _require_device(settings: Settings, device: str) -> None:
    here = f"and this stage runs on '{device}'"
    if settings.backend != "torch" and device != "cpu":
        help = ("leave it at torch there, or run the recipe on the cpu",)
        raise RunError.of("RP603", f"'backend: {settings.backend}' needs the cpu, {here}", help=help)
    if settings.precision in {"bf16", "fp16"} and not device.startswith("cuda"):
        from recprofile_hf.networks import multiplies_bf16

        needed = "a cuda device"
        if settings.precision == "bf16":
            if device == "cpu" and multiplies_bf16():
                return
            needed = "a cuda device, or a processor that multiplies bfloat16 (AVX512-BF16, AMX)"
        help = ("leave it at fp32 here: half precision is slower where the processor has it not",)
        raise RunError.of("RP603", f"'precision: {settings.precision}' needs {needed}, {here}", help=help)


def _kept_vectors(folder: Path, settings: Settings, ctx: Context) -> KeptVectors | None:
    """Where vectors made in this way are kept. Those of torch serve any of its versions: they agree to 1e-6."""
    other = {} if settings.backend == "torch" else {"backend": settings.backend, **versions_of(settings.backend)}
    if ctx.store is None:
        return None
    about = {
        "model": model_fingerprint(folder, settings.model),
        "pooling": settings.pooling,
        "max_tokens": settings.max_tokens,
        "precision": settings.precision,
        "device": ctx.device.partition(":")[0],
        # Named only where they count, so that vectors of earlier versions still serve.
        **({} if settings.overlap is None else {"chunks": settings.overlap}),
        **({"eos": True} if settings.eos else {}),
        **other,
    }
    return KeptVectors.about(about, within=ctx.store / "hf-text", warn=ctx.warn)


def _check(texts: pl.Series, settings: Settings, ctx: Context, kept: KeptVectors | None) -> Check | None:
    """What holds a model against torch's on a sample of the texts, and tells; None when that is known from before."""
    before = None if kept is None else kept_agreement(kept.folder, least=min(SAMPLE, len(texts)))

    def told(found: Agreement) -> None:
        require(found, backend=settings.backend, precision=settings.precision)
        ctx.note("agreement with torch", found.facts)

    def check(model: TextModel, torch: TextModel) -> None:
        sample = sample_of(texts).to_list()
        both = []
        for one in (model, torch):
            parts = list(one.encode(sample, batch_tokens=settings.batch_tokens, warn=ctx.warn))
            if not parts:  # no text has a token, which is said elsewhere
                return
            both.append(joined([part for _, part in parts]).vectors)
        found = agreement(*both)
        told(found)
        if kept is not None:
            keep_agreement(found, kept.folder)

    if before is None:
        return check
    told(before)
    return None


def _encoded(
    texts: pl.Series,
    folder: Path,
    *,
    settings: Settings,
    ctx: Context,
    kept: KeptVectors | None,
    check: Check | None,
) -> Iterator[tuple[Rows, Encodings]]:
    """Rows and encodings, batch by batch, kept as they come.

    What is kept always ends with a whole batch, and the texts left then make the very batches that were still to come:
    a run that is killed and begun again gives the same bits as one that was not.
    """
    from recprofile_hf.backend import text_model

    fresh: list[tuple[Rows, Encodings]] = []
    with text_model(folder, settings=settings, ctx=ctx, check=check) as model:
        flushed = time.monotonic()
        try:
            for rows, part in model.encode(texts.to_list(), batch_tokens=settings.batch_tokens, warn=ctx.warn):
                fresh.append((rows, part))
                if kept is not None and time.monotonic() - flushed > FLUSH_SECONDS:
                    _keep(fresh, texts, kept)
                    fresh, flushed = [], time.monotonic()
                yield rows, part
        finally:
            if kept is not None:
                _keep(fresh, texts, kept)


def _keep(fresh: list[tuple[Rows, Encodings]], texts: pl.Series, kept: KeptVectors) -> None:
    if fresh:
        rows = np.concatenate([rows for rows, _ in fresh])
        whole = joined([part for _, part in fresh])
        kept.add(texts.gather(rows.astype(np.uint32)), whole)


def joined(parts: Sequence[Encodings]) -> Encodings:
    """Those of all parts, in order."""
    return Encodings(
        np.concatenate([part.vectors for part in parts]),
        np.concatenate([part.tokens for part in parts]),
        np.concatenate([part.used for part in parts]),
    )


def blank(n: int, like: Encodings | None) -> Encodings:
    """Room for n encodings, of no dimensions where that is not known yet."""
    dim = 0 if like is None else like.vectors.shape[1]
    return Encodings(np.zeros((n, dim), np.float32), np.zeros(n, np.int32), np.zeros(n, np.int32))


def put(whole: Encodings, rows: Rows, part: Encodings) -> None:
    """Set those of some rows."""
    whole.vectors[rows], whole.tokens[rows], whole.used[rows] = part.vectors, part.tokens, part.used


def _say_what_was_long(whole: Encodings, settings: Settings, ctx: Context) -> None:
    max_tokens = settings.max_tokens
    cut = whole.tokens > whole.used
    if cut.any():
        limit = int(whole.used[cut].max())
        if settings.overlap is not None:
            told = {"texts": int(cut.sum()), "of": len(cut), "tokens each": limit}
            ctx.note("read in chunks", told)
            return
        why = f"'max_tokens: {max_tokens}'" if limit == max_tokens else f"the model takes no more than {limit} tokens"
        ctx.warn(f"{int(cut.sum())} of {len(cut)} different texts were cut after {limit} tokens ({why})")
