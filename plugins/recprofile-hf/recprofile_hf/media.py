"""Pictures and recordings as vectors: those kept from earlier runs, and the rest through a model in batches."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recprofile.plugin import BoolArray, Context, DataError, Dataset, FloatArray, RunError
from recprofile_hf.contents import Contents, Fault, contents_of
from recprofile_hf.encoding import Encodings, blank, joined, put
from recprofile_hf.kept import KeptVectors, model_fingerprint
from recprofile_hf.room import Room, is_out_of_memory

FLUSH_SECONDS = 20.0  # how much work a kill can cost
NAMED = 3  # of those that cannot be read
FORM = 1  # of how contents become inputs; counts in what kept vectors are about

Inputs = Mapping[str, NDArray[Any]]  # of one picture or one window of sound, each with a first axis of length 1


class UnreadableError(Exception):
    """These bytes are no picture or recording that can be used; says why, in a few words."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What goes into the model for one content, in pieces; `whole` is how many there would be without a limit."""

    pieces: Sequence[Inputs]
    whole: int


class MediaModel(Protocol):
    """A model and what comes before it."""

    name: str
    at_once: int  # how many contents are opened beside each other

    def opening(self) -> AbstractContextManager[object]:
        """Holds while contents are opened."""
        ...

    def open(self, held: bytes) -> Opened:
        """A content as inputs; raises UnreadableError. Called from several threads."""
        ...

    def vectors(self, inputs: Mapping[str, NDArray[Any]]) -> FloatArray:
        """Vectors (b, d) float32 of b pieces of one shape."""
        ...


class Loads(Protocol):
    """Gives the model when the first content asks for it."""

    def __call__(self, folder: Path, name: str, device: str) -> MediaModel: ...


@dataclass(frozen=True, slots=True)
class Settings:
    """What vectors hang on besides contents and device, and how much is done at once.

    `component` names it, `one` is what a person calls a content; `about` are the parameters that change vectors.
    """

    model: str
    column: str
    folder: str | None
    component: str
    one: str
    batch: int
    max_bytes: int
    about: Mapping[str, object]

    @property
    def many(self) -> str:
        """Several contents."""
        return f"{self.one}s"


@dataclass(frozen=True, eq=False, slots=True)
class Found:
    """Vectors (n_items, d) float32, zero where there is none; which items have one; the encodings by content."""

    vectors: FloatArray
    there: BoolArray
    encodings: Encodings


def vectors_of(data: Dataset, settings: Settings, loads: Loads, ctx: Context) -> Found:
    """The vector of each item, neither centred nor normalised; what has none is counted and named.

    Raises DataError RP505 when no item has one.
    """
    folder = None if settings.folder is None else ctx.asset(settings.folder)
    look = ctx.progress(data.n_items, "files")
    contents = contents_of(data, settings.column, folder, max_bytes=settings.max_bytes, progress=look.add)
    faults = list(contents.faults)
    encodings = _encodings(contents, settings, loads, ctx, faults)
    there = contents.which >= 0
    there[there] = encodings.used[contents.which[there]] > 0
    _tell(contents, faults, settings, ctx, any_there=bool(there.any()))
    vectors = np.zeros((data.n_items, encodings.vectors.shape[1]), np.float32)
    vectors[there] = encodings.vectors[contents.which[there]]
    return Found(vectors, there, encodings)


def _encodings(contents: Contents, settings: Settings, loads: Loads, ctx: Context, faults: list[Fault]) -> Encodings:
    """One encoding per content, zero where it cannot be read, which is added to `faults`."""
    n = len(contents.keys)
    model_folder = ctx.asset(settings.model)
    kept = None
    if ctx.store is not None:
        about = {
            "model": model_fingerprint(model_folder, settings.model),
            "device": ctx.device.partition(":")[0],
            "media": FORM,
            **settings.about,
        }
        kept = KeptVectors.about(about, within=ctx.store / f"hf-{settings.component}", warn=ctx.warn)
    rows, known = kept.find(contents.keys) if kept is not None and n else (np.zeros(0, np.int64), None)
    left = np.ones(n, np.bool_)
    left[rows] = False
    progress = ctx.progress(n, settings.many)
    whole = blank(n, known)
    if known is not None:
        put(whole, rows, known)
        progress.add(len(rows))
    if left.any():
        model = loads(model_folder, settings.model, ctx.device)
        for at, part in _encoded(model, contents, np.flatnonzero(left), settings, ctx, faults, kept):
            if len(at) and not whole.vectors.shape[1]:
                whole = blank(n, part)
            put(whole, at, part)
            progress.add(len(at))
        if progress.done < n:
            progress.add(n - progress.done)
    return whole


def _encoded(  # noqa: PLR0917 - all of one piece of work
    model: MediaModel,
    contents: Contents,
    wanted: NDArray[np.int64],
    settings: Settings,
    ctx: Context,
    faults: list[Fault],
    kept: KeptVectors | None,
) -> Iterator[tuple[NDArray[np.int64], Encodings]]:
    """Rows and encodings, batch by batch, kept as they come; what is kept ends with a whole batch."""
    room = Room("batch_size", settings.batch, ctx.warn)
    fresh: list[tuple[NDArray[np.int64], Encodings]] = []
    flushed = time.monotonic()

    def flush() -> None:
        if kept is not None and fresh:
            at = np.concatenate([rows for rows, _ in fresh])
            parts = [part for _, part in fresh]
            kept.add(contents.keys.gather(at.astype(np.uint32)), joined(parts))
        fresh.clear()

    try:
        for rows, opened in _batches(model, contents, wanted, settings.batch, faults):
            made = _of_batch(model, opened, room, settings.one)
            fresh.append((rows, made))
            if time.monotonic() - flushed > FLUSH_SECONDS:
                flush()
                flushed = time.monotonic()
            yield rows, made
    finally:
        flush()


def _batches(
    model: MediaModel, contents: Contents, wanted: NDArray[np.int64], size: int, faults: list[Fault]
) -> Iterator[tuple[NDArray[np.int64], list[Opened]]]:
    """Contents in their order until they have `size` pieces; what cannot be opened is left out, and is a fault."""
    rows: list[int] = []
    opened: list[Opened] = []
    for row, one in _opened(model, contents, wanted):
        if isinstance(one, str):
            faults.append(Fault(contents.names[row], one, int(contents.items[row])))
            continue
        rows.append(row)
        opened.append(one)
        if sum(len(each.pieces) for each in opened) >= size:
            yield np.array(rows, np.int64), opened
            rows, opened = [], []
    if rows:
        yield np.array(rows, np.int64), opened


def _opened(model: MediaModel, contents: Contents, wanted: NDArray[np.int64]) -> Iterator[tuple[int, Opened | str]]:
    """Each content as inputs, or why it has none."""
    from concurrent.futures import ThreadPoolExecutor

    def open_one(row: int) -> Opened | str:
        try:
            return model.open(contents.read(row))
        except UnreadableError as error:
            return str(error)
        except OSError as error:  # gone, or changed, since it was looked at
            return (error.strerror or str(error)).lower()

    with ThreadPoolExecutor(model.at_once) as pool:
        for at in range(0, len(wanted), model.at_once):
            part = wanted[at : at + model.at_once].tolist()
            with model.opening():
                found = list(pool.map(open_one, part)) if model.at_once > 1 else [open_one(row) for row in part]
            yield from zip(part, found, strict=True)


def _of_batch(model: MediaModel, opened: Sequence[Opened], room: Room, one: str) -> Encodings:
    """The mean vector of each content's pieces. Pieces of one shape go through the model together, unpadded."""
    pieces = [piece for each in opened for piece in each.pieces]
    alike: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for n, piece in enumerate(pieces):
        alike[tuple(sorted((name, values.shape) for name, values in piece.items()))].append(n)
    of_pieces: FloatArray | None = None
    for group in alike.values():
        made = _in_room(model, [pieces[n] for n in group], room, one)
        of_pieces = np.zeros((len(pieces), made.shape[1]), np.float32) if of_pieces is None else of_pieces
        of_pieces[group] = made
    assert of_pieces is not None
    if not np.isfinite(of_pieces).all():
        help = ("its weights may be damaged",)
        raise RunError.of("RP601", f"the model '{model.name}' gave a vector that is not finite", help=help)
    counts = np.array([len(each.pieces) for each in opened], np.int32)
    starts = np.cumsum(counts) - counts
    vectors = (np.add.reduceat(of_pieces.astype(np.float64), starts, axis=0) / counts[:, None]).astype(np.float32)
    return Encodings(vectors, np.array([each.whole for each in opened], np.int32), counts)


def _in_room(model: MediaModel, pieces: Sequence[Inputs], room: Room, one: str) -> FloatArray:
    """Vectors of pieces of one shape; a batch that does not fit into memory is halved, and so are those to come."""
    fit = max(1, room.fits)
    if fit < len(pieces):
        parts = [pieces[at : at + fit] for at in range(0, len(pieces), fit)]
        return np.concatenate([_in_room(model, part, room, one) for part in parts])
    try:
        return model.vectors({name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]})
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        if len(pieces) == 1:
            help = ("try a smaller model, or another device",)
            raise RunError.of("RP604", f"one {one} does not fit into memory", help=help) from error
    room.shrink(len(pieces) // 2)
    return _in_room(model, pieces, room, one)


def _tell(contents: Contents, faults: Sequence[Fault], settings: Settings, ctx: Context, *, any_there: bool) -> None:
    """How many items have no vector, and why; DataError RP505 when none has one."""
    items, absent = len(contents.which), int(contents.absent.sum())
    broken = sum(fault.items for fault in faults)
    named = [f"{fault.name} ({fault.why})" for fault in faults[:NAMED]]
    more = f" and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
    ctx.note(
        settings.many,
        {"items": items, "without": absent, "unreadable": broken, "different": len(contents.keys)},
    )
    if not any_there:
        readable = " that can be read" if faults else ""
        raise DataError.of("RP505", f"no item has any {settings.one} in '{settings.column}'{readable}", help=named)
    if absent:
        ctx.warn(f"{absent} of {items} items have no {settings.one} in '{settings.column}', and no vector")
    if faults:
        told = f"{broken} of {items} items have no vector, for the {settings.one} in '{settings.column}' cannot be read"
        ctx.warn(f"{told}: {', '.join(named)}{more}")
