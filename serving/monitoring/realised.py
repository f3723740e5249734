"""How good the PDs turned out to be, month by month, as outcomes mature: beside training and the label-free estimate.

Only granted applications ever have an outcome, and defaults may be known before good loans are: the share that has
matured is told with every figure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm, poisson_binom

from evaluation.metric import Z95, Array, Metric
from evaluation.metrics import auc, brier, calibration_line
from evaluation.segments import months
from evaluation.without_labels import Expected, expected

ALL = "all"
LEAST_MATURED = 50
LEAST_OF_EACH = 10  # defaults, and good loans: with fewer, the interval of an AUC is far too narrow
_EXACT_ROWS = 10_000  # beyond, a normal distribution is as good and much faster
_DRAWS = 300


@dataclass(frozen=True)
class Realised:
    """Figures of the decisions of one month whose outcome is known.

    Parameters
    ----------
    month : str
        Of the decision; `all` for all of them.
    decided, matured, bad : int
        Applications, those with an outcome, and those that defaulted.
    auc, brier, calibration_slope : Metric
    bad_rate : Metric
        Observed, with Wilson's interval.
    mean_pd : float
        Of the matured ones.
    expected : Expected
        What the PDs of the matured ones let expect.
    calibration_p : float
        Chance of so different a number of defaults if the PDs are right (two-sided, of a Poisson-binomial).
    auc_p : float
        Chance of so low an AUC if it were that of training (one-sided); 1 where either is unknown or not judged.
    """

    month: str
    decided: int
    matured: int
    bad: int
    auc: Metric
    brier: Metric
    calibration_slope: Metric
    bad_rate: Metric
    mean_pd: float
    expected: Expected
    calibration_p: float
    auc_p: float

    @property
    def auc_judged(self) -> bool:
        """Whether there are defaults and good loans enough to hold the AUC against that of training."""
        return min(self.bad, self.matured - self.bad) >= LEAST_OF_EACH

    @property
    def auc_as_expected(self) -> bool | None:
        """Whether the AUC lies within the label-free interval; None where either is undefined."""
        low, high = self.expected.auc.low, self.expected.auc.high
        if self.auc.value is None or low is None or high is None:
            return None
        return low <= self.auc.value <= high

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain = ("month", "decided", "matured", "bad", "mean_pd", "calibration_p", "auc_p")
        judged = ("auc_judged", "auc_as_expected")
        figures = ("auc", "brier", "calibration_slope", "bad_rate")
        return {
            **{name: getattr(self, name) for name in (*plain, *judged)},
            **{name: getattr(self, name).to_dict() for name in figures},
            "expected_auc": self.expected.auc.to_dict(),
            "expected_bad_rate": self.expected.bad_rate.to_dict(),
        }


def realised(
    decisions: pd.DataFrame, outcomes: pd.DataFrame, training_auc: Metric | None = None, *, seed: int = 0
) -> tuple[Realised, ...]:
    """Figures of every month that has an outcome, and of all months together, last.

    Parameters
    ----------
    decisions : DataFrame
        `application_key`, `decided_at`, `pd`; the last decision on an application counts.
    outcomes : DataFrame
        `OutcomeStore.current`.
    training_auc : Metric, optional
        Of the test rows of the training, with its interval.
    seed : int
        Of the label-free estimate.
    """
    last = decisions.sort_values("decided_at", kind="stable").drop_duplicates("application_key", keep="last")
    joined = last.merge(outcomes, on="application_key", how="left")
    month = months(joined["decided_at"])
    known = joined["defaulted"].notna()
    if not known.any():
        return ()
    chosen = [(name, (month == name).to_numpy()) for name in sorted(set(month[known]))]
    return tuple(
        _month(name, joined[rows], training_auc, seed)
        for name, rows in [*chosen, (ALL, np.ones(len(joined), dtype=bool))]
    )


def _month(name: str, rows: pd.DataFrame, training_auc: Metric | None, seed: int) -> Realised:
    matured = rows[rows["defaulted"].notna()]
    y, pd_then = matured["defaulted"].to_numpy(dtype=np.int64), matured["pd"].to_numpy(dtype=np.float64)
    area = auc(y, pd_then)
    found = Realised(
        month=name,
        decided=len(rows),
        matured=len(matured),
        bad=int(y.sum()),
        auc=area,
        brier=brier(y, pd_then),
        calibration_slope=calibration_line(y, pd_then)[0],
        bad_rate=_wilson(int(y.sum()), len(y)),
        mean_pd=float(pd_then.mean()),
        expected=expected(pd_then, draws=_DRAWS, seed=seed),
        calibration_p=chance_of_defaults(int(y.sum()), pd_then),
        auc_p=1.0,
    )
    return replace(found, auc_p=_worse(area, training_auc)) if found.auc_judged else found


def chance_of_defaults(bad: int, pd: Array) -> float:
    """Chance of a number of defaults as far off as `bad`, on either side, if each loan defaults with its PD.

    Examples
    --------
    Of two loans with PDs of 0.1 and 0.2 both default with a chance of 0.02.

    >>> round(chance_of_defaults(2, np.array([0.1, 0.2])), 12)
    0.04
    """
    if len(pd) > _EXACT_ROWS:
        apart = max(0.0, abs(bad - float(pd.sum())) - 0.5)  # defaults come whole
        tail = float(norm.sf(apart / np.sqrt((pd * (1 - pd)).sum())))
    else:
        good = len(pd) - bad
        tail = float(min(poisson_binom.cdf(bad, pd), poisson_binom.cdf(good, 1 - pd)))
    return min(1.0, 2 * tail)


def _wilson(bad: int, n: int) -> Metric:
    share, z = bad / n, Z95
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * float(np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))) / (1 + z**2 / n)
    return Metric(share, max(0.0, middle - half), min(1.0, middle + half), n)


def _worse(now: Metric, training: Metric | None) -> float:
    """Chance of an AUC so far below that of training; both are samples, so their errors add up."""
    if training is None:
        return 1.0
    ends = (now.value, now.low, now.high, training.value, training.low, training.high)
    value, low, high, before, before_low, before_high = (np.nan if end is None else end for end in ends)
    error = float(np.hypot(high - low, before_high - before_low)) / (2 * Z95)
    z = (value - before) / error if error else np.nan
    return float(norm.cdf(z)) if np.isfinite(z) else 1.0
