"""What is installed: components, commands, hooks, artifacts and metrics."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator

from recprofile import artifacts, hookspecs
from recprofile.artifacts import results
from recprofile.cli.look import NEEDS, _in_and_out
from recprofile.cli.main import _command
from recprofile.components import KINDS
from recprofile.metrics import METRICS, PerUserMetric, RatingMetric, SystemMetric
from recprofile.registry import HOOK_OF, Offer
from scripts.docs.firsthand import registry
from scripts.docs.marked import escaped, parameters, prose, table
from scripts.docs.play import said

PROGRAM = "recprofile"
FIRST_OBSERVER = "recprofile_run_started"
FLAGS = {
    "is_baseline": "every recipe that names no baselines is compared with it",
    "predicts_ratings": "predicts ratings: `rmse` and `mae` are measured",
    "ranks_new_users": "ranks for people who are not in the data, from their history",
    "ranks_new_items": "ranks items that nobody has had yet",
    "gives_evidence": "says what each history item gave to a score",
    "takes_rankers": "may name earlier recommend stages in `from`",
}
# Of each part that the engine hands from stage to stage; in the order in which a run makes them.
ARTIFACTS = (
    "IdMap", "Table", "Template", "Interactions", "PositiveRule", "Pairs", "Dataset", "Embeddings", "Encoded", "FoldIn",
    "Block", "Profiles", "Recommendations", "Measure", "CheckResult", "Explanations", "Pack",
)  # fmt: skip


def components() -> str:
    """One section per component, by verb."""
    parts = []
    offers = registry().offers
    for verb, kind in KINDS.items():
        mine = [offer for offer in offers if offer.verb == verb]
        if mine:
            parts.append(f"## {verb}\n\n{prose((inspect.getdoc(kind) or '').split(chr(10) * 2)[0])}")
            parts += [_component(offer) for offer in mine]
    return "\n\n".join(parts)


def anchor(offer: Offer) -> str:
    """Where a component stands on its page."""
    return f"{offer.verb}-{offer.name.replace('/', '-')}"


def _component(offer: Offer) -> str:
    component = offer.component
    needs = [what for flag, what in NEEDS.items() if getattr(component, flag)]
    facts = [f"`{offer.pinned}` from {offer.plugin.distribution}", _in_and_out(component)]
    if needs:
        facts.append(f"needs {' and '.join(needs)}")
    parts = [f"### {offer.name} {{ #{anchor(offer)} }}", " · ".join(facts), prose(component.__doc__)]
    abilities = [words for flag, words in FLAGS.items() if getattr(component, flag, False)]
    if abilities:
        parts.append("\n".join(f"- {words}" for words in abilities))
    fields = component.params_type.model_fields
    parts.append(parameters(component.params_type) if fields else "It has no parameters.")
    return "\n\n".join(parts)


def commands() -> str:
    """The help of every command, as it is printed."""
    parts = []
    for path, level in _paths(_command(), ()):
        name = " ".join((PROGRAM, *path))
        text = said([*path, "--help"]).rstrip()
        parts.append(f"{'#' * level} {name}\n\n```text\n{text}\n```")
    return "\n\n".join(parts)


def _paths(command: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    yield path, min(2 + max(0, len(path) - 1), 4)
    for name, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            yield from _paths(inner, (*path, name))


def hooks() -> str:
    """Every hook with its exact signature, by phase."""
    offered = {hook: verb for verb, hook in HOOK_OF.items()}
    parts = ["## Registration"]
    for name, function in _hooks():
        if name == FIRST_OBSERVER:
            parts.append("## Observers of a run")
        verb = f"\n\nIts components are those of the verb `{offered[name]}`." if name in offered else ""
        parts.append(f"### {name}\n\n```python\n{signature(name, function)}\n```\n\n{prose(function.__doc__)}{verb}")
    return "\n\n".join(parts)


def signature(name: str, function: Callable[..., object]) -> str:
    """A hook's signature as hookspecs.py has it."""
    source = inspect.getsource(function)
    found = re.search(r"def (.*?)\s*->\s*(.*?):(?:  #.*)?$", source, re.DOTALL | re.MULTILINE)
    if not found:
        raise ValueError(f"no signature in the source of {name}")
    return f"def {' '.join(found[1].split())} -> {found[2]}: ..."


def _hooks() -> list[tuple[str, Callable[..., object]]]:
    return [(n, f) for n, f in vars(hookspecs).items() if n.startswith("recprofile_") and inspect.isfunction(f)]


def passed() -> str:
    """What passes between stages."""
    parts = []
    for name in ARTIFACTS:
        made = getattr(artifacts, name)
        parts.append(f"## {name}\n\n{prose(made.__doc__)}")
        fields = [(f"`{key}`", f"`{kind}`") for key, kind in _fields(made)]
        if fields:
            parts.append(table(("field", "type"), fields))
        if methods := _methods(made):
            parts.append(table(("gives", "what"), methods))
    evidence = ", ".join(results.EVIDENCE_SCHEMA)
    sentences = ", ".join(results.SENTENCE_SCHEMA)
    parts.append(f"`Explanations.evidence` has the columns {evidence}; `Explanations.sentences` has {sentences}.")
    return "\n\n".join(parts)


def _fields(made: type) -> list[tuple[str, str]]:
    return [(f.name, str(f.type)) for f in getattr(made, "__dataclass_fields__", {}).values() if f.name[0] != "_"]


def _methods(made: type) -> list[tuple[str, str]]:
    rows = []
    for name, value in vars(made).items():
        function = value.__func__ if isinstance(value, classmethod | staticmethod) else getattr(value, "fget", value)
        function = getattr(function, "func", function)  # a cached property
        if name.startswith("_") or not inspect.isfunction(function) or not function.__doc__:
            continue
        call = "" if not inspect.isfunction(value) and not isinstance(value, classmethod | staticmethod) else "(…)"
        if inspect.isfunction(value) and list(inspect.signature(value).parameters) == ["self"]:
            call = "()"
        rows.append((f"`{name}{call}`", escaped((inspect.getdoc(function) or "").split("\n\n")[0])))
    return rows


def metrics() -> str:
    """Every metric: formula, range, direction."""
    parts = []
    for kind, title, words in (
        (
            PerUserMetric,
            "Per user",
            "One value per user; the report gives the mean, with a bootstrap interval over users.",
        ),
        (SystemMetric, "Of all lists together", "One value for the whole system."),
        (RatingMetric, "Of predicted ratings", "Over the test events, for recommenders that predict ratings; no `@k`."),
    ):
        parts.append(f"## {title}\n\n{words}")
        for metric in METRICS.values():
            if isinstance(metric, kind):
                k = "" if isinstance(metric, RatingMetric) else "@10"
                better = "higher is better" if metric.higher_is_better else "lower is better"
                needs = " · needs item vectors" if metric.needs_vectors else ""
                needs += " · needs propensities" if metric.needs_propensities else ""
                function = metric.error if isinstance(metric, RatingMetric) else metric.compute
                root = "\n\nReported: the square root of the mean." if getattr(metric, "root", False) else ""
                parts.append(
                    f"### {metric.name} {{ #metric-{metric.name} }}\n\nIn a recipe `{metric.name}{k}` · {better}{needs}"
                    f"\n\n{metric.summary[:1].upper()}{metric.summary[1:]}.\n\n{prose(function.__doc__)}{root}"
                )
    return "\n\n".join(parts)
