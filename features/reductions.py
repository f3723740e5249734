"""Statistics of many short runs of values at once: one pass of NumPy over all aggregates instead of one for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from features.algebra import US_PER_DAY, US_PER_MONTH

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_BY_RUN = ("sum", "mean", "max", "min", "last", "first", "std", "slope")


class Reductions:
    """The statistics of a fixed list of aggregates.

    Parameters
    ----------
    statistics : sequence of str
        One an aggregate: `sum mean max min last first std slope distinct`.
    """

    def __init__(self, statistics: Sequence[str]) -> None:
        self._row = np.array([_BY_RUN.index(name) if name in _BY_RUN else 0 for name in statistics])
        self._std = np.array([name == "std" for name in statistics], dtype=bool)
        self._slope = np.array([name == "slope" for name in statistics], dtype=bool)
        self._distinct = [at for at, name in enumerate(statistics) if name == "distinct"]
        self._empty = np.array([0.0 if name in ("sum", "distinct") else np.nan for name in statistics])

    def compute(self, values: Floats, ages: Floats, lengths: Ints) -> Floats:
        """Reduce every run of values, latest first.

        Parameters
        ----------
        values, ages : ndarray, shape (lengths.sum(),)
            Values that are not missing, one run after the other, and how many microseconds old each is.
        lengths : ndarray, shape (n_aggregates,)
            Length of each run, 0 for an empty one.

        Returns
        -------
        ndarray, shape (n_aggregates,)
            NaN where there is no statistic of so few values; 0 for a sum or number of none.
        """
        result = self._empty.copy()
        alive = lengths.nonzero()[0]
        if not len(alive):
            return result
        length = lengths[alive]
        start = length.cumsum() - length
        by_run = np.empty((len(_BY_RUN), len(alive)))
        by_run[0] = np.add.reduceat(values, start)
        by_run[1] = by_run[0] / length
        by_run[2] = np.maximum.reduceat(values, start)
        by_run[3] = np.minimum.reduceat(values, start)
        by_run[4] = values[start]
        by_run[5] = values[start + length - 1]
        for row, chosen, statistic in ((6, self._std, _std), (7, self._slope, _slope)):
            runs = chosen[alive]
            if runs.any():
                inside = np.repeat(runs, length)
                by_run[row, runs] = statistic(values[inside], ages[inside], length[runs])
        result[alive] = by_run[self._row[alive], np.arange(len(alive))]
        for at in self._distinct:
            end = lengths[: at + 1].sum()
            result[at] = len(set(values[end - lengths[at] : end].tolist()))
        return result


def _std(values: Floats, _: Floats, length: Ints) -> Floats:
    start = length.cumsum() - length
    change = _centred(values, start, length)
    squares = np.add.reduceat(change * change, start)
    return np.sqrt(squares / np.where(length > 1, length - 1, np.nan))


def _slope(values: Floats, ages: Floats, length: Ints) -> Floats:
    start = length.cumsum() - length
    spread = np.maximum.reduceat(ages, start) - np.minimum.reduceat(ages, start)
    months = _centred(ages, start, length) / -US_PER_MONTH
    change = _centred(values, start, length)
    variance = np.add.reduceat(months * months, start)
    slope: Floats = np.add.reduceat(months * change, start) / variance
    return np.where(spread >= US_PER_DAY, slope, np.nan)


def _centred(values: Floats, start: Ints, length: Ints) -> Floats:
    """Values less the mean of their run; from differences to the first, so that a constant gives exact zeros."""
    change = values - np.repeat(values[start], length)
    centred: Floats = change - np.repeat(np.add.reduceat(change, start) / length, length)
    return centred
