"""The words features are written in. A feature is data: nothing here computes anything.

Semantics, the same in every engine
-----------------------------------
as_of
    A record counts when `known_at <= as_of` and its time is not after `as_of`. A payment that is known later leaves
    its instalment unpaid.
correction
    Of the versions of a record (the same customer and key) that are known at `as_of`, the one with the latest
    `known_at` counts, whole: a value that it lacks is missing. The version is chosen first and only then asked for
    its time, window and filter: an instalment that was put off beyond `as_of` is not due, although an earlier version
    says so; a payment that was moved to another instalment pays that one alone.
window
    `days=d` looks at `(as_of - d days, as_of]`, to the microsecond; `last=k` at the k latest records, before the
    filter (`where`) is asked. Together: both.
order
    By time, then by the key of the table. The key is unique by contract, so ties in time have one order; the order
    of rows in a file or a request means nothing.
missing
    Arithmetic with a missing value is missing; division by zero is missing. A comparison or membership test with a
    missing value is false, and its negation (`~`, `!=`) true. Aggregates pass over missing values.
empty history
    `count`, `distinct` and `sum` of no records are 0; every other aggregate is missing. Where the *source* is absent
    (the lender lacks the table, the request leaves it out) every aggregate of it is missing, counts too.
units
    Amounts are stored in fen and added up exactly as integers; an aggregate whose unit is fen is divided by 100 at
    the end, so features speak CNY. Inside an aggregate a constant beside an amount is in fen; in an expression over
    columns of the application and features it is in CNY.
time zone
    Timestamps are UTC; `local_hour` is China Standard Time (UTC+8, no summer time).
numbers
    Every feature is a float64, NaN where missing. Sums of fen are exact below 2^53 fen. Where an engine chooses the
    order of summation (`mean`, `std`, `slope`, sums of fractions) the engines agree to 1e-9 of the value, or of 1
    where the value is smaller. The same tables give the same bits each time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from data_contracts.declare import Table
from data_contracts.errors import DeclarationError
from data_contracts.tables import TABLES
from features.nodes import Node, as_of, days_between, feature, local_hour, node, when

__all__ = [
    "Aggregate", "Child", "Feature", "FeatureSet", "Node", "Reason", "Source", "as_of", "count", "days_between",
    "days_since", "days_since_first", "distinct", "feature", "first", "latest", "local_hour", "maximum", "mean",
    "minimum", "node", "slope", "source", "std", "total", "when",
]  # fmt: skip

US_PER_DAY = 86_400_000_000
US_PER_MONTH = 30 * US_PER_DAY

Group = Literal["application", "bureau", "consumption", "repayment"]

STATISTICS = (
    "count",
    "sum",
    "mean",
    "max",
    "min",
    "std",
    "first",
    "last",
    "distinct",
    "days_since",
    "days_since_first",
    "slope",
)


@dataclass(frozen=True)
class Child:
    """Records of another table, summed up per record of the source as known at `as_of`.

    Parameters
    ----------
    table : Table
        Where they are; must have `occurred_at` and `known_at`.
    on : str
        Column that both tables have.
    columns : mapping of str to (statistic, column)
        What each becomes; statistic is `sum` (0 where there is none) or `max` (missing where there is none).
    """

    table: Table
    on: str
    columns: Mapping[str, tuple[Literal["sum", "max"], str]]


class Source:
    """Records that aggregates look back over: a canonical table, with derived columns.

    Columns are attributes: `inquiries.reason`. Whether they exist is checked when the feature set is made, so that one
    message can list every fault.

    Parameters
    ----------
    name : str
        First word of the names of its features.
    table : Table
        The canonical table.
    group : {"application", "bureau", "consumption", "repayment"}
        For explanations.
    time : str, default "occurred_at"
        Column that windows look at.
    child : Child, optional
        Further columns, summed up from another table.
    """

    def __init__(
        self, name: str, table: Table, group: Group, *, time: str = "occurred_at", child: Child | None = None
    ) -> None:
        self.name = name
        self.table = table
        self.group: Group = group
        self.time = time
        self.child = child

    def __getattr__(self, column: str) -> Node:
        if column.startswith("__"):
            raise AttributeError(column)
        return Node("column", self.name, column)

    def spec(self) -> dict[str, Any]:
        """What the source is, for the identity of a feature set."""
        child = self.child and {
            "table": self.child.table.name,
            "on": self.child.on,
            "columns": {name: list(rule) for name, rule in self.child.columns.items()},
        }
        return {"name": self.name, "table": self.table.name, "time": self.time, "child": child}


@dataclass(frozen=True, eq=False)
class Aggregate:
    """A statistic over the records of a source that lie in a window and pass a filter."""

    statistic: str
    source: Source
    value: Node | None = None
    where: Node | None = None
    days: int | None = None
    last: int | None = None

    def spec(self) -> dict[str, Any]:
        """What is computed, for the identity of a feature set."""
        return {
            "statistic": self.statistic,
            "source": self.source.name,
            "value": None if self.value is None else self.value.spec(),
            "where": None if self.where is None else self.where.spec(),
            "days": self.days,
            "last": self.last,
        }


def _aggregate(statistic: str, value: Node | Source, **window: Any) -> Aggregate:
    if isinstance(value, Source):
        return Aggregate(statistic, value, None, **window)
    owners = [leaf.args[0] for leaf in value.walk() if leaf.op == "column" and leaf.args[0] in SOURCES]
    if not owners:
        raise DeclarationError(
            f"{statistic} looks back over columns of a source ({', '.join(SOURCES)}); {value} has none."
        )
    return Aggregate(statistic, SOURCES[owners[0]], value, **window)


SOURCES: dict[str, Source] = {}


def source(name: str, table: str, group: Group, *, time: str = "occurred_at", child: Child | None = None) -> Source:
    """Declare a source and make it known by its name."""
    SOURCES[name] = Source(name, TABLES[table], group, time=time, child=child)
    return SOURCES[name]


def count(records: Source, *, where: Node | None = None, days: int | None = None, last: int | None = None) -> Aggregate:
    """Number of records; 0 where there are none."""
    return _aggregate("count", records, where=where, days=days, last=last)


def total(value: Node, *, where: Node | None = None, days: int | None = None, last: int | None = None) -> Aggregate:
    """Sum; 0 where there is nothing to add."""
    return _aggregate("sum", value, where=where, days=days, last=last)


def mean(value: Node, *, where: Node | None = None, days: int | None = None, last: int | None = None) -> Aggregate:
    """Mean; of a condition: the share of records that meet it."""
    return _aggregate("mean", value, where=where, days=days, last=last)


def maximum(value: Node, *, where: Node | None = None, days: int | None = None, last: int | None = None) -> Aggregate:
    """Largest value."""
    return _aggregate("max", value, where=where, days=days, last=last)


def minimum(value: Node, *, where: Node | None = None, days: int | None = None, last: int | None = None) -> Aggregate:
    """Smallest value."""
    return _aggregate("min", value, where=where, days=days, last=last)


def std(value: Node, *, where: Node | None = None, days: int | None = None, last: int | None = None) -> Aggregate:
    """Standard deviation with n - 1; missing below two values."""
    return _aggregate("std", value, where=where, days=days, last=last)


def first(value: Node, *, where: Node | None = None, days: int | None = None, last: int | None = None) -> Aggregate:
    """First value that is not missing."""
    return _aggregate("first", value, where=where, days=days, last=last)


def latest(value: Node, *, where: Node | None = None, days: int | None = None, last: int | None = None) -> Aggregate:
    """Last value that is not missing."""
    return _aggregate("last", value, where=where, days=days, last=last)


def distinct(value: Node, *, where: Node | None = None, days: int | None = None, last: int | None = None) -> Aggregate:
    """Number of different values; 0 where there are none."""
    return _aggregate("distinct", value, where=where, days=days, last=last)


def days_since(records: Source, *, where: Node | None = None, days: int | None = None) -> Aggregate:
    """Days from the latest record to `as_of`."""
    return _aggregate("days_since", records, where=where, days=days)


def days_since_first(records: Source, *, where: Node | None = None, days: int | None = None) -> Aggregate:
    """Days from the first record to `as_of`."""
    return _aggregate("days_since_first", records, where=where, days=days)


def slope(value: Node, *, where: Node | None = None, days: int | None = None, last: int | None = None) -> Aggregate:
    """Trend a month (30 days) by least squares; missing where the records lie within one day."""
    return _aggregate("slope", value, where=where, days=days, last=last)


@dataclass(frozen=True)
class Reason:
    """What an applicant is told when features of this kind speak against the application."""

    code: str
    en: str
    zh: str


@dataclass(frozen=True, eq=False)
class Feature:
    """One number about an applicant at `as_of`, with what people need to know of it.

    Parameters
    ----------
    name : str
        `<source>_<measure>_<statistic>_<window>`.
    value : Aggregate or Node
        What it is: an aggregate of a source, or an expression over application columns and other features.
    en, zh : str
        Description in English and Chinese.
    unit : str
        `CNY`, `count`, `days`, `ratio` ...
    risk : {+1, -1, 0}
        The direction in which it moves risk, as far as the business demands it; a monotone constraint.
    reason : Reason
        Told when it speaks against an applicant.
    group : {"application", "bureau", "consumption", "repayment"}
        Where it comes from.
    missing : str
        What it means when it is missing.
    """

    name: str
    value: Aggregate | Node
    en: str
    zh: str
    unit: str
    reason: Reason
    group: Group
    risk: Literal[-1, 0, 1] = 0
    missing: str = "no such record, or the source is absent"

    @property
    def reason_en(self) -> str:
        """Reason text in English."""
        return self.reason.en

    @property
    def reason_zh(self) -> str:
        """Reason text in Chinese."""
        return self.reason.zh

    def spec(self) -> dict[str, Any]:
        """Everything that was declared, for the identity of a feature set."""
        return {
            "name": self.name,
            "value": self.value.spec(),
            "en": self.en,
            "zh": self.zh,
            "unit": self.unit,
            "risk": self.risk,
            "reason": [self.reason.code, self.reason.en, self.reason.zh],
            "group": self.group,
            "missing": self.missing,
        }


@dataclass(frozen=True)
class FeatureSet:
    """A named, versioned list of features. Its identity is a hash of its declarations.

    Raises
    ------
    DeclarationError
        When it is made with a fault: an unknown or protected column, a window of nothing, a filter that is no
        condition, two features of one name, an unknown feature or a cycle. The message lists every fault.
    """

    name: str
    version: int
    features: tuple[Feature, ...]
    identity: str = field(init=False)

    def __post_init__(self) -> None:
        from features.checks import require_sound

        require_sound(self.features)
        object.__setattr__(self, "identity", hashlib.sha256(json.dumps(self.spec()).encode()).hexdigest())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features in order: the columns of the matrix."""
        return tuple(feature.name for feature in self.features)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Sources that the features look back over, in order of first use."""
        used = [f.value.source.name for f in self.features if isinstance(f.value, Aggregate)]
        return tuple(SOURCES[name] for name in dict.fromkeys(used))

    @property
    def tables(self) -> tuple[str, ...]:
        """Canonical tables that the features read."""
        children = [source.child.table.name for source in self.sources if source.child]
        return tuple(dict.fromkeys(["applications", *(s.table.name for s in self.sources), *children]))

    def spec(self) -> dict[str, Any]:
        """The whole declaration as it is hashed."""
        return {
            "name": self.name,
            "version": self.version,
            "sources": [source.spec() for source in self.sources],
            "features": [feature.spec() for feature in self.features],
        }
