"""A delivery as it lies in a folder: whose it is, what its files hash to, and its records as canonical tables."""

from __future__ import annotations

from pathlib import Path

from data_contracts.folder import Dates, TableFolder, file_sha256
from data_contracts.intake import Lineage
from data_contracts.locking import MANIFEST
from data_contracts.tables import TABLES
from lenders.catalogue import Progress, Tables, importer, lender_name

CANONICAL = "tables"
"""The lender whose files are canonical tables already."""
_RAW = (".csv", ".parquet")


def lineage(source: Path, part: str = "") -> Lineage:
    r"""Hash the raw files of a delivery: every CSV and Parquet file of a folder, or the one file that is named.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "applications.csv").write_text("application_id\n1\n")
    ...     list(lineage(Path(folder)).files)
    ['applications.csv']
    """
    name = source.resolve().name
    if source.is_file():
        return Lineage(name, {source.name: file_sha256(source)}, part)
    found = {path.relative_to(source): path for path in sorted(source.rglob("*")) if path.suffix in _RAW}
    return Lineage(
        name,
        {
            place.as_posix(): file_sha256(path)
            for place, path in found.items()
            if path.is_file() and not any(step.startswith(".") for step in place.parts)
        },
        part,
    )


def whose(lender: str, source: Path) -> str:
    """Name by which the tables are kept: the lender's, or that of the folder of tables that is read."""
    return TableFolder.open(source).lender if _is_folder_of_tables(lender, source) else lender_name(lender)


def read(lender: str, source: Path, progress: Progress | None = None) -> tuple[Tables, Dates]:
    """Read a delivery as canonical tables, and whether its dates are real.

    Parameters
    ----------
    lender : str
        Name as on the command line, or a module of one's own; `tables` also reads what `lendwell simulate` wrote.
    source : Path
        Where the raw files lie.

    Raises
    ------
    SourceError
        Where there is no such lender, or its files cannot be read.
    """
    read_files = importer(lender)
    if _is_folder_of_tables(lender, source):
        folder = TableFolder.open(source)
        return {name: folder.read_arrow(name) for name in folder.tables}, folder.dates
    return read_files(source, progress=progress)


def holds_canonical_files(folder: Path) -> bool:
    """Whether a folder has files named after canonical tables, not taken in yet."""
    named = (folder / f"{name}{ending}" for name in TABLES for ending in _RAW)
    return not (folder / MANIFEST).is_file() and any(path.is_file() for path in named)


def _is_folder_of_tables(lender: str, source: Path) -> bool:
    return lender == CANONICAL and (source / MANIFEST).is_file()
