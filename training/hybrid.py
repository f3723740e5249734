"""The hybrid: log-odds of trees and nets added up with weights fitted out of fold, then one rising calibrator."""

from __future__ import annotations

import hashlib
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from features.sequences import EventSequences
from training.boosted import BoostedClassifier, NoSplitWarning
from training.calibration import (
    Calibrator,
    calibrator_from_json,
    calibrator_to_json,
    choose_calibrator,
    fit_log_odds,
    log_loss,
)
from training.checkpoints import Checkpoints
from training.estimator import (
    FORMAT,
    FitError,
    Floats,
    Integers,
    RowClassifier,
    checked_weights,
    class_folds,
    json_values,
    probabilities,
    read_json,
    require_values,
    write_json,
)
from training.sequence_net import SequenceNetClassifier
from training.tabular_net import TabularNetClassifier

Part = BoostedClassifier | TabularNetClassifier | SequenceNetClassifier
Progress = Callable[[str, float], None]
PARTS: dict[str, type[Part]] = {
    "boosted": BoostedClassifier,
    "tabular_net": TabularNetClassifier,
    "sequence_net": SequenceNetClassifier,
}
LEAST_WEIGHT = 0.02
_TELLS_NOBODY_APART = "it adds nothing, as it tells nobody apart: it needs more rows, or other parameters"
_MANY = 2000  # rows from which a second thread is worth its start
_ROWS_AT_ONCE = 1024  # what the nets take at once; so few that no thread waits long for the other at the end


class HybridClassifier(RowClassifier):
    """PD by trees and nets together, where a part that adds nothing is left out and said so.

    `log-odds = calibrator(intercept + sum of weight * part's log-odds)`.

    Parameters
    ----------
    boosted, tabular_net, sequence_net : estimator, "default" or None
        The parts; None leaves one out. The sequence net is also left out when `fit` gets no sequences.
    n_folds : int, default 3
        Folds of the out-of-fold log-odds on which weights and calibrator are fitted.
    random_state : int, default 0
        Seed of the folds; the parts have seeds of their own.
    n_jobs : int, default 2
        2 trains trees and nets side by side and scores many rows on two threads, 1 does one after the other; the model
        and its answers are the same.

    Attributes
    ----------
    parts_ : dict of str to estimator
        The parts that count, trained on all rows.
    weights_ : dict of str to float
        Weight of every part that was tried, 0 for one that was dropped.
    dropped_ : dict of str to str
        Why a part was dropped.
    intercept_ : float
    calibrator_ : Calibrator
    oof_log_odds_ : DataFrame
        Out-of-fold log-odds: a column per part that was tried, `blend`, and `calibrated`. Not kept by `save`.
    oof_fold_ : ndarray of int64
        Fold of each training row, from 0. Not kept by `save`.

    Examples
    --------
    >>> X = pd.DataFrame({"utilisation": np.linspace(0, 1, 60)})
    >>> model = HybridClassifier(boosted=BoostedClassifier(min_child_weight=1, n_seeds=1), tabular_net=None)
    >>> model.fit(X, X["utilisation"] > 0.5).predict_proba(X).shape
    (60, 2)
    """

    parts_: dict[str, Part]
    weights_: dict[str, float]
    dropped_: dict[str, str]
    intercept_: float
    calibrator_: Calibrator
    calibration_log_loss_: dict[str, float]
    oof_log_odds_: pd.DataFrame
    oof_fold_: Integers

    def __init__(
        self,
        *,
        boosted: BoostedClassifier | Literal["default"] | None = "default",
        tabular_net: TabularNetClassifier | Literal["default"] | None = "default",
        sequence_net: SequenceNetClassifier | Literal["default"] | None = "default",
        n_folds: int = 3,
        random_state: int = 0,
        n_jobs: int = 2,
    ) -> None:
        self.boosted = boosted
        self.tabular_net = tabular_net
        self.sequence_net = sequence_net
        self.n_folds = n_folds
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        sequences: EventSequences | None = None,
        groups: Any = None,
        sample_weight: Any = None,
        progress: Progress | None = None,
        checkpoints: Path | None = None,
    ) -> Self:
        """Train the parts out of fold, fit weights and calibrator there, then train what counts on all rows.

        Parameters
        ----------
        X : DataFrame or ndarray, shape (n, n_features)
            Features, NaN = missing.
        y : array, shape (n,)
            Two classes; the second in order is the bad one.
        sequences : EventSequences, optional
            Raw events of the same rows; without them there is no sequence part.
        groups : array, shape (n,), optional
            Rows of one group (a customer) never stand on both sides of any split.
        sample_weight : array, shape (n,), optional
            How much each row counts, 0 for not at all; all alike by default.
        progress : callable, optional
            Called with what is being trained and the share of the whole that is done.
        checkpoints : Path, optional
            Folder in which every trained part is kept; an interrupted fit on the same data goes on from there.

        Raises
        ------
        FitError
            One class only, too few rows, infinite values, sequences of another length, or no part at all.
        """
        rows, labels = self._start_fit(X, y)
        if sequences is not None and len(sequences) != len(rows):
            raise FitError(f"there are {len(sequences)} sequences for {len(rows)} rows; give one per row")
        # Rows that were checked once; the parts see the names of the features again, for the risk directions.
        table = pd.DataFrame(rows, columns=self._names()) if hasattr(self, "feature_names_in_") else rows
        data = _Data(table, labels, sequences, groups, checked_weights(sample_weight, labels))
        kept = None if checkpoints is None else Checkpoints(checkpoints, self._mark(data))
        tried = self._declared_parts(sequences)
        steps = _Steps(progress, (self.n_folds + 1) * len(tried))
        self.oof_log_odds_ = self._out_of_fold(tried, data, steps, kept)
        self._blend(labels, data.sample_weight)
        choice = choose_calibrator(
            self.oof_log_odds_["blend"].to_numpy(),
            labels,
            groups=groups,
            sample_weight=data.sample_weight,
            seed=self.random_state,
        )
        self.calibrator_, self.calibration_log_loss_ = choice.calibrator, choice.log_loss
        self.oof_log_odds_["calibrated"] = self.calibrator_(self.oof_log_odds_["blend"].to_numpy())
        counted = [name for name in tried if name not in self.dropped_]

        def fit_on_all(name: str) -> Part:
            step = steps.next(f"{name}: all rows")
            part = _fit_part(name, clone(tried[name]), data, step, kept, "all")
            step(1.0)
            return part

        self.parts_ = dict(
            zip(counted, self._side_by_side(fit_on_all, [(name,) for name in counted], steps), strict=True)
        )
        steps.finish()
        return self

    def raw_log_odds(self, X: Any, sequences: EventSequences | None = None) -> Floats:
        """Blended log-odds before calibration, float64, shape (n,)."""
        return self.blended(self.parts_log_odds(X, sequences))

    def blended(self, parts: dict[str, Floats]) -> Floats:
        """Blended log-odds before calibration from those of the parts, float64, shape (n,)."""
        weighted = [self.weights_[name] * part for name, part in parts.items()]
        return np.asarray(self.intercept_ + np.sum(weighted, axis=0))

    def parts_log_odds(self, X: Any, sequences: EventSequences | None = None) -> dict[str, Floats]:
        """Log-odds of each part that counts, before weights, each float64 of shape (n,)."""
        rows = self._rows(X)
        if sequences is not None and len(sequences) != len(rows):
            raise FitError(f"there are {len(sequences)} sequences for {len(rows)} rows; give one per row")

        def score(some: Integers) -> dict[str, Floats]:
            table = np.ascontiguousarray(rows[some[0] : some[-1] + 1])
            events = None if sequences is None else sequences.take(some)
            return {name: _part_log_odds(part, table, events) for name, part in self.parts_.items()}

        if self.n_jobs == 1 or len(rows) < _MANY:
            return score(np.arange(len(rows)))
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(score, np.array_split(np.arange(len(rows)), -(-len(rows) // _ROWS_AT_ONCE))))
        return {name: np.concatenate([some[name] for some in found]) for name in self.parts_}

    def log_odds(self, X: Any, sequences: EventSequences | None = None) -> Floats:
        """Calibrated log-odds of the bad class, float64, shape (n,)."""
        raw = self.raw_log_odds(X, sequences)
        return self.calibrator_(raw)

    def decision_function(self, X: Any, sequences: EventSequences | None = None) -> Floats:
        """Calibrated log-odds of the bad class, float64, shape (n,)."""
        return self.log_odds(X, sequences)

    def predict_proba(self, X: Any, sequences: EventSequences | None = None) -> Floats:
        """Probabilities of both classes, shape (n, 2); the second column is the PD."""
        return probabilities(self.log_odds(X, sequences))

    def predict(self, X: Any, sequences: EventSequences | None = None) -> Any:
        """The likelier class of each row, shape (n,)."""
        likely = self.log_odds(X, sequences) > 0
        return self.classes_[likely.astype(int)]

    def save(self, folder: Path) -> None:
        """Write `hybrid.json` and a folder per part that counts into `folder`."""
        check_is_fitted(self)
        declared = self._declared()
        for name in PARTS:
            part = declared["params"][name]
            declared["params"][name] = part if part in ("default", None) else json_values(part.get_params(deep=False))
        blend = {
            "weights": self.weights_,
            "dropped": self.dropped_,
            "intercept": self.intercept_,
            "calibrator": calibrator_to_json(self.calibrator_),
            "calibration_log_loss": self.calibration_log_loss_,
        }
        write_json(folder / "hybrid.json", {**declared, **blend})
        for name, part in self.parts_.items():
            part.save(folder / name)

    @classmethod
    def load(cls, folder: Path) -> HybridClassifier:
        """Read what `save` wrote; `BundleError` where a file is missing or broken."""
        declared = read_json(folder / "hybrid.json")
        params = declared["params"]
        for name, part in PARTS.items():
            params[name] = part(**params[name]) if isinstance(params[name], dict) else params[name]
        model = cls(**params)._declare(declared)
        model.weights_, model.dropped_ = declared["weights"], declared["dropped"]
        model.intercept_, model.calibrator_ = declared["intercept"], calibrator_from_json(declared["calibrator"])
        model.calibration_log_loss_ = declared["calibration_log_loss"]
        counted = [name for name in PARTS if name in model.weights_ and name not in model.dropped_]
        model.parts_ = {name: PARTS[name].load(folder / name) for name in counted}
        return model

    def _mark(self, data: _Data) -> str:
        """Hash of all that a part's training depends on but its own parameters."""
        mark = hashlib.sha256(f"{FORMAT} {self.n_folds} {self.random_state}".encode())
        events = data.sequences
        for array in (
            data.table,
            data.labels,
            data.groups,
            data.sample_weight,
            *((events.source, events.kind, events.values) if events is not None else ()),
        ):
            content = np.ascontiguousarray(np.asarray(array))
            mark.update(f"{content.shape}".encode())
            mark.update(content.tobytes() if content.dtype.kind in "biuf" else str(content.tolist()).encode())
        return mark.hexdigest()

    def _declared_parts(self, sequences: EventSequences | None) -> dict[str, Part]:
        """The parts to try, in their order; notes why one is not tried."""
        self.dropped_ = {}
        tried: dict[str, Part] = {}
        for name, default in PARTS.items():
            part = getattr(self, name)
            if part is None:
                continue
            if not isinstance(part, default) and part != "default":
                raise FitError(f"{name} must be a {default.__name__}, 'default' or None, not {part!r}")
            if name == "sequence_net" and sequences is None:
                self.dropped_[name] = "no sequences were given"
                continue
            tried[name] = default() if part == "default" else part
            require_values(tried[name])
        if not tried:
            raise FitError("no part is left to train; give at least boosted or tabular_net")
        return tried

    def _out_of_fold(
        self, tried: dict[str, Part], data: _Data, steps: _Steps, kept: Checkpoints | None
    ) -> pd.DataFrame:
        out = {name: np.full(len(data.labels), np.nan) for name in tried}
        use = "the hybrid, which splits for its folds and again for early stopping,"
        folds = list(class_folds(data.labels, self.n_folds, self.random_state, data.groups, least=4, use=use))

        self.oof_fold_ = np.empty(len(data.labels), dtype=np.int64)
        for fold, (_, test_rows) in enumerate(folds):
            self.oof_fold_[test_rows] = fold

        def fit_fold(name: str, fold: int) -> None:
            train, test = (data.take(rows) for rows in folds[fold])
            step = steps.next(f"{name}: fold {fold + 1} of {len(folds)}")
            fitted = _fit_part(name, clone(tried[name]), train, step, kept, f"fold{fold + 1}")
            out[name][folds[fold][1]] = _part_log_odds(fitted, test.table, test.sequences)
            step(1.0)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NoSplitWarning)  # what holds for a fold is told once, by `dropped_`
            self._side_by_side(fit_fold, [(name, fold) for fold in range(len(folds)) for name in tried], steps)
        return pd.DataFrame(out)

    def _side_by_side(self, fit: Callable[..., Any], tasks: list[tuple[Any, ...]], steps: _Steps) -> list[Any]:
        """Fit parts, named first in each task, trees beside nets; nets follow each other, as they share one seed."""
        lanes = [[task for task in tasks if (task[0] == "boosted") == trees] for trees in (True, False)]
        found: dict[tuple[Any, ...], Any] = {}

        def run(lane: list[tuple[Any, ...]]) -> None:
            for task in lane:
                if steps.stopped.is_set():
                    return
                found[task] = fit(*task)

        with ThreadPoolExecutor(max(1, min(self.n_jobs, 2))) as pool:
            try:
                for done in [pool.submit(run, lane) for lane in lanes]:
                    done.result()
            except BaseException:  # an interruption, too, must not wait for all that is left
                steps.stopped.set()
                raise
        return [found[task] for task in tasks]

    def _blend(self, labels: Integers, each: Floats | None = None) -> None:
        """Fit weights and intercept; while a part counts for nothing, drop the weakest and fit again."""
        parts = self.oof_log_odds_
        self.weights_ = dict.fromkeys(parts.columns, 0.0)
        # A part that answers each fold with one number has no weight that means anything.
        kept = [name for name in self.weights_ if parts[name].nunique() > self.n_folds] or list(self.weights_)
        self.dropped_ |= {name: _TELLS_NOBODY_APART for name in self.weights_ if name not in kept}
        weights, self.intercept_ = fit_log_odds(parts[kept].to_numpy(), labels, each)
        while len(kept) > 1 and min(weights) < LEAST_WEIGHT:
            # Where nothing predicts, all weights are 0: then the part that is most wrong goes first.
            losses = [log_loss(parts[name].to_numpy(), labels, each) for name in kept]
            weakest = min(range(len(kept)), key=lambda k: (weights[k], -losses[k]))
            name, weight = kept.pop(weakest), weights[weakest]
            self.dropped_[name] = (
                f"weight {weight:.4f} beside {', '.join(kept)} is below {LEAST_WEIGHT}: it adds nothing"
            )
            weights, self.intercept_ = fit_log_odds(parts[kept].to_numpy(), labels, each)
        self.weights_ |= {name: float(weight) for name, weight in zip(kept, weights, strict=True)}
        self.oof_log_odds_["blend"] = self.intercept_ + parts[kept].to_numpy() @ weights


class _Steps:
    """Progress over trainings of equal weight, some side by side: what is being trained and the share of the whole."""

    def __init__(self, tell: Progress | None, total: int) -> None:
        self.tell = tell or (lambda text, share: None)
        self.total = total
        self.shares: dict[str, float] = {}
        self.one_at_a_time = threading.Lock()
        self.stopped = threading.Event()

    def next(self, text: str) -> Callable[[float], None]:
        """Begin a step; the answer is called with the share of the step that is done."""
        self._told(text, 0.0)
        return lambda share: self._told(text, share)

    def finish(self) -> None:
        """All is done."""
        self.tell("done", 1.0)

    def _told(self, text: str, share: float) -> None:
        if self.stopped.is_set():
            raise InterruptedError("the training was stopped")
        with self.one_at_a_time:
            self.shares[text] = max(share, self.shares.get(text, 0.0))
            self.tell(text, min(1.0, sum(self.shares.values()) / self.total))


@dataclass(frozen=True)
class _Data:
    """Rows to train on: features, labels, events, groups and weights of the same rows."""

    table: Any
    labels: Integers
    sequences: EventSequences | None
    groups: Any
    sample_weight: Floats | None

    def take(self, rows: Integers) -> _Data:
        """The given rows."""
        table = self.table.iloc[rows] if isinstance(self.table, pd.DataFrame) else self.table[rows]
        return _Data(
            table,
            self.labels[rows],
            None if self.sequences is None else self.sequences.take(rows),
            None if self.groups is None else np.asarray(self.groups)[rows],
            None if self.sample_weight is None else self.sample_weight[rows],
        )


def _fit_part(
    name: str, part: Part, data: _Data, progress: Callable[[float], None], kept: Checkpoints | None, stage: str
) -> Part:
    """Train a part, or take it up from where an interrupted run kept it."""
    found = None if kept is None else kept.read(f"{name}-{stage}", part)
    if found is None:
        found = _fitted(part, data, progress)
        if kept is not None:
            kept.write(f"{name}-{stage}", part, found)
    return found


def _fitted(part: Part, data: _Data, progress: Callable[[float], None]) -> Part:
    given: dict[str, Any] = {"groups": data.groups, "sample_weight": data.sample_weight}
    if isinstance(part, SequenceNetClassifier):
        if data.sequences is None:
            raise FitError("the sequence net needs sequences")
        return part.fit(data.sequences, data.labels, progress=progress, **given)
    if isinstance(part, TabularNetClassifier):
        return part.fit(data.table, data.labels, progress=progress, **given)
    return part.fit(data.table, data.labels, **given)


def _part_log_odds(part: Part, rows: Any, sequences: EventSequences | None) -> Floats:
    if not isinstance(part, SequenceNetClassifier):
        return part.log_odds(rows)
    if sequences is None:
        raise FitError("this model was trained with sequences of events; give the sequences of the same rows")
    return part.log_odds(sequences)
