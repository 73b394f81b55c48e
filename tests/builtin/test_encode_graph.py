"""`graph`: the kit, its arithmetic against what is written out by hand, and its edges."""

import itertools
import math

import numpy as np
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from recprofile.builtin.encode import Graph, GraphParams
from recprofile.builtin.encode.graph_learner import GraphLearner
from recprofile.builtin.encode.graph_models import MODELS
from recprofile.builtin.encode.graph_ranks import Questions, Rank, by_frequency
from recprofile.builtin.encode.graph_triples import Triples
from recprofile.plugin import DataError, RunError
from recprofile.testing import EncoderTests, context, dataset, toy

FILMS = [
    ("i1", "genre", "scifi"), ("i2", "genre", "scifi"), ("i3", "genre", "scifi"), ("i4", "genre", "drama"),
    ("i5", "genre", "drama"), ("i1", "by", "ada"), ("i2", "by", "ada"), ("i4", "by", "bo"), ("i5", "by", "bo"),
    ("ada", "of", "i1"), ("ada", "of", "i2"), ("bo", "of", "i4"), ("bo", "of", "i5"),
]  # fmt: skip
SMALL = {"triples": "graph.parquet", "dim": 4, "max_epochs": 3}
COLUMNS = ["head", "relation", "tail"]


def frame(rows):
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame(FILMS).write_parquet("graph.parquet")
    pl.DataFrame({"item": ["i1", "i3"], "entity": ["ada", "bo"]}).write_csv("links.csv")
    return tmp_path


class TestGraph(EncoderTests):
    component = Graph
    examples = [
        SMALL,
        SMALL | {"model": "distmult", "hold": 0, "links": "links.csv"},
        SMALL | {"model": "complex", "adversarial": 0, "hold": 0.3},
        SMALL | {"model": "rotate", "negatives": 3, "batch": 2},
    ]

    @pytest.fixture(autouse=True)
    def files(self, folder):
        pass


def encode(data=None, *, told=None, noted=None, seed=0, store=None, **params):
    made = Graph(GraphParams.model_validate({"triples": "graph.parquet", **params}))
    warn, note = ([] if told is None else told).append, ({} if noted is None else noted).__setitem__
    return made.encode(data or toy(), context(warn=warn, note=note, seed=seed, store=store))


def small(rows=FILMS):
    return Triples.of(frame(rows))


# the models


def written_out(model, h, r, t):
    """A statement's score, number by number."""
    n = len(h) // 2
    if model in ("complex", "rotate"):
        ch, ct = [[complex(x[k], x[n + k]) for k in range(n)] for x in (h, t)]
    if model == "complex":
        cr = [complex(r[k], r[n + k]) for k in range(n)]
        return sum((a * b * c.conjugate()).real for a, b, c in zip(ch, cr, ct, strict=True))
    if model == "rotate":
        turned = [a * complex(math.cos(x), math.sin(x)) for a, x in zip(ch, r, strict=True)]
        return -math.sqrt(sum(abs(a - b) ** 2 for a, b in zip(turned, ct, strict=True)))
    if model == "distmult":
        return sum(a * b * c for a, b, c in zip(h, r, t, strict=True))
    return -math.sqrt(sum((a + b - c) ** 2 for a, b, c in zip(h, r, t, strict=True)))


@pytest.mark.parametrize("name", MODELS)
def test_scores_from_either_end_are_the_formula(name):
    model, rng = MODELS[name], np.random.default_rng(0)
    h, t = (torch.from_numpy(rng.normal(size=(3, 6))) for _ in range(2))
    r = torch.from_numpy(rng.normal(size=(3, 3 if model.halves else 6)))
    for led, other in ((model.ahead(h, r), t), (model.back(t, r), h)):
        right = [written_out(name, *(x[k].tolist() for x in (h, r, t))) for k in range(3)]
        assert_allclose(model.pairs(led, other).numpy(), right, atol=1e-5)
        assert_allclose(model.against(led, other).diagonal().numpy(), right, atol=1e-5)
    every = model.against(model.ahead(h, r), t).numpy()
    for a, b in itertools.product(range(3), repeat=2):
        assert_allclose(every[a, b], written_out(name, h[a].tolist(), r[a].tolist(), t[b].tolist()), atol=1e-5)


def test_the_loss_is_the_formula():
    params = GraphParams(triples="graph.parquet", dim=4, margin=2, adversarial=0.5, l2=0.1)
    learner, rng = GraphLearner(small(), params, seed=0, device="cpu"), np.random.default_rng(1)
    h, r, t, others = (rng.normal(size=(n, 4)) for n in (3, 3, 3, 5))

    def log_sigmoid(x):
        return -math.log1p(math.exp(-x))

    total = 0.1 * float((h**2).sum() + (r**2).sum() + (t**2).sum())
    for n in range(3):
        right = written_out("transe", h[n], r[n], t[n])
        for drawn in (
            [written_out("transe", h[n], r[n], other) for other in others],
            [written_out("transe", other, r[n], t[n]) for other in others],
        ):
            weight = np.exp(0.5 * np.array(drawn))
            weight /= weight.sum()
            wrong = sum(w * log_sigmoid(-2 - s) for w, s in zip(weight, drawn, strict=True))
            total -= (log_sigmoid(2 + right) + wrong) / 2
    assert_allclose(float(learner.loss(*map(torch.from_numpy, (h, r, t, others)))), total / 3, rtol=1e-5)


def test_a_step_is_adagrad_on_the_vectors_of_its_own_entities():
    params = GraphParams(triples="graph.parquet", dim=4, negatives=1, batch=1, learning_rate=0.5)
    triples = small([("a", "r", "b"), ("c", "r", "d")])
    learner = GraphLearner(triples.take(np.array([True, False])), params, seed=3, device="cpu")
    before = {name: array.copy() for name, array in learner.state().items()}
    learner.epoch(1)
    after = learner.state()
    moved = np.abs(after["entity"] - before["entity"])
    touched = moved.any(axis=1)
    assert touched[:2].all()
    assert touched.sum() <= 3  # and the one drawn, if it is another
    # the first step of Adagrad is the learning rate, whatever the gradient is
    assert_allclose(moved[touched], 0.5, atol=1e-3)


# what is held out, and its ranks


def test_what_is_held_out_are_whole_pairs_that_the_rest_knows_of():
    rng = np.random.default_rng(0)
    rows = {(f"e{a}", f"r{(a + b) % 3}", f"e{b}") for a, b in rng.integers(0, 40, (300, 2))}
    rows |= {(t, "inverse", h) for h, _, t in rows}
    triples = small(sorted(rows))
    held = triples.held(0.2, np.random.default_rng(1))
    assert 0 < held.sum() < len(triples) / 3
    pairs = [frozenset(pair) for pair in zip(triples.head.tolist(), triples.tail.tolist(), strict=True)]
    out = {pair for pair, one in zip(pairs, held, strict=True) if one}
    assert out.isdisjoint(pair for pair, one in zip(pairs, held, strict=True) if not one)
    rest = triples.take(~held)
    assert set(triples.take(held).head) <= {*rest.head, *rest.tail}
    assert set(triples.take(held).relation) <= set(rest.relation)


def test_entities_that_stand_in_one_pair_are_never_held_out():
    assert not small([("a", "r", "b"), ("c", "r", "d")]).held(0.49, np.random.default_rng(0)).any()


def ranks_by_hand(held, known, scores, *, tails):
    """Filtered ranks, statement by statement."""
    true = set(zip(known.head.tolist(), known.relation.tolist(), known.tail.tolist(), strict=True))
    out = []
    for h, r, t in zip(held.head.tolist(), held.relation.tolist(), held.tail.tolist(), strict=True):
        given, answer = (h, t) if tails else (t, h)
        row = scores[given, r]
        rank = 1.0
        for e in range(len(known.entities)):
            statement = (h, r, e) if tails else (e, r, t)
            if e != answer and statement not in true:
                rank += 1 if row[e] > row[answer] else 0.5 if row[e] == row[answer] else 0
        out.append(rank)
    return out


@pytest.mark.parametrize("tails", [True, False])
@pytest.mark.parametrize("entries", [10, 2**23])
def test_ranks_are_filtered_and_ties_count_half(tails, entries, monkeypatch):
    monkeypatch.setattr("recprofile.builtin.encode.graph_ranks.ENTRIES", entries)
    triples, rng = small(), np.random.default_rng(0)
    held = triples.take(rng.random(len(triples)) < 0.5)
    scores = rng.integers(0, 4, (len(triples.entities), len(triples.relations), len(triples.entities)))
    questions = Questions.about(held, triples, tails=tails)
    given = torch.from_numpy(scores.astype(np.float32))
    got = questions.ranks(lambda e, r: given[e, r].clone(), len(triples.entities), "cpu")
    assert got.tolist() == ranks_by_hand(held, triples, scores, tails=tails)


def test_the_guess_is_by_how_often_an_entity_stands_at_that_end():
    rows = [("x", "r", "a"), ("y", "r", "a"), ("z", "r", "a"), ("x", "r", "b"), ("y", "r", "b"), ("c", "q", "x")]
    everything = small([*rows, ("z", "r", "b")])
    last = (everything.head == everything.head.max()) & (everything.tail == everything.entities.to_list().index("b"))
    asked, training = everything.take(last), everything.take(~last)
    sides = (Questions.about(asked, everything, tails=True), Questions.about(asked, everything, tails=False))
    # tails of r: a 3 times, which is known of z and left out, b 2 times: first. Heads: x, y known; z 1 time: first.
    assert by_frequency(asked, training, sides) == Rank(1.0, 1.0)


def test_no_answers_have_no_rank():
    assert Rank.of(np.zeros(0)) == Rank(0.0, 0.0)
    assert Rank.of(np.array([1.0, 4.0, 20.0, 2.0])) == Rank(np.mean([1, 0.25, 0.05, 0.5]), 0.75)


# what it learns


def family(n=60, groups=6):
    """Entities in groups, each with the group's parent, place and colour; and a chain among the groups."""
    rows = []
    for e in range(n):
        g = e % groups
        rows += [(f"e{e}", "parent", f"p{g}"), (f"e{e}", "place", f"q{g}"), (f"e{e}", "colour", f"c{g % 3}")]
    return rows + [(f"p{g}", "next", f"p{(g + 1) % groups}") for g in range(groups)]


@pytest.mark.parametrize("model", MODELS)
def test_held_out_statements_are_foretold_better_than_by_frequency(model, folder):
    frame(family()).write_parquet("graph.parquet")
    noted = {}
    data = dataset([("u", f"e{e}") for e in range(60)])
    got = encode(data, noted=noted, model=model, dim=16, batch=32, hold=0.1, max_epochs=60, negatives=20, margin=3)
    held = noted["held out"]
    assert (noted["triples"], noted["entities"], noted["relations"]) == (186, 75, 4)
    assert held["mrr"] > 1.3 * held["mrr by frequency"]
    # entities of one group lie closer to each other than to the others
    group = np.array([int(name[1:]) % 6 for name in data.items.ids.ids])
    unit = got.vectors / np.linalg.norm(got.vectors, axis=1, keepdims=True)
    close, same = unit @ unit.T, group[:, None] == group
    assert close[same].mean() > close[~same].mean() + 0.2


def test_the_same_seed_gives_the_same_vectors_and_another_seed_others(folder):
    one, again, other = (encode(**SMALL, seed=seed).vectors for seed in (0, 0, 1))
    assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-3


def test_events_have_no_part_in_the_vectors(folder):
    data = toy()
    others = dataset([("u", f"i{n}") for n in range(1, 7)])
    assert_array_equal(encode(data, **SMALL).vectors, encode(others, **SMALL).vectors)


# files, links and edges


def test_csv_tsv_and_parquet_with_other_columns_give_the_same(folder):
    other = frame(FILMS).rename({"head": "a", "relation": "b", "tail": "c"})
    other.write_csv("graph.csv")
    other.write_csv("graph.tsv", separator="\t")
    want = encode(**SMALL).vectors
    for name in ("graph.csv", "graph.tsv"):
        got = encode(**SMALL | {"triples": name, "head": "a", "relation": "b", "tail": "c"})
        assert_array_equal(got.vectors, want)


def test_links_and_columns_say_which_entity_an_item_is_and_several_have_their_mean(folder):
    every = encode(**SMALL)
    assert every.missing.tolist() == [False] * 5 + [True]
    told = []
    data = toy()
    data = data.revise(items=data.items.with_columns(pl.Series("of", ["i2", "i1", None, "nobody", "i4", None])))
    got = encode(data, told=told, **SMALL, entity="of")
    assert_array_equal(got.vectors[[0, 1, 4]], every.vectors[[1, 0, 3]])
    assert told == ["graph: 3 of 6 items are no entity of the graph, and have no vector"]
    rows = {"item": ["i1", "i1", "i6", "i1", "who"], "entity": ["i2", "i4", "i5", "i2", "i1"]}
    pl.DataFrame(rows).write_parquet("links.parquet")
    got = encode(**SMALL, links="links.parquet")
    assert_allclose(got.vectors[0], (every.vectors[1] + every.vectors[3]) / 2, rtol=1e-6)
    assert_array_equal(got.vectors[5], every.vectors[4])


def test_gaps_and_repeats_are_left_out_and_counted(folder):
    want = encode(**SMALL).vectors
    frame([*FILMS, FILMS[0], ("i1", None, "x"), ("", "by", "ada")]).write_parquet("graph.parquet")
    told = []
    assert_array_equal(encode(told=told, **SMALL).vectors, want)
    assert told[0] == "graph: of 16 triples 2 have a gap and 1 are repeated: left out"


def test_whole_numbers_as_ids_match_whatever_their_type(folder):
    rows = [(n, "genre", f"g{n % 2}") for n in range(6)]
    frame(rows).with_columns(pl.col("head").cast(pl.Float64)).write_parquet("graph.parquet")
    assert not encode(dataset([("u", n) for n in range(6)]), **SMALL).missing.any()


def test_what_is_wrong_with_the_files_is_said(folder):
    frame([]).write_parquet("empty.parquet")
    frame([("a", None, "b")]).write_csv("gaps.csv")
    frame([("a", "r", "b")]).write_csv("others.csv")
    (folder / "broken.parquet").write_bytes(b"no parquet")
    for code, params in {
        "RP501": {"triples": "broken.parquet"},
        "RP502": {"head": "haed"},
        "RP504": {"triples": "empty.parquet"},
        "RP506": {"triples": "others.csv"},
    }.items():
        with pytest.raises(DataError) as found:
            encode(**SMALL | params)
        assert found.value.problems[0].code == code
    with pytest.raises(DataError, match="no triple without a gap"):
        encode(**SMALL | {"triples": "gaps.csv"})


@pytest.mark.parametrize("wrong", [{"dim": 5, "model": "rotate"}, {"links": "l.csv", "entity": "of"}])
def test_parameters_that_do_not_fit_together_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must be even|both say"):
        GraphParams.model_validate({"triples": "g.parquet", **wrong})


def test_a_loss_that_is_no_number_is_said(folder, monkeypatch):
    monkeypatch.setattr(GraphLearner, "loss", lambda _, h, r, *__: (h.sum() + r.sum()) * float("nan"))
    with pytest.raises(RunError, match=r"the loss of 'test' is nan after epoch 1") as found:
        encode(**SMALL)
    assert found.value.problems[0].code == "RP601"


# kept between runs


def test_vectors_are_kept_and_a_damaged_file_is_made_again(folder, monkeypatch):
    store, first, second = folder / "store", {}, {}
    want = encode(store=store, noted=first, **SMALL).vectors
    (file,) = (store / "graph").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(GraphLearner, "epoch", lambda *_: pytest.fail("it was learnt again"))
        assert_array_equal(encode(store=store, noted=second, **SMALL).vectors, want)
        linked = encode(store=store, links="links.csv", **SMALL)
    assert linked.missing.tolist() == [False, True, False, True, True, True]
    assert first == second
    file.write_bytes(file.read_bytes()[:-100])
    told = []
    assert_array_equal(encode(store=store, told=told, **SMALL).vectors, want)
    assert "is damaged" in told[0]


@pytest.mark.parametrize("hold", [0, 0.3])
def test_training_goes_on_from_where_it_was_killed(hold, folder, monkeypatch):
    monkeypatch.setattr("recprofile.builtin.encode.graph_training.OFTEN", -1)
    frame([*FILMS, *family()]).write_parquet("graph.parquet")
    settings = SMALL | {"max_epochs": 8, "hold": hold, "patience": 8}
    noted = {}
    want = encode(noted=noted, **settings).vectors
    right = GraphLearner.epoch

    def killed(learner, number):
        if number == 6:
            raise KeyboardInterrupt
        return right(learner, number)

    with monkeypatch.context() as patch:
        patch.setattr(GraphLearner, "epoch", killed)
        with pytest.raises(KeyboardInterrupt):
            encode(store=folder / "store", **settings)
    numbers = []
    monkeypatch.setattr(GraphLearner, "epoch", lambda learner, n: numbers.append(n) or right(learner, n))
    again = {}
    assert_array_equal(encode(store=folder / "store", noted=again, **settings).vectors, want)
    assert numbers == [6, 7, 8]
    assert again == noted
