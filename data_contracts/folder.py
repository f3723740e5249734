"""A folder of canonical tables on disk: one Parquet file a table and `lender.json`, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.declare import Table
from data_contracts.errors import SourceError
from data_contracts.tables import TABLES

Dates = Literal["calendar", "relative"]

_ARROW_TYPES = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "timestamp": pa.timestamp("us"),
    "bool": pa.bool_(),
}


def arrow_schema(table: Table) -> pa.Schema:
    """Arrow schema in which a canonical table lies on disk.

    Examples
    --------
    >>> from data_contracts.tables import INQUIRIES
    >>> arrow_schema(INQUIRIES).field("known_at").type
    TimestampType(timestamp[us])
    """
    return pa.schema([(column.name, _ARROW_TYPES[column.dtype]) for column in table.columns])


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True)
class TableFolder:
    """Canonical tables of one lender on disk.

    Parameters
    ----------
    path : Path
        The folder.
    lender : str
        Which lender wrote it.
    dates : {"calendar", "relative"}
        Whether `applied_at` is a real date (then models are tested out of time) or one made up to count from.
    hashes : mapping of str to str
        SHA-256 of each table's file; its keys are the tables the folder has.
    """

    path: Path
    lender: str
    dates: Dates
    hashes: Mapping[str, str]

    @classmethod
    def open(cls, path: Path) -> TableFolder:
        """Open a folder that `write_tables` has written; `SourceError` where it is none."""
        manifest = path / "lender.json"
        if not path.is_dir():
            raise SourceError(f"There is no folder {path}. Make one with `lendwell simulate` or `lendwell import`.")
        if not manifest.is_file():
            raise SourceError(
                f"{path} holds no canonical tables (no lender.json). Write them with `lendwell simulate --out {path}` "
                f"or `lendwell import LENDER SOURCE --out {path}`."
            )
        try:
            facts = json.loads(manifest.read_text(encoding="utf-8"))
            folder = cls(path, facts["lender"], facts["dates"], dict(facts["tables"]))
        except (ValueError, KeyError, TypeError) as fault:
            raise SourceError(f"{manifest} cannot be read ({fault}); import the lender's files again.") from fault
        for name, sha256 in folder.hashes.items():
            if file_sha256(folder.file(name)) != sha256:
                raise SourceError(
                    f"{folder.file(name)} is not the file that was written: it was cut short or changed since. "
                    "Import or simulate the tables again."
                )
        return folder

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that are there."""
        return tuple(self.hashes)

    def file(self, name: str) -> Path:
        """Path of a table's Parquet file; `SourceError` where the folder lacks it."""
        path = self.path / f"{name}.parquet"
        if name not in self.hashes:
            raise SourceError(f"{self.path} has no table {name}; it has {', '.join(self.tables) or 'none'}.")
        if not path.is_file():
            raise SourceError(f"{path} is gone, though lender.json lists it. Import or simulate the tables again.")
        return path

    def read(self, name: str, columns: list[str] | None = None) -> pd.DataFrame:
        """Read a table into pandas; integers with missing values become nullable `Int64`."""
        path = self.file(name)
        try:
            table = pq.read_table(path, columns=columns)
        except (pa.ArrowException, OSError) as fault:
            raise SourceError(f"{path} cannot be read as Parquet ({fault}); write the table anew.") from fault
        return arrow_to_pandas(table)

    def rows(self, name: str) -> int:
        """Number of rows of a table, from the file's footer."""
        path = self.file(name)
        try:
            return int(pq.read_metadata(path).num_rows)
        except (pa.ArrowException, OSError) as fault:
            raise SourceError(f"{path} cannot be read as Parquet ({fault}); write the table anew.") from fault

    @property
    def identity(self) -> str:
        """SHA-256 over the hashes of all tables: the same records give the same identity."""
        return hashlib.sha256(json.dumps(dict(sorted(self.hashes.items()))).encode()).hexdigest()


def arrow_to_pandas(table: pa.Table) -> pd.DataFrame:
    """Arrow to pandas, keeping integers and booleans with missing values exact."""
    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    with_nulls = {field.name for field in table.schema if table.column(field.name).null_count}
    types = {
        field.name: nullable[field.type]
        for field in table.schema
        if field.name in with_nulls and field.type in nullable
    }
    plain = table.select([name for name in table.column_names if name not in types])
    frame: pd.DataFrame = plain.to_pandas()
    for name, dtype in types.items():
        frame[name] = table.column(name).to_pandas(types_mapper=lambda _, dtype=dtype: dtype)
    return frame[list(table.column_names)]


def to_arrow(table: Table, frame: pd.DataFrame | pa.Table) -> pa.Table:
    """Cast a frame to the table's schema; columns the lender lacks become null.

    Raises
    ------
    SourceError
        Where a column is unknown to the contract or cannot be cast.
    """
    schema = arrow_schema(table)
    present = list(frame.column_names if isinstance(frame, pa.Table) else frame.columns)
    unknown = [name for name in present if name not in table.names]
    if unknown:
        raise SourceError(f"Table {table.name}: unknown column {', '.join(map(repr, unknown))}.")
    arrays = []
    for field in schema:
        if field.name not in present:
            arrays.append(pa.nulls(len(frame), field.type))
            continue
        try:
            if isinstance(frame, pa.Table):
                arrays.append(frame.column(field.name).cast(field.type))
            else:
                # Inferred first: asked for integers at once, Arrow would cut 1.5 to 1 in a column of objects.
                arrays.append(pa.Array.from_pandas(frame[field.name]).cast(field.type))
        except (pa.ArrowException, TypeError, ValueError) as fault:
            raise SourceError(f"Table {table.name}, column {field.name}: not {field.type} ({fault}).") from fault
    return pa.Table.from_arrays(arrays, schema=schema)


def write_tables(
    path: Path,
    tables: Mapping[str, pd.DataFrame | pa.Table],
    *,
    lender: str,
    dates: Dates,
    beside: Mapping[str, pd.DataFrame] | None = None,
) -> TableFolder:
    """Write canonical tables into a folder, replacing what `write_tables` wrote there before.

    The folder appears under its name only when it is complete, so an interruption leaves the old state. Frames in
    `beside` go to the Parquet files they name, relative to the folder; they are no tables and no feature can read them.

    Raises
    ------
    SourceError
        Where a frame does not fit its table, or `path` exists and is not a folder of canonical tables.
    """
    if path.exists() and not (path / "lender.json").is_file() and (not path.is_dir() or any(path.iterdir())):
        raise SourceError(f"{path} exists and is no folder of canonical tables; name another with --out.")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        hashes = {}
        for name, frame in tables.items():
            file = draft / f"{name}.parquet"
            pq.write_table(to_arrow(TABLES[name], frame), file, compression="zstd", row_group_size=1_000_000)
            hashes[name] = file_sha256(file)
        for relative, frame in (beside or {}).items():
            (draft / relative).parent.mkdir(parents=True, exist_ok=True)
            frame.to_parquet(draft / relative, index=False)
        facts = {"lender": lender, "dates": dates, "tables": hashes}
        (draft / "lender.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        draft.chmod(0o755)
        retired = draft.with_name(draft.name + ".old")
        if path.exists():
            path.replace(retired)
        try:
            draft.replace(path)
        except OSError:
            if retired.exists():
                retired.replace(path)
            raise
        shutil.rmtree(retired, ignore_errors=True)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return TableFolder.open(path)
