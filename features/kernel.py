"""The algebra over the few records of one applicant: plain loops, compiled by Numba.

With so few records the number of NumPy calls is what costs time; a loop over them costs next to nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from features.aggregates import Aggregate

Floats = npt.NDArray[np.float64]

# The machine code that is kept on disk holds these numbers, and only a change of this file makes it anew: no number
# that is compiled in may come from elsewhere.
STATISTICS = (
    "count", "sum", "streak", "longest_streak", "distinct", "days_since", "days_since_first", "gap_max", "gap_std",
    "mean", "max", "min", "std", "first", "last", "nth_last", "quantile", "slope", "entropy",
)  # fmt: skip
_COUNT, _SUM, _STREAK, _LONGEST, _DISTINCT, _DAYS_SINCE, _DAYS_SINCE_FIRST, _GAP_MAX, _GAP_STD = range(9)
_MEAN, _MAX, _MIN, _STD, _FIRST, _LAST, _NTH, _QUANTILE, _SLOPE, _ENTROPY = range(9, 19)
_LN2 = math.log(2.0)
_US_PER_DAY = 86_400_000_000.0
_US_PER_MONTH = 30.0 * _US_PER_DAY


def compiled(function: Any, **options: Any) -> Any:
    """A function in machine code, kept on disk from one process to the next where that is possible.

    `options` are Numba's own.
    """
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # nowhere to keep it
        return numba.njit(**options)(function)


OPERATIONS = (
    "add", "sub", "mul", "div", "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "is_missing", "coalesce",
    "least", "greatest", "when", "days_between", "local_hour", "abs", "log1p", "decay", "finite", "isin", "bucket",
)  # fmt: skip
_ADD, _SUB, _MUL, _DIV, _EQ, _NE, _LT, _LE, _GT, _GE, _AND, _OR, _NOT, _IS_MISSING, _COALESCE = range(15)
_LEAST, _GREATEST, _WHEN, _DAYS_BETWEEN, _LOCAL_HOUR, _ABS, _LOG1P, _DECAY, _FINITE, _ISIN, _BUCKET = range(15, 26)
_US_PER_HOUR = 3_600_000_000.0


@compiled
def run(steps: Any, choices: Any, slots: Any, constants: Any, values: Any) -> None:
    """Compute steps in place.

    Parameters
    ----------
    steps : ndarray of int64, shape (n_steps, 7)
        Operation, slot of the result, slots of up to three arguments, first and last of the choices.
    choices : ndarray of float64
        What `isin` compares with, and the edges of `bucket`.
    slots, constants : ndarray, shape (n_constants,)
        Where constants lie, and what they are.
    values : ndarray of float64, shape (n_slots, n_rows)
        Filled where it is a column.
    """
    for at in range(slots.shape[0]):
        values[slots[at]] = constants[at]
    for step in range(steps.shape[0]):
        operation, result = steps[step, 0], values[steps[step, 1]]
        first, second, third = values[steps[step, 2]], values[steps[step, 3]], values[steps[step, 4]]
        # The most frequent ones without a question at each value.
        if operation == _EQ:
            for row in range(result.shape[0]):
                result[row] = 1.0 if first[row] == second[row] else 0.0
        elif operation == _AND:
            for row in range(result.shape[0]):
                result[row] = 1.0 if first[row] != 0.0 and second[row] != 0.0 else 0.0
        elif operation == _FINITE:
            for row in range(result.shape[0]):
                result[row] = first[row] if math.isfinite(first[row]) else np.nan
        else:
            some = choices[steps[step, 5] : steps[step, 6]]
            for row in range(result.shape[0]):
                result[row] = _operation(operation, first[row], second[row], third[row], some)


@compiled
def _operation(operation: Any, a: Any, b: Any, c: Any, some: Any) -> Any:
    if operation <= _DIV or operation >= _DAYS_BETWEEN:
        return _number(operation, a, b, some)
    if operation == _WHEN:
        return b if a != 0.0 else c
    if operation == _COALESCE:
        return b if math.isnan(a) else a
    if operation in (_LEAST, _GREATEST):
        if math.isnan(a) or math.isnan(b):
            return np.nan
        return min(a, b) if operation == _LEAST else max(a, b)
    return 1.0 if _condition(operation, a, b) else 0.0


@compiled
def _condition(operation: Any, a: Any, b: Any) -> Any:
    if operation == _OR:
        return a != 0.0 or b != 0.0
    if operation == _NOT:
        return a == 0.0
    if operation == _NE:
        return not a == b  # noqa: SIM201 - it reads as the negation that it is
    if operation == _LT:
        return a < b
    if operation == _LE:
        return a <= b
    if operation == _GT:
        return a > b
    if operation == _GE:
        return a >= b
    return math.isnan(a)


@compiled
def _number(operation: Any, a: Any, b: Any, some: Any) -> Any:
    if operation == _ADD:
        return a + b
    if operation == _SUB:
        return a - b
    if operation == _MUL:
        return a * b
    if operation == _DIV:
        return np.nan if b == 0.0 else a / b
    if operation == _DAYS_BETWEEN:
        return (b - a) / _US_PER_DAY
    if operation == _ABS:
        return abs(a)
    if operation == _LOG1P:
        return math.log(a + 1.0) if a > -1.0 else np.nan
    if operation == _DECAY:
        return math.exp(a * -_LN2 / b)
    if math.isnan(a):
        return 0.0 if operation == _ISIN else np.nan
    if operation == _LOCAL_HOUR:
        return (math.floor(a / _US_PER_HOUR) + 8.0) % 24.0
    found = 0.0
    for choice in some:
        if operation == _ISIN and a == choice:
            return 1.0
        if operation == _BUCKET and a >= choice:
            found += 1.0
    return found


class Aggregates:
    """Aggregates over one source, as the arrays that the loops read.

    Parameters
    ----------
    aggregates : list of Aggregate
        What to compute.
    values, filters : list of int
        For each aggregate the slot of its values and of its filter.
    """

    def __init__(self, aggregates: list[Aggregate], values: list[int], filters: list[int]) -> None:
        statistics = [STATISTICS.index(a.statistic) for a in aggregates]
        last = [2**31 if a.last is None else a.last for a in aggregates]
        self._whole = np.array([statistics, values, filters, last]).T.copy()
        self._days = np.array([math.inf if a.days is None else float(a.days * _US_PER_DAY) for a in aggregates])
        self._parameter = np.array([a.parameter or 0.0 for a in aggregates])

    def compute(self, values: Floats, ages: Floats) -> Floats:
        """Compute every aggregate.

        Parameters
        ----------
        values : ndarray of float64, shape (n_slots, n_records)
            The latest record first; NaN where missing.
        ages : ndarray of float64, shape (n_records,)
            Microseconds from the records to `as_of`, ascending.

        Returns
        -------
        ndarray of float64, shape (n_aggregates,)
            NaN where there is no statistic of so few values.
        """
        result: Floats = _aggregates(self._whole, self._days, self._parameter, values, ages)
        return result


@compiled
def _aggregates(whole: Any, days: Any, parameters: Any, values: Any, ages: Any) -> Any:
    records = ages.shape[0]
    found = np.empty(whole.shape[0])
    seen, seen_ages = np.empty(records), np.empty(records)
    for at in range(whole.shape[0]):
        statistic, value, passes, last = whole[at]
        number = 0
        for row in range(min(records, last)):
            if ages[row] >= days[at]:  # and so are all that follow
                break
            if values[passes, row] != 0.0 and math.isfinite(values[value, row]):
                seen[number] = values[value, row]
                seen_ages[number] = ages[row]
                number += 1
        if number == 0:
            found[at] = 0.0 if statistic <= _DISTINCT else np.nan
        else:
            found[at] = _statistic(statistic, seen[:number], seen_ages[:number], parameters[at])
    return found


@compiled
def _statistic(statistic: Any, seen: Any, ages: Any, parameter: Any) -> Any:
    """One statistic of at least one value, latest first, and of its age."""
    number = seen.shape[0]
    if statistic == _COUNT:
        return float(number)
    if statistic == _SUM:
        return _sum(seen)
    if statistic == _MEAN:
        return _sum(seen) / number
    if statistic == _MAX:
        return seen.max()
    if statistic == _MIN:
        return seen.min()
    if statistic == _LAST:
        return seen[0]
    if statistic == _FIRST:
        return seen[number - 1]
    if statistic == _NTH:
        return seen[int(parameter) - 1] if number >= parameter else np.nan
    if statistic == _DAYS_SINCE:
        return ages[0] / _US_PER_DAY
    if statistic == _DAYS_SINCE_FIRST:
        return ages[number - 1] / _US_PER_DAY
    if statistic == _STD:
        return _std(seen)
    if statistic == _SLOPE:
        return _slope(seen, ages)
    if statistic == _GAP_MAX:
        return np.diff(ages).max() / _US_PER_DAY if number > 1 else np.nan
    if statistic == _GAP_STD:
        return _std(np.diff(ages) / _US_PER_DAY) if number > 2 else np.nan
    if statistic in (_STREAK, _LONGEST):
        return _streak(seen, statistic == _STREAK)
    ordered = np.sort(seen)
    if statistic == _QUANTILE:
        return _quantile(ordered, parameter)
    return _of_frequencies(ordered, statistic == _ENTROPY)


@compiled
def _sum(seen: Any) -> Any:
    result = 0.0
    for value in seen:
        result += value
    return result


@compiled
def _centred(seen: Any) -> Any:
    """Values less their mean; from differences to the first, so that a constant gives exact zeros."""
    change = seen - seen[0]
    return change - _sum(change) / seen.shape[0]


@compiled
def _std(seen: Any) -> Any:
    if seen.shape[0] < 2:
        return np.nan
    change = _centred(seen)
    return math.sqrt(_sum(change * change) / (seen.shape[0] - 1))


@compiled
def _slope(seen: Any, ages: Any) -> Any:
    if ages[-1] - ages[0] < _US_PER_DAY:
        return np.nan
    months = _centred(ages) / -_US_PER_MONTH
    return _sum(months * _centred(seen)) / _sum(months * months)


@compiled
def _streak(met: Any, current: Any) -> Any:
    longest, run = 0.0, 0.0
    for value in met:
        run = run + 1.0 if value != 0.0 else 0.0
        if current and run == 0.0:
            break
        longest = max(longest, run)
    return longest


@compiled
def _quantile(ordered: Any, share: Any) -> Any:
    place = share * (ordered.shape[0] - 1)
    low = math.floor(place)
    high = min(low + 1, ordered.shape[0] - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


@compiled
def _of_frequencies(ordered: Any, entropy: Any) -> Any:
    """Number of different values, or the entropy of how often each comes."""
    number, different, run, result = ordered.shape[0], 0, 0, 0.0
    for at in range(number):
        run += 1
        if at + 1 == number or ordered[at + 1] != ordered[at]:
            different += 1
            result -= run / number * math.log(run / number)
            run = 0
    return result if entropy else float(different)
