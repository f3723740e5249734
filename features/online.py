"""Features of one applicant in well under a millisecond: the algebra compiled to NumPy over small arrays.

A plan is compiled once. What several features share (a column, a filter, a window, an order) is computed once, and the
statistics of all aggregates are taken together: with so few records the number of NumPy calls is what costs time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from features.algebra import US_PER_DAY, Aggregate, Child, FeatureSet, Node, Source
from features.checks import in_order, node_unit
from features.reductions import Reductions
from features.steps import (
    ARRAYS,
    FLOATS,
    MICROSECOND,
    NAN,
    Codes,
    Floats,
    Record,
    Steps,
    kinds,
    microseconds,
    one_value,
    record_column,
)
from features.versions import newest

_NO_VALUES = np.empty(0)
# Records themselves are counted as a sum of ones, and asked for their time through their age.
_OF_RECORDS = {"count": "sum", "days_since": "min", "days_since_first": "max"}


class Plan:
    """A feature set compiled for one applicant at a time. Make it with `compile_plan`."""

    def __init__(self, feature_set: FeatureSet) -> None:
        self.names = feature_set.names
        self._codes = Codes()
        place = {name: at for at, name in enumerate(self.names)}
        self._sources = [_SourcePlan(source, feature_set, self._codes) for source in feature_set.sources]
        aggregates = [(name, aggregate) for source in self._sources for name, aggregate in source.aggregates]
        self._places = np.array([place[name] for name, _ in aggregates], dtype=np.int64)
        self._scales = np.array([_scale(aggregate) for _, aggregate in aggregates])
        self._reductions = Reductions([_OF_RECORDS.get(a.statistic, a.statistic) for _, a in aggregates])
        self._application = _ApplicationPlan(feature_set, place, self._codes)

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
        """
        codes = Codes(self._codes)
        found = np.full(len(self.names), NAN)
        with np.errstate(all="ignore"):
            runs = [source.runs(records, as_of, codes) for source in self._sources]
            if runs:
                values, ages, lengths = (np.concatenate(parts) for parts in zip(*runs, strict=True))
                reduced = self._reductions.compute(values, ages, np.maximum(lengths, 0)) / self._scales
                reduced[lengths < 0] = NAN
                found[self._places] = reduced
        return np.array(self._application.fill(found.tolist(), application, microseconds(as_of), codes))


def compile_plan(feature_set: FeatureSet) -> Plan:
    """Compile a feature set for `Plan.compute`."""
    return Plan(feature_set)


def _scale(aggregate: Aggregate) -> float:
    """What a statistic is divided by: fen become CNY, microseconds days."""
    if aggregate.value is None:
        return 1.0 if aggregate.statistic == "count" else float(US_PER_DAY)
    return 100.0 if node_unit(aggregate.value) == "fen" and aggregate.statistic != "distinct" else 1.0


class _ApplicationPlan:
    """Expressions over the application's columns and other features, as Python floats."""

    def __init__(self, feature_set: FeatureSet, place: Mapping[str, int], codes: Codes) -> None:
        self._steps = Steps(FLOATS, codes)
        self._results = []
        for feature in in_order(feature_set.features):
            if isinstance(feature.value, Node):
                slot = self._steps.slot(feature.value)
                self._steps.alias(Node("feature", feature.name), slot)
                self._results.append((place[feature.name], slot))
        columns = self._steps.columns
        self._features = [(slot, place[node.args[0]]) for slot, node in columns.items() if node.op == "feature"]
        self._columns = kinds({slot: node for slot, node in columns.items() if node.op == "column"})
        self._amounts = [slot for slot, *_ in self._columns if node_unit(columns[slot]) == "fen"]

    def fill(self, found: list[float], application: Record, moment: float, codes: Codes) -> list[float]:
        """Add the values of expressions to those of aggregates."""
        columns = {slot: one_value(application, name, kind, codes) for slot, name, kind in self._columns}
        for slot in self._amounts:
            columns[slot] /= 100.0
        for slot, at in self._features:
            columns[slot] = found[at]
        values = self._steps.run(columns, moment)
        for at, slot in self._results:
            found[at] = values[slot]
        return found


class _SourcePlan:
    """The aggregates over one source: shared steps and masks, and for each which of them it looks at."""

    def __init__(self, source: Source, feature_set: FeatureSet, codes: Codes) -> None:
        self.source = source
        self.aggregates: list[tuple[str, Aggregate]] = [
            (feature.name, feature.value)
            for feature in feature_set.features
            if isinstance(feature.value, Aggregate) and feature.value.source is source
        ]
        aggregates = [aggregate for _, aggregate in self.aggregates]
        self._steps = Steps(ARRAYS, codes)
        self._ordered = any(a.last is not None or a.statistic in ("first", "last") for a in aggregates)
        self._filters, filter_of = _numbered(None if a.where is None else self._steps.slot(a.where) for a in aggregates)
        days, days_of = _numbered(a.days for a in aggregates)
        last, last_of = _numbered(a.last for a in aggregates)
        self._values, self._value_of = _numbered(
            a.statistic if a.value is None else self._steps.slot(a.value) for a in aggregates
        )
        self._days = np.array([np.inf if d is None else d * US_PER_DAY for d in days])[:, None]
        self._last = np.array([np.inf if k is None else k for k in last])[:, None]
        masks, self._mask_of = _numbered(zip(filter_of.tolist(), days_of.tolist(), last_of.tolist(), strict=True))
        self._mask_filter, self._mask_days, self._mask_last = np.array(masks, dtype=np.int64).T
        self._columns = kinds(self._steps.columns)
        self._key = itemgetter(*source.table.key)
        self._order = itemgetter(source.time, *source.table.key)

    def runs(
        self, records: Mapping[str, Sequence[Record] | None], as_of: datetime, codes: Codes
    ) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
        """Values that each aggregate looks at, one run after the other, their ages, and the lengths of the runs.

        A length of -1 says that the source is absent.
        """
        rows, child = records.get(self.source.table.name), self.source.child
        child_rows = records.get(child.table.name) if child else ()
        if rows is None or child_rows is None:
            return _NO_VALUES, _NO_VALUES, np.full(len(self.aggregates), -1)
        rows = self._known(rows, as_of)
        if not rows:
            return _NO_VALUES, _NO_VALUES, np.zeros(len(self.aggregates), dtype=np.int64)
        derived = _summed(child, rows, child_rows, as_of) if child else {}
        columns = {
            slot: derived[name] if name in derived else record_column(rows, name, kind, codes)
            for slot, name, kind in self._columns
        }
        slots = self._steps.run(columns, microseconds(as_of))
        age = np.array([(as_of - row[self.source.time]) / MICROSECOND for row in rows])
        matrix = self._matrix(slots, age)
        seen = self._masks(slots, age)[self._mask_of] & ~np.isnan(matrix)[self._value_of]
        return matrix[self._value_of][seen], np.broadcast_to(age, seen.shape)[seen], np.count_nonzero(seen, axis=1)

    def _matrix(self, slots: list[Any], age: Floats) -> Floats:
        """Every value that an aggregate looks at, shape (n_values, n_rows)."""
        matrix = np.empty((len(self._values), len(age)))
        for at, value in enumerate(self._values):
            if isinstance(value, str):
                matrix[at] = 1.0 if value == "count" else age
            else:
                matrix[at] = slots[value]
        return matrix

    def _masks(self, slots: list[Any], age: Floats) -> npt.NDArray[np.bool_]:
        """Every filter and window that there is, shape (n_masks, n_rows)."""
        filters = np.empty((len(self._filters), len(age)), dtype=bool)
        for at, slot in enumerate(self._filters):
            filters[at] = True if slot is None else slots[slot]
        masks: npt.NDArray[np.bool_] = filters[self._mask_filter] & (age < self._days)[self._mask_days]
        if self._ordered:
            masks &= (np.arange(len(age)) < self._last)[self._mask_last]
        return masks

    def _known(self, rows: Sequence[Record], as_of: datetime) -> list[Record]:
        """Records that count at `as_of`, the newest version of each, where the order matters the latest first."""
        at = self.source.time
        known = [row for row in newest(rows, self._key, as_of) if row[at] <= as_of]
        if self._ordered:
            known.sort(key=self._order, reverse=True)
        return known


def _numbered(items: Iterable[Any]) -> tuple[list[Any], npt.NDArray[np.int64]]:
    """Different items in order of first use, and for each item its place among them."""
    places: dict[Any, int] = {}
    numbers = [places.setdefault(item, len(places)) for item in items]
    return list(places), np.array(numbers, dtype=np.int64)


def _summed(child: Child, rows: Sequence[Record], child_rows: Sequence[Record], as_of: datetime) -> dict[str, Floats]:
    """Child columns for each row: sums (0 where none) and maxima (NaN where none) of what is known at `as_of`."""
    place = {row[child.on]: at for at, row in enumerate(rows)}
    # The newest version may belong to another row than the one it replaces, so it is chosen before it is placed.
    versions = newest(child_rows, itemgetter(*child.table.key), as_of)
    known = [row for row in versions if row["occurred_at"] <= as_of and row.get(child.on) in place]
    at = np.array([place[row[child.on]] for row in known], dtype=np.int64)
    result = {}
    for name, (statistic, column) in child.columns.items():
        value = record_column(known, column, child.table.column(column).dtype, Codes())
        empty, combine = (0.0, np.add) if statistic == "sum" else (NAN, np.fmax)
        result[name] = np.full(len(rows), empty)
        combine.at(result[name], at, np.nan_to_num(value) if statistic == "sum" else value)
    return result
