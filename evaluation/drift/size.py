"""How large a difference is: the PSI, what chance alone makes of it, and which p-values count as discoveries."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri

FLOOR = 0.01  # a shift of a mean by a tenth of a standard deviation; a quarter makes 0.06


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
    (0.0495, 0.0111)
    """
    if freedom <= 0 or not n or not m:
        return floor
    noise = 1 / n + 1 / m
    return max(noise * float(chdtri(freedom, p_value)), floor + noise * freedom)


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
