"""Which lenders can be read: the name on the command line and the function that does it, imported when used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
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


LENDERS: Mapping[str, str] = {
    "home-credit": "lenders.home_credit",
    "taiwan": "lenders.taiwan",
    "give-me-some-credit": "lenders.give_me_some_credit",
    "superlender": "lenders.superlender",
    "card-monthly-status": "lenders.card_monthly_status",
    "sme-invoices": "lenders.sme_invoices",
    "tables": "lenders.tables",
}


def importer(lender: str) -> ImportTables:
    """Return the function that reads a lender's raw files.

    Parameters
    ----------
    lender : str
        Name as on the command line, such as `home-credit`; or a module of one's own, by its file (`my_lender.py`) or
        by its dotted name (`company.my_lender`).

    Raises
    ------
    SourceError
        Where no such lender is known, naming those that are, or a module of one's own cannot be loaded.

    Examples
    --------
    >>> importer("home-credit").__name__
    'import_tables'
    """
    name = lender.replace("_", "-")
    if name in LENDERS:
        module = import_module(LENDERS[name])
    elif lender.endswith(".py"):
        module = _load_file(Path(lender))
    elif "." in lender:
        module = _load_module(lender)
    else:
        raise SourceError(
            f"There is no lender {lender!r}. Choose one of: {', '.join(LENDERS)}; or name a module of "
            "your own, such as ./my_lender.py."
        )
    found: ImportTables | None = getattr(module, "import_tables", None)
    if not callable(found):
        raise SourceError(
            f"{lender} has no function import_tables(source, progress), which a lender's module must offer; "
            "docs/adding_a_lender.md shows one."
        )
    return found


def lender_name(lender: str) -> str:
    """Name by which a lender's tables are kept: `my_lender` for `path/to/my_lender.py`.

    Examples
    --------
    >>> lender_name("home-credit"), lender_name("./my_lender.py"), lender_name("company.my_lender")
    ('home_credit', 'my_lender', 'my_lender')
    """
    return Path(lender).name.removesuffix(".py").rpartition(".")[2].replace("-", "_")


def _load_file(path: Path) -> ModuleType:
    spec = spec_from_file_location(path.stem, path) if path.is_file() else None
    if spec is None or spec.loader is None:
        raise SourceError(f"There is no file {path}; name the Python file of your lender's module.")
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as fault:
        raise _unloadable(str(path), fault) from fault
    return module


def _load_module(name: str) -> ModuleType:
    try:
        return import_module(name)
    except Exception as fault:
        raise _unloadable(name, fault) from fault


def _unloadable(lender: str, fault: Exception) -> SourceError:
    return SourceError(
        f"{lender} cannot be loaded ({type(fault).__name__}: {fault}). Mend the module, or install what it imports."
    )
