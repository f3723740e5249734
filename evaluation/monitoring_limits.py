"""From what on monitoring has to speak up: limits that follow from the bundle's reference and the rows of a month.

A fixed PSI of 0.1 or 0.25 fires by chance on few rows and sleeps on many. These limits are those of
`evaluation.drift`, which says why; here they are told before the first month is over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.drift import ALPHA, FLOOR, psi_limit
from evaluation.metrics import Z95, Metric
from training.reference import Distribution, Reference


@dataclass(frozen=True)
class PsiLimit:
    """From which PSI on a feature, or the score, counts as drifted on its own.

    Parameters
    ----------
    name : str
    bins : int
        Bins of the reference that hold rows.
    reference_rows : int
    limit : float
        For the rows of a month.
    """

    name: str
    bins: int
    reference_rows: int
    limit: float


@dataclass(frozen=True)
class MonitoringLimits:
    """What to watch, and from what on to act.

    Parameters
    ----------
    rows : int
        Scored applications of a month, of which the limits of PSI hold.
    matured : int
        Loans of a quarter whose outcome is known, of which the limits of AUC and bad rate hold.
    score : PsiLimit
    features : tuple of PsiLimit
        In the order of the feature set; any of them alone raises the alarm.
    least_auc : float or None
        AUC below which a quarter is worse than the test by more than chance (95 %); None where the test has no AUC.
    bad_rate : (float, float)
        Between which the bad rate of a quarter lies (95 %) where the mean PD is that of the test.
    mean_pd : float
        Of the test.
    alpha, floor : float
        Error rate of the drift alarm, and the least PSI that matters.
    """

    rows: int
    matured: int
    score: PsiLimit
    features: tuple[PsiLimit, ...]
    least_auc: float | None
    bad_rate: tuple[float, float]
    mean_pd: float
    alpha: float = ALPHA
    floor: float = FLOOR


def monitoring_limits(
    reference: Reference, applied_at: pd.Series, matured: int, test_auc: Metric, mean_pd: float
) -> MonitoringLimits:
    """Limits for a lender that keeps its pace.

    Parameters
    ----------
    reference : Reference
        Of the bundle.
    applied_at : Series of timestamp
        Of all applications that would be scored; their mean number a month is what a month brings.
    matured : int
        Loans of a quarter whose outcome is known.
    test_auc : Metric
        With its interval.
    mean_pd : float
        Of the test.
    """
    months = applied_at.dt.to_period("M").nunique()
    rows = max(1, round(len(applied_at) / max(months, 1)))
    each = ALPHA / 2 / max(len(reference.features), 1)  # what the smallest p-value has to reach (Benjamini, Hochberg)
    half = Z95 * float(np.sqrt(mean_pd * (1 - mean_pd) / max(matured, 1)))
    return MonitoringLimits(
        rows=rows,
        matured=matured,
        score=_limit(reference.score, rows, ALPHA / 2),
        features=tuple(_limit(one, rows, each) for one in reference.features),
        least_auc=_least_auc(test_auc, matured),
        bad_rate=(max(0.0, mean_pd - half), min(1.0, mean_pd + half)),
        mean_pd=mean_pd,
    )


def _limit(one: Distribution, rows: int, p_value: float) -> PsiLimit:
    bins = sum(count > 0 for count in one.bins)
    return PsiLimit(one.name, bins, one.n, psi_limit(bins - 1, one.n, rows, p_value))


def _least_auc(test: Metric, matured: int) -> float | None:
    """Both the test and the quarter are samples: their errors add up."""
    if test.value is None or test.low is None or test.high is None or not matured:
        return None
    spread = (test.high - test.low) / (2 * Z95)
    return max(0.5, test.value - Z95 * spread * float(np.sqrt(1 + test.n / matured)))
