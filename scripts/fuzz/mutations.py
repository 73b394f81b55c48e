"""Recipes made from right ones: values, keys, nesting, YAML and bytes changed, a few at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
DEEPEST = 6
Draw = Callable[[st.SearchStrategy[Any]], Any]
EVERYTHING = """\
recipe: 1
name: everything
seed: 7
device: cpu
engine: local
out: runs/everything
plugins: {hf: ">=0.1", fairlearn: ">=0.1"}
data:
  interactions: {path: ratings.csv, user: user, item: item, weight: weight, time: time, format: csv, separator: ","}
  items: {path: books.csv, id: id}
  users: {path: readers.csv, id: id}
  positive: ">= 4"
  split: {by: user-time, holdout: 1}
stages:
  - preprocess: dedupe
    with: {keep: last}
  - preprocess: impute
    with: {columns: {price: median, genre: constant}}
  - preprocess: k-core
    with: {min_user: 1, min_item: 1}
  - encode: tfidf
    id: plot
    with: {columns: [title, genre], min_df: 1}
  - encode: category
    id: kinds
    with: {columns: [genre]}
  - encode: numbers
    id: facts
    with: {columns: [year, price]}
  - encode: als
    id: taste
    with: {dim: 4}
  - fuse: weighted
    id: profile
    from: [plot, kinds, taste]
    with: {weights: {plot: 1, taste: 0.5}}
  - recommend: surprise/svd@1
    with: {dim: 4, epochs: 2}
  - recommend: ease
    with: {l2: 10}
  - recommend: dot
    id: best
    from: profile
  - rerank: mmr
    with: {relevance: 0.8}
  - check: fairlearn/quality-gap
    with: {group: age, max_difference: 0.9, k: 5, min_group: 2}
    fail: warn
  - explain: evidence
    with: {items: 2, label: title}
list: {k: 5, exclude_seen: true, candidates: all}
evaluate: {metrics: [ndcg@5, recall@5, rmse], baselines: [popular], groups: [age], bootstrap: 100, confidence: 0.9}
"""
READERS = "id,age\nada,young\nben,old\ncleo,young\ndan,old\neva,young\nfinn,old\n"
BASES = (EVERYTHING, *(path.read_text(encoding="utf-8") for path in sorted((ROOT / "recipes").glob("*.yaml"))))
# What stands in right recipes, and so gets further than anything random.
WORDS = (
    "recipe", "name", "seed", "device", "engine", "out", "plugins", "data", "stages", "list", "evaluate", "publish",
    "track", "extends", "override", "interactions", "items", "users", "positive", "split", "by", "holdout", "with",
    "from", "id", "fail", "path", "format", "separator", "time", "random", "file", "preprocess", "encode", "fuse",
    "recommend", "rerank", "check", "explain", "update", "tfidf", "als", "dot", "ease", "popular", "hf/text", "acme/x",
    "tfidf@1", "ease@99", "builtin/dot", "columns", "dim", "k", "auto", "cuda:0", "error", "warn", "ndcg@10", "r.yaml",
    "base.yaml", "sqlite:///p.db", "package://x==1/y", "hub://a/b", "dataset://movielens-100k/items", "${env:HOME}",
    "${env:NOPE}", "${env:", ">= 4", "~=1", "best", "profile", "plot", "taste", "ratings.csv", "books.csv", ".", "/",
    "../..", "~", "*",
)  # fmt: skip
SCRAPS = (
    "\t", "\r\n", "\r", "\ufeff", "\0", "\x1b[2J", "- ", "? ", ": ", "{", "}", "[", "]", "&a ", "*a", "<<: *a\n",
    "!!int ", "!!python/object/apply:os.system [x]", "!!binary aGk=", "|\n", ">-\n", "'", '"', "#", "---\n", "...\n",
    "%YAML 1.1\n", "\u2028", "\u0085", "é", "\U0001f600", "\ud7ff", "~", "1e999", "0x", "1_000", ".nan", "-.inf",
    "yes", "012", "1:30", "2024-01-31", "@", "`", ",", "\n", "  ", "extends: r.yaml\n", "seed: 1\n", "a: &b [*b]\n",
)  # fmt: skip

numbers = st.one_of(
    st.integers(-3, 12),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from([0.0, 1.0, -1, 1e308, 2**31, 2**32, 2**63, 10**400]),
)
scalars = st.one_of(numbers, st.booleans(), st.none(), st.sampled_from(WORDS), st.text(max_size=12))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(WORDS), st.text(max_size=6)), inner, max_size=4),
    ),
    max_leaves=8,
)


def _places(tree: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """The paths of the values below a tree; a change may have made it endless, so not of the deepest."""
    if len(path) >= DEEPEST:
        return []
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [place for key, value in inner for place in ((*path, key), *_places(value, (*path, key)))]


def _at(tree: Any, path: tuple[Any, ...]) -> Any:  # noqa: ANN401 - YAML holds anything
    for key in path:
        tree = tree[key]
    return tree


def changed_tree(draw: Draw, tree: Any) -> Any:  # noqa: ANN401 - YAML holds anything
    """The tree with one value, key or branch changed; mappings and lists are changed in place."""
    places = _places(tree)
    if not places:
        return draw(values)
    path = draw(st.sampled_from(places))
    above, key = _at(tree, path[:-1]), path[-1]
    how = draw(st.integers(0, 8))
    if how == 0:
        del above[key]
    elif how <= 3:
        above[key] = draw(values)
    elif how == 4:
        above[key] = _at(tree, draw(st.sampled_from(places)))
    elif how == 5:
        above[key] = draw(st.sampled_from([[above[key]], {"x": above[key]}, str(above[key])]))
    elif how == 6 and isinstance(above, dict):
        above[draw(st.sampled_from([_misspelt(draw, str(key)), *WORDS]))] = above.pop(key)
    elif isinstance(above, dict):
        above[draw(st.sampled_from(WORDS))] = draw(values)
    else:
        above.insert(draw(st.integers(0, len(above))), draw(st.sampled_from([draw(values), above[key]])))
    return tree


def _misspelt(draw: Draw, word: str) -> str:
    at = draw(st.integers(0, max(0, len(word) - 1)))
    return word[:at] + draw(st.sampled_from(["", "x", word[at : at + 2][::-1]])) + word[at + 1 :]


def changed_text(draw: Draw, text: str) -> str:
    """The text with a scrap put in, characters taken out, a line doubled, moved or shifted, or its end cut off."""
    at = draw(st.integers(0, len(text)))
    lines = text.split("\n")
    row = draw(st.integers(0, len(lines) - 1))
    how = draw(st.integers(0, 7))
    if how <= 2:
        return text[:at] + draw(st.sampled_from(SCRAPS)) + text[at + draw(st.integers(0, 2)) :]
    if how == 3:
        return text[:at] + text[at + draw(st.integers(1, 30)) :]
    if how == 4:
        return text[:at]
    if how == 5:
        lines[row] = draw(st.sampled_from([" ", "  ", "\t", "    "])) + lines[row]
    elif how == 6:
        lines.insert(draw(st.integers(0, len(lines))), lines[row])
    else:
        return text.replace("\n", draw(st.sampled_from(["\r\n", "\r", "\n\n", " \n"])))
    return "\n".join(lines)


def changed_bytes(draw: Draw, data: bytes) -> bytes:
    """The bytes with some replaced, put in, or all of them in another encoding."""
    if draw(st.integers(0, 4)) == 0:
        encoding = draw(st.sampled_from(["utf-16", "utf-32", "latin-1", "utf-8-sig"]))
        return data.decode("utf-8", "replace").encode(encoding, "replace")
    at = draw(st.integers(0, len(data)))
    return data[:at] + draw(st.binary(max_size=6)) + data[at + draw(st.integers(0, 3)) :]


@st.composite
def recipes(draw: Draw) -> bytes:
    """A recipe file: mostly a right one with one to three changes, at times something else altogether."""
    kind = draw(st.integers(0, 19))
    if kind == 0:
        return draw(st.binary(max_size=300))
    if kind == 1:
        return draw(st.text(max_size=300)).encode("utf-8", "surrogatepass")
    if kind == 2:
        return _dumped(draw(values)).encode("utf-8", "surrogatepass")
    if kind == 3:
        return _deep(draw).encode()
    text = draw(st.sampled_from(BASES))
    if kind <= 13:
        tree = yaml.safe_load(text)
        for _ in range(draw(st.sampled_from([1, 1, 2, 3]))):
            tree = changed_tree(draw, tree)
        text = _dumped(tree)
    if kind >= 12:
        for _ in range(draw(st.integers(1, 3))):
            text = changed_text(draw, text)
    data = text.encode("utf-8", "surrogatepass")
    return changed_bytes(draw, data) if kind >= 18 else data


def _dumped(tree: object) -> str:
    try:
        return yaml.safe_dump(tree, allow_unicode=True, sort_keys=False)
    except (yaml.YAMLError, RecursionError, ValueError):  # a number or a tree that YAML cannot write
        return repr(tree)


def _deep(draw: Draw) -> str:
    """Nesting and aliases without end."""
    n = draw(st.integers(1, 3000))
    form = draw(st.integers(0, 4))
    if form == 0:
        return "[" * n
    if form == 1:
        return "data: " + "{a: " * n + "}" * n
    if form == 2:
        return "".join(f"{' ' * k}a:\n" for k in range(min(n, 1500)))
    if form == 3:
        rows = [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, min(n, 40))]
        return "\n".join(["a0: &a0 [x, x]", *rows, "stages: *a0"])
    return "recipe: 1\nstages:\n" + "  - encode: tfidf\n" * n


settings_lines = st.one_of(
    st.builds(
        lambda path, value: f"{'.'.join(path)}={value}",
        st.lists(st.one_of(st.sampled_from(WORDS), st.integers(-2, 20).map(str), st.text(max_size=5)), max_size=5),
        st.one_of(st.sampled_from([*WORDS, *SCRAPS]), st.text(max_size=10), numbers.map(str)),
    ),
    st.text(max_size=20),
)
