"""Features of many applications at once: the algebra as Ibis expressions, run by DuckDB."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from data_contracts.declare import Table
from data_contracts.errors import SourceError
from data_contracts.folder import TableFolder
from data_contracts.tables import APPLICATIONS
from features.algebra import SOURCES, US_PER_DAY, US_PER_MONTH, Aggregate, FeatureSet, Node, Source
from features.checks import in_order, node_type, node_unit

if TYPE_CHECKING:
    import ibis.expr.types as ir

Progress = Callable[[str, float], None]

_ZERO_WHEN_EMPTY = ("count", "sum", "distinct")


def compute(
    folder: TableFolder, feature_set: FeatureSet, *, threads: int = 2, progress: Progress | None = None
) -> pd.DataFrame:
    """Compute a feature set for every application of a folder.

    Parameters
    ----------
    folder : TableFolder
        Canonical tables; features of tables that it lacks are missing.
    feature_set : FeatureSet
        What to compute.
    threads : int, default 2
        Threads of DuckDB.
    progress : callable, optional
        Called with a step and the share that is done.

    Returns
    -------
    DataFrame, shape (n_applications, n_features)
        float64, NaN where missing, indexed by `application_id` in ascending order.
    """
    import duckdb

    try:
        with _connection(threads) as connection:
            joined = _matrix(connection, folder, feature_set, threads, progress)
            # DuckDB's own way to pandas is shorter than Ibis's, which goes through Arrow.
            frame = connection.raw_sql(connection.compile(joined.order_by("application_id"))).df()
    except duckdb.Error as fault:
        raise SourceError(f"The tables in {folder.path} cannot be read ({fault}); run `lendwell validate`.") from fault
    matrix: pd.DataFrame = frame.set_index("application_id").astype("float64")
    return matrix[list(feature_set.names)]


def explain(folder: TableFolder, feature_set: FeatureSet) -> dict[str, str]:
    """SQL that `compute` runs, by source."""
    import ibis

    with _connection(1) as connection:
        base = _applications(connection, folder)
        shown: dict[str, list[str]] = {}
        for source, _, aggregates in _groups(folder, feature_set):
            aggregated = _aggregated(connection, folder, base, source, aggregates)
            shown.setdefault(source.name, []).append(str(ibis.to_sql(aggregated)))
        return {name: ";\n\n".join(queries) for name, queries in shown.items()}


@contextlib.contextmanager
def _connection(threads: int) -> Iterator[Any]:
    import ibis

    connection = ibis.duckdb.connect(threads=threads, memory_limit="3GB")
    try:
        yield connection
    finally:
        connection.disconnect()


def _groups(folder: TableFolder, feature_set: FeatureSet) -> list[tuple[Source, bool, dict[str, Aggregate]]]:
    """Aggregates that are computed together: of one source that is there, and with a sum of fractions or without."""
    found: dict[tuple[str, bool], dict[str, Aggregate]] = {}
    for feature in feature_set.features:
        if isinstance(feature.value, Aggregate) and _present(folder, feature.value.source):
            of = (feature.value.source.name, _adds_fractions(feature.value))
            found.setdefault(of, {})[feature.name] = feature.value
    return [(SOURCES[name], fractions, aggregates) for (name, fractions), aggregates in found.items()]


def _adds_fractions(aggregate: Aggregate) -> bool:
    """Whether the last bits depend on the order in which records are added; integers are added exactly in any."""
    value = aggregate.value
    if value is None or aggregate.statistic not in ("sum", "mean", "std", "slope"):
        return False
    whole = value.is_logical or (value.op == "column" and node_type(value) != "float64")
    return aggregate.statistic in ("std", "slope") or not whole


def _present(folder: TableFolder, source: Source) -> bool:
    needed = [source.table.name, *([source.child.table.name] if source.child else [])]
    return all(name in folder.tables for name in needed)


def _applications(connection: Any, folder: TableFolder) -> ir.Table:
    rows = _read(connection, folder, "applications")
    return rows.mutate(as_of=rows.applied_at)


def _read(connection: Any, folder: TableFolder, name: str) -> ir.Table:
    # A folder of the caller's that is called `product=cash` is no column.
    return connection.read_parquet(folder.files(name), hive_partitioning=False)


def _matrix(
    connection: Any, folder: TableFolder, feature_set: FeatureSet, threads: int, progress: Progress | None
) -> ir.Table:
    base = _applications(connection, folder)
    joined = base
    found: dict[str, Any] = {}
    groups = _groups(folder, feature_set)
    for step, (source, fractions, aggregates) in enumerate(groups):
        if progress:
            progress(f"features: {source.name}", step / len(groups))
        # One thread adds in the order of the files, so that the same tables give the same bits each time.
        connection.raw_sql(f"set threads to {1 if fractions else threads}")
        aggregated = _aggregated(connection, folder, base, source, aggregates)
        key = f"applicant_{step}"
        part = connection.create_table(f"part_{step}", aggregated.rename({key: "applicant"}), temp=True)
        joined = joined.left_join(part, base.application_id == part[key])
        found |= {name: part[name] for name in aggregates}
    connection.raw_sql(f"set threads to {threads}")
    return _selected(base, joined, found, feature_set)


def _selected(base: ir.Table, joined: ir.Table, found: dict[str, Any], feature_set: FeatureSet) -> ir.Table:
    """One column a feature, from the aggregates that were found and the application's own columns."""
    import ibis

    values: dict[str, Any] = {}
    for feature in in_order(feature_set.features):
        if not isinstance(feature.value, Aggregate):
            value = _Expressions(base, APPLICATIONS, values).number(feature.value)
        elif feature.name not in found:
            value = ibis.null("float64")
        elif feature.value.statistic in _ZERO_WHEN_EMPTY:
            value = found[feature.name].fill_null(0.0)
        else:
            value = found[feature.name]
        values[feature.name] = value
    return joined.select(application_id=base.application_id, **{name: values[name] for name in feature_set.names})


def _records(connection: Any, folder: TableFolder, base: ir.Table, source: Source) -> ir.Table:
    """Records of a source as known at each application's `as_of`, with derived columns."""
    # Loans have an application_id of their own: the one they came from.
    who = base.select("customer_id", "as_of", applicant=base.application_id)
    records = _known(connection, folder, who, source.table)
    records = records.filter(records[source.time] <= records.as_of)
    if source.child:
        child = _known(connection, folder, who, source.child.table)
        child = child.filter(child.occurred_at <= child.as_of)
        sums = {
            name: child[column].sum() if statistic == "sum" else child[column].max()
            for name, (statistic, column) in source.child.columns.items()
        }
        summed = child.group_by("applicant", source.child.on).aggregate(**sums)
        records = records.left_join(summed, ["applicant", source.child.on])
        records = records.mutate(
            **{n: records[n].fill_null(0) for n, (statistic, _) in source.child.columns.items() if statistic == "sum"}
        )
    return records.mutate(age=records.as_of.delta(records[source.time], unit="microsecond"))


def _known(connection: Any, folder: TableFolder, who: ir.Table, table: Table) -> ir.Table:
    """Records of a table known at each application's `as_of`, of each its newest version."""
    rows = _read(connection, folder, table.name)
    records = who.join(rows, "customer_id")
    records = records.filter(records.known_at <= records.as_of)
    if table.name not in folder.corrected:
        return records
    # Only records that come again can be superseded, and they are few: an anti-join with them costs half of a window.
    keys = ["customer_id", *table.key]
    again = rows.group_by(keys).having(rows.count() > 1).aggregate()
    versions = rows.semi_join(again, keys).select(*keys, superseded_at="known_at")
    newer = (versions.superseded_at > records.known_at) & (versions.superseded_at <= records.as_of)
    return records.anti_join(versions, [*keys, newer])


def _aggregated(
    connection: Any, folder: TableFolder, base: ir.Table, source: Source, aggregates: dict[str, Aggregate]
) -> ir.Table:
    import ibis

    records = _records(connection, folder, base, source)
    if any(a.last or a.statistic in ("first", "last") for a in aggregates.values()):
        keys = [records[column].desc() for column in (source.time, *source.table.key)]
        order = ibis.window(group_by="applicant", order_by=keys)
        records = records.mutate(rank=ibis.row_number().over(order))
    expressions = _Expressions(records, source.table, {})
    statistics = {name: _statistic(records, expressions, aggregate) for name, aggregate in aggregates.items()}
    return records.group_by("applicant").aggregate(**statistics)


def _statistic(records: ir.Table, expressions: _Expressions, aggregate: Aggregate) -> ir.Value:
    conditions = []
    if aggregate.where is not None:
        conditions.append(expressions.value(aggregate.where))
    if aggregate.days is not None:
        conditions.append(records.age < aggregate.days * US_PER_DAY)
    if aggregate.last is not None:
        conditions.append(records["rank"] < aggregate.last)
    where: Any = None
    for condition in conditions:
        where = condition if where is None else where & condition
    days = records.age.cast("float64") / US_PER_DAY
    if aggregate.value is None:
        match aggregate.statistic:
            case "count":
                return records.count(where=where).cast("float64")
            case "days_since":
                return days.min(where=where)
            case _:
                return days.max(where=where)
    value = expressions.value(aggregate.value)
    if aggregate.statistic == "distinct":
        return value.nunique(where=where).cast("float64")
    result = _number_statistic(records, _as_number(value), where, aggregate.statistic)
    return result / 100.0 if node_unit(aggregate.value) == "fen" else result


def _number_statistic(records: ir.Table, value: Any, where: Any, statistic: str) -> Any:
    import ibis

    match statistic:
        case "sum" | "mean" | "max" | "min":
            return getattr(value, statistic)(where=where).cast("float64")
        case "std":
            return value.cast("float64").std(where=where, how="sample")
    given = value.notnull() if where is None else where & value.notnull()
    if statistic in ("first", "last"):
        pick = value.argmin if statistic == "last" else value.argmax
        return pick(records["rank"], where=given).cast("float64")
    months = records.age.cast("float64") / -US_PER_MONTH
    spread = records.age.max(where=given) - records.age.min(where=given) >= US_PER_DAY
    variance = months.var(where=given, how="pop")
    covariance = months.cov(value.cast("float64"), where=given, how="pop")
    return ibis.ifelse(spread, covariance / variance, ibis.null("float64"))


def _as_number(value: Any) -> Any:
    return value.cast("int64") if value.type().is_boolean() else value


class _Expressions:
    """Nodes as Ibis values over one table; `features` are the values of other features."""

    def __init__(self, rows: ir.Table, table: Table, features: dict[str, Any]) -> None:
        self.rows = rows
        self.table = table
        self.features = features

    def number(self, node: Node) -> Any:
        """The node as float64."""
        return _as_number(self.value(node)).cast("float64")

    def value(self, node: Node) -> Any:
        """The node with the type it has."""
        import ibis

        if node.op == "column":
            return self._column(node)
        if node.op == "feature":
            return self.features[node.args[0]]
        if node.op == "as_of":
            return self.rows.as_of
        if node.op == "constant":
            constant = node.args[0]
            return ibis.literal(int(constant) if isinstance(constant, bool) else constant)
        if node.op == "isin":
            return self.value(node.args[0]).isin(node.args[1]).fill_null(False)
        arguments = [self.value(arg) for arg in node.args]
        return _OPERATIONS[node.op](*arguments)

    def _column(self, node: Node) -> Any:
        import ibis

        value = self.rows[node.args[1]]
        kind = node_type(node)
        if kind == "float64":
            return ibis.ifelse(value.isnan(), ibis.null("float64"), value)
        if kind == "bool":
            return value.cast("int64")
        if self.table is APPLICATIONS and node_unit(node) == "fen":
            return value / 100.0
        return value


def _pick(left: Any, right: Any, first: Any) -> Any:
    import ibis

    return ibis.ifelse(left.isnull() | right.isnull(), ibis.null(), ibis.ifelse(first, left, right))


def _when(condition: Any, then: Any, otherwise: Any) -> Any:
    import ibis

    return ibis.ifelse(condition, _as_number(then), _as_number(otherwise))


def _hour(time: Any) -> Any:
    import ibis

    return (time + ibis.interval(hours=8)).hour().cast("int64")


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: _as_number(a) + _as_number(b),
    "sub": lambda a, b: _as_number(a) - _as_number(b),
    # In float64, because a product of two amounts overflows int64.
    "mul": lambda a, b: _as_number(a).cast("float64") * _as_number(b),
    "div": lambda a, b: _as_number(a).cast("float64") / _as_number(b).cast("float64").nullif(0.0),
    "eq": lambda a, b: (_as_number(a) == _as_number(b)).fill_null(False),
    "ne": lambda a, b: ~(_as_number(a) == _as_number(b)).fill_null(False),
    "lt": lambda a, b: (_as_number(a) < _as_number(b)).fill_null(False),
    "le": lambda a, b: (_as_number(a) <= _as_number(b)).fill_null(False),
    "gt": lambda a, b: (_as_number(a) > _as_number(b)).fill_null(False),
    "ge": lambda a, b: (_as_number(a) >= _as_number(b)).fill_null(False),
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "not": lambda a: ~a,
    "is_missing": lambda a: a.isnull(),
    "coalesce": lambda a, b: _as_number(a).fill_null(_as_number(b)),
    "least": lambda a, b: _pick(a, b, a <= b),
    "greatest": lambda a, b: _pick(a, b, a >= b),
    "when": _when,
    "days_between": lambda start, end: end.delta(start, unit="microsecond").cast("float64") / US_PER_DAY,
    "local_hour": _hour,
}
