"""Histograms of many features at once, and exact chances of their cells: plain loops, compiled by Numba."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from features.kernel import compiled

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_NEGLIGIBLE = 1e-18


@compiled
def count(values: Any, edges: Any, cuts: Any, low: Any, high: Any, counts: Any, outside: Any) -> None:
    """Count every feature's values into its bins, in place.

    Parameters
    ----------
    values : ndarray of float64, shape (n_features, n)
        NaN = missing.
    edges : ndarray of float64, shape (n_features, most_edges)
        Ascending cut points; bin k holds `edges[k - 1] < value <= edges[k]`.
    cuts : ndarray of int64, shape (n_features,)
        How many of a feature's edges count.
    low, high : ndarray of float64, shape (n_features,)
        Its range in training.
    counts : ndarray of int64, shape (n_features, most_edges + 2)
        Rows in each bin and, last of all, without a value.
    outside : ndarray of int64, shape (n_features,)
        Rows beyond the range.
    """
    last = counts.shape[1] - 1
    for feature in range(values.shape[0]):
        n_cuts = cuts[feature]
        for row in range(values.shape[1]):
            value = values[feature, row]
            if math.isnan(value):
                counts[feature, last] += 1
                continue
            place = 0
            for at in range(n_cuts):  # so few that looking at each is faster than halving
                place += value > edges[feature, at]
            counts[feature, place] += 1
            outside[feature] += value < low[feature] or value > high[feature]


@compiled
def _log_factorial(n: int) -> float:
    return math.lgamma(n + 1.0)


@compiled
def tail(drawn: int, kind: int, others: int, draws: int) -> float:
    """Two-sided chance that so few or so many of `draws` rows are of the kind: Fisher's exact test.

    The rows are drawn out of `kind + others`. Twice the smaller tail, at most 1.
    """
    rows = kind + others
    least, most = max(0, draws - others), min(draws, kind)
    if least == most:
        return 1.0
    up = drawn * rows > kind * draws
    term = math.exp(
        _log_factorial(kind) + _log_factorial(others) + _log_factorial(draws) + _log_factorial(rows - draws)
        - _log_factorial(rows) - _log_factorial(drawn) - _log_factorial(kind - drawn)
        - _log_factorial(draws - drawn) - _log_factorial(others - draws + drawn)
    )  # fmt: skip
    total, at = term, drawn
    while at < most if up else at > least:
        if up:
            term *= (kind - at) / (at + 1.0) * ((draws - at) / (others - draws + at + 1.0))
            at += 1
        else:
            term *= at / (kind - at + 1.0) * ((others - draws + at) / (draws - at + 1.0))
            at -= 1
        total += term
        if term < _NEGLIGIBLE * total:
            break
    return min(1.0, 2.0 * total)


@compiled
def cells(then: Any, now: Any, p_missing: Any, p_cells: Any, p_pair: Any) -> None:
    """Exact chances of every feature's missing values and of its most surprising bin, in place.

    Parameters
    ----------
    then, now : ndarray of int64, shape (n_features, n_bins + 1)
        Rows in each bin of the reference and of today, missing last.
    p_missing, p_cells : ndarray of float64, shape (n_features,)
        Of as many missing values; of the least likely bin among the rows with a value, times the number of bins.
    p_pair : ndarray of float64, shape (n_features,)
        Where only two bins hold rows, the chance of the one, which says all; else NaN.
    """
    bins = then.shape[1] - 1
    for feature in range(then.shape[0]):
        all_then, all_now = 0, 0
        for at in range(bins):
            all_then += then[feature, at]
            all_now += now[feature, at]
        gone_then, gone_now = then[feature, bins], now[feature, bins]
        p_missing[feature] = tail(gone_now, gone_then + gone_now, all_then + all_now, all_now + gone_now)
        used, smallest = 0, 1.0
        for at in range(bins):
            kind = then[feature, at] + now[feature, at]
            if kind:
                used += 1
                smallest = min(smallest, tail(now[feature, at], kind, all_then + all_now - kind, all_now))
        p_cells[feature] = min(1.0, smallest * used)
        p_pair[feature] = smallest if used == 2 else math.nan
