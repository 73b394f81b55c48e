"""Plugins are found, checked, named, and kept apart from one another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path

import pytest

from recprofile.errors import RecipeError
from recprofile.registry import BUILTIN, GROUP, HOOK_OF, Registry, make_registry

GOOD = """
from recprofile.plugin import Embeddings, Encoder, Field, Params, hookimpl

class CountParams(Params):
    column: str = Field("title", description="Item column to count.")

class Count(Encoder[CountParams]):
    '''How many words an item's text has; (n_items, 1).'''
    name = "count"
    def encode(self, data, ctx):
        raise NotImplementedError

@hookimpl
def recprofile_encoders():
    return [Count]
"""


def distribution(folder: Path, name: str, version: str = "1.0", **namespaces: str) -> list[EntryPoint]:
    """An installed distribution as pip leaves it: namespace → module."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    lines = "".join(f"{key} = {module}\n" for key, module in namespaces.items())
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}", encoding="utf-8")
    return list(Distribution.at(info).entry_points)


class Site:
    """A folder of distributions on sys.path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: list[EntryPoint] = []

    def add(self, namespace: str, code: str, *, name: str | None = None, version: str = "1.0") -> str:
        """Install a distribution with one module; gives the module's name."""
        module = f"site_{namespace.replace('-', '_')}_{len(self.entries)}"
        (self.folder / f"{module}.py").write_text(code, encoding="utf-8")
        self.entries += distribution(self.folder, name or f"recprofile-{namespace}", version, **{namespace: module})
        return module

    def registry(self) -> Registry:
        own = [e for e in entry_points(group=GROUP) if e.name == BUILTIN]
        return make_registry([*own, *self.entries])

    def problem(self, namespace: str) -> str:
        """What a plugin's problem says: code, message, help."""
        found = next(p for p in self.registry().plugins if p.namespace == namespace)
        assert found.problem is not None
        return "\n".join([f"{found.problem.code} {found.problem.message}", *found.problem.help])


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield Site(tmp_path)
    for name in set(sys.modules) - before:
        if name.startswith("site_"):
            del sys.modules[name]


def refused(registry: Registry, use: str, verb: str = "encode") -> str:
    with pytest.raises(RecipeError) as caught:
        registry.find(use, verb)
    return str(caught.value)


# --- names


def test_a_bare_name_is_a_builtin_one_and_may_be_written_out():
    registry = make_registry()
    assert registry.find("ease", "recommend").namespace == "builtin"
    assert registry.find("builtin/ease", "recommend") == registry.find("ease", "recommend")


def test_one_name_may_serve_several_verbs():
    registry = make_registry()
    assert registry.find("file", "encode").component is not registry.find("file", "recommend").component
    assert [offer.verb for offer in registry.find_all("file")] == ["encode", "recommend"]


def test_a_plugins_component_bears_its_namespace(site):
    site.add("acme", GOOD)
    offer = site.registry().find("acme/count", "encode")
    assert (offer.name, offer.pinned, offer.verb) == ("acme/count", "acme/count@1", "encode")
    assert (offer.plugin.distribution, offer.plugin.version) == ("recprofile-acme", "1.0")


def test_a_plugin_cannot_take_a_bare_name(site):
    site.add("acme", GOOD.replace('"count"', '"tfidf"'))
    registry = site.registry()
    assert registry.find("tfidf", "encode").namespace == "builtin"
    assert registry.find("acme/tfidf", "encode").namespace == "acme"


def test_the_newest_version_is_taken_unless_one_is_pinned(site):
    newer = GOOD.replace("return [Count]", "return [Count, Count3]").replace(
        "@hookimpl", "class Count3(Count):\n    version = 3\n\n@hookimpl"
    )
    site.add("acme", newer)
    registry = site.registry()
    assert registry.find("acme/count", "encode").component.version == 3
    assert registry.find("acme/count@1", "encode").component.version == 1
    assert registry.names("encode")[:2] == ["acme/count@1", "acme/count@3"]
    assert refused(registry, "acme/count@2") == (
        "RP305 no version '2' of 'acme/count'\n     = installed: acme/count@1, acme/count@3"
    )


@pytest.mark.parametrize("version", ["", "0", "01", "-1", "1.0", "one", "²", "٣", "9" * 5000])
def test_what_is_no_version_is_refused(version):
    assert refused(make_registry(), f"ease@{version}", "recommend").startswith("RP305 no version '")


def test_a_misspelt_name_is_told_with_the_nearest_one():
    assert refused(make_registry(), "tfdif").splitlines()[:2] == [
        "RP301 no component 'tfdif' can encode",
        "     = did you mean 'tfidf'?",
    ]


def test_a_name_of_another_verb_is_told_what_it_can_do():
    assert refused(make_registry(), "ease").splitlines()[:2] == [
        "RP301 no component 'ease' can encode",
        "     = 'ease' can recommend",
    ]


def test_a_namespace_that_is_not_installed_is_told_how_to_get_it(site):
    registry = site.registry()
    assert refused(registry, "hf/text") == (
        "RP304 the namespace 'hf' of 'hf/text' is not installed\n     = install recprofile-hf"
    )
    assert refused(registry, "acne/text").splitlines()[0] == (
        "RP304 the namespace 'acne' of 'acne/text' is not installed"
    )


def test_a_name_cannot_move_the_terminal():
    assert "\x1b" not in refused(make_registry(), "ea\x1b[2Jse")
    assert "\x1b" not in refused(make_registry(), "no\x1b[2J/text")


@pytest.mark.parametrize("use", ["", "@", "/", "/text", "builtin/", "builtin/builtin/ease", "a/b/c@1", "hf/", "@1"])
def test_odd_names_are_refused_and_no_more(use):
    assert refused(make_registry(), use, "recommend").startswith(("RP301", "RP304"))


def test_the_baselines_are_those_that_say_so():
    assert make_registry().baselines() == ["ease@1", "item-knn@1", "popular@1"]


# --- plugins that break


def test_a_plugin_that_cannot_be_imported_leaves_the_others(site):
    site.add("bad", "import no_such_library_anywhere")
    site.add("good", GOOD)
    registry = site.registry()
    assert registry.find("good/count", "encode")
    assert registry.find("tfidf", "encode")
    assert refused(registry, "bad/text") == (
        "RP302 the plugin of 'bad/text' did not load\n"
        "     = recprofile-bad 1.0: importing site_bad_0 raised ModuleNotFoundError: "
        "No module named 'no_such_library_anywhere'\n"
        f"     = at {site.folder / 'site_bad_0.py'}:1:1"
    )


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "raise RuntimeError", "def broken(:", "1 / 0"])
def test_whatever_an_import_raises_is_kept_as_the_plugins_problem(site, code):
    site.add("bad", code)
    assert site.problem("bad").startswith("RP302 importing site_bad_0 raised ")


def test_a_missing_module_is_the_plugins_problem(site):
    site.entries += distribution(site.folder, "recprofile-gone", gone="no_such_module_anywhere")
    assert site.problem("gone") == (
        "RP302 importing no_such_module_anywhere raised ModuleNotFoundError: No module named 'no_such_module_anywhere'"
    )


def test_a_broken_builtin_is_told_for_bare_names(site):
    module = site.add("builtin", "raise ImportError('half installed')", name="recprofile", version="9")
    registry = make_registry(site.entries)
    assert refused(registry, "tfidf") == (
        "RP302 the plugin of 'tfidf' did not load\n"
        f"     = recprofile 9: importing {module} raised ImportError: half installed\n"
        f"     = at {site.folder / module}.py:1:1"
    )


def test_a_hook_that_raises_is_the_plugins_problem_and_offers_nothing(site):
    site.add("bad", GOOD.replace("return [Count]", "raise OSError('no disk')"))
    assert site.problem("bad") == "RP302 recprofile_encoders raised OSError: no disk"
    assert not [o for o in site.registry().offers if o.namespace == "bad"]


def test_a_misspelt_hook_is_told_with_the_nearest_one(site):
    site.add("bad", GOOD.replace("def recprofile_encoders", "def recprofile_encoder"))
    assert site.problem("bad").splitlines()[:2] == [
        "RP307 there is no hook 'recprofile_encoder'",
        "did you mean 'recprofile_encoders'?",
    ]


def test_a_hook_that_asks_for_more_than_there_is_is_told(site):
    site.add("bad", GOOD.replace("def recprofile_encoders():", "def recprofile_encoders(config):"))
    registry = site.registry()
    assert "RP307 a hook does not take what its specification gives" in site.problem("bad")
    assert "recprofile_encoders(config)" in site.problem("bad")
    assert "config" in site.problem("bad")
    assert registry.manager.get_plugin("bad") is None
    assert not [p for p in registry.manager.get_plugins() if p.__name__.startswith("site_bad")]


def test_an_observer_may_ask_for_less_than_there_is(site):
    code = "from recprofile.plugin import hookimpl\n\n@hookimpl\ndef recprofile_progress(done):\n    pass\n"
    site.add("quiet", code)
    plugin = next(p for p in site.registry().plugins if p.namespace == "quiet")
    assert (plugin.problem, plugin.hooks) == (None, ("recprofile_progress",))


def test_a_hook_without_its_mark_is_told(site):
    site.add("bad", GOOD.replace("@hookimpl\n", ""))
    assert site.problem("bad") == (
        "RP307 'recprofile_encoders' is not marked with @hookimpl\nfrom recprofile.plugin import hookimpl"
    )


def test_a_plugin_without_hooks_is_told(site):
    site.add("bad", "x = 1")
    assert site.problem("bad").startswith("RP307 it has no hook\nhooks: ")


def test_one_module_under_two_namespaces_is_told(site):
    module = site.add("one", GOOD)
    site.entries += distribution(site.folder, "recprofile-two", two=module)
    assert site.problem("two") == f"RP307 {module} is the plugin of the namespace 'one' already"
    assert site.registry().find("one/count", "encode")


@pytest.mark.parametrize(
    ("before", "after", "wrong"),
    [
        ("return [Count]", "return [int]", "int of recprofile_encoders is no Encoder"),
        ("return [Count]", "return ['count']", "'count' of recprofile_encoders is no Encoder"),
        ("return [Count]", "return [Count(CountParams())]", "is no Encoder"),
        ("return [Count]", "return [CountParams]", "CountParams of recprofile_encoders is no Encoder"),
        ('name = "count"', "", "Count of recprofile_encoders has no name"),
        ('name = "count"', "name = None", "Count of recprofile_encoders has no name"),
        ('name = "count"', "name = 7", "has the name 7: small letters, digits and dashes only"),
        ('name = "count"', 'name = "Count It"', "has the name 'Count It': small letters, digits and dashes only"),
        ('name = "count"', 'name = "a/b"', "has the name 'a/b'"),
        ('name = "count"', 'name = "a@1"', "has the name 'a@1'"),
        ('name = "count"', 'name, version = "count", 0', "has the version 0, and it must be a whole number from 1"),
        ('name = "count"', 'name, version = "count", "1"', "has the version '1', and it must be a whole number"),
        ('name = "count"', 'name, version = "count", True', "has the version True, and it must be a whole number"),
        ('name = "count"', 'name, verb = "count", "fuse"', "has the verb 'fuse'"),
        ("@hookimpl", "Count.params_type = dict\n@hookimpl", "names no Params model as its type argument"),
        ("def encode(", "def encodes(", "Count of recprofile_encoders lacks encode"),
        ("return [Count]", "return [Count, Count]", "Count of recprofile_encoders offers 'count@1' a second time"),
        ("def recprofile_encoders", "def recprofile_rerankers", "Count of recprofile_rerankers is no Reranker"),
    ],
)
def test_a_class_that_breaks_a_rule_is_told_by_its_name(site, before, after, wrong):
    assert before in GOOD
    site.add("bad", GOOD.replace(before, after))
    problem = site.problem("bad")
    assert problem.startswith("RP307 ")
    assert wrong in problem
    assert not [o for o in site.registry().offers if o.namespace == "bad"]


@pytest.mark.parametrize("returned", ["None", "3", "Count"])
def test_a_hook_that_gives_no_list_is_told(site, returned):
    site.add("bad", GOOD.replace("return [Count]", f"return {returned}"))
    assert site.problem("bad").startswith("RP302 recprofile_encoders raised TypeError: ")


@pytest.mark.parametrize("namespace", ["Acme", "a.b", "a_b"])
def test_a_namespace_is_small_letters_digits_and_dashes(site, namespace):
    module = site.add("tmp", GOOD)
    site.entries = distribution(site.folder, "recprofile-odd", **{namespace: module})
    assert site.problem(namespace) == (f"RP307 '{namespace}' is no namespace: small letters, digits and dashes only")


# --- two of one namespace


def test_two_distributions_of_one_namespace_are_refused_and_both_are_named(site):
    site.add("acme", GOOD, name="recprofile-acme")
    site.add("acme", GOOD, name="acme-tools", version="2.1")
    with pytest.raises(RecipeError) as caught:
        site.registry()
    assert str(caught.value) == (
        "RP303 the namespace 'acme' is claimed by acme-tools 2.1 (site_acme_1) and recprofile-acme 1.0 (site_acme_0)\n"
        "     = uninstall one of them"
    )


def test_a_plugin_cannot_take_the_place_of_builtin(site):
    site.add("builtin", GOOD, name="clever")
    with pytest.raises(RecipeError) as caught:
        site.registry()
    assert str(caught.value).startswith("RP303 the namespace 'builtin' is claimed by clever 1.0 (site_builtin_0) and ")
    assert "recprofile 0" in str(caught.value)
    assert not [name for name in sys.modules if name.startswith("site_builtin")]  # a clash is seen before any import


def test_every_clash_is_told_at_once(site):
    for namespace in ("one", "two"):
        site.add(namespace, GOOD, name="a")
        site.add(namespace, GOOD, name="b", version="2")
        site.folder = site.folder / namespace  # another folder for distributions of the same names
        site.folder.mkdir()
    with pytest.raises(RecipeError) as caught:
        site.registry()
    assert [p.message[:20] for p in caught.value.problems] == ["the namespace 'one' ", "the namespace 'two' "]


def test_one_distribution_seen_twice_is_no_clash(site):
    module = site.add("acme", GOOD)
    again = distribution(site.folder / "src", "Recprofile_Acme", acme=module)  # as a build leaves it beside the source
    site.entries += again
    assert [p.namespace for p in site.registry().plugins] == ["builtin", "acme"]


# --- order


def test_the_order_of_entry_points_does_not_matter(site):
    for namespace in ("zeta", "acme", "mid"):
        site.add(namespace, GOOD)
    forward = site.registry()
    site.entries.reverse()
    backward = site.registry()
    assert [p.namespace for p in forward.plugins] == ["builtin", "acme", "mid", "zeta"]
    assert forward.plugins == backward.plugins
    assert [o.pinned for o in forward.offers] == [o.pinned for o in backward.offers]


def test_what_is_installed_here_loads():
    registry = make_registry()
    assert [p.namespace for p in registry.plugins] == ["builtin", "acme", "fairlearn", "hf", "lightgbm", "surprise"]
    assert not [p.problem for p in registry.plugins if p.problem]
    assert {offer.verb for offer in registry.offers} <= set(HOOK_OF)


def test_a_registry_of_nothing_knows_nothing():
    registry = make_registry([])
    assert (registry.plugins, registry.offers, registry.baselines()) == ((), (), [])
    assert refused(registry, "tfidf").startswith("RP304 the namespace 'builtin' of 'tfidf' is not installed")


# --- as a person meets it


def test_a_plugin_on_the_path_is_found_by_a_fresh_process(tmp_path):
    (tmp_path / "acme_count.py").write_text(GOOD, encoding="utf-8")
    (tmp_path / "broken_plugin.py").write_text("import no_such_library_anywhere", encoding="utf-8")
    distribution(tmp_path, "recprofile-acme2", "1.2", acme2="acme_count")
    distribution(tmp_path, "recprofile-broken", broken="broken_plugin")
    command = [sys.executable, "-m", "recprofile", "plugins", "--json"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    plugins = {plugin["namespace"]: plugin for plugin in json.loads(done.stdout)}
    assert plugins["acme2"] == {
        "namespace": "acme2",
        "distribution": "recprofile-acme2",
        "version": "1.2",
        "module": "acme_count",
        "hooks": ["recprofile_encoders"],
        "components": [{"verb": "encode", "name": "acme2/count@1"}],
        "problem": None,
    }
    assert plugins["broken"]["problem"]["code"] == "RP302"
    assert "no_such_library_anywhere" in plugins["broken"]["problem"]["message"]
    assert plugins["builtin"]["problem"] is None
