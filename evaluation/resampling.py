"""Bootstrap of figures of a ranking: rows become ranks, resamples become histograms, so that all are counted at once.

Ranks are dense, shape (n,), from 0 for the safest; equal scores share one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from evaluation.metric import Array, Integers, clip

_CHUNK = 4_000_000


def draws(rng: np.random.Generator, n: int, resamples: int) -> Iterator[Integers]:
    """Row numbers of bootstrap resamples, shape (some, n), in pieces that bound the memory."""
    step = max(1, _CHUNK // n)
    for start in range(0, resamples, step):
        yield rng.integers(0, n, (min(step, resamples - start), n), dtype=np.int64)


def draws_of_classes(
    bad: Integers, good: Integers, resamples: int, rng: np.random.Generator
) -> Iterator[tuple[Integers, Integers]]:
    """Bootstrap resamples of bad and of good rows, each drawn within its class, so that a resample has both."""
    step = max(1, _CHUNK // (len(bad) + len(good)))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = bad[rng.integers(0, len(bad), (size, len(bad)))]
        yield drawn, good[rng.integers(0, len(good), (size, len(good)))]


def halves(label: Integers, seed: int) -> tuple[Integers, Integers]:
    """Row numbers of two halves of the rows, drawn so that they have equal shares of defaults."""
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(np.flatnonzero(label == kind)) for kind in (0, 1)])
    return np.sort(order[::2]), np.sort(order[1::2])


def histogram(groups: Integers, size: int, weights: Array | None = None) -> Array:
    """Count (or sum of weights) of each group in each resample: (resamples, n) to (resamples, size)."""
    resamples = len(groups)
    flat = (groups + np.arange(resamples)[:, None] * size).ravel()
    total = np.bincount(flat, None if weights is None else weights.ravel(), minlength=resamples * size)
    return total.reshape(resamples, size).astype(np.float64)


def ranks(score: npt.ArrayLike) -> tuple[Integers, int]:
    """Dense rank of each row and how many ranks there are."""
    groups, rank = np.unique(score, return_inverse=True)
    return rank.astype(np.int64), len(groups)


def of_both_classes(rank: Integers, label: Integers, size: int, rows: Integers) -> tuple[Array, Array]:
    """Bad and good rows of each rank in each resample, shape (resamples, size); resamples of one class are left out."""
    counted = histogram(rank[rows] + size * label[rows], 2 * size)
    good, bad = counted[:, :size], counted[:, size:]
    both = (good.any(axis=1)) & (bad.any(axis=1))
    return bad[both], good[both]


def areas(bad: Integers, good: Integers, size: int) -> Array:
    """AUC of each resample from the ranks of its bad and good loans, each of shape (resamples, n of the class)."""
    of_bad, of_good = histogram(bad, size), histogram(good, size)
    below = np.cumsum(of_good, axis=1) - of_good / 2
    return np.asarray((of_bad * below).sum(axis=1) / (bad.shape[1] * good.shape[1]))


def centred(values: Array, value: float, low: float = 0.0, high: float = 1.0) -> tuple[float, float]:
    """Percentile interval, moved by the bootstrap's own bias: resampling adds noise to a maximum of differences."""
    bias = float(values.mean()) - value
    lower, upper = np.quantile(values, [0.025, 0.975])
    return clip(float(lower) - bias, low, high), clip(float(upper) - bias, low, high)
