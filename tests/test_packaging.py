"""The package as it is installed: public names, plugins, light imports, pinned versions."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {
    "fairlearn", "huggingface_hub", "lightgbm", "onnxruntime", "openvino", "pandas", "sklearn", "surprise",
    "tokenizers", "torch", "transformers"
}  # fmt: skip
EXAMPLE = ROOT / "plugins" / "example-acme"  # the manual's: not in the extra `all`
PLUGINS = {path.name.removeprefix("recprofile-"): path for path in ROOT.glob("plugins/recprofile-*")}


def project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def normalised(requirement: str) -> str:
    """The name in a requirement, as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement, maxsplit=1)[0]).lower()


# Sorting is ruff's (RUF022).
@pytest.mark.parametrize("name", ["recprofile", "recprofile.plugin", "recprofile.testing"])
def test_all_lists_exactly_the_public_names(name):
    module = importlib.import_module(name)
    missing = [public for public in module.__all__ if not hasattr(module, public)]
    assert missing == []
    unlisted = [
        public
        for public, value in vars(module).items()
        if not public.startswith("_")
        and not isinstance(value, ModuleType)
        and public not in {*module.__all__, "annotations"}
        and getattr(value, "__module__", name).partition(".")[0] == "recprofile"
    ]
    assert unlisted == []


def test_every_plugin_folder_is_installed_under_its_namespace():
    found = {point.name: point.value for point in entry_points(group="recprofile")}
    expected = {"builtin": "recprofile.builtin", "acme": "recprofile_acme"} | {
        name: f"recprofile_{name}" for name in PLUGINS
    }
    assert expected.items() <= found.items()


def test_the_extra_all_holds_every_plugin():
    extra = project(ROOT)["project"]["optional-dependencies"]["all"]
    assert {normalised(line) for line in extra} == {path.name for path in PLUGINS.values()}


def test_import_linter_knows_every_plugin():
    settings = project(ROOT)["tool"]["importlinter"]
    packages = sorted(f"recprofile_{name}" for name in ("acme", *PLUGINS))
    contract = next(contract for contract in settings["contracts"] if contract["id"] == "plugins")
    assert settings["root_packages"] == ["recprofile", *packages]
    assert contract["source_modules"] == packages


def imported_after(code: str) -> set[str]:
    """Top-level names in sys.modules of a fresh Python that ran `code`."""
    show = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_framework_imports_no_heavy_library():
    code = (
        "import importlib, pkgutil, recprofile\n"
        "for module in pkgutil.walk_packages(recprofile.__path__, 'recprofile.'):\n"
        "    if not module.name.startswith(('recprofile.builtin', 'recprofile.__main__')):\n"
        "        importlib.import_module(module.name)"
    )
    assert imported_after(code) & HEAVY == set()


@pytest.mark.parametrize(
    "module", ["recprofile.builtin", *(f"recprofile_{name}" for name in sorted(["acme", *PLUGINS]))]
)
def test_an_entry_point_module_imports_no_heavy_library(module):
    assert imported_after(f"import {module}") & HEAVY == set()


def test_every_direct_dependency_is_pinned_exactly():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)] == []

    wanted = {normalised(line) for line in project(ROOT)["dependency-groups"]["dev"]}
    for folder in (ROOT, EXAMPLE, *PLUGINS.values()):
        wanted |= {normalised(line) for line in project(folder)["project"]["dependencies"]}
    ours = {"recprofile", *(path.name for path in PLUGINS.values())}
    assert wanted - ours - {normalised(pin) for pin in pins} == set()
