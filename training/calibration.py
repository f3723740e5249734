"""Calibration: one rising map from log-odds to log-odds, so that the PD is met on average and no rank changes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import minimize
from sklearn.isotonic import isotonic_regression

from data_contracts.errors import BundleError
from training.estimator import FitError, Floats, Integers, class_folds

# Out of fold a nearly constant part would be stretched without bound; trained on all rows it is less constant.
_STEEPEST = 3.0
_FARTHEST = 50.0
_ENOUGH_TO_CHOOSE = 200


@dataclass(frozen=True)
class PlattCalibrator:
    """`slope * z + intercept` with slope >= 0 (Platt, 1999, on log-odds).

    >>> PlattCalibrator(2.0, 1.0)(np.array([0.5])).tolist()
    [2.0]
    """

    slope: float
    intercept: float
    kind: ClassVar[str] = "platt"

    def __call__(self, log_odds: Floats) -> Floats:
        """Calibrated log-odds."""
        return self.slope * np.asarray(log_odds, dtype=np.float64) + self.intercept

    @classmethod
    def fit(cls, log_odds: Floats, y: Integers, sample_weight: Floats | None = None) -> PlattCalibrator:
        """Fit by log loss."""
        slope, intercept = fit_log_odds(np.asarray(log_odds)[:, None], y, sample_weight)
        return cls(float(slope[0]), intercept)


@dataclass(frozen=True)
class BetaCalibrator:
    """`a ln p - b ln(1 - p) + c` with a, b >= 0: another slope for safe than for risky applicants (Kull et al., 2017).

    >>> BetaCalibrator(1.0, 1.0, 0.0)(np.array([-3.0, 4.0])).round(12).tolist()
    [-3.0, 4.0]
    """

    a: float
    b: float
    c: float
    kind: ClassVar[str] = "beta"

    def __call__(self, log_odds: Floats) -> Floats:
        """Calibrated log-odds."""
        low, high = _beta_terms(log_odds).T
        return self.a * low + self.b * high + self.c  # type: ignore[no-any-return]

    @classmethod
    def fit(cls, log_odds: Floats, y: Integers, sample_weight: Floats | None = None) -> BetaCalibrator:
        """Fit by log loss."""
        (a, b), c = fit_log_odds(_beta_terms(log_odds), y, sample_weight)
        return cls(float(a), float(b), c)


@dataclass(frozen=True)
class IsotonicCalibrator:
    """Straight lines between the middles of isotonic regression's steps (centered: Oron and Flournoy, 2017).

    Lines instead of steps keep two different applicants apart and give every attribution a slope; beyond the outer
    steps the map goes on with slope 1.

    >>> IsotonicCalibrator((0.0, 1.0), (0.0, 3.0))(np.array([-1.0, 0.5, 2.0])).tolist()
    [-1.0, 1.5, 4.0]
    """

    knots: tuple[float, ...]
    values: tuple[float, ...]
    kind: ClassVar[str] = "isotonic"

    def __call__(self, log_odds: Floats) -> Floats:
        """Calibrated log-odds."""
        z = np.asarray(log_odds, dtype=np.float64)
        beyond = z - np.clip(z, self.knots[0], self.knots[-1])
        return np.interp(z, self.knots, self.values) + beyond

    @classmethod
    def fit(cls, log_odds: Floats, y: Integers, sample_weight: Floats | None = None) -> IsotonicCalibrator:
        """Fit by the pool-adjacent-violators algorithm; shares of 0 and 1 are held half a loan away from the edge."""
        order = np.argsort(log_odds, kind="stable")
        each = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        order = order[each[order] > 0]  # what weighs nothing has no share of its own
        each = each[order]
        z, unique = np.unique(np.asarray(log_odds, dtype=np.float64)[order], return_inverse=True)
        rows = np.bincount(unique, weights=each)
        share = isotonic_regression(np.bincount(unique, weights=each * y[order]) / rows, sample_weight=rows)
        edge = 1.0 / (2.0 * len(order))
        levels, step = np.unique(np.clip(share, edge, 1.0 - edge), return_inverse=True)
        middle = np.bincount(step, weights=z * rows) / np.bincount(step, weights=rows)
        return cls(tuple(middle.tolist()), tuple(np.log(levels / (1.0 - levels)).tolist()))


Calibrator = PlattCalibrator | BetaCalibrator | IsotonicCalibrator
CALIBRATORS: dict[str, type[Calibrator]] = {c.kind: c for c in (PlattCalibrator, BetaCalibrator, IsotonicCalibrator)}


@dataclass(frozen=True)
class CalibratorChoice:
    """The chosen calibrator, fitted on all rows, and the out-of-fold log loss of each kind."""

    calibrator: Calibrator
    log_loss: dict[str, float]


def choose_calibrator(
    log_odds: Floats,
    y: Integers,
    *,
    groups: Any = None,
    sample_weight: Floats | None = None,
    n_folds: int = 5,
    seed: int = 0,
) -> CalibratorChoice:
    """Choose among Platt, beta and isotonic by out-of-fold log loss; of equals the simplest wins.

    With fewer than 200 rows of either class only Platt is fitted: what more freedom gains there is noise. Rows count by
    their weight, the heaviest as one: a refused application that stands twice, as part bad and part good, is one.

    Parameters
    ----------
    log_odds : ndarray, shape (n,)
        Out-of-fold log-odds of the model.
    y : ndarray of 0/1, shape (n,)
        1 = bad.
    groups : array, shape (n,), optional
        Rows of one group stay in one fold.
    sample_weight : ndarray, shape (n,), optional
        How much each row counts; all alike by default.
    n_folds, seed : int
        Folds of the comparison.

    Raises
    ------
    FitError
        One class has fewer than two rows, or a log-odds is not finite.

    Examples
    --------
    >>> z = np.linspace(-3, 3, 1000)
    >>> y = (np.arange(1000) * 0.618 % 1 < 1 / (1 + np.exp(-z))).astype(int)
    >>> sorted(choose_calibrator(z, y).log_loss)
    ['beta', 'isotonic', 'platt']
    """
    log_odds, y = np.asarray(log_odds, dtype=np.float64), np.asarray(y, dtype=np.int64)
    if not np.isfinite(log_odds).all():
        raise FitError("log-odds to calibrate must be finite")
    counted = np.ones(len(y)) if sample_weight is None else sample_weight / np.max(sample_weight)
    few = min(float(counted @ y), float(counted @ (1 - y))) < _ENOUGH_TO_CHOOSE
    candidates = {kind: fitted for kind, fitted in CALIBRATORS.items() if kind == "platt" or not few}
    unseen = {kind: np.empty(len(y)) for kind in candidates}
    for train, test in class_folds(y, n_folds, seed, groups, use="choosing the calibrator"):
        for kind, calibrator in candidates.items():
            within = None if sample_weight is None else sample_weight[train]
            unseen[kind][test] = calibrator.fit(log_odds[train], y[train], within)(log_odds[test])
    loss = {kind: log_loss(z, y, sample_weight) for kind, z in unseen.items()}
    chosen = min(loss, key=lambda kind: (round(loss[kind], 6), list(loss).index(kind)))
    return CalibratorChoice(CALIBRATORS[chosen].fit(log_odds, y, sample_weight), loss)


def log_loss(log_odds: Floats, y: Integers, sample_weight: Floats | None = None) -> float:
    """Mean log loss of log-odds, weighted where weights are given; finite for any finite input.

    >>> round(log_loss(np.array([0.0]), np.array([1])), 6)
    0.693147
    """
    return float(np.average(np.logaddexp(0.0, log_odds) - y * log_odds, weights=sample_weight))


def fit_log_odds(terms: Floats, y: Integers, sample_weight: Floats | None = None) -> tuple[Floats, float]:
    """Weights >= 0 and intercept of `terms @ weights + intercept` with the least log loss.

    Parameters
    ----------
    terms : ndarray, shape (n, k)
        Log-odds to be added up. Weights end at 3, so that neither terms which separate the classes nor nearly
        constant ones are stretched without bound.
    y : ndarray of 0/1, shape (n,)
        1 = bad.
    sample_weight : ndarray, shape (n,), optional
        How much each row counts; all alike by default.

    Returns
    -------
    weights : ndarray, shape (k,)
    intercept : float
    """
    terms = np.asarray(terms, dtype=np.float64)
    n_terms = terms.shape[1]
    # Same scale for all, so that one stopping tolerance fits; the answer is given in the terms' own scale.
    scale = np.maximum(terms.std(axis=0), 1e-9)
    centre = terms.mean(axis=0)
    scaled = (terms - centre) / scale
    each = np.full(len(y), 1.0 / len(y)) if sample_weight is None else sample_weight / np.sum(sample_weight)
    bad = float(each @ y)
    odds = np.log(max(bad, 1e-9) / max(1.0 - bad, 1e-9))

    def loss(parameters: Floats) -> tuple[float, Floats]:
        z = scaled @ parameters[:-1] + parameters[-1]
        error = each * (0.5 * (1.0 + np.tanh(z / 2.0)) - y)
        return log_loss(z, y, each), np.append(scaled.T @ error, error.sum())

    start = np.append(scale / n_terms, odds)
    bounds = [(0.0, _STEEPEST * s) for s in scale] + [(-_FARTHEST, _FARTHEST)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500, "ftol": 1e-12})
    weights = found.x[:-1] / scale
    return weights, float(found.x[-1] - centre @ weights)


def calibrator_to_json(calibrator: Calibrator) -> dict[str, Any]:
    """The calibrator as JSON can hold it."""
    return {"kind": calibrator.kind, **asdict(calibrator)}


def calibrator_from_json(content: dict[str, Any]) -> Calibrator:
    """The calibrator that `calibrator_to_json` wrote.

    >>> calibrator_from_json({"kind": "platt", "slope": 1.0, "intercept": 0.0})
    PlattCalibrator(slope=1.0, intercept=0.0)
    """
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items() if k != "kind"}
    try:
        return CALIBRATORS[content["kind"]](**values)
    except (KeyError, TypeError) as error:
        raise BundleError(
            f"the calibrator of a saved model is not one of {', '.join(CALIBRATORS)} ({error})"
        ) from error


def _beta_terms(log_odds: Floats) -> Floats:
    """Terms ln p and -ln(1 - p), shape (n, 2)."""
    z = np.asarray(log_odds, dtype=np.float64)
    return np.column_stack([-np.logaddexp(0.0, -z), np.logaddexp(0.0, z)])
