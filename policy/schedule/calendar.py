"""Days of a schedule: months after a day, and how interest is counted over them.

A month after 31 January is the last day of February; two months after it is 31 March: every due day is counted from the
day of drawing, so that a short month in between is forgotten. A day that does not exist becomes the last of its month.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable
from datetime import MAXYEAR, date

from data_contracts.errors import DeclarationError


def months_after(start: date, months: int) -> date:
    """The same day of the month so many months later, or the last day of that month.

    Raises
    ------
    DeclarationError
        Where it lies beyond the calendar.

    Examples
    --------
    >>> [months_after(date(2028, 1, 31), months).isoformat() for months in (1, 2, 13)]
    ['2028-02-29', '2028-03-31', '2029-02-28']
    """
    years, month = divmod(start.month - 1 + months, 12)
    year = start.year + years
    if year > MAXYEAR:
        raise DeclarationError(f"{months} months after {start} lies beyond the year {MAXYEAR}.")
    return date(year, month + 1, min(start.day, calendar.monthrange(year, month + 1)[1]))


def due_days(start: date, months: Iterable[int]) -> tuple[date, ...]:
    """Due days of a loan drawn on `start`, so many months after it.

    Examples
    --------
    >>> [day.isoformat() for day in due_days(date(2027, 10, 31), (1, 2, 3, 4))]
    ['2027-11-30', '2027-12-31', '2028-01-31', '2028-02-29']
    """
    return tuple(months_after(start, month) for month in months)
