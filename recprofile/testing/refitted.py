"""What `Context.refit` gave a component, kept so that a fresh process is given the very same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from recprofile.artifacts import Dataset, load_pack, save_pack
from recprofile.components import Inputs
from recprofile.testing.given import Given


class Refitted:
    """Inputs by the training events they were made of; whoever asks for events that are not there gets `make`'s."""

    def __init__(self, make: Callable[[Dataset], Inputs], kept: dict[str, Inputs] | None = None) -> None:
        self._make = make
        self._kept = {} if kept is None else kept
        self._given: dict[str, Given] = {}

    def inputs(self, data: Dataset) -> Inputs:
        """The inputs that earlier stages make of these data, through the same packing as on the way to a process."""
        from recprofile.engine.refits import digest_of  # noqa: PLC0415 - the kit is imported without the engine

        digest = digest_of(data)
        if digest not in self._kept:
            given = Given(data, self._make(data))
            self._given[digest] = given
            self._kept[digest] = Given.unpack(given.pack()).inputs
        return self._kept[digest]

    def save(self, folder: Path) -> None:
        """Write what was asked for into a new folder."""
        folder.mkdir()
        for digest, given in self._given.items():
            (folder / digest).mkdir()
            save_pack(given.pack(), folder / digest)

    @classmethod
    def load(cls, folder: Path) -> Refitted:
        """What was saved; other events have no inputs."""
        kept = {path.name: Given.unpack(load_pack(path)).inputs for path in sorted(folder.iterdir())}
        return cls(lambda _: Inputs(), kept)
