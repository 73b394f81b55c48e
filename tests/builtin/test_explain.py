from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_array

from recprofile.builtin.explain import Evidence
from recprofile.builtin.explain.parts import at_entries, strongest
from recprofile.builtin.recommend import Dot, Ease, ItemKnn, Popular
from recprofile.builtin.recommend.linear import LinearRanker
from recprofile.plugin import Block, Inputs, Profiles, Recommendations, RunError
from recprofile.testing import ExplainerTests, checkerboard, context, dataset, fused, toy


def lists(data, ranker, *, k=3):
    """Recommendations of all users, seen items left out; users without a history get i1 and i2, with their reason."""
    users = np.arange(data.n_users, dtype=np.int32)
    scores = ranker.scores(users)
    scores[data.seen().toarray() > 0] = -np.inf
    reasons = np.where(ranker.known_users(), 0, 1).astype(np.int8)
    scores[reasons == 1] = np.r_[2, 1, np.full(data.n_items - 2, -np.inf)]
    items = np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int32)
    scores = np.take_along_axis(scores, items, axis=1)
    items[np.isneginf(scores)] = -1
    scores = np.where(items < 0, np.nan, scores).astype(np.float32)
    return Recommendations(data.users.ids, data.items.ids, users, items, scores, reasons)


def explain(data, ranker, *, recs=None, profiles=None, ctx=None, **params):
    recs = lists(data, ranker) if recs is None else recs
    return Evidence(Evidence.params_type(**params)).explain(
        recs, ranker, Inputs(profiles=profiles), data, ctx or context()
    )


def ease(data):
    return Ease(Ease.params_type(l2=1.0)).fit(data, Inputs(), context())


def dot(data, profiles):
    return Dot(Dot.params_type()).fit(data, Inputs(profiles=profiles), context())


def two_blocks(data, *, taste_pooled):
    """A pooled block 'plot', and a block 'taste' that is pooled, or learnt."""
    plot = fused(data, np.arange(12).reshape(6, 2) / 10)
    taste = np.array([1, -1, 1, -1, 1, -1], np.float32)
    of_users = plot.history @ taste if taste_pooled else np.linspace(-1, 1, 6)
    users = np.column_stack([plot.user_vectors, of_users]).astype(np.float32)
    items = np.column_stack([plot.item_vectors, taste]).astype(np.float32)
    blocks = (plot.blocks[0], Block("taste", 2, 3, pool=plot.blocks[0].pool if taste_pooled else None))
    return Profiles(plot.users, plot.items, users, items, blocks, plot.known, plot.history)


class TestEvidence(ExplainerTests):
    component = Evidence
    examples = [{}, {"items": 1, "top": 1}, {"users": 2, "label": "title"}, {"users": None}]


def by_hand():
    """One user who likes a, b and c and not d; W says what each of them gives to e, f and g."""
    data = dataset(
        [("u", "a"), ("u", "b"), ("u", "c"), ("u", "d")],
        items={"id": list("abcdefg"), "title": ["Alien", "Brazil", None, "Duel", "Elf", "Fargo", " "]},
    )
    weights = np.zeros((7, 7), np.float32)
    weights[:4, 4] = [0.5, 0.25, -0.125, 0.0625]  # e: .6875
    weights[:4, 5] = [0.25, 0.125, 0.125, 0]  # f: .5
    weights[:4, 6] = [-0.0625, 0, -0.5, 0.25]  # g: -.3125
    return data, LinearRanker(data, weights, np.ones(7, np.bool_))


def rows_of(explanations, item, kind="history"):
    rows = explanations.evidence.filter(pl.col("item") == item, pl.col("kind") == kind)
    return rows.select("source", "label", "contribution").rows()


def sentences(explanations):
    return explanations.sentences["sentence"].to_list()


def test_the_strongest_items_are_shown_with_their_signed_parts():
    data, ranker = by_hand()
    found = explain(data, ranker, items=3, label="title")
    # e: three speak for it; c against it is larger than the smallest of them, d, and takes its place
    assert rows_of(found, 4) == [("a", "Alien", 0.5), ("b", "Brazil", 0.25), ("c", "c", -0.125)]
    # f: b and c are alike, and the first by order comes first
    assert rows_of(found, 5) == [("a", "Alien", 0.25), ("b", "Brazil", 0.125), ("c", "c", 0.125)]
    # g: one for it; of two against it the larger
    assert rows_of(found, 6) == [("d", "Duel", 0.25), ("c", "c", -0.5)]


def test_the_sentence_names_them():
    data, ranker = by_hand()
    assert sentences(explain(data, ranker, items=3, label="title")) == [
        "recommended because you liked 'Alien' (+0.5) and 'Brazil' (+0.25), despite 'c' (-0.13)",
        "recommended because you liked 'Alien' (+0.25), 'Brazil' (+0.13) and 'c' (+0.13)",
        "recommended because you liked 'Duel' (+0.25), despite 'c' (-0.5)",
    ]


def test_the_sentence_says_when_nothing_speaks_for_an_item():
    data = dataset([("u", "a")], items={"id": list("abc")})
    against = np.array([[0, -3, 0], [0, 0, 0], [0, 0, 0]], np.float32)
    assert sentences(explain(data, LinearRanker(data, against, np.ones(3, np.bool_)))) == [
        "recommended although nothing in your history speaks for it",
        "recommended although nothing in your history speaks for it, despite 'a' (-3)",
    ]


def test_the_counterfactual_is_the_smallest_prefix_that_drops_it_behind_the_last():
    data, ranker = by_hand()
    recs = replace(
        lists(data, ranker), items=np.array([[4, 5, -1]], np.int32), scores=np.array([[1, 0.5, np.nan]], np.float32)
    )
    found = explain(data, ranker, recs=recs, items=3, label="title").sentences
    # Without a: e .1875, f .25: e falls behind f. f is itself the last.
    assert found["counterfactual"].to_list() == [
        "without 'Alien' it would fall behind 'Fargo', the lowest-scored of the 2 listed",
        None,
    ]


def test_a_counterfactual_may_take_two_items_or_not_be_found():
    data, ranker = by_hand()
    # f less g is .8125; a gives .3125 of it, b .125, c .625: all three are needed
    # e less g is 1: a .5625, b .25, d .0625 - .25, and c is not among those that speak for e
    found = explain(data, ranker, items=4).sentences
    assert found["counterfactual"].to_list() == [
        None,
        "without 'a', 'b' and 'c' it would fall behind 'g', the lowest-scored of the 3 listed",
        None,
    ]
    assert explain(data, ranker, items=2).sentences["counterfactual"].to_list() == [None] * 3


@pytest.mark.parametrize("component", [Ease, ItemKnn])
def test_a_counterfactual_is_what_a_new_ranking_says(component):
    rng = np.random.default_rng(0)
    data = dataset([(int(u), int(i)) for u, i in np.argwhere(rng.random((40, 15)) < 0.3)])
    ranker = component(component.params_type()).fit(data, Inputs(), context())
    found = explain(data, ranker, recs=lists(data, ranker, k=4), items=6)
    told = found.sentences.filter(pl.col("counterfactual").is_not_null())
    assert told.height > 20
    for user, item, text in told.select("user", "item", "counterfactual").iter_rows():
        before, after = text.split(" it would fall behind ")
        gone = [int(part.strip("'")) for part in before.removeprefix("without ").replace(" and ", ", ").split(", ")]
        left = ~((data.train.user == user) & np.isin(data.train.item, gone))
        without = data.revise(train=data.train.take(left), held=data.held[left])
        scores = ranker.scores_of(without)[user]
        assert scores[item] < scores[int(after.split("'")[1])]


def test_a_fall_back_list_says_that_it_is_one_and_has_no_evidence():
    data = toy()
    found = explain(data, ease(data))
    of_u6 = found.sentences.filter(pl.col("user") == 5)
    assert of_u6["basis"].to_list() == ["fallback"] * 2
    assert (
        of_u6["sentence"].to_list()
        == ["from the list for people without a history: there is none of yours to go by"] * 2
    )
    assert of_u6["counterfactual"].null_count() == 2
    assert found.evidence.filter(pl.col("user") == 5).height == 0


def test_profile_blocks_are_told_with_their_shares():
    data = toy()
    profiles = two_blocks(data, taste_pooled=False)
    ranker = dot(data, profiles)
    found = explain(data, ranker, items=2)
    assert set(found.sentences["basis"]) == {"model", "fallback"}
    blocks = found.evidence.filter(pl.col("kind") == "block")
    assert blocks["source"].unique().sort().to_list() == ["plot", "taste"]
    user, item = found.sentences.row(0)[:2]
    parts = dict(blocks.filter(pl.col("user") == user, pl.col("item") == item).select("source", "contribution").rows())
    assert sum(parts.values()) == pytest.approx(ranker.scores(np.array([user], np.int32))[0, item], abs=1e-5)
    whole = sum(abs(part) for part in parts.values())
    assert f"plot {round(100 * parts['plot'] / whole)} %" in sentences(found)[0]
    assert found.sentences["counterfactual"].null_count() == found.sentences.height


def test_a_profile_that_is_not_pooled_is_told_as_such():
    data = toy()
    p = fused(data)
    bare = Profiles(p.users, p.items, p.user_vectors, p.item_vectors, (Block("taste", 0, 6),), p.known)
    found = explain(data, dot(data, bare))
    assert set(found.sentences.filter(pl.col("basis") == "model")["sentence"]) == {"recommended by your profile"}
    assert found.evidence["kind"].unique().to_list() == ["block"]


def test_a_recommender_without_evidence_is_explained_by_the_profile():
    data = toy()
    ranker = Popular(Popular.params_type()).fit(data, Inputs(), context())
    profiles = fused(data, np.eye(6)[[0, 0, 2, 3, 4, 5]])
    found = explain(data, ranker, profiles=profiles)
    assert set(found.sentences["basis"]) == {"profile"}
    # u5 likes i2 alone, which is like i1 and like nothing else
    of_u5 = dict(found.sentences.filter(pl.col("user") == 4).select("item", "sentence").rows())
    assert of_u5[0] == "close in your profile to 'i2' (+1)"
    assert of_u5[2] == "not close to your history"
    assert found.sentences["counterfactual"].null_count() == found.sentences.height


def test_without_evidence_and_without_profiles_it_says_what_to_add():
    data = toy()
    with pytest.raises(RunError, match=r"RP404 the recommender gives no evidence(.|\n)*add a 'fuse' stage"):
        explain(data, Popular(Popular.params_type()).fit(data, Inputs(), context()))


def test_top_and_users_bound_what_is_explained():
    data = toy()
    found = explain(data, ease(data), top=1, users=3).sentences
    assert found.height == 3
    assert found["user"].n_unique() == 3
    again = explain(data, ease(data), top=1, users=3, ctx=context(seed=1)).sentences
    assert again["user"].to_list() != found["user"].to_list()
    assert explain(data, ease(data), top=1, users=None).sentences.height == 6


def test_it_is_the_same_in_small_blocks(monkeypatch):
    data = checkerboard(12)
    whole = explain(data, ease(data))
    monkeypatch.setattr("recprofile.builtin.explain.pairs.EVENTS", 7)
    monkeypatch.setattr("recprofile.builtin.explain.pairs.SCORES", 24)
    part = explain(data, ease(data))
    assert part.sentences.equals(whole.sentences)
    # The history rows come block by block in the same order of pairs.
    assert part.evidence.equals(whole.evidence)


@pytest.mark.parametrize("shape", [(0, 3), (6, 0)])
def test_no_lists_give_no_explanations(shape):
    data = toy()
    users = np.arange(shape[0], dtype=np.int32)
    nothing = Recommendations(
        data.users.ids, data.items.ids, users, np.zeros(shape, np.int32), np.zeros(shape, np.float32),
        np.zeros(shape[0], np.int8),
    )  # fmt: skip
    found = explain(data, ease(data), recs=nothing)
    assert found.sentences.height == found.evidence.height == 0


def test_empty_lists_are_passed_over():
    data = toy()
    n = data.n_users
    recs = Recommendations(
        data.users.ids, data.items.ids, np.arange(n, dtype=np.int32), np.full((n, 2), -1, np.int32),
        np.full((n, 2), np.nan, np.float32), np.full(n, 3, np.int8),
    )  # fmt: skip
    assert explain(data, ease(data), recs=recs).sentences.height == 0


def test_strongest_keeps_the_best_for_and_the_worst_against():
    parts = csr_array(
        np.array([[3, 2, 1, -1.5], [3, 2, 1, -0.5], [1, 0, 0, -9], [0, 0, 0, 0], [-1, -2, 0, 0]], np.float32)
    )
    pair, item, _ = strongest(parts, 2)
    # Row 0: 1.5 against is less than 2; row 2: one for, one against; row 4: only against, the worst
    assert list(zip(pair.tolist(), item.tolist(), strict=True)) == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
        (2, 0),
        (2, 3),
        (4, 1),
    ]
    pair, item, _ = strongest(parts, 1)  # the first that speaks for it is never displaced
    assert list(zip(pair.tolist(), item.tolist(), strict=True)) == [(0, 0), (1, 0), (2, 0), (4, 1)]
    pair, item, _ = strongest(parts, 3)
    assert list(zip(pair.tolist(), item.tolist(), strict=True))[:3] == [(0, 0), (0, 1), (0, 3)]


def test_entries_are_found_and_absent_ones_are_zero():
    matrix = csr_array(np.array([[0, 2, 0], [3, 0, 4]], np.float32))
    rows, columns = np.array([0, 0, 1, 1, 1]), np.array([1, 2, 0, 1, 2], np.int32)
    assert at_entries(matrix, rows, columns).tolist() == [2, 0, 3, 0, 4]
    assert at_entries(csr_array((2, 3), dtype=np.float32), rows, columns).tolist() == [0] * 5
