"""What a loan costs a year, all in: the internal rate of return of the flows that are really paid.

Two readings of one rate of return are told, since both are in use:

* **effective**: with interest on interest, `(1 + i)^n - 1`. It is the method of compound interest (the internal rate of
  return) of the People's Bank of China's Announcement No. 3 of 2021, and the APRC of the European Union;
* **nominal**: the rate of a period times the periods of a year, `n · i`: the simple reading, China's `月利率 × 12` and
  the APR of the United States' Regulation Z (appendix J).

The effective rate is never below the nominal one. **The cap is held against the effective rate**, so that it holds
under either reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from scipy.optimize import brentq

from data_contracts.errors import DeclarationError

MONTHS_A_YEAR = 12
DAYS_A_YEAR = 365

_TOLERANCE = 1e-13
_HIGHEST = 1e6  # a year; a loan that costs more is no loan


@dataclass(frozen=True)
class AnnualRate:
    """A cost a year in both readings, as ratios: 0.24 is 24 %.

    Examples
    --------
    >>> AnnualRate.of_period(0.01, 12)
    AnnualRate(nominal=0.12, effective=0.1268...)
    """

    nominal: float
    effective: float

    @classmethod
    def of_period(cls, rate: float, periods: int) -> AnnualRate:
        """From the rate of a period, of which `periods` make a year."""
        return cls(rate * periods, (1 + rate) ** periods - 1)


def of_periods(flows: Sequence[float], periods: int) -> AnnualRate:
    """Cost of flows that are a period apart: what is lent is negative, what is paid back positive.

    Parameters
    ----------
    flows : sequence of float
        The first at the start, then one a period, zeros included.
    periods : int
        Periods a year.

    Raises
    ------
    DeclarationError
        Where no rate solves it: nothing is lent, or less is paid back than was lent.

    Examples
    --------
    The first example of appendix J to Regulation Z: 5,000 lent, 24 monthly payments of 230, 9.69 %.

    >>> round(of_periods([-5000, *[230] * 24], 12).nominal, 4)
    0.0969
    """
    return AnnualRate.of_period(_root(list(flows), [float(k) for k in range(len(flows))]), periods)


def of_dates(flows: Sequence[tuple[date, float]]) -> AnnualRate:
    """Cost of dated flows, years of 365 days counted from the first; the nominal reading is that of months.

    Raises
    ------
    DeclarationError
        As for `of_periods`.

    Examples
    --------
    The first example of the European Union's directive 98/7/EC, annex III: 1,000 lent, 1,200 paid back 546 days later.

    >>> round(of_dates([(date(1994, 1, 1), -1000), (date(1995, 7, 1), 1200)]).effective, 4)
    0.1296
    """
    first = flows[0][0]
    effective = _root([flow for _, flow in flows], [(day - first).days / DAYS_A_YEAR for day, _ in flows])
    return AnnualRate(MONTHS_A_YEAR * ((1 + effective) ** (1 / MONTHS_A_YEAR) - 1), effective)


def value_at(rate: float, flows: Sequence[tuple[date, float]], on: date) -> float:
    """Worth of dated flows on a day, at an effective annual rate.

    Examples
    --------
    >>> round(value_at(0.1, [(date(2027, 1, 1), 100.0)], date(2028, 1, 1)), 9)
    110.0
    """
    return float(sum(flow * (1 + rate) ** ((on - day).days / DAYS_A_YEAR) for day, flow in flows))


def _root(flows: list[float], times: list[float]) -> float:
    """The rate of a unit of time at which the flows are worth nothing."""
    lent, paid = -sum(flow for flow in flows if flow < 0), sum(flow for flow in flows if flow > 0)
    if not lent > 0 or paid < lent or times[-1] <= 0:
        raise DeclarationError(
            f"No rate can be computed: {lent:g} is lent and {paid:g} paid back; a loan lends something and is paid "
            "back later, in full."
        )
    if paid == lent:
        return 0.0
    scaled = [flow / lent for flow in flows]

    def worth(rate: float) -> float:
        return float(sum(flow * (1 + rate) ** -time for flow, time in zip(scaled, times, strict=True)))

    high = 1.0
    while worth(high) > 0:
        if high > _HIGHEST:
            raise DeclarationError(
                f"No rate can be computed: the loan costs more than {_HIGHEST:.0%} in a unit of time."
            )
        high *= 4
    return float(brentq(worth, 0.0, high, xtol=_TOLERANCE))
