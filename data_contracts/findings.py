"""What a check of the contracts finds, in words, and how tables in memory are brought to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import pyarrow as pa

from data_contracts.declare import Table
from data_contracts.folder import arrow_schema

Tables = Mapping[str, pd.DataFrame | pa.Table]


@dataclass(frozen=True)
class Finding:
    """One rule of a contract that does not hold.

    Parameters
    ----------
    table, column : str
        Where; `column` joins several by a comma and is empty for a rule on the whole table.
    rule : str
        The rule's name, as it stands in a batch's facts.
    en, zh : str
        What should hold, in words that follow "must be" and "应".
    level : {"batch", "reject", "flag"}
        Whether it refuses the batch, keeps its rows out, or is only counted.
    rows : int
        How many rows break it.
    examples : tuple of str
        The first offending values, at most five. They may be personal data: for the person who asked, not for a log.

    Examples
    --------
    >>> print(Finding("loans", "term_months", "range", "from 0 to 600", "在0至600之间", "reject", 2, ("-3", "999")))
    loans.term_months: must be from 0 to 600; 2 rows are not, first: -3, 999
    """

    table: str
    column: str
    rule: str
    en: str
    zh: str
    level: Literal["batch", "reject", "flag"]
    rows: int
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f"{self.table}.{self.column}" if self.column else self.table
        rows = f"{self.rows:,} row{'s are' if self.rows != 1 else ' is'} not"
        return f"{where}: must be {self.en}; {rows}" + (f", first: {', '.join(self.examples)}" * bool(self.examples))


def shown(value: Any) -> str:
    """Write an offending value, or the values that offend together, as a person reads them."""
    if isinstance(value, Mapping):
        return " ".join(f"{name}={shown(part)}" for name, part in value.items())
    if isinstance(value, tuple):
        return " / ".join(shown(part) for part in value if not pd.isna(part))
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:60] + "…")
    if hasattr(value, "isoformat") or type(value).__name__ == "datetime64":
        return str(pd.Timestamp(value))
    return str(value)


def conform(table: Table, frame: pd.DataFrame | pa.Table) -> pa.Table:
    """Cast to the contract's types where values allow it, and add nullable columns that were left out."""
    arrays: dict[str, pa.Array | pa.ChunkedArray] = {}
    schema = arrow_schema(table)
    for name in frame.column_names if isinstance(frame, pa.Table) else frame.columns:
        wanted = schema.field(name).type if name in table.names else None
        arrays[str(name)] = _array(frame[name], wanted)
    for column in table.columns:
        if column.nullable and column.name not in arrays:
            arrays[column.name] = pa.nulls(len(frame), schema.field(column.name).type)
    return pa.table(arrays)


def _array(values: Any, wanted: pa.DataType | None) -> pa.Array | pa.ChunkedArray:
    try:
        found = values if isinstance(values, pa.ChunkedArray) else pa.Array.from_pandas(values)
    except (pa.ArrowException, TypeError, ValueError):  # types are mixed
        return pa.array([str(value) for value in values])
    if wanted is None or not _same_kind(found.type, wanted):
        return found
    try:
        return found.cast(wanted)
    except pa.ArrowException:  # a fraction, or beyond the type: kept as it is, its type is the finding
        return found


def _same_kind(found: pa.DataType, wanted: pa.DataType) -> bool:
    if pa.types.is_null(found) or found == wanted:
        return True
    if pa.types.is_string(wanted):
        return bool(pa.types.is_large_string(found) or pa.types.is_string_view(found) or pa.types.is_dictionary(found))
    if pa.types.is_timestamp(wanted):
        return bool(pa.types.is_timestamp(found))
    if pa.types.is_boolean(wanted):
        return False
    return bool(pa.types.is_integer(found) or pa.types.is_floating(found))
