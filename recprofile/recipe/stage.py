"""One stage: a verb and a component, and what it may add."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from recprofile.errors import closest, quoted
from recprofile.shape import Model, refusal
from recprofile.shape.model import plain

Verb = Literal["preprocess", "encode", "fuse", "recommend", "rerank", "check", "explain", "update"]
VERBS: tuple[Verb, ...] = get_args(Verb)
_REST = ("id", "with", "from", "fail")


class _Verbs(tuple[str, ...]):
    """The keys of a stage that are verbs or, when there is none, that may be meant as one."""

    __slots__ = ()


def _one_verb(value: object) -> object:
    """The one verb of a stage; `Stage._from_language` hands over what it found."""
    if not isinstance(value, _Verbs):
        return value
    named = [key for key in value if key in VERBS]
    if len(named) > 1:
        both = " and ".join(quoted(key) for key in named)
        raise refusal(
            "RP205", f"one stage has {both}, and must have one verb", help=("make two stages of it",), key=named[1]
        )
    if value:
        help_lines = (f"did you mean '{closest(value[0], VERBS)}'?", f"verbs: {', '.join(VERBS)}")
        raise refusal("RP201", f"unknown key {quoted(value[0])}", help=help_lines, key=value[0])
    raise refusal("RP205", "a stage has no verb", help=(f"verbs: {', '.join(VERBS)}",))


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class Stage(Model):
    """`verb: component`, with parameters, an id, inputs by name and, for a check, what a failure means."""

    unknown_hint: ClassVar[str | None] = "parameters of the component stand under 'with'"

    verb: Annotated[Verb, BeforeValidator(_one_verb)] = Field(description="What the stage does.")
    use: str = Field(min_length=1, max_length=200, description="Component, as name, namespace/name or name@version.")
    id: str | None = Field(
        None,
        pattern=r"^[a-z][a-z0-9_-]*$",
        max_length=40,
        examples=["plot", "taste-2"],
        description="Name of what the stage makes: a small letter, then small letters, digits, '-', '_'; at most 40.",
    )
    with_: dict[str, Any] = Field(default_factory=dict, alias="with", description="Parameters of the component.")
    from_: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_several)] = Field(
        (), alias="from", description="Ids of earlier stages that are the inputs; needed where two or more fit."
    )
    fail: Literal["error", "warn"] = Field(
        "error", description="For a check: whether a gate that does not hold makes the run exit with 1."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_language(cls, data: object) -> object:
        """`{encode: tfidf}` as `{verb: encode, use: tfidf}`; what else a recipe wrote stays, to be refused."""
        if not isinstance(data, dict):
            return data
        verbs = _Verbs(key for key in data if key in VERBS)
        rest = {key: value for key, value in data.items() if key not in VERBS}
        if len(verbs) == 1:
            stage = {"verb": verbs[0], "use": data[verbs[0]]}
        else:
            near = [key for key in rest if key not in _REST and closest(str(key), VERBS)][:1]
            stage = {"verb": verbs or _Verbs(near), "use": "unknown"}
            rest = {key: value for key, value in rest.items() if key not in near or verbs}
        # The fields `verb` and `use` are ours: written in a recipe they are unknown keys, here under a name no one has.
        return {**{f"{key}\0" if key in stage else key: value for key, value in rest.items()}, **stage}

    @model_validator(mode="after")
    def _fail_is_for_checks(self) -> Self:
        if "fail" in self.model_fields_set and self.verb != "check":
            raise refusal("RP205", f"'fail' does not go with '{self.verb}': only a check can fail", key="fail")
        return self

    @classmethod
    def known_keys(cls) -> tuple[str, ...]:
        """The verbs, and what a stage may add."""
        return (*VERBS, *_REST)

    @classmethod
    def written_as(cls, key: str, keys: Collection[str]) -> str:
        """The field `use` is the value of the verb's key."""
        if key == "use":
            return next((name for name in keys if name in VERBS), key)
        return key.rstrip("\0")

    def to_data(self) -> dict[str, Any]:
        """The stage as a recipe writes it: `{encode: tfidf, id: …, with: {…}, from: […]}`."""
        data: dict[str, Any] = {self.verb: self.use}
        if self.id is not None:
            data["id"] = self.id
        if self.with_:
            data["with"] = plain(self.with_)
        if self.from_:
            data["from"] = list(self.from_)
        if self.verb == "check":
            data["fail"] = self.fail
        return data
