"""The months a simulated lender lives through, and how its arrays become Arrow columns.

Moments are int64 microseconds UTC while they are computed with; months begin at midnight China Standard Time (UTC+8).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

HISTORY_MONTHS = 36  # months lived before the first application that the tables hold
SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
NEVER = 2**62  # half of what int64 holds, so that days can be added to it
_CST = 8 * HOUR


def generator(seed: int, concept: str) -> np.random.Generator:
    """Random numbers of one concept: a change in one module leaves the draws of the others as they were."""
    return np.random.default_rng([seed, crc32(concept.encode())])


def sigmoid(log_odds: Floats) -> Floats:
    """Probability of log-odds."""
    probability: Floats = 1.0 / (1.0 + np.exp(-log_odds))
    return probability


def whole(values: Floats) -> Ints:
    """Round to whole units (fen, days)."""
    return np.rint(values).astype(np.int64)


def poisson(chance: Floats, mean: Floats, most: int) -> Ints:
    """Poisson counts, at most `most`, each from one uniform draw.

    One draw each, whatever the mean: another scenario then leaves the draws of whom it does not touch as they were.

    Examples
    --------
    >>> poisson(np.array([0.2, 0.6, 0.999]), np.array([0.5, 0.5, 0.5]), 2).tolist()
    [0, 0, 2]
    """
    counts = np.zeros(len(chance), np.int64)
    term = np.exp(-mean)
    below = term.copy()
    for count in range(1, most + 1):
        counts += chance > below
        term = term * mean / count
        below += term
    return counts


def geometric(chance: Floats, probability: Floats) -> Ints:
    """Number of trials up to the first success, each from one uniform draw.

    Examples
    --------
    >>> geometric(np.array([0.9, 0.5, 0.1]), np.array([0.2, 0.2, 1.0])).tolist()
    [1, 4, 1]
    """
    p = np.clip(probability, 1e-6, 1 - 1e-12)
    return 1 + np.floor(np.log(np.maximum(chance, 1e-300)) / np.log1p(-p)).astype(np.int64)


@dataclass(frozen=True)
class Timeline:
    """Month grid: month 0 lies `HISTORY_MONTHS` before the first month with applications.

    Parameters
    ----------
    start : datetime
        The first month with applications; day and time of day are ignored.
    months : int
        Months with applications.

    Examples
    --------
    >>> timeline = Timeline(datetime(2021, 1, 1), 12)
    >>> timeline.size, np.datetime64(int(timeline.end), "us")
    (48, np.datetime64('2021-12-31T16:00:00.000000'))
    """

    start: datetime
    months: int

    @property
    def size(self) -> int:
        """Months in the grid."""
        return HISTORY_MONTHS + self.months

    @cached_property
    def starts(self) -> Ints:
        """First moment of each month and of the one after the last, shape (size + 1,)."""
        first = np.datetime64(self.start, "M") - HISTORY_MONTHS
        moments = (first + np.arange(self.size + 1)).astype("datetime64[us]").astype(np.int64)
        shifted: Ints = moments - _CST
        return shifted

    @property
    def end(self) -> int:
        """First moment after the data: what is known from then on is not in the tables."""
        return int(self.starts[-1])

    def month_of(self, moments: Ints) -> Ints:
        """Month in the grid, clipped to it."""
        month: Ints = np.searchsorted(self.starts, moments, side="right") - 1
        return np.clip(month, 0, self.size - 1)

    def within(self, month: Ints, share: Floats) -> Ints:
        """First moment of the day that lies `share` (0 to 1) into a month, China Standard Time."""
        days = (self.starts[month + 1] - self.starts[month]) // DAY
        return self.starts[month] + (share * days).astype(np.int64) * DAY


def months_later(moments: Ints, months: Ints | int) -> Ints:
    """Last second of the same day of the month `months` later (at most the 28th), China Standard Time."""
    local = (moments + _CST).astype("datetime64[us]")
    month = local.astype("datetime64[M]")
    day = np.minimum((local.astype("datetime64[D]") - month).astype(np.int64), 27)
    due = (month + months).astype("datetime64[us]").astype(np.int64)
    last_second: Ints = due + (day + 1) * DAY - SECOND - _CST
    return last_second


def identifiers(prefix: str, numbers: Ints, missing: Flags | None = None) -> pa.Array:
    """Identifiers such as `T00000042`, null where `missing`."""
    padded = pc.utf8_lpad(pa.array(numbers, mask=missing).cast(pa.string()), 8, "0")
    return pc.binary_join_element_wise(prefix, padded, "")


def labels(names: tuple[str, ...], codes: npt.NDArray[np.integer]) -> pa.Array:
    """Strings of category codes."""
    return pa.array(names, pa.string()).take(pa.array(codes))


def moments_column(moments: Ints, missing: Flags | None = None) -> pa.Array:
    """Timestamps of microseconds, null where `missing`."""
    return pa.array(moments, mask=missing).cast(pa.timestamp("us"))


def known_before(table: pa.Table, end: int) -> pa.Table:
    """Rows that the lender has learned before `end`."""
    return table.filter(pc.less(table["known_at"], pa.scalar(end, pa.int64()).cast(pa.timestamp("us"))))
