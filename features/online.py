"""Features of one applicant in well under a millisecond: the algebra compiled to a flat list of NumPy steps.

Everything is float64 with NaN for missing (timestamps are microseconds since 1970, exact below 2^53); strings stay
objects. A plan is compiled once; what several features share (a column, a filter, a window, an order) is one step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from features.algebra import US_PER_DAY, US_PER_MONTH, Aggregate, FeatureSet, Node, Source
from features.checks import in_order, node_type, node_unit

Record = Mapping[str, Any]
Array = npt.NDArray[Any]
_NAN = float("nan")
_US_PER_HOUR = 3_600_000_000


class Plan:
    """A feature set compiled for one applicant at a time. Make it with `compile_plan`."""

    def __init__(self, feature_set: FeatureSet) -> None:
        self.names = feature_set.names
        place = {name: at for at, name in enumerate(self.names)}
        self._sources = [
            _SourcePlan(
                source, {place[f.name]: f.value for f in feature_set.features if _looks_at(f.value, source)}
            )
            for source in feature_set.sources
        ]
        self._steps = _Steps(place)
        self._results: list[tuple[int, int]] = []
        for feature in in_order(feature_set.features):
            if isinstance(feature.value, Node):
                slot = self._steps.slot(feature.value)
                self._steps.alias(Node("feature", feature.name), slot)
                self._results.append((place[feature.name], slot))

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
        moment = float(np.datetime64(as_of, "us").astype(np.int64))
        values = np.full(len(self.names), _NAN)
        with np.errstate(all="ignore"):
            for source in self._sources:
                source.fill(values, records, moment)
            arrays = self._steps.run([application], {}, moment, values)
        for at, slot in self._results:
            values[at] = float(np.ravel(arrays[slot])[0])
        return values


def compile_plan(feature_set: FeatureSet) -> Plan:
    """Compile a feature set for `Plan.compute`."""
    return Plan(feature_set)


def _looks_at(value: Aggregate | Node, source: Source) -> bool:
    return isinstance(value, Aggregate) and value.source is source


def _column(rows: Sequence[Record], name: str, kind: str | None) -> Array:
    values = [row.get(name) for row in rows]
    if kind == "string":
        return np.array(values, dtype=object)
    if kind == "timestamp":
        times = np.array(values, dtype="datetime64[us]")
        numbers = times.astype(np.int64).astype(np.float64)
        numbers[np.isnat(times)] = _NAN
        return numbers
    return np.array(values, dtype=np.float64)


class _Steps:
    """Nodes as a flat list of steps. A slot is a place in the list of arrays that the steps fill, one a node.

    With `places`, columns are those of the application in CNY and features are read from the values found so far.
    """

    def __init__(self, places: Mapping[str, int] | None = None) -> None:
        self._places = places
        self._slots: dict[str, int] = {}
        self._columns: list[tuple[int, str, str | None, float]] = []
        self._features: list[tuple[int, int]] = []
        self._steps: list[tuple[int, Callable[..., Array], tuple[int, ...], tuple[Any, ...]]] = []

    def slot(self, node: Node) -> int:
        """Place of the node's value, added where it is new."""
        known = self._slots.get(node.key)
        if known is not None:
            return known
        arguments = tuple(self.slot(arg) for arg in node.args if isinstance(arg, Node))
        slot = self._slots[node.key] = len(self._slots)
        if node.op == "column":
            scale = 100.0 if self._places is not None and node_unit(node) == "fen" else 1.0
            self._columns.append((slot, node.args[1], node_type(node), scale))
        elif node.op == "feature" and self._places is not None:
            self._features.append((slot, self._places[node.args[0]]))
        else:
            plain = tuple(arg for arg in node.args if not isinstance(arg, Node))
            self._steps.append((slot, _OPERATIONS[node.op], arguments, plain))
        return slot

    def alias(self, node: Node, slot: int) -> None:
        """Let a node stand for a slot that is there."""
        self._slots.setdefault(node.key, slot)

    def run(
        self,
        rows: Sequence[Record],
        derived: Mapping[str, Array],
        moment: float,
        features: npt.NDArray[np.float64] | None = None,
    ) -> list[Any]:
        """Fill every slot for the given rows."""
        arrays: list[Any] = [None] * (1 + max(self._slots.values(), default=-1))
        for slot, name, kind, scale in self._columns:
            column = derived[name] if name in derived else _column(rows, name, kind)
            arrays[slot] = column / scale if scale != 1.0 else column
        if features is not None:
            for slot, at in self._features:
                arrays[slot] = features[at : at + 1]
        for slot, operation, arguments, plain in self._steps:
            arrays[slot] = operation(*(arrays[at] for at in arguments), *plain, moment=moment, n=len(rows))
        return arrays


class _SourcePlan:
    """The aggregates over one source: shared steps, shared masks, then one statistic each."""

    def __init__(self, source: Source, aggregates: Mapping[int, Aggregate | Node]) -> None:
        self.source = source
        self._steps = _Steps()
        self._masks: dict[tuple[int | None, int | None, int | None], int] = {}
        self._statistics: list[tuple[int, str, int | None, int, float]] = []
        self._ranked = False
        for at, aggregate in aggregates.items():
            if not isinstance(aggregate, Aggregate):
                continue
            where = None if aggregate.where is None else self._steps.slot(aggregate.where)
            mask = self._masks.setdefault((where, aggregate.days, aggregate.last), len(self._masks))
            value = None if aggregate.value is None else self._steps.slot(aggregate.value)
            fen = aggregate.value is not None and node_unit(aggregate.value) == "fen"
            scaled = fen and aggregate.statistic != "distinct"
            self._statistics.append((at, aggregate.statistic, value, mask, 100.0 if scaled else 1.0))
            self._ranked |= aggregate.last is not None or aggregate.statistic in ("first", "last")

    def fill(
        self, values: npt.NDArray[np.float64], records: Mapping[str, Sequence[Record] | None], moment: float
    ) -> None:
        """Write this source's features into `values`."""
        rows = records.get(self.source.table.name)
        child = self.source.child
        child_rows = records.get(child.table.name) if child else ()
        if rows is None or child_rows is None:
            return
        rows, time = self._known(rows, moment)
        derived = _summed(child.columns, child.on, child.table, rows, child_rows, moment) if child else {}
        arrays = self._steps.run(rows, derived, moment)
        age = moment - time
        rank = self._rank(rows, time) if self._ranked else None
        masks = [self._mask(arrays, age, rank, *key) for key in self._masks]
        for at, statistic, value, mask, scale in self._statistics:
            column = None if value is None else arrays[value]
            values[at] = _statistic(statistic, column, masks[mask], age, rank) / scale

    def _known(self, rows: Sequence[Record], moment: float) -> tuple[list[Record], npt.NDArray[np.float64]]:
        known = _column(rows, "known_at", "timestamp")
        time = _column(rows, self.source.time, "timestamp")
        keep = np.flatnonzero((known <= moment) & (time <= moment))
        if self.source.table.versioned:
            latest: dict[tuple[Any, ...], int] = {}
            for at in keep.tolist():
                key = tuple(rows[at][name] for name in self.source.table.key)
                if key not in latest or known[at] > known[latest[key]]:
                    latest[key] = at
            keep = np.array(sorted(latest.values()), dtype=np.int64)
        return [rows[at] for at in keep.tolist()], time[keep]

    def _rank(self, rows: Sequence[Record], time: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        keys = [[row[name] for name in self.source.table.key] for row in rows]
        order = sorted(range(len(rows)), key=lambda at: (time[at], keys[at]), reverse=True)
        rank = np.empty(len(rows), dtype=np.int64)
        rank[order] = np.arange(len(rows))
        return rank

    def _mask(
        self, arrays: list[Any], age: Array, rank: Array | None, where: int | None, days: int | None, last: int | None
    ) -> Array | None:
        mask = None if where is None else arrays[where]
        if days is not None:
            within = age < days * US_PER_DAY
            mask = within if mask is None else mask & within
        if last is not None and rank is not None:
            within = rank < last
            mask = within if mask is None else mask & within
        return mask


def _summed(
    columns: Mapping[str, tuple[str, str]],
    on: str,
    table: Any,
    rows: Sequence[Record],
    child_rows: Sequence[Record],
    moment: float,
) -> dict[str, Array]:
    """Child columns for each row: sums (0 where none) and maxima (NaN where none) of what is known at `as_of`."""
    known = _column(child_rows, "known_at", "timestamp")
    occurred = _column(child_rows, "occurred_at", "timestamp")
    place: dict[Any, int] = {row[on]: at for at, row in enumerate(rows)}
    kept = np.flatnonzero((known <= moment) & (occurred <= moment))
    target = np.array([place.get(child_rows[at].get(on), -1) for at in kept.tolist()], dtype=np.int64)
    found = target >= 0
    result = {}
    for name, (statistic, column) in columns.items():
        value = _column(child_rows, column, table.column(column).dtype)[kept][found]
        if statistic == "sum":
            summed = np.zeros(len(rows))
            np.add.at(summed, target[found][~np.isnan(value)], value[~np.isnan(value)])
        else:
            summed = np.full(len(rows), _NAN)
            np.fmax.at(summed, target[found], value)
        result[name] = summed
    return result


def _statistic(statistic: str, value: Array | None, mask: Array | None, age: Array, rank: Array | None) -> float:
    if value is None:
        if statistic == "count":
            return float(len(age) if mask is None else np.count_nonzero(mask))
        ages = age if mask is None else age[mask]
        if not len(ages):
            return _NAN
        return float(ages.min() if statistic == "days_since" else ages.max()) / US_PER_DAY
    chosen = value if mask is None else value[mask]
    if statistic == "distinct":
        if chosen.dtype == object:
            return float(len({item for item in chosen if item is not None}))
        return float(len(np.unique(chosen[~np.isnan(chosen)])))
    chosen = chosen.astype(np.float64, copy=False)
    given = ~np.isnan(chosen)
    if not given.all():
        chosen = chosen[given]
    if not len(chosen):
        return 0.0 if statistic == "sum" else _NAN
    simple = _SIMPLE.get(statistic)
    if simple is not None:
        return float(simple(chosen))
    if statistic == "std":
        # Differences keep a constant exactly constant.
        return float((chosen - chosen[0]).std(ddof=1)) if len(chosen) > 1 else _NAN
    if statistic in ("first", "last"):
        assert rank is not None  # noqa: S101 - the plan ranks whenever it holds such a statistic
        ranks = (rank if mask is None else rank[mask])[given]
        return float(chosen[ranks.argmin() if statistic == "last" else ranks.argmax()])
    return _slope(chosen, (age if mask is None else age[mask])[given])


def _slope(value: Array, age: Array) -> float:
    if age.max() - age.min() < US_PER_DAY:
        return _NAN
    months = (age - age[0]) / -US_PER_MONTH
    months = months - months.mean()
    change = value - value[0]  # differences keep a constant exactly constant
    return float((months * (change - change.mean())).sum() / (months * months).sum())


_SIMPLE: dict[str, Callable[[Array], Any]] = {
    "sum": np.sum,
    "mean": np.mean,
    "max": np.max,
    "min": np.min,
}


def _as_of(*, moment: float, n: int) -> Array:
    return np.full(n, moment)


def _constant(value: Any, *, moment: float, n: int) -> Array:
    return np.array(value, dtype=object if isinstance(value, str) else np.float64)


def _equal(left: Array, right: Array, **_: Any) -> Array:
    equal = np.equal(left, right).astype(bool)
    return equal & ~_is_missing(left) if left.dtype == object else equal  # None equals itself, missing nothing


def _isin(value: Array, choices: tuple[Any, ...], **_: Any) -> Array:
    if value.dtype == object:
        wanted = frozenset(choices)
        return np.fromiter((item in wanted for item in value), dtype=bool, count=len(value))
    return np.isin(value, choices)


def _is_missing(value: Array, **_: Any) -> Array:
    if value.dtype == object:
        missing: Array = np.equal(value, None)  # type: ignore[call-overload]
        return missing.astype(bool)
    return np.isnan(value)


def _divide(left: Array, right: Array, **_: Any) -> Array:
    return np.where(right == 0, _NAN, left / np.where(right == 0, _NAN, right))


def _coalesce(left: Array, right: Array, **_: Any) -> Array:
    return np.where(_is_missing(left), right, left)


_OPERATIONS: dict[str, Callable[..., Array]] = {
    "as_of": _as_of,
    "constant": _constant,
    "add": lambda a, b, **_: np.add(a, b, dtype=np.float64),
    "sub": lambda a, b, **_: np.subtract(a, b, dtype=np.float64),
    "mul": lambda a, b, **_: np.multiply(a, b, dtype=np.float64),
    "div": _divide,
    "eq": _equal,
    "ne": lambda a, b, **_: ~_equal(a, b),
    "lt": lambda a, b, **_: a < b,
    "le": lambda a, b, **_: a <= b,
    "gt": lambda a, b, **_: a > b,
    "ge": lambda a, b, **_: a >= b,
    "and": lambda a, b, **_: a & b,
    "or": lambda a, b, **_: a | b,
    "not": lambda a, **_: ~a,
    "isin": _isin,
    "is_missing": _is_missing,
    "coalesce": _coalesce,
    "least": lambda a, b, **_: np.minimum(a, b),
    "greatest": lambda a, b, **_: np.maximum(a, b),
    "when": lambda c, a, b, **_: np.where(c, a, b),
    "days_between": lambda a, b, **_: (b - a) / US_PER_DAY,
    "local_hour": lambda t, **_: (np.floor_divide(t, _US_PER_HOUR) + 8) % 24,
}
