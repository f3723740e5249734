"""How good a PD is: discrimination and calibration, each figure with its interval or the reason why there is none.

`y` is 1 for a default and 0 for a good loan, `pd` the probability of default, both of shape (n,). Intervals at 95 %:

* AUC and Gini: DeLong, by midranks (Sun and Xu 2014, IEEE Signal Processing Letters 21);
* KS: bootstrap within each class, so that a resample always has both;
* PR-AUC and H-measure: bootstrap over rows, since they depend on the bad rate;
* Brier and log loss: they are means, so the standard error of a mean is exact enough and needs no resampling;
* slope and intercept of calibration: Wald, from the information matrix of the logistic recalibration. A bootstrap
  within classes would fix the bad rate, which is just what the intercept is uncertain about;
* ECE: bootstrap over rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from evaluation.metric import Z95, Array, Integers, Metric, checked, checked_pd, clip, mean, one_class
from evaluation.ranking import h_measure, pr_auc
from evaluation.resampling import areas, centred, draws, draws_of_classes, histogram, ranks

__all__ = [
    "Z95", "Array", "Integers", "Metric", "auc", "auc_difference", "auc_gap", "brier", "calibration_line",
    "checked_pd", "delong", "ece", "evaluate", "gini", "h_measure", "ks", "log_loss", "pr_auc", "quantile_bins",
]  # fmt: skip

_SMALLEST_PD = 1e-15
_SINGLE = ("no interval: a class has a single row", "无区间：某一类别只有一个样本")


def auc(y: npt.ArrayLike, score: npt.ArrayLike) -> Metric:
    """Chance that a default scores above a good loan, ties counting half, with DeLong's interval.

    Parameters
    ----------
    y : array of 0 and 1, shape (n,)
    score : array, shape (n,)
        PD or log-odds: higher is riskier.

    Examples
    --------
    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).value
    0.75
    """
    label, (values,) = checked(y, score)
    if undefined := one_class(label):
        return undefined
    value, error = delong(label, values)
    if error is None:
        return Metric(value, None, None, len(label), *_SINGLE)
    return Metric(value, clip(value - Z95 * error), clip(value + Z95 * error), len(label))


def delong(label: Integers, values: Array) -> tuple[float, float | None]:
    """AUC of rows of both classes and its standard error, None where a class has a single row."""
    good, bad = values[label == 0], values[label == 1]
    rank = rankdata(np.concatenate([bad, good]))
    # placement of each row among the rows of the other class
    of_bad = (rank[: len(bad)] - rankdata(bad)) / len(good)
    of_good = 1 - (rank[len(bad) :] - rankdata(good)) / len(bad)
    value = float(of_bad.mean())
    if min(len(good), len(bad)) < 2:
        return value, None
    return value, float(np.sqrt(of_bad.var(ddof=1) / len(bad) + of_good.var(ddof=1) / len(good)))


def auc_gap(y: npt.ArrayLike, score: npt.ArrayLike, other_y: npt.ArrayLike, other_score: npt.ArrayLike) -> Metric:
    """AUC on one sample minus AUC on another of other applicants, such as training minus test, with DeLong's interval.

    Examples
    --------
    >>> auc_gap([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).value
    0.25
    """
    samples = [checked(y, score), checked(other_y, other_score)]
    n = sum(len(label) for label, _ in samples)
    for label, _ in samples:
        if undefined := one_class(label):
            return Metric(None, None, None, n, undefined.note, undefined.note_zh)
    (first, error), (second, other_error) = (delong(label, values) for label, (values,) in samples)
    if error is None or other_error is None:
        return Metric(first - second, None, None, n, *_SINGLE)
    half = Z95 * float(np.hypot(error, other_error))
    return Metric(first - second, clip(first - second - half, -1), clip(first - second + half, -1), n)


def gini(y: npt.ArrayLike, score: npt.ArrayLike) -> Metric:
    """Gini coefficient: `2 AUC - 1`, with DeLong's interval.

    Examples
    --------
    >>> gini([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).value
    0.5
    """
    area = auc(y, score)

    def scaled(value: float | None) -> float | None:
        return None if value is None else 2 * value - 1

    return Metric(scaled(area.value), scaled(area.low), scaled(area.high), area.n, area.note, area.note_zh)


def ks(y: npt.ArrayLike, score: npt.ArrayLike, *, resamples: int = 200, seed: int = 0) -> Metric:
    """Kolmogorov-Smirnov: the largest gap between the score distributions of bad and good loans.

    Examples
    --------
    >>> ks([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).value
    0.5
    """
    label, (values,) = checked(y, score)
    if undefined := one_class(label):
        return undefined
    rank, size = ranks(values)
    bad, good = rank[label == 1], rank[label == 0]

    def gap(of_bad: Integers, of_good: Integers) -> Array:
        difference = histogram(of_bad, size) / len(bad) - histogram(of_good, size) / len(good)
        return np.asarray(np.abs(np.cumsum(difference, axis=1)).max(axis=1))

    value = float(gap(bad[None], good[None])[0])
    rng = np.random.default_rng(seed)
    found = np.concatenate([gap(*drawn) for drawn in draws_of_classes(bad, good, resamples, rng)])
    return Metric(value, *centred(found, value), len(label))


def brier(y: npt.ArrayLike, pd: npt.ArrayLike) -> Metric:
    """Mean squared difference between PD and outcome.

    Examples
    --------
    >>> round(brier([0, 1], [0.1, 0.8]).value, 3)
    0.025
    """
    label, probability = checked_pd(y, pd)
    return mean((probability - label) ** 2, least=0.0)


def log_loss(y: npt.ArrayLike, pd: npt.ArrayLike) -> Metric:
    """Mean negative log-likelihood of the outcomes under the PD, in nats; a PD of 0 or 1 is moved by 1e-15."""
    label, probability = checked_pd(y, pd)
    inside = np.clip(probability, _SMALLEST_PD, 1 - _SMALLEST_PD)
    note = ("", "")
    if (inside != probability).any():
        note = ("a PD of exactly 0 or 1 was moved by 1e-15", "有PD恰为0或1，已调整1e-15")
    return mean(-np.where(label == 1, np.log(inside), np.log1p(-inside)), least=0.0, note=note)


def calibration_line(y: npt.ArrayLike, pd: npt.ArrayLike) -> tuple[Metric, Metric]:
    """Slope and intercept of the logistic recalibration `logit P(y=1) = intercept + slope * logit(pd)`.

    A calibrated PD has slope 1 and intercept 0. A slope below 1 means that the PDs are too extreme.

    Returns
    -------
    slope, intercept : Metric
        With Wald intervals; undefined where one class is missing, all PDs are equal, or the PD separates the classes.
    """
    label, probability = checked_pd(y, pd)
    if undefined := one_class(label):
        return undefined, undefined
    inside = np.clip(probability, _SMALLEST_PD, 1 - _SMALLEST_PD)
    logit = np.log(inside) - np.log1p(-inside)
    if np.ptp(logit) < 1e-9:
        same = Metric(None, None, None, len(label), "every PD is equal", "所有PD相同")
        return same, same
    design = np.column_stack([np.ones_like(logit), logit])
    fitted = _newton(design, label)
    if fitted is None:
        apart = Metric(None, None, None, len(label), "the PD separates the classes", "PD完全区分了两个类别")
        return apart, apart
    beta, covariance = fitted
    half = Z95 * np.sqrt(np.diag(covariance))
    intercept, slope = (
        Metric(float(b), float(b - h), float(b + h), len(label)) for b, h in zip(beta, half, strict=True)
    )
    return slope, intercept


def _newton(design: Array, label: Integers) -> tuple[Array, Array] | None:
    """Maximum likelihood of a logistic regression and its covariance; None where there is no finite maximum."""

    def likelihood(beta: Array) -> float:
        line = design @ beta
        return float(np.sum(label * line - np.logaddexp(0, line)))

    beta = np.array([0.0, 1.0])
    best = likelihood(beta)
    for _ in range(100):
        fitted = 1 / (1 + np.exp(-np.clip(design @ beta, -700, 700)))
        information = design.T @ (design * (fitted * (1 - fitted))[:, None])
        if np.linalg.cond(information) > 1e14:
            return None
        step = np.linalg.solve(information, design.T @ (label - fitted))
        if np.abs(step).max() < 1e-10:
            return beta, np.linalg.inv(information)
        reached = likelihood(beta + step)
        while reached < best - 1e-9 * abs(best) and np.abs(step).max() > 1e-12:
            step = step / 2  # Newton overshoots from far away
            reached = likelihood(beta + step)
        beta, best = beta + step, reached
    return None


def quantile_bins(probability: Array, bins: int) -> Integers:
    """Bin of each row by PD quantile; equal PDs share a bin."""
    edges = np.unique(np.quantile(probability, np.arange(1, bins) / bins, method="inverted_cdf"))
    return np.unique(np.searchsorted(edges, probability, side="left"), return_inverse=True)[1].astype(np.int64)


def ece(y: npt.ArrayLike, pd: npt.ArrayLike, *, bins: int = 10, resamples: int = 200, seed: int = 0) -> Metric:
    """Expected calibration error: mean gap between PD and bad rate over quantile bins of the PD, weighted by rows.

    Its note says how large a perfectly calibrated PD would come out by chance: on a sample the figure is never 0.

    Examples
    --------
    >>> round(ece([0, 1], [0.1, 0.8], bins=2).value, 3)
    0.15
    """
    label, probability = checked_pd(y, pd)
    if len(label) == 0:
        return mean(probability)
    group = quantile_bins(probability, bins)
    size = int(group.max()) + 1
    gap = probability - label

    def error(rows: Integers) -> Array:
        return np.asarray(np.abs(histogram(group[rows], size, gap[rows])).sum(axis=1) / len(label))

    value = float(error(np.arange(len(label))[None])[0])
    rng = np.random.default_rng(seed)
    found = np.concatenate([error(rows) for rows in draws(rng, len(label), resamples)])
    noise = np.bincount(group, probability * (1 - probability))
    chance = float(np.sqrt(2 / np.pi * noise).sum() / len(label))
    note = f"a perfectly calibrated PD would show {chance:.4f} on these rows", f"完全校准的PD在此样本上约为{chance:.4f}"
    return Metric(value, *centred(found, value), len(label), *note)


def evaluate(y: npt.ArrayLike, pd: npt.ArrayLike, *, resamples: int = 200, seed: int = 0) -> dict[str, Metric]:
    """Every figure of a PD on one sample.

    Parameters
    ----------
    y : array of 0 and 1, shape (n,)
    pd : array in [0, 1], shape (n,)
    resamples : int, default 200
        Bootstrap resamples of KS, PR-AUC, H-measure and ECE.
    seed : int, default 0
        The same seed gives the same intervals.

    Returns
    -------
    dict of str to Metric
        `auc`, `gini`, `ks`, `pr_auc`, `h_measure`, `brier`, `log_loss`, `calibration_slope`,
        `calibration_intercept`, `ece`.

    Raises
    ------
    ValueError
        Where lengths differ, `y` holds other than 0 and 1, or a PD is missing or outside [0, 1].

    Examples
    --------
    >>> evaluate([0, 0, 0], [0.1, 0.2, 0.3])["auc"].note
    'every row is of one class'
    """
    label, probability = checked_pd(y, pd)
    slope, intercept = calibration_line(label, probability)
    return {
        "auc": auc(label, probability),
        "gini": gini(label, probability),
        "ks": ks(label, probability, resamples=resamples, seed=seed),
        "pr_auc": pr_auc(label, probability, resamples=resamples, seed=seed),
        "h_measure": h_measure(label, probability, resamples=resamples, seed=seed),
        "brier": brier(label, probability),
        "log_loss": log_loss(label, probability),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
        "ece": ece(label, probability, resamples=resamples, seed=seed),
    }


def auc_difference(
    y: npt.ArrayLike, a: npt.ArrayLike, b: npt.ArrayLike, *, resamples: int = 500, seed: int = 0
) -> Metric:
    """AUC of `a` minus AUC of `b` on the same applicants, by a bootstrap that draws both together within each class.

    Examples
    --------
    >>> auc_difference([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], [0.1, 0.4, 0.35, 0.8]).value
    0.25
    """
    label, scores = checked(y, a, b)
    if undefined := one_class(label):
        return undefined
    bad, good = np.flatnonzero(label == 1), np.flatnonzero(label == 0)
    of_each = [ranks(score) for score in scores]

    def difference(of_bad: Integers, of_good: Integers) -> Array:
        first, second = (areas(rank[of_bad], rank[of_good], size) for rank, size in of_each)
        return first - second

    value = float(difference(bad[None], good[None])[0])
    rng = np.random.default_rng(seed)
    found = np.concatenate([difference(*drawn) for drawn in draws_of_classes(bad, good, resamples, rng)])
    low, high = np.quantile(found, [0.025, 0.975])
    return Metric(value, float(low), float(high), len(label))
