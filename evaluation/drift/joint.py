"""Whether rows of today can be told from rows of the reference at all: a classifier two-sample test.

Lopez-Paz and Oquab (2017), "Revisiting Classifier Two-Sample Tests". It sees what no single feature shows: relations
between features that changed. Both samples are halved; a small XGBoost learns on one half which rows are of today and
is tried on the other, and the other way round. On rows that it has not seen, its ranking is no better than chance
without drift: the p-value is that of the rank-sum test, times two for the two halves. Pooling the answers of several
folds, as is often done, has no such null distribution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xgboost
from scipy.stats import mannwhitneyu

from evaluation.metric import Array, Integers, Metric
from evaluation.metrics import auc

MOST_ROWS = 2_000  # of each sample: more would only make it slower
LEAST_ROWS = 100  # in each sample
_ROUNDS = 40
_PARAMETERS = {
    "objective": "binary:logistic",
    "max_depth": 3,
    "eta": 0.1,
    "subsample": 0.8,
    "min_child_weight": 5,
    "tree_method": "hist",
    "nthread": 1,
    "verbosity": 0,
}
_NAMED = 5
_LARGEST = 1e38  # in single precision, in which XGBoost compares


@dataclass(frozen=True)
class JointDrift:
    """How well today's rows can be told from the reference's.

    Parameters
    ----------
    auc : Metric
        Mean over both halves of the chance that a row of today ranks above one of the reference; 0.5 without drift.
        Undefined where a sample is too small.
    p_value : float
        Chance of so high an AUC without drift; 1 where it is undefined.
    rows, reference_rows : int
        That were compared.
    features : tuple of str
        By which they were told apart, the most useful first; chance alone names some, too.
    """

    auc: Metric
    p_value: float
    rows: int
    reference_rows: int
    features: tuple[str, ...] = ()


def joint_drift(reference: pd.DataFrame, now: pd.DataFrame, *, seed: int = 0) -> JointDrift:
    """Test whether a classifier tells today's rows from the reference's.

    Parameters
    ----------
    reference, now : DataFrame, shape (n, n_features)
        Rows with the same columns, NaN = missing; of larger samples `MOST_ROWS` are drawn.
    seed : int
        Draws rows and halves; the same seed gives the same answer.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> then = pd.DataFrame(rng.normal(size=(800, 2)), columns=["a", "b"])
    >>> now = pd.DataFrame(rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], 800), columns=["a", "b"])
    >>> found = joint_drift(then, now)
    >>> found.p_value < 1e-6, found.auc.value > 0.6
    (True, True)
    """
    if min(len(reference), len(now)) < LEAST_ROWS:
        few = (f"{len(now)} rows beside {len(reference)} of the reference, {LEAST_ROWS} of each are needed",
               f"当前{len(now)}行、参考{len(reference)}行，各至少需要{LEAST_ROWS}行")  # fmt: skip
        return JointDrift(Metric(None, None, None, len(now), *few), 1.0, len(now), len(reference))
    rng = np.random.default_rng(seed)
    then_rows, now_rows = (_drawn(len(rows), rng) for rows in (reference, now))
    drawn = reference.iloc[then_rows], now.iloc[now_rows][list(reference.columns)]
    values = np.vstack([rows.to_numpy(dtype=np.float64) for rows in drawn])
    values = np.clip(values, -_LARGEST, _LARGEST).astype(np.float32)  # XGBoost takes no infinite values
    today = np.repeat([0, 1], [len(then_rows), len(now_rows)])
    halves = np.concatenate([np.arange(len(then_rows)) % 2, np.arange(len(now_rows)) % 2])  # their order is drawn
    areas, chances, gains = [], [], np.zeros(values.shape[1])
    for half in (0, 1):
        learnt, tried = (np.flatnonzero(halves == side) for side in (half, 1 - half))
        score, gain = _ranked(values, today, learnt, tried, seed)
        gains += gain
        area = auc(today[tried], score)
        areas.append(area)
        above = mannwhitneyu(score[today[tried] == 1], score[today[tried] == 0], alternative="greater")
        chances.append(float(above.pvalue))
    mean = float(np.mean([area.value for area in areas]))
    error = np.sqrt(sum((area.high - area.low) ** 2 for area in areas if area.high and area.low)) / 4
    names = [str(reference.columns[at]) for at in np.argsort(-gains, kind="stable")[:_NAMED] if gains[at] > 0]
    told = Metric(mean, max(0.0, mean - float(error)), min(1.0, mean + float(error)), len(today))
    return JointDrift(told, min(1.0, 2 * min(chances)), len(now_rows), len(then_rows), tuple(names))


def _drawn(n: int, rng: np.random.Generator) -> Integers:
    return rng.permutation(n)[:MOST_ROWS]


def _ranked(values: Array, today: Integers, learnt: Integers, tried: Integers, seed: int) -> tuple[Array, Array]:
    """Scores of the rows that are tried, and what each feature was worth in learning."""
    # both samples count alike, however many rows they have
    weight = np.where(today[learnt] == 1, 1 / (today[learnt] == 1).sum(), 1 / (today[learnt] == 0).sum())
    data = xgboost.DMatrix(values[learnt], today[learnt], weight=weight * len(learnt) / 2)
    booster = xgboost.train({**_PARAMETERS, "seed": seed}, data, _ROUNDS)
    gain = np.zeros(values.shape[1])
    for name, value in booster.get_score(importance_type="total_gain").items():
        gain[int(name[1:])] = value
    return booster.predict(xgboost.DMatrix(values[tried]), output_margin=True), gain
