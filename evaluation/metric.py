"""What a figure is: a value with its 95 % interval, or the reason why there is none; and what can be measured."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

Z95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Metric:
    """A figure with its 95 % interval, or the reason why it is undefined.

    Parameters
    ----------
    value, low, high : float or None
        The figure and its interval; None where it cannot be computed.
    n : int
        Rows it was computed from.
    note, note_zh : str
        Why it is undefined, or what to know when reading it, in English and Chinese.

    Examples
    --------
    >>> Metric(None, None, None, 3, "no default among the rows").defined
    False
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    note: str = ""
    note_zh: str = ""

    @property
    def defined(self) -> bool:
        """Whether there is a figure."""
        return self.value is not None

    def to_dict(self) -> dict[str, float | int | str | None]:
        """Plain values for JSON."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n, "note": self.note}


def checked(y: npt.ArrayLike, *scores: npt.ArrayLike) -> tuple[Integers, tuple[Array, ...]]:
    """Outcomes and scores as arrays of shape (n,); `ValueError` where they are not what their names say."""
    label = np.asarray(y)
    arrays = tuple(np.asarray(score, dtype=np.float64) for score in scores)
    if any(label.shape != array.shape or array.ndim != 1 for array in arrays):
        raise ValueError(f"y has shape {label.shape}, the scores {[a.shape for a in arrays]}; give equal (n,).")
    if not np.isin(label, (0, 1)).all():
        raise ValueError("y must hold only 0 (good) and 1 (default); leave out rows without an outcome.")
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("A score is missing or infinite; leave its row out and count it.")
    return label.astype(np.int64), arrays


def checked_pd(y: npt.ArrayLike, pd: npt.ArrayLike) -> tuple[Integers, Array]:
    """Outcomes and PDs as arrays of shape (n,); `ValueError` where they are not what their names say."""
    label, (probability,) = checked(y, pd)
    if ((probability < 0) | (probability > 1)).any():
        raise ValueError("pd must lie in [0, 1]; log-odds have to be turned into probabilities first.")
    return label, probability


def one_class(y: Integers) -> Metric | None:
    """The reason why nothing that compares both classes can be computed, if there is one."""
    reasons = {
        0: ("no rows", "没有样本"),
        1: ("every row is of one class", "样本只有一个类别"),
    }
    classes = 0 if len(y) == 0 else len(np.unique(y))
    if classes == 2:
        return None
    return Metric(None, None, None, len(y), *reasons[classes])


def clip(value: float, low: float = 0.0, high: float = 1.0) -> float:
    """The value, or the nearer of the ends where it lies beyond them."""
    return float(min(max(value, low), high))


def mean(values: Array, *, least: float = -np.inf, note: tuple[str, str] = ("", "")) -> Metric:
    """Mean over rows with the interval of its standard error, cut at the `least` that is possible.

    Examples
    --------
    >>> mean(np.array([1.0, 3.0])).value
    2.0
    """
    n = len(values)
    if n == 0:
        return Metric(None, None, None, 0, "no rows", "没有样本")
    value = float(values.mean())
    if n == 1:
        return Metric(value, None, None, 1, "no interval: a single row", "无区间：只有一个样本")
    half = Z95 * float(values.std(ddof=1)) / float(np.sqrt(n))
    return Metric(value, max(least, value - half), value + half, n, *note)
