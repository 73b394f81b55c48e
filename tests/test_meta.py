"""What is there is documented and tested: hooks, codes, commands, components, parameters, keys, metrics, recipes."""

import inspect
import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import recprofile
import recprofile.plugin
import recprofile.testing
from recprofile import artifacts, hookspecs
from recprofile.cli.main import _command
from recprofile.components import KINDS
from recprofile.errors import CODES
from recprofile.metrics import METRICS
from recprofile.recipe import DataBlock, Evaluate, InteractionsSource, ListBlock, Recipe, Stage, TableSource
from recprofile.registry import make_registry
from recprofile.registry.known import BUILTIN, FIRST_PARTY

ROOT = Path(__file__).parents[1]
TESTS = {
    path: path.read_text(encoding="utf-8")
    for path in (*ROOT.glob("tests/**/*.py"), *ROOT.glob("plugins/*/tests/**/*.py"))
    if path.name not in {"test_meta.py", "test_docs_pages.py", "test_errors.py"}
}
ALL_TESTS = "\n".join(TESTS.values())
HOOKS = [
    name for name, value in vars(hookspecs).items() if name.startswith("recprofile_") and inspect.isfunction(value)
]
POINTS = [point for point in entry_points(group="recprofile") if point.name in {BUILTIN, *FIRST_PARTY}]
OFFERS = make_registry(POINTS).offers


def page(name):
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def section(text, heading):
    """The part of a page below a heading, until the next one of its level or a higher one."""
    level = re.match("#+", heading)[0]
    found = re.search(
        rf"^{re.escape(heading)}(?: \{{.*?\}})?$(.*?)(?=^#{{1,{len(level)}}} |\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert found, f"no section '{heading}'"
    return found[1]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_with_its_exact_signature_and_tested(hook):
    function = getattr(hookspecs, hook)
    names = ", ".join(
        f"{name}: {parameter.annotation}" for name, parameter in inspect.signature(function).parameters.items()
    )
    shown = f"def {hook}({names}) -> {inspect.signature(function).return_annotation}: ..."
    assert shown in section(page("hooks"), f"### {hook}")
    said = section(page("hooks"), f"### {hook}").replace("\\", "").replace("&lt;", "<")
    assert " ".join(inspect.getdoc(function).split(".")[0].split()) in " ".join(said.split())
    assert re.search(rf"\b{hook}\b", ALL_TESTS), f"no test names {hook}"


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_documented_with_cause_cure_and_example_and_raised_by_a_test(code):
    about = section(page("errors"), f"### {code}: {CODES[code]}")
    assert "**Cause.**" in about
    assert "**Cure.**" in about
    assert re.search(rf"^```text\n\$ recprofile .*?{code} ", about, re.MULTILINE | re.DOTALL)
    assert re.search(rf"\b{code}\b", ALL_TESTS), f"no test raises {code}"


def everywhere(command, path=("recprofile",)):
    yield " ".join(path), command
    for name, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            yield from everywhere(inner, (*path, name))


@pytest.mark.parametrize(("path", "command"), [*everywhere(_command())], ids=lambda value: str(value)[:40])
def test_every_command_is_documented_with_its_options_and_has_help_with_an_example(path, command):
    found = re.search(rf"^#+ {path}\n(.*?)(?=^#+ |\Z)", page("commands"), re.MULTILINE | re.DOTALL)
    assert found, f"{path} is not in docs/commands.md"
    for param in command.params:
        for name in param.opts if param.opts[0].startswith("-") else [param.metavar or param.name.upper()]:
            assert name in found[1], f"{path} {name}"
        if not getattr(command, "commands", None):
            assert getattr(param, "help", None), f"{path}: {param.name} has no help"
    if not getattr(command, "commands", None):
        assert "Example" in command.help, f"the help of {path} has no example"
        assert re.search(rf'"{path.split()[-1]}"|\b{path}\b|["\' ]{" ".join(path.split()[1:])}\b', ALL_TESTS)


@pytest.mark.parametrize("offer", OFFERS, ids=lambda offer: f"{offer.verb}-{offer.name}")
def test_every_component_is_documented_with_every_parameter_and_tested_by_the_kit(offer):
    about = section(section(page("components"), f"## {offer.verb}"), f"### {offer.name}")
    assert f"`{offer.pinned}`" in about
    for name, field in offer.component.params_type.model_fields.items():
        assert f"| `{field.alias or name}` |" in about, f"{offer.name}.{name}"
        assert field.description, f"{offer.name}.{name} has no description"
    kit = f"{KINDS[offer.verb].__name__}Tests"
    named = rf"component = (?:\w+\.)?{offer.component.__name__}\b"
    assert any(kit in text and re.search(named, text) for text in TESTS.values()), f"{offer.pinned}: no {kit}"


@pytest.mark.parametrize("model", [Recipe, DataBlock, InteractionsSource, TableSource, Stage, ListBlock, Evaluate])
def test_every_key_of_a_recipe_is_documented(model):
    text = page("recipe")
    for name, field in model.model_fields.items():
        if model is Stage and name in {"verb", "use"}:  # written as one: `encode: tfidf`
            continue
        assert f"| `{field.alias or name}` |" in text, name
        assert field.description, name


def test_every_verb_is_documented():
    for verb in KINDS:
        assert f"| `{verb}` |" in page("recipe")


def test_every_metric_is_documented():
    for metric in METRICS:
        assert f"### {metric} {{ #metric-{metric} }}" in page("metrics")


def test_every_artifact_is_documented():
    classes = [name for name in artifacts.__all__ if inspect.isclass(getattr(artifacts, name))]
    for name in classes:
        section(page("artifacts"), f"## {name}")


@pytest.mark.parametrize("module", [recprofile, recprofile.plugin, recprofile.testing], ids=lambda m: m.__name__)
def test_public_names_are_sorted_and_there(module):
    """Constants, classes, the rest, as ruff sorts them; tests/test_packaging.py holds that none is missing."""
    order = [(0 if name.isupper() else 1 if name[0].isupper() else 2, name) for name in module.__all__]
    assert order == sorted(order)
    assert all(hasattr(module, name) for name in module.__all__)


@pytest.mark.parametrize("recipe", sorted(ROOT.glob("recipes/*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_is_run_by_a_test(recipe):
    text = TESTS[ROOT / "tests" / "test_recipes.py"]
    assert re.search(rf'RECIPES / "{recipe.name}"', text), f"tests/test_recipes.py does not run {recipe.name}"


def test_every_first_party_plugin_is_tested():
    assert {point.name for point in POINTS} == {BUILTIN, *FIRST_PARTY}
