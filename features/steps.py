"""Nodes of the algebra as a flat list of steps, run over the records of a source (arrays) or one application (floats).

Every value is a float64 with NaN for missing: timestamps are microseconds since 1970 (exact below 2^53), strings are
the numbers that `Codes` gives them, so that a missing word, like a missing number, equals nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from features.algebra import US_PER_DAY, Node
from features.checks import node_type

Record = Mapping[str, Any]
Floats = npt.NDArray[np.float64]
NAN = float("nan")
MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1)
_US_PER_HOUR = 3_600_000_000


class Codes(dict[str | None, float]):
    """Numbers of words: a word that is asked for the first time gets the next one, a missing word NaN.

    Examples
    --------
    >>> codes = Codes()
    >>> codes["bank"], codes["other"], codes["bank"], codes[None]
    (1.0, 2.0, 1.0, nan)
    """

    def __init__(self, known: Mapping[str | None, float] | None = None) -> None:
        super().__init__({None: NAN} if known is None else known)

    def __missing__(self, word: str | None) -> float:
        self[word] = code = float(len(self))
        return code


def microseconds(time: datetime | None) -> float:
    """Microseconds from 1970 to a UTC time without a zone."""
    return NAN if time is None else (time - _EPOCH) / MICROSECOND


def record_column(rows: Sequence[Record], name: str, kind: str | None, codes: Codes) -> Floats:
    """A column of some records, shape (n_rows,)."""
    if kind == "string":
        return np.array([codes[row.get(name)] for row in rows], dtype=np.float64)
    if kind == "timestamp":
        return np.array([microseconds(row.get(name)) for row in rows], dtype=np.float64)
    return np.array([row.get(name) for row in rows], dtype=np.float64)


def one_value(record: Record, name: str, kind: str | None, codes: Codes) -> float:
    """A column of one record."""
    value = record.get(name)
    if value is None:
        return NAN
    if kind == "string":
        return codes[value]
    return microseconds(value) if kind == "timestamp" else float(value)


@dataclass(frozen=True)
class Operations:
    """What each operation does to values of one shape, and the form in which it wants the choices of `isin`."""

    by_name: Mapping[str, Callable[..., Any]]
    choices: Callable[[Iterable[float]], Any]


class Steps:
    """Nodes in the order in which they are computed; a slot is the place of a node's value, one a node.

    Parameters
    ----------
    operations : Operations
        For arrays or for floats.
    codes : Codes
        Numbers of the words that are declared; words of a request are added to a copy of it.
    """

    def __init__(self, operations: Operations, codes: Codes) -> None:
        self._operations = operations
        self._codes = codes
        self._slots: dict[str, int] = {}
        self._constants: list[Any] = []
        self._moments: list[int] = []
        self._steps: list[tuple[int, Callable[..., Any], tuple[int, ...]]] = []
        self.columns: dict[int, Node] = {}

    def slot(self, node: Node) -> int:
        """Place of the node's value, added where it is new."""
        known = self._slots.get(node.key)
        if known is not None:
            return known
        arguments = tuple(self.slot(arg) for arg in node.args if isinstance(arg, Node))
        if node.op == "isin":
            arguments += (self._add(self._operations.choices(map(self._number, node.args[1]))),)
        slot = self._slots[node.key] = self._add(self._number(node.args[0]) if node.op == "constant" else None)
        if node.op in ("column", "feature"):
            self.columns[slot] = node
        elif node.op == "as_of":
            self._moments.append(slot)
        elif node.op != "constant":
            self._steps.append((slot, self._operations.by_name[node.op], arguments))
        return slot

    def alias(self, node: Node, slot: int) -> None:
        """Let a node stand for a slot that is there."""
        self._slots[node.key] = slot

    def run(self, columns: Mapping[int, Any], moment: float) -> list[Any]:
        """Values of all slots, from those of `self.columns`."""
        values = self._constants.copy()
        for slot, column in columns.items():
            values[slot] = column
        for slot in self._moments:
            values[slot] = moment
        for slot, operation, arguments in self._steps:
            values[slot] = operation(*[values[at] for at in arguments])
        return values

    def _add(self, constant: Any) -> int:
        self._constants.append(constant)
        return len(self._constants) - 1

    def _number(self, constant: str | float) -> float:
        return self._codes[constant] if isinstance(constant, str) else float(constant)


def kinds(columns: Mapping[int, Node]) -> list[tuple[int, str, str | None]]:
    """Slot, name and type of columns."""
    return [(slot, node.args[1], node_type(node)) for slot, node in columns.items()]


def _divide(left: Any, right: Any) -> Any:
    return left / np.where(right == 0, NAN, right)


ARRAYS = Operations(
    {
        "add": lambda a, b: np.add(a, b, dtype=np.float64),
        "sub": lambda a, b: np.subtract(a, b, dtype=np.float64),
        "mul": lambda a, b: np.multiply(a, b, dtype=np.float64),
        "div": _divide,
        "eq": lambda a, b: a == b,
        "ne": lambda a, b: ~(a == b),
        "lt": lambda a, b: a < b,
        "le": lambda a, b: a <= b,
        "gt": lambda a, b: a > b,
        "ge": lambda a, b: a >= b,
        "and": lambda a, b: a & b,
        "or": lambda a, b: a | b,
        "not": lambda a: ~a,
        "isin": lambda a, choices: np.logical_or.reduce(a == choices),
        "is_missing": np.isnan,
        "coalesce": lambda a, b: np.where(np.isnan(a), b, a),
        "least": np.minimum,
        "greatest": np.maximum,
        "when": np.where,
        "days_between": lambda start, end: (end - start) / US_PER_DAY,
        "local_hour": lambda time: (time // _US_PER_HOUR + 8) % 24,
    },
    lambda codes: np.array(list(codes), dtype=np.float64)[:, None],
)

# The same for one value, where an array of one element would cost thirty times as much.
FLOATS = Operations(
    {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "div": lambda a, b: NAN if b == 0 else a / b,
        "eq": lambda a, b: a == b,
        "ne": lambda a, b: not a == b,  # noqa: SIM201 - unlike the sign, it reads as the negation that it is
        "lt": lambda a, b: a < b,
        "le": lambda a, b: a <= b,
        "gt": lambda a, b: a > b,
        "ge": lambda a, b: a >= b,
        "and": lambda a, b: a and b,
        "or": lambda a, b: a or b,
        "not": lambda a: not a,
        "isin": lambda a, choices: a in choices,
        "is_missing": lambda a: a != a,
        "coalesce": lambda a, b: b if a != a else a,
        "least": lambda a, b: NAN if a != a or b != b else min(a, b),
        "greatest": lambda a, b: NAN if a != a or b != b else max(a, b),
        "when": lambda condition, then, otherwise: then if condition else otherwise,
        "days_between": lambda start, end: (end - start) / US_PER_DAY,
        "local_hour": lambda time: (time // _US_PER_HOUR + 8) % 24,
    },
    frozenset,
)
