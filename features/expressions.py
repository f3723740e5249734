"""Nodes of the algebra as Ibis values over the rows of one table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from features.algebra import US_PER_DAY, Node
from features.sources import node_type, node_unit

if TYPE_CHECKING:
    import ibis.expr.types as ir

_LARGEST = 1.7976931348623157e308


class Expressions:
    """Nodes as Ibis values.

    Parameters
    ----------
    rows : ibis Table
        Records of a source, or applications.
    owner : str
        Name of the source, or `applications`.
    aggregates : mapping, optional
        Values of aggregates by key.
    """

    def __init__(
        self,
        rows: ir.Table,
        owner: str,
        *,
        aggregates: Mapping[str, Any] | None = None,
    ) -> None:
        self.rows = rows
        self._owner = owner
        self._aggregates = aggregates or {}

    def number(self, node: Node) -> Any:
        """The node as float64."""
        return as_number(self.value(node)).cast("float64")

    def value(self, node: Node) -> Any:
        """The node with the type it has."""
        import ibis

        match node.op:
            case "column":
                return self._column(node)
            case "feature":
                return self.rows[f"_{node.args[0]}"]  # it may have the name of a column
            case "aggregate":
                value = self._aggregates.get(node.key)
                return ibis.null("float64") if value is None else value
            case "as_of":
                return self.rows.as_of
            case "missing":
                return ibis.null("float64")
            case "constant":
                return _constant(node.args[0])
            case "isin":
                return self.value(node.args[0]).isin(node.args[1]).fill_null(False)
            case "bucket":
                return _bucket(as_number(self.value(node.args[0])), node.args[1])
        return _OPERATIONS[node.op](*(self.value(arg) for arg in node.args))

    def _column(self, node: Node) -> Any:
        value = self.rows[node.args[1]]
        kind = node_type(node)
        if kind == "float64":
            return finite(value)
        if kind == "bool":
            return value.cast("int64")
        if self._owner == "applications" and node_unit(node) == "fen":
            return value.cast("float64") / 100.0
        return value


def finite(value: Any) -> Any:
    """A float64 that is missing where it is NaN or infinite."""
    import ibis

    # Both engines take NaN for greater than every number.
    return ibis.ifelse(value.abs() <= _LARGEST, value, ibis.null("float64"))


def as_number(value: Any) -> Any:
    """A condition as 1 or 0, anything else as it is."""
    return value.cast("int64") if value.type().is_boolean() else value


def _constant(value: Any) -> Any:
    import ibis

    if isinstance(value, float):
        # A decimal point alone makes a decimal number in SQL, of which Spark keeps six digits.
        return ibis.literal(repr(value)).cast("float64")
    return ibis.literal(int(value) if isinstance(value, bool) else value)


def _hour(time: Any) -> Any:
    import ibis

    return (time + ibis.interval(hours=8)).hour().cast("int64")


def _bucket(value: Any, edges: tuple[float, ...]) -> Any:
    import ibis

    reached = sum(((value >= edge).cast("int64") for edge in edges[1:]), (value >= edges[0]).cast("int64"))
    return ibis.ifelse(value.isnull(), ibis.null("int64"), reached)


def _log1p(value: Any) -> Any:
    import ibis

    value = as_number(value).cast("float64")
    return ibis.ifelse(value > -1.0, value + 1.0, ibis.null("float64")).ln()


def _pick(left: Any, right: Any, *, least: bool) -> Any:
    import ibis

    left, right = as_number(left), as_number(right)
    first = left <= right if least else left >= right
    return ibis.ifelse(left.isnull() | right.isnull(), ibis.null(), ibis.ifelse(first, left, right))


def _when(condition: Any, then: Any, otherwise: Any) -> Any:
    import ibis

    return ibis.ifelse(condition, as_number(then), as_number(otherwise))


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: as_number(a) + as_number(b),
    "sub": lambda a, b: as_number(a) - as_number(b),
    # In float64, because a product of two amounts overflows int64.
    "mul": lambda a, b: as_number(a).cast("float64") * as_number(b),
    "div": lambda a, b: as_number(a).cast("float64") / as_number(b).cast("float64").nullif(0.0),
    "eq": lambda a, b: (as_number(a) == as_number(b)).fill_null(False),
    "ne": lambda a, b: ~(as_number(a) == as_number(b)).fill_null(False),
    "lt": lambda a, b: (as_number(a) < as_number(b)).fill_null(False),
    "le": lambda a, b: (as_number(a) <= as_number(b)).fill_null(False),
    "gt": lambda a, b: (as_number(a) > as_number(b)).fill_null(False),
    "ge": lambda a, b: (as_number(a) >= as_number(b)).fill_null(False),
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "not": lambda a: ~a,
    "is_missing": lambda a: a.isnull(),
    "coalesce": lambda a, b: as_number(a).fill_null(as_number(b)),
    "least": lambda a, b: _pick(a, b, least=True),
    "greatest": lambda a, b: _pick(a, b, least=False),
    "when": _when,
    "days_between": lambda start, end: end.delta(start, unit="microsecond").cast("float64") / US_PER_DAY,
    "local_hour": _hour,
    "abs": lambda a: as_number(a).abs(),
    "log1p": _log1p,
    "decay": lambda days, half_life: (days * (-math.log(2.0)) / half_life).exp(),
}
