"""Features of one applicant in well under a millisecond: the algebra compiled to loops over small arrays.

A plan is compiled once. What several features share (a column, a filter, an order, an aggregate) is computed once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import repeat
from operator import itemgetter, truediv

import numpy as np
import numpy.typing as npt

from data_contracts.errors import ContractError
from features.aggregates import OF_NUMBERS, ZERO_WHEN_EMPTY, Aggregate
from features.algebra import Child, FeatureSet, Node, Source, node
from features.checks import in_order
from features.kernel import Aggregates
from features.sources import node_unit
from features.steps import (
    MICROSECOND,
    NAN,
    Codes,
    Floats,
    Record,
    Steps,
    kinds,
    microseconds,
    numbers,
    one_number,
    record_columns,
)
from features.versions import newest


class Plan:
    """A feature set compiled for one applicant at a time. Make it with `compile_plan`."""

    def __init__(self, feature_set: FeatureSet) -> None:
        self.names = feature_set.names
        self._codes = Codes()
        self._sources = [_SourcePlan(source, feature_set, self._codes) for source in feature_set.sources]
        keys = [aggregate.key for source in self._sources for aggregate in source.aggregates]
        self._application = _ApplicationPlan(feature_set, {key: at for at, key in enumerate(keys)}, self._codes)

    def compute(
        self, application: Record, records: Mapping[str, Sequence[Record] | None], as_of: datetime
    ) -> npt.NDArray[np.float64]:
        """Compute every feature of one applicant.

        Parameters
        ----------
        application : mapping
            The row of `applications`; columns that are left out are missing.
        records : mapping of str to sequence of mappings, or None
            Rows by table, in any order; a table that is absent or None is missing, an empty one is known to be empty.
        as_of : datetime
            Moment of decision, UTC without a zone.

        Returns
        -------
        ndarray of float64, shape (n_features,)
            In the order of the feature set; NaN where missing.

        Raises
        ------
        ContractError
            When a time has a zone.
        """
        codes = Codes(self._codes)
        try:
            found = [source.compute(records, as_of, codes) for source in self._sources]
            moment = microseconds(as_of)
        except TypeError as fault:
            if "offset-naive" not in str(fault):
                raise
            raise ContractError(
                "Times have a zone. Features take UTC without one: time.astimezone(UTC).replace(tzinfo=None)."
            ) from None
        return self._application.compute(found, application, moment, codes)


def compile_plan(feature_set: FeatureSet) -> Plan:
    """Compile a feature set for `Plan.compute`."""
    return Plan(feature_set)


class _ApplicationPlan:
    """Expressions over aggregates, the application's columns and other features."""

    def __init__(self, feature_set: FeatureSet, places: Mapping[str, int], codes: Codes) -> None:
        self._steps = Steps(codes)
        slots = {}
        for feature in in_order(feature_set.features):
            slots[feature.name] = self._steps.slot(Node("finite", feature.value))
            self._steps.alias(Node("feature", feature.name), slots[feature.name])
        self._results = np.array([slots[name] for name in feature_set.names])
        columns = self._steps.columns
        aggregates = {slot: places[node.key] for slot, node in columns.items() if node.op == "aggregate"}
        self._aggregate_slots, self._aggregate_places = np.array(list(aggregates)), np.array(list(aggregates.values()))
        self._columns = kinds({slot: node for slot, node in columns.items() if node.op == "column"})
        self._scales = [100.0 if node_unit(columns[slot]) == "fen" else 1.0 for slot, *_ in self._columns]

    def compute(self, found: list[Floats], application: Record, moment: float, codes: Codes) -> Floats:
        """Values of all features, from those of aggregates."""
        values = self._steps.values(1, moment)
        for (slot, name, kind), scale in zip(self._columns, self._scales, strict=True):
            values[slot] = one_number(application.get(name), kind, codes) / scale
        if len(self._aggregate_slots):
            values[self._aggregate_slots, 0] = np.concatenate(found)[self._aggregate_places]
        self._steps.run(values)
        result: Floats = values[self._results, 0]
        return result


class _SourcePlan:
    """The aggregates over one source: shared steps, and for each which values and filter it looks at."""

    def __init__(self, source: Source, feature_set: FeatureSet, codes: Codes) -> None:
        self.source = source
        self.aggregates = [aggregate for aggregate in feature_set.aggregates if aggregate.source is source]
        self._steps = Steps(codes)
        filters = [self._steps.slot(node(True) if a.where is None else a.where) for a in self.aggregates]
        values = [self._steps.slot(node(1.0) if a.value is None else a.value) for a in self.aggregates]
        self._kernel = Aggregates(self.aggregates, values, filters)
        columns = kinds(self._steps.columns)
        derived = source.child.columns if source.child else {}
        self._columns = [column for column in columns if column[1] not in derived and column[1] != source.time]
        self._derived = [(slot, name) for slot, name, _ in columns if name in derived]
        self._times = [slot for slot, name, _ in columns if name == source.time]
        self._names = (source.time, *(name for _, name, _ in self._columns))
        self._scales = np.array([_scale(aggregate) for aggregate in self.aggregates])
        self._empty = np.array([0.0 if a.statistic in ZERO_WHEN_EMPTY else NAN for a in self.aggregates])
        self._absent = np.full(len(self.aggregates), NAN)
        self._key = itemgetter(*source.table.key)
        self._order = itemgetter(source.time, *source.table.key)

    def compute(self, records: Mapping[str, Sequence[Record] | None], as_of: datetime, codes: Codes) -> Floats:
        """One value an aggregate."""
        rows, child = records.get(self.source.table.name), self.source.child
        child_rows = records.get(child.table.name) if child else ()
        if rows is None or child_rows is None:
            return self._absent
        rows = self._known(rows, as_of)
        if not rows:
            return self._empty
        times, *read = record_columns(rows, self._names)
        ages = np.fromiter(map(truediv, map(as_of.__sub__, times), repeat(MICROSECOND)), np.float64, len(rows))
        moment = microseconds(as_of)
        values = self._steps.values(len(rows), moment)
        for slot in self._times:
            values[slot] = moment - ages
        for (slot, _, kind), column in zip(self._columns, read, strict=True):
            values[slot] = numbers(column, kind, codes)
        if child:
            summed = _summed(child, rows, child_rows, as_of)
            for slot, name in self._derived:
                values[slot] = summed[name]
        self._steps.run(values)
        found: Floats = self._kernel.compute(values, ages) / self._scales
        return found

    def _known(self, rows: Sequence[Record], as_of: datetime) -> list[Record]:
        """Records that count at `as_of`, the newest version of each, the latest first."""
        known = newest(rows, self._key, as_of)
        known.sort(key=self._order, reverse=True)
        ahead = 0
        while ahead < len(known) and known[ahead][self.source.time] > as_of:
            ahead += 1
        return known[ahead:] if ahead else known


def _scale(aggregate: Aggregate) -> float:
    """What a statistic is divided by: fen become CNY."""
    in_fen = aggregate.value is not None and node_unit(aggregate.value) == "fen"
    return 100.0 if in_fen and aggregate.statistic in OF_NUMBERS else 1.0


def _summed(child: Child, rows: Sequence[Record], child_rows: Sequence[Record], as_of: datetime) -> dict[str, Floats]:
    """Child columns for each row: sums (0 where none) and maxima (NaN where none) of what is known at `as_of`."""
    place = {row[child.on]: at for at, row in enumerate(rows)}
    # The newest version may belong to another row than the one it replaces, so it is chosen before it is placed.
    versions = newest(child_rows, itemgetter(*child.table.key), as_of)
    known = [row for row in versions if row["occurred_at"] <= as_of and row.get(child.on) in place]
    at = np.array([place[row[child.on]] for row in known], dtype=np.int64)
    result: dict[str, Floats] = {}
    for name, (statistic, column) in child.columns.items():
        value = numbers([row.get(column) for row in known], child.table.column(column).dtype, Codes())
        if statistic == "sum":
            known_value = np.where(np.isnan(value), 0.0, value)
            result[name] = np.bincount(at, known_value, len(rows)).astype(np.float64)
        else:
            result[name] = np.full(len(rows), NAN)
            np.fmax.at(result[name], at, value)
    return result
