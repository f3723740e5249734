"""AUC of many resamples at once: the paired bootstrap of a gain, by customer within each fold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
_CHUNK = 4_000_000  # weights held at one time


class Area:
    """AUC of one score on fixed rows, for many weightings of them, ties counting half.

    Parameters
    ----------
    defaulted : ndarray of 0 and 1, shape (n,)
    score : ndarray, shape (n,)
        Higher is riskier.

    Examples
    --------
    >>> area = Area(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    >>> area(np.array([[1.0, 1, 1, 1], [1, 0, 1, 1], [0, 1, 1, 1]])).tolist()
    [0.75, 1.0, 0.5]
    """

    def __init__(self, defaulted: Integers, score: Floats) -> None:
        order = np.argsort(score, kind="stable")
        ranked = score[order]
        starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
        ends = np.r_[starts[1:], len(ranked)]
        group = np.repeat(np.arange(len(starts)), ends - starts)
        bad = defaulted[order] == 1
        self._good, self._bad = order[~bad], order[bad]
        # good rows below each bad row, and those that are not above it
        good_before = np.r_[0, np.cumsum(~bad)]
        self._below, self._up_to = good_before[starts[group[bad]]], good_before[ends[group[bad]]]

    def __call__(self, weights: Floats) -> Floats:
        """AUC of each row of `weights`, shape (resamples, n)."""
        good, bad = weights[:, self._good], weights[:, self._bad]
        summed = np.concatenate([np.zeros((len(weights), 1)), np.cumsum(good, axis=1)], axis=1)
        placed = (summed[:, self._below] + summed[:, self._up_to]) / 2
        area: Floats = (placed * bad).sum(axis=1) / (bad.sum(axis=1) * summed[:, -1])
        return area


def fold_areas(defaulted: Integers, scores: Mapping[str, Floats], fold: Integers) -> dict[str, Floats]:
    """AUC of each score in each fold."""
    return {
        name: np.array([_one(defaulted[rows], score[rows]) for rows in _rows_of(fold)])
        for name, score in scores.items()
    }


def resampled_areas(
    defaulted: Integers,
    scores: Mapping[str, Floats],
    fold: Integers,
    customers: npt.NDArray[np.str_],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Floats]:
    """Mean AUC over folds of each score in each resample; the same customers are drawn for all of them.

    Customers are drawn within their fold, with all their rows: rows of one customer tell less than as many customers.

    Returns
    -------
    dict of str to ndarray, shape (resamples,)
    """
    rng = np.random.default_rng(seed)
    found = {name: np.zeros(resamples) for name in scores}
    folds = _rows_of(fold)
    for rows in folds:
        areas = {name: Area(defaulted[rows], score[rows]) for name, score in scores.items()}
        _, who = np.unique(customers[rows], return_inverse=True)
        people = int(who.max()) + 1
        step = max(1, _CHUNK // len(rows))
        for start in range(0, resamples, step):
            drawn = _draws(rng, min(step, resamples - start), people)
            weights = drawn if people == len(rows) else drawn[:, who]
            for name, area in areas.items():
                found[name][start : start + len(weights)] += area(weights) / len(folds)
    return found


def _draws(rng: np.random.Generator, resamples: int, n: int) -> Floats:
    """How often each of `n` is drawn in `n` draws with replacement, shape (resamples, n)."""
    drawn = rng.integers(0, n, (resamples, n)) + np.arange(resamples)[:, None] * n
    return np.bincount(drawn.ravel(), minlength=resamples * n).reshape(resamples, n).astype(np.float64)


def _one(defaulted: Integers, score: Floats) -> float:
    return float(Area(defaulted, score)(np.ones((1, len(score))))[0])


def _rows_of(fold: Integers) -> list[Integers]:
    return [np.flatnonzero(fold == number) for number in np.unique(fold)]
