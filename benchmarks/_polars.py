"""The aggregates of a feature set in Polars, for one applicant: the peer of `benchmarks.online_features`.

Written as a user of Polars would who knows it well: expressions are built once; for an applicant one frame a source,
filters and values that several aggregates share as its columns, and all statistics of the source in one `select`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

import polars as pl

from features.aggregates import OF_NUMBERS, ZERO_WHEN_EMPTY, Aggregate
from features.algebra import US_PER_DAY, US_PER_MONTH, Child, FeatureSet, Node, Source
from features.sources import node_unit
from features.versions import newest

Rows = Sequence[Mapping[str, Any]]
Records = Mapping[str, Rows]
_US_PER_HOUR = 3_600_000_000
_TYPES = {
    "string": pl.String(),
    "int64": pl.Int64(),
    "float64": pl.Float64(),
    "bool": pl.Boolean(),
    "timestamp": pl.Datetime("us"),
}
_ADDED = {"age": pl.Int64(), "rank": pl.Int64(), "as_of": pl.Datetime("us")}
_MICROSECOND = timedelta(microseconds=1)


class PolarsPlan:
    """Aggregates of a feature set as expressions of Polars.

    Parameters
    ----------
    feature_set : FeatureSet
        Whose aggregates.
    lazy : bool
        Whether Polars optimises each query before it runs it, or runs it as it is.
    """

    def __init__(self, feature_set: FeatureSet, *, lazy: bool) -> None:
        self._sources = [_SourcePlan(source, feature_set, lazy) for source in feature_set.sources]
        self.keys = [aggregate.key for source in self._sources for aggregate in source.aggregates]

    def frames(self, records: Records, as_of: datetime) -> list[pl.DataFrame]:
        """One frame a source, of the records that are known at `as_of`, from rows of Python."""
        return [source.frame(records, as_of) for source in self._sources]

    def compute(self, frames: list[pl.DataFrame]) -> list[float | None]:
        """Values of all aggregates, None where missing."""
        return [v for source, frame in zip(self._sources, frames, strict=True) for v in source.compute(frame)]


class _SourcePlan:
    def __init__(self, source: Source, feature_set: FeatureSet, lazy: bool) -> None:
        self.source = source
        self.aggregates = [a for a in feature_set.aggregates if a.source is source]
        self._lazy = lazy
        self._shared: dict[str, tuple[str, pl.Expr]] = {}
        self._statistics = [
            _statistic(a, self._column(a.value), self._mask(a)).cast(pl.Float64).alias(str(at))
            for at, a in enumerate(self.aggregates)
        ]
        self._columns = [expression.alias(name) for name, expression in self._shared.values()]
        used = {p.args[1] for a in self.aggregates for e in (a.value, a.where) if e is not None for p in e.walk()
                if p.op == "column"}  # fmt: skip
        self._schema = {c.name: _TYPES[c.dtype] for c in source.table.columns if c.name in used}
        if source.child:
            self._schema[source.child.on] = pl.String()
        self._key = itemgetter(*source.table.key)
        self._order = itemgetter(source.time, *source.table.key)

    def frame(self, records: Records, as_of: datetime) -> pl.DataFrame:
        """Versions and order are told in Python, as a service would: on so few rows Polars takes longer for it."""
        rows = _known(records[self.source.table.name], self._key, self.source.time, as_of)
        rows.sort(key=self._order, reverse=True)
        columns: dict[str, Any] = {name: [row.get(name) for row in rows] for name in self._schema}
        columns["age"] = [(as_of - row[self.source.time]) // _MICROSECOND for row in rows]
        columns["rank"] = range(len(rows))
        columns["as_of"] = [as_of] * len(rows)
        frame = pl.DataFrame(columns, schema=self._schema | _ADDED)
        return _with_child(frame, records, self.source.child, as_of) if self.source.child else frame

    def compute(self, frame: pl.DataFrame) -> tuple[float | None, ...]:
        if self._lazy:
            return frame.lazy().with_columns(self._columns).select(self._statistics).collect().row(0)
        return frame.with_columns(self._columns).select(self._statistics).row(0)

    def _column(self, node: Node | None) -> pl.Expr | None:
        return None if node is None else self._share(node.key, _expression(node))

    def _mask(self, aggregate: Aggregate) -> pl.Expr | None:
        """Filter and window as one column of the frame."""
        conditions, key = [], []
        if aggregate.where is not None:
            conditions.append(_expression(aggregate.where))
            key.append(aggregate.where.key)
        if aggregate.days is not None:
            conditions.append(pl.col("age") < aggregate.days * US_PER_DAY)
        if aggregate.last is not None:
            conditions.append(pl.col("rank") < aggregate.last)
        if not conditions:
            return None
        return self._share(f"{key} {aggregate.days} {aggregate.last}", pl.all_horizontal(conditions))

    def _share(self, key: str, expression: pl.Expr) -> pl.Expr:
        name, _ = self._shared.setdefault(key, (f"shared_{len(self._shared)}", expression))
        return pl.col(name)


def _known(rows: Rows, key: Callable[[Any], Any], time: str, as_of: datetime) -> list[Mapping[str, Any]]:
    """Records known at `as_of`, of each its newest version, that have happened."""
    return [row for row in newest(rows, key, as_of) if row[time] <= as_of]


def _with_child(frame: pl.DataFrame, records: Records, child: Child, as_of: datetime) -> pl.DataFrame:
    rows = _known(records[child.table.name], itemgetter(*child.table.key), "occurred_at", as_of)
    types = {
        name: _TYPES[child.table.column(name).dtype] for name in (child.on, *(c for _, c in child.columns.values()))
    }
    found = pl.DataFrame({name: [row.get(name) for row in rows] for name in types}, schema=types)
    sums = [getattr(pl.col(column), statistic)().alias(name) for name, (statistic, column) in child.columns.items()]
    added = [name for name, (statistic, _) in child.columns.items() if statistic == "sum"]
    joined = frame.join(found.group_by(child.on).agg(sums), on=child.on, how="left", maintain_order="left")
    return joined.with_columns(pl.col(added).fill_null(0))


def _statistic(aggregate: Aggregate, value: pl.Expr | None, mask: pl.Expr | None) -> pl.Expr:
    """One number, missing where the algebra says so."""
    found = _of_records(aggregate, mask) if value is None else _of_values(aggregate, value, mask)
    if value is not None and aggregate.statistic in OF_NUMBERS and node_unit(aggregate.value) == "fen":  # type: ignore[arg-type]
        found = found / 100.0
    return found.fill_null(0) if aggregate.statistic in ZERO_WHEN_EMPTY else found


def _of_records(aggregate: Aggregate, mask: pl.Expr | None) -> pl.Expr:
    if aggregate.statistic == "count":
        return pl.len() if mask is None else mask.sum()
    ages = pl.col("age") if mask is None else pl.col("age").filter(mask)
    found = {
        "days_since": ages.min,
        "days_since_first": ages.max,
        "gap_max": ages.diff().max,
        "gap_std": ages.diff().std,
    }[aggregate.statistic]()
    return found / US_PER_DAY


def _of_values(aggregate: Aggregate, value: pl.Expr, mask: pl.Expr | None) -> pl.Expr:
    """Values come the latest first, without those that are missing."""
    looked = value if mask is None else value.filter(mask)
    given = looked.drop_nulls()
    match aggregate.statistic:
        case "sum" | "mean" | "max" | "min" | "std" as statistic:
            number = looked.cast(pl.Int64) if aggregate.value is not None and aggregate.value.is_logical else looked
            found: pl.Expr = getattr(number, statistic)()
            return found
        case "first":
            return given.last()
        case "last":
            return given.first()
        case "nth_last":
            return given.get(int(aggregate.parameter or 1) - 1, null_on_oob=True)
        case "quantile":
            return looked.quantile(aggregate.parameter or 0.0, "linear")
        case "distinct":
            return given.n_unique()
        case "entropy":
            return pl.when(given.len() > 0).then(given.value_counts().struct.field("count").entropy())
        case "streak":
            return looked.cast(pl.Int64).cum_min().sum()
        case "longest_streak":
            runs = looked.rle()
            return runs.struct.field("len").filter(runs.struct.field("value")).max()
    ages = pl.col("age").filter(value.is_not_null() if mask is None else mask & value.is_not_null())
    months = ages / -US_PER_MONTH
    slope = pl.cov(months, given.cast(pl.Float64)) / months.var()
    return pl.when(ages.max() - ages.min() >= US_PER_DAY).then(slope)


def _expression(node: Node) -> pl.Expr:
    """A value of a record; a condition is never missing."""
    match node.op:
        case "column":
            return pl.col(node.args[1])
        case "constant":
            return pl.lit(node.args[0])
        case "as_of":
            return pl.col("as_of")
        case "isin":
            return _expression(node.args[0]).is_in(list(node.args[1])).fill_null(False)
        case "bucket":
            value = _expression(node.args[0])
            return pl.when(value.is_not_null()).then(pl.sum_horizontal(value >= edge for edge in node.args[1]))
        case "least" | "greatest" if node.args[1].op == "constant":
            limit = node.args[1].args[0]
            value = _expression(node.args[0])
            return value.clip(upper_bound=limit) if node.op == "least" else value.clip(lower_bound=limit)
    values = [_expression(arg) for arg in node.args]
    match node.op:
        case "days_between":
            return (values[1] - values[0]).dt.total_microseconds() / US_PER_DAY
        case "local_hour":
            return (values[0].dt.epoch("us") // _US_PER_HOUR + 8) % 24
        case "when":
            return pl.when(values[0]).then(values[1]).otherwise(values[2])
        case "div":
            return values[0] / pl.when(values[1] != 0).then(values[1])
        case "decay":
            return (values[0] * (-math.log(2.0)) / values[1]).exp()
        case "log1p":
            return pl.when(values[0] > -1.0).then(values[0].log1p())
        case "eq" | "lt" | "le" | "gt" | "ge":
            compared: pl.Expr = _COMPARED[node.op](*values)
            return compared.fill_null(False)
        case "ne":
            return ~values[0].eq(values[1]).fill_null(False)
    plain: pl.Expr = _PLAIN[node.op](*values)
    return plain


def _pick(a: pl.Expr, b: pl.Expr, of: Any) -> pl.Expr:
    return pl.when(a.is_not_null() & b.is_not_null()).then(of(a, b))


_COMPARED: dict[str, Any] = {"eq": pl.Expr.eq, "lt": pl.Expr.lt, "le": pl.Expr.le, "gt": pl.Expr.gt, "ge": pl.Expr.ge}
_PLAIN: dict[str, Any] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a.cast(pl.Float64) * b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "not": lambda a: ~a,
    "is_missing": lambda a: a.is_null(),
    "coalesce": lambda a, b: a.fill_null(b),
    "abs": lambda a: a.abs(),
    "least": lambda a, b: _pick(a, b, pl.min_horizontal),
    "greatest": lambda a, b: _pick(a, b, pl.max_horizontal),
}
