"""`suggest-labels`: the posterior against one written out, the choice against chance, and what the command says."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from recprofile.labels import Posterior, choose, suggest
from recprofile.labels.posterior import MOST_DIM, NOISE, OWN
from recprofile.labels.suggest import unit_blocks
from recprofile.runs import Run
from recprofile.testing import RecipeBox


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def some(seed, n=30, d=5):
    rng = np.random.default_rng(seed)
    return unit(rng.normal(size=(n, d))), rng.poisson(3, n).astype(np.int64)


def covariance(vectors, events):
    """The posterior covariance of all items as textbooks have it: K − K (K + S)⁻¹ K over those with events."""
    rows = vectors.astype(np.float64) * np.sqrt(1 - OWN)
    prior = rows @ rows.T + np.diag(1 - (rows**2).sum(axis=1))
    seen = events > 0
    noise = np.diag(NOISE / events[seen])
    return prior - prior[:, seen] @ np.linalg.solve(prior[np.ix_(seen, seen)] + noise, prior[seen])


@pytest.mark.parametrize("seed", range(3))
def test_variances_and_gains_are_those_of_the_gaussian_written_out(seed):
    vectors, events = some(seed)
    vectors[3] = 0  # of this one vectors tell nothing
    found, by_hand = Posterior(vectors, events), covariance(vectors, events)
    np.testing.assert_allclose(found.variances(), np.diag(by_hand), atol=1e-5)
    for labels in (1, 7):
        gains = found.gains(labels)
        for item in range(len(events)):
            more = events.copy()
            more[item] += labels
            lowered = np.trace(by_hand) - np.trace(covariance(vectors, more))
            assert gains[item] == pytest.approx(lowered, abs=1e-4)


def test_labels_that_were_added_count_as_if_they_had_been_there():
    vectors, events = some(0)
    grown = Posterior(vectors, events)
    more = events.copy()
    for item in (4, 9, 4):
        grown.add(item, 5)
        more[item] += 5
    fresh = Posterior(vectors, more)
    np.testing.assert_allclose(grown.variances(), fresh.variances(), atol=1e-5)
    np.testing.assert_allclose(grown.gains(2), fresh.gains(2), atol=1e-5)


def test_an_item_without_events_has_a_variance_of_one_and_many_events_leave_none():
    vectors, _ = some(0)
    np.testing.assert_allclose(Posterior(vectors, np.zeros(30, np.int64)).variances(), 1, atol=1e-5)
    assert Posterior(vectors, np.full(30, 10**7)).variances().max() < 1e-4


def test_wide_vectors_are_narrowed_and_what_is_lost_counts_as_the_items_own():
    rng = np.random.default_rng(0)
    few = unit(rng.normal(size=(300, 6)) @ rng.normal(size=(6, 400)))  # six directions in four hundred columns
    events = rng.poisson(2, 300).astype(np.int64)
    found = Posterior(few, events)
    assert found.vectors.shape == (300, MOST_DIM)
    np.testing.assert_allclose(found.variances(), np.diag(covariance(few, events)), atol=1e-4)
    wide = Posterior(unit(rng.normal(size=(500, 400))), np.zeros(500, np.int64))
    assert (wide.own > OWN).all()
    np.testing.assert_allclose(wide.variances(), 1, atol=1e-5)


def test_what_is_chosen_is_little_known_unlike_and_speaks_for_many():
    # three groups of alike items: large, small, and a large one that is well known
    vectors = np.repeat(np.eye(3, dtype=np.float32), [20, 5, 20], axis=0)
    events = np.r_[np.zeros(25), np.full(20, 200)].astype(np.int64)
    first, second, *_ = choose(vectors, events, 4, labels=5)
    assert first.item < 20
    assert 20 <= second.item < 25 or second.item < 20
    groups = [0 if c.item < 20 else 1 if c.item < 25 else 2 for c in choose(vectors, events, 12, labels=5)]
    assert 1 in groups
    assert 2 not in groups
    assert (first.nearest, first.near) == (None, 0.0)
    shares = [c.share for c in choose(vectors, events, 12, labels=5)]
    assert shares == sorted(shares, reverse=True)


def test_no_items_one_item_and_more_than_there_are():
    nothing = np.zeros((0, 2), np.float32)
    assert choose(nothing, np.zeros(0, np.int64), 3, labels=1) == []
    one = choose(np.ones((1, 1), np.float32), np.zeros(1, np.int64), 3, labels=1)
    assert [c.item for c in one] == [0]
    without = choose(np.zeros((4, 0), np.float32), np.array([3, 0, 0, 9]), 9, labels=1)
    assert [c.item for c in without] == [
        1,
        2,
        0,
        3,
    ]  # without vectors: fewest events first, and of equal ones the first


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A run of 12 users and 30 items in three genres, six items of which nobody has taken, and one user of no event."""
    box = RecipeBox(tmp_path_factory.mktemp("labels"))
    rows = [(u, i) for u in range(12) for i in range(24) if (i % 3 == u % 3 and (u + i) % 4) or i < 2]
    box.write("log.csv", {"user": [f"u{u:02}" for u, _ in rows], "item": [f"i{i:02}" for _, i in rows]})
    kinds = ("red tea", "green herbs", "blue ink")
    titles = [f"{kinds[i % 3]} number{i}" for i in range(30)]
    box.write("goods.csv", {"id": [f"i{i:02}" for i in range(30)], "title": titles})
    box.write("people.csv", {"id": [f"u{u:02}" for u in range(12)] + ["nobody"]})
    data = "data: {interactions: log.csv, items: goods.csv, users: people.csv, split: {by: random, holdout: 0.2}}\n"
    stages = "- {encode: tfidf, id: plot, with: {columns: [title]}}\n- fuse: mean-history\n- recommend: dot\n"
    box.run(box.recipe(stages, data=data)).check()
    return box


def test_items_of_a_run_are_suggested_with_who_may_know_them(ran):
    run = Run.open(ran.folder / "out")
    found = suggest(run, "items", 6, ask=3)
    assert len({one.id for one in found}) == 6
    assert all(one.events < 4 and 0 < one.uncertainty <= 1 and one.label for one in found)
    assert {int(one.id[1:]) % 3 for one in found[:3]} == {0, 1, 2}  # one of each kind before a second of any
    profiles = run.profiles()
    history = profiles.rests_on().toarray() > 0
    for one in found:
        item = profiles.items.codes([one.id])[0]
        users = profiles.users.codes(list(one.ask))
        assert not history[users, item].any()
        scores = np.where(history[:, item], -np.inf, profiles.user_vectors @ profiles.item_vectors[item])
        np.testing.assert_allclose(scores[users], np.sort(scores[profiles.known])[:-4:-1], rtol=1e-5)
        assert "nobody" not in one.ask


def test_users_of_a_run_are_suggested_with_what_they_may_know(ran):
    run = Run.open(ran.folder / "out")
    found = suggest(run, "users", 13, ask=2)
    assert {one.id for one in found} == {*(f"u{u:02}" for u in range(12)), "nobody"}
    of_nobody = next(one for one in found if one.id == "nobody")
    assert (of_nobody.events, of_nobody.uncertainty) == (0, pytest.approx(1, abs=1e-5))
    assert set(of_nobody.ask) == {"i00", "i01"}  # nothing is known of them: what most people know
    history = run.profiles().rests_on().toarray() > 0
    for one in found:
        user, items = run.profiles().users.codes([one.id])[0], run.profiles().items.codes(list(one.ask))
        assert one.events == history[user].sum()
        assert not history[user, items].any()


def test_unit_blocks_count_the_same_and_are_zero_where_a_block_knows_nothing(ran):
    profiles = Run.open(ran.folder / "out").profiles()
    vectors = unit_blocks(profiles, "items")
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    gaps = np.arange(30) < 3
    filled = replace(profiles, blocks=(replace(profiles.blocks[0], filled=gaps),))
    assert not unit_blocks(filled, "items")[gaps].any()


def test_the_command_prints_a_table_and_json(ran):
    told = ran.invoke("suggest-labels", "out", "-n", "3").check().out
    assert told.splitlines()[0].split() == ["item", "events", "uncertain", "helps", "nearest", "above", "ask"]
    found = json.loads(
        ran.invoke("suggest-labels", "recipe.yaml", "--users", "-n", "2", "--ask", "1", "--json").check().out
    )
    assert (found["of"], found["labels"], len(found["suggested"])) == ("users", 1, 2)
    assert set(found["suggested"][0]) == {
        "id", "label", "events", "uncertainty", "helps", "nearest", "near", "ask",
    }  # fmt: skip
    assert found["suggested"][0]["nearest"] is None


def test_a_run_without_profiles_says_what_it_lacks(ran):
    box = RecipeBox(ran.folder.parent / "other")
    box.run(box.recipe("- recommend: popular")).check()
    failed = box.invoke("suggest-labels", "out").check(4)
    assert failed.codes == ["RP607"]
    assert "has no fuse stage" in failed.problems[0].help[0]
    assert box.invoke("suggest-labels", "nowhere").check(4).codes == ["RP607"]


class Planted:
    """Items in groups of unequal size; tastes follow content half and half; ratings are noisy, and unevenly spread."""

    def __init__(self, seed):
        n_items, n_users, dim, content, noise = 240, 150, 5, 16, 1.0
        rng = np.random.default_rng(seed)
        sizes = rng.dirichlet(np.full(12, 0.7))
        group = rng.choice(12, n_items, p=sizes)
        self.content = unit(rng.normal(size=(12, content))[group] + 0.35 * rng.normal(size=(n_items, content)))
        weights = rng.normal(size=(content, dim))
        own = rng.normal(size=(n_items, dim))
        self.users = rng.normal(size=(n_users, dim))
        self.truth = self.users @ (self.content @ weights + 0.7 * own).T
        known = rng.random(12) < 0.4  # some groups are known well, the others hardly
        self.events = np.where(known[group], rng.poisson(12, n_items), rng.poisson(0.6, n_items))
        pairs = [(u, i) for i in range(n_items) for u in rng.choice(n_users, self.events[i], replace=False)]
        self.pairs = np.array(pairs)
        self.ratings = self.truth[self.pairs[:, 0], self.pairs[:, 1]] + noise * rng.normal(size=len(pairs))
        # who would be asked, and what they would say: the same whichever method asks about an item
        self.asked = np.array([rng.choice(n_users, 5, replace=False) for _ in range(n_items)])
        self.said = np.take_along_axis(self.truth.T, self.asked, axis=1) + noise * rng.normal(size=(n_items, 5))

    def error(self, chosen):
        """RMSE over all pairs of a ridge on content × user, and on what is each item's own, with these labels added.

        It knows nothing of how labels were chosen: what it fits is Kronecker features, not the chooser's Gaussian.
        """
        more = np.column_stack([self.asked[chosen].ravel(), np.repeat(chosen, 5)])
        pairs = np.concatenate([self.pairs, more])
        ratings = np.concatenate([self.ratings, self.said[chosen].ravel()])
        features = np.einsum("nc,nd->ncd", self.content[pairs[:, 1]], self.users[pairs[:, 0]]).reshape(len(pairs), -1)
        ridge = 1.0 * np.eye(features.shape[1])
        shared = np.linalg.solve(features.T @ features + ridge, features.T @ ratings)
        dim = self.users.shape[1]
        tastes = self.content @ shared.reshape(-1, dim)
        left = ratings - features @ shared
        for item in np.unique(pairs[:, 1]):
            mine = pairs[:, 1] == item
            by = self.users[pairs[mine, 0]]
            tastes[item] += np.linalg.solve(by.T @ by + 2.0 * np.eye(dim), by.T @ left[mine])
        return float(np.sqrt(np.mean((self.users @ tastes.T - self.truth) ** 2)))


def test_labels_chosen_so_lower_the_error_more_than_those_of_random_little_known_items():
    """Paired over 30 worlds, in each against the mean of ten random draws among the items with fewer than 3 events.

    In these worlds 100 labels of random items lower the RMSE by .15 on average, and those of chosen ones by .18. What
    the chooser takes for noise was looked at on other worlds (seeds 100 to 139).
    """
    beyond, gains = [], []
    for seed in range(30):
        world = Planted(seed)
        chosen = np.array([c.item for c in choose(world.content, world.events, 20, labels=5)])
        little = np.flatnonzero(world.events < 3)
        random = [world.error(np.random.default_rng(n).choice(little, 20, replace=False)) for n in range(10)]
        gains.append(world.error(np.zeros(0, np.int64)) - np.mean(random))
        beyond.append(np.mean(random) - world.error(chosen))
    mean, error = np.mean(beyond), np.std(beyond, ddof=1) / np.sqrt(len(beyond))
    told = (
        f"random {np.mean(gains):.4f}, chosen {mean:+.4f} ± {error:.4f}, better in {np.mean(np.array(beyond) > 0):.0%}"
    )
    assert mean > 3 * error, told
    assert mean > 0.08 * np.mean(gains), told
