import numpy as np
import pytest

from recprofile.builtin.encode import Als, als_device, als_steps, als_sweep
from recprofile.builtin.encode.als import counted
from recprofile.builtin.fuse import Weighted
from recprofile.builtin.recommend.dot import DotRanker
from recprofile.plugin import DataError, Embeddings, Encoded, FoldIn, Profiles, RunError
from recprofile.testing import EncoderTests, checkerboard, context, dataset, toy


class TestAls(EncoderTests):
    component = Als
    examples = [{"dim": 3, "epochs": 2}, {"dim": 2, "epochs": 1, "positive_only": False, "weighted": True, "nu": 0.5}]


def encode(data, warned=None, seed=0, **params) -> Encoded:
    made = Als(Als.params_type.model_validate(params))
    return made.encode(data, context(seed=seed, warn=(warned if warned is not None else []).append))


def confidence(data, *, alpha, weighted=False):
    """c_ui - 1, dense."""
    return alpha * data.matrix("train", positive_only=True, binary=not weighted).toarray().astype(np.float64)


def regularisation(extra, *, l2, nu):
    """λ of users and of items: l2 · (sum of a row's confidences)^nu."""
    return l2 * (1 + extra).sum(axis=1) ** nu, l2 * (1 + extra).sum(axis=0) ** nu


def loss(encoded, extra, *, l2, nu):
    """What als minimises, written out over every pair."""
    x, y = encoded.users.vectors.astype(np.float64), encoded.items.vectors.astype(np.float64)
    of_users, of_items = regularisation(extra, l2=l2, nu=nu)
    misfit = ((1 + extra) * ((extra > 0) - x @ y.T) ** 2).sum()
    return misfit + (of_users * (x**2).sum(axis=1)).sum() + (of_items * (y**2).sum(axis=1)).sum()


def solved(extra, other, ridge):
    """The minimiser of the loss for each row of `extra`, the other side being fixed."""
    return np.stack(
        [
            np.linalg.solve((other.T * (1 + e)) @ other + r * np.eye(other.shape[1]), other.T @ ((1 + e) * (e > 0)))
            for e, r in zip(extra, ridge, strict=True)
        ]
    )


def clusters(seed=0):
    """40 users and 30 items in two groups, each user with 12 items of their own group and 3 of the other."""
    rng = np.random.default_rng(seed)
    events = []
    for user in range(40):
        own = rng.choice(15, 12, replace=False) * 2 + user % 2
        other = rng.choice(15, 3, replace=False) * 2 + 1 - user % 2
        events += [(user, int(item), float(rng.integers(1, 6))) for item in [*own, *other]]
    return dataset(events)


@pytest.mark.parametrize("nu", [0.0, 0.5, 1.0])
def test_every_sweep_lowers_the_loss(nu):
    data, settings = clusters(), {"l2": 0.5, "nu": nu}
    extra = confidence(data, alpha=4.0)
    got = [encode(data, dim=6, epochs=e, alpha=4.0, tolerance=0, **settings) for e in range(1, 6)]
    losses = [loss(one, extra, **settings) for one in got]
    assert (np.diff(losses) < 0).all()


def test_the_missing_item_of_a_checkerboard_comes_first():
    data = checkerboard(10)
    got = encode(data, dim=4, epochs=10, l2=0.01)
    scores = got.users.vectors @ got.items.vectors.T
    scores[data.seen().toarray() > 0] = -np.inf
    assert scores.argmax(axis=1).tolist() == list(range(10))


@pytest.mark.parametrize("weighted", [False, True])
def test_user_vectors_solve_the_normal_equations(weighted):
    data = clusters()
    got = encode(data, dim=5, epochs=3, alpha=2.0, l2=0.1, nu=0.7, weighted=weighted)
    extra = confidence(data, alpha=2.0, weighted=weighted)
    of_users, _ = regularisation(extra, l2=0.1, nu=0.7)
    y = got.items.vectors.astype(np.float64)
    right = ((1 + extra) * (extra > 0)) @ y
    left = np.einsum("ui,id,ie->ude", 1 + extra, y, y) + of_users[:, None, None] * np.eye(5)
    solved = np.einsum("ude,ue->ud", left, got.users.vectors.astype(np.float64))
    np.testing.assert_allclose(solved, right, atol=1e-4 * np.abs(right).max())


@pytest.mark.parametrize("way", ["solve", "improve"])
@pytest.mark.parametrize("weighted", [False, True])
def test_what_a_half_sweep_says_that_it_gains_is_what_the_loss_falls_by(weighted, way):
    data, p = clusters(), Als.params_type(dim=5, l2=0.1, weighted=weighted)
    matrix, y = counted(data, p), np.random.default_rng(1).normal(0, 0.1, (30, 8)).astype(np.float32)
    side, x = als_sweep.Side.of(matrix, p), np.zeros((40, 8), np.float32)
    gain = getattr(side, way)(x, als_sweep.Fixed.of(y), context().progress(40, "rows"))
    extra, settings = confidence(data, alpha=4.0, weighted=weighted), {"l2": 0.1, "nu": 1.0}
    ids = data.users.ids, data.items.ids
    at = [
        loss(Encoded(Embeddings("item", ids[1], y), Embeddings("user", ids[0], users)), extra, **settings)
        for users in (np.zeros_like(x), x)
    ]
    np.testing.assert_allclose(at[0] - at[1], gain, rtol=1e-4)


def test_sweeps_end_where_the_loss_hardly_falls():
    data, settings = clusters(), {"l2": 0.1, "nu": 1.0}
    extra = confidence(data, alpha=4.0)
    got = {e: encode(data, dim=6, epochs=e, tolerance=0, l2=0.1) for e in range(1, 16)}
    losses = {e: loss(one, extra, **settings) for e, one in got.items()}
    ended = encode(data, dim=6, tolerance=0.01, l2=0.1).items.vectors
    [sweeps] = [e for e, one in got.items() if np.array_equal(one.items.vectors, ended)]
    assert 2 < sweeps < 15
    assert losses[1] - losses[2] > 0.01 * losses[2]
    assert losses[sweeps] - losses[sweeps + 1] < 0.01 * losses[sweeps + 1]
    assert np.array_equal(encode(data, dim=6, tolerance=0.999, l2=0.1).items.vectors, got[2].items.vectors)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_loops_of_a_processor_and_the_batches_of_a_device_give_the_same(weighted):
    data = clusters()
    p = Als.params_type(dim=5, epochs=3, l2=0.1, weighted=weighted, tolerance=0)
    matrix, start = counted(data, p), np.random.default_rng(0).normal(0, 0.1, (30, 5)).astype(np.float32)
    users, items = als_device.factors_on(matrix, start, p, context(seed=0))
    loops = als_sweep.factors(matrix, p, context(seed=0))
    # Sweeps by steps end a little elsewhere than exact ones, users for given items do not.
    np.testing.assert_allclose(loops[0], users, atol=5e-3)
    np.testing.assert_allclose(loops[1], items, atol=5e-3)
    np.testing.assert_allclose(als_sweep.user_vectors(matrix, als_sweep.Fixed.of(items), p), users, atol=1e-5)
    np.testing.assert_allclose(als_device.user_vectors_on(matrix, items, p, "cpu"), users, atol=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_steps_from_where_rows_stand_lead_to_the_exact_solution(monkeypatch, weighted):
    # Rows of 1 to 13 entries; when no more than 4 fit, longer ones are solved at once.
    rng = np.random.default_rng(2)
    data = dataset([(u, int(i), float(rng.integers(1, 4))) for u in range(13) for i in rng.choice(20, u + 1, False)])
    p = Als.params_type(dim=8, l2=0.1, weighted=weighted)
    matrix = counted(data, p)
    other = als_sweep.Fixed.of(rng.normal(0, 0.3, (20, 8)).astype(np.float32))
    side, steps = als_sweep.Side.of(matrix, p), context().progress(10_000, "rows")
    exact, near, mixed = (np.zeros((13, 8), np.float32) for _ in range(3))
    gain = side.solve(exact, other, steps)
    gains = [side.improve(near, other, steps) for _ in range(6)]
    assert (np.diff(gains[:3]) > 0).all()
    np.testing.assert_allclose(gains[-1], gain, rtol=1e-5)
    np.testing.assert_allclose(near, exact, atol=1e-4)
    monkeypatch.setattr(als_steps, "MOST", 4)
    monkeypatch.setattr(als_sweep, "improve_rows", als_steps.improve_rows.py_func)  # as written, with another limit
    side.improve(mixed, other, steps)
    np.testing.assert_allclose(mixed[4:], exact[4:], atol=1e-6)
    assert np.abs(mixed[:4] - exact[:4]).max() > 1e-6
    for _ in range(5):
        side.improve(mixed, other, steps)
    np.testing.assert_allclose(mixed, exact, atol=1e-4)


def test_batches_and_pieces_of_long_rows_do_not_change_the_vectors(monkeypatch):
    p = Als.params_type(dim=4, epochs=2, l2=0.1)
    matrix, start = counted(clusters(), p), np.random.default_rng(0).normal(0, 0.1, (30, 4)).astype(np.float32)
    whole = als_device.factors_on(matrix, start, p, context())
    monkeypatch.setattr(als_device, "FLOATS", 16)  # one row at a time, four entries a piece
    pieces = als_device.factors_on(matrix, start, p, context())
    np.testing.assert_allclose(pieces[0], whole[0], atol=1e-5)
    np.testing.assert_allclose(pieces[1], whole[1], atol=1e-5)


def test_a_row_of_many_entries_is_summed_in_pieces():
    # 150 users like item 0: two pieces of 64 entries and one of 22, which is filled up to 24.
    rng = np.random.default_rng(0)
    data = dataset([(u, i) for u in range(150) for i in {0, int(rng.integers(1, 9))}])
    got = encode(data, dim=3, epochs=1, alpha=2.0, l2=0.1)
    extra = confidence(data, alpha=2.0)
    of_users, of_items = regularisation(extra, l2=0.1, nu=1.0)
    start = np.random.default_rng(0).normal(0, 0.1, (9, 3))
    x = solved(extra, start, of_users)
    y = solved(extra.T, x, of_items)
    np.testing.assert_allclose(got.items.vectors, y, atol=1e-4)


def test_users_and_items_without_a_positive_event_are_missing():
    got = encode(toy(), dim=3, epochs=2)
    # u6 and i6 have no event; all others have one that is positive
    assert got.users.missing.tolist() == [False] * 5 + [True]
    assert got.items.missing.tolist() == [False] * 5 + [True]
    assert not got.users.vectors[5].any()
    assert not got.items.vectors[5].any()


def test_another_seed_gives_another_start():
    assert not np.array_equal(encode(toy(), dim=3).items.vectors, encode(toy(), dim=3, seed=1).items.vectors)


def test_an_event_of_weight_zero_does_not_count_when_weighted():
    data = dataset([("u", "a", 1), ("u", "b", 0)])
    assert encode(data, dim=2, weighted=True).items.missing.tolist() == [False, True]
    assert encode(data, dim=2).items.missing.tolist() == [False, False]


def test_weights_that_cannot_be_confidences_are_refused():
    with pytest.raises(DataError, match="RP503 'als' with 'weighted' needs weights of 0 or more, and one is -2"):
        encode(dataset([("u", "a", -2)]), weighted=True)
    with pytest.raises(DataError, match="RP503 an event has no weight"):
        encode(dataset([("u", "a", float("nan"))]), weighted=True)


def test_weights_too_far_apart_for_float32_are_told():
    data = dataset([(u, i, 1e7 * (1 + (u + i) % 3)) for u in range(6) for i in range(6) if (u + i) % 2])
    with pytest.raises(RunError, match="RP601 the equations of 'als' have no solution in float32"):
        Als(Als.params_type(weighted=True, nu=0.0)).encode(data, context())


def test_no_event_gives_missing_vectors_and_a_warning():
    warned: list[str] = []
    got = encode(toy().keep(users=np.arange(6) == 5), warned, dim=3)
    assert got.users.missing.all()
    assert got.items.missing.all()
    assert not got.items.vectors.any()
    assert warned == ["als: no training event to learn from, so every vector is missing"]


def test_progress_ends_at_its_total():
    seen: list[tuple[int, int]] = []
    made = Als(Als.params_type.model_validate({"dim": 2, "epochs": 3}))
    made.encode(toy(), context(report=lambda done, total, unit: seen.append((done, total))))
    assert seen[-1][0] == seen[-1][1] > 0


def test_what_each_history_item_gives_adds_up_to_the_score():
    data = toy()
    als = Als(Als.params_type(dim=4, epochs=3, weighted=True, positive_only=False, nu=0.5))
    got = als.encode(data, context())
    users, items = (a.ravel().astype(np.int32) for a in np.meshgrid(range(6), range(6), indexing="ij"))
    parts = got.fold_in.parts(got.items.vectors, users, items)
    whole = (got.users.vectors @ got.items.vectors.T).ravel()
    np.testing.assert_allclose(parts.sum(axis=1), whole, atol=1e-5)
    # and only what is in a user's history gives anything
    assert set(parts[[2]].indices) == {0, 1, 3}


def test_a_part_is_the_solution_of_the_users_own_system():
    # Two items with y = 1 and 2 in one dimension; u likes both, c = 1 + 4 = 5, l2 2, nu 0: the gram is 5, and
    # A = 5 + 4 * 1 + 4 * 4 + 2 = 27. Item 0 gives item 1: 5 * 2 * 1 / 27, item 1 gives itself 5 * 2 * 2 / 27.
    from scipy.sparse import csr_array

    fold = FoldIn(csr_array(np.array([[5, 5]], np.float32)), alpha=4, l2=2, nu=0)
    parts = fold.parts(np.array([[1], [2]], np.float32), np.array([0], np.int32), np.array([1], np.int32))
    np.testing.assert_allclose(parts.toarray(), [[10 / 27, 20 / 27]], rtol=1e-6)


def test_evidence_of_a_fused_model_adds_up_to_its_block_whatever_its_weight():
    data = toy()
    taste = Als(Als.params_type(dim=3, epochs=3)).encode(data, context())
    plot = Embeddings("item", data.items.ids, np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32))
    encoded = {"taste": taste, "plot": Encoded(items=plot)}
    profiles = Weighted(Weighted.params_type(weights={"taste": 3, "plot": 0.5})).fuse(encoded, data, context())
    users, items = (a.ravel().astype(np.int32) for a in np.meshgrid(range(5), range(6), indexing="ij"))
    whole = (profiles.user_vectors[users] * profiles.item_vectors[items]).sum(axis=1)
    np.testing.assert_allclose(profiles.history_scores(users, items).sum(axis=1), whole, atol=1e-5)
    again = Profiles.unpack(profiles.pack())
    np.testing.assert_array_equal(
        again.history_scores(users, items).toarray(), profiles.history_scores(users, items).toarray()
    )
    assert not DotRanker(profiles).additive()
