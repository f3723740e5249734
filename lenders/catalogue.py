"""Which lenders can be read: the name on the command line and the function that does it, imported when used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol

import pandas as pd
import pyarrow as pa

from data_contracts.errors import SourceError
from data_contracts.folder import Dates

Tables = Mapping[str, pd.DataFrame | pa.Table]
Progress = Callable[[str, float], None]
"""Called with the table just begun and the share of the work that is done, 0 to 1."""


class ImportTables(Protocol):
    """What a lender's module offers: its raw files as canonical tables, and whether `applied_at` is a real date."""

    def __call__(self, source: Path, progress: Progress | None = None) -> tuple[Tables, Dates]:
        """Read the raw files in `source`."""


LENDERS: Mapping[str, str] = {"home-credit": "lenders.home_credit"}


def importer(lender: str) -> ImportTables:
    """Return the function that reads a lender's raw files.

    Parameters
    ----------
    lender : str
        Name as on the command line, such as `home-credit`.

    Raises
    ------
    SourceError
        Where no such lender is known; the message names those that are.

    Examples
    --------
    >>> importer("home-credit").__name__
    'import_tables'
    """
    if lender not in LENDERS:
        raise SourceError(f"There is no lender {lender!r}. Choose one of: {', '.join(sorted(LENDERS))}.")
    found: ImportTables = import_module(LENDERS[lender]).import_tables
    return found
