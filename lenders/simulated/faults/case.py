"""What a planted fault is written in: the records it goes into, and what came of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.declare import Table
from data_contracts.folder import arrow_schema, arrow_to_pandas
from data_contracts.tables import TABLES
from lenders.simulated.timeline import Flags, Ints

Tables = Mapping[str, pa.Table]


@dataclass(frozen=True)
class Change:
    """A table with faults in it.

    Parameters
    ----------
    table : pyarrow.Table
        The changed records; what is told twice stands at the end.
    rows : ndarray of int64
        Numbers of the rows that are wrong now; of a batch fault, none.
    detectable : ndarray of bool
        For each of `rows`, whether anything in the data contradicts it.
    """

    table: pa.Table
    rows: Ints
    detectable: Flags


@dataclass(frozen=True)
class Case:
    """One table that a fault is planted into.

    Parameters
    ----------
    name : str
        The table.
    tables, accepted : mapping of str to pyarrow.Table
        The batch that the fault goes into, and what was accepted before it.
    rate : float
        Share of the table's rows that become faulty.
    rng : numpy.random.Generator
    """

    name: str
    tables: Tables
    accepted: Tables
    rate: float
    rng: np.random.Generator

    @property
    def table(self) -> pa.Table:
        """The records as they came."""
        return self.tables[self.name]

    @property
    def contract(self) -> Table:
        """What must hold for them."""
        return TABLES[self.name]

    def frame(self, *columns: str) -> pd.DataFrame:
        """Some columns of the batch's rows."""
        return arrow_to_pandas(self.table.select(list(columns)))

    def known(self, name: str, *columns: str) -> pd.DataFrame:
        """Columns of all records of a table, accepted and in the batch; `row` is the number in the batch, else -1."""
        parts = []
        for source in (self.accepted, self.tables):
            if name in source:
                frame = arrow_to_pandas(source[name].select(list(columns)))
                parts.append(frame.assign(row=np.arange(len(frame)) if source is self.tables else -1))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*columns, "row"])

    def pick(self, among: npt.ArrayLike | None = None) -> Ints:
        """Choose the rows to be spoilt, in order: `rate` of all rows, of those where `among` is true."""
        rows = np.arange(self.table.num_rows) if among is None else np.flatnonzero(np.asarray(among, dtype=bool))
        wanted = min(max(round(self.rate * self.table.num_rows), 1), len(rows))
        return np.sort(self.rng.choice(rows, wanted, replace=False))

    def text(self, column: str) -> npt.NDArray[np.object_]:
        """A text column of the batch, None where missing."""
        return np.array(self.table[column].to_pylist(), dtype=object)

    def numbers(self, column: str) -> npt.NDArray[np.float64]:
        """A number column of the batch, NaN where missing."""
        values: npt.NDArray[np.float64] = self.table[column].cast(pa.float64()).to_numpy()
        return values

    def moments(self, column: str) -> npt.NDArray[np.datetime64]:
        """A time column of the batch, NaT where missing."""
        values: npt.NDArray[np.datetime64] = self.table[column].to_numpy().astype("datetime64[us]")
        return values

    def lags(self) -> npt.NDArray[np.timedelta64]:
        """How long the lender took to learn each record of this table that it knows."""
        known = self.known(self.name, "occurred_at", "known_at")
        return (known.known_at - known.occurred_at).to_numpy().astype("timedelta64[us]")

    def spoil(self, rows: Ints, values: Mapping[str, Any], detectable: Flags | bool = True) -> Change:
        """Put values into some rows of some columns."""
        table = self.table
        for column, spoilt in values.items():
            table = put(table, column, rows, spoilt)
        return Change(table, rows, np.broadcast_to(np.asarray(detectable, dtype=bool), rows.shape).copy())

    def again(self, rows: Ints, values: Mapping[str, Any]) -> tuple[pa.Table, Ints]:
        """Tell some rows once more, with other values in some columns; the table and the numbers of the new rows."""
        copies = self.table.take(pa.array(rows))
        for column, spoilt in values.items():
            copies = put(copies, column, np.arange(len(rows)), spoilt)
        return pa.concat_tables([self.table, copies]), self.table.num_rows + np.arange(len(rows))


@dataclass(frozen=True)
class Fault:
    """A kind of fault that feeds have in life.

    Parameters
    ----------
    name : str
        Short name in snake case.
    en, zh : str
        What goes wrong.
    detectable : str
        Where the data contradict it, in words: what the answer key rests on.
    level : {"row", "batch", "file"}
        Whether single rows are wrong, a whole table of the batch, or the bytes of a file.
    tables : tuple of str
        Tables in which it is planted, those of them that are there.
    change : callable, optional
        Plants it into one table; it answers None where the rows give no occasion. Files are damaged by `damage`.
    """

    name: str
    en: str
    zh: str
    detectable: str
    level: Literal["row", "batch", "file"]
    tables: tuple[str, ...]
    change: Callable[[Case], Change | None] | None = None


def put(table: pa.Table, column: str, rows: Ints, values: Any) -> pa.Table:
    """Replace a column's values in some rows (in order); one value goes into all of them."""
    wanted = table.schema.field(column).type
    if values is None or np.isscalar(values):
        values = np.full(len(rows), values)
    if isinstance(values, np.ndarray) and values.dtype == object:
        values = values.tolist()
    mask = np.zeros(table.num_rows, bool)
    mask[rows] = True
    old = table[column].combine_chunks()
    new = pc.replace_with_mask(old, pa.array(mask), pa.array(values).cast(wanted))
    return table.set_column(table.schema.get_field_index(column), column, new)


def whole_tables(tables: Tables) -> dict[str, pa.Table]:
    """Bring tables to their contracts' schema, so that every column is there to be spoilt."""
    found = {}
    for name, table in tables.items():
        schema = arrow_schema(TABLES[name])
        columns = [
            table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
            for field in schema
        ]
        found[name] = pa.table(columns, schema=schema)
    return found
