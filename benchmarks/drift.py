"""The monitor's promise: it is silent when nothing drifts, speaks when something does, and keeps up.

    python -m benchmarks.drift [--days N] [--shifts N] [--windows N] [--features N] [--reference N]

Applicants have 300 features, correlated by common factors: normal, heavy-tailed, counts, yes/no and mostly-zero
amounts, a third of them with missing values, which depend on the same factors. Every reference is drawn anew for some
of the days, since the luck of one reference is shared by all days that are compared with it.

The last line on stdout is one JSON object:

* `false_alarm_days` at n = 200, 1,000, 5,000: share of days without drift on which anything is called drifted, judged
  as the monitor judges a day: features, score, and the mix of four dimensions of 2 to 30 levels, some of them rare;
  `psi_false_alarm_days`, on the same days, by the rule of a PSI over 0.1 on any of them;
* `power` at n = 2,000: share of days on which the one feature whose hidden cause moves by a quarter of a standard
  deviation is named, taking the features in turn; `power_by_kind`; `psi_power`, the same by the fixed rule;
  `named_wrongly`, other features named on those days, a day;
* `values_per_second` of `compare` at n = 5,000, counting and testing together, best of five;
* `joint_false_alarms`, `joint_power`: of the classifier two-sample test at a level of 0.05, on 1,000 rows of today
  beside 1,000 of the reference: without drift, and where five pairs of features lose their correlation, each keeping
  its distribution;
* `coverage`: share of windows in which the interval of the label-free AUC holds the AUC of the outcomes that follow,
  PDs of a fitted and calibrated model, applicants drifting; `coverage_bad_rate` likewise; `coverage_relation_changed`,
  the AUC's where the relation of features and outcome changes, which no label-free estimate can see.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit
from scipy.stats import norm, poisson
from sklearn.linear_model import LogisticRegression

from evaluation.drift import ALPHA, compare
from evaluation.drift.compare import DriftResult
from evaluation.drift.joint import joint_drift
from evaluation.drift.shares import Mix, mix_drift
from evaluation.metrics import auc
from evaluation.without_labels import expected
from training.reference import Reference

Array = npt.NDArray[np.float64]

_DAYS_OF_A_REFERENCE = 50
_FIXED = 0.1
_POPULATION = 60_000
_REQUEST_ROWS = 2_000  # of the reference, as a bundle carries them
_KINDS = ("normal", "heavy", "count", "yes_no", "mostly_zero", "normal")


class Applicants:
    """A made-up population whose features hang together; every day is drawn from it anew, and so is every reference."""

    def __init__(self, features: int, rng: np.random.Generator) -> None:
        self.rng = rng
        self.names = [f"f{at:03d}" for at in range(features)]
        self.kinds = [_KINDS[at % len(_KINDS)] for at in range(features)]
        loadings = rng.normal(size=(8, features)) * rng.uniform(0.1, 0.9, features)
        own = np.sqrt(np.maximum(1 - (loadings**2).sum(axis=0) / 8, 0.2))
        factors = rng.normal(size=(_POPULATION, 8))
        hidden = factors @ loadings + own * rng.normal(size=(_POPULATION, features))
        self._hidden = hidden / np.sqrt((loadings**2).sum(axis=0) + own**2)
        self._parameter = rng.uniform(0, 1, features)
        self._values = np.empty((_POPULATION, features))
        for at in range(features):
            self._values[:, at] = self._seen(self.kinds[at], self._hidden[:, at], self._parameter[at])
        # who has much of the first factor lacks more values
        rates = np.where(np.arange(features) % 3 == 1, rng.uniform(0.02, 0.6, features), 0.0)
        gone = rng.random(self._values.shape) < np.minimum(rates * 2 * norm.cdf(factors[:, :1]), 0.95)
        self._values[gone] = np.nan
        self._log_odds = self._hidden @ rng.normal(size=features) / np.sqrt(features) * 2 - 2

    def draw(self, n: int, moved: int | None = None) -> tuple[pd.DataFrame, Array]:
        """Features and log-odds of `n` applicants; the hidden cause of one feature `moved` by a quarter sigma."""
        rows = self.rng.integers(0, _POPULATION, n)
        values = self._values[rows]
        if moved is not None:
            shifted = self._seen(self.kinds[moved], self._hidden[rows, moved] + 0.25, self._parameter[moved])
            values[:, moved] = np.where(np.isnan(values[:, moved]), np.nan, shifted)
        return pd.DataFrame(values, columns=self.names), self._log_odds[rows]

    @staticmethod
    def _seen(kind: str, hidden: Array, parameter: float) -> Array:
        if kind == "heavy":
            return np.asarray(np.round(np.exp(6 + 1.2 * hidden), 2))
        if kind == "count":
            return np.asarray(poisson.ppf(norm.cdf(hidden), 0.3 + 3 * parameter))
        if kind == "yes_no":
            return np.asarray((hidden > norm.ppf(0.5 + 0.45 * parameter)).astype(np.float64))
        if kind == "mostly_zero":
            return np.asarray(np.where(hidden > norm.ppf(0.6 + 0.25 * parameter), np.exp(hidden), 0.0))
        return hidden

    def reference(self, rows: int) -> Reference:
        """Of newly drawn applicants."""
        return Reference.from_frame(*self.draw(rows))


def false_alarms(stream: Applicants, days: int, reference_rows: int) -> dict[str, dict[str, float]]:
    """Share of days without drift on which something is called drifted."""
    ours: dict[int, int] = defaultdict(int)
    fixed: dict[int, int] = defaultdict(int)
    for n in (200, 1_000, 5_000):
        for result, mix in _days(stream, days, n, reference_rows):
            ours[n] += result.verdict == "drifted" or bool(mix.drifted)
            psis = [row.psi for row in (result.score, *result.features)] + [one.psi for one in mix.shares]
            fixed[n] += max(psis) > _FIXED
    return {
        "false_alarm_days": {str(n): round(count / days, 4) for n, count in ours.items()},
        "psi_false_alarm_days": {str(n): round(fixed[n] / days, 4) for n in ours},
    }


def _days(stream: Applicants, days: int, n: int, reference_rows: int) -> Iterator[tuple[DriftResult, Mix]]:
    for day in range(days):
        if day % _DAYS_OF_A_REFERENCE == 0:
            reference, asked = stream.reference(reference_rows), _asked(stream.rng, _REQUEST_ROWS)
        drift = compare(reference, *stream.draw(n), alpha=2 * ALPHA / 3)
        yield drift, mix_drift(asked, _asked(stream.rng, n), alpha=ALPHA / 3)


def _asked(rng: np.random.Generator, n: int) -> dict[str, list[int]]:
    """Levels of four dimensions, each level rarer than the one before."""
    return {str(levels): np.minimum(rng.geometric(0.3, n), levels).tolist() for levels in (2, 5, 12, 30)}


def power(stream: Applicants, shifts: int, reference_rows: int) -> dict[str, Any]:
    """Share of days on which the one feature that moved is named."""
    found, fixed, wrong = defaultdict(list), 0, 0
    reference = stream.reference(reference_rows)
    order = stream.rng.permutation(len(stream.names))
    for at in range(shifts):
        moved = int(order[at % len(order)])
        result = compare(reference, *stream.draw(2_000, moved))
        named = {row.name for row in result.drifted}
        found[stream.kinds[moved]].append(stream.names[moved] in named)
        wrong += len(named - {stream.names[moved]})
        fixed += result.features[moved].psi > _FIXED
    every = [hit for hits in found.values() for hit in hits]
    return {
        "power": round(float(np.mean(every)), 4),
        "power_by_kind": {kind: round(float(np.mean(hits)), 3) for kind, hits in sorted(found.items())},
        "psi_power": round(fixed / shifts, 4),
        "named_wrongly": round(wrong / shifts, 4),
    }


def values_per_second(stream: Applicants, reference_rows: int) -> float:
    """Values through `compare`, best of five."""
    reference, (features, score) = stream.reference(reference_rows), stream.draw(5_000)
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        compare(reference, features, score)
        seconds.append(time.perf_counter() - started)
    return features.size / min(seconds)


def joint(rng: np.random.Generator, tries: int) -> dict[str, float]:
    """False alarms and power of the classifier two-sample test at a level of 0.05."""
    pairs, n = 5, 1_000
    alarms, hits = 0, 0
    for seed in range(tries):
        then, now = (_paired(rng, n, pairs) for _ in range(2))
        alarms += joint_drift(then, now, seed=seed).p_value <= 0.05
        broken = now.copy()
        for at in range(pairs):
            broken.iloc[:, at] = rng.permutation(broken.iloc[:, at].to_numpy())
        hits += joint_drift(then, broken, seed=seed).p_value <= 0.05
    return {"joint_false_alarms": round(alarms / tries, 3), "joint_power": round(hits / tries, 3)}


def _paired(rng: np.random.Generator, n: int, pairs: int) -> pd.DataFrame:
    values = rng.normal(size=(n, 40))
    values[:, :pairs] = 0.6 * values[:, pairs : 2 * pairs] + 0.8 * values[:, :pairs]
    return pd.DataFrame(values, columns=[f"f{at}" for at in range(40)])


def coverage(rng: np.random.Generator, windows: int) -> dict[str, float]:
    """How often the intervals of the label-free figures hold what the outcomes then show."""
    weights = rng.normal(size=20) * 0.4
    features = rng.normal(size=(30_000, 20))
    learnt = LogisticRegression(C=1.0).fit(features, rng.random(30_000) < expit(features @ weights - 2.2))
    held: dict[str, list[bool]] = defaultdict(list)
    for at in range(windows):
        n, spread = int(rng.choice([500, 2_000, 5_000])), rng.uniform(0.6, 1.4, 20)
        now = rng.normal(size=(n, 20)) * spread + rng.normal(size=20) * 0.3
        pd_now = learnt.predict_proba(now)[:, 1]
        found = expected(pd_now, draws=300, seed=at)
        bad = rng.random(n) < expit(now @ weights - 2.2)
        area = auc(bad.astype(int), pd_now).value
        held["coverage"].append(_holds(found.auc.low, area, found.auc.high))
        held["coverage_bad_rate"].append(_holds(found.bad_rate.low, float(bad.mean()), found.bad_rate.high))
        turned = weights * np.where(np.arange(20) % 3 == 0, -0.5, 1.0)
        changed = rng.random(n) < expit(now @ turned - 1.6)
        area = auc(changed.astype(int), pd_now).value
        held["coverage_relation_changed"].append(_holds(found.auc.low, area, found.auc.high))
    return {name: round(float(np.mean(hits)), 4) for name, hits in held.items()}


def _holds(low: float | None, value: float | None, high: float | None) -> bool:
    return low is not None and value is not None and high is not None and low <= value <= high


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="False alarms, power and speed of the drift monitor.")
    parser.add_argument("--days", type=int, default=500, help="without drift, at each number of rows")
    parser.add_argument("--shifts", type=int, default=300, help="days on which one feature moves")
    parser.add_argument("--windows", type=int, default=300, help="of the label-free estimate")
    parser.add_argument("--joint", type=int, default=40, help="tries of the classifier two-sample test")
    parser.add_argument("--features", type=int, default=300)
    parser.add_argument("--reference", type=int, default=10_000, help="rows of a reference")
    asked = parser.parse_args()
    started = time.perf_counter()
    stream = Applicants(asked.features, np.random.default_rng(2026))
    measured = {
        "features": asked.features,
        "days": asked.days,
        "reference_rows": asked.reference,
        **false_alarms(stream, asked.days, asked.reference),
        **power(stream, asked.shifts, asked.reference),
        "values_per_second": round(values_per_second(stream, asked.reference)),
        **joint(np.random.default_rng(7), asked.joint),
        **coverage(np.random.default_rng(11), asked.windows),
    }
    print(json.dumps({**measured, "seconds": round(time.perf_counter() - started, 1)}))


if __name__ == "__main__":
    main()
