"""Figures that only a gate asks for, each with its 95 % interval or the reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas

from evaluation.metrics import Z95, Metric, auc, checked_pd
from evaluation.tables import wilson
from training.reference import Distribution

AGE_BANDS = (25, 35, 45, 55)
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


def score_psi(reference: Distribution, score: npt.ArrayLike) -> Metric:
    """PSI of a score against its distribution in training, half a row added to each bin so that none is empty.

    Examples
    --------
    >>> reference = Distribution("score", (0.0,), (500_000, 500_000, 0), -1.0, 1.0)
    >>> round(score_psi(reference, [-1.0] * 300 + [1.0] * 100).value, 3)
    0.273
    """
    counts = reference.counts(score)
    n, used = int(counts.sum()), counts + np.asarray(reference.bins) > 0
    if not n:
        return Metric(None, None, None, 0, "no rows", "没有样本")
    then, now = (np.asarray(of, dtype=np.float64)[used] + 0.5 for of in (reference.bins, counts))
    then, now = then / then.sum(), now / now.sum()
    chance = (1 / n + 1 / reference.n) * (int(used.sum()) - 1)
    note = f"without any drift it would be about {chance:.4f}", f"无漂移时约为{chance:.4f}"
    return Metric(float(((now - then) * np.log(now / then)).sum()), None, None, n, *note)


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


def adverse_impact(group: pandas.Series, pd: npt.ArrayLike, *, approval_rate: float, rows: int) -> Metric:
    """Adverse impact ratio: approval rate of the group that is approved least over that of the one approved most.

    Parameters
    ----------
    group : Series, shape (n,)
        Group of each applicant, missing where it is not known.
    pd : array, shape (n,)
        The safest `approval_rate` of all applicants are approved, those of equal PD at the cut-off too.
    rows : int
        A group of fewer is left out; the note counts them.

    Returns
    -------
    Metric
        With the interval of a ratio of two shares (Katz and others 1978, Biometrics 34), the two groups taken as given.

    Examples
    --------
    >>> group = pandas.Series(["a"] * 4 + ["b"] * 4)
    >>> adverse_impact(group, [0.1, 0.1, 0.1, 0.9, 0.1, 0.1, 0.9, 0.9], approval_rate=0.6, rows=4).value
    0.6666666666666666
    """
    pds = np.asarray(pd, dtype=np.float64)
    known = group.reset_index(drop=True)
    cutoff = np.sort(pds)[max(0, int(np.ceil(approval_rate * len(pds) - 1e-9)) - 1)] if len(pds) else 0.0
    found = pandas.DataFrame({"group": known, "approved": pds <= cutoff}).dropna(subset="group")
    of = found.groupby("group", observed=True)["approved"].agg(["size", "mean"])
    large = of[of["size"] >= rows].sort_values("mean", kind="stable")
    left = len(pds) - int(large["size"].sum())
    if len(large) < 2:
        note = (
            f"{len(large)} group(s) of at least {rows} applicants, two are needed",
            f"不少于{rows}人的群体仅{len(large)}个，至少需要两个",
        )
        return Metric(None, None, None, len(pds), *note)
    least, most = large.iloc[0], large.iloc[-1]
    of_least, of_most = (f"{name} {side['mean']:.1%}" for name, side in list(large.iterrows())[:: len(large) - 1])
    note = (
        f"approved: {of_least} against {of_most}; {left} applicants in no group or a small one",
        f"通过率：{of_least}，{of_most}；群体未知或过小者{left}人",
    )
    if least["mean"] == 0:
        return Metric(0.0 if most["mean"] else None, None, None, len(pds), *note)
    ratio = float(least["mean"] / most["mean"])
    error = float(np.sqrt(sum((1 - side["mean"]) / (side["mean"] * side["size"]) for side in (least, most))))
    low, high = (ratio * float(np.exp(side * Z95 * error)) for side in (-1, 1))
    return Metric(ratio, low, high, len(pds), *note)


def age_band(age: pandas.Series) -> pandas.Series:
    """Band of each age in years, such as `25-34`; missing where the age is.

    Examples
    --------
    >>> age_band(pandas.Series([24.9, 25.0, 60.0, None])).tolist()
    ['under 25', '25-34', '55 and over', nan]
    """
    inner = [f"{low}-{high - 1}" for low, high in pairwise(AGE_BANDS)]
    names = [f"under {AGE_BANDS[0]}", *inner, f"{AGE_BANDS[-1]} and over"]
    cut = pandas.cut(age.astype("float64"), [-np.inf, *AGE_BANDS, np.inf], right=False, labels=names)
    return cut.astype(object)


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
