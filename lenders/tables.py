"""Files that are canonical tables already: how a company delivers its own records, `applications.csv` and the like.

Each file is named after its table and has that table's columns. Text is turned into the contract's types where every
value allows it; what does not fit stays as it is, for the contract to find and name.
"""

from __future__ import annotations

import logging
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.declare import Column
from data_contracts.engine import connect
from data_contracts.errors import SourceError
from data_contracts.folder import Dates
from data_contracts.tables import TABLES
from lenders.catalogue import Progress
from lenders.raw_files import contents, csv_columns, find, read_csv, reading

log = logging.getLogger(__name__)

_FROM_TEXT = {
    # a whole number may be written 3.0: pandas does, where a column has missing values
    "int64": r"CASE WHEN regexp_full_match({0}, '[+-]?\d+(\.0*)?') THEN TRY_CAST({0} AS BIGINT) END",
    "float64": "TRY_CAST({0} AS DOUBLE)",
    "bool": "TRY_CAST({0} AS BOOLEAN)",
    "timestamp": "TRY_CAST({0} AS TIMESTAMPTZ) AT TIME ZONE 'UTC'",
}


def import_tables(source: Path, progress: Progress | None = None) -> tuple[dict[str, pa.Table], Dates]:
    """Read the canonical tables that a folder has, each as `.parquet` or `.csv`.

    Parameters
    ----------
    source : Path
        Folder of the files. Times in CSV are ISO 8601: with an offset they become UTC, without one they are UTC. Money
        is whole fen, a missing value is empty.
    progress : callable, optional
        Called with the table just begun and the share of the work that is done.

    Raises
    ------
    SourceError
        Where the folder holds no canonical table or a file cannot be read.
    """
    if not source.is_dir():
        raise SourceError(f"There is no folder {source}; name the folder that holds the tables.")
    paths = {name: path for name in TABLES if (path := find(source, name)) is not None}
    if not paths:
        raise SourceError(
            f"{source} holds no canonical table; it holds {contents(source)}. Name the files after their tables, "
            f"such as applications.csv or payments.parquet: {', '.join(TABLES)}."
        )
    _tell_of_others(source, paths)
    tables = {}
    with connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        for done, (name, path) in enumerate(paths.items()):
            if progress is not None:
                progress(name, done / len(paths))
            tables[name] = _read(engine, name, path)
    return tables, "calendar"


def _tell_of_others(source: Path, paths: dict[str, Path]) -> None:
    others = sorted(
        entry.name for entry in source.iterdir() if entry.suffix in (".csv", ".parquet") and entry not in paths.values()
    )
    if others:
        log.warning("%s: not read, for no canonical table is called so: %s", source, ", ".join(others))


def _read(engine: duckdb.DuckDBPyConnection, name: str, path: Path) -> pa.Table:
    if path.suffix == ".csv":
        with reading(path):
            raw = engine.sql(f"SELECT * FROM {read_csv(path, csv_columns(path), {})}").to_arrow_table()
    else:
        try:
            raw = pq.ParquetFile(path).read()
        except (pa.ArrowException, OSError) as fault:
            raise SourceError(
                f"{path} is no whole Parquet file ({fault}); it may be truncated. Get it again from its source."
            ) from fault
    engine.register("raw", raw)
    for column in TABLES[name].columns:
        if column.name in raw.column_names:
            turned = _turned(engine, raw, column, path)
            raw = raw.set_column(raw.column_names.index(column.name), column.name, turned)
    engine.unregister("raw")
    return raw


def _turned(engine: duckdb.DuckDBPyConnection, raw: pa.Table, column: Column, path: Path) -> pa.ChunkedArray:
    """Column of a raw table in the contract's type, or as it is where some value cannot be that."""
    found = raw.column(column.name)
    if pa.types.is_floating(found.type):  # some writers put NaN where a value is missing
        return _computed(engine, f'CASE WHEN NOT isnan("{column.name}") THEN "{column.name}" END')
    if not (pa.types.is_string(found.type) or pa.types.is_large_string(found.type)) or column.dtype == "string":
        return found
    turned = _computed(engine, _FROM_TEXT[column.dtype].format(f'"{column.name}"'))
    if turned.null_count > found.null_count:
        lost = turned.null_count - found.null_count
        log.warning("%s, column %s: %s values are no %s", path.name, column.name, lost, column.dtype)
        return found
    return turned


def _computed(engine: duckdb.DuckDBPyConnection, sql: str) -> pa.ChunkedArray:
    return engine.sql(f"SELECT {sql} AS value FROM raw").to_arrow_table().column(0)
