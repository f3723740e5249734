"""Raw files of a lender, as CSV or Parquet: found, checked for their columns and staged in DuckDB without a copy."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.errors import SourceError

Kind = Literal["id", "number", "text"]

_SQL_TYPES: dict[Kind, str] = {"id": "BIGINT", "number": "DOUBLE", "text": "VARCHAR"}
_FAULTS_OF_FILES = (  # besides the bare `duckdb.Error` of a damaged Parquet page
    duckdb.ConversionException,
    duckdb.InvalidInputException,
    duckdb.IOException,
    duckdb.OutOfRangeException,
)
_PACKED = (".csv.zip", ".csv.gz", ".zip", ".7z")


@dataclass(frozen=True)
class RawFile:
    """One file of a lender and the columns that are read from it.

    Parameters
    ----------
    name : str
        File name without its ending.
    columns : mapping of str to {"id", "number", "text"}
        Columns that are read; the file may have more.
    optional : tuple of str
        Those of `columns` that may be absent: they are then missing in every row.
    """

    name: str
    columns: Mapping[str, Kind]
    optional: tuple[str, ...] = ()


def find(source: Path, name: str) -> Path | None:
    """Path of `name`.parquet or `name`.csv in a folder, `None` where there is neither.

    Raises
    ------
    SourceError
        Where both are there, for nobody can tell which is meant, or only a packed file is.
    """
    found = [path for ending in ("parquet", "csv") if (path := source / f"{name}.{ending}").is_file()]
    if len(found) > 1:
        raise SourceError(f"{source} has both {name}.parquet and {name}.csv; leave the one that is meant.")
    if found:
        return found[0]
    packed = [path for ending in _PACKED if (path := source / f"{name}{ending}").is_file()]
    if packed:
        raise SourceError(f"{packed[0]} is packed; unpack it into {source} and import again.")
    return None


def stage(engine: duckdb.DuckDBPyConnection, raw: RawFile, path: Path) -> None:
    """Make a raw file a view of the same name with exactly its declared columns, numbers finite or null.

    Raises
    ------
    SourceError
        Where the file cannot be read or lacks a column, naming the file and all columns that it lacks.
    """
    is_parquet = path.suffix == ".parquet"
    present = _parquet_columns(raw, path) if is_parquet else _csv_columns(path)
    lacking = [column for column in raw.columns if column not in present and column not in raw.optional]
    if lacking:
        raise SourceError(
            f"{path} lacks the column{'s' if len(lacking) > 1 else ''} {', '.join(lacking)}. "
            f"Its columns must have the names of the lender's own files."
        )
    read = f"read_parquet({_quoted(path)})" if is_parquet else _read_csv(raw, path, present)
    chosen = ", ".join(_column(column, kind, column in present) for column, kind in raw.columns.items())
    engine.execute(f'CREATE OR REPLACE VIEW "{raw.name}" AS SELECT {chosen} FROM {read}')


@contextmanager
def reading(*paths: Path) -> Iterator[None]:
    """Turn a fault of the files that are read within into a `SourceError` with the reader's own account of it."""
    try:
        yield
    except duckdb.Error as fault:
        if type(fault) is not duckdb.Error and not isinstance(fault, _FAULTS_OF_FILES):
            raise
        lines = [line.strip() for line in str(fault).split("Possible ")[0].splitlines() if line.strip()]
        raise SourceError(
            f"{', '.join(map(str, paths))} cannot be read: {' '.join(lines[:4])[:400]} "
            f"Get the file again from its source, or mend the line that is named."
        ) from fault


def _column(name: str, kind: Kind, present: bool) -> str:
    sql_type = _SQL_TYPES[kind]
    if not present:
        return f'CAST(NULL AS {sql_type}) AS "{name}"'
    if kind == "number":  # some writers put NaN where a value is missing
        return f'CASE WHEN isfinite(CAST("{name}" AS DOUBLE)) THEN CAST("{name}" AS DOUBLE) END AS "{name}"'
    return f'CAST("{name}" AS {sql_type}) AS "{name}"'


def _parquet_columns(raw: RawFile, path: Path) -> list[str]:
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as fault:
        raise SourceError(
            f"{path} is no whole Parquet file ({fault}); it may be truncated. Get it again from its source."
        ) from fault
    for name, kind in raw.columns.items():
        if name not in schema.names or kind == "text":
            continue
        found = schema.field(name).type
        if not (
            pa.types.is_integer(found)
            or pa.types.is_floating(found)
            or pa.types.is_decimal(found)
            or pa.types.is_boolean(found)
            or pa.types.is_null(found)
        ):
            raise SourceError(f"{path}, column {name}: numbers are needed, it holds {found}. Write it as a number.")
    return list(schema.names)


def _csv_columns(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            header = next(csv.reader(stream), [])
    except (UnicodeDecodeError, csv.Error) as fault:
        raise SourceError(f"{path} is no CSV text in UTF-8 ({fault}); save it as CSV in UTF-8.") from fault
    if not header:
        raise SourceError(f"{path} is empty; its first line must name the columns.")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise SourceError(f"{path} names the column {', '.join(twice)} twice; leave one.")
    return header


def _read_csv(raw: RawFile, path: Path, header: list[str]) -> str:
    types = ", ".join(
        f"{_quoted(name)}: '{_SQL_TYPES[raw.columns[name]] if name in raw.columns else 'VARCHAR'}'" for name in header
    )
    return (
        f"read_csv({_quoted(path)}, header=true, auto_detect=false, delim=',', quote='\"', escape='\"', "
        f"columns={{{types}}})"
    )


def _quoted(text: Path | str) -> str:
    return "'" + str(text).replace("'", "''") + "'"
