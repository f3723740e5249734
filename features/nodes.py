"""Expressions as data: what is computed of one record, or of one applicant's features. See `features.algebra`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
LOGICAL = (*COMPARISONS, "and", "or", "not", "isin", "is_missing")
_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "and": "&", "or": "|"}
_SIGNS |= {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


class Node:
    """A value of one record, or of one applicant: a column, a constant, or an operation on such.

    Nodes with the same meaning have the same `key`, so engines compute each of them once.

    Examples
    --------
    >>> reason = Node("column", "inquiries", "reason")
    >>> reason == "loan_approval"
    (inquiries.reason == 'loan_approval')
    >>> (reason == "loan_approval").key
    '["eq",["column","inquiries","reason"],["constant","loan_approval"]]'
    """

    __slots__ = ("args", "key", "op")

    def __init__(self, op: str, *args: Any) -> None:
        self.op = op
        self.args = args
        self.key: str = json.dumps(self.spec(), separators=(",", ":"), ensure_ascii=False)

    def spec(self) -> list[Any]:
        """Nested lists that say the same and can be written as JSON."""
        return [self.op, *(arg.spec() if isinstance(arg, Node) else _plain(arg) for arg in self.args)]

    def walk(self) -> Iterator[Node]:
        """Every node of the expression, arguments before what uses them."""
        for arg in self.args:
            if isinstance(arg, Node):
                yield from arg.walk()
        yield self

    @property
    def is_logical(self) -> bool:
        """Whether the value is true or false and never missing."""
        return self.op in LOGICAL

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        """The expression as it was written, for people."""
        match self.op, self.args:
            case "column", (owner, name):
                return f"{owner}.{name}"
            case (("feature" | "constant"), (value,)):
                return str(value) if self.op == "feature" else repr(value)
            case ("as_of" | "missing") as word, _:
                return word
            case "not", (condition,):
                return f"~{condition}"
            case operation, (left, right) if operation in _SIGNS:
                return f"({left} {_SIGNS[operation]} {right})"
        return f"{self.op}({', '.join(map(str, self.args))})"

    def __add__(self, other: Any) -> Node:
        return Node("add", self, node(other))

    def __radd__(self, other: Any) -> Node:
        return Node("add", node(other), self)

    def __sub__(self, other: Any) -> Node:
        return Node("sub", self, node(other))

    def __rsub__(self, other: Any) -> Node:
        return Node("sub", node(other), self)

    def __mul__(self, other: Any) -> Node:
        return Node("mul", self, node(other))

    def __rmul__(self, other: Any) -> Node:
        return Node("mul", node(other), self)

    def __truediv__(self, other: Any) -> Node:
        return Node("div", self, node(other))

    def __rtruediv__(self, other: Any) -> Node:
        return Node("div", node(other), self)

    def __neg__(self) -> Node:
        return Node("sub", node(0.0), self)

    def __abs__(self) -> Node:
        return Node("abs", self)

    def __eq__(self, other: object) -> Node:  # type: ignore[override]
        return Node("eq", self, node(other))

    def __ne__(self, other: object) -> Node:  # type: ignore[override]
        return Node("ne", self, node(other))

    def __lt__(self, other: Any) -> Node:
        return Node("lt", self, node(other))

    def __le__(self, other: Any) -> Node:
        return Node("le", self, node(other))

    def __gt__(self, other: Any) -> Node:
        return Node("gt", self, node(other))

    def __ge__(self, other: Any) -> Node:
        return Node("ge", self, node(other))

    def __and__(self, other: Any) -> Node:
        return Node("and", self, node(other))

    def __or__(self, other: Any) -> Node:
        return Node("or", self, node(other))

    def __invert__(self) -> Node:
        return Node("not", self)

    def __bool__(self) -> bool:
        raise TypeError("A node has no truth value while it is declared; combine conditions with &, | and ~.")

    def isin(self, values: Iterable[str | float]) -> Node:
        """Whether the value is one of `values`."""
        return Node("isin", self, tuple(values))

    def is_missing(self) -> Node:
        """Whether the value is missing."""
        return Node("is_missing", self)

    def coalesce(self, other: Any) -> Node:
        """The value, or `other` where it is missing."""
        return Node("coalesce", self, node(other))

    def clip(self, low: float | None = None, high: float | None = None) -> Node:
        """The value, not below `low` and not above `high`; missing stays missing."""
        clipped = self if low is None else Node("greatest", self, node(low))
        return clipped if high is None else Node("least", clipped, node(high))


def _plain(arg: Any) -> Any:
    return list(arg) if isinstance(arg, tuple) else arg


def node(value: Any) -> Node:
    """A node as it is, anything else as a constant."""
    return value if isinstance(value, Node) else Node("constant", value)


def when(condition: Node, then: Any, otherwise: Any) -> Node:
    """`then` where the condition holds, else `otherwise`."""
    return Node("when", condition, node(then), node(otherwise))


def days_between(start: Node, end: Node) -> Node:
    """Days from `start` to `end`, with their fraction; negative when `end` is earlier."""
    return Node("days_between", start, end)


def local_hour(time: Node) -> Node:
    """Hour of the day in China Standard Time, 0 to 23."""
    return Node("local_hour", time)


def log1p(value: Node) -> Node:
    """ln(1 + value), which tames long tails; missing at -1 and below."""
    return Node("log1p", value)


def bucket(value: Node, *edges: float) -> Node:
    """Number of the ascending edges that the value reaches: 0 below the first, `len(edges)` from the last on.

    Examples
    --------
    >>> bucket(feature("instalments_dpd_last"), 1, 30, 90)
    bucket(instalments_dpd_last, (1, 30, 90))
    """
    return Node("bucket", value, edges)


def ratio(above: Any, below: Any, *, on_zero: float | None = None, on_missing: float | None = None) -> Node:
    """`above / below`, with what it is where `below` is zero, and where either is missing; missing by default.

    Examples
    --------
    >>> ratio(feature("debt"), feature("income"), on_zero=0)
    when(((income == 0) & ~is_missing(debt)), 0, (debt / income))
    """
    above, below = node(above), node(below)
    value = Node("div", above, below)
    if on_zero is not None:
        value = when((below == 0) & ~above.is_missing(), on_zero, value)
    if on_missing is not None:
        value = when(above.is_missing() | below.is_missing(), on_missing, value)
    return value


def feature(name: str) -> Node:
    """The value of another feature of the same set."""
    return Node("feature", name)


as_of = Node("as_of")
missing = Node("missing")
