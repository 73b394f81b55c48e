"""The pages of docs/: generated parts are fresh, the tutorial does what it says, and every block of code is right."""

import ast
import csv
import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

import recprofile
from recprofile.cli.main import _command, status_of
from recprofile.cli.terminal import console, errors_console
from recprofile.registry import make_registry
from recprofile.source import read_source

ROOT = Path(__file__).parents[1]
DATA = ROOT / "recipes" / "data"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(
    r"(?:^<!-- (?P<mark>(?:not run|exits|head|fragment|reads): [^\n]*?) -->\n\n)?"
    r"^(?P<ticks>```+)(?P<language>[\w-]*)(?P<rest>[^\n]*)\n(?P<text>.*?)^(?P=ticks)$",
    re.DOTALL | re.MULTILINE,
)
OUTPUT = {"", "text"}  # what is printed, and what is only a picture


@dataclass(frozen=True)
class Block:
    """A block of code of a page: what stands before it in a comment, its language, its file name, and its text."""

    mark: str
    language: str
    title: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"line {self.line} ({self.language or 'text'})"


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        title = re.search(r'title="(.*?)"', match["rest"])
        line = text.count("\n", 0, match.start("ticks")) + 1
        found.append(Block(match["mark"] or "", match["language"], title[1] if title else "", match["text"], line))
    return found


def commands(block: Block) -> list[list[str]]:
    """The `recprofile …` command lines of a block of shell, or of the `$` lines of an output."""
    prompt = "$ " if block.language in OUTPUT else ""
    lines = block.text.replace("\\\n", " ").splitlines()
    mine = [line.removeprefix(prompt) for line in lines if line.startswith(f"{prompt}recprofile ")]
    return [shlex.split(line, comments=True) for line in mine]


def resolved(words: list[str]) -> tuple[typer.core.TyperCommand, list[str]]:
    """The command that words name, and the words that are left."""
    command, rest = _command(), words[1:]
    while rest and (inner := getattr(command, "commands", {}).get(rest[0])):
        command, rest = inner, rest[1:]
    return command, rest


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A working folder with the bookshop's data, on a terminal of 100 columns."""
    for name in ("ratings.csv", "books.csv"):
        shutil.copy(DATA / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP_PASSWORD", "of a page")
    monkeypatch.setenv("COLUMNS", "100")
    for made in (console, errors_console):
        made.cache_clear()
    yield tmp_path
    for made in (console, errors_console):
        made.cache_clear()


def test_generated_parts_are_what_is_generated_now():
    done = subprocess.run(
        [sys.executable, "-m", "scripts.docs", "--check"],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"run `make pages`\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", ["tutorial", "profiles"])
def test_a_page_prints_what_it_says(page, shop, capsys):
    """Blocks are taken in order: a title makes a file, shell is run, text after it is what is printed, … being any."""
    printed = ""
    played = 0
    for block in blocks(ROOT / "docs" / f"{page}.md"):
        if block.mark.startswith("not run"):
            continue
        if block.title:
            Path(block.title).write_text(block.text, encoding="utf-8")
        elif block.mark.startswith("head: "):
            shown = block.text.removesuffix("…\n")
            assert Path(block.mark.removeprefix("head: ")).read_text(encoding="utf-8").startswith(shown), block
        elif block.language == "bash":
            printed = ""
            for words in commands(block):
                asked, _, target = "\0".join(words[1:]).partition("\0>\0")
                status = status_of(asked.split("\0"))
                told = capsys.readouterr()
                if target:
                    Path(target).write_text(told.out, encoding="utf-8")
                printed += told.err + ("" if target else told.out)
                expected = int(block.mark.removeprefix("exits: ") or 0) if block.mark else 0
                assert status == expected, f"{block}: {printed}"
                played += 1
        elif block.language == "python":
            exec(compile(block.text, f"{page}.md", "exec"), {})
            capsys.readouterr()
        else:
            assert matches(block.text, printed), f"{block}: it prints\n{printed}"
    assert played > 10


def matches(shown: str, printed: str) -> bool:
    """Whether what is shown is what is printed; '…' stands for anything, and blanks at line ends do not count."""
    lines = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    pattern = ".*?".join(re.escape(part.strip(" ")).replace("\\ ", " +") for part in shown.strip().split("…"))
    pattern = re.sub(r"\.\*\?(?: \+)?", ".*?", pattern)
    return re.fullmatch(pattern, lines, re.DOTALL) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_of_code_is_right(page, shop, capsys):
    for block in blocks(page):
        if block.title.endswith((".yaml", ".csv")):
            Path(block.title).write_text(block.text, encoding="utf-8")
        problem = wrong(block, page)
        assert problem is None, f"{page.name}, {block}: {problem}"
    capsys.readouterr()


def wrong(block: Block, page: Path) -> str | None:
    """What is wrong with a block; None when nothing is."""
    if block.language in OUTPUT:
        shown = [words for words in commands(block) if "…" not in words]
        return next((problem for words in shown if (problem := wrong_command(words))), None)
    if block.language in {"bash", "sh", "console", "shell"}:
        return next((problem for words in commands(block) if (problem := wrong_command(words))), None)
    if block.language == "python":
        ast.parse(block.text)
        return None
    if block.language == "toml":
        tomllib.loads(block.text)
        return None
    if block.language in {"json", "jsonc", "csv", "diff", "jsonl", "lua", "vim", "ini", "xml", "make"}:
        if block.language == "json":
            json.loads(block.text)
        return None
    if block.language in {"yaml", "yml"}:
        return wrong_yaml(block, page)
    return f"no test knows the language '{block.language}'"


def wrong_command(words: list[str]) -> str | None:
    """What is wrong with a command line: a command or option that is not there."""
    command, rest = resolved(words)
    if command is _command() and rest and not rest[0].startswith("-"):
        return f"no command '{rest[0]}'"
    known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)} | {"--help", "-h"}
    known |= {name for param in _command().params for name in param.opts}
    unknown = [word for word in rest if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in known]
    return f"{' '.join(words)}: no option {', '.join(unknown)}" if unknown else None


def wrong_yaml(block: Block, page: Path) -> str | None:
    """What is wrong with YAML: a recipe that is refused, or stages that name no component."""
    if page.name == "errors.md":  # what is wrong is what it shows, and it was run when the page was made
        return None
    whole = re.search(r"^(recipe|extends):", block.text, re.MULTILINE)
    if block.mark.startswith("fragment") or (not whole and "- " not in block.text):
        read = Path("fragment.yaml")
        read.write_text(block.text, encoding="utf-8")
        read_source(read)
        return None
    if whole:
        target = Path(block.title or "block.yaml")
        text = block.text.replace("data/ratings.csv", "ratings.csv").replace("data/books.csv", "books.csv")
        target.write_text(text, encoding="utf-8")
        recprofile.load_plan(target)
        return None
    registry = make_registry()
    for verb, use in re.findall(r"^\s*- (\w+): ([\w/@.-]+)$", block.text, re.MULTILINE):
        if not use.startswith("acme"):
            registry.find(use, verb)
    return None


def test_the_recipe_of_the_reference_runs(shop):
    (block,) = [b for b in blocks(ROOT / "docs" / "recipe.md") if b.title == "shop.yaml"]
    Path("shop.yaml").write_text(block.text, encoding="utf-8")
    assert recprofile.run("shop.yaml", offline=True, device="cpu").passed


def test_the_sources_of_the_reference_give_what_its_file_gives(shop):
    lines = Path("ratings.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    Path("ratings").mkdir()
    Path("ratings/1.csv").write_text("".join(lines[:40]), encoding="utf-8")
    Path("ratings/2.csv").write_text("".join([lines[0], *lines[40:]]), encoding="utf-8")
    with closing(sqlite3.connect("shop.db")) as connection, connection:
        connection.execute("CREATE TABLE ratings (reader, book, stars, at)")
        columns = csv.DictReader(lines)
        rows = [(r["user"], r["item"], float(r["weight"]), int(r["time"])) for r in columns]
        connection.executemany("INSERT INTO ratings VALUES (?, ?, ?, ?)", rows)
    found = {}
    for block in blocks(ROOT / "docs" / "recipe.md"):
        if block.title in ("shop.yaml", "from-parts.yaml", "from-sqlite.yaml"):
            Path(block.title).write_text(block.text, encoding="utf-8")
            run = recprofile.run(block.title, offline=True, device="cpu", out=block.title.removesuffix(".yaml"))
            found[block.title] = json.loads((Path(run.out) / "metrics.json").read_text(encoding="utf-8"))
    assert len(found) == 3
    assert found["from-parts.yaml"] == found["from-sqlite.yaml"] == found["shop.yaml"]


def test_every_page_is_in_the_navigation_and_reached_by_links_that_exist():
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    for page in (ROOT / "docs").glob("*.md"):
        assert re.search(rf"\b{page.name}$", nav, re.MULTILINE), f"{page.name} is not in mkdocs.yml"
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).is_file(), f"{page.name} links to {link}"


def test_pages_load_nothing_from_elsewhere():
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "font: false" in settings
    assert "http" not in settings
