"""The statistics of aggregates as Ibis expressions over the records of a source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from features.aggregates import OF_NUMBERS, Aggregate
from features.algebra import US_PER_DAY, US_PER_MONTH, Source
from features.expressions import Expressions, as_number, finite
from features.sources import node_unit

if TYPE_CHECKING:
    import ibis.expr.types as ir

_BY_POSITION = ("nth_last", "streak", "longest_streak")
_BY_NEIGHBOUR = ("gap_max", "gap_std")
_BY_TIME = ("first", "last")


def in_order_of_time(aggregate: Aggregate) -> bool:
    """Whether an aggregate asks how records follow each other, or how many share a value: a sort in most engines."""
    return aggregate.last is not None or aggregate.statistic in (*_BY_POSITION, *_BY_NEIGHBOUR, "entropy")


class Statistics:
    """Aggregates over one source: its records with the columns that they look at, and an expression for each.

    What several aggregates share, a condition or a value, becomes a column, so that it is computed once a record.

    Parameters
    ----------
    records : ibis Table
        Records as known, with `applicant`, `as_of` and `age` in microseconds.
    source : Source
        Whose records.
    aggregates : list of Aggregate
        What to compute.
    """

    def __init__(self, records: ir.Table, source: Source, aggregates: list[Aggregate]) -> None:
        import ibis

        self._source = source
        self._aggregates = aggregates
        self._conditions: list[str | None] = []
        self._values: list[str | None] = []
        if any(a.last for a in aggregates):
            records = records.mutate(rank=ibis.row_number().over(self._window(records)))
        else:
            records = _looked_at(records, Expressions(records, source.name), aggregates)
        records = self._with_shared(Expressions(records, source.name))
        self.records = self._with_places(records)

    def values(self) -> list[Any]:
        """One expression an aggregate, to be grouped by `applicant`."""
        return [self._value(at, aggregate).cast("float64") for at, aggregate in enumerate(self._aggregates)]

    def _window(self, records: ir.Table, upto: int | None = None) -> Any:
        """An applicant's records in order, the latest first; `upto` 0 this one and those before, -1 only those."""
        import ibis

        order = [records[column].desc() for column in (self._source.time, *self._source.table.key)]
        frame = {} if upto is None else {"rows": (None, upto)}
        return ibis.window(group_by="applicant", order_by=order, **frame)

    def _with_shared(self, expressions: Expressions) -> ir.Table:
        columns: dict[str, tuple[str, Any]] = {}

        def column(key: str, kind: str, value: Any) -> str:
            return columns.setdefault(key, (f"{kind}_{len(columns)}", value))[0]

        for aggregate in self._aggregates:
            condition = _condition(expressions, aggregate)
            where = None if aggregate.where is None else aggregate.where.key
            key = str((where, aggregate.days, aggregate.last))
            self._conditions.append(None if condition is None else column(key, "looked", condition))
            value = None if aggregate.value is None else as_number(expressions.value(aggregate.value))
            if value is not None and value.type().is_floating():
                value = finite(value)
            self._values.append(None if aggregate.value is None else column(aggregate.value.key, "value", value))
        return expressions.rows.mutate(**dict(columns.values()))

    def _with_places(self, records: ir.Table) -> ir.Table:
        """Columns for what depends on other records, numbered like the aggregates.

        `place_` is which of the records looked at it is, 0 the latest, `later_` how old the next later one is, `same_`
        how many have the same value, `failed_` the place of the last one, up to this, that breaks a streak.
        """
        import ibis

        places, failures = {}, {}
        for at, aggregate in enumerate(self._aggregates):
            looked = self._looked(records, at)
            if aggregate.statistic in _BY_POSITION:
                places[f"place_{at}"] = looked.cast("int64").sum().over(self._window(records, 0)) - 1
            elif aggregate.statistic in _BY_NEIGHBOUR:
                places[f"later_{at}"] = _where(looked, records.age).max().over(self._window(records, -1))
            elif aggregate.statistic == "entropy":
                same = ibis.window(group_by=["applicant", self._values[at]])
                places[f"same_{at}"] = looked.cast("int64").sum().over(same)
        if places:
            records = records.mutate(**places)
        for at, aggregate in enumerate(self._aggregates):
            if aggregate.statistic == "longest_streak":
                failed = _where(self._looked(records, at) & (records[self._values[at]] == 0), records[f"place_{at}"])
                failures[f"failed_{at}"] = failed.max().over(self._window(records, 0)).fill_null(-1)
        return records.mutate(**failures) if failures else records

    def _looked(self, records: ir.Table, at: int) -> Any:
        """Condition of the records that an aggregate looks at, never None."""
        condition = self._conditions[at]
        looked = records.age.notnull() if condition is None else records[condition]
        if self._aggregates[at].statistic in ("nth_last", "entropy"):
            looked = looked & records[self._values[at]].notnull()
        return looked

    def _value(self, at: int, aggregate: Aggregate) -> Any:
        rows, statistic = self.records, aggregate.statistic
        where = None if self._conditions[at] is None else rows[self._conditions[at]]
        if statistic in (*_BY_POSITION, *_BY_NEIGHBOUR, "entropy"):
            value = self._by_place(at, aggregate)
        elif aggregate.value is None:
            value = _of_records(rows, where, statistic)
        elif statistic == "distinct":
            value = rows[self._values[at]].nunique(where=where)
        elif statistic in _BY_TIME:
            value = self._by_time(rows[self._values[at]], where, statistic)
        else:
            value = _of_numbers(rows, rows[self._values[at]], where, aggregate)
        in_fen = statistic in OF_NUMBERS and aggregate.value is not None and node_unit(aggregate.value) == "fen"
        return value.cast("float64") / 100.0 if in_fen else value

    def _by_time(self, value: Any, where: Any, statistic: str) -> Any:
        import ibis

        order = ibis.struct({name: self.records[name] for name in (self._source.time, *self._source.table.key)})
        pick = value.argmax if statistic == "last" else value.argmin
        return pick(order, where=value.notnull() if where is None else where & value.notnull())

    def _by_place(self, at: int, aggregate: Aggregate) -> Any:
        import ibis

        rows, looked = self.records, self._looked(self.records, at)
        if aggregate.statistic == "entropy":
            # The sum over values of n ln(n) is the sum over records of ln(n).
            same, number = rows[f"same_{at}"], rows.count(where=looked)
            logs = same.nullif(0).cast("float64").ln()
            entropy = number.nullif(0).cast("float64").ln() - logs.mean(where=looked)
            return ibis.ifelse(same.min(where=looked) == number, 0.0, entropy)  # without a rest of rounding
        if aggregate.statistic in _BY_NEIGHBOUR:
            gaps = (rows.age - rows[f"later_{at}"]).cast("float64") / US_PER_DAY
            return gaps.max(where=looked) if aggregate.statistic == "gap_max" else gaps.std(where=looked, how="sample")
        place, value = rows[f"place_{at}"], rows[self._values[at]]
        if aggregate.statistic == "nth_last":
            return value.max(where=looked & (place == int(aggregate.parameter or 1) - 1))
        if aggregate.statistic == "longest_streak":
            return (place - rows[f"failed_{at}"]).max(where=looked & (value == 1))
        return place.min(where=looked & (value == 0)).fill_null(rows.count(where=looked))


def _condition(expressions: Expressions, aggregate: Aggregate) -> Any:
    """Condition of the records in an aggregate's window that pass its filter; None where all do."""
    rows, conditions = expressions.rows, []
    if aggregate.where is not None:
        conditions.append(expressions.value(aggregate.where))
    if aggregate.days is not None:
        conditions.append(rows.age < aggregate.days * US_PER_DAY)
    if aggregate.last is not None:
        conditions.append(rows["rank"] < aggregate.last)
    found: Any = None
    for condition in conditions:
        found = condition if found is None else found & condition
    return found


def _looked_at(records: ir.Table, expressions: Expressions, aggregates: list[Aggregate]) -> ir.Table:
    """Records that some aggregate looks at: those of the longest window, or that pass a filter without a window."""
    if any(a.days is None and a.where is None for a in aggregates):
        return records
    wanted = records.age < max((a.days or 0) for a in aggregates) * US_PER_DAY
    for where in {a.where.key: a.where for a in aggregates if a.where is not None and a.days is None}.values():
        wanted = wanted | expressions.value(where)
    return records.filter(wanted)


def _of_records(rows: ir.Table, where: Any, statistic: str) -> Any:
    if statistic == "count":
        return rows.count(where=where)
    age = rows.age.min(where=where) if statistic == "days_since" else rows.age.max(where=where)
    return age.cast("float64") / US_PER_DAY


def _of_numbers(rows: ir.Table, value: Any, where: Any, aggregate: Aggregate) -> Any:
    import ibis

    match aggregate.statistic:
        case "sum" | "mean" | "max" | "min" as statistic:
            return getattr(value, statistic)(where=where)
        case "std":
            return value.cast("float64").std(where=where, how="sample")
        case "quantile":
            return value.cast("float64").quantile(aggregate.parameter, where=where)
    given = value.notnull() if where is None else where & value.notnull()
    months = rows.age.cast("float64") / -US_PER_MONTH
    spread = rows.age.max(where=given) - rows.age.min(where=given) >= US_PER_DAY
    variance = months.var(where=given, how="pop")
    covariance = months.cov(value.cast("float64"), where=given, how="pop")
    return ibis.ifelse(spread, covariance / variance, ibis.null("float64"))


def _where(condition: Any, value: Any) -> Any:
    import ibis

    return ibis.ifelse(condition, value, ibis.null("int64"))
