"""The algebra as Ibis expressions: what DuckDB (`features.batch`) and Spark (`features.spark`) run unchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.declare import Table
from data_contracts.errors import SourceError
from data_contracts.folder import TableFolder
from features.aggregates import ZERO_WHEN_EMPTY, Aggregate
from features.algebra import FeatureSet, Source
from features.checks import by_depth
from features.expressions import Expressions, finite
from features.statistics import Statistics, in_order_of_time

if TYPE_CHECKING:
    import ibis.expr.types as ir

Keep = Callable[[str, Any], Any]
_MANY = 8


@dataclass(frozen=True)
class Relations:
    """What expressions need of an engine.

    Parameters
    ----------
    tables : mapping of str to ibis Table
        Canonical tables that are there, by name.
    versions : mapping of str to ibis Table
        For each table in which records come in several versions, those records, see `versions`.
    """

    tables: Mapping[str, ir.Table]
    versions: Mapping[str, ir.Table]

    @property
    def applications(self) -> ir.Table:
        """Applications with their moment of decision, `as_of`, and `applicant`, which is shorter where it can be."""
        rows = self.tables["applications"]
        named = {} if "applicant" in rows.columns else {"applicant": rows.application_id}
        return rows.mutate(as_of=rows.applied_at, **named)

    def present(self, source: Source) -> bool:
        """Whether the lender has the tables of a source."""
        return source.table.name in self.tables and (not source.child or source.child.table.name in self.tables)


def schema_of(folder: TableFolder, name: str) -> Any:
    """Ibis schema of a table as it lies there; `SourceError` where its first file cannot be read."""
    import ibis

    file = folder.files(name)[0]
    try:
        return ibis.Schema.from_pyarrow(pq.read_schema(file))
    except (pa.ArrowException, OSError) as fault:
        raise SourceError(f"{file} cannot be read ({fault}); import or simulate the tables again.") from fault


def together(relations: Relations, feature_set: FeatureSet) -> dict[str, list[Aggregate]]:
    """Aggregates that are computed in one pass over a source that is there, by a name.

    What needs records in order has a pass of its own, so that only its few columns are sorted. So have the few that
    look at all time where most look at a window, so that the others need not read what is older.
    """
    found: dict[str, list[Aggregate]] = {}
    for source in feature_set.sources:
        if not relations.present(source):
            continue
        kinds: dict[str, list[Aggregate]] = {"": [], "_of_all_time": [], "_in_order": []}
        for aggregate in feature_set.aggregates:
            if aggregate.source is source:
                kind = "" if aggregate.days else "_of_all_time"
                kinds["_in_order" if in_order_of_time(aggregate) else kind].append(aggregate)
        if len(kinds["_of_all_time"]) * _MANY > len(kinds[""]):
            kinds[""] += kinds.pop("_of_all_time")
        found |= {f"of_{source.name}{kind}": aggregates for kind, aggregates in kinds.items() if aggregates}
    return found


def matrix(relations: Relations, feature_set: FeatureSet, keep: Keep = lambda _, table: table) -> ir.Table:
    """One row an application and one float64 column a feature, null where missing; `application_id` comes first.

    Parameters
    ----------
    relations : Relations
        Tables of an engine.
    feature_set : FeatureSet
        What to compute.
    keep : callable, optional
        Called with a name and the table of aggregates of one pass, see `together`; returns the table to go on with, so
        that an engine can store it.
    """
    rows = relations.applications
    columns: dict[str, tuple[str, bool]] = {}
    for name, aggregates in together(relations, feature_set).items():
        part = keep(name, _aggregated(relations, name, aggregates))
        rows = rows.left_join(part, rows.applicant == part[f"applicant_{name}"])
        for at, aggregate in enumerate(aggregates):
            columns[aggregate.key] = f"{name}_{at}", aggregate.statistic in ZERO_WHEN_EMPTY
    # A select for each depth of features that use features, so that each is written and computed once.
    for features in by_depth(feature_set.features):
        found = {key: rows[name].fill_null(0.0) if zero else rows[name] for key, (name, zero) in columns.items()}
        expressions = Expressions(rows, "applications", aggregates=found)
        rows = rows.mutate(**{f"_{feature.name}": finite(expressions.number(feature.value)) for feature in features})
    return rows.select("application_id", **{name: rows[f"_{name}"] for name in feature_set.names})


def _aggregated(relations: Relations, name: str, aggregates: list[Aggregate]) -> ir.Table:
    """One row for each applicant with a record of a source, one column an aggregate over that source."""
    source = aggregates[0].source
    statistics = Statistics(_records(relations, source), source, aggregates)
    values = {f"{name}_{at}": value for at, value in enumerate(statistics.values())}
    return statistics.records.group_by(**{f"applicant_{name}": statistics.records.applicant}).aggregate(**values)


def _records(relations: Relations, source: Source) -> ir.Table:
    """Records of a source as known at each application's `as_of`, with derived columns and their `age`."""
    # Loans have an application_id of their own: the one they came from.
    who = relations.applications.select("customer_id", "as_of", "applicant")
    records = _known(relations, who, source.table)
    records = records.filter(records[source.time] <= records.as_of)
    if source.child:
        child = _known(relations, who, source.child.table)
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


def versions(rows: ir.Table, table: Table) -> ir.Table:
    """Versions of records that come again: `customer_id`, key, `known_at` and `superseded_at`, null for the last."""
    import ibis

    keys = ["customer_id", *table.key]
    again = rows.group_by(keys).having(rows.count() > 1).aggregate()
    found = rows.semi_join(again, keys).select(*keys, "known_at")
    order = ibis.window(group_by=keys, order_by=found.known_at)
    return found.mutate(superseded_at=found.known_at.lead().over(order))


def _known(relations: Relations, who: ir.Table, table: Table) -> ir.Table:
    """Records of a table known at each application's `as_of`, of each its newest version."""
    records = who.join(relations.tables[table.name], "customer_id")
    records = records.filter(records.known_at <= records.as_of)
    found = relations.versions.get(table.name)
    if found is None:
        return records
    # Only records that come again can be superseded, and they are few.
    again = found.select(
        **{f"{name}_again": found[name] for name in ("customer_id", *table.key, "known_at")},
        superseded_at="superseded_at",
    )
    same = [records[name] == again[f"{name}_again"] for name in ("customer_id", *table.key, "known_at")]
    records = records.left_join(again, same)
    return records.filter(records.superseded_at.isnull() | (records.superseded_at > records.as_of)).drop(*again.columns)
