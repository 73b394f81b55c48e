"""Stages done again on other training events: what components tune themselves on (`Context.refit`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np

from recprofile.artifacts import Dataset
from recprofile.cache import Record, StageCache, key_of
from recprofile.components import Context, Inputs
from recprofile.engine.nodes import Node
from recprofile.engine.work import Work

Get = Callable[[str], Any]
Lend = Callable[[Node, Get], tuple[Work, Context]]  # what a node is computed with, given how it gets what it reads

KEPT = 4  # sets of events whose results stay in memory


class Refits:
    """Results of a Plan's stages on other training events of the same users and items, kept in the cache.

    `done` gives a stage's result on all training events: what the stage settled then, it does not choose again.
    """

    def __init__(self, cache: StageCache, lend: Lend, done: Get) -> None:
        self._cache, self._lend, self._done = cache, lend, done
        self._of: dict[str, _Refit] = {}

    def inputs(self, node: Node, data: Dataset) -> Inputs:
        """The inputs of a node's stage, its earlier stages having learnt from `data.train`."""
        digest = digest_of(data)
        if digest not in self._of:
            while len(self._of) >= KEPT:
                del self._of[next(iter(self._of))]
            self._of[digest] = _Refit(data, digest, self._cache, self._lend, self._done)
        return self._of[digest].inputs(node)


class _Refit:
    def __init__(self, data: Dataset, digest: str, cache: StageCache, lend: Lend, done: Get) -> None:
        self._data, self._digest, self._cache, self._lend, self._done = data, digest, cache, lend, done
        self._results: dict[str, Any] = {}

    def inputs(self, node: Node) -> Inputs:
        work, _ = self._lend(node, lambda id: self._get(work, node, id))
        return work.inputs(node)

    def _get(self, work: Work, reader: Node, id: str) -> Any:  # noqa: ANN401 - artifacts of every kind
        if id == reader.data:
            return self._data
        if id not in self._results:
            self._results[id] = self._made(work.graph.nodes[id])
        return self._results[id]

    def _made(self, node: Node) -> Any:  # noqa: ANN401 - as above
        again = replace(self._settled(node), key=key_of({"refit": node.key, "train": self._digest}))
        work, ctx = self._lend(again, lambda id: self._get(work, again, id))
        found = self._cache.load(again.key)
        if found is not None:
            return work.unpack(again, found[0], ctx)
        artifact = work.compute(again, ctx)
        self._cache.put(again.key, work.pack(artifact), Record(facts={"of": node.key}))  # `profile forget` goes by it
        return artifact

    def _settled(self, node: Node) -> Node:
        """The node with the choices that its component made on all training events; they follow from its key."""
        if node.stage is None or not node.stage.component.settles():
            return node
        component = node.stage.component.settled(self._done(node.id))
        return replace(node, stage=replace(node.stage, component=component))


def digest_of(data: Dataset) -> str:
    """Hexadecimal SHA-256 of the training events, whatever their number of users and items."""
    found = sha256(f"{data.n_users} {data.n_items}".encode())
    for name, array in sorted(data.train.pack().arrays.items()):
        found.update(name.encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
