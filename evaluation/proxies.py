"""Proxies: how well the features tell a protected attribute that none of them reads, and which do most.

A small XGBoost learns the attribute from the features and is measured out of fold. An AUC of 0.5, or an R2 of 0, means
that they do not tell it; near 1, a model could treat groups apart without ever reading the attribute.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas
from scipy.stats import rankdata

from evaluation.metric import Z95, Array, Integers, Metric
from evaluation.metrics import auc
from evaluation.resampling import draws

Kind: TypeAlias = Literal["auc", "r2"]

_LEAST_OF_LEVEL = 30
_LEAST_ROWS = 100


@dataclass(frozen=True)
class ProxyFeature:
    """A feature that helps to tell the attribute.

    Parameters
    ----------
    feature : str
    gain : float
        Its share of all that the trees gained, mean over the folds.
    alone : Metric
        AUC (whichever way it points) or squared rank correlation of the feature alone; missing values are the lowest.
    """

    feature: str
    gain: float
    alone: Metric


@dataclass(frozen=True)
class Proxies:
    """How well the features tell an attribute, or one level of it.

    Parameters
    ----------
    attribute : str
    level : str or None
        Of a worded attribute, against all other levels; None for a number.
    kind : {"auc", "r2"}
    told : Metric
        Out of fold.
    features : tuple of ProxyFeature
        Those that do most.
    """

    attribute: str
    level: str | None
    kind: Kind
    told: Metric
    features: tuple[ProxyFeature, ...]


@dataclass(frozen=True)
class _Target:
    """What is to be told: values of shape (n,), and which rows have one."""

    attribute: str
    level: str | None
    kind: Kind
    values: Array
    known: npt.NDArray[np.bool_]


def proxies(
    features: pandas.DataFrame,
    attributes: pandas.DataFrame,
    *,
    most: int = 10,
    folds: int = 3,
    rounds: int = 30,
    rows: int = 6000,
    resamples: int = 200,
    seed: int = 0,
) -> list[Proxies]:
    """Learn each protected attribute from the features.

    Parameters
    ----------
    features : DataFrame of float64, shape (n, n_features)
        What the model reads, NaN = missing.
    attributes : DataFrame, shape (n, n_attributes)
        Numbers (age) are told as such; of words, each level of 30 rows or more is told from the others (of two levels
        the first). In the order of `features`.
    most : int, default 10
        Features to name.
    folds, rounds : int
        Of the trees, of depth 3.
    rows : int, default 6000
        At most as many, drawn by `seed`.
    resamples : int, default 200
        Of the interval of R2.

    Returns
    -------
    list of Proxies
        By attribute and level; undefined, with the reason, where too few rows have it.
    """
    if len(features) != len(attributes):
        raise ValueError(f"{len(features)} rows of features but {len(attributes)} of attributes: give one a row.")
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(features))[:rows])
    matrix = features.iloc[chosen].to_numpy(dtype=np.float32)
    fold = rng.permutation(len(chosen)) % folds
    targets = [one for name in attributes for one in _targets(attributes[name].iloc[chosen])]
    usable = [one for one in targets if _reason(one) is None]
    told, gains = _learnt(matrix, fold, usable, folds, rounds, seed)
    found = {}
    for one, predicted, gain in zip(usable, told, gains, strict=True):
        figure = _figure(one, predicted, resamples, seed)
        best = np.argsort(-gain, kind="stable")[:most]
        named = [
            ProxyFeature(str(features.columns[k]), float(gain[k]), _alone(one, matrix[:, k]))
            for k in best
            if gain[k] > 0
        ]
        found[one.attribute, one.level] = Proxies(one.attribute, one.level, one.kind, figure, tuple(named))
    return [found.get((one.attribute, one.level)) or _unknown(one) for one in targets]


def _targets(attribute: pandas.Series) -> Iterator[_Target]:
    name, known = str(attribute.name), attribute.notna().to_numpy(dtype=bool)
    if pandas.api.types.is_numeric_dtype(attribute) and not pandas.api.types.is_bool_dtype(attribute):
        yield _Target(name, None, "r2", attribute.to_numpy(dtype=np.float64, na_value=np.nan), known)
        return
    words = attribute.astype("str").to_numpy(dtype=object)
    names, counts = np.unique(words[known].astype(str), return_counts=True)
    levels: list[str | None] = [str(level) for level in names[counts >= _LEAST_OF_LEVEL]]
    for level in (levels[:1] if len(names) <= 2 else levels) or [None]:
        yield _Target(name, level, "auc", np.asarray(words == level, dtype=np.float64), known)


def _reason(target: _Target) -> tuple[str, str] | None:
    """Why it cannot be told, if so."""
    values = target.values[target.known]
    if len(values) < _LEAST_ROWS:
        return (
            f"{len(values)} rows with the attribute, {_LEAST_ROWS} are needed",
            f"仅{len(values)}行有该属性，至少需要{_LEAST_ROWS}行",
        )
    if target.kind == "auc" and min(values.sum(), len(values) - values.sum()) < _LEAST_OF_LEVEL:
        return "every row, or nearly, is of one level", "几乎所有样本同属一个取值"
    return ("every value is equal", "所有取值相同") if np.ptp(values) == 0 else None


def _unknown(target: _Target) -> Proxies:
    reason = _reason(target) or ("", "")
    none = Metric(None, None, None, int(target.known.sum()), *reason)
    return Proxies(target.attribute, target.level, target.kind, none, ())


def _learnt(
    matrix: npt.NDArray[np.float32],
    fold: Integers,
    targets: list[_Target],
    folds: int,
    rounds: int,
    seed: int,
) -> tuple[Array, Array]:
    """Out-of-fold predictions, shape (targets, n), and shares of gain, shape (targets, n_features)."""
    import xgboost

    told = np.zeros((len(targets), len(matrix)))
    gains = np.zeros((len(targets), matrix.shape[1]))
    for k in range(folds if targets else 0):
        learnt, held = fold != k, fold == k
        # cut into bins once for all attributes; rows without an attribute weigh nothing
        binned = xgboost.QuantileDMatrix(matrix[learnt], np.zeros(learnt.sum()), max_bin=32, nthread=1)
        for j, one in enumerate(targets):
            binned.set_label(np.where(one.known, one.values, 0.0)[learnt])
            binned.set_weight(one.known[learnt].astype(np.float64))
            objective = "reg:squarederror" if one.kind == "r2" else "binary:logistic"
            asked = {"objective": objective, "max_depth": 3, "eta": 0.2, "max_bin": 32, "nthread": 1, "seed": seed}
            booster = xgboost.train(asked, binned, rounds)
            told[j, held] = booster.inplace_predict(matrix[held])
            gain = booster.get_score(importance_type="total_gain")
            every = np.array([gain.get(f"f{column}", 0.0) for column in range(matrix.shape[1])], dtype=np.float64)
            gains[j] += every / max(every.sum(), 1e-12) / folds
    return told, gains


def _figure(target: _Target, predicted: Array, resamples: int, seed: int) -> Metric:
    values, told = target.values[target.known], predicted[target.known]
    if target.kind == "auc":
        return auc(values.astype(np.int64), told)
    error, n = (values - told) ** 2, len(values)

    def r2(rows: Integers) -> Array:
        return np.asarray(1 - error[rows].mean(axis=1) / values[rows].var(axis=1))

    found = np.concatenate([r2(rows) for rows in draws(np.random.default_rng(seed), n, resamples)])
    low, high = np.quantile(found, [0.025, 0.975])
    return Metric(float(r2(np.arange(n)[None])[0]), float(low), float(high), n)


def _alone(target: _Target, feature: Array) -> Metric:
    values = target.values[target.known]
    rank = rankdata(np.nan_to_num(feature[target.known], nan=-np.inf))
    if target.kind == "auc":
        label = values.astype(np.int64)
        it = auc(label, rank)
        return it if (it.value or 0) >= 0.5 else auc(label, -rank)
    n, of_values = len(values), rankdata(values)
    r = float(np.corrcoef(rank, of_values)[0, 1])
    # Fisher's z, with the standard error that Bonett and Wright (2000) give for ranks
    half = Z95 * np.sqrt((1 + r**2 / 2) / (n - 3))
    low, high = np.tanh(np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12)) + np.array([-half, half]))
    least = 0.0 if low <= 0 <= high else min(low**2, high**2)
    return Metric(r**2, float(least), float(max(low**2, high**2)), n)
