"""Writes a plugin package: a component of one kind, its tests, and what pip needs."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from recprofile.errors import RecipeError, RunError, quoted

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 40
PREFIX = "recprofile-"


@dataclass(frozen=True)
class Kind:
    """What a new package of one kind holds: its component, parameters that work on the toy data, and a recipe.

    `stages` are those of a recipe of the toy data; {use} stands for the component's name.
    """

    verb: str
    of_class: str
    name: str
    kit: str
    example: str
    stages: str


TEXT = "- encode: tfidf\n  with: {columns: [title]}\n"
KINDS: Mapping[str, Kind] = {
    "preprocessor": Kind(
        "preprocess", "Strong", "strong", "PreprocessorTests", '{}, {"min_weight": 4}',
        "- preprocess: {use}\n  with: {min_weight: 2}\n- recommend: popular",
    ),
    "encoder": Kind(
        "encode", "Numbers", "numbers", "EncoderTests", '{"columns": ["year"]}, {"columns": ["year", "price"]}',
        "- encode: {use}\n  with: {columns: [year, price]}\n- fuse: mean-history\n- recommend: dot",
    ),
    "fuser": Kind(
        "fuse", "Likes", "likes", "FuserTests", '{}, {"weight": 0.5}',
        f"{TEXT}- fuse: {{use}}\n- recommend: dot",
    ),
    "recommender": Kind(
        "recommend", "Chosen", "chosen", "RecommenderTests", '{}, {"prior": 1.5}', "- recommend: {use}"
    ),
    "reranker": Kind(
        "rerank", "First", "first", "RerankerTests", '{"column": "genres", "value": "Drama"}',
        "- recommend: popular\n- rerank: {use}\n  with: {column: genres, value: Drama}",
    ),
    "check": Kind(
        "check", "Shown", "shown", "CheckTests", '{}, {"min_share": 1}',
        "- recommend: popular\n- check: {use}\n  with: {min_share: 0.1}",
    ),
    "explainer": Kind(
        "explain", "Crowd", "crowd", "ExplainerTests", '{}, {"items": 1}', "- recommend: popular\n- explain: {use}"
    ),
    "updater": Kind(
        "update", "Drawn", "drawn", "UpdaterTests", '{}, {"step": 1}',
        f"{TEXT}- fuse: mean-history\n- recommend: dot\n- update: {{use}}",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Written:
    """A package that was written: where, its files, and how a recipe names the component."""

    folder: Path
    files: tuple[Path, ...]
    verb: str
    use: str


def check_name(name: str, taken: Mapping[str, str]) -> str:
    """The namespace that a name for a plugin means: 'acme' of 'acme' and of 'recprofile-acme'.

    `taken` namespaces are told with who has them. Raises RecipeError RP307 for a name that is no namespace, RP303 for
    one that is taken.
    """
    namespace = name.removeprefix(PREFIX)
    if not NAME.fullmatch(namespace) or len(namespace) > LONGEST:
        near = re.sub(r"[^a-z0-9]+", "-", namespace.lower()).strip("-0123456789")[:LONGEST].rstrip("-")
        helps = [
            *([f"did you mean '{near}'?"] if NAME.fullmatch(near) and near != namespace else []),
            f"small letters, digits and single dashes, a letter first, at most {LONGEST} of them",
        ]
        raise RecipeError.of("RP307", f"{quoted(name)} is no name for a plugin", help=helps)
    if namespace in taken:
        message = f"the namespace {quoted(namespace)} is taken by {taken[namespace]}"
        raise RecipeError.of("RP303", message, help=["take another name: two plugins of one namespace cannot load"])
    return namespace


def write_plugin(namespace: str, kind: str, out: Path, *, version: str) -> Written:
    """Write the package recprofile-<namespace> below `out`, whole or not at all; `version` is recprofile's own.

    Raises RunError RP606 when its folder exists or cannot be written.
    """
    chosen = KINDS[kind]
    distribution = f"{PREFIX}{namespace}"
    package = distribution.replace("-", "_")
    folder = out / distribution
    if folder.exists() or folder.is_symlink():
        helps = ["give another name, or another place with --out"]
        raise RunError.of("RP606", f"'{folder}' exists, and is left as it is", help=helps)
    use = f"{namespace}/{chosen.name}"
    stages = chosen.stages.replace("{use}", use)
    words = {
        "DISTRIBUTION": distribution,
        "PACKAGE": package,
        "NAMESPACE": namespace,
        "NAME": chosen.name,
        "KIND": kind,
        "KIT": chosen.kit,
        "CLASS": chosen.of_class,
        "EXAMPLE": chosen.example,
        "SUMMARY": f"Components of recprofile under the namespace {namespace}",
        "VERSION": ".".join(version.split(".")[:2]),
    }
    contents = {
        "pyproject.toml": _filled("pyproject.toml", words),
        "README.md": _filled("README.md", {**words, "STAGES": _indented(stages, "  ")}),
        f"{package}/__init__.py": _component(kind),
        f"{package}/py.typed": "",
        f"tests/test_{namespace.replace('-', '_')}.py": _filled("test_plugin.py", {**words, "STAGES": stages}),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(dir=out, prefix=f".{distribution}-"))
        try:
            for name, text in contents.items():
                path = place / distribution / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            (place / distribution).rename(folder)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RunError.of(
            "RP606", f"cannot write '{folder}': {reason}", help=["give another place with --out"]
        ) from error
    return Written(folder, tuple(folder / name for name in contents), chosen.verb, use)


def _filled(name: str, words: Mapping[str, str]) -> str:
    text = (files("recprofile.scaffold") / "package" / f"{name}.txt").read_text(encoding="utf-8")
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text


def _component(kind: str) -> str:
    return (files("recprofile.scaffold") / "templates" / f"{kind}.py").read_text(encoding="utf-8")


def _indented(text: str, by: str) -> str:
    return "\n".join(f"{by}{line}" for line in text.splitlines())
