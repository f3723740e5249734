"""Tuning of the boosted part: Optuna over a declared space, inner cross-validation, resumable and within a budget."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from data_contracts.errors import DeclarationError, TrainingError
from data_contracts.replies import Warned
from training.boosted import BoostedClassifier, NoSplitWarning
from training.estimator import Integers, binary_labels, class_folds
from training.search_space import check_space, suggest
from training.workers import is_gone, this_process

if TYPE_CHECKING:
    import optuna

_FOLDS_AT_ONCE = 2
_WORKER, _TURN = "worker", "turn"
_TOLD_OF_TRIALS = (
    "number",
    "value",
    "datetime_start",
    "datetime_complete",
    "duration",
    "params",
    "user_attrs",
    "state",
)
_BEAT_SECONDS = 10
_SILENT_SECONDS = 60
_OPENING_ATTEMPTS = 5


@dataclass(frozen=True)
class Tuning:
    """What a search found.

    Parameters
    ----------
    best_params : dict
        Parameters for `BoostedClassifier`.
    best_auc : float
        Their mean AUC over the folds.
    trials : DataFrame
        Every trial of the study, one a row: `number`, `value` (mean AUC), `state`, `params_...`, times.
    importances : dict of str to float
        Share of the variance of the AUC that each parameter explains, largest first (fANOVA); empty where fewer than
        two trials finished or all came out the same.
    """

    best_params: dict[str, Any]
    best_auc: float
    trials: pd.DataFrame
    importances: dict[str, float] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Trials by how they ended: `complete`, `pruned`, `fail`, `running`."""
        ended = self.trials["state"].str.lower().value_counts()
        return {str(state): int(count) for state, count in ended.items()}

    @property
    def warnings(self) -> list[Warned]:
        """What to know before the parameters are used."""
        found = []
        if self.best_auc <= 0.5:
            found.append(
                Warned(
                    code="search_found_nothing",
                    zh=f"最优参数的 AUC 为 {self.best_auc:.4f}，不高于随机排序 (0.5)：请检查目标、特征与样本量。",
                    en=f"The best parameters have an AUC of {self.best_auc:.4f}, no better than chance (0.5): look at "
                    "the target, the features and the number of rows.",
                )
            )
        finished = self.counts.get("complete", 0)
        if finished < 2:
            found.append(
                Warned(
                    code="search_too_short",
                    zh=f"仅完成 {finished} 次试验，无从比较：请提高 --trials 或 --seconds。",
                    en=f"Only {finished} trial finished, so nothing was compared: raise --trials or --seconds.",
                )
            )
        return found


def tune(
    X: Any,
    y: Any,
    space: Mapping[str, Any],
    *,
    groups: Any = None,
    base: BoostedClassifier | None = None,
    n_trials: int | None = None,
    seconds: float | None = None,
    n_folds: int = 3,
    storage: str | None = None,
    study_name: str = "boosted",
    random_state: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> Tuning:
    """Search the parameters of the boosted part that give the best mean AUC over inner folds.

    Parameters
    ----------
    X, y : DataFrame or ndarray, array
        Training rows; two classes, the second in order is the bad one.
    space : mapping
        Search space, see `check_space`.
    groups : array, optional
        Rows of one group never stand on both sides of a fold.
    base : BoostedClassifier, optional
        Parameters that are not searched (risk directions, threads), and those of the first trial where the space
        holds them; searched with one seed.
    n_trials : int, optional
        Finished trials wanted, those of an earlier run on the same storage included.
    seconds : float, optional
        Time of this call; a running trial is finished. At least one of the two budgets must be given.
    n_folds, random_state : int
        Inner folds, and the seed of folds and search.
    storage : str, optional
        URL of Optuna's storage (`sqlite:///tune.db`, `postgresql://...`); None keeps the study in memory. A study that
        was interrupted goes on from its finished trials; what an interrupted process left running is marked as
        failed. Several processes may work on one study at once, each with its own call; on PostgreSQL, from several
        machines.
    study_name : str, default "boosted"
        Name of the study in the storage.
    progress : callable, optional
        Called with the best AUC so far and the share of the budget that is used.

    Raises
    ------
    DeclarationError
        The space or the budget is declared wrongly.
    TrainingError
        The study of that name was made with another space or other rows, no trial finished, or the storage is
        not there.
    """
    import optuna

    check_space(space)
    if not (n_trials or seconds):
        raise DeclarationError("the tuning has no budget; give n_trials or seconds, above 0")
    _, labels = binary_labels(y)
    folds = list(class_folds(labels, n_folds, random_state, groups, use="tuning"))
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with _storage_reported(storage), _opened(storage) as store, warnings.catch_warnings():
            warnings.simplefilter("ignore", NoSplitWarning)  # an AUC of 0.5 says as much
            study = _study(space, np.shape(X), store, study_name)
            _end_what_was_left(study)
            _begin_with(study, space, (base or BoostedClassifier()).get_params())
            if n_trials is None or len(_finished(study)) < n_trials:
                # Whoever works on the study counts towards its trials, so each call asks again after each trial.
                ending = [optuna.study.MaxTrialsCallback(n_trials, states=_ended())] if n_trials else []
                telling = [_Progress(progress, n_trials, seconds)] if progress else []
                study.optimize(
                    _Objective(X, labels, groups, folds, space, base or BoostedClassifier(), random_state),
                    timeout=seconds,
                    callbacks=[*ending, *telling],
                )
            if not study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)):
                raise TrainingError("no trial of the tuning finished; raise n_trials or seconds")
            return Tuning(
                dict(study.best_params),
                float(study.best_value),
                study.trials_dataframe(_TOLD_OF_TRIALS),
                _importances(study, random_state),
            )
    finally:
        optuna.logging.set_verbosity(level)


def require_storage(url: str) -> None:
    """Reach the storage of a search; `TrainingError` where it is not there."""
    with _storage_reported(url), _opened(url):
        pass


class _Objective:
    """Mean AUC over the folds of one set of parameters; tells Optuna after each fold, so that it can prune."""

    def __init__(
        self,
        X: Any,
        labels: Integers,
        groups: Any,
        folds: list[tuple[Integers, Integers]],
        space: Mapping[str, Any],
        base: BoostedClassifier,
        random_state: int,
    ) -> None:
        self.X, self.labels, self.folds, self.space, self.random_state = X, labels, folds, space, random_state
        self.groups = None if groups is None else np.asarray(groups)
        self.fixed = base.get_params()

    def __call__(self, trial: optuna.Trial) -> float:
        import optuna

        trial.set_user_attr(_WORKER, this_process())
        seed = int(np.random.SeedSequence([self.random_state, _turn(trial)]).generate_state(1)[0])
        trial.study.sampler = optuna.samplers.TPESampler(seed=seed)
        suggested = {name: suggest(trial, name, declared) for name, declared in self.space.items()}
        scores: list[float] = []
        with ThreadPoolExecutor(_FOLDS_AT_ONCE) as pool:
            folds = [pool.submit(self._score, suggested, step) for step in range(len(self.folds))]
            try:
                for step, score in enumerate(folds):
                    scores.append(score.result())
                    trial.report(float(np.mean(scores)), step)
                    if trial.should_prune():
                        raise optuna.TrialPruned
            finally:
                for score in folds:
                    score.cancel()
        return float(np.mean(scores))

    def _score(self, suggested: dict[str, Any], step: int) -> float:
        train, test = self.folds[step]
        params = {**self.fixed, **suggested, "n_seeds": 1, "random_state": self.random_state + step}
        within = None if self.groups is None else self.groups[train]
        model = BoostedClassifier(**params).fit(self._rows(train), self.labels[train], groups=within)
        return float(roc_auc_score(self.labels[test], model.log_odds(self._rows(test))))

    def _rows(self, rows: Integers) -> Any:
        return self.X.iloc[rows] if isinstance(self.X, pd.DataFrame) else np.asarray(self.X)[rows]


class _Progress:
    """Turns finished trials into a text and a share of the budget, whichever budget is nearer to its end."""

    def __init__(self, tell: Callable[[str, float], None], n_trials: int | None, seconds: float | None) -> None:
        self.tell, self.n_trials, self.seconds = tell, n_trials, seconds
        self.spent = 0.0

    def __call__(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        self.spent += trial.duration.total_seconds() if trial.duration else 0.0
        done = len(_finished(study))
        shares = [done / self.n_trials if self.n_trials else 0.0, self.spent / self.seconds if self.seconds else 0.0]
        try:
            best = f"best AUC {study.best_value:.4f}"
        except ValueError:
            best = "no trial finished yet"
        self.tell(f"tuning: trial {done}, {best}", min(1.0, max(shares)))


def _study(
    space: Mapping[str, Any], shape: tuple[int, ...], store: optuna.storages.RDBStorage | None, name: str
) -> optuna.Study:
    """Open or create the study; a study of another space or of other rows is refused."""
    import optuna

    study = optuna.create_study(
        storage=store,
        study_name=name,
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=0),
    )
    made_for = json.dumps({"space": space, "rows": shape[0], "features": shape[1]}, sort_keys=True, default=str)
    if study.user_attrs.get("made_for", made_for) != made_for:
        raise TrainingError(f"the study {name!r} was made with another space or other rows; give another study_name")
    study.set_user_attr("made_for", made_for)
    return study


def _begin_with(study: optuna.Study, space: Mapping[str, Any], declared: Mapping[str, Any]) -> None:
    """Try the parameters that were declared first, where the space holds them: a search must not end below them."""
    for name, bounds in space.items():
        value = declared[name]
        if value not in bounds["choices"] if "choices" in bounds else not bounds["low"] <= value <= bounds["high"]:
            return
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial({name: declared[name] for name in space}, skip_if_exists=True)


@contextmanager
def _opened(url: str | None) -> Iterator[optuna.storages.RDBStorage | None]:
    """Optuna's storage until it is closed; None, which is kept in memory, without a URL."""
    if url is None:
        yield None
        return
    store = _connected(url)
    try:
        yield store
    finally:
        store.remove_session()
        store.engine.dispose()


def _connected(url: str) -> optuna.storages.RDBStorage:
    """Optuna's storage with signs of life of running trials; two workers may lay its tables out at the same time."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    from training.store import with_driver

    for attempt in range(1, _OPENING_ATTEMPTS + 1):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return optuna.storages.RDBStorage(
                    with_driver(url), heartbeat_interval=_BEAT_SECONDS, grace_period=_SILENT_SECONDS
                )
        except SQLAlchemyError as fault:
            if attempt == _OPENING_ATTEMPTS or "already exists" not in str(fault):
                raise
            time.sleep(0.2 * attempt)
    raise AssertionError("unreachable")


@contextmanager
def _storage_reported(url: str | None) -> Iterator[None]:
    """One clear error where the storage is not there, or fails while it is used."""
    from optuna.exceptions import OptunaError, StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, StorageInternalError, ImportError) as fault:
        cause = fault.__cause__ if isinstance(fault, StorageInternalError) and fault.__cause__ else fault
        first_line = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        place = "" if url is None else f" at {url.rsplit('@', 1)[-1]}"
        raise TrainingError(
            f"The storage of the tuning{place} cannot be used: {first_line}. "
            "Check --storage (sqlite:///FILE or postgresql://USER@HOST/NAME), that it runs and has room."
        ) from fault
    except OptunaError as fault:
        raise TrainingError(f"The search cannot go on: {fault}.") from fault


def _end_what_was_left(study: optuna.Study) -> None:
    """Mark trials of dead processes of this machine as failed; those of other machines are told by their silence."""
    import optuna

    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        worker, begun = trial.user_attrs.get(_WORKER), trial.datetime_start or datetime.now()
        # One that was killed before it gave its first sign has none to miss.
        if is_gone(worker) or (worker is None and (datetime.now() - begun).total_seconds() > _SILENT_SECONDS):
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL, skip_if_finished=True)


def _turn(trial: optuna.Trial) -> int:
    """The first turn that no other trial has; seeds what is drawn, so that two workers do not draw the same.

    The turn of a failed trial is free again: a search that was interrupted goes on as if it had not been. An earlier
    trial that has yet to say its turn will take the first free one, so that one is left to it.
    """
    import optuna

    trials = trial.study.get_trials(deepcopy=False)
    others = [o for o in trials if o.number != trial.number and o.state != optuna.trial.TrialState.FAIL]
    taken = {o.user_attrs[_TURN] for o in others if _TURN in o.user_attrs}
    before = sum(o.number < trial.number and _TURN not in o.user_attrs for o in others)
    free = [turn for turn in range(len(others) + 1) if turn not in taken]
    trial.set_user_attr(_TURN, free[before])
    return free[before]


def _importances(study: optuna.Study, random_state: int) -> dict[str, float]:
    """Share of the AUC's variance that each parameter explains; none where there is nothing to compare."""
    import optuna

    values = {trial.value for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))}
    if len(values) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=random_state)
    return {
        name: float(share)
        for name, share in optuna.importance.get_param_importances(study, evaluator=evaluator).items()
    }


def _ended() -> tuple[optuna.trial.TrialState, ...]:
    import optuna

    return (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=_ended())
