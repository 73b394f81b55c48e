"""What a recipe says beside its stages: metrics, plugin requirements, engine, and what this version cannot do yet.

Each is read from the recipe as it is written, so that it is judged whatever the rest of the recipe is like; what has
the wrong shape is left to `recipe`.
"""

from __future__ import annotations

from importlib.util import find_spec

from recprofile.errors import Problem, Span, did_you_mean, quoted
from recprofile.metrics import metric_problem
from recprofile.registry import FIRST_PARTY, Plugin, Registry
from recprofile.source import Source


def surroundings(source: Source, registry: Registry) -> list[Problem]:
    """Every problem outside the stages that needs more than the recipe to see."""
    return [
        *_metrics(source),
        *_requirements(source, registry),
        *_engine(source, registry),
        *_not_yet(source),
        *_publish(source),
    ]


def written_texts(source: Source, loc: tuple[str, ...]) -> list[tuple[str, Span]] | None:
    """The texts of a list, each with its place; None when no list is written there."""
    entry, depth = source.reach(loc)
    if depth < len(loc) or not isinstance(entry.value, list):
        return None
    return [(one.value, one.at) for one in entry.value if isinstance(one.value, str) and one.value]


def _metrics(source: Source) -> list[Problem]:
    problems = []
    for metric, at in written_texts(source, ("evaluate", "metrics")) or ():
        wrong = metric_problem(metric)
        if wrong is not None:
            problems.append(Problem(wrong.code, wrong.message, at, wrong.help))
    return problems


def _requirements(source: Source, registry: Registry) -> list[Problem]:
    problems = []
    plugins = {plugin.namespace: plugin for plugin in registry.plugins}
    wanted = source.plain().get("plugins")
    for namespace, specifiers in (wanted if isinstance(wanted, dict) else {}).items():
        at = source.at(("plugins", namespace), key=True)
        plugin = plugins.get(namespace)
        if plugin is None:
            if namespace in FIRST_PARTY:
                helps: tuple[str, ...] = (f"install {FIRST_PARTY[namespace]}",)
            else:
                helps = did_you_mean(namespace, [*FIRST_PARTY, *plugins], label="namespaces")
            problems.append(Problem("RP304", f"the namespace {quoted(namespace)} is not installed", at, helps))
        elif plugin.problem is not None:
            told = (f"{plugin.distribution} {plugin.version}: {plugin.problem.message}", *plugin.problem.help)
            problems.append(Problem("RP302", f"the plugin '{namespace}' did not load", at, told))
        elif isinstance(specifiers, str) and not _meets(plugin, specifiers):
            message = f"{plugin.distribution} {plugin.version} does not meet {quoted(specifiers)}"
            helps = (f"install '{plugin.distribution}{specifiers}'",)
            problems.append(Problem("RP306", message, source.at(("plugins", namespace)), helps))
    return problems


def _meets(plugin: Plugin, specifiers: str) -> bool:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415 - 40 ms that few recipes need
    from packaging.version import InvalidVersion  # noqa: PLC0415 - as above

    try:
        return SpecifierSet(specifiers).contains(plugin.version, prereleases=True)
    except InvalidSpecifier:  # its shape is wrong, and has been said
        return True
    except InvalidVersion:  # a distribution whose version is no version meets nothing but 'any'
        return not specifiers.strip()


def _engine(source: Source, registry: Registry) -> list[Problem]:
    engine = source.plain().get("engine")
    name = next(iter(engine)) if isinstance(engine, dict) and len(engine) == 1 else engine
    if not isinstance(name, str) or name in ("", "local"):
        return []
    at = source.at(("engine", name), key=True) if isinstance(engine, dict) else source.at(("engine",))
    known = registry.executors()
    if name in known:
        return []
    helps = did_you_mean(name, known, label="installed")
    return [Problem("RP304", f"no engine {quoted(name)} is installed", at, helps)]


def _not_yet(source: Source) -> list[Problem]:
    problems = []
    for tracker, at in written_texts(source, ("track",)) or ():
        problems.append(Problem("RP304", f"no tracker {quoted(tracker)} is installed", at, ("leave 'track' out",)))
    return problems


def _publish(source: Source) -> list[Problem]:
    """A store that no address can be, or whose driver is not installed; an environment variable may say it later."""
    publish, at = source.plain().get("publish"), source.at(("publish",))
    if not isinstance(publish, str) or not publish or "${" in publish:
        return []
    if publish.startswith("sqlite:///") and publish != "sqlite:///":
        return []
    if publish.partition("://")[0].partition("+")[0] in ("postgresql", "postgres") and "://" in publish:
        if find_spec("psycopg"):
            return []
        helps: tuple[str, ...] = ("pip install 'recprofile[postgresql]'",)
        return [Problem("RP304", "no driver of PostgreSQL is installed", at, helps)]
    helps = ("sqlite:///profiles.db, relative to the recipe, or postgresql://host/name",)
    return [Problem("RP204", f"{quoted(publish)} is no profile store", at, helps)]
