"""Whether a model stays what it was: Gini over time, and PSI of score and features month against reference.

The PSI of features is often called CSI. Bins and thresholds are those of monitoring (`evaluation.drift`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas

from evaluation.drift import ALPHA, FLOOR, LEAST_ROWS, DriftResult, DriftRow, compare
from evaluation.metric import Array, Integers, Metric, checked, one_class
from evaluation.metrics import delong, gini
from evaluation.resampling import areas, centred, draws_of_classes, ranks
from training.reference import Reference

_LEAST_PERIODS = 3
_FALLING, _SPREAD = 88.0, 0.5


@dataclass(frozen=True)
class Period:
    """Gini of one period; undefined where it has one class only."""

    period: str
    n: int
    bad: int
    gini: Metric


@dataclass(frozen=True)
class GiniStability:
    """Gini over time and its one figure.

    Parameters
    ----------
    figure : Metric
        `mean + 88 min(0, slope) - 0.5 std of residuals`.
    mean, slope, residual_std : float or None
        Of the Gini of the periods and of the line through them, slope by period.
    periods : tuple of Period
    """

    figure: Metric
    mean: float | None
    slope: float | None
    residual_std: float | None
    periods: tuple[Period, ...]


def gini_stability(
    y: npt.ArrayLike, score: npt.ArrayLike, period: npt.ArrayLike, *, resamples: int = 200, seed: int = 0
) -> GiniStability:
    """Gini stability as in the Home Credit competition of 2024: punishes a Gini that falls or that jumps.

    Parameters
    ----------
    y : array of 0 and 1, shape (n,)
    score : array, shape (n,)
        PD or log-odds: higher is riskier.
    period : array of str or int, shape (n,)
        In the order of their names; weeks (`segments.weeks`), for which the weight of 88 was chosen.
    resamples, seed : int
        Of the interval: bootstrap within each class of each period.

    Notes
    -----
    Periods of one class are left out, the others keep their places on the line. Sampling alone makes residuals, which
    the note tells, and now and then a slope; both lower the figure. So it does not compare with that of a sample of
    another size, and its interval is that of samples of this size, not of an endless one.

    Examples
    --------
    >>> found = gini_stability([0, 0, 1, 1] * 3, [0, 1, 2, 3, 0, 2, 1, 3, 0, 2, 1, 3], [1] * 4 + [2] * 4 + [3] * 4)
    >>> [one.gini.value for one in found.periods], found.slope, round(found.figure.value, 3)
    ([1.0, 0.5, 0.5], -0.25, -21.392)
    """
    label, (values,) = checked(y, score)
    if undefined := one_class(label):
        return GiniStability(undefined, None, None, None, ())
    names, place = np.unique(np.asarray(period), return_inverse=True)
    if place.shape != label.shape:
        raise ValueError(f"{len(label)} outcomes but periods of shape {place.shape}: give one a row.")
    members = [np.flatnonzero(place == k) for k in range(len(names))]
    periods = tuple(
        Period(str(name), len(rows), int(label[rows].sum()), gini(label[rows], values[rows]))
        for name, rows in zip(names, members, strict=True)
    )
    used = np.array([k for k, one in enumerate(periods) if one.gini.defined], dtype=np.int64)
    if len(used) < _LEAST_PERIODS:
        few = (f"{len(used)} periods with both classes, {_LEAST_PERIODS} are needed",
               f"仅{len(used)}个时期同时含好坏客户，至少需要{_LEAST_PERIODS}个")  # fmt: skip
        return GiniStability(Metric(None, None, None, len(label), *few), None, None, None, periods)
    figures = _stability(np.array([[periods[k].gini.value for k in used]], dtype=np.float64), used)
    value, mean, slope, spread = (float(figure[0]) for figure in figures)
    rng = np.random.default_rng(seed)
    drawn = np.column_stack([_ginis(label[members[k]], values[members[k]], resamples, rng) for k in used])
    low, high = centred(_stability(drawn, used)[0], value, -np.inf, np.inf)
    errors = [delong(label[members[k]], values[members[k]])[1] for k in used]
    note = _note([2 * error for error in errors if error is not None], len(used), len(periods))
    return GiniStability(Metric(value, low, high, len(label), *note), mean, slope, spread, periods)


def _ginis(label: Integers, values: Array, resamples: int, rng: np.random.Generator) -> Array:
    """Gini of each resample of one period."""
    rank, size = ranks(values)
    drawn = draws_of_classes(rank[label == 1], rank[label == 0], resamples, rng)
    return np.concatenate([2 * areas(bad, good, size) - 1 for bad, good in drawn])


def _stability(ginis: Array, at: Integers) -> tuple[Array, Array, Array, Array]:
    """The figure, mean, slope and standard deviation of residuals of each row, shape (resamples, periods)."""
    centre = at - at.mean()
    mean = ginis.mean(axis=1)
    slope = ginis @ centre / (centre @ centre)
    spread = (ginis - mean[:, None] - slope[:, None] * centre).std(axis=1)
    return mean + _FALLING * np.minimum(0, slope) - _SPREAD * spread, mean, slope, spread


def _note(errors: list[float], used: int, periods: int) -> tuple[str, str]:
    chance = float(np.sqrt(np.mean(np.square(errors)))) if errors else 0.0
    en = f"{used} periods; sampling alone would show residuals of about {chance:.4f}"
    zh = f"{used}个时期；仅抽样误差即约造成{chance:.4f}的残差标准差"
    if left := periods - used:
        en, zh = f"{en}; {left} periods of one class left out", f"{zh}；{left}个时期只有一个类别，已略去"
    return en, zh


@dataclass(frozen=True)
class PeriodDrift:
    """Score and features of one period against the reference.

    Parameters
    ----------
    period : str
    score_psi : Metric
        PSI of the score; its note tells how much of it chance alone makes.
    drifted_features : Metric
        Share of features beyond their thresholds. Without an interval: features move together.
    result : DriftResult
        Every PSI with its threshold at this number of rows.
    """

    period: str
    score_psi: Metric
    drifted_features: Metric
    result: DriftResult


def drift_over_time(
    reference: Reference,
    features: pandas.DataFrame,
    score: npt.ArrayLike,
    period: npt.ArrayLike,
    *,
    alpha: float = ALPHA,
    floor: float = FLOOR,
    resamples: int = 200,
    seed: int = 0,
) -> list[PeriodDrift]:
    """Compare each period with the reference: PSI of the score and of every feature, missing values being a bin.

    Parameters
    ----------
    reference : Reference
        Of the bundle; or `Reference.from_frame` of the first period.
    features : DataFrame, shape (n, n_features)
        NaN = missing; at least the reference's columns.
    score : array, shape (n,)
        On the scale of the reference's score.
    period : array of str, shape (n,)
        Such as `segments.months`.
    alpha, floor : float
        As in `evaluation.drift.compare`: thresholds follow from them and from the rows of the period.
    resamples, seed : int
        Of the interval of the score's PSI: both histograms drawn anew.
    """
    scores, periods = np.asarray(score, dtype=np.float64), np.asarray(period)
    rng = np.random.default_rng(seed)
    found = []
    for name in np.unique(periods):
        rows = np.flatnonzero(periods == name)
        result = compare(reference, features.iloc[rows], scores[rows], alpha=alpha, floor=floor)
        psi = _with_interval(result.score, resamples, rng)
        found.append(PeriodDrift(str(name), psi, _drifted_share(result), result))
    return found


def drift_table(found: list[PeriodDrift]) -> pandas.DataFrame:
    """PSI of the score and of every feature by period: `period`, `n`, `feature` and what `DriftRow.to_dict` tells."""
    rows: Iterator[tuple[PeriodDrift, DriftRow]] = (
        (one, row) for one in found for row in (one.result.score, *one.result.features)
    )
    told = [{"period": one.period, "n": one.result.rows, "feature": row.name, **row.to_dict()} for one, row in rows]
    return pandas.DataFrame(told).drop(columns="name") if told else pandas.DataFrame()


def _with_interval(row: DriftRow, resamples: int, rng: np.random.Generator) -> Metric:
    then, now = (np.asarray(counts, dtype=np.int64) for counts in (row.expected, row.actual))
    n, m = int(then.sum()), int(now.sum())
    drawn = [rng.multinomial(of.sum(), of / of.sum(), resamples) + 0.5 for of in (then, now)]
    used = then + now > 0
    first, second = (counts[:, used] / counts[:, used].sum(axis=1, keepdims=True) for counts in drawn)
    psis = ((second - first) * np.log(second / first)).sum(axis=1)
    chance = (1 / n + 1 / m) * max(int(used.sum()) - 1, 0)
    note = f"without drift it would be about {chance:.4f} by chance", f"无漂移时约为{chance:.4f}"
    return Metric(row.psi, *centred(psis, row.psi, 0.0, np.inf), m, *note)


def _drifted_share(result: DriftResult) -> Metric:
    if result.verdict == "too_few_rows":
        few = f"{result.rows} rows, at least {LEAST_ROWS} are needed", f"仅{result.rows}行，至少需要{LEAST_ROWS}行"
        return Metric(None, None, None, result.rows, *few)
    if not result.features:
        return Metric(None, None, None, result.rows, "no features", "没有特征")
    note = "no interval: features move together", "无区间：特征相互关联"
    return Metric(len(result.drifted) / len(result.features), None, None, result.rows, *note)
