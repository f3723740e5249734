"""Whether the applicants of today are still those the model was trained on, with error rates that hold.

A fixed limit on the PSI fires by chance when there are few rows: without any drift, PSI is about (1/n + 1/m) times a
chi-square variable with (bins - 1) degrees of freedom. So a row is `drifted` only when two things hold:

* it is significant by `evaluation.drift.chances`, false discoveries among the features controlled by Benjamini and
  Hochberg (1995); the score is tested apart. Half of `alpha` goes to the features, half to the score, so that without
  drift the whole verdict errs in at most about a share `alpha` of comparisons;
* it is large enough to matter: its PSI, less what chance alone contributes, is at least `floor`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_contracts.errors import BundleError
from evaluation.drift.chances import Aspect, Chances, chances
from evaluation.drift.kernel import Integers, count
from evaluation.drift.size import FLOOR, discovery_limit, psi, psi_limit
from training.reference import Distribution, Reference

Verdict = Literal["stable", "drifted", "too_few_rows"]

ALPHA = 0.01
LEAST_ROWS = 100


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
        The PSI at which a diffuse change of a feature of this many rows and bins becomes significant and large enough
        (approximate: what decides is `p_value`).
    p_value : float
        Chance of so large a difference without drift.
    aspect : {"missing", "level", "shape"}
        What differs most: missing values, the level, or the shape of the distribution.
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
    aspect: Aspect
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

    @property
    def chance_psi(self) -> float:
        """What the PSI would be on average without drift."""
        return chance_psi(self.expected, self.actual)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        names = ("name", "psi", "excess_psi", "chance_psi", "psi_threshold", "p_value", "aspect", "drifted", "verdict")
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

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
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

    def to_json(self) -> str:
        """JSON, the same text for the same result."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def chance_psi(then: Sequence[int], now: Sequence[int]) -> float:
    """Mean PSI of two histograms without drift.

    Examples
    --------
    >>> chance_psi([50, 50, 0], [5, 5, 0])
    0.11
    """
    n, m = sum(then), sum(now)
    bins = sum(a + b > 0 for a, b in zip(then, now, strict=True))
    return (1 / n + 1 / m) * max(bins - 1, 0) if n and m else 0.0


@dataclass(frozen=True)
class _Counted:
    """Histograms then and now of all features, shape (n_features, most_bins + 1), missing last."""

    then: Integers
    now: Integers
    outside: Integers


def _counted(distributions: Sequence[Distribution], values: npt.NDArray[np.float64]) -> _Counted:
    """Count values of shape (n_features, n) into the bins of their distributions."""
    most = max((len(one.edges) for one in distributions), default=0)
    shape = (len(distributions), most + 2)
    edges = np.zeros((len(distributions), max(most, 1)))
    then, now = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for at, one in enumerate(distributions):
        edges[at, : len(one.edges)] = one.edges
        then[at, : len(one.bins) - 1], then[at, -1] = one.bins[:-1], one.bins[-1]
    # a feature that was never there in training has no range, so that every value lies beyond it
    low = np.array([np.inf if one.low is None else one.low for one in distributions])
    high = np.array([-np.inf if one.high is None else one.high for one in distributions])
    outside = np.zeros(len(distributions), dtype=np.int64)
    cuts = np.array([len(one.edges) for one in distributions], dtype=np.int64)
    count(values, edges, cuts, low, high, now, outside)
    return _Counted(then, now, outside)


def _rows(
    distributions: Sequence[Distribution], counted: _Counted, found: Chances, limit: float, floor: float, enough: bool
) -> tuple[DriftRow, ...]:
    then_rows, now_rows = counted.then.sum(axis=1), counted.now.sum(axis=1)
    used = ((counted.then + counted.now) > 0).sum(axis=1)
    rows = []
    for at, one in enumerate(distributions):
        n, m, freedom = int(then_rows[at]), int(now_rows[at]), max(int(used[at]) - 1, 0)
        actual = (*counted.now[at, : len(one.bins) - 1].tolist(), int(counted.now[at, -1]))
        noise = 1 / n + 1 / m if n and m else 0.0
        index = psi(one.bins, actual) if n and m else 0.0
        excess = max(0.0, index - noise * freedom)
        p_value = float(found.overall[at])
        verdict: Verdict = "too_few_rows"
        if enough:
            verdict = "drifted" if p_value <= limit and excess >= floor else "stable"
        rows.append(
            DriftRow(
                name=one.name,
                psi=index,
                excess_psi=excess,
                psi_threshold=psi_limit(freedom, n, m, limit, floor) if enough else floor + noise * freedom,
                p_value=p_value,
                aspect=found.strongest(at),
                verdict=verdict,
                missing_rate=actual[-1] / m if m else 0.0,
                reference_missing_rate=one.missing_rate,
                outside_range=int(counted.outside[at]) / m if m else 0.0,
                edges=one.edges,
                expected=one.bins,
                actual=actual,
            )
        )
    return tuple(rows)


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
    floor : float, default 0.01
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
    >>> [(row.name, row.aspect) for row in compare(reference, now, rng.normal(size=500)).drifted]
    [('age_years', 'level')]
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
    table = features if list(features.columns) == list(reference.names) else features[list(reference.names)]
    values = np.ascontiguousarray(table.to_numpy(dtype=np.float64).T)
    counted = _counted(reference.features, values)
    found = chances(counted.then, counted.now)
    limit = discovery_limit(found.overall, alpha / 2)
    rows = _rows(reference.features, counted, found, limit, floor, enough)
    of_score = _counted([reference.score], score[None])
    chance = chances(of_score.then, of_score.now)
    (score_row,) = _rows([reference.score], of_score, chance, alpha / 2, floor, enough)
    verdict: Verdict = "too_few_rows"
    if enough:
        verdict = "drifted" if score_row.drifted or any(row.drifted for row in rows) else "stable"
    return DriftResult(verdict, len(features), reference.score.n, score_row, rows, alpha, floor)
