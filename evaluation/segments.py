"""Every figure of a PD by month, product, channel, segment; and where a model is better on what it has learnt from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas

from evaluation import metrics
from evaluation.metric import Integers, Metric, checked_pd
from evaluation.tables import share
from training.targets import LOCAL

MISSING = "missing"


@dataclass(frozen=True)
class Segment:
    """The figures of one level of a dimension.

    Parameters
    ----------
    dimension, level : str
        `product` and `renovation`, `month` and `2024-05`; rows without a level are of level `missing`.
    n, bad : int
        Rows and defaults.
    metrics : dict of str to Metric
        `bad_rate`, and everything that `metrics.evaluate` measures.
    """

    dimension: str
    level: str
    n: int
    bad: int
    metrics: dict[str, Metric]


@dataclass(frozen=True)
class Overfit:
    """AUC of one level of a dimension where the model has learnt and where it has not.

    Parameters
    ----------
    dimension, level : str
    train, test, gap : Metric
        AUC, and train minus test.
    """

    dimension: str
    level: str
    train: Metric
    test: Metric
    gap: Metric


def months(moments: pandas.Series) -> pandas.Series:
    """Month of each moment (UTC) as people in China name it.

    Examples
    --------
    >>> months(pandas.Series(pandas.to_datetime(["2024-04-30 15:59", "2024-04-30 16:00"]))).tolist()
    ['2024-04', '2024-05']
    """
    return (moments + LOCAL).dt.strftime("%Y-%m")


def weeks(moments: pandas.Series) -> pandas.Series:
    """ISO week of each moment (UTC) as people in China name it.

    Examples
    --------
    >>> weeks(pandas.Series(pandas.to_datetime(["2024-12-29 15:59", "2024-12-29 16:00"]))).tolist()
    ['2024-W52', '2025-W01']
    """
    return (moments + LOCAL).dt.strftime("%G-W%V")


def by_segment(
    y: npt.ArrayLike, pd: npt.ArrayLike, dimensions: pandas.DataFrame, *, resamples: int = 200, seed: int = 0
) -> list[Segment]:
    """Measure a PD on every level of every dimension.

    Parameters
    ----------
    y : array of 0 and 1, shape (n,)
    pd : array in [0, 1], shape (n,)
    dimensions : DataFrame, shape (n, n_dimensions)
        The level of each row, in the order of `y`; its index is ignored. Categories keep their order.
    resamples : int, default 200
        Of the figures with a bootstrap.
    seed : int, default 0

    Returns
    -------
    list of Segment
        By dimension, then level. What cannot be computed on a level carries its reason.

    Examples
    --------
    >>> found = by_segment([0, 1, 0], [0.1, 0.3, 0.2], pandas.DataFrame({"channel": ["app", "app", "branch"]}))
    >>> [(one.level, one.n, one.bad, one.metrics["auc"].value, one.metrics["auc"].note) for one in found]
    [('app', 2, 1, 1.0, 'no interval: a class has a single row'), ('branch', 1, 0, None, 'every row is of one class')]
    """
    label, probability = checked_pd(y, pd)
    found = []
    for dimension, level, rows in levels_of(dimensions, len(label)):
        bad = int(label[rows].sum())
        figures = metrics.evaluate(label[rows], probability[rows], resamples=resamples, seed=seed)
        found.append(Segment(dimension, level, len(rows), bad, {"bad_rate": share(bad, len(rows)), **figures}))
    return found


def segment_table(segments: Sequence[Segment], figures: Sequence[str] | None = None) -> pandas.DataFrame:
    """The segments as a table: for each figure its value, and `_low`, `_high`, `_note`, `_note_zh` beside it.

    Parameters
    ----------
    segments : sequence of Segment
    figures : sequence of str, optional
        Which figures, all by default.
    """
    rows = []
    for one in segments:
        row: dict[str, object] = {"dimension": one.dimension, "level": one.level, "n": one.n, "bad": one.bad}
        for name in figures or one.metrics:
            it = one.metrics[name]
            parts = {"": it.value, "_low": it.low, "_high": it.high, "_note": it.note, "_note_zh": it.note_zh}
            row |= {f"{name}{suffix}": value for suffix, value in parts.items()}
        rows.append(row)
    return pandas.DataFrame(rows)


def overfit_by_segment(
    train: tuple[npt.ArrayLike, npt.ArrayLike, pandas.DataFrame],
    test: tuple[npt.ArrayLike, npt.ArrayLike, pandas.DataFrame],
) -> list[Overfit]:
    """Compare the AUC on what the model has learnt from with that on other rows, by level of each dimension.

    Parameters
    ----------
    train, test : (y, score, dimensions)
        As in `by_segment`; the score may be a PD or log-odds.

    Returns
    -------
    list of Overfit
        First all rows, of dimension and level `all`; then the levels that either sample has, undefined where the other
        lacks them.

    Examples
    --------
    >>> level = pandas.DataFrame({"product": ["cash"] * 4})
    >>> found = overfit_by_segment(([0, 0, 1, 1], [1, 2, 3, 4], level), ([0, 0, 1, 1], [1, 4, 3, 5], level))
    >>> [(one.level, one.train.value, one.test.value, one.gap.value) for one in found]
    [('all', 1.0, 0.75, 0.25), ('cash', 1.0, 0.75, 0.25)]
    """
    (y, score), (other_y, other_score) = ((np.asarray(part[0]), np.asarray(part[1])) for part in (train, test))
    of_each = [
        {(name, level): rows for name, level, rows in levels_of(part[2], np.size(part[0]))} for part in (train, test)
    ]
    none = np.empty(0, dtype=np.int64)
    found = [_overfit("all", "all", (y, score), (other_y, other_score))]
    for name, level in dict.fromkeys(key for levels in of_each for key in levels):
        here, there = (levels.get((name, level), none) for levels in of_each)
        found.append(_overfit(name, level, (y[here], score[here]), (other_y[there], other_score[there])))
    return found


def _overfit(name: str, level: str, train: tuple[npt.ArrayLike, ...], test: tuple[npt.ArrayLike, ...]) -> Overfit:
    return Overfit(name, level, metrics.auc(*train), metrics.auc(*test), metrics.auc_gap(*train, *test))


def levels_of(dimensions: pandas.DataFrame, n: int) -> Iterator[tuple[str, str, Integers]]:
    """Dimension, level and row numbers of every level."""
    if len(dimensions) != n:
        raise ValueError(f"{n} outcomes but {len(dimensions)} rows of dimensions: give one a row.")
    for dimension in dimensions:
        levels = dimensions[dimension].reset_index(drop=True)
        for level, rows in levels.groupby(levels, observed=True, sort=True):
            yield str(dimension), str(level), rows.index.to_numpy(dtype=np.int64)
        if (absent := np.flatnonzero(levels.isna())).size:
            yield str(dimension), MISSING, absent.astype(np.int64)
