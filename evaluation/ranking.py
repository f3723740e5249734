"""How well a score ranks where defaults are rare: PR-AUC and H-measure, with intervals by bootstrap over rows.

Both depend on the bad rate, so a resample draws it anew as well. A resample of one class is left out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression
from scipy.special import betainc, betaincc

from evaluation.metric import Array, Metric, checked, one_class
from evaluation.resampling import centred, draws, of_both_classes, ranks


def pr_auc(y: npt.ArrayLike, score: npt.ArrayLike, *, resamples: int = 200, seed: int = 0) -> Metric:
    """Area under precision against recall, as average precision.

    For each bad loan, the bad rate among all who score at least as high; averaged over the bad loans. A
    score that ranks nothing has the bad rate, which the note tells. Equal scores count together.

    Parameters
    ----------
    y : array of 0 and 1, shape (n,)
    score : array, shape (n,)
        PD or log-odds: higher is riskier.

    Examples
    --------
    >>> round(pr_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).value, 4)
    0.8333
    """
    label, (values,) = checked(y, score)
    if undefined := one_class(label):
        return undefined
    rank, size = ranks(values)

    def precision(rows: npt.NDArray[np.int64]) -> Array:
        bad, good = (counted[:, ::-1] for counted in of_both_classes(rank, label, size, rows))
        bad_above = np.cumsum(bad, axis=1)
        above = bad_above + np.cumsum(good, axis=1)
        precise = np.divide(bad_above, above, out=np.zeros_like(above), where=above > 0)
        return np.asarray((bad * precise).sum(axis=1) / bad_above[:, -1])

    value = float(precision(np.arange(len(label))[None])[0])
    rng = np.random.default_rng(seed)
    found = np.concatenate([precision(rows) for rows in draws(rng, len(label), resamples)])
    rate = float(label.mean())
    note = f"a score that ranks nothing would show {rate:.4f}", f"无区分能力的评分约为{rate:.4f}"
    return Metric(value, *centred(found, value), len(label), *note)


def h_measure(
    y: npt.ArrayLike,
    score: npt.ArrayLike,
    *,
    severity: tuple[float, float] | None = None,
    resamples: int = 200,
    seed: int = 0,
) -> Metric:
    """H-measure: share of the loss of ranking nothing that the score saves, over a declared distribution of costs.

    Unlike AUC, it weighs the two errors alike for every score (Hand 2009, Machine Learning 77). The relative cost c of
    refusing a good loan, against 1 - c of granting a bad one, is distributed as Beta(a, b).

    Parameters
    ----------
    y : array of 0 and 1, shape (n,)
    score : array, shape (n,)
        PD or log-odds: higher is riskier.
    severity : (a, b), optional
        By default `(1 + bad rate, 1 + good rate)`, whose mode is the bad rate (Hand and Anagnostopoulos 2014, Pattern
        Recognition Letters 40).

    Notes
    -----
    The convex hull of the ROC curve is the isotonic regression of the outcomes on the score. On a block of it with bad
    rate p, the least loss at cost c is `min(c (1 - p), (1 - c) p)`, whose mean over Beta(a, b) has a closed form.

    Examples
    --------
    >>> h_measure([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4]).value, h_measure([0, 1, 0, 1], [0.1, 0.1, 0.2, 0.2]).value
    (1.0, 0.0)
    """
    label, (values,) = checked(y, score)
    if undefined := one_class(label):
        return undefined
    rank, size = ranks(values)

    def saved(rows: npt.NDArray[np.int64]) -> Array:
        of_both = zip(*of_both_classes(rank, label, size, rows), strict=True)
        return np.array([_saved(bad, good, severity) for bad, good in of_both])

    value = float(saved(np.arange(len(label))[None])[0])
    rng = np.random.default_rng(seed)
    found = np.concatenate([saved(rows) for rows in draws(rng, len(label), resamples)])
    return Metric(value, *centred(found, value), len(label))


def _saved(bad: Array, good: Array, severity: tuple[float, float] | None) -> float:
    rows = bad + good
    used = rows > 0
    hull = isotonic_regression(bad[used] / rows[used], weights=rows[used])
    of_all = float(bad.sum() / rows.sum())
    a, b = severity or (1 + of_all, 2 - of_all)
    loss = hull.weights @ _least_loss(hull.x[hull.blocks[:-1]], a, b) / rows.sum()
    return max(0.0, 1 - float(loss / _least_loss(np.array([of_all]), a, b)[0]))


def _least_loss(p: Array, a: float, b: float) -> Array:
    """Mean of `min(c (1 - p), (1 - c) p)` over c from Beta(a, b)."""
    refused = (1 - p) * a / (a + b) * betainc(a + 1, b, p)
    granted = p * b / (a + b) * betaincc(a, b + 1, p)
    return np.asarray(refused + granted)
