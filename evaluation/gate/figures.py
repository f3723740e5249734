"""Figures that only a gate asks for, each with its 95 % interval or the reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas

from evaluation.metric import Z95, Metric, checked_pd
from evaluation.metrics import auc
from evaluation.tables import wilson

_LEAST_ERROR = 1e-3  # a month whose classes are told apart perfectly would weigh infinitely much


def mean_pd_ratio(y: npt.ArrayLike, pd: npt.ArrayLike) -> Metric:
    """Mean PD over the observed bad rate, with the interval that Wilson's of the bad rate makes.

    Examples
    --------
    >>> mean_pd_ratio([0, 0, 0, 1], [0.25, 0.25, 0.25, 0.5]).value
    1.25
    """
    label, probability = checked_pd(y, pd)
    n, bad = len(label), int(label.sum())
    if not bad:
        return Metric(None, None, None, n, "no default among the rows", "样本中没有坏客户")
    expected = float(probability.mean())
    low, high = (float(bound) for bound in wilson(bad, n))
    return Metric(expected * n / bad, expected / high, expected / low, n)


def gini_fall(
    y: npt.ArrayLike, score: npt.ArrayLike, month: Sequence[str] | npt.ArrayLike, *, defaults: int, months: int
) -> Metric:
    """By how much the Gini fell from the first to the last month, along a line weighted by the months' precision.

    Parameters
    ----------
    y : array of 0 and 1, shape (n,)
    score : array, shape (n,)
    month : array of str, shape (n,)
        `YYYY-MM`.
    defaults : int
        A month of fewer defaults, or of fewer good loans, is left out; the note counts them.
    months : int
        How many must be left.

    Returns
    -------
    Metric
        Above 0 where it fell.
    """
    label, scores = np.asarray(y), np.asarray(score, dtype=np.float64)
    at = np.asarray(pandas.PeriodIndex(np.asarray(month), freq="M").asi8)
    places, ginis, errors = [], [], []
    names = np.unique(at)
    for name in names:
        rows = at == name
        if min(int(label[rows].sum()), int((1 - label[rows]).sum())) < defaults:
            continue
        area = auc(label[rows], scores[rows])
        if area.value is not None and area.low is not None and area.high is not None:
            places.append(int(name))
            ginis.append(2 * area.value - 1)
            errors.append(max((area.high - area.low) / Z95, _LEAST_ERROR))  # of the Gini: twice that of the AUC
    if len(places) < months:
        note = (
            f"{len(places)} of {len(names)} months have {defaults} defaults and good loans each, {months} are needed",
            f"{len(names)}个月中仅{len(places)}个月的好坏客户均不少于{defaults}，至少需要{months}个月",
        )
        return Metric(None, None, None, len(label), *note)
    weight = 1 / np.square(errors)
    place = np.array(places) - np.average(places, weights=weight)
    spread = float(weight @ place**2)
    span = places[-1] - places[0]
    fall = -float(weight @ (place * np.array(ginis))) / spread * span
    half = Z95 * span / float(np.sqrt(spread))
    left = len(names) - len(places)
    note = f"{len(places)} months", f"{len(places)}个月"
    if left:
        note = f"{note[0]}, {left} with too few defaults left out", f"{note[1]}，另有{left}个月坏客户过少未计"
    return Metric(fall, fall - half, fall + half, len(label), *note)


def p99(milliseconds: npt.ArrayLike) -> Metric:
    """99th percentile of measured times, with the interval of order statistics, open above where there are few.

    Examples
    --------
    >>> found = p99(range(1, 1001))
    >>> found.value, found.low, found.high
    (990.0, 983.0, 997.0)
    """
    from scipy.stats import binom

    ordered = np.sort(np.asarray(milliseconds, dtype=np.float64))
    n = len(ordered)
    if n == 0:
        return Metric(None, None, None, 0, "no request was scored", "没有评分请求")
    low, high = int(binom.ppf(0.025, n, 0.99)), int(binom.ppf(0.975, n, 0.99)) + 1
    value = float(ordered[int(np.ceil(0.99 * n)) - 1])
    if high > n:
        note = f"the interval is open above: {n} requests are too few", f"区间上端开放：{n}笔请求过少"
        return Metric(value, float(ordered[max(low, 1) - 1]), None, n, *note)
    return Metric(value, float(ordered[low - 1]), float(ordered[high - 1]), n)
