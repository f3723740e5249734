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
    says so; a payment that was moved to another instalment pays that one alone. The same version twice breaks the
    contract: intake puts the second into quarantine, a request is refused.
window
    `days=d` looks at `(as_of - d days, as_of]`, to the microsecond; `last=k` at the k latest records, before the
    filter (`where`) is asked. Together: both.
order
    By time, then by the key of the table. The key is unique by contract, so ties in time have one order; the order
    of rows in a file or a request means nothing.
missing
    Arithmetic with a missing value is missing; division by zero and the logarithm of what is not above zero are
    missing. A comparison or membership test with a missing value is false, and its negation (`~`, `!=`) true; so a
    condition is never missing. Aggregates pass over missing values.
infinity
    NaN and infinity in a column are missing; a value that an aggregate looks at, or a feature, that comes out infinite
    is missing.
empty history
    `count`, `distinct`, `sum`, `streak` and `longest_streak` of no records are 0; every other aggregate is missing.
    Where the *source* is absent (the lender lacks the table, the request leaves it out) every aggregate of it is
    missing, counts too.
streak, gap
    Look at the records that lie in the window and pass the filter, in order, whatever lies between them: a month that
    was not reported breaks no streak. Months of several accounts are in one order; filter where one is meant.
units
    Amounts are stored in fen and added up exactly as integers; an aggregate whose unit is fen is divided by 100 at
    the end, so features speak CNY. Inside an aggregate a constant beside an amount is in fen; in an expression over
    columns of the application and features it is in CNY.
time zone
    Timestamps are UTC; `local_hour` is China Standard Time (UTC+8, no summer time). Requests with an offset are
    converted when they are read; the engines themselves take UTC without a zone and refuse anything else.
numbers
    Every feature is a float64, NaN where missing. Amounts are at most 1e13 fen by contract, so that sums and
    differences of 900,000 records fit into an int64; products are taken in float64. Sums of fen are exact below 2^53
    fen. Where an engine chooses the order of summation (`mean`, `std`, `slope`, `entropy`, sums of fractions) the
    engines agree to 1e-9 of the value, or of 1 where the value is smaller. The same tables give the same bits each
    time.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from features.aggregates import (
    Aggregate,
    aggregates,
    count,
    days_since,
    days_since_first,
    decayed_sum,
    distinct,
    entropy,
    first,
    gap_std,
    latest,
    longest_gap,
    longest_streak,
    maximum,
    mean,
    minimum,
    nth_latest,
    per_category,
    quantile,
    share,
    slope,
    std,
    streak,
    total,
)
from features.checks import require_sound
from features.declaration import Feature, Reason
from features.nodes import Node, as_of, bucket, days_between, feature, local_hour, log1p, missing, node, ratio, when
from features.sources import SOURCES, Child, Group, Source, source

__all__ = [
    "SOURCES", "Aggregate", "Child", "Feature", "FeatureSet", "Group", "Node", "Reason", "Source", "as_of", "bucket",
    "count", "days_between", "days_since", "days_since_first", "decayed_sum", "distinct", "entropy", "feature", "first",
    "gap_std", "latest", "local_hour", "log1p", "longest_gap", "longest_streak", "maximum", "mean", "minimum",
    "missing", "node", "nth_latest", "per_category", "quantile", "ratio", "share", "slope", "source", "std", "streak",
    "total", "when",
]  # fmt: skip

US_PER_DAY = 86_400_000_000
US_PER_MONTH = 30 * US_PER_DAY


@dataclass(frozen=True)
class FeatureSet:
    """A named, versioned list of features. Its identity is a hash of its declarations.

    Parameters
    ----------
    name : str
    version : int
    features : tuple of Feature
    permits : tuple of str
        Protected columns that it reads all the same, where the law of its lender allows it; reports name them.

    Raises
    ------
    DeclarationError
        When it is made with a fault: an unknown or protected column, a window of nothing, a filter that is no
        condition, two features of one name, an unknown feature or a cycle. The message lists every fault.
    """

    name: str
    version: int
    features: tuple[Feature, ...]
    permits: tuple[str, ...] = ()
    identity: str = field(init=False)

    def __post_init__(self) -> None:
        require_sound(self.features, self.permits)
        object.__setattr__(self, "identity", hashlib.sha256(json.dumps(self.spec()).encode()).hexdigest())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features in order: the columns of the matrix."""
        return tuple(feature.name for feature in self.features)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Sources that the features look back over, in order of first use."""
        return tuple(SOURCES[name] for name in dict.fromkeys(a.source.name for a in self.aggregates))

    @property
    def aggregates(self) -> tuple[Aggregate, ...]:
        """Different aggregates that the features are made of, in order of first use."""
        found = {part.key: part for feature in self.features for part in aggregates(feature.value)}
        return tuple(found.values())

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
            **({"permits": list(self.permits)} if self.permits else {}),
        }
