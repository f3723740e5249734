"""Raw files of a lender, as CSV or Parquet: found, checked for their columns and staged in DuckDB without a copy."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.errors import SourceError

Kind = Literal["id", "number", "text", "time"]

_SQL_TYPES: dict[Kind, str] = {"id": "BIGINT", "number": "DOUBLE", "text": "VARCHAR", "time": "TIMESTAMP"}
# what DuckDB's reader turns into at once, so that it can name the line; times are turned afterwards
_CSV_TYPES: dict[Kind, str] = {**_SQL_TYPES, "time": "VARCHAR"}
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
    columns : mapping of str to {"id", "number", "text", "time"}
        Columns that are read; the file may have more. A "time" is written year first.
    optional : tuple of str
        Those of `columns` that may be absent: they are then missing in every row.
    needed : bool, default True
        Whether the lender cannot be read without this file.
    also : tuple of str
        Other names under which the file is found; the first that is there counts.
    aliases : mapping of str to tuple of str
        Other names of columns. A column of a CSV file without a name is `column0`, `column1` ... by its place.
    missing : tuple of str
        What stands in a CSV file for a missing value.
    """

    name: str
    columns: Mapping[str, Kind]
    optional: tuple[str, ...] = ()
    needed: bool = True
    also: tuple[str, ...] = ()
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing: tuple[str, ...] = ("",)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name under which the file is found."""
        return (self.name, *self.also)


def columns(ids: str = "", numbers: str = "", texts: str = "", times: str = "") -> dict[str, Kind]:
    """Columns of a raw file by kind, their names divided by blanks.

    Examples
    --------
    >>> columns(ids="loan", numbers="due paid")
    {'loan': 'id', 'due': 'number', 'paid': 'number'}
    """
    kinds: tuple[tuple[Kind, str], ...] = (("id", ids), ("number", numbers), ("text", texts), ("time", times))
    return {name: kind for kind, names in kinds for name in names.split()}


def find_files(source: Path, files: Sequence[RawFile], whose: str) -> dict[str, Path]:
    """Path of each raw file that a folder has, by the file's own name.

    Raises
    ------
    SourceError
        Where the folder or a needed file is not there; `whose` says in the message whose files they are.
    """
    if not source.is_dir():
        raise SourceError(f"There is no folder {source}; name the folder that holds the files of {whose}.")
    paths = {raw.name: path for raw in files if (path := _first(source, raw)) is not None}
    lacking = [" or ".join(raw.names) for raw in files if raw.needed and raw.name not in paths]
    if lacking:
        raise SourceError(
            f"{source} has no {', no '.join(lacking)} (.parquet or .csv), which {whose} needs; it holds "
            f"{contents(source)}. Name the folder with the publisher's files, under their own names."
        )
    return paths


def contents(source: Path) -> str:
    """Name the first entries of a folder, for a message."""
    return ", ".join(sorted(entry.name for entry in source.iterdir())[:10]) or "nothing"


def _first(source: Path, raw: RawFile) -> Path | None:
    return next((path for name in raw.names if (path := find(source, name)) is not None), None)


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
    present = _parquet_columns(path) if is_parquet else csv_columns(path)
    there = {column: name for column in raw.columns if (name := _name_in(raw, column, present)) is not None}
    lacking = [column for column in raw.columns if column not in there and column not in raw.optional]
    if lacking:
        raise SourceError(
            f"{path} lacks the column{'s' if len(lacking) > 1 else ''} {', '.join(lacking)}. "
            f"Its columns must have the names of the lender's own files."
        )
    if is_parquet:
        _require_kinds(raw, path, there)
        read = f"read_parquet({quoted(path)})"
    else:
        types = {name: _CSV_TYPES[raw.columns[column]] for column, name in there.items()}
        read = read_csv(path, present, types, raw.missing)
    chosen = ", ".join(_column(column, kind, there.get(column)) for column, kind in raw.columns.items())
    engine.execute(f'CREATE OR REPLACE VIEW "{raw.name}" AS SELECT {chosen} FROM {read}')


def stage_absent(engine: duckdb.DuckDBPyConnection, raw: RawFile) -> None:
    """Make a raw file that is not there a view of no rows, so that it can be joined all the same."""
    chosen = ", ".join(_column(column, kind, None) for column, kind in raw.columns.items())
    engine.execute(f'CREATE OR REPLACE VIEW "{raw.name}" AS SELECT {chosen} WHERE false')


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


def _name_in(raw: RawFile, column: str, present: list[str]) -> str | None:
    return next((name for name in (column, *raw.aliases.get(column, ())) if name in present), None)


def _column(column: str, kind: Kind, name: str | None) -> str:
    sql_type = _SQL_TYPES[kind]
    if name is None:
        return f'CAST(NULL AS {sql_type}) AS "{column}"'
    if kind == "number":  # some writers put NaN where a value is missing
        return f'CASE WHEN isfinite(CAST("{name}" AS DOUBLE)) THEN CAST("{name}" AS DOUBLE) END AS "{column}"'
    return f'CAST("{name}" AS {sql_type}) AS "{column}"'


def _parquet_columns(path: Path) -> list[str]:
    return list(_schema(path).names)


def _schema(path: Path) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError) as fault:
        raise SourceError(
            f"{path} is no whole Parquet file ({fault}); it may be truncated. Get it again from its source."
        ) from fault


def _require_kinds(raw: RawFile, path: Path, there: Mapping[str, str]) -> None:
    schema = _schema(path)
    for column, name in there.items():
        kind, found = raw.columns[column], schema.field(name).type
        if kind in ("id", "number") and not (
            pa.types.is_integer(found)
            or pa.types.is_floating(found)
            or pa.types.is_decimal(found)
            or pa.types.is_boolean(found)
            or pa.types.is_null(found)
        ):
            raise SourceError(f"{path}, column {name}: numbers are needed, it holds {found}. Write it as a number.")


def csv_columns(path: Path) -> list[str]:
    """Columns that the first line of a CSV file names; one without a name is `column0`, `column1` ... by its place.

    Raises
    ------
    SourceError
        Where the file is empty, no text in UTF-8, or names a column twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            header = next(csv.reader(stream), [])
    except (UnicodeDecodeError, csv.Error) as fault:
        raise SourceError(f"{path} is no CSV text in UTF-8 ({fault}); save it as CSV in UTF-8.") from fault
    if not header:
        raise SourceError(f"{path} is empty; its first line must name the columns.")
    header = [name or f"column{place}" for place, name in enumerate(header)]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise SourceError(f"{path} names the column {', '.join(twice)} twice; leave one.")
    return header


def read_csv(path: Path, header: list[str], types: Mapping[str, str], missing: Sequence[str] = ("",)) -> str:
    """SQL by which DuckDB reads a CSV file; columns that `types` does not name are text."""
    columns = ", ".join(f"{quoted(name)}: '{types.get(name, 'VARCHAR')}'" for name in header)
    nulls = ", ".join(map(quoted, missing))
    return (
        f"read_csv({quoted(path)}, header=true, auto_detect=false, delim=',', quote='\"', escape='\"', "
        f"nullstr=[{nulls}], columns={{{columns}}})"
    )


def quoted(text: Path | str) -> str:
    """Text as an SQL literal."""
    return "'" + str(text).replace("'", "''") + "'"
