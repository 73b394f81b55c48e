"""The recipe, and how a Source becomes one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, WithJsonSchema

from recprofile.errors import Problem, RecipeError, quoted
from recprofile.recipe.blocks import DataBlock, Evaluate, ListBlock
from recprofile.recipe.stage import Stage
from recprofile.recipe.tuning import Tune
from recprofile.shape import Model, problems_of, refusal
from recprofile.source import Source

MAX_STAGES = 200
MAX_SEED = 2**32 - 1  # what every library that we seed takes
_SPECIFIER = r"((~=|==|!=|<=|>=|<|>)\s*v?[0-9][A-Za-z0-9.!+_*-]*|===\s*[^\s,]+)?"
_SPECIFIERS_WRITTEN = rf"^\s*{_SPECIFIER}\s*(,\s*{_SPECIFIER}\s*)*$"


def _specifiers(text: str) -> str:
    """A PEP 440 version specifier; packaging is imported only for a recipe that has one."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415 - 40 ms that few recipes need

    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        message = f"{quoted(text)} is no version specifier"
        raise refusal("RP204", message, help=('for example ">=0.1" or ">=0.1,<1"',)) from None
    return text


def _one_engine(value: str | dict[str, Any]) -> str | dict[str, Any]:
    if isinstance(value, dict) and len(value) != 1:
        names = " and ".join(quoted(name) for name in value) or "none"
        raise refusal("RP205", f"'engine' must name one engine, and names {names}")
    return value


Specifiers = Annotated[
    str,
    AfterValidator(_specifiers),
    WithJsonSchema({"type": "string", "pattern": _SPECIFIERS_WRITTEN, "examples": [">=0.1"]}),
]


class Recipe(Model):
    """Everything a run needs to know."""

    recipe: Literal[1] = Field(description="Version of the recipe language.")
    name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=100,
        examples=["movies", "movies-2.1"],
        description="Name of the recipe: letters, digits, '.', '_' and '-'; default: the file's name less its ending.",
    )
    seed: int = Field(0, ge=0, le=MAX_SEED, description="Seed of every random choice, from 0 to 4294967295.")
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|mps|cuda(:[0-9]{1,3})?)$",
        examples=["auto", "cpu", "mps", "cuda", "cuda:0"],
        description="Where models run: auto, cpu, mps, cuda or cuda:N.",
    )
    engine: Annotated[Annotated[str, Field(min_length=1)] | dict[str, dict[str, Any]], AfterValidator(_one_engine)] = (
        Field("local", description="Where blocks of work run: local, or another by name, as {name: {option: value}}.")
    )
    out: str | None = Field(None, min_length=1, description="Folder of the run; default: runs/ and the recipe's name.")
    plugins: dict[str, Specifiers] = Field(
        default_factory=dict, description="Plugins that must be installed, with the versions that will do (PEP 440)."
    )
    data: DataBlock = Field(description="What happened, to what and whom, and what is held out.")
    stages: tuple[Stage, ...] = Field(
        min_length=1, max_length=MAX_STAGES, description="What is done, in order; from 1 to 200 stages."
    )
    lists: ListBlock = Field(default_factory=ListBlock, alias="list", description="The lists that are recommended.")
    evaluate: Evaluate = Field(default_factory=Evaluate, description="What is measured, and against which baselines.")
    tune: Tune | None = Field(None, description="What `recprofile tune` searches.")
    publish: str | None = Field(
        None, min_length=1, description="Profile store to publish to, as sqlite:///profiles.db."
    )
    track: tuple[Annotated[str, Field(min_length=1)], ...] = Field((), description="Trackers that are told of the run.")

    @property
    def engine_name(self) -> str:
        """The engine's name, however it is written."""
        return self.engine if isinstance(self.engine, str) else next(iter(self.engine))

    @property
    def engine_options(self) -> dict[str, Any]:
        """The engine's options; none when only its name is written."""
        return {} if isinstance(self.engine, str) else self.engine[self.engine_name]


def load_recipe(source: Source) -> Recipe:
    """The recipe that a source holds. Raises RecipeError with every problem of its shape, in file order."""
    recipe, problems = recipe_problems(source)
    if recipe is None:
        raise RecipeError(problems)
    return recipe


def recipe_problems(source: Source) -> tuple[Recipe | None, list[Problem]]:
    """The recipe, or None and what is wrong with its shape, in file order."""
    try:
        return Recipe.model_validate(source.plain()), []
    except ValidationError as error:
        return None, problems_of(error, source, (), Recipe)


def well_formed_stages(source: Source) -> list[tuple[int, Stage]]:
    """The stages that are right by themselves, with their places, whatever the rest of the recipe is like."""
    stages = source.plain().get("stages")
    found: list[tuple[int, Stage]] = []
    for index, stage in enumerate(stages if isinstance(stages, list) else ()):
        try:
            found.append((index, Stage.model_validate(stage)))
        except ValidationError:  # recipe_problems says what is wrong
            continue
    return found
