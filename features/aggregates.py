"""Statistics over the records of a source: the words that look back. What each means in detail: `features.algebra`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_contracts.errors import DeclarationError
from features.nodes import Node, days_between, node, ratio
from features.nodes import as_of as _as_of
from features.sources import SOURCES, Source, declared

OF_RECORDS = ("count", "days_since", "days_since_first", "gap_max", "gap_std")
OF_CONDITIONS = ("streak", "longest_streak")
OF_NUMBERS = ("sum", "mean", "max", "min", "std", "first", "last", "nth_last", "quantile", "slope")
OF_ANYTHING = ("distinct", "entropy")
STATISTICS = (*OF_RECORDS, *OF_CONDITIONS, *OF_NUMBERS, *OF_ANYTHING)
ZERO_WHEN_EMPTY = ("count", "sum", "distinct", "streak", "longest_streak")


class Aggregate(Node):
    """A statistic over the records of a source that lie in a window and pass a filter.

    It is a node of an applicant like any other: `total(a) / total(b)` is a feature.

    Parameters
    ----------
    statistic : str
        One of `STATISTICS`.
    source : Source
        Whose records.
    value : Node, optional
        What is looked at of each record; the statistics of `OF_RECORDS` take none.
    where : Node, optional
        Condition that a record must meet.
    days, last : int, optional
        Window: so many days up to `as_of`, so many latest records.
    parameter : float, optional
        Which one `nth_last` takes, which share of the values lies below the `quantile`.
    """

    __slots__ = ("days", "last", "parameter", "source", "statistic", "value", "where")

    def __init__(
        self,
        statistic: str,
        source: Source,
        value: Node | None = None,
        *,
        where: Node | None = None,
        days: int | None = None,
        last: int | None = None,
        parameter: float | None = None,
    ) -> None:
        self.statistic = statistic
        self.source = source
        self.value = value
        self.where = where
        self.days = days
        self.last = last
        self.parameter = parameter
        super().__init__("aggregate")

    def spec(self) -> list[Any]:
        """What is computed, for the identity of a feature set."""
        parts: dict[str, Any] = {"statistic": self.statistic, "source": self.source.name}
        parts |= {
            name: part.spec() for name, part in (("value", self.value), ("where", self.where)) if part is not None
        }
        windows = (("days", self.days), ("last", self.last), ("parameter", self.parameter))
        return ["aggregate", parts | {name: part for name, part in windows if part is not None}]

    def __repr__(self) -> str:
        """The aggregate as it was declared, for people."""
        parts = [self.source.name if self.value is None else str(self.value)]
        parts += [] if self.parameter is None else [f"{self.parameter:g}"]
        words = (("where", self.where), ("days", self.days), ("last", self.last))
        parts += [f"{word}={part}" for word, part in words if part is not None]
        return f"{self.statistic}({', '.join(parts)})"


def aggregates(value: Node) -> Iterator[Aggregate]:
    """Aggregates that a value of an applicant is made of."""
    return (part for part in value.walk() if isinstance(part, Aggregate))


def count(records: Source, *, where: Node | None = None, days: int | None = None, last: int | None = None) -> Aggregate:
    """Number of records; 0 where there are none."""
    return Aggregate("count", records, where=where, days=days, last=last)


def total(value: Node, *, where: Node | None = None, days: int | None = None, last: int | None = None) -> Aggregate:
    """Sum; 0 where there is nothing to add."""
    return _over("sum", value, where=where, days=days, last=last)


def decayed_sum(
    value: Node, *, half_life: float, where: Node | None = None, days: int | None = None, last: int | None = None
) -> Aggregate:
    """Sum in which a record counts half for every `half_life` days of its age; 0 where there is nothing to add."""
    source = SOURCES[_owner("decayed_sum", value)]
    age = days_between(Node("column", source.name, source.time), _as_of)
    return _over("sum", value * Node("decay", age, node(float(half_life))), where=where, days=days, last=last)


def mean(value: Node, *, where: Node | None = None, days: int | None = None, last: int | None = None) -> Aggregate:
    """Mean; of a condition: the share of records that meet it."""
    return _over("mean", value, where=where, days=days, last=last)


def share(
    condition: Node,
    *,
    of: Node | None = None,
    where: Node | None = None,
    days: int | None = None,
    last: int | None = None,
) -> Node:
    """Share of the records that meet a condition, or the share that they have `of` the sum of a value.

    Missing where there is no record, or the sum is 0.
    """
    if of is None:
        return mean(condition, where=where, days=days, last=last)
    met = condition if where is None else where & condition
    return ratio(total(of, where=met, days=days, last=last), total(of, where=where, days=days, last=last))


def maximum(value: Node, *, where: Node | None = None, days: int | None = None, last: int | None = None) -> Aggregate:
    """Largest value."""
    return _over("max", value, where=where, days=days, last=last)


def minimum(value: Node, *, where: Node | None = None, days: int | None = None, last: int | None = None) -> Aggregate:
    """Smallest value."""
    return _over("min", value, where=where, days=days, last=last)


def std(value: Node, *, where: Node | None = None, days: int | None = None, last: int | None = None) -> Aggregate:
    """Standard deviation with n - 1; missing below two values."""
    return _over("std", value, where=where, days=days, last=last)


def quantile(
    value: Node, at: float, *, where: Node | None = None, days: int | None = None, last: int | None = None
) -> Aggregate:
    """Value below which the share `at` of the values lies, interpolated between neighbours; 0.5 is the median."""
    return _over("quantile", value, where=where, days=days, last=last, parameter=at)


def first(value: Node, *, where: Node | None = None, days: int | None = None, last: int | None = None) -> Aggregate:
    """First value that is not missing."""
    return _over("first", value, where=where, days=days, last=last)


def latest(value: Node, *, where: Node | None = None, days: int | None = None, last: int | None = None) -> Aggregate:
    """Last value that is not missing."""
    return _over("last", value, where=where, days=days, last=last)


def nth_latest(
    value: Node, n: int, *, where: Node | None = None, days: int | None = None, last: int | None = None
) -> Aggregate:
    """The n-th latest value that is not missing, 1 being the last; missing where there are fewer."""
    return _over("nth_last", value, where=where, days=days, last=last, parameter=n)


def distinct(value: Node, *, where: Node | None = None, days: int | None = None, last: int | None = None) -> Aggregate:
    """Number of different values; 0 where there are none."""
    return _over("distinct", value, where=where, days=days, last=last)


def entropy(value: Node, *, where: Node | None = None, days: int | None = None, last: int | None = None) -> Aggregate:
    """Shannon's entropy of how often each value occurs, in nats: 0 where all are the same, ln(k) where k are even."""
    return _over("entropy", value, where=where, days=days, last=last)


def streak(
    condition: Node, *, where: Node | None = None, days: int | None = None, last: int | None = None
) -> Aggregate:
    """Number of records in a row that meet a condition, up to and with the latest; 0 where that one does not."""
    return _over("streak", condition, where=where, days=days, last=last)


def longest_streak(
    condition: Node, *, where: Node | None = None, days: int | None = None, last: int | None = None
) -> Aggregate:
    """Most records in a row that meet a condition; 0 where none does."""
    return _over("longest_streak", condition, where=where, days=days, last=last)


def days_since(records: Source, *, where: Node | None = None, days: int | None = None) -> Aggregate:
    """Days from the latest record to `as_of`."""
    return Aggregate("days_since", records, where=where, days=days)


def days_since_first(records: Source, *, where: Node | None = None, days: int | None = None) -> Aggregate:
    """Days from the first record to `as_of`."""
    return Aggregate("days_since_first", records, where=where, days=days)


def longest_gap(records: Source, *, where: Node | None = None, days: int | None = None) -> Aggregate:
    """Most days between a record and the next; missing below two records."""
    return Aggregate("gap_max", records, where=where, days=days)


def gap_std(records: Source, *, where: Node | None = None, days: int | None = None) -> Aggregate:
    """Standard deviation of the days between a record and the next; missing below three records."""
    return Aggregate("gap_std", records, where=where, days=days)


def slope(value: Node, *, where: Node | None = None, days: int | None = None, last: int | None = None) -> Aggregate:
    """Trend a month (30 days) by least squares; missing where the records lie within one day."""
    return _over("slope", value, where=where, days=days, last=last)


def per_category(column: Node, *categories: str) -> Iterator[tuple[str, Node]]:
    """A name and a condition for each category of a column: of those given, or of all that its contract names.

    Examples
    --------
    >>> from features.bureau import tradelines
    >>> dict(per_category(tradelines.status, "bad", "sold"))["bad"]
    (tradelines.status == 'bad')

    Raises
    ------
    DeclarationError
        When the contract names no categories and none are given.
    """
    found = declared(column)
    chosen = categories or (found.categories if found else ())
    if not chosen:
        raise DeclarationError(f"The contract names no categories of {column}; name them: per_category({column}, ...).")
    return ((category, column == category) for category in chosen)


def _over(statistic: str, value: Node, **window: Any) -> Aggregate:
    return Aggregate(statistic, SOURCES[_owner(statistic, value)], value, **window)


def _owner(statistic: str, value: Node) -> str:
    owners = [part.args[0] for part in value.walk() if part.op == "column" and part.args[0] in SOURCES]
    if not owners:
        raise DeclarationError(
            f"{statistic} looks back over columns of a source ({', '.join(SOURCES)}); {value} has none."
        )
    owner: str = owners[0]
    return owner
