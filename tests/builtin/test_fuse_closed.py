"""What fusers do with missing blocks, and the closed forms: `align`, `product` and `cca`."""

import numpy as np
import pytest

from recprofile.builtin.fuse import Align, Cca, Concat, MeanHistory, Product, Weighted
from recprofile.builtin.fuse.align import ridge_map
from recprofile.builtin.fuse.cca import common_maps
from recprofile.plugin import Embeddings, Encoded, RunError
from recprofile.testing import FuserTests, context, dataset, toy


class TestAlign(FuserTests):
    component = Align
    examples = [{}, {"l2": 1.0, "to": "taste", "weights": {"plot": 0.5}}, {"map": "mlp", "epochs": 5, "hidden": 4}]


class TestProduct(FuserTests):
    component = Product
    examples = [{}, {"components": 2, "weights": {"plot": 0.5, "taste": 0}}]


class TestCca(FuserTests):
    component = Cca
    examples = [{}, {"dim": 2, "l2": 0.1, "half_life_days": 30}]


def of_items(data, vectors, missing=()):
    mask = np.isin(np.arange(data.n_items), missing)
    rows = np.where(mask[:, None], 0, vectors)
    return Encoded(items=Embeddings("item", data.items.ids, rows.astype(np.float32), mask))


def of_users(data, vectors, missing=()):
    mask = np.isin(np.arange(data.n_users), missing)
    rows = np.where(mask[:, None], 0, vectors)
    return Encoded(users=Embeddings("user", data.users.ids, rows.astype(np.float32), mask))


def of_both(data, users, items, missing=(), missing_users=()):
    return Encoded(items=of_items(data, items, missing).items, users=of_users(data, users, missing_users).users)


def fuse(component, data, encoded, **params):
    notes, warnings = {}, []
    ctx = context(note=notes.__setitem__, warn=warnings.append)
    made = component(component.params_type.model_validate(params))
    return made.fuse(encoded, data, ctx), notes, warnings


def many(n_users=12, n_items=40, each=8):
    rng = np.random.default_rng(0)
    events = [(f"u{u:02}", f"i{i:02}") for u in range(n_users) for i in rng.permutation(n_items)[:each]]
    return dataset(
        events,
        items={"id": [f"i{i:02}" for i in range(n_items)]},
        users={"id": [f"u{u:02}" for u in range(n_users)]},
    )


@pytest.mark.parametrize("component", [Concat, MeanHistory, Weighted])
def test_a_user_without_a_block_has_the_others_at_its_weight(component):
    data, rng = many(), np.random.default_rng(1)
    model = of_both(data, rng.normal(size=(12, 3)), rng.normal(size=(40, 3)), missing_users=[0])
    got, notes, _ = fuse(component, data, {"plot": of_items(data, rng.normal(size=(40, 4))), "taste": model})
    assert got.block_weights[0].tolist() == [2, 0]
    assert got.block_weights[1].tolist() == [1, 1]
    assert notes["masked"] == {"taste": "1 users, 0 items"}


@pytest.mark.parametrize("component", [Concat, MeanHistory, Weighted])
def test_an_item_without_a_block_scores_there_as_the_mean_item_does(component):
    data, rng = many(), np.random.default_rng(1)
    model = of_both(data, rng.normal(size=(12, 3)), rng.normal(size=(40, 3)), missing=[5, 7])
    got, notes, _ = fuse(component, data, {"plot": of_items(data, rng.normal(size=(40, 4))), "taste": model})
    users, items = (a.ravel().astype(np.int32) for a in np.meshgrid(range(12), range(40), indexing="ij"))
    scores = got.block_scores(users, items)[:, 1].reshape(12, 40)
    known = ~np.isin(np.arange(40), [5, 7])
    np.testing.assert_allclose(scores[:, 5], scores[:, known].mean(axis=1), atol=1e-5)
    assert notes["masked"] == {"taste": "0 users, 2 items"}
    assert np.flatnonzero(got.blocks[1].filled).tolist() == [5, 7]
    assert got.block_weights is None


def test_where_nothing_is_missing_nothing_is_noted_and_no_one_has_weights_of_their_own():
    data, rng = many(), np.random.default_rng(1)
    got, notes, _ = fuse(Weighted, data, {"plot": of_items(data, rng.normal(size=(40, 4)))})
    assert notes == {}
    assert got.block_weights is None
    assert got.blocks[0].filled is None


def linear_world(noise=0.0):
    """A model's item vectors that are linear in content; items 30 to 39 have none."""
    data, rng = many(), np.random.default_rng(2)
    content = rng.normal(size=(40, 5))
    unit = content / np.linalg.norm(content, axis=1, keepdims=True)
    space = unit @ rng.normal(size=(5, 3)) + 1 + noise * rng.normal(size=(40, 3))
    cold = list(range(30, 40))
    taste = of_both(data, rng.normal(size=(12, 3)), space, missing=cold)
    return data, {"plot": of_items(data, content), "taste": taste}, space


def test_a_linear_map_finds_where_cold_items_would_lie():
    data, encoded, space = linear_world()
    got, notes, _ = fuse(Align, data, encoded, centre=False)
    block = got.blocks[1]
    placed = got.item_vectors[:, block.start : block.stop] / block.scale
    np.testing.assert_allclose(placed, space, atol=1e-2)
    assert notes["r² on items left out"] > 0.99
    assert notes["masked"] == {"taste": "0 users, 10 items"}
    assert np.flatnonzero(block.filled).tolist() == list(range(30, 40))
    # users and the items that the model knows are where it put them
    np.testing.assert_array_equal(
        got.user_vectors[:, 5:], fuse(Weighted, data, encoded, centre=False)[0].user_vectors[:, 5:]
    )


def test_a_net_finds_where_cold_items_would_lie():
    data, encoded, space = linear_world()
    got, notes, _ = fuse(Align, data, encoded, centre=False, map="mlp", epochs=2000, learning_rate=0.01)
    block = got.blocks[1]
    placed = got.item_vectors[30:, block.start : block.stop] / block.scale
    apart = ((placed - space[30:]) ** 2).sum() / ((space[30:] - space[:30].mean(axis=0)) ** 2).sum()
    assert apart < 0.3
    assert 0 < notes["epochs"] <= 2000


def test_leave_one_out_is_what_leaving_items_out_gives():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(15, 4)), rng.normal(size=(15, 2))
    _, l2, told = ridge_map(x, y, [0.7])
    error = whole = 0.0
    for row in range(15):
        others = np.arange(15) != row
        mean, target = x[others].mean(axis=0), y[others].mean(axis=0)
        a = x[others] - mean
        made = np.linalg.solve(a.T @ a + 0.7 * np.eye(4), a.T @ (y[others] - target))
        error += float(np.sum((y[row] - target - (x[row] - mean) @ made) ** 2))
        whole += float(np.sum((y[row] - target) ** 2))
    assert l2 == 0.7
    assert told == pytest.approx(1 - error / whole, rel=1e-6)


def test_the_ridge_with_the_least_leave_one_out_error_is_taken():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(15, 4)), rng.normal(size=(15, 2))
    _, l2, best = ridge_map(x, y)
    assert best == max(ridge_map(x, y, [each])[2] for each in (1e-3, 1.0, l2, 1e4))


def test_align_with_fewer_than_two_known_items_warns_and_is_weighted():
    data, rng = many(), np.random.default_rng(2)
    taste = of_both(data, rng.normal(size=(12, 3)), rng.normal(size=(40, 3)), missing=range(1, 40))
    encoded = {"plot": of_items(data, rng.normal(size=(40, 5))), "taste": taste}
    got, _, warnings = fuse(Align, data, encoded)
    assert len(warnings) == 1
    assert "nothing is aligned" in warnings[0]
    np.testing.assert_array_equal(got.item_vectors, fuse(Weighted, data, encoded)[0].item_vectors)


def test_align_made_again_places_new_items_by_the_same_map():
    data, encoded, _ = linear_world()
    got, *_ = fuse(Align, data, encoded)
    again = Align(Align.params_type()).again(got.learnt, encoded, data, context())
    np.testing.assert_allclose(again.item_vectors, got.item_vectors, atol=1e-6)


def test_align_refuses_what_it_cannot_align():
    data, encoded, _ = linear_world()
    with pytest.raises(RunError, match="RP404 'align' needs a stage of users and items, and one of items alone"):
        fuse(Align, data, {"plot": encoded["plot"]})
    with pytest.raises(RunError, match="RP404"):
        fuse(Align, data, {"taste": encoded["taste"]})
    with pytest.raises(RunError, match="RP601 'plot' in 'to' is not among the stages that give users and items"):
        fuse(Align, data, encoded, to="plot")
    with pytest.raises(RunError, match=r"RP601 'taste', 'more' give users and items: which one is 'to'\?"):
        fuse(Align, data, {**encoded, "more": encoded["taste"]})


def test_a_product_score_is_the_mean_over_history_of_products_of_similarities():
    data, rng = many(), np.random.default_rng(4)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    encoded = {"plot": of_items(data, x, missing=[3]), "look": of_items(data, y)}
    got, *_ = fuse(Product, data, encoded, weights={"plot": 0.5}, centre=False)
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (x, y)]
    near = [v @ v.T for v in unit]
    near[0][3] = near[0][:, 3] = 0
    alike = (1 + 0.5 * near[0]) * (1 + near[1]) - 1
    history = np.zeros((12, 40))
    history[data.train.user, data.train.item] = 1 / 8
    np.testing.assert_allclose(got.user_vectors @ got.item_vectors.T, history @ alike, atol=1e-5)
    assert [block.name for block in got.blocks] == [context().stage]
    assert got.dim == 4 * 3 - 1


def test_a_product_of_too_many_columns_is_refused():
    data, rng = many(), np.random.default_rng(4)
    encoded = {name: of_items(data, rng.normal(size=(40, 20))) for name in "abc"}
    with pytest.raises(RunError, match="RP601 3 blocks of 16 components make 4912 columns, over 4096"):
        fuse(Product, data, encoded, components=16)


@pytest.mark.parametrize("component", [Product, Cca])
def test_blocks_of_users_alone_are_left_out_of_mixtures(component):
    data, rng = many(), np.random.default_rng(4)
    age = of_users(data, rng.normal(size=(12, 2)))
    plot = of_items(data, rng.normal(size=(40, 3)))
    got, _, warnings = fuse(component, data, {"plot": plot, "age": age})
    assert ["'age' gives users alone, so it is left out" in line for line in warnings] == [True]
    alone, *_ = fuse(component, data, {"plot": plot})
    np.testing.assert_array_equal(got.user_vectors, alone.user_vectors)
    with pytest.raises(RunError, match="RP404"):
        fuse(component, data, {"age": age})


def test_cca_finds_what_two_blocks_have_in_common():
    rng = np.random.default_rng(5)
    common = rng.normal(size=(40, 1))
    one = np.concatenate([common, rng.normal(size=(40, 2))], axis=1) @ rng.normal(size=(3, 3))
    two = np.concatenate([common, rng.normal(size=(40, 2))], axis=1) @ rng.normal(size=(3, 3))
    sides = {name: (v.astype(np.float32), np.ones(40, bool)) for name, v in (("one", one), ("two", two))}
    learnt, agreement = common_maps(sides, dim=2, l2=1e-6)
    assert agreement[0] == pytest.approx(1, abs=1e-3)
    assert agreement[1] < 0.85
    for name, (x, _) in sides.items():
        found = (x - learnt[f"mean/{name}"]) @ learnt[f"map/{name}"][:, 0]
        assert abs(np.corrcoef(found, common[:, 0])[0, 1]) > 0.999


def test_cca_of_two_blocks_is_hotellings():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(50, 3))
    y = 0.6 * x @ rng.normal(size=(3, 3)) + rng.normal(size=(50, 3))
    sides = {name: (v.astype(np.float32), np.ones(50, bool)) for name, v in (("x", x), ("y", y))}
    _, agreement = common_maps(sides, dim=3, l2=1e-9)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    q, r = np.linalg.qr(x)[0], np.linalg.qr(y)[0]
    correlations = np.linalg.svd(q.T @ r, compute_uv=False)
    np.testing.assert_allclose(agreement, (1 + correlations) / 2, atol=1e-4)


def test_an_item_that_one_block_knows_lies_in_the_space_of_all():
    data, rng = many(), np.random.default_rng(7)
    hidden = rng.normal(size=(40, 2))
    encoded = {
        "plot": of_items(data, hidden @ rng.normal(size=(2, 4))),
        "taste": of_both(data, np.zeros((12, 3)), hidden @ rng.normal(size=(2, 3)), missing=[39]),
    }
    encoded["plot"].items.vectors[39] = encoded["plot"].items.vectors[0]  # the same content as a known one
    got, notes, _ = fuse(Cca, data, encoded, l2=1e-3, centre=False)
    cosine = float(got.item_vectors[39] @ got.item_vectors[0])
    assert cosine > 0.9
    assert "masked" not in notes


@pytest.mark.parametrize("component", [Align, Product, Cca])
def test_no_events_give_no_known_users(component):
    data = toy().keep(users=np.arange(6) == 5)
    rng = np.random.default_rng(0)
    encoded = {
        "plot": of_items(data, rng.normal(size=(6, 3))),
        "taste": of_both(data, np.zeros((1, 2)), np.zeros((6, 2)), range(6), [0]),
    }
    got, *_ = fuse(component, data, encoded)
    assert got.known.tolist() == [False]
    assert np.isfinite(got.item_vectors).all()


@pytest.mark.parametrize("component", [Product, Cca])
def test_constant_blocks_do_no_harm(component):
    data = many()
    got, *_ = fuse(component, data, {"plot": of_items(data, np.ones((40, 3)))})
    assert np.isfinite(got.user_vectors).all()
    assert np.isfinite(got.item_vectors).all()
