"""Home Credit Default Risk (Kaggle): its seven tables, as CSV or Parquet, mapped onto the canonical ones.

Home Credit publishes no dates: every day and month is counted from the application, so `applied_at` is a made-up day
with the true weekday and hour (`dates` is "relative"). Nor does it name its currency: one unit is taken as one yuan.
What becomes what is declared in `home_credit_mapping`.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from data_contracts.errors import SourceError
from data_contracts.folder import Dates
from lenders.catalogue import Progress
from lenders.home_credit_files import APPLICATION_FILES, CHILDREN, application_file
from lenders.home_credit_mapping import HOME_CREDIT_MACROS, MAPPINGS
from lenders.mapping import run, workbench
from lenders.raw_files import contents, find, reading, stage


def import_tables(source: Path, progress: Progress | None = None) -> tuple[dict[str, pa.Table], Dates]:
    """Read the Home Credit files of a folder as canonical tables.

    Parameters
    ----------
    source : Path
        Folder with `application_train` and / or `application_test` and whichever other tables there are, each as
        `.parquet` or `.csv`.
    progress : callable, optional
        Called with the canonical table just begun and the share of the work that is done.

    Returns
    -------
    tables : dict of str to pyarrow.Table
        Canonical tables, ordered by their keys. Without `TARGET` there are no `outcomes`.
    dates : {"relative"}

    Raises
    ------
    SourceError
        Where the folder, a file or a column is missing or cannot be read.

    Notes
    -----
    Records of customers who are in no application file are left out; a warning in the log counts them by file.
    """
    paths = _find_files(source)
    with workbench() as engine:
        engine.execute(HOME_CREDIT_MACROS)
        _stage_applications(engine, {name: path for name, path in paths.items() if name in APPLICATION_FILES})
        for child in CHILDREN:
            if child.name in paths:
                stage(engine, child, paths[child.name])
        return run(engine, MAPPINGS, paths, progress), "relative"


def _find_files(source: Path) -> dict[str, Path]:
    if not source.is_dir():
        raise SourceError(f"There is no folder {source}; name the folder that holds the Home Credit files.")
    names = (*APPLICATION_FILES, *(child.name for child in CHILDREN))
    paths = {name: path for name in names if (path := find(source, name)) is not None}
    if not any(name in paths for name in APPLICATION_FILES):
        raise SourceError(
            f"{source} has no application_train or application_test (.parquet or .csv), which Home Credit needs; "
            f"it holds {contents(source)}. Name the folder with Kaggle's files, under their own names."
        )
    if "bureau_balance" in paths and "bureau" not in paths:
        raise SourceError(
            f"{paths['bureau_balance']} needs bureau beside it, which says whose account a month belongs to; "
            f"add bureau.parquet or bureau.csv, or take bureau_balance away."
        )
    return paths


def _stage_applications(engine: duckdb.DuckDBPyConnection, paths: dict[str, Path]) -> None:
    """One table `raw_applications` of all application files, and `applicants`, from whose day all else is counted."""
    for name, path in paths.items():
        stage(engine, application_file(name), path)
    parts = " UNION ALL BY NAME ".join(f"SELECT * FROM {name}" for name in paths)
    with reading(*paths.values()):
        engine.execute(f"CREATE TEMP TABLE raw_applications AS {parts}")
        engine.execute(
            "CREATE TEMP TABLE applicants AS SELECT DISTINCT SK_ID_CURR, "
            "applied(WEEKDAY_APPR_PROCESS_START, HOUR_APPR_PROCESS_START) AS applied_at FROM raw_applications"
        )
