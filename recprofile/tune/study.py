"""The memory of a search: an Optuna study in an SQLite file, with the scores of each user beside it."""

from __future__ import annotations

import itertools
import os
import socket
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recprofile.errors import RecipeError, RunError, quoted
from recprofile.evaluate import UserScores
from recprofile.plan import Knob

if TYPE_CHECKING:
    from optuna import Study as OptunaStudy
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial
    from optuna.trial import Trial as OptunaTrial

OWN, WHY, BY = "own", "why", "by"
KILLED = "its process was killed"
DIGITS = 4  # of a number that is tried: more would decide nothing, and nobody can read them
WAIT = 60  # seconds for another writer
_SCORES = """CREATE TABLE IF NOT EXISTS recprofile_scores (
    study TEXT, trial INTEGER, fold INTEGER, users BLOB, scores BLOB, PRIMARY KEY (study, trial, fold))"""


class Study:
    """Trials of one search, by its name; an existing one goes on.

    Values are proposed by TPE from the trials so far, with a seed that hangs on how many are finished: a search that
    was killed goes on as if it had not been. Raises RecipeError RP304 without optuna, RunError RP606 for a file that
    is no study.
    """

    def __init__(self, path: Path, name: str, knobs: Sequence[Knob], *, jobs: int) -> None:
        optuna = expect_optuna()
        self.path, self.name, self.knobs, self.jobs = path, name, knobs, jobs
        self.space = {knob.path: _distribution(knob) for knob in knobs}
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        url = f"sqlite:///{path}".replace("{", "{{").replace("}", "}}")  # optuna fills braces in
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._connect()) as db, db:
                db.execute("PRAGMA journal_mode = WAL")
                db.execute(_SCORES)
            kwargs = {"connect_args": {"timeout": WAIT, "factory": _Connection}}
            storage = optuna.storages.RDBStorage(url, engine_kwargs=kwargs)
            self.study: OptunaStudy = optuna.create_study(
                storage=storage,
                study_name=name,
                direction="maximize",
                load_if_exists=True,
                pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
            )
        except Exception as error:  # sqlalchemy, sqlite3 and alembic each have their own
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            helps = (said[:200], "name another file with --study")
            raise RunError.of("RP606", f"{quoted(str(path))} cannot hold a study", help=helps) from error
        self._bury()

    def trials(self) -> list[FrozenTrial]:
        """Trials that are finished, in order, less those whose process was killed."""
        return [t for t in self.study.get_trials(deepcopy=False) if t.state.is_finished() and not _is_killed(t)]

    def ask(self, seed: int, *, most: int) -> OptunaTrial:
        """The next trial, its values proposed: TPE, or one by one where there are no more than `most` combinations."""
        grid = self._grid(most)
        values = next(grid, None) if grid is not None else None
        if values is not None:
            self.study.enqueue_trial(values, user_attrs={"grid": True})
        # Not on the liar's word when alone: what a killed process had begun would count.
        self.study.sampler = expect_optuna().samplers.TPESampler(seed=seed, constant_liar=self.jobs > 1)
        return self._by_me(self.study.ask(dict(self.space)))

    def ask_own(self) -> OptunaTrial:
        """A trial of the recipe's own values, which teaches the sampler where they lie in the ranges."""
        own = {knob.path: knob.own for knob in self.knobs}
        if all(_contains(knob) for knob in self.knobs):
            self.study.enqueue_trial(own)
            trial = self.study.ask(dict(self.space))
        else:
            trial = self.study.ask()
        trial.set_user_attr(OWN, True)
        return self._by_me(trial)

    def values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a trial as they are tried: numbers in few digits."""
        return {knob.path: _settled(knob, params[knob.path]) for knob in self.knobs}

    def exhausted(self, most: int) -> bool:
        """Whether every combination has been tried, where there are no more than `most`."""
        grid = self._grid(most)
        return grid is not None and next(grid, None) is None

    def keep(self, trial: int, fold: int, scores: UserScores) -> None:
        """Remember what a trial came to for each user of a fold."""
        row = (self.name, trial, fold, scores.users.tobytes(), scores.values.tobytes())
        with closing(self._connect()) as db, db:
            db.execute("INSERT OR REPLACE INTO recprofile_scores VALUES (?, ?, ?, ?, ?)", row)

    def scores(self, trial: int) -> list[UserScores]:
        """What a trial came to, fold by fold."""
        query = "SELECT users, scores FROM recprofile_scores WHERE study = ? AND trial = ? ORDER BY fold"
        with closing(self._connect()) as db:
            rows = db.execute(query, (self.name, trial)).fetchall()
        return [UserScores(np.frombuffer(u, np.int32), np.frombuffer(v, np.float64)) for u, v in rows]

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=WAIT, factory=_Connection)

    def _grid(self, most: int) -> Iterator[dict[str, Any]] | None:
        """Combinations that no trial has, where there are few; None where there are many."""
        size, choices = 1, []
        for knob in self.knobs:
            count = len(knob.values) or (int(knob.high - knob.low) + 1 if knob.whole else most + 1)
            size *= count
            if size > most:
                return None
            choices.append(knob.values or tuple(range(int(knob.low), int(knob.high) + 1)))
        begun = {_key(t.params, self.knobs) for t in self.study.get_trials(deepcopy=False) if not _is_killed(t)}
        waiting = {_key(t.system_attrs["fixed_params"], self.knobs) for t in self.study.get_trials(deepcopy=False)
                   if t.state.name == "WAITING" and "fixed_params" in t.system_attrs}  # fmt: skip
        every = (dict(zip(self.space, chosen, strict=True)) for chosen in itertools.product(*choices))
        return (values for values in every if _key(values, self.knobs) not in begun | waiting)

    def _by_me(self, trial: OptunaTrial) -> OptunaTrial:
        trial.set_user_attr(BY, f"{socket.gethostname()}:{os.getpid()}")
        return trial

    def _bury(self) -> None:
        """Call off the trials of processes of this machine that are gone."""
        from optuna.trial import TrialState  # noqa: PLC0415 - an optional package

        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            host, _, process = str(trial.user_attrs.get(BY, "")).rpartition(":")
            if host == socket.gethostname() and not _is_alive(int(process)):
                self.study._storage.set_trial_user_attr(trial._trial_id, WHY, KILLED)
                self.study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)


class _Connection(sqlite3.Connection):
    """Leaves it to the log to be whole after a crash: waiting for the disk would cost a trial 150 ms."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute("PRAGMA synchronous = NORMAL")


def expect_optuna() -> Any:  # noqa: ANN401 - a module
    """Optuna, or RecipeError RP304 with what installs it."""
    try:
        import optuna  # noqa: PLC0415 - an optional package, and 0.5 s
    except ImportError as error:
        helps = ("pip install 'recprofile[tune]'",)
        raise RecipeError.of("RP304", "'recprofile tune' needs optuna, which is not installed", help=helps) from error
    return optuna


def _distribution(knob: Knob) -> BaseDistribution:
    from optuna.distributions import (  # noqa: PLC0415 - an optional package
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if knob.values:
        return CategoricalDistribution(knob.values)
    if knob.whole:
        return IntDistribution(int(knob.low), int(knob.high), log=knob.log)
    return FloatDistribution(knob.low, knob.high, log=knob.log)


def _contains(knob: Knob) -> bool:
    """Whether a recipe's own value lies in its range."""
    if knob.values:
        return any(type(value) is type(knob.own) and value == knob.own for value in knob.values)
    is_number = isinstance(knob.own, int | float) and not isinstance(knob.own, bool)
    return is_number and knob.low <= knob.own <= knob.high


def _settled(knob: Knob, value: Any) -> Any:  # noqa: ANN401 - whatever a parameter is
    if knob.values or knob.whole or value == knob.own:
        return value
    short = float(f"{value:.{DIGITS}g}")
    return min(max(short, knob.low), knob.high)


def _key(params: Mapping[str, Any], knobs: Sequence[Knob]) -> str:
    return repr([params.get(knob.path) for knob in knobs])


def _is_killed(trial: FrozenTrial) -> bool:
    return trial.user_attrs.get(WHY) == KILLED


def _is_alive(process: int) -> bool:
    if os.name != "posix":  # elsewhere asking ends it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
