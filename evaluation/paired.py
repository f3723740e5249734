"""Figures of two models on the same applicants, and of their difference, each with its 95 % interval.

Every difference is challenger minus champion. That of AUC and ECE has its interval by a bootstrap that draws the same
applicants for both; those of means over applicants, by the standard error of the difference row by row.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from scipy.stats import spearmanr

from evaluation import metrics
from evaluation.metrics import Z95, Array, Integers, Metric

FIGURES = ("auc", "brier", "log_loss", "ece", "calibration_in_the_large")
_RESAMPLES = 500


@dataclass(frozen=True)
class SwapSet:
    """Whom only one of two models, or of two strategies, approves.

    Parameters
    ----------
    approval_rate : float or None
        Share of applicants that each model approves, its safest; applicants of equal PD at the cut-off all are. None
        where each approves whom it would.
    both, out, into, neither : int
        Approved by both, by the champion only, by the challenger only, by neither.
    bad_rate_out, bad_rate_in : float or None
        Of those swapped out and in; None where there are none.
    bad_rate_champion, bad_rate_challenger : float
        Of all that either approves.
    """

    approval_rate: float | None
    both: int
    out: int
    into: int
    neither: int
    bad_rate_out: float | None
    bad_rate_in: float | None
    bad_rate_champion: float
    bad_rate_challenger: float


@dataclass(frozen=True)
class Population:
    """Two models on one kind of applicants.

    Parameters
    ----------
    name : str
        `granted`, `refused` or `all`.
    rows, bad : int
        Applications and defaults among them: observed for granted ones, by the truth for refused ones.
    champion, challenger, difference : dict of str to Metric
        By figure, see `FIGURES`. Calibration in the large is mean PD minus bad rate, so that 0 is best.
    correlation, rank_correlation : float or None
        Of the two models' log-odds and of their ranks; None where one model scores all alike.
    swaps : SwapSet
    true_auc : Metric or None
        AUC of the true PD itself, where the truth tells it: nothing can rank better.
    expected : dict of str to Metric
        `champion`, `challenger`, `difference`: AUC that the true PDs expect of the models, free of the luck of single
        loans; empty where the truth tells no PD.
    y, log_odds : arrays
        Outcomes, and both models' log-odds, shape (2, n): what the page draws.
    """

    name: str
    rows: int
    bad: int
    champion: dict[str, Metric]
    challenger: dict[str, Metric]
    difference: dict[str, Metric]
    correlation: float | None
    rank_correlation: float | None
    swaps: SwapSet
    true_auc: Metric | None
    expected: dict[str, Metric]
    y: Integers = field(repr=False)
    log_odds: Array = field(repr=False)

    @property
    def verdict(self) -> str:
        """`better`, `worse` or `equal`: how the challenger ranks, as far as the interval tells; `unknown` without."""
        low, high = self.difference["auc"].low, self.difference["auc"].high
        if low is None or high is None:
            return "unknown"
        return "better" if low > 0 else "worse" if high < 0 else "equal"

    def to_dict(self) -> dict[str, Any]:
        """Plain facts for JSON."""
        by_figure = {
            name: {figure: metric.to_dict() for figure, metric in getattr(self, name).items()}
            for name in ("champion", "challenger", "difference", "expected")
        }
        return {
            "rows": self.rows,
            "bad": self.bad,
            "verdict": self.verdict,
            **by_figure,
            "correlation": self.correlation,
            "rank_correlation": self.rank_correlation,
            "swap_set": asdict(self.swaps),
            "true_auc": None if self.true_auc is None else self.true_auc.to_dict(),
        }


def measure(
    name: str,
    y: npt.ArrayLike,
    log_odds: npt.ArrayLike,
    approval_rate: float,
    *,
    true_pd: npt.ArrayLike | None = None,
    seed: int = 0,
) -> Population:
    """Compare two models' log-odds, shape (2, n), on applicants whose outcomes `y` are known.

    Examples
    --------
    >>> found = measure("granted", [0, 0, 1, 1], [[-2.0, 0.0, -1.0, 1.0], [-2.0, -1.0, 0.0, 1.0]], 0.5)
    >>> found.difference["auc"].value, found.swaps.out, found.swaps.into
    (0.25, 1, 1)
    """
    label, both = np.asarray(y, dtype=np.int64), np.asarray(log_odds, dtype=np.float64)
    pds = expit(both)
    of_each = [_figures(label, pd_, seed) for pd_ in pds]
    losses = [_losses(label, pd_) for pd_ in pds]
    difference = {"auc": metrics.auc_difference(label, both[1], both[0], resamples=_RESAMPLES, seed=seed)}
    difference |= {figure: _mean(losses[1][figure] - losses[0][figure]) for figure in losses[0]}
    difference["ece"] = _ece_difference(label, pds, of_each, seed)
    varied = len(label) > 1 and all(np.ptp(one) > 0 for one in both)
    return Population(
        name=name,
        rows=len(label),
        bad=int(label.sum()),
        champion=of_each[0],
        challenger=of_each[1],
        difference={figure: difference[figure] for figure in FIGURES},
        correlation=float(np.asarray(np.corrcoef(both))[0, 1]) if varied else None,
        rank_correlation=float(spearmanr(both[0], both[1]).statistic) if varied else None,
        swaps=swap_set(label, pds[0], pds[1], approval_rate),
        true_auc=None if true_pd is None else metrics.auc(label, true_pd),
        expected={} if true_pd is None else _expected(both, np.asarray(true_pd, dtype=np.float64), seed),
        y=label,
        log_odds=both,
    )


def swap_set(y: npt.ArrayLike, champion: npt.ArrayLike, challenger: npt.ArrayLike, approval_rate: float) -> SwapSet:
    """Whom only one of two PDs approves at an equal approval rate.

    Examples
    --------
    >>> swaps = swap_set([0, 0, 1, 1], [0.1, 0.3, 0.2, 0.4], [0.1, 0.2, 0.3, 0.4], approval_rate=0.5)
    >>> swaps.both, swaps.bad_rate_out, swaps.bad_rate_in
    (1, 1.0, 0.0)
    """
    first, second = (_approved(np.asarray(pd_), approval_rate) for pd_ in (champion, challenger))
    return swapped(y, first, second, approval_rate)


def swapped(
    y: npt.ArrayLike, champion: npt.ArrayLike, challenger: npt.ArrayLike, approval_rate: float | None = None
) -> SwapSet:
    """Whom only one of two approves, from who is approved by each; `y` may be chances where outcomes are inferred.

    Examples
    --------
    >>> swaps = swapped([0, 1, 0, 1], champion=[True, True, False, False], challenger=[True, False, True, False])
    >>> swaps.out, swaps.bad_rate_out, swaps.into, swaps.bad_rate_in
    (1, 1.0, 1, 0.0)
    """
    label, first, second = np.asarray(y), np.asarray(champion, dtype=np.bool_), np.asarray(challenger, dtype=np.bool_)

    def rate(rows: npt.NDArray[np.bool_]) -> float | None:
        return float(label[rows].mean()) if rows.any() else None

    out, into = first & ~second, second & ~first
    return SwapSet(
        approval_rate=approval_rate,
        both=int((first & second).sum()),
        out=int(out.sum()),
        into=int(into.sum()),
        neither=int((~first & ~second).sum()),
        bad_rate_out=rate(out),
        bad_rate_in=rate(into),
        bad_rate_champion=rate(first) or 0.0,
        bad_rate_challenger=rate(second) or 0.0,
    )


def _approved(pd_: Array, share: float) -> npt.NDArray[np.bool_]:
    if not len(pd_):
        return np.zeros(0, bool)
    cutoff = np.sort(pd_)[max(0, int(np.ceil(share * len(pd_) - 1e-9)) - 1)]
    approved: npt.NDArray[np.bool_] = pd_ <= cutoff
    return approved


def _figures(label: Integers, pd_: Array, seed: int) -> dict[str, Metric]:
    return {
        "auc": metrics.auc(label, pd_),
        "brier": metrics.brier(label, pd_),
        "log_loss": metrics.log_loss(label, pd_),
        "ece": metrics.ece(label, pd_, seed=seed),
        "calibration_in_the_large": _mean(pd_ - label),
    }


def _losses(label: Integers, pd_: Array) -> dict[str, Array]:
    """Figures that are means over applicants, row by row: their difference has a paired interval."""
    inside = np.clip(pd_, 1e-15, 1 - 1e-15)
    return {
        "brier": (pd_ - label) ** 2,
        "log_loss": -np.where(label == 1, np.log(inside), np.log1p(-inside)),
        "calibration_in_the_large": pd_ - label,
    }


def _mean(values: Array) -> Metric:
    if len(values) < 2:
        value = float(values[0]) if len(values) else None
        return Metric(value, None, None, len(values), "fewer than two rows", "不足两行")
    value, half = float(values.mean()), Z95 * float(values.std(ddof=1)) / float(np.sqrt(len(values)))
    return Metric(value, value - half, value + half, len(values))


def _ece_difference(label: Integers, pds: Array, of_each: list[dict[str, Metric]], seed: int) -> Metric:
    """By a bootstrap that draws the same applicants for both, within the deciles of each model's PD."""
    first, second = (one["ece"].value for one in of_each)
    if first is None or second is None:
        return of_each[0]["ece"]
    bins, gaps = [metrics.quantile_bins(pd, 10) for pd in pds], pds - label
    rng = np.random.default_rng(seed)
    drawn = np.empty(_RESAMPLES)
    for k in range(_RESAMPLES):
        rows = rng.integers(0, len(label), len(label))
        errors = [float(np.abs(np.bincount(b[rows], g[rows])).sum()) for b, g in zip(bins, gaps, strict=True)]
        drawn[k] = (errors[1] - errors[0]) / len(label)
    value = second - first
    low, high = np.quantile(drawn, [0.025, 0.975]) - (drawn.mean() - value)  # resampling adds noise to both errors
    return Metric(value, float(low), float(high), len(label))


def _expected(both: Array, true_pd: Array, seed: int) -> dict[str, Metric]:
    """AUC that the true PDs expect, with intervals over the applicants."""
    n = len(true_pd)
    if n < 2:
        return {}
    rng = np.random.default_rng(seed)

    def areas(rows: Any) -> list[float]:
        first, second = (expected_auc(one[rows], true_pd[rows]) for one in both)
        return [first, second, second - first]

    drawn = np.array([areas(rng.integers(0, n, n)) for _ in range(_RESAMPLES)])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    names = ("champion", "challenger", "difference")
    return {
        name: Metric(value, float(low[k]), float(high[k]), n)
        for k, (name, value) in enumerate(zip(names, areas(slice(None)), strict=True))
    }


def expected_auc(score: npt.ArrayLike, true_pd: npt.ArrayLike) -> float:
    """AUC of a score when each applicant defaults with a known probability, ties counting half.

    Examples
    --------
    >>> expected_auc([0.1, 0.2], [0.0, 1.0]), expected_auc([0.2, 0.1], [0.5, 0.5])
    (1.0, 0.5)
    """
    p = np.asarray(true_pd, dtype=np.float64)
    rank = np.unique(np.asarray(score), return_inverse=True)[1]
    bad, good = np.bincount(rank, p), np.bincount(rank, 1.0 - p)
    alone = p @ (1.0 - p)  # nobody is a pair with himself
    above = bad @ (np.cumsum(good) - good / 2.0) - alone / 2.0
    return float(above / (p.sum() * (1.0 - p).sum() - alone))
