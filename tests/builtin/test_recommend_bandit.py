import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from recprofile.artifacts import load_pack, save_pack
from recprofile.builtin.recommend import Bandit, Ease, ItemKnn
from recprofile.builtin.recommend.bandit import features_of, normal_numbers, rewards
from recprofile.builtin.recommend.bandit_posterior import Posterior, shared_prior
from recprofile.plugin import DataError, Inputs, RunError
from recprofile.testing import RecommenderTests, context, dataset, fused, toy


def fit(component, data, **params):
    return component(component.params_type(**params)).fit(data, Inputs(), context())


def two_rankers(data):
    return Inputs(rankers={"ease": fit(Ease, data, l2=1.0), "knn": fit(ItemKnn, data, shrink=0.0)})


class TestBanditOverRankers(RecommenderTests):
    component = Bandit
    examples = [{}, {"policy": "ucb", "negatives": 0}, {"reward": "weight", "exploration": 0.0, "prior": 2.0}]

    def inputs(self, data):
        return two_rankers(data)


class TestBanditOverBlocks(RecommenderTests):
    component = Bandit
    examples = [{"arms": "blocks"}, {"arms": "blocks", "policy": "ucb"}]


def bandit(data, *, seed=0, inputs=two_rankers, notes=None, **params):
    told = {} if notes is None else notes
    ctx = context(seed=seed, refit=inputs, note=told.__setitem__)
    return Bandit(Bandit.params_type(**params)).fit(data, inputs(data), ctx)


EVERYONE = np.arange(6, dtype=np.int32)

# --- the posterior


def test_a_posterior_is_the_ridge_regression_of_rewards_on_features():
    rng = np.random.default_rng(0)
    x, r = rng.normal(size=(20, 3)), rng.normal(size=20)
    start = Posterior.prior(np.array([1.0, 0, 0]), 2 * np.eye(3), noise=0.5, users=2)
    moved = start.moved(np.zeros(20, np.int32), x, r)
    a = 2 * np.eye(3) + x.T @ x
    assert_allclose(moved.mean()[0], np.linalg.solve(a, 2 * np.array([1, 0, 0]) + x.T @ r))
    assert_allclose(moved.covariance()[0], 0.25 * np.linalg.inv(a))
    # The other user has seen nothing, and what was there before is as it was.
    assert_allclose(moved.mean()[1], [1, 0, 0])
    assert_allclose(start.mean()[0], [1, 0, 0])


def test_rewards_in_two_parts_equal_all_at_once():
    rng = np.random.default_rng(1)
    user, x, r = rng.integers(0, 3, 30).astype(np.int32), rng.normal(size=(30, 2)), rng.normal(size=30)
    start = Posterior.prior(np.zeros(2), np.eye(2), noise=1.0, users=3)
    whole = start.moved(user, x, r)
    parts = start.moved(user[17:], x[17:], r[17:]).moved(user[:17], x[:17], r[:17])
    assert_allclose(parts.mean(), whole.mean())
    assert_allclose(parts.covariance(), whole.covariance())


def test_draws_have_the_posteriors_mean_and_covariance():
    precision = np.array([[4.0, 1.0], [1.0, 2.0]])
    one = Posterior.prior(np.array([1.0, -1.0]), precision, noise=2.0, users=1)
    many = one.take(np.zeros(40_000, np.int32))
    drawn = many.draw(np.random.default_rng(0).standard_normal((40_000, 2)))
    assert_allclose(drawn.mean(axis=0), [1, -1], atol=0.03)
    assert_allclose(np.cov(drawn.T), 4 * np.linalg.inv(precision), atol=0.05)
    assert_allclose(one.draw(np.zeros((1, 2))), [[1, -1]])


def test_the_shared_belief_is_that_of_all_rewards_at_the_given_strength():
    x = np.array([[1.0, 1], [2, 1], [3, 1], [4, 1]])
    r = 0.5 * x[:, 0] + 1
    shared = shared_prior(x, r, strength=10.0)
    gram = x.T @ x + np.eye(2)
    assert_allclose(shared.mean()[0], np.linalg.solve(gram, x.T @ r))
    assert_allclose(shared.precision[0], gram * 10 / 5)


# --- regret, simulated: arms of known worth


ROUNDS = 800
WORTH = np.array([0.3, 0.35, 0.4, 0.45, 0.5, 0.7])


def simulated(policy, *, users=60, seed=0):
    """Cumulative regret by round, mean over users who each face the same six arms and begin knowing nothing."""
    rng = np.random.default_rng(seed)
    k = len(WORTH)
    belief = Posterior.prior(np.zeros(k), np.eye(k), noise=0.5, users=users)
    everyone, regret = np.arange(users, dtype=np.int32), np.zeros(ROUNDS)
    for round in range(ROUNDS):
        mean = belief.mean()
        if policy == "thompson":
            value = belief.draw(rng.standard_normal((users, k)))
        elif policy == "ucb":
            value = mean + 2 * np.sqrt(np.diagonal(belief.covariance(), axis1=1, axis2=2))
        else:
            value = mean + 1e-9 * rng.random((users, k))
        arm = value.argmax(axis=1)
        if policy == "epsilon":
            arm = np.where(rng.random(users) < 0.1, rng.integers(0, k, users), arm)
        reward = (rng.random(users) < WORTH[arm]).astype(np.float64)
        belief = belief.moved(everyone, np.eye(k)[arm], reward)
        regret[round] = (WORTH.max() - WORTH[arm]).mean()
    return np.cumsum(regret)


@pytest.fixture(scope="module")
def regrets():
    return {policy: simulated(policy) for policy in ("thompson", "ucb", "greedy", "epsilon")}


@pytest.mark.parametrize("policy", ["thompson", "ucb"])
def test_regret_grows_ever_more_slowly(regrets, policy):
    found = regrets[policy]
    quarters = np.diff(np.concatenate([[0], found[ROUNDS // 4 - 1 :: ROUNDS // 4]]))
    assert (np.diff(quarters) < 0).all()
    assert quarters[-1] < 0.3 * quarters[0]
    assert found[-1] < 1.4 * found[ROUNDS // 2 - 1]  # linear regret would double


@pytest.mark.parametrize("policy", ["thompson", "ucb"])
@pytest.mark.parametrize("other", ["greedy", "epsilon"])
def test_exploring_by_what_is_unknown_beats_greedy_and_epsilon_greedy(regrets, policy, other):
    assert regrets[policy][-1] < 0.8 * regrets[other][-1]


# --- the component


def test_a_list_is_the_same_for_the_same_seed_and_another_for_another():
    data = toy()
    first, again, other = (bandit(data, seed=seed, exploration=3.0).scores(EVERYONE) for seed in (1, 1, 2))
    assert_array_equal(first, again)
    assert (first != other).any()
    ucb = [bandit(data, seed=seed, policy="ucb", negatives=0).scores(EVERYONE) for seed in (1, 2)]
    assert_array_equal(*ucb)


def test_without_exploration_both_policies_rank_by_the_expected_reward():
    data = toy()
    found = [bandit(data, policy=policy, exploration=0.0) for policy in ("thompson", "ucb")]
    assert_allclose(found[0].scores(EVERYONE), found[1].scores(EVERYONE), atol=1e-6)
    ranker = found[0]
    users, items = np.array([0, 1, 3], np.int32), np.array([2, 3, 1], np.int32)
    x = features_of(data, ranker.arms, users, items)
    want = (ranker.posterior.mean()[users, :2] * x[:, :2]).sum(axis=1)
    assert_allclose(ranker.scores(users)[np.arange(3), items], want, atol=1e-6)


def test_ucb_adds_the_width_of_what_is_believed():
    data = toy()
    greedy, bold = (bandit(data, policy="ucb", exploration=e) for e in (0.0, 2.0))
    users, items = np.array([0, 4], np.int32), np.array([2, 3], np.int32)
    x, cov = features_of(data, bold.arms, users, items), bold.posterior.covariance()[users]
    width = np.sqrt([row @ c @ row for row, c in zip(x, cov, strict=True)])
    found = [ranker.scores(users)[np.arange(2), items] for ranker in (greedy, bold)]
    assert_allclose(found[1] - found[0], 2 * width, rtol=1e-4)


def test_a_user_with_rewards_of_their_own_moves_away_from_the_shared_belief():
    data = toy()
    ranker = bandit(data, prior=1.0)
    mean, shared = ranker.posterior.mean(), ranker.shared.mean()[0]
    # u1, u2 and u3 have held events; u4, u5 and u6 none.
    assert not np.isclose(mean[:3], shared).all(axis=1).any()
    assert_allclose(mean[3:], np.tile(shared, (3, 1)))


def test_later_rewards_move_the_posterior_and_survive_the_disk(tmp_path):
    data = toy()
    ranker = bandit(data)
    users, items = np.array([3, 3, 0], np.int32), np.array([0, 1, 2], np.int32)
    later = ranker.after(users, items, np.array([1, 0, 1], np.float32))
    x = features_of(data, ranker.arms, users, items)
    want = ranker.posterior.moved(users, x, np.array([1.0, 0, 1]))
    assert_allclose(later.posterior.mean(), want.mean())
    assert (later.scores(EVERYONE)[3] != ranker.scores(EVERYONE)[3]).any()
    assert_array_equal(later.scores(EVERYONE)[1], ranker.scores(EVERYONE)[1])
    save_pack(later.pack(), tmp_path)
    again = Bandit(Bandit.params_type()).restore(load_pack(tmp_path), data, two_rankers(data), context())
    assert_array_equal(again.posterior.precision, later.posterior.precision)
    assert_array_equal(again.posterior.moment, later.posterior.moment)
    assert_array_equal(again.scores(EVERYONE), later.scores(EVERYONE))


def test_the_arm_that_rewards_bear_out_weighs_most():
    rng = np.random.default_rng(0)
    taste = rng.normal(size=(60, 40)).astype(np.float32)
    noise = rng.normal(size=(60, 40)).astype(np.float32)
    events, valid = [], []
    for u in range(60):
        for i in np.argsort(-taste[u])[:8]:
            if rng.random() < 0.5:
                valid.append(len(events))
            events.append((f"u{u:02}", f"i{i:02}"))
    data = dataset(events, valid=valid, items={"id": [f"i{i:02}" for i in range(40)]})
    profiles = fused(data, np.eye(40, dtype=np.float32))
    tables = {"right": taste, "wrong": noise}

    def arms(_):
        # A ranker of one block whose users' vectors are the scores themselves.
        from recprofile.builtin.recommend.bandit import BlockRanker

        return Inputs(profiles, rankers={n: BlockRanker(t, np.eye(40, dtype=np.float32)) for n, t in tables.items()})

    notes = {}
    ranker = bandit(data, inputs=arms, notes=notes)
    right, wrong, _ = ranker.posterior.mean().mean(axis=0)
    assert right > 10 * abs(wrong)
    assert notes["expected weights"]["right"] > 10 * abs(notes["expected weights"]["wrong"])
    assert notes["rewards"] > len(valid)


def test_blocks_of_the_profile_are_arms():
    data = toy()
    inputs = lambda d: Inputs(profiles=fused(d))  # noqa: E731
    ranker = bandit(data, inputs=inputs, arms="blocks", exploration=0.0)
    assert list(ranker.arms) == ["plot"]
    profiles = fused(data)
    assert_allclose(ranker.arms["plot"].scores(EVERYONE), profiles.user_vectors @ profiles.item_vectors.T)


def test_the_parts_of_a_score_and_what_exploration_adds_sum_to_it():
    data = toy()
    users, items = np.array([0, 1, 5], np.int32), np.array([2, 3, 0], np.int32)
    for policy in ("thompson", "ucb"):
        ranker = bandit(data, policy=policy)
        parts = ranker.block_evidence(users, items)
        assert list(parts) == ["ease", "knn", "exploration"]
        assert_allclose(np.sum(list(parts.values()), axis=0), ranker.scores(users)[np.arange(3), items], atol=1e-6)
    greedy = bandit(data, exploration=0.0).block_evidence(users, items)
    assert_allclose(greedy["exploration"], 0, atol=1e-6)


def test_rewards_are_held_events_and_items_passed_over():
    data = toy().for_tuning()
    users, items, worth = rewards(data, kind="positive", negatives=0, rng=np.random.default_rng(0))
    # u1 gave i4 a 1, u2 i3 a 4, u3 i5 a 4.
    assert list(zip(users.tolist(), items.tolist(), worth.tolist(), strict=True)) == [(0, 3, 0), (1, 2, 1), (2, 4, 1)]
    _, _, weighed = rewards(data, kind="weight", negatives=0, rng=np.random.default_rng(0))
    assert weighed.tolist() == [1, 4, 4]
    users, items, worth = rewards(data, kind="positive", negatives=50, rng=np.random.default_rng(0))
    had = (data.matrix("train") + data.matrix("test")).toarray() > 0
    assert len(users) > 3
    assert not had[users[3:], items[3:]].any()
    assert set(worth[3:].tolist()) == {0}


def test_normal_numbers_hang_on_the_id_alone():
    ids = pl.Series([f"u{n}" for n in range(20_000)])
    found = normal_numbers(ids, 2, seed=5)
    assert_array_equal(normal_numbers(ids[7:8], 2, seed=5), found[7:8])
    assert_allclose(found.mean(axis=0), 0, atol=0.03)
    assert_allclose(np.cov(found.T), np.eye(2), atol=0.04)
    assert (normal_numbers(ids, 2, seed=6) != found).any()


def test_new_people_are_ranked_by_the_shared_belief():
    data = toy()
    ranker = bandit(data, exploration=0.0)
    shared = ranker.shared.mean()[0]
    x = features_of(data, ranker.arms, np.array([1], np.int32), np.array([3], np.int32))[0]
    assert ranker.scores_of(data)[1, 3] == pytest.approx(shared[:2] @ x[:2], abs=1e-6)


def test_a_bandit_without_arms_or_validation_events_is_refused():
    data = toy()
    with pytest.raises(RunError, match="RP404 'bandit' has no arms"):
        bandit(data, inputs=lambda _: Inputs())
    with pytest.raises(RunError, match="RP404 'bandit' has no arms"):
        bandit(data, inputs=lambda _: Inputs(), arms="blocks")
    blind = data.revise(valid=data.valid.take(np.zeros(len(data.valid), np.bool_)))
    with pytest.raises(DataError, match="RP507 the split left no validation events to judge arms by"):
        bandit(blind)
