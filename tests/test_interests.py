"""Interests: tags by count and lift against an independent slow reference, key phrases, cards."""

import math

import numpy as np
import polars as pl
import pytest

from recprofile.interests import (
    EDITS,
    CardFacts,
    Interest,
    TagsParams,
    cards,
    facts_of,
    tagged,
    write_card,
)
from recprofile.interests.phrases import key_phrases
from recprofile.plugin import PositiveRule
from recprofile.testing import dataset

GENRES = TagsParams(columns=("genre",), separator=" ", min_count=1)
RULE = PositiveRule(">=", 4)


def slow(data, p):
    """Rows by user and tag: weight, items, share, trend, evidence; with dictionaries and loops."""
    genres = [text.split(p.separator) if text else [] for text in data.items.frame["genre"]]
    events = list(
        zip(data.train.user, data.train.item, data.train.weight, data.train.time, data.train.positive, strict=True)
    )
    training = {i for _, i, *_ in events}
    counts = [sum(1 for e in events if e[1] == i and e[4]) for i in range(data.n_items)]
    having = {t: sum(1 for i in training if t in genres[i]) for t in sorted({t for g in genres for t in g})}
    tags = [t for t, n in having.items() if n >= p.min_count]
    usual = {
        t: max(sum(c for c, g in zip(counts, genres, strict=True) if t in g), 0.5) / max(sum(counts), 1) for t in tags
    }
    found = {}
    for u in range(data.n_users):
        mine = sorted((e for e in events if e[0] == u), key=lambda e: e[3])  # stable: ties in the order of the log
        last, strength = {}, {}
        for at, (_, i, w, _, _) in enumerate(mine):
            last[i] = at
            strength[i] = strength.get(i, 0) + w
        order = sorted(last, key=last.get)
        liked = [i for i in order if any(e[1] == i and e[4] for e in mine)]
        disliked = [i for i in order if i not in liked]
        rows = []
        for t in tags:
            w = 0.0
            for sign, side in ((1, liked), (-1, disliked)):
                n, total, pt = sum(t in genres[i] for i in side), len(side), usual[t]
                q = (n + p.prior * pt) / (total + p.prior) if total else 0
                if q > pt and (n / total - pt) >= p.least * math.sqrt(pt * (1 - pt) / total):
                    w += sign * q * math.log(q / pt)
            if w == 0:
                continue
            side = liked if w > 0 else disliked
            half = len(side) // 2
            early, late = side[:half], side[half:]
            n = sum(t in genres[i] for i in side)
            trend = 0.0
            if half:
                trend = sum(t in genres[i] for i in late) / len(late) - sum(t in genres[i] for i in early) / len(early)
            shown = sorted(
                (i for i in side if t in genres[i]), key=lambda i: (-strength[i] * (1 if w > 0 else -1), -last[i])
            )
            rows.append((t, w, n, n / len(side), usual[t], trend, [f"T{i}" for i in shown[:3]]))
        found[u] = sorted(rows, key=lambda row: (-abs(row[1]), row[0]))[: p.most]
    return found


def made(seed, users=40, items=25, events=600, tags=8):
    rng = np.random.default_rng(seed)
    log = [
        (int(rng.integers(users)), int(rng.integers(items)), int(rng.integers(1, 6)), int(rng.integers(50)))
        for _ in range(events)
    ]
    genre = [" ".join(f"g{t}" for t in np.flatnonzero(rng.random(tags) < 0.3)) for _ in range(items)]
    table = {"id": range(items), "title": [f"T{i}" for i in range(items)], "genre": genre}
    return dataset(log, items=table, positive=RULE)


@pytest.mark.parametrize("changes", [{}, {"most": 3}, {"prior": 0.5, "least": 0.0}, {"min_count": 6, "least": 2.0}])
def test_tags_are_those_of_a_slow_reference(changes):
    p = GENRES.model_copy(update=changes)
    data = made(3)
    found = tagged(data, p)
    expected = slow(data, p)
    for user in range(data.n_users):
        rows = found.rows.filter(pl.col("user") == user)
        assert rows["tag"].to_list() == [row[0] for row in expected[user]]
        for name, at in (("weight", 1), ("items", 2), ("share", 3), ("usual", 4), ("trend", 5)):
            np.testing.assert_allclose(rows[name].to_numpy(), [row[at] for row in expected[user]], rtol=1e-5, atol=1e-7)
        assert rows["evidence"].to_list() == [row[6] for row in expected[user]]
        np.testing.assert_allclose(rows["lift"].to_numpy(), rows["share"].to_numpy() / rows["usual"].to_numpy())
        dense = np.zeros(len(found.names))
        dense[rows["code"].to_numpy()] = rows["weight"].to_numpy()
        np.testing.assert_array_equal(found.users.toarray()[user], dense.astype(np.float32))


def test_what_is_liked_and_disliked_alike_weighs_nothing():
    log = [(0, 0, 5, 1), (0, 1, 1, 2), (1, 2, 5, 1), (1, 3, 5, 2), (1, 4, 5, 3)]
    data = dataset(log, items={"id": range(5), "genre": ["x", "x", "y", "y", "y"]}, positive=RULE)
    assert tagged(data, GENRES).rows.filter(pl.col("user") == 0).is_empty()
    data = dataset(
        [*log, (0, 2, 1, 3), (0, 5, 5, 9)],
        items={"id": range(6), "genre": ["x", "x", "y", "y", "y", "x"]},
        positive=RULE,
    )
    rows = tagged(data, GENRES).rows.filter(pl.col("user") == 0)
    assert rows["tag"].to_list() == ["x"]
    assert rows["weight"][0] > 0


def test_an_item_with_any_positive_event_is_liked_and_counts_once():
    data = dataset(
        [(0, 0, 1, 1), (0, 0, 5, 2), (0, 0, 1, 3), (1, 1, 5, 1)],
        items={"id": [0, 1], "genre": ["x", "y"]},
        positive=RULE,
    )
    (row,) = tagged(data, GENRES).rows.filter(pl.col("user") == 0).to_dicts()
    assert (row["tag"], row["items"], row["share"], row["trend"]) == ("x", 1, 1.0, 0.0)


def test_without_times_nothing_is_recent_and_nothing_changes():
    data = dataset([(0, 0), (0, 1), (1, 2)], items={"id": [0, 1, 2], "genre": ["x", "x y", "z"]})
    found = tagged(data, GENRES)
    assert found.people["recent"].to_list() == [[], []]
    assert set(found.rows["trend"]) == {0.0}


@pytest.mark.parametrize("genre", [[None, None], ["", " "], ["only", None]])
def test_items_without_tags_and_people_without_events_are_left_empty(genre):
    data = dataset([(0, 1)], items={"id": [0, 1], "genre": genre}, users={"id": [0, 7]})
    found = tagged(data, GENRES)
    assert found.rows.is_empty()
    assert found.users.shape == (2, len(found.names))
    (nobody,) = facts_of(found, data, np.array([1], np.int32))
    assert nobody == CardFacts("7", 0, (), (), ())
    assert write_card(nobody) == "Nothing is known of them yet."


def test_only_items_in_training_make_tags_and_later_ones_have_them():
    data = dataset([(0, 0), (0, 1)], items={"id": [0, 1, 2], "genre": ["x", "x", "x new"]})
    found = tagged(data, GENRES)
    assert found.names["tag"].to_list() == ["x"]
    assert found.names["items"].to_list() == [2]
    assert found.items.toarray().ravel().tolist() == [1, 1, 1]


def test_edits_stand_in_place_of_behaviour():
    data = made(5)
    before = tagged(data, GENRES)
    first = before.rows.filter(pl.col("user") == 0)
    strongest, weakest = first["tag"][0], first["tag"][-1]
    other = next(tag for tag in before.names["tag"] if tag not in first["tag"])
    said = [("0", "genre", strongest, 0.0), ("0", "genre", weakest, -2.5), ("0", "genre", other, 1.5)]
    said += [("0", "genre", "no such tag", 1.0), ("nobody", "genre", strongest, 9.0)]
    found = tagged(data, GENRES, pl.DataFrame(said, schema=EDITS, orient="row"))
    rows = {row["tag"]: row for row in found.rows.filter(pl.col("user") == 0).to_dicts()}
    assert strongest not in rows
    assert (rows[weakest]["weight"], rows[weakest]["edited"]) == (-2.5, True)
    assert (rows[other]["weight"], rows[other]["edited"]) == (1.5, True)
    assert list(rows)[:2] == [weakest, other]
    untouched = [tag for tag in first["tag"] if tag not in (strongest, weakest)]
    assert [tag for tag in rows if not rows[tag]["edited"]] == untouched
    assert found.rows.filter(pl.col("user") > 0).equals(before.rows.filter(pl.col("user") > 0))
    mine = data.positives()[[0]].toarray()[0] > 0
    has = np.array([other in text.split() for text in data.items.frame["genre"]])
    assert rows[other]["items"] == (mine & has).sum()
    np.testing.assert_allclose(rows[other]["share"], (mine & has).sum() / mine.sum())


def test_key_phrases_neither_begin_nor_end_with_common_words_and_leave_nested_ones_out():
    texts = pl.Series(
        ["A Lord of the Rings film", "The lord of the rings", "Lord Jim. Of the sea", "the sea, the 1984", None]
    )
    p = TagsParams(text=("t",), words=4, min_count=2, common=1.0)
    found = key_phrases(texts, np.ones(5, np.bool_), p)
    rings = "lord of the rings"
    expected = [(0, "lord"), (0, rings), (1, "lord"), (1, rings), (2, "lord"), (2, "sea"), (3, "sea")]
    assert sorted(found.rows()) == expected
    p = p.model_copy(update={"min_count": 1})
    assert not [
        value for _, value in key_phrases(texts, np.ones(5, np.bool_), p).rows() if "jim of" in value or value == "1984"
    ]


def test_a_word_of_most_texts_makes_no_phrase_in_any_language():
    texts = pl.Series([f"der {word} 映画 🎬" for word in ("hund", "hund", "wald", "wald", "berg", "berg")])
    p = TagsParams(text=("t",), min_count=2, common=0.5)
    assert set(key_phrases(texts, np.ones(6, np.bool_), p)["value"]) == {"hund", "wald", "berg"}


def test_most_phrases_are_those_that_tell_most_texts_apart():
    texts = pl.Series(["red x", "red x", "red", "red", "blue", "blue", "green", "a b c"])
    p = TagsParams(text=("t",), min_count=1, common=0.9, words=1, phrases=2)
    found = key_phrases(texts, np.ones(8, np.bool_), p)
    # df·ln(8 / df): red 4·ln 2 = 2.77; blue and x 2·ln 4 = 2.77; of equal ones the first by name
    assert set(found["value"]) == {"red", "blue"} or set(found["value"]) == {"blue", "x"}


LIKES = (
    Interest("War", "genre", 0.4, 6, 0.6, 0.2, 3.0, 0.25, ("A", "B", "C")),
    Interest("Film Noir", "genre", 0.2, 3, 0.3, 0.004, 75.0, -0.5, ("D",)),
    Interest("Opera", "genre", 0.1, 0, 0.0, 0.1, 0.0, 0.0, (), edited=True),
)
DISLIKES = (Interest("Horror", "genre", -0.3, 2, 0.5, 0.1, 5.0, 0.0, ("E", "F")),)


def test_a_card_says_what_is_in_the_facts():
    assert write_card(CardFacts("7", 12, LIKES, DISLIKES, ("A", "D"))) == (
        "Likes War, Film Noir and Opera, by 12 events. War is in 60 % of what they liked, where 20 % is usual, as A, B "
        "and C. Film Noir is in 30 % of what they liked, where less than 1 % is usual, as D. They say so of Opera. "
        "Avoids Horror. Horror is in 50 % of what they did not like, where 10 % is usual, as E and F. Lately more War "
        "and less Film Noir. Last liked: A and D."
    )
    assert (
        write_card(CardFacts("7", 1, (), (), ("A",))) == "Likes nothing more than others do, by 1 event. Last liked: A."
    )
    assert write_card(CardFacts("7", 2, (), DISLIKES, ())).startswith(
        "Likes nothing more than others do, by 2 events. Avoids Horror."
    )


def test_every_card_at_once_is_that_of_its_facts():
    data = made(9)
    found = tagged(data, GENRES)
    every = np.arange(data.n_users, dtype=np.int32)
    assert cards(found.people, found.rows).to_list() == [write_card(facts) for facts in facts_of(found, data, every)]


def test_facts_come_in_the_order_that_is_asked_for():
    data = made(9)
    found = tagged(data, GENRES)
    both = list(facts_of(found, data, np.array([3, 1], np.int32)))
    assert [facts.user for facts in both] == ["3", "1"]
    assert all(one.weight > 0 for facts in both for one in facts.likes)
    assert all(one.weight < 0 for facts in both for one in facts.dislikes)


def test_tags_need_a_column():
    with pytest.raises(ValueError, match="neither is given"):
        TagsParams()
