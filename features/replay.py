"""Applicants computed once more, each alone: tables in which every application has a customer and records of its own.

The audit for leaks and the check of parity in production both ask what the batch engine makes of exactly these records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from data_contracts.declare import Table
from data_contracts.engine import connect
from data_contracts.errors import SourceError
from data_contracts.folder import TableFolder, arrow_schema, write_tables
from data_contracts.tables import TABLES
from features import batch
from features.algebra import FeatureSet
from features.steps import Record

Applicant = tuple[Record, Mapping[str, Sequence[Record] | None]]
"""An application's row, and its customer's records by table; a table that is absent or None is a missing source."""
Compute = Callable[..., pd.DataFrame]
Progress = Callable[[str, float], None]

TOLERANCE = 1e-9


def replay(
    applicants: Sequence[Applicant],
    feature_set: FeatureSet,
    *,
    compute: Compute = batch.compute,
    progress: Progress | None = None,
) -> npt.NDArray[np.float64]:
    """Compute the features of applicants in batch, as if each were the lender's only application.

    Parameters
    ----------
    applicants : sequence of (application, records by table)
        `as_of` is the application's `applied_at`. Who lacks a source is computed apart from who has it, because a table
        is there or absent for a whole folder.
    feature_set : FeatureSet
        What to compute.
    compute : callable, default `features.batch.compute`
        The engine, called with a folder and the feature set.
    progress : callable, optional
        Called with a step and the share that is done.

    Returns
    -------
    ndarray of float64, shape (n_applicants, n_features)
        In the order of the applicants; NaN where missing.
    """
    matrix = np.full((len(applicants), len(feature_set.names)), np.nan)
    groups: dict[tuple[str, ...], list[int]] = {}
    for at, (_, records) in enumerate(applicants):
        present = tuple(name for name in event_tables(feature_set) if records.get(name) is not None)
        groups.setdefault(present, []).append(at)
    for number, (present, places) in enumerate(groups.items()):
        if progress:
            progress("features of each applicant alone", number / len(groups))
        with TemporaryDirectory(prefix="lendwell-replay-") as place:
            tables = _tables([applicants[at] for at in places], present)
            folder = write_tables(Path(place) / "tables", tables, lender="replay", dates="relative")
            matrix[places] = compute(folder, feature_set)[list(feature_set.names)].to_numpy()
    return matrix


def applicants(folder: TableFolder, tables: Iterable[str], drawn: pa.Table) -> list[Applicant]:
    """Applications with all records of their customers, those of a later time too.

    Parameters
    ----------
    folder : TableFolder
        Canonical tables.
    tables : iterable of str
        Which of its tables of records to read; one that the folder lacks is a missing source.
    drawn : pyarrow.Table
        Rows of the table `applications`.

    Returns
    -------
    list of (application, records by table)
        In the order of `drawn`.

    Raises
    ------
    SourceError
        Where a table cannot be read.
    """
    records: dict[str, dict[str, list[dict[str, Any]]]] = {}
    try:
        with connect() as engine:
            engine.register("drawn", drawn.select(["customer_id"]))
            for name in tables:
                if name in folder.tables:
                    records[name] = {}
                    rows = engine.sql(f"SELECT * FROM {folder.scan(name)} SEMI JOIN drawn USING (customer_id)")
                    for row in rows.to_arrow_table().to_pylist():
                        records[name].setdefault(row["customer_id"], []).append(row)
    except duckdb.Error as fault:
        raise SourceError(f"The tables in {folder.path} cannot be read ({fault}); run `lendwell validate`.") from fault
    return [(row, {name: of.get(row["customer_id"], []) for name, of in records.items()}) for row in drawn.to_pylist()]


def event_tables(feature_set: FeatureSet) -> tuple[str, ...]:
    """Tables of records that a feature set reads."""
    return tuple(name for name in feature_set.tables if name != "applications")


def differ(left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Where two matrices of features differ: by more than 1e-9 of the value (of 1, where it is smaller), or in NaN.

    Examples
    --------
    >>> differ(np.array([1.0, np.nan, np.nan, np.inf, 1e12]), np.array([1.0 + 1e-12, np.nan, 0.0, 1.0, 1e12 + 1]))
    array([False, False,  True,  True, False])
    """
    near = relative_difference(left, right) <= TOLERANCE
    far: npt.NDArray[np.bool_] = ~(near | (np.isnan(left) & np.isnan(right)))
    return far


def relative_difference(left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Distance of two values as a share of the smaller (of 1, where it is smaller); NaN where a value is missing."""
    with np.errstate(invalid="ignore"):
        scale = np.maximum(1.0, np.minimum(np.abs(left), np.abs(right)))
        found: npt.NDArray[np.float64] = np.where(left == right, 0.0, np.abs(left - right) / scale)
    return found


def _tables(applicants: Sequence[Applicant], present: Sequence[str]) -> dict[str, pa.Table]:
    """Canonical tables of the applicants, whose order is that of their application's ids."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in ("applications", *present)}
    for at, (application, records) in enumerate(applicants):
        own = f"{at:09d}-"
        rows["applications"].append(_owned(application, TABLES["applications"], own))
        for name in present:
            rows[name] += [_owned(row, TABLES[name], own) for row in records[name] or ()]
    return {name: pa.Table.from_pylist(found, arrow_schema(TABLES[name])) for name, found in rows.items()}


def _owned(row: Record, table: Table, own: str) -> dict[str, Any]:
    """A row under identifiers of its own: all with one prefix, so that they still refer, and sort, as they did."""
    names = [name for name in table.names if name in _IDENTIFIERS and row.get(name) is not None]
    return {**row, **{name: own + row[name] for name in names}, "customer_id": own}


def _identifiers() -> frozenset[str]:
    """Columns that name a record or refer to one."""
    return frozenset(
        name
        for table in TABLES.values()
        for name in (*table.key, *(column for key in table.foreign_keys for column in key.columns))
        if table.column(name).dtype == "string"
    )


_IDENTIFIERS = _identifiers()
