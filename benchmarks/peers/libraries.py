"""Other libraries on one split, run directly: each tuned on its validation part, then fitted on all its training part.

    .peers/bin/python benchmarks/peers/libraries.py SPLIT OUT --score SCORE.PY [--vectors ITEMS.npz] [--ratings]

SPLIT is a folder that prepare.py made. For each model OUT gets its lists, `NAME.tsv` (user_id, item_id, rank, 20 a
user), and `peers.json` says what was chosen among how many settings, its NDCG@10 on the validation part, and the
seconds that search and fit took. Nothing of recprofile is imported here: models come from irspack (EASE is its
DenseSLIM), scikit-surprise and scikit-learn, and lists are judged by score.py. Models of items' ids alone cannot rank
items without events, so a split of whole items gets those that go by content instead, on the vectors of `--vectors`.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

K = 20
Scores = np.ndarray  # (n_users, n_items), higher is better
Fit = Callable[["Part"], Scores]
IDS = {"user_id": str, "item_id": str}


class Part:
    """Training events of one side of a split, by number: all of them, and the positive ones as a binary matrix."""

    def __init__(self, events: pd.DataFrame, users: list[str], items: list[str], threshold: float) -> None:
        self.users, self.items = users, items
        self.user = pd.Index(users).get_indexer(events.user_id)
        self.item = pd.Index(items).get_indexer(events.item_id)
        self.rating = events.rating.to_numpy(float)
        self.positive = self.rating >= threshold
        shape = (len(users), len(items))
        ones = np.ones(int(self.positive.sum()))
        self.x = sp.csr_matrix((ones, (self.user[self.positive], self.item[self.positive])), shape=shape)
        self.events = events

    def lists(self, scores: Scores, candidates: set[str]) -> pd.DataFrame:
        """The K best items of every user among the candidates, without those of their events."""
        scores = np.where(np.isin(self.items, list(candidates)), scores, -np.inf)
        scores[self.user, self.item] = -np.inf
        top = np.argsort(-scores, axis=1, kind="stable")[:, :K]
        found = pd.DataFrame({
            "user_id": np.repeat(self.users, K),
            "item_id": np.array(self.items)[top].ravel(),
            "rank": np.tile(np.arange(1, K + 1), len(self.users)),
        })  # fmt: skip
        return found[np.isfinite(np.take_along_axis(scores, top, axis=1).ravel())]


def grid(**values: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Every combination."""
    return [dict(zip(values, one, strict=True)) for one in itertools.product(*values.values())]


def collaborative(seed: int) -> Iterator[tuple[str, Callable[..., Fit], list[dict[str, Any]]]]:
    """Name, maker and settings of the models that go by who took what."""
    import irspack

    def of(kind: str, **fixed: Any) -> Callable[..., Fit]:
        def make(**setting: Any) -> Fit:
            def fit(part: Part) -> Scores:
                model = getattr(irspack, kind)(part.x, **fixed, **setting)
                model.learn()
                return np.asarray(model.get_score(np.arange(part.x.shape[0])), float)

            return fit

        return make

    yield "popular", of("TopPopRecommender"), [{}]
    yield "EASE", of("DenseSLIMRecommender"), grid(reg=(50, 100, 150, 200, 300, 400, 600, 1000))
    edlae = grid(reg=(25, 50, 100, 200, 400), dropout_p=(0.1, 0.2, 0.33, 0.5))
    yield "EDLAE", of("EDLAERecommender"), edlae
    yield "SLIM", of("SLIMRecommender"), grid(alpha=(0.002, 0.005, 0.01, 0.02, 0.05), l1_ratio=(0.01, 0.1))
    ials = grid(n_components=(64, 128), alpha0=(0.1, 0.26, 0.6), reg=(0.006, 0.018, 0.05))
    yield "iALS", of("IALSRecommender", nu=1.0, train_epochs=30, random_seed=seed), ials
    knn = grid(
        top_k=(50, 100, 200, 400),
        shrinkage=(0.0, 20.0, 100.0),
        feature_weighting=("NONE", "TF_IDF", "BM_25"),
        normalize=(False, True),
    )
    yield "item-kNN", of("CosineKNNRecommender"), knn
    walk = grid(alpha=(0.6, 0.8, 1.0), beta=(0.3, 0.5, 0.7), top_k=(100, 300, None))
    yield "RP3beta", of("RP3betaRecommender"), walk


def rating_predictors(seed: int) -> Iterator[tuple[str, Callable[..., Fit], list[dict[str, Any]]]]:
    """Surprise's algorithms, ranked by the rating that they predict, as tutorials do."""
    import surprise

    def trained(part: Part, algorithm: Any) -> Any:  # noqa: ANN401 - of a library without types
        frame = part.events[["user_id", "item_id", "rating"]]
        data = surprise.Dataset.load_from_df(frame, surprise.Reader(rating_scale=(1, 5)))
        algorithm.fit(data.build_full_trainset())
        return algorithm

    def every(part: Part, algorithm: Any) -> Scores:  # noqa: ANN401
        known = set(part.events.item_id)
        out = np.full((len(part.users), len(part.items)), -np.inf)
        for row, user in enumerate(part.users):
            for column, item in enumerate(part.items):
                if item in known:
                    out[row, column] = algorithm.predict(user, item, clip=False).est
        return out

    def knn(**_: Any) -> Fit:
        options = {"name": "pearson_baseline", "user_based": False}
        return lambda part: every(part, trained(part, surprise.KNNBasic(k=10, sim_options=options, verbose=False)))

    def svd(**setting: Any) -> Fit:
        def fit(part: Part) -> Scores:
            found = trained(part, surprise.SVD(random_state=seed, **setting))
            users = [
                found.trainset.to_inner_uid(u) if u in found.trainset._raw2inner_id_users else -1 for u in part.users
            ]
            items = [
                found.trainset.to_inner_iid(i) if i in found.trainset._raw2inner_id_items else -1 for i in part.items
            ]
            scores = found.bu[users][:, None] + found.bi[items] + found.pu[users] @ found.qi[items].T
            scores[:, np.array(items) < 0] = -np.inf
            return np.asarray(scores)

        return fit

    yield "Surprise KNNBasic", knn, [{}]
    factors = grid(n_factors=(20, 50, 100), n_epochs=(20, 60), reg_all=(0.02, 0.06, 0.1))
    yield "Surprise SVD", svd, factors


def by_content(path: Path) -> Iterator[tuple[str, Callable[..., Fit], list[dict[str, Any]]]]:
    """Models of scikit-learn on item vectors: what users took, regressed on what items are about."""
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.linear_model import Ridge
    from sklearn.neighbors import KNeighborsRegressor

    stored = np.load(path)

    def features(part: Part, weights: Mapping[str, float]) -> np.ndarray:
        rows = pd.Index(stored["ids"].astype(str)).get_indexer(part.items)
        return np.concatenate([w * stored[name][rows] for name, w in weights.items()], axis=1)

    def regressed(part: Part, model: Any, weights: Mapping[str, float]) -> Scores:  # noqa: ANN401
        x = features(part, weights)
        warm = np.unique(part.item)
        taken = np.asarray(part.x.todense())
        model.fit(x[warm], taken[:, warm].T)
        return np.asarray(model.predict(x)).T

    def mean(**weights: float) -> Fit:
        def fit(part: Part) -> Scores:
            x = features(part, weights)
            return np.asarray(sp.diags(1 / np.maximum(part.x.sum(axis=1).A1, 1)) @ part.x @ x @ x.T)

        return fit

    def ridge(alpha: float, genres: float, year: float) -> Fit:
        return lambda part: regressed(part, Ridge(alpha), {"plot": 1.0, "genres": genres, "year": year})

    def knn(k: int, genres: float, year: float) -> Fit:
        weights = {"plot": 1.0, "genres": genres, "year": year}
        return lambda part: regressed(part, KNeighborsRegressor(k, weights="distance"), weights)

    def kernel(alpha: float, gamma: float, genres: float, year: float) -> Fit:
        weights = {"plot": 1.0, "genres": genres, "year": year}
        return lambda part: regressed(part, KernelRidge(alpha=alpha, kernel="rbf", gamma=gamma), weights)

    yield "mean of text vectors", lambda plot: mean(plot=plot), [{"plot": 1.0}]
    blocks = {"genres": (0.5, 1.0, 1.5), "year": (0.5, 1.0, 1.5)}
    yield "kNN on text, genres, year", knn, grid(k=(10, 20, 40, 80), **blocks)
    yield "ridge on text, genres, year", ridge, grid(alpha=(1.0, 3.0, 10.0, 30.0), **blocks)
    yield "kernel ridge on text, genres, year", kernel, grid(alpha=(0.3, 1.0, 3.0), gamma=(0.1, 0.3, 1.0), **blocks)


def rating_errors(split: Path, threshold: float, seed: int) -> dict[str, float]:
    """RMSE of Surprise's SVD by its defaults on the test events, run directly."""
    import surprise

    train, test = (pd.read_csv(split / f"{name}.tsv", sep="\t", dtype=IDS) for name in ("train", "test"))
    columns = ["user_id", "item_id", "rating"]
    data = surprise.Dataset.load_from_df(train[columns], surprise.Reader(rating_scale=(1, 5)))
    algorithm = surprise.SVD(random_state=seed).fit(data.build_full_trainset())
    found = algorithm.test(list(test[columns].itertuples(index=False, name=None)))
    return {"Surprise SVD": float(surprise.accuracy.rmse(found, verbose=False))}


def main() -> int:
    """Run the models of one split."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("split", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--score", type=Path, required=True)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--ratings", action="store_true", help="and predictors of ratings, ranked by them")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    spec = importlib.util.spec_from_file_location("score", given.score)
    assert spec is not None
    assert spec.loader is not None
    score = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(score)
    meta = json.loads((given.split / "meta.json").read_text())
    read = lambda name: pd.read_csv(given.split / f"{name}.tsv", sep="\t", dtype=IDS)  # noqa: E731 - one line, four uses
    train, fit, test = read("train"), read("fit"), read("test")
    users, items = sorted(set(train.user_id)), sorted(set(train.item_id) | set(test.item_id))
    candidates, valid_candidates = set(read("candidates").item_id), set(read("valid_candidates").item_id)
    whole, less = (Part(events, users, items, meta["threshold"]) for events in (train, fit))
    whole_items = not candidates & set(train.item_id)
    models = (
        by_content(given.vectors)
        if whole_items
        else itertools.chain(collaborative(given.seed), rating_predictors(given.seed) if given.ratings else ())
    )
    given.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"models": {}}
    loaded = score.load(str(given.split), True)
    for name, make, settings in models:
        begun = time.perf_counter()
        judged = []
        if len(settings) > 1:
            for setting in settings:
                lists = less.lists(make(**setting)(less), valid_candidates)
                judged.append(score.evaluate(str(given.split), lists, True, data=loaded)["NDCG@10"])
        best = int(np.argmax(judged)) if judged else 0
        whole.lists(make(**settings[best])(whole), candidates).to_csv(given.out / f"{name}.tsv", sep="\t", index=False)
        seconds = time.perf_counter() - begun
        found["models"][name] = {
            "setting": settings[best],
            "tried": len(settings),
            "valid": judged[best] if judged else None,
            "seconds": seconds,
        }
        print(f"  {name}: {len(settings)} settings in {seconds:.0f} s", file=sys.stderr, flush=True)
    if given.ratings and not whole_items:
        found["rmse"] = rating_errors(given.split, meta["threshold"], given.seed)
    (given.out / "peers.json").write_text(json.dumps(found, indent=1, default=float))
    return 0


if __name__ == "__main__":
    sys.exit(main())
