"""Chance of a difference between two histograms without drift, honest however few rows there are.

All tests are conditional on the pooled rows: under no drift each pooled row is as likely as any other to be one of
today's. So the sampling error of the reference counts as much as that of today, and no bin is too small. Three aspects:

* missing: Fisher's exact test of the missing values;
* level: the rank-sum test (Wilcoxon) of the bins that hold a value, midranks for ties. It is the one with power against
  a shift. Its null distribution is a Pearson type III with the exact mean, variance and skewness of the permutations
  (Mielke and Berry 2007, Permutation Methods, ch. 2): the normal one gives far too small p-values for skewed counts;
* shape: Fisher's exact test of each bin against all others, times the number of bins (Bonferroni).

A feature's p-value is that of Bonferroni over the aspects that apply to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import gammainc, gammaincc, ndtr

from evaluation.drift.kernel import Array, Integers, cells

Aspect = Literal["missing", "level", "shape"]
ASPECTS: tuple[Aspect, ...] = ("missing", "level", "shape")

_SYMMETRIC = 1e-3  # below this skewness the gamma function has no digits left, and the normal is the same


@dataclass(frozen=True)
class Chances:
    """p-values of many features; NaN where an aspect does not apply.

    Parameters
    ----------
    missing, level, shape : ndarray of float64, shape (n_features,)
        Of each aspect on its own.
    overall : ndarray of float64, shape (n_features,)
        Bonferroni over the aspects that apply; 1 where none does.
    """

    missing: Array
    level: Array
    shape: Array
    overall: Array

    def strongest(self, at: int) -> Aspect:
        """The aspect that is least likely by chance."""
        of_each = [float(getattr(self, aspect)[at]) for aspect in ASPECTS]
        return min(zip(of_each, ASPECTS, strict=True), key=lambda pair: 2.0 if pair[0] != pair[0] else pair[0])[1]


def chances(then: npt.ArrayLike, now: npt.ArrayLike, *, ordered: bool = True) -> Chances:
    """Test histograms of today against those of the reference.

    Parameters
    ----------
    then, now : array of int, shape (n_features, n_bins + 1)
        Rows in each bin, missing last; a feature of fewer bins has empty ones.
    ordered : bool, default True
        Whether the bins have an order; categories have none, and then no level.

    Examples
    --------
    >>> found = chances([[500, 400, 100, 0]], [[40, 40, 20, 0]])
    >>> bool(np.isnan(found.missing[0])), round(float(found.level[0]), 4), round(float(found.overall[0]), 4)
    (True, 0.0118, 0.0237)
    """
    before, today = (np.ascontiguousarray(counts, dtype=np.int64) for counts in (then, now))
    missing, shape, pair = (np.empty(len(before)) for _ in range(3))
    cells(before, today, missing, shape, pair)
    pooled = before + today
    gone, used = pooled[:, -1], (pooled[:, :-1] > 0).sum(axis=1)
    both = (before[:, :-1].sum(axis=1) > 0) & (today[:, :-1].sum(axis=1) > 0)
    missing = np.where((gone > 0) & (used > 0), missing, np.nan)
    level = np.full(len(before), np.nan)
    if ordered:
        level = np.where(both & (used > 1), np.where(used == 2, pair, _rank_sum(before[:, :-1], today[:, :-1])), np.nan)
        shape = np.where(both & (used > 2), shape, np.nan)  # two bins: the level says it all
    else:
        shape = np.where(both & (used > 1), shape, np.nan)
    each = np.stack([missing, level, shape])
    asked = np.isfinite(each).sum(axis=0)
    smallest = np.where(np.isfinite(each), each, 1.0).min(axis=0)
    return Chances(missing, level, shape, np.minimum(1.0, smallest * np.maximum(asked, 1)))


def _rank_sum(then: Integers, now: Integers) -> Array:
    """Two-sided p-value of the rank-sum test over bins; meaningless where fewer than two hold rows."""
    pooled = (then + now).astype(np.float64)
    rows, drawn = pooled.sum(axis=1), now.sum(axis=1).astype(np.float64)
    rank = np.cumsum(pooled, axis=1) - pooled / 2  # midranks, less a half
    with np.errstate(divide="ignore", invalid="ignore"):
        centred = rank - (rank * pooled).sum(axis=1, keepdims=True) / rows[:, None]
        second = (pooled * centred**2).sum(axis=1) / rows
        third = (pooled * centred**3).sum(axis=1) / rows
        variance = drawn * (rows - drawn) / (rows - 1) * second
        skewness = drawn * (rows - drawn) * (rows - 2 * drawn) / ((rows - 1) * (rows - 2)) * third / variance**1.5
        # the sum moves in steps between neighbouring bins: half of the smallest is what rounding may hide
        step = np.where(pooled > 0, pooled, np.inf).min(axis=1) / 2
        apart = np.abs((now * centred).sum(axis=1))
        side = np.sign((now * centred).sum(axis=1))
        z = np.maximum(apart - step, 0.0) / np.sqrt(variance)
        upper = _pearson(z, skewness * np.where(side < 0, -1.0, 1.0))
    return np.minimum(1.0, 2 * upper)


def _pearson(z: Array, skewness: Array) -> Array:
    """Upper tail of a Pearson type III distribution of mean 0 and variance 1."""
    skewed = np.abs(skewness) > _SYMMETRIC
    safe = np.where(skewed, skewness, 1.0)
    shape = 4 / safe**2
    at = np.maximum(shape + 2 * z / safe, 0.0)
    tail = np.where(safe > 0, gammaincc(shape, at), gammainc(shape, at))
    return np.asarray(np.where(skewed, tail, ndtr(-z)))
