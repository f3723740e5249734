"""Raw files onto canonical tables: what becomes which column is declared in SQL, and run here.

A lender's module declares its `RawFile`s and, for each canonical table, a `Mapped`; `import_files` does the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa

from data_contracts.engine import connect
from lenders.catalogue import Progress
from lenders.raw_files import RawFile, find_files, reading, stage, stage_absent

log = logging.getLogger(__name__)

MACROS = """
CREATE MACRO fen(units) AS CAST(round(units * 100) AS BIGINT);
CREATE MACRO whole(x) AS CAST(round(x) AS BIGINT);
CREATE MACRO flag(x) AS x = 1;
CREATE MACRO beijing(t) AS CAST(t AS TIMESTAMP) - INTERVAL 8 HOUR;
"""
"""Words for mappings: money, counts, yes and no, and a moment of China Standard Time in UTC."""

# what a sort of many rows needs beyond this goes to disk; the tables themselves come on top
_MEMORY = "2GB"


@dataclass(frozen=True)
class Mapped:
    """How one canonical table is computed.

    Parameters
    ----------
    table : str
        Canonical table.
    columns : mapping of str to str
        Canonical column to SQL expression.
    rows : str
        Where its rows come from.
    order : str
        What its rows are ordered by, so that one source always gives the same bytes.
    files : tuple of str
        Raw files that must be there, by name.
    given : str, optional
        SQL that finds a row where there is anything for the table; without one the table is left out.
    kept : mapping of str to str
        Files and the SQL of those of their rows that are used: how many are not is told in the log.
    left_out : str
        Why the others are not, for the log.
    extension : (str, str), optional
        A file and the SQL of further rows, which are there where the file is.

    Examples
    --------
    >>> Mapped("loans", {"loan_id": "nr"}, "contracts", "loan_id").sql(frozenset({"contracts"}))
    'SELECT * FROM (SELECT nr AS "loan_id" FROM contracts ) ORDER BY loan_id'
    """

    table: str
    columns: Mapping[str, str]
    rows: str
    order: str
    files: tuple[str, ...] = ()
    given: str | None = None
    kept: Mapping[str, str] = field(default_factory=dict)
    left_out: str = "their customer is in no application file"
    extension: tuple[str, str] | None = None

    def sql(self, files: frozenset[str]) -> str:
        """SQL of the table, given which files are there."""
        chosen = ", ".join(f'{expression} AS "{name}"' for name, expression in self.columns.items())
        more = self.extension[1] if self.extension is not None and self.extension[0] in files else ""
        return f"SELECT * FROM (SELECT {chosen} FROM {self.rows} {more}) ORDER BY {self.order}"


def choice(column: str, meaning: Mapping[str, str], otherwise: str | None = None) -> str:
    """CASE expression: each raw code and the category it becomes, `otherwise` for codes that are not listed.

    Examples
    --------
    >>> choice("SEX", {"1": "male", "2": "female"})
    "CASE SEX WHEN '1' THEN 'male' WHEN '2' THEN 'female' END"
    """
    cases = " ".join(f"WHEN '{code}' THEN '{category}'" for code, category in meaning.items())
    last = f" ELSE '{otherwise}'" if otherwise else ""
    return f"CASE {column} {cases}{last} END"


def at(when: str) -> dict[str, str]:
    """Happened and became known at the same moment."""
    return {"occurred_at": when, "known_at": when}


def import_files(
    source: Path, files: Sequence[RawFile], mappings: Sequence[Mapped], whose: str, progress: Progress | None = None
) -> dict[str, pa.Table]:
    """Read a lender's raw files, CSV or Parquet, as canonical tables.

    Parameters
    ----------
    source : Path
        Folder of the files.
    files, mappings : sequence of RawFile, Mapped
        What is read, and what becomes of it.
    whose : str
        Name of the lender, for messages.
    progress : callable, optional
        Called with the canonical table just begun and the share of the work that is done.

    Raises
    ------
    SourceError
        Where the folder, a file or a column is missing or cannot be read.
    """
    paths = find_files(source, files, whose)
    with workbench() as engine:
        for raw in files:
            if raw.name in paths:
                stage(engine, raw, paths[raw.name])
            else:
                stage_absent(engine, raw)
        return run(engine, mappings, paths, progress)


@contextmanager
def workbench() -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with the words for mappings; what does not fit in its memory goes to disk."""
    with TemporaryDirectory(prefix="lendwell-") as spill, connect(memory_limit=_MEMORY, temp_directory=spill) as engine:
        engine.execute(MACROS)
        yield engine


def run(
    engine: duckdb.DuckDBPyConnection,
    mappings: Sequence[Mapped],
    paths: Mapping[str, Path],
    progress: Progress | None = None,
) -> dict[str, pa.Table]:
    """Compute the canonical tables for which the staged files have anything."""
    wanted = [mapped for mapped in mappings if _available(engine, mapped, paths)]
    tables = {}
    for done, mapped in enumerate(wanted):
        if progress is not None:
            progress(mapped.table, done / len(wanted))
        with reading(*(paths[name] for name in mapped.files)):
            tables[mapped.table] = engine.sql(mapped.sql(frozenset(paths))).to_arrow_table()
            for name, kept in mapped.kept.items():
                sql = f'SELECT (SELECT count(*) FROM "{name}"), (SELECT count(*) FROM {kept})'
                ((rows, used),) = engine.sql(sql).fetchall()
                if rows > used:
                    file = paths[name].name
                    log.warning("%s: %s of %s rows left out, %s", file, rows - used, rows, mapped.left_out)
    return tables


def _available(engine: duckdb.DuckDBPyConnection, mapped: Mapped, paths: Mapping[str, Path]) -> bool:
    if not all(name in paths for name in mapped.files):
        return False
    if mapped.given is None:
        return True
    with reading(*(paths[name] for name in mapped.files)):
        return engine.sql(f"SELECT EXISTS ({mapped.given})").fetchall() == [(True,)]
