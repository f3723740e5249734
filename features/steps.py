"""Nodes of the algebra as a flat list of steps over the records of a source, or over one application.

Every value is a float64 with NaN for missing: timestamps are microseconds since 1970 (exact below 2^53), strings are
the numbers that `Codes` gives them, so that a missing word, like a missing number, equals nothing; a condition
is 1 or 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from features.algebra import Node
from features.kernel import OPERATIONS, run
from features.sources import node_type

Record = Mapping[str, Any]
Column = tuple[int, str, str | None]  # slot, name, type
Floats = npt.NDArray[np.float64]
NAN = float("nan")
MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1)


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


def record_columns(rows: Sequence[Record], names: tuple[str, ...]) -> list[Sequence[Any]]:
    """Columns of at least one record; a column that a record leaves out is missing there."""
    if len(names) == 1:
        return [[row.get(names[0]) for row in rows]]
    try:
        return list(zip(*map(itemgetter(*names), rows), strict=True))
    except KeyError:
        return [[row.get(name) for row in rows] for name in names]


def numbers(values: Sequence[Any], kind: str | None, codes: Codes) -> Floats:
    """Values of a column as numbers, shape (n_rows,)."""
    if kind == "string":
        return np.fromiter(map(codes.__getitem__, values), np.float64, len(values))
    if kind == "timestamp":
        times = (NAN if time is None else (time - _EPOCH) / MICROSECOND for time in values)
        return np.fromiter(times, np.float64, len(values))
    found = np.array(values, dtype=np.float64)
    if kind == "float64":
        found[np.isinf(found)] = NAN
    return found


def one_number(value: Any, kind: str | None, codes: Codes) -> float:
    """One value as a number."""
    if value is None:
        return NAN
    if kind == "string":
        return codes[value]
    number = microseconds(value) if kind == "timestamp" else float(value)
    return NAN if math.isinf(number) else number


class Steps:
    """Nodes in the order in which they are computed; a slot is the place of a node's values, one a node.

    Parameters
    ----------
    codes : Codes
        Numbers of the words that are declared; words of a request are added to a copy of it.
    """

    def __init__(self, codes: Codes) -> None:
        self._codes = codes
        self._slots: dict[str, int] = {}
        self._number_of_slots = 0
        self._constants: dict[int, float] = {}
        self._choices: list[float] = []
        self._moments: list[int] = []
        self._steps: list[tuple[int, ...]] = []
        self._program: tuple[npt.NDArray[np.int64], Floats, npt.NDArray[np.int64], Floats] | None = None
        self.columns: dict[int, Node] = {}

    def slot(self, node: Node) -> int:
        """Place of the node's values, added where it is new."""
        known = self._slots.get(node.key)
        if known is not None:
            return known
        arguments = [self.slot(arg) for arg in node.args if isinstance(arg, Node)]
        slot = self._slots[node.key] = self._number_of_slots
        self._number_of_slots += 1
        if node.op == "constant":
            self._constants[slot] = self._number(node.args[0])
        elif node.op == "missing":
            self._constants[slot] = NAN
        elif node.op in ("column", "aggregate"):
            self.columns[slot] = node
        elif node.op == "as_of":
            self._moments.append(slot)
        else:
            first = len(self._choices)
            if node.op in ("isin", "bucket"):
                self._choices += map(self._number, node.args[1])
            arguments += [arguments[0]] * (3 - len(arguments))
            self._steps.append((OPERATIONS.index(node.op), slot, *arguments, first, len(self._choices)))
        return slot

    def alias(self, node: Node, slot: int) -> None:
        """Let a node stand for a slot that is there."""
        self._slots[node.key] = slot

    def values(self, rows: int, moment: float) -> Floats:
        """An array for the values of all slots of so many rows, shape (n_slots, n_rows), for the columns to be put in.

        Parameters
        ----------
        rows : int
            Number of records; 1 for an application.
        moment : float
            `as_of` in microseconds since 1970.
        """
        if self._program is None:
            steps = np.array(self._steps, dtype=np.int64).reshape(-1, 7)
            slots, constants = np.array(list(self._constants), dtype=np.int64), np.array(list(self._constants.values()))
            self._program = steps, np.array(self._choices), slots, constants
        values = np.empty((self._number_of_slots, rows))
        for slot in self._moments:
            values[slot] = moment
        return values

    def run(self, values: Floats) -> None:
        """Compute the slots that are no column."""
        if self._program is not None:
            run(*self._program, values)

    def _number(self, constant: str | float) -> float:
        return self._codes[constant] if isinstance(constant, str) else float(constant)


def kinds(columns: Mapping[int, Node]) -> list[Column]:
    """Slot, name and type of columns."""
    return [(slot, node.args[1], node_type(node)) for slot, node in columns.items()]
