"""What aggregates look back over, and what the contracts say of its columns: their types and units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from data_contracts.declare import Column, Table
from data_contracts.tables import APPLICATIONS, TABLES
from features.nodes import Node

Group = Literal["application", "bureau", "consumption", "repayment", "business"]

NUMERIC = ("int64", "float64", "bool")


@dataclass(frozen=True)
class Child:
    """Records of another table, summed up per record of the source as known at `as_of`.

    Parameters
    ----------
    table : Table
        Where they are; must have `occurred_at` and `known_at`.
    on : str
        Column that both tables have.
    columns : mapping of str to (statistic, column)
        What each becomes; statistic is `sum` (0 where there is none) or `max` (missing where there is none).
    """

    table: Table
    on: str
    columns: Mapping[str, tuple[Literal["sum", "max"], str]]


class Source:
    """Records that aggregates look back over: a canonical table, with derived columns.

    Columns are attributes: `inquiries.reason`. Whether they exist is checked when the feature set is made, so that one
    message can list every fault.

    Parameters
    ----------
    name : str
        First word of the names of its features.
    table : Table
        The canonical table.
    group : {"application", "bureau", "consumption", "repayment", "business"}
        For explanations.
    time : str, default "occurred_at"
        Column that windows look at.
    child : Child, optional
        Further columns, summed up from another table.
    """

    def __init__(
        self, name: str, table: Table, group: Group, *, time: str = "occurred_at", child: Child | None = None
    ) -> None:
        self.name = name
        self.table = table
        self.group: Group = group
        self.time = time
        self.child = child

    def __getattr__(self, column: str) -> Node:
        if column.startswith("__"):
            raise AttributeError(column)
        return Node("column", self.name, column)

    def spec(self) -> dict[str, Any]:
        """What the source is, for the identity of a feature set."""
        child = self.child and {
            "table": self.child.table.name,
            "on": self.child.on,
            "columns": {name: list(rule) for name, rule in self.child.columns.items()},
        }
        return {"name": self.name, "table": self.table.name, "time": self.time, "child": child}


SOURCES: dict[str, Source] = {}


def source(name: str, table: str, group: Group, *, time: str = "occurred_at", child: Child | None = None) -> Source:
    """Declare a source and make it known by its name."""
    SOURCES[name] = Source(name, TABLES[table], group, time=time, child=child)
    return SOURCES[name]


def declared(part: Node) -> Column | None:
    """The contract's column that a node is, None where there is none such."""
    if part.op != "column":
        return None
    owner, name = part.args
    if owner == "applications":
        return next((column for column in APPLICATIONS.columns if column.name == name), None)
    source = SOURCES[owner]
    if source.child and name in source.child.columns:
        return source.child.table.column(source.child.columns[name][1])
    return next((column for column in source.table.columns if column.name == name), None)


def node_type(expression: Node) -> str | None:
    """Type of an expression: `int64`, `float64`, `bool`, `string` or `timestamp`; None where it is not known."""
    match expression.op:
        case "column":
            column = declared(expression)
            return column.dtype if column else None
        case "missing":
            return None
        case "constant":
            return {str: "string", bool: "bool"}.get(type(expression.args[0]), "float64")
        case "as_of":
            return "timestamp"
        case "coalesce" | "least" | "greatest":
            return node_type(expression.args[0])
        case "when":
            return node_type(expression.args[1])
    return "bool" if expression.is_logical else "float64"


def node_unit(expression: Node) -> str | None:
    """Unit of an expression as far as `fen` is concerned: `fen`, or None for anything else."""
    units = [node_unit(arg) if isinstance(arg, Node) else None for arg in expression.args]
    match expression.op:
        case "column":
            column = declared(expression)
            return "fen" if column and column.unit == "fen" else None
        case "div":
            return "fen" if units[0] == "fen" and units[1] is None else None
        case "add" | "sub" | "mul" | "abs" | "coalesce" | "least" | "greatest":
            return "fen" if "fen" in units else None
        case "when":
            return "fen" if "fen" in units[1:] else None
    return None
