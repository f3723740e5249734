"""How far single PDs can be relied on: split conformal sets, whose coverage is promised whatever the model.

For an applicant the set holds each outcome that its PD does not speak against: `good`, `bad`, both (uncertain) or,
rarely, none. The threshold of each outcome comes of calibration rows of that outcome alone (Mondrian), so that the
promise holds among good and among bad loans (Vovk, Gammerman and Shafer 2005, chapter 4). Where applicants have
changed, or in a segment that the model knows badly, coverage falls short of it; that is what the tables look for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas

from evaluation.metric import Integers, Metric, checked_pd
from evaluation.segments import levels_of
from evaluation.tables import share, wilson


@dataclass(frozen=True)
class Reliability:
    """Conformal sets of one level of a dimension.

    Parameters
    ----------
    dimension, level : str
    n : int
    coverage : Metric
        Share of sets that hold the true outcome. Its interval reckons with the luck of the calibration rows as well.
    uncertain, empty : Metric
        Share of sets that hold both outcomes, or none.
    short : bool
        Whether the interval of the coverage lies below the promise; of forty segments one does by chance.
    """

    dimension: str
    level: str
    n: int
    coverage: Metric
    uncertain: Metric
    empty: Metric
    short: bool


@dataclass(frozen=True)
class Thresholds:
    """From which PD on `bad` is in the set, and up to which `good` is; with the calibration rows of each outcome."""

    bad_from: float
    good_to: float
    n_bad: int
    n_good: int


def thresholds(y: npt.ArrayLike, pd: npt.ArrayLike, *, promised: float = 0.9) -> Thresholds | None:
    """Thresholds that keep the promise on rows like these, which the model must not have learnt from.

    Parameters
    ----------
    y, pd : arrays of shape (n,)
        Calibration rows.
    promised : float, default 0.9
        Coverage among good and among bad loans.

    Returns
    -------
    Thresholds or None
        None where an outcome has too few rows: 9 are needed for 0.9.

    Examples
    --------
    >>> thresholds([1] * 9 + [0] * 9, [0.2, *[0.5] * 8, 0.6, *[0.1] * 8])
    Thresholds(bad_from=0.2, good_to=0.6, n_bad=9, n_good=9)
    """
    label, probability = checked_pd(y, pd)
    bad, good = np.sort(probability[label == 1])[::-1], np.sort(probability[label == 0])
    # of n calibration rows and the new one, at least the promised share must lie within
    places = [int(np.ceil((len(rows) + 1) * promised - 1e-9)) for rows in (bad, good)]
    if places[0] > len(bad) or places[1] > len(good):
        return None
    return Thresholds(float(bad[places[0] - 1]), float(good[places[1] - 1]), len(bad), len(good))


def conformal_reliability(
    calibration: tuple[npt.ArrayLike, npt.ArrayLike],
    test: tuple[npt.ArrayLike, npt.ArrayLike],
    dimensions: pandas.DataFrame | None = None,
    *,
    promised: float = 0.9,
) -> list[Reliability]:
    """Coverage and uncertainty of conformal sets, of all rows, by outcome, and by level of each dimension.

    Parameters
    ----------
    calibration, test : (y, pd)
        Rows that the model has not learnt from, such as two `resampling.halves`; calibration rows from before the test
        show what time does as well.
    dimensions : DataFrame, optional
        Levels of the test rows, as in `segments.by_segment`.
    promised : float, default 0.9

    Returns
    -------
    list of Reliability
        First all rows (`all`, `all`), then `outcome` `good` and `bad`, then the segments. Without thresholds every
        figure says why.

    Examples
    --------
    >>> rows = [0, 1] * 50, [0.1, 0.9] * 50
    >>> found = conformal_reliability(rows, rows)
    >>> [(one.level, one.coverage.value, one.uncertain.value) for one in found]
    [('all', 1.0, 0.0), ('good', 1.0, 0.0), ('bad', 1.0, 0.0)]
    """
    found = thresholds(*calibration, promised=promised)
    label, probability = checked_pd(*test)
    groups = [("all", "all", np.arange(len(label))), *_outcomes(label)]
    if dimensions is not None:
        groups += levels_of(dimensions, len(label))
    if found is None:
        few = ("too few calibration rows of an outcome", "校准样本中某一类别过少")
        return [_unknown(name, level, len(rows), few) for name, level, rows in groups]
    has_bad, has_good = probability >= found.bad_from, probability <= found.good_to
    return [_reliability(name, level, label, has_bad, has_good, rows, found, promised) for name, level, rows in groups]


def _outcomes(label: Integers) -> Iterator[tuple[str, str, Integers]]:
    for level, kind in (("good", 0), ("bad", 1)):
        yield "outcome", level, np.flatnonzero(label == kind).astype(np.int64)


def _unknown(dimension: str, level: str, n: int, reason: tuple[str, str]) -> Reliability:
    none = Metric(None, None, None, n, *reason)
    return Reliability(dimension, level, n, none, none, none, short=False)


def _reliability(
    dimension: str,
    level: str,
    label: Integers,
    has_bad: npt.NDArray[np.bool_],
    has_good: npt.NDArray[np.bool_],
    rows: Integers,
    limits: Thresholds,
    promised: float,
) -> Reliability:
    n, bad, good, truth = len(rows), has_bad[rows], has_good[rows], label[rows]
    covered = np.where(truth == 1, bad, good)
    coverage = share(int(covered.sum()), n)
    if n:
        of_bad = float(truth.mean())
        luck = 1 / n + of_bad**2 / limits.n_bad + (1 - of_bad) ** 2 / limits.n_good
        low, high = wilson(covered.mean() / luck, 1 / luck)
        coverage = Metric(coverage.value, float(low), float(high), n)
    short = coverage.high is not None and coverage.high < promised
    both, none = int((bad & good).sum()), int((~bad & ~good).sum())
    return Reliability(dimension, level, n, coverage, share(both, n), share(none, n), short)
