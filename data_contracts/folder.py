"""A lender's canonical tables on disk: batches of Parquet files, partitioned by month, that never change once accepted.

    lender.json                               whose tables, and which batches count, with the SHA-256 of each batch.json
    batches/ID/batch.json                     where the batch came from, its files with their SHA-256, what was checked
    batches/ID/transactions/2024-03.parquet   rows learned in that month (UTC)
    batches/ID/quarantine/transactions.parquet          rows kept out, each with its reasons; nothing reads them
    refused.jsonl                             batches that were refused whole, and why

A batch is written beside its place and becomes visible with `lender.json`, which is replaced in one step: an
interruption at any moment leaves the old state.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.declare import Table
from data_contracts.engine import connect
from data_contracts.errors import SourceError
from data_contracts.locking import BATCHES, MANIFEST, alone_in, is_unfinished
from data_contracts.months import by_month, learned_column, months_learned
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
class Batch:
    """One accepted delivery of records.

    Parameters
    ----------
    path : Path
        Its folder.
    facts : mapping
        What `batch.json` holds: at least `batch` (its identity), `files` (SHA-256 by path relative to the folder, by
        table) and `rows` by table; an intake adds lineage and what was checked.
    """

    path: Path
    facts: Mapping[str, Any]

    @property
    def identity(self) -> str:
        """Hash of what the batch holds."""
        return str(self.facts["batch"])

    def files(self, table: str) -> list[Path]:
        """Parquet files of a table, in order; empty where the batch lacks it."""
        return [self.path / name for name in self.facts["files"].get(table, ())]


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
    batches : tuple of Batch
        Accepted batches, in the order of their acceptance.
    corrected : tuple of str
        Tables in which some record comes more than once under its key, with another `known_at`.
    """

    path: Path
    lender: str
    dates: Dates
    batches: tuple[Batch, ...]
    corrected: tuple[str, ...] = ()
    hashes: Mapping[str, str] = field(init=False)
    """SHA-256 of each table over those of its files; its keys are the tables the folder has."""

    def __post_init__(self) -> None:
        """Hash each table's files together."""
        found = {name: self._hash(name) for name in TABLES if any(name in b.facts["files"] for b in self.batches)}
        object.__setattr__(self, "hashes", found)

    @classmethod
    def open(cls, path: Path) -> TableFolder:
        """Open a folder that `write_tables` or an intake has written; `SourceError` where it is none."""
        manifest = path / MANIFEST
        if not path.is_dir():
            raise SourceError(f"There is no folder {path}. Make one with `lendwell simulate` or `lendwell import`.")
        if not manifest.is_file():
            raise SourceError(
                f"{path} holds no canonical tables (no {MANIFEST}). Write them with `lendwell simulate --out {path}` "
                f"or `lendwell import LENDER SOURCE --out {path}`."
            )
        try:
            facts = json.loads(manifest.read_text(encoding="utf-8"))
            listed = [(str(batch["id"]), str(batch["sha256"])) for batch in facts["batches"]]
            batches = tuple(_open_batch(path / BATCHES / identity, sha256) for identity, sha256 in listed)
            folder = cls(path, facts["lender"], facts["dates"], batches, tuple(facts["corrected"]))
        except (ValueError, KeyError, TypeError) as fault:
            raise SourceError(f"{manifest} cannot be read ({fault}); import the lender's files again.") from fault
        for batch in batches:
            for names in batch.facts["files"].values():
                for name, sha256 in names.items():
                    _require_unchanged(batch.path / name, sha256)
        return folder

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that are there."""
        return tuple(self.hashes)

    def files(self, name: str) -> list[str]:
        """Paths of a table's Parquet files in order, as engines take them; `SourceError` where the folder lacks it."""
        if name not in self.hashes:
            raise SourceError(f"{self.path} has no table {name}; it has {', '.join(self.tables) or 'none'}.")
        found = [file for batch in self.batches for file in batch.files(name)]
        for file in found:
            if not file.is_file():
                raise SourceError(f"{file} is gone, though its batch lists it. Import or simulate the tables again.")
        return [str(file) for file in found]

    def scan(self, name: str) -> str:
        """SQL by which DuckDB reads a table."""
        quoted = ", ".join("'" + file.replace("'", "''") + "'" for file in self.files(name))
        return f"read_parquet([{quoted}], hive_partitioning = false)"

    def read_arrow(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """Read a table into Arrow."""
        files = self.files(name)
        try:
            return pa.concat_tables([pq.ParquetFile(file).read(columns=columns) for file in files])
        except (pa.ArrowException, OSError) as fault:
            raise SourceError(f"Table {name} in {self.path} cannot be read ({fault}); write it anew.") from fault

    def read(self, name: str, columns: list[str] | None = None) -> pd.DataFrame:
        """Read a table into pandas; integers with missing values become nullable `Int64`."""
        return arrow_to_pandas(self.read_arrow(name, columns))

    def rows(self, name: str) -> int:
        """Number of rows of a table, from the files' footers."""
        files = self.files(name)
        try:
            return sum(int(pq.read_metadata(file).num_rows) for file in files)
        except (pa.ArrowException, OSError) as fault:
            raise SourceError(f"Table {name} in {self.path} cannot be read ({fault}); write it anew.") from fault

    @property
    def identity(self) -> str:
        """SHA-256 over the hashes of all tables: the same records give the same identity."""
        return hashlib.sha256(json.dumps(dict(sorted(self.hashes.items()))).encode()).hexdigest()

    def _hash(self, name: str) -> str:
        files = [list(batch.facts["files"].get(name, {}).items()) for batch in self.batches]
        return hashlib.sha256(json.dumps(files).encode()).hexdigest()


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
    for column in schema:
        if column.name not in present:
            arrays.append(pa.nulls(len(frame), column.type))
            continue
        try:
            if isinstance(frame, pa.Table):
                arrays.append(frame.column(column.name).cast(column.type))
            else:
                # Inferred first: asked for integers at once, Arrow would cut 1.5 to 1 in a column of objects.
                arrays.append(pa.Array.from_pandas(frame[column.name]).cast(column.type))
        except (pa.ArrowException, TypeError, ValueError) as fault:
            raise SourceError(f"Table {table.name}, column {column.name}: not {column.type} ({fault}).") from fault
    return pa.Table.from_arrays(arrays, schema=schema)


def write_tables(
    path: Path,
    tables: Mapping[str, pd.DataFrame | pa.Table],
    *,
    lender: str,
    dates: Dates,
    beside: Mapping[str, pd.DataFrame] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> TableFolder:
    """Write canonical tables into a folder as its only batch, replacing the tables that lie there.

    The folder appears under its name only when it is complete, so an interruption leaves the old state. Frames in
    `beside` go to the Parquet files they name, relative to the folder; they are no tables and no feature can read them.
    `facts` are kept in `batch.json`.

    Raises
    ------
    SourceError
        Where a frame does not fit its table, or `path` exists and is not a folder of canonical tables.
    """
    require_own(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        arrow = {name: to_arrow(TABLES[name], frame) for name, frame in tables.items()}
        batch = write_batch(draft, arrow, dates, facts or {})
        for relative, frame in (beside or {}).items():
            (draft / relative).parent.mkdir(parents=True, exist_ok=True)
            frame.to_parquet(draft / relative, index=False)
        corrected = [name for name, table in arrow.items() if _comes_again(TABLES[name], table)]
        write_manifest(draft, lender, dates, [batch], corrected)
        draft.chmod(0o755)
        if path.exists():
            with alone_in(path):
                _replace_folder(path, draft)
        else:
            draft.replace(path)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return TableFolder.open(path)


def _replace_folder(path: Path, draft: Path) -> None:
    retired = draft.with_name(draft.name + ".old")
    path.replace(retired)
    try:
        draft.replace(path)
    except OSError:
        retired.replace(path)
        raise
    shutil.rmtree(retired, ignore_errors=True)


def require_own(path: Path) -> None:
    """Stop where `path` exists and holds something else than canonical tables."""
    if path.exists() and not (path / MANIFEST).is_file() and not (path.is_dir() and is_unfinished(path)):
        raise SourceError(f"{path} exists and is no folder of canonical tables; name another with --out.")


def write_batch(
    folder: Path,
    tables: Mapping[str, pa.Table],
    dates: Dates,
    facts: Mapping[str, Any],
    quarantine: Mapping[str, pa.Table] | None = None,
) -> Batch:
    """Write tables as a new batch into a folder, which does not list it yet.

    Parameters
    ----------
    folder : Path
        The folder of canonical tables.
    tables : mapping of str to pyarrow.Table
        In their own schema, see `to_arrow`; one of no rows is there, too.
    dates : {"calendar", "relative"}
        Real dates are partitioned by month; made-up ones have no months that mean anything.
    facts : mapping
        What `batch.json` holds besides `batch`, `files` and `rows`; it must be JSON.
    quarantine : mapping of str to pyarrow.Table, optional
        By table, rows that are kept beside the batch and not read.

    Notes
    -----
    The identity is a hash of the files and of `facts["source"]`: the same records of the same source make the same
    batch, and a second source that brings nothing new is told apart from a third.
    """
    (folder / BATCHES).mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".", dir=folder / BATCHES))
    try:
        files = {name: _write_months(draft, name, table, dates) for name, table in tables.items()}
        named = json.dumps([files, facts.get("source")], sort_keys=True)
        identity = hashlib.sha256(named.encode()).hexdigest()[:16]
        rows = {name: table.num_rows for name, table in tables.items()}
        known = {"batch": identity, "files": files, "rows": rows, **facts}
        for name, held in (quarantine or {}).items():
            (draft / "quarantine").mkdir(exist_ok=True)
            pq.write_table(held, draft / "quarantine" / f"{name}.parquet", compression="zstd")
        write_json(draft / "batch.json", known)
        draft.chmod(0o755)
        place = folder / BATCHES / identity
        if place.exists():  # left by an interruption before it was listed
            shutil.rmtree(place)
        draft.replace(place)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return Batch(place, known)


def write_manifest(folder: Path, lender: str, dates: Dates, batches: list[Batch], corrected: list[str]) -> None:
    """List the batches that count: the one step that makes a new one visible."""
    listed = [{"id": batch.identity, "sha256": file_sha256(batch.path / "batch.json")} for batch in batches]
    facts = {"lender": lender, "dates": dates, "batches": listed, "corrected": sorted(corrected)}
    draft = folder / f".{MANIFEST}.{os.getpid()}.draft"
    write_json(draft, facts)
    draft.replace(folder / MANIFEST)


def write_json(path: Path, facts: Mapping[str, Any]) -> None:
    """Write facts as JSON, and see to it that they are on the disk."""
    with path.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def _open_batch(path: Path, sha256: str) -> Batch:
    _require_unchanged(path / "batch.json", sha256)
    return Batch(path, json.loads((path / "batch.json").read_text(encoding="utf-8")))


def _require_unchanged(path: Path, sha256: str) -> None:
    if not path.is_file():
        raise SourceError(f"{path} is gone, though its folder lists it. Import or simulate the tables again.")
    if file_sha256(path) != sha256:
        raise SourceError(
            f"{path} is not the file that was written: it was cut short or changed since. "
            "Import or simulate the tables again."
        )


def _write_months(folder: Path, name: str, table: pa.Table, dates: Dates) -> dict[str, str]:
    """Write a table's rows, a file a month; relative path to SHA-256."""
    (folder / name).mkdir()
    with ThreadPoolExecutor(max_workers=2) as workers:
        parts = _months(table, dates)
        return dict(workers.map(lambda part: _write_part(folder, f"{name}/{part[0]}.parquet", part[1]), parts))


def _write_part(folder: Path, relative: str, rows: pa.Table) -> tuple[str, str]:
    pq.write_table(rows, folder / relative, compression="zstd", row_group_size=1_000_000)
    return relative, file_sha256(folder / relative)


def _months(table: pa.Table, dates: Dates) -> Iterator[tuple[str, pa.Table]]:
    if dates == "relative" or not table.num_rows or table[learned_column(table)].null_count:
        yield "all", table
    else:
        yield from ((str(month), rows) for month, rows in by_month(table, months_learned(table)))


def _comes_again(table: Table, rows: pa.Table) -> bool:
    """Whether some record comes more than once under its key."""
    if table.row_key == table.key:
        return False
    with connect() as engine:
        engine.register("rows", rows.select(list(table.key)))
        keys = ", ".join(f'"{name}"' for name in table.key)
        ((rows_found, keys_found),) = engine.sql(f"SELECT count(*), count(DISTINCT hash({keys})) FROM rows").fetchall()
    return bool(rows_found > keys_found)
