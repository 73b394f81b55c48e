"""Entity vectors of a graph: trained until held-out triples are foretold no better, or kept from a run before.

Imports torch: to be imported late.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from recprofile.builtin.descent.training import is_judged
from recprofile.builtin.encode.graph_kept import Kept
from recprofile.builtin.encode.graph_learner import GraphLearner
from recprofile.builtin.encode.graph_ranks import Questions, Rank, by_frequency
from recprofile.builtin.encode.graph_triples import Triples
from recprofile.plugin import Context, FloatArray, RunError

if TYPE_CHECKING:
    from recprofile.builtin.encode.graph import GraphParams

FORM = 1  # of what is kept, and of how it is made
OFTEN = 30  # seconds after which what was learnt so far is put away again


def entity_vectors(triples: Triples, p: GraphParams, ctx: Context) -> FloatArray:
    """One vector per entity, (entities, dim) float32; says in notes what was learnt from and how well.

    Where the engine lends a folder, what is made is kept there, and training goes on from where it was killed.
    """
    kept = None if ctx.store is None else Kept(ctx.store / "graph", _key(triples, p, ctx), ctx.warn)
    done = kept.load("done") if kept else None
    if done is None:
        done = _trained(triples, p, ctx, kept)
        if kept:
            kept.save("done", done)
            kept.drop("begun")
    for name, value in json.loads(str(done["notes"])).items():
        ctx.note(name, value)
    vectors: FloatArray = done["vectors"]
    return vectors


def _key(triples: Triples, p: GraphParams, ctx: Context) -> str:
    """All that the vectors hang on."""
    ours = {"triples", "head", "relation", "tail", "links", "link_item", "link_entity", "entity"}  # say where they are
    told = {"form": FORM, "seed": ctx.seed, "device": ctx.device.partition(":")[0]} | p.model_dump(exclude=ours)
    whole = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for names in (triples.entities, triples.relations):
        whole.update("\0".join(names).encode())
    for codes in (triples.head, triples.relation, triples.tail):
        whole.update(codes.tobytes())
    return whole.hexdigest()[:32]


def _trained(triples: Triples, p: GraphParams, ctx: Context, kept: Kept | None) -> dict[str, Any]:
    held = triples.held(p.hold, ctx.rng())
    training, asked = triples.take(~held), triples.take(held)
    sides = (Questions.about(asked, triples, tails=True), Questions.about(asked, triples, tails=False))
    learner = GraphLearner(training, p, seed=ctx.seed, device=ctx.device)
    begun = kept.load("begun") if kept else None
    epoch, chosen, best, losses, vectors = 0, 0, Rank(0.0, 0.0), [], learner.vectors()
    if begun is not None:
        learner.restore(begun)
        epoch, chosen, *rank = json.loads(str(begun["at"]))
        best, vectors, losses = Rank(*rank), begun["best"], begun["losses"].tolist()
    progress, saved = ctx.progress(p.max_epochs, "epochs"), time.monotonic()
    progress.add(epoch)
    for number in range(epoch + 1, p.max_epochs + 1):
        losses.append(_passed(learner, number, ctx))
        progress.add()
        if len(asked) == 0:
            chosen = number
        elif is_judged(number) or number == p.max_epochs:
            found = learner.rank(sides)
            if chosen == 0 or found.mrr > best.mrr:
                best, chosen, vectors = found, number, learner.vectors()
            if number - chosen >= p.patience:
                break
        if kept and time.monotonic() - saved > OFTEN:
            at = json.dumps([number, chosen, best.mrr, best.hits])
            kept.save("begun", learner.state() | {"at": at, "best": vectors, "losses": np.array(losses)})
            saved = time.monotonic()
    if len(asked) == 0:
        vectors = learner.vectors()
    notes = _notes(triples, asked, best, by_frequency(asked, training, sides))
    notes |= {"epochs": chosen, "loss": _short(losses[chosen - 1])}
    return {"vectors": vectors, "notes": json.dumps(notes)}


def _passed(learner: GraphLearner, epoch: int, ctx: Context) -> float:
    """One epoch, and its loss."""
    loss = learner.epoch(epoch)
    if not math.isfinite(loss):
        helps = ("a smaller 'learning_rate' helps", "so does a smaller 'margin'")
        raise RunError.of("RP601", f"the loss of '{ctx.stage}' is {loss} after epoch {epoch}", help=helps)
    return loss


def _notes(triples: Triples, asked: Triples, best: Rank, guess: Rank) -> dict[str, Any]:
    told: dict[str, Any] = {
        "triples": len(triples), "entities": len(triples.entities), "relations": len(triples.relations)
    }  # fmt: skip
    if len(asked) == 0:
        return told | {"held out": "nothing"}
    return told | {
        "held out": {
            "triples": len(asked),
            "mrr": _short(best.mrr),
            "mrr by frequency": _short(guess.mrr),
            "hits@10": _short(best.hits),
            "hits@10 by frequency": _short(guess.hits),
        }
    }


def _short(number: float) -> float:
    return float(f"{number:.4g}")
