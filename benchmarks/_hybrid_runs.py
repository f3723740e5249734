"""The hybrid fold by fold, trained by the same function that `lendwell train` calls."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from benchmarks._peer_runs import say
from data_contracts.folder import TableFolder
from training import run
from training.experiment import Experiment
from training.run import Rows

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclasses.dataclass
class HybridRuns:
    """What the hybrid and its parts said of rows that they were not trained on.

    Parameters
    ----------
    pd : ndarray, shape (n,)
        Calibrated PD of the hybrid.
    parts : dict of str to ndarray, shape (n,)
        Log-odds of each part; NaN in the folds in which it was dropped.
    inside : dict of str to dict of int to float
        AUC, out of fold within the training rows, of a part that was dropped, by the fold in which it was.
    weights : list of dict of str to float
        Of every part, 0 for a dropped one, by fold.
    calibrators : list of str
    fit_cpu_seconds : list of float
        By fold, the search included.
    part_cpu_seconds : dict of str to list of float
        Of these, what each part took.
    tuned : list of dict
        Parameters that a search found, by fold.
    """

    pd: Floats
    parts: dict[str, Floats]
    inside: dict[str, dict[int, float]] = dataclasses.field(default_factory=dict)
    weights: list[dict[str, float]] = dataclasses.field(default_factory=list)
    calibrators: list[str] = dataclasses.field(default_factory=list)
    fit_cpu_seconds: list[float] = dataclasses.field(default_factory=list)
    part_cpu_seconds: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    tuned: list[dict[str, Any]] = dataclasses.field(default_factory=list)


def run_hybrid(experiment: Experiment, folder: TableFolder, rows: Rows, fold: Integers, *, search: bool) -> HybridRuns:
    """Train on all folds but one and score that one, for each; `search` tunes within the training rows first."""
    n = len(rows.defaulted)
    found = HybridRuns(np.full(n, np.nan), {name: np.full(n, np.nan) for name in experiment.parts})
    for number in np.unique(fold):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        some = dataclasses.replace(rows, sample=dataclasses.replace(rows.sample, train=train, test=test))
        watch, started = _Watch(), time.process_time()
        best = run.search(experiment, some) if search else None
        model = run.train(experiment, folder, some, best=best, progress=watch).model
        found.fit_cpu_seconds.append(time.process_time() - started)
        features, events = rows.features.iloc[test], rows.events.take(test)
        parts = model.parts_log_odds(features, events)
        for name, log_odds in parts.items():
            found.parts[name][test] = log_odds
        for name in experiment.parts:
            if name in parts or name not in model.oof_log_odds_:
                continue
            inside = roc_auc_score(rows.defaulted[train], model.oof_log_odds_[name])
            found.inside.setdefault(name, {})[int(number)] = float(inside)
        found.pd[test] = expit(model.log_odds(features, events))
        found.weights.append(dict(model.weights_))
        found.calibrators.append(model.calibrator_.kind)
        for name, seconds in watch.seconds(found.fit_cpu_seconds[-1]).items():
            found.part_cpu_seconds.setdefault(name, []).append(seconds)
        found.tuned.append(best.best_params if best else {})
        told = ", ".join(f"{name} {weight:.2f}" for name, weight in model.weights_.items())
        say(f"hybrid: fold {number + 1}, weights {told}, AUC {roc_auc_score(rows.defaulted[test], found.pd[test]):.4f}")
    return found


class _Watch:
    """Which part a training spends its time on, from its progress.

    Trees are trained by one thread, whose processor time is exact. What is left of the whole is of the nets, which
    follow each other: theirs is divided by the clock.
    """

    def __init__(self) -> None:
        self._here = threading.local()
        self._cpu: dict[str, float] = {}
        self._wall: dict[str, float] = {}

    def __call__(self, text: str, share: float) -> None:
        cpu, wall = time.thread_time(), time.perf_counter()
        part, cpu_before, wall_before = getattr(self._here, "last", ("", cpu, wall))
        self._cpu[part] = self._cpu.get(part, 0.0) + cpu - cpu_before
        self._wall[part] = self._wall.get(part, 0.0) + wall - wall_before
        self._here.last = text.partition(":")[0], cpu, wall

    def seconds(self, whole: float) -> dict[str, float]:
        """Processor seconds of each part, where `whole` was used in all."""
        trees = self._cpu.get("boosted", 0.0)
        nets = {name: wall for name, wall in self._wall.items() if name.endswith("_net")}
        each = (whole - trees) / (sum(nets.values()) or 1.0)
        shares = {"boosted": trees} if "boosted" in self._cpu else {}
        return shares | {name: wall * each for name, wall in nets.items()}
