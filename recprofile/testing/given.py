"""What a stage is given and what it makes of it, for a component of any kind, with nothing of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from recprofile.artifacts import (
    CheckResult,
    Dataset,
    Embeddings,
    Encoded,
    Explanations,
    Interactions,
    Pack,
    Profiles,
    Recommendations,
)
from recprofile.artifacts.pack import join_packs
from recprofile.components import (
    Check,
    Component,
    Context,
    Encoder,
    Explainer,
    Fuser,
    Inputs,
    Preprocessor,
    Ranker,
    Recommender,
    Reranker,
    Updater,
)
from recprofile.testing.recorded import Recorded

Artifact: TypeAlias = Dataset | Encoded | Profiles | Ranker | Recommendations | CheckResult | Explanations
MADE: Mapping[str, Any] = {
    "preprocess": Dataset,
    "encode": Encoded,
    "fuse": Profiles,
    "recommend": Ranker,
    "rerank": Recommendations,
    "check": CheckResult,
    "explain": Explanations,
    "update": Profiles,
}


@dataclass(frozen=True)
class Given:
    """All that a stage is given beside its parameters; what a verb does not take is left empty."""

    data: Dataset
    inputs: Inputs = field(default_factory=Inputs)
    recs: Recommendations | None = None
    ranker: Ranker | None = None
    events: Interactions | None = None

    def lock(self) -> Given:
        """The same, with every array made read-only: whoever writes to what it was given is found out."""
        for part in ("train", "valid", "test"):
            for positive in (False, True):
                for binary in (False, True):
                    memo = self.data.matrix(part, positive_only=positive, binary=binary)
                    for array in (memo.data, memo.indices, memo.indptr):
                        array.setflags(write=False)
        for array in self.pack(rankers=False).arrays.values():
            array.setflags(write=False)
        return self

    def pack(self, *, rankers: bool = True) -> Pack:
        """All of it, with what rankers say of every pair."""
        parts: dict[str, Pack | None] = {"data": self.data.pack()}
        for name in ("recs", "events"):
            one = getattr(self, name)
            parts[name] = None if one is None else one.pack()
        if self.inputs.profiles is not None:
            parts["profiles"] = self.inputs.profiles.pack()
        parts |= {f"encoded{n}": one.pack() for n, one in enumerate(self.inputs.encoded.values())}
        if rankers:
            every = ([] if self.ranker is None else [self.ranker]) + list(self.inputs.rankers.values())
            parts |= {f"ranker{n}": Recorded.of(one, self.data).pack() for n, one in enumerate(every)}
        names = {"encoded": list(self.inputs.encoded), "rankers": list(self.inputs.rankers), "own": bool(self.ranker)}
        return join_packs(names, **parts)

    @classmethod
    def unpack(cls, pack: Pack) -> Given:
        """The inverse of `pack`, but that a ranker is now what was recorded of it."""

        def part(name: str, kind: Any) -> Any:  # noqa: ANN401 - of the kind that is asked for
            return kind.unpack(pack.part(name)) if pack.has(name) else None

        own = int(pack.values["own"])
        encoded = {name: part(f"encoded{n}", Encoded) for n, name in enumerate(pack.values["encoded"])}
        rankers = {name: part(f"ranker{n + own}", Recorded) for n, name in enumerate(pack.values["rankers"])}
        return cls(
            Dataset.unpack(pack.part("data")),
            Inputs(part("profiles", Profiles), encoded, rankers),
            part("recs", Recommendations),
            part("ranker0", Recorded) if own else None,
            part("events", Interactions),
        )


def apply(component: Component[Any], given: Given, ctx: Context) -> Artifact:
    """What the component's verb gives; AssertionError when that is not of the verb's kind."""
    data, inputs = given.data, given.inputs
    made: object
    match component:
        case Preprocessor():
            made = component.preprocess(data, ctx)
        case Encoder():
            single = component.encode(data, ctx)
            assert isinstance(single, Embeddings | Encoded), f"encode gave {type(single).__name__}"
            made = Encoded.of(single)
        case Fuser():
            made = component.fuse(inputs.encoded, data, ctx)
        case Recommender():
            made = component.fit(data, inputs, ctx)
        case Reranker() if given.recs is not None:
            made = component.rerank(given.recs, inputs, data, ctx)
        case Check() if given.recs is not None:
            made = component.check(given.recs, inputs, data, ctx)
        case Explainer() if given.recs is not None and given.ranker is not None:
            made = component.explain(given.recs, given.ranker, inputs, data, ctx)
        case Updater() if inputs.profiles is not None and given.events is not None:
            made = component.update(inputs.profiles, given.events, data, ctx)
        case _:
            raise AssertionError(f"{type(component).__name__} is of no kind, or was not given what its kind takes")
    kind = MADE[component.verb]
    assert isinstance(made, kind), f"{component.verb} gave {type(made).__name__}, and must give {kind.__name__}"
    return made  # type: ignore[no-any-return]  # checked the line before
