"""The search: trial after trial fitted on the folds and judged, and one of them chosen."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from recprofile.cache import key_of
from recprofile.device import stage_seed
from recprofile.engine.settings import Settings
from recprofile.errors import DataError, RecipeError, RecprofileError
from recprofile.evaluate import UserScores
from recprofile.plan import Knob, Plan, changed, knobs_of, make_plan
from recprofile.recipe import Tune
from recprofile.registry import Registry
from recprofile.source import Entry
from recprofile.source.tree import Scalar
from recprofile.tune.bench import Bench
from recprofile.tune.folds import Fold
from recprofile.tune.results import Trial, Tuned, choose
from recprofile.tune.scores import difference, estimate
from recprofile.tune.study import OWN, WHY, Study, expect_optuna

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial
    from optuna.trial import Trial as OptunaTrial

FORM = 1  # raised when folds or scores are made in another way, so that older studies are left alone


Told = Callable[[Trial, int], None]  # a trial that is finished, and of how many


def tune_plan(  # noqa: PLR0913 - all but the first three by name
    plan: Plan,
    registry: Registry,
    settings: Settings,
    *,
    study: Path | None = None,
    trials: int | None = None,
    jobs: int = 1,
    timeout: float | None = None,
    tell: Told = lambda *_: None,
    warn: Callable[[str], None] = lambda _: None,
) -> Tuned:
    """Search the parameters of a Plan on the validation part of its data; the test part is not looked at.

    `trials` in all, those of an earlier call included; `jobs` at a time, in threads, which share the data and what is
    kept with them; after `timeout` seconds no further one begins. With one job the result hangs on nothing but recipe,
    data and versions.

    Raises RecipeError RP404 without a recommender, RP205 when there is nothing to search, RP304 without optuna;
    DataError RP507 without a validation part; and what the recipe's own values raise.
    """
    begun = time.perf_counter()
    wanted = plan.recipe.tune or Tune()
    if plan.final is None:
        helps = ("add 'recommend: ease' to the stages",)
        raise RecipeError.of(
            "RP404", "there is no recommend stage to judge", at=plan.source.at(("stages",)), help=helps
        )
    knobs = knobs_of(plan)
    if not knobs:
        helps = ("name some: tune: {ranges: {stages.<id>.with.<parameter>: {low: …, high: …}}}",)
        at = plan.final.at
        message = f"there is nothing to search: '{plan.final.id}' and what it stands on mark no parameter"
        raise RecipeError.of("RP205", message, at=at, help=helps)
    told: set[str] = set()

    def warn_once(text: str) -> None:
        if text not in told:
            told.add(text)
            warn(text)

    place = study or settings_folder(plan, settings)
    expect_optuna()
    bench = Bench(plan, registry, settings, knobs, warn_once)
    folds = bench.folds(wanted.folds)
    name = f"{plan.name}-{_key(bench, wanted, knobs, folds)[:16]}"
    memory = Study(place, name, knobs, jobs=jobs)
    search = _Search(bench, memory, folds, wanted.metric, trials or wanted.trials, jobs, tell)
    earlier = len(memory.trials())
    search.run(None if timeout is None else begun + timeout)
    found = search.found()
    own = next(trial for trial in found if trial.own)
    best, chosen = choose(found, knobs)
    return Tuned(
        plan,
        knobs,
        wanted.metric,
        len(folds),
        tuple(found),
        own,
        best,
        chosen,
        difference(chosen.scores, own.scores),
        difference(best.scores, chosen.scores),
        place,
        name,
        earlier,
        time.perf_counter() - begun,
    )


def settings_folder(plan: Plan, settings: Settings) -> Path:
    """Where the study lies by itself: beside the run folder, which a run replaces as a whole."""
    out = settings.out or plan.source.folder(("out",)) / plan.out
    return out.with_name(f"{out.name}.tune.db")


def plan_with(plan: Plan, registry: Registry, knobs: Sequence[Knob], values: Mapping[str, Any]) -> Plan:
    """The Plan with other values of what is searched. Raises RecipeError for values that do not go together."""
    places = {}
    for knob in knobs:
        at = knob.at or plan.source.at(knob.loc)
        if values[knob.path] != knob.own:
            value: Scalar = values[knob.path]
            places[knob.loc] = Entry(value, at)
    return make_plan(changed(plan.source, places), registry) if places else plan


def _key(bench: Bench, wanted: Tune, knobs: Sequence[Knob], folds: Sequence[Fold]) -> str:
    """What a study's trials hang on; test events are not among it."""
    plan = bench.plan
    assert plan.final is not None
    line = {id: bench.graph.nodes[id].stage for id in bench.line}
    return key_of(
        {
            "form": FORM,
            "version": plan.build,
            "stages": [
                [id, s.offer.pinned, s.offer.plugin.build, s.params(), dict(s.inputs)] for id, s in line.items() if s
            ],
            "assets": {f"{id}/{name}": a.fingerprint for (id, name), a in bench.assets.items() if id in line},
            "device": bench.device.partition(":")[0],
            "seed": plan.recipe.seed,
            "metric": wanted.metric,
            "folds": [[fold.digest, fold.judged] for fold in folds],
            "tables": bench.tables,
            "seen": plan.recipe.lists.exclude_seen,
            "ranges": [[knob.path, knob.says()] for knob in knobs],
        }
    )


class _Search:
    def __init__(  # noqa: PLR0917 - what a search is made of
        self, bench: Bench, memory: Study, folds: tuple[Fold, ...], metric: str, most: int, jobs: int, tell: Told
    ) -> None:
        self.bench, self.memory, self.folds, self.metric = bench, memory, folds, metric
        self.most, self.jobs, self.tell = most, jobs, tell
        self.lock, self.stop = Lock(), Event()
        self.begun = 0
        self.known: dict[str, list[UserScores]] = {}

    def run(self, deadline: float | None) -> None:
        """Trials up to the number wanted; the recipe's own values are the first, and alone, for all later ones to find
        the data read and what they share made.
        """
        finished = self.memory.trials()
        for trial in finished:
            if trial.state.name == "COMPLETE":
                self.known[repr(self._values(trial))] = self.memory.scores(trial.number)
        if not any(t.user_attrs.get(OWN) and t.state.name == "COMPLETE" for t in finished):
            self._attempt(self.memory.ask_own(), own=True)
        self.begun = len(self.memory.trials())
        if self.jobs == 1:
            self._work(deadline)
            return
        with ThreadPoolExecutor(self.jobs) as pool:
            try:
                for done in [pool.submit(self._work, deadline) for _ in range(self.jobs)]:
                    done.result()
            finally:
                self.stop.set()

    def found(self) -> list[Trial]:
        """Every finished trial."""
        return [self._trial(trial) for trial in self.memory.trials()]

    def _work(self, deadline: float | None) -> None:
        while not self.stop.is_set() and (deadline is None or time.perf_counter() < deadline):
            with self.lock:
                if self.begun >= self.most or self.memory.exhausted(self.most):
                    return
                seed = stage_seed(self.bench.plan.recipe.seed, f"tune/{self.begun}")
                trial = self.memory.ask(seed, most=self.most)
                self.begun += 1
            self._attempt(trial, own=False)

    def _attempt(self, trial: OptunaTrial, *, own: bool) -> None:
        from optuna.trial import TrialState  # noqa: PLC0415 - an optional package

        begun = time.perf_counter()
        values = self._own() if own else self.memory.values(trial.params)
        try:
            plan = plan_with(self.bench.plan, self.bench.registry, self.bench.knobs, values)
            scores = self._scores(trial, plan, values)
            if own:
                self._expect_users(scores)
        except Exception as error:  # named edge: what a component raises for these values is one trial that failed
            trial.set_user_attr(WHY, _said(error))
            self.memory.study.tell(trial, state=TrialState.FAIL)
            if own:
                raise
        else:
            whole = len(scores) == len(self.folds)
            if whole:
                self.known[repr(values)] = scores
            trial.set_user_attr("seconds", round(time.perf_counter() - begun, 3))
            value = estimate(scores).value
            self.memory.study.tell(trial, value if whole else None, None if whole else TrialState.PRUNED)
        made = next(t for t in reversed(self.memory.trials()) if t.number == trial.number)
        with self.lock:
            self.tell(self._trial(made), self.most)

    def _expect_users(self, scores: Sequence[UserScores]) -> None:
        """Raises DataError RP505 when no fold has a user who can be judged, for then every trial comes to nothing."""
        if any(len(fold.values) for fold in scores):
            return
        source = self.bench.plan.source
        at = source.at(("list", "candidates") if self.bench.plan.recipe.lists.candidates != "all" else ("data",))
        helps = ("an item is relevant that is positive, may be listed, and that the user does not have in training",)
        raise DataError.of("RP505", "no user of the validation part has a relevant item", at=at, help=helps)

    def _scores(self, trial: OptunaTrial, plan: Plan, values: Mapping[str, Any]) -> list[UserScores]:
        """Fold by fold, until the trial is worse than most were by then."""
        again = self.known.get(repr(values))
        scores: list[UserScores] = []
        for n, fold in enumerate(self.folds):
            scores.append(again[n] if again else self.bench.score(plan, fold, self.metric))
            self.memory.keep(trial.number, n, scores[-1])
            trial.report(estimate(scores).value, n)
            if n + 1 < len(self.folds) and trial.should_prune():
                break
        return scores

    def _trial(self, trial: FrozenTrial) -> Trial:
        state = {"COMPLETE": "done", "PRUNED": "pruned"}.get(trial.state.name, "failed")
        scores = self.memory.scores(trial.number) if state != "failed" else []
        attrs = trial.user_attrs
        return Trial(
            trial.number,
            self._values(trial),
            state,
            estimate(scores) if scores else None,
            bool(attrs.get(OWN)),
            str(attrs.get(WHY, "")),
            float(attrs.get("seconds", 0.0)),
            scores,
        )

    def _values(self, trial: FrozenTrial) -> dict[str, Any]:
        return self._own() if trial.user_attrs.get(OWN) else self.memory.values(trial.params)

    def _own(self) -> dict[str, Any]:
        return {knob.path: knob.own for knob in self.bench.knobs}


def _said(error: Exception) -> str:
    if isinstance(error, RecprofileError):
        return f"{error.problems[0].code} {error.problems[0].message}"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
