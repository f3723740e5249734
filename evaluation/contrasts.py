"""Three ways in which a slice of applicants may fare worse than the rest: loss, calibration, Gini.

Each counts sums over cells of rows, from which every slice's effect (slice minus rest) and its standard error follow.
All three are 0 in the mean where the PDs are true, however risky or alike the applicants of a slice are.
"""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from evaluation.metric import Z95, Array, Integers, Metric
from evaluation.metrics import delong, quantile_bins
from evaluation.paired import expected_auc

Measure = Literal["loss", "calibration", "gini"]
Direction = Literal[-1, 0, 1]

_LEAST_VARIANCE = 5.0  # expected defaults times their chance of being none: fewer have no normal tail
_LEAST_OF_CLASS = 10
_SCORE_BINS = 20


class Contrast(Protocol):
    """What is asked of slices; `worse` is the sign of a bad effect, 0 where both are."""

    worse: Direction

    def sums(self, code: Integers, cells: int) -> Array:
        """Sums over the rows of each cell, shape (cells, ...)."""

    def compare(self, inside: Array, total: Array, least_rows: int) -> tuple[Array, Array]:
        """Effect and standard error of slices by their sums; both NaN where a slice or its rest is too small."""

    def exact(self, inside: npt.NDArray[np.bool_]) -> tuple[Metric, float]:
        """Effect of one slice with its interval, and its z; undefined where it is too small."""


def contrast(measure: Measure, y: Integers, pd: Array) -> Contrast:
    """The contrast of a measure on rows with outcomes and PDs of shape (n,)."""
    inside = np.clip(pd, 1e-6, 1 - 1e-6)
    if measure == "gini":
        return _Ranking(y, inside)
    if measure == "calibration":
        return _Mean(y - pd, inside * (1 - inside), inside * (1 - inside), 0)
    logit = np.log(inside / (1 - inside))
    # log loss less what the PD itself expects of it: 0 in the mean where the PD is true, whatever its level
    return _Mean((pd - y) * logit, inside * (1 - inside) * logit**2, inside * (1 - inside), 1)


class _Mean:
    """Difference of means, tested with the greater of the variance seen and the one that the PD expects."""

    def __init__(self, values: Array, expected: Array, weight: Array, worse: Direction) -> None:
        self.worse = worse
        self._rows = np.column_stack([np.ones_like(values), values, values**2, expected, weight])

    def sums(self, code: Integers, cells: int) -> Array:
        return np.stack([np.bincount(code, column, cells) for column in self._rows.T], axis=-1)

    def compare(self, inside: Array, total: Array, least_rows: int) -> tuple[Array, Array]:
        (mean, variance), (rest, rest_variance) = (self._of(sums, least_rows) for sums in (inside, total - inside))
        return mean - rest, np.sqrt(variance + rest_variance)

    def exact(self, inside: npt.NDArray[np.bool_]) -> tuple[Metric, float]:
        sums, total = self._rows[inside].sum(axis=0), self._rows.sum(axis=0)
        effect, error = (float(value) for value in self.compare(sums, total, 2))
        return _judged(effect, error, int(inside.sum()))

    @staticmethod
    def _of(sums: Array, least_rows: int) -> tuple[Array, Array]:
        n, total, squares, expected, weight = np.moveaxis(sums, -1, 0)
        enough = (n >= least_rows) & (weight >= _LEAST_VARIANCE)
        n = np.where(enough, n, np.nan)
        mean = total / n
        return mean, np.maximum(squares / n - mean**2, expected / n) / n


class _Ranking:
    """Difference of Gini, each less what the PDs expect of it: among applicants who are alike, no score can rank.

    DeLong's variance. While searching, the PD is cut into quantile bins.
    """

    worse: Direction = -1

    def __init__(self, y: Integers, pd: Array) -> None:
        self._y, self._pd = y, pd
        self._bin = quantile_bins(pd, _SCORE_BINS)
        self._weights = (1.0 - y, y.astype(np.float64), 1 - pd, pd, pd * (1 - pd))

    def sums(self, code: Integers, cells: int) -> Array:
        bins = int(self._bin.max()) + 1
        place = code * bins + self._bin
        return np.stack([np.bincount(place, weight, cells * bins).reshape(cells, bins) for weight in self._weights], 1)

    def compare(self, inside: Array, total: Array, least_rows: int) -> tuple[Array, Array]:
        (gini, variance), (rest, rest_variance) = (self._of(sums, least_rows) for sums in (inside, total - inside))
        return gini - rest, np.sqrt(variance + rest_variance)

    def exact(self, inside: npt.NDArray[np.bool_]) -> tuple[Metric, float]:
        parts = [(self._y[rows], self._pd[rows]) for rows in (inside, ~inside)]
        if any(min(label.sum(), len(label) - label.sum()) < _LEAST_OF_CLASS for label, _ in parts):
            return _judged(np.nan, np.nan, int(inside.sum()))
        (area, error), (rest, rest_error) = (delong(label, pd) for label, pd in parts)
        expected, of_rest = (expected_auc(pd, pd) for _, pd in parts)
        effect = 2 * ((area - expected) - (rest - of_rest))
        return _judged(effect, 2 * float(np.hypot(error or 0, rest_error or 0)), int(inside.sum()))

    @staticmethod
    def _of(sums: Array, least_rows: int) -> tuple[Array, Array]:
        good, bad, safe, risky, alone = np.moveaxis(sums, -2, 0)
        n_good, n_bad = good.sum(axis=-1, keepdims=True), bad.sum(axis=-1, keepdims=True)
        enough = (np.minimum(n_good, n_bad) >= _LEAST_OF_CLASS) & (n_good + n_bad >= least_rows)
        n_good, n_bad = np.where(enough, n_good, np.nan), np.where(enough, n_bad, np.nan)
        of_bad = (np.cumsum(good, axis=-1) - good / 2) / n_good  # placements, by bin
        of_good = 1 - (np.cumsum(bad, axis=-1) - bad / 2) / n_bad
        area = (bad * of_bad).sum(axis=-1, keepdims=True) / n_bad
        spread = (bad * (of_bad - area) ** 2).sum(axis=-1, keepdims=True) / (n_bad - 1) / n_bad
        spread += (good * (of_good - area) ** 2).sum(axis=-1, keepdims=True) / (n_good - 1) / n_good
        itself = alone.sum(axis=-1)  # nobody is a pair with himself
        above = (risky * (np.cumsum(safe, axis=-1) - safe / 2)).sum(axis=-1) - itself / 2
        pairs = risky.sum(axis=-1) * safe.sum(axis=-1) - itself
        expected = above / np.where(enough[..., 0], pairs, np.nan)
        return 2 * (area[..., 0] - expected), 4 * spread[..., 0]


def _judged(effect: float, error: float, n: int) -> tuple[Metric, float]:
    if not np.isfinite(effect) or not error > 0:
        few = ("too few defaults or good loans in the slice or beside it", "该客群或其余样本中好客户或坏客户过少")
        return Metric(None, None, None, n, *few), 0.0
    return Metric(effect, effect - Z95 * error, effect + Z95 * error, n), effect / error
