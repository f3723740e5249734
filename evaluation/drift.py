"""Whether the applicants of today are still those the model was trained on, with error rates that hold.

A fixed limit on the PSI fires by chance when there are few rows: without any drift, PSI is about (1/n + 1/m) times a
chi-square variable with (bins - 1) degrees of freedom. So a row is `drifted` only when two things hold:

* it is significant: Pearson's two-sample chi-square over the bins, false discoveries among the features controlled by
  Benjamini and Hochberg (1995); the score is tested apart. Half of `alpha` goes to the features, half to the score, so
  that without drift the whole verdict errs in about a share `alpha` of comparisons, or fewer;
* it is large enough to matter: its PSI, less what chance alone contributes, is at least `floor`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import chi2, hypergeom

from data_contracts.errors import BundleError
from training.reference import Distribution, Reference

Verdict = Literal["stable", "drifted", "too_few_rows"]
Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

ALPHA = 0.01
FLOOR = 0.02  # a shift of a mean by an eighth of a standard deviation; a quarter makes 0.06
LEAST_ROWS = 100
_LEAST_EXPECTED = 10.0  # per bin: with the usual 5, p-values below 1e-4 come out too small


@dataclass(frozen=True)
class DriftRow:
    """One feature, or the score, then and now.

    Parameters
    ----------
    name : str
    psi : float
        Population stability index over the reference's bins, missing being one, half a row added to each bin.
    excess_psi : float
        `psi` less its mean under no drift, `(1/n + 1/m) (bins - 1)`; at least 0.
    psi_threshold : float
        The PSI from which a feature of this many rows and bins counts as drifted in this comparison (approximate).
    p_value : float
        Chance of so large a difference without drift.
    verdict : {"stable", "drifted", "too_few_rows"}
    missing_rate, reference_missing_rate : float
    outside_range : float
        Share of rows beyond the training range.
    edges, expected, actual : tuple
        Cut points and rows per bin (missing last) in training and now.
    """

    name: str
    psi: float
    excess_psi: float
    psi_threshold: float
    p_value: float
    verdict: Verdict
    missing_rate: float
    reference_missing_rate: float
    outside_range: float
    edges: tuple[float, ...]
    expected: tuple[int, ...]
    actual: tuple[int, ...]

    @property
    def drifted(self) -> bool:
        """Whether the difference is significant and large enough to matter."""
        return self.verdict == "drifted"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        names = ("name", "psi", "excess_psi", "psi_threshold", "p_value", "drifted", "verdict")
        rates = ("missing_rate", "reference_missing_rate", "outside_range")
        return {name: getattr(self, name) for name in (*names, *rates)}


@dataclass(frozen=True)
class DriftResult:
    """Outcome of one comparison.

    Parameters
    ----------
    verdict : {"stable", "drifted", "too_few_rows"}
        `drifted` where the score or any feature is.
    rows, reference_rows : int
        Scored requests compared, and training rows.
    score : DriftRow
    features : tuple of DriftRow
        In the order of the feature set.
    alpha, floor : float
        The error rate and the least PSI that matters, as they were set.
    """

    verdict: Verdict
    rows: int
    reference_rows: int
    score: DriftRow
    features: tuple[DriftRow, ...]
    alpha: float
    floor: float

    @property
    def drifted(self) -> tuple[DriftRow, ...]:
        """The drifted features, largest PSI first."""
        return tuple(sorted((row for row in self.features if row.drifted), key=lambda row: (-row.psi, row.name)))

    def to_json(self) -> str:
        """JSON, the same text for the same result."""
        facts = {
            "verdict": self.verdict,
            "rows": self.rows,
            "reference_rows": self.reference_rows,
            "alpha": self.alpha,
            "floor": self.floor,
            "score_psi": self.score.psi,
            "score": self.score.to_dict(),
            "drifted_features": [row.name for row in self.drifted],
            "features": [row.to_dict() for row in self.features],
        }
        return json.dumps(facts, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def psi(expected: npt.ArrayLike, actual: npt.ArrayLike) -> float:
    """Population stability index of two histograms; half a row is added to each bin, so that an empty one stays finite.

    Examples
    --------
    >>> psi([50, 50], [50, 50])
    0.0
    >>> round(psi([500_000, 500_000], [750_000, 250_000]), 4)
    0.2747
    """
    then, now = np.asarray(expected, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    used = (then + now) > 0
    if used.sum() < 2:
        return 0.0
    then, now = then[used] + 0.5, now[used] + 0.5
    then, now = then / then.sum(), now / now.sum()
    return float(np.sum((now - then) * np.log(now / then)))


def psi_limit(freedom: int, n: int, m: int, p_value: float, floor: float = FLOOR) -> float:
    """PSI from which a comparison of `n` with `m` rows counts as drift (approximate).

    Parameters
    ----------
    freedom : int
        Bins that hold rows, less one.
    n, m : int
        Rows of the reference and of today.
    p_value : float
        Largest p-value that counts as a discovery.
    floor : float
        Least PSI, beyond chance, that matters.

    Examples
    --------
    >>> round(psi_limit(9, 10_000, 500, 0.005), 4), round(psi_limit(9, 10_000, 50_000, 0.005), 4)
    (0.0495, 0.0211)
    """
    if freedom <= 0 or not n or not m:
        return floor
    noise = 1 / n + 1 / m
    return max(noise * float(chi2.isf(p_value, freedom)), floor + noise * freedom)


@dataclass(frozen=True)
class _Counted:
    """A histogram then and now, with what the tests need of it."""

    reference: Distribution
    actual: Integers
    outside: int
    statistic: float
    freedom: int  # of the test, after merging
    bins: int  # that are not empty in both
    exact_missing: bool  # missing values too few for the chi-square: they get an exact test of their own


def _merged(then: Array, now: Array) -> tuple[Array, Array]:
    """Merge neighbouring bins until each expects enough rows in the smaller sample.

    The decision looks at the pooled rows only, so it does not bend the test: under no drift each pooled row is as
    likely as any other to be one of today's.
    """
    pooled = then + now
    share = min(then.sum(), now.sum()) / pooled.sum()
    starts, collected = [0], 0.0
    for k, rows in enumerate(pooled * share):
        if collected >= _LEAST_EXPECTED:
            starts.append(k)
            collected = 0.0
        collected += rows
    if collected < _LEAST_EXPECTED and len(starts) > 1:
        starts.pop()
    return np.add.reduceat(then, starts), np.add.reduceat(now, starts)


def _count(reference: Distribution, values: Array) -> _Counted:
    actual = reference.counts(values)
    then, now = np.asarray(reference.bins, dtype=np.float64), actual.astype(np.float64)
    bins = int(((then + now) > 0).sum())
    outside = reference.outside(values)
    if bins < 2 or not then.sum() or not now.sum():
        return _Counted(reference, actual, outside, 0.0, 0, bins, False)
    share = min(then.sum(), now.sum()) / (then.sum() + now.sum())
    missing = then[-1] + now[-1]
    exact = missing > 0 and min(missing, then.sum() + now.sum() - missing) * share < _LEAST_EXPECTED
    if exact and missing > (then + now).sum() / 2:  # hardly any value is there
        return _Counted(reference, actual, outside, 0.0, 0, bins, True)
    if exact or not missing:
        then, now = then[:-1], now[:-1]
    merged_then, merged_now = _merged(then, now)
    if len(merged_then) < 2 or not merged_now.sum() or not merged_then.sum():
        return _Counted(reference, actual, outside, 0.0, 0, bins, exact)
    weight = merged_then.sum() / (merged_then.sum() + merged_now.sum())
    pooled = merged_then + merged_now
    expected_then = pooled * weight
    # two-sample Pearson: the deviations of both samples in a bin are equal and opposite
    statistic = float(np.sum((merged_then - expected_then) ** 2 * (1 / expected_then + 1 / (pooled - expected_then))))
    return _Counted(reference, actual, outside, statistic, len(merged_then) - 1, bins, exact)


def _p_values(counted: list[_Counted]) -> Array:
    freedom = np.array([c.freedom for c in counted])
    statistic = np.array([c.statistic for c in counted])
    values = np.where(freedom > 0, chi2.sf(statistic, np.maximum(freedom, 1)), 1.0)
    exact = [k for k, c in enumerate(counted) if c.exact_missing]
    if exact:
        then = np.array([c.reference.bins[-1] for c in counted])[exact]
        now = np.array([int(c.actual[-1]) for c in counted])[exact]
        n = np.array([c.reference.n for c in counted])[exact]
        m = np.array([int(c.actual.sum()) for c in counted])[exact]
        upper = hypergeom.sf(now - 1, n + m, then + now, m)
        lower = hypergeom.cdf(now, n + m, then + now, m)
        alone = np.minimum(1.0, 2 * np.minimum(upper, lower))
        with_bins = np.minimum(1.0, 2 * np.minimum(alone, values[exact]))
        values[exact] = np.where(freedom[exact] > 0, with_bins, alone)
    return np.asarray(values)


def discovery_limit(p_values: npt.ArrayLike, rate: float) -> float:
    """Largest p-value that counts as a discovery when false ones are kept to `rate` (Benjamini and Hochberg 1995).

    Where nothing is discovered it is the limit that the smallest p-value would have had to reach.

    Examples
    --------
    >>> discovery_limit([0.001, 0.02, 0.9, 0.8], 0.05)
    0.025
    """
    ordered = np.sort(np.asarray(p_values, dtype=np.float64))
    limits = rate * np.arange(1, len(ordered) + 1) / max(len(ordered), 1)
    passed = np.flatnonzero(ordered <= limits)
    return float(limits[passed[-1]] if len(passed) else limits[0]) if len(ordered) else rate


def _row(counted: _Counted, p_value: float, limit: float, floor: float, enough: bool) -> DriftRow:
    reference, actual = counted.reference, counted.actual
    n, m = reference.n, int(actual.sum())
    noise = 1 / n + 1 / m if n and m else 0.0
    freedom = max(counted.bins - 1, 0)
    index = psi(reference.bins, actual) if n and m else 0.0
    excess = max(0.0, index - noise * freedom) if freedom else 0.0
    verdict: Verdict = "too_few_rows"
    if enough:
        verdict = "drifted" if p_value <= limit and excess >= floor else "stable"
    return DriftRow(
        name=reference.name,
        psi=index,
        excess_psi=excess,
        psi_threshold=psi_limit(freedom, n, m, limit, floor) if enough else floor + noise * freedom,
        p_value=float(p_value),
        verdict=verdict,
        missing_rate=int(actual[-1]) / m if m else 0.0,
        reference_missing_rate=reference.missing_rate,
        outside_range=counted.outside / m if m else 0.0,
        edges=reference.edges,
        expected=reference.bins,
        actual=tuple(int(count) for count in actual),
    )


def compare(
    reference: Reference,
    features: pd.DataFrame,
    scores: npt.ArrayLike,
    *,
    alpha: float = ALPHA,
    floor: float = FLOOR,
    least_rows: int = LEAST_ROWS,
) -> DriftResult:
    """Compare scored requests with the bundle's reference.

    Parameters
    ----------
    reference : Reference
        Of the bundle that scored the requests.
    features : DataFrame, shape (n, n_features)
        Features of the requests, NaN = missing; at least the reference's columns.
    scores : array, shape (n,)
        On the scale of the reference's score.
    alpha : float, default 0.01
        Share of comparisons without drift that may end in `drifted`.
    floor : float, default 0.02
        Least PSI, beyond chance, that matters.
    least_rows : int, default 100
        Fewer rows get no verdict.

    Raises
    ------
    BundleError
        Where the features are not those of the reference.
    ValueError
        Where there are not as many scores as rows.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> then = pd.DataFrame({"age_years": rng.normal(40, 10, 5000)})
    >>> now = pd.DataFrame({"age_years": rng.normal(30, 10, 500)})
    >>> reference = Reference.from_frame(then, rng.normal(size=5000))
    >>> [row.name for row in compare(reference, now, rng.normal(size=500)).drifted]
    ['age_years']
    """
    absent = [name for name in reference.names if name not in features.columns]
    if absent:
        raise BundleError(
            f"The requests lack {len(absent)} features of the bundle's reference, first {absent[0]!r}; "
            "compare them with the bundle that scored them."
        )
    score = np.asarray(scores, dtype=np.float64)
    if score.shape != (len(features),):
        raise ValueError(f"{len(features)} rows of features but scores of shape {score.shape}: give one a row.")
    enough = len(features) >= least_rows
    counted = [_count(d, features[d.name].to_numpy(dtype=np.float64)) for d in reference.features]
    p_values = _p_values(counted) if counted else np.empty(0)
    limit = discovery_limit(p_values, alpha / 2)
    rows = tuple(_row(c, float(p), limit, floor, enough) for c, p in zip(counted, p_values, strict=True))
    of_score = _count(reference.score, score)
    score_row = _row(of_score, float(_p_values([of_score])[0]), alpha / 2, floor, enough)
    verdict: Verdict = "too_few_rows"
    if enough:
        verdict = "drifted" if score_row.drifted or any(row.drifted for row in rows) else "stable"
    return DriftResult(verdict, len(features), reference.score.n, score_row, rows, alpha, floor)
