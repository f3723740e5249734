"""What a PD does when its features are measured a little differently: noise of growing size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas
from scipy.special import expit

from evaluation.metric import Array, Metric, checked, mean, one_class
from evaluation.metrics import auc, auc_difference
from evaluation.tables import share

Score: TypeAlias = Callable[[pandas.DataFrame], npt.ArrayLike]
"""Features to log-odds; rows keep the labels of the index that they were given with, by which to find their events."""


@dataclass(frozen=True)
class Noise:
    """How a model answers features with noise, beside those without, on the same applicants.

    Parameters
    ----------
    size : float
        Standard deviation of the noise, in typical spreads of each feature.
    auc, auc_change : Metric
        With noise, and how far that is from the AUC without.
    pd_change : Metric
        Mean absolute change of the PD.
    pd_change_95 : float or None
        Nineteen of twenty PDs change by less.
    decisions_changed : Metric
        Share of applicants who end on the other side of the cut-off.
    """

    size: float
    auc: Metric
    auc_change: Metric
    pd_change: Metric
    pd_change_95: float | None
    decisions_changed: Metric


def noise_robustness(
    score: Score,
    features: pandas.DataFrame,
    y: npt.ArrayLike,
    *,
    sizes: Sequence[float] = (0.01, 0.05, 0.1, 0.2),
    cutoff: float | None = None,
    seed: int = 0,
) -> list[Noise]:
    """Score applicants again with noise on every feature that has a value.

    Parameters
    ----------
    score : callable
        DataFrame of features to log-odds, higher is riskier.
    features : DataFrame of float64, shape (n, n_features)
        NaN = missing, and stays so.
    y : array of 0 and 1, shape (n,)
    sizes : sequence of float
        Of the noise; the same draws are scaled, so that steps compare.
    cutoff : float, optional
        Applicants with a higher PD are refused; the bad rate by default.
    seed : int, default 0

    Examples
    --------
    >>> features = pandas.DataFrame({"income_monthly": [4.0, 5.0, 6.0, 7.5]})
    >>> found = noise_robustness(lambda frame: 5 - frame["income_monthly"], features, [1, 1, 0, 0], sizes=[0.0])
    >>> found[0].pd_change.value, found[0].auc.value, found[0].decisions_changed.value
    (0.0, 1.0, 0.0)
    """
    given = np.asarray(score(features), dtype=np.float64)
    label, _ = checked(y, given)
    before, limit = expit(given), float(label.mean()) if cutoff is None and len(label) else cutoff
    shake = _Noise(features, seed)
    found = []
    for size in sizes:
        answered = np.asarray(score(shake(size)), dtype=np.float64)
        after = expit(answered)
        change = np.abs(after - before)
        moved = 0 if limit is None else int(((after > limit) != (before > limit)).sum())
        found.append(
            Noise(
                size=float(size),
                auc=auc(label, answered),
                auc_change=one_class(label) or auc_difference(label, answered, given, seed=seed),
                pd_change=mean(change, least=0.0),
                pd_change_95=float(np.quantile(change, 0.95)) if len(change) else None,
                decisions_changed=share(moved, len(label)),
            )
        )
    return found


class _Noise:
    """Noise in proportion to the middle half of each feature; whole numbers stay whole, ranges are kept."""

    def __init__(self, features: pandas.DataFrame, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._features = features
        self._values = features.to_numpy(dtype=np.float64)
        self._unit = rng.standard_normal(self._values.shape) * _spread(self._values)
        self._rounding = rng.random(self._values.shape)
        present = np.isfinite(self._values)
        whole = np.where(present, self._values == np.round(self._values), True).all(axis=0)
        self._whole = np.broadcast_to(whole, self._values.shape)
        self._low = np.where(present, self._values, np.inf).min(axis=0, initial=np.inf)
        self._high = np.where(present, self._values, -np.inf).max(axis=0, initial=-np.inf)

    def __call__(self, size: float) -> pandas.DataFrame:
        noisy = self._values + size * self._unit
        # up or down by chance, so that on average a count moves by its noise, though seldom
        noisy = np.where(self._whole, np.floor(noisy + self._rounding), noisy)
        inside = np.minimum(np.maximum(noisy, self._low), self._high)
        return pandas.DataFrame(inside, self._features.index, self._features.columns)


def _spread(values: Array) -> Array:
    """Standard deviation by the quartiles, by its own definition where these are equal; 0 where all are missing."""
    found = np.zeros(values.shape[1])
    for k, column in enumerate(values.T):
        present = column[np.isfinite(column)]
        if len(present):
            low, high = np.quantile(present, [0.25, 0.75])
            found[k] = (high - low) / 1.349 or present.std()
    return found
