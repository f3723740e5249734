"""By what applications are told apart in figures: when, what for, through which channel; and for fairness, who."""

from __future__ import annotations

import pandas as pd

from data_contracts.folder import TableFolder
from data_contracts.tables import APPLICATIONS
from evaluation.protected import protected_columns
from evaluation.segments import months

SEGMENTS = ("product", "channel", "city_tier", "employment", "education", "housing")


def dimensions(folder: TableFolder, applications: pd.Index) -> pd.DataFrame:
    """Month, product, channel and segments of applications, as levels of `evaluation.segments`.

    Parameters
    ----------
    folder : TableFolder
        Whose table `applications` tells them.
    applications : Index
        Of `application_id`.

    Returns
    -------
    DataFrame
        In the order of `applications`; `month` where the lender's dates are real. A column that the lender never
        fills, or fills with one value, is left out: it tells nobody apart.
    """
    present = [name for name in SEGMENTS if name in APPLICATIONS.names]
    rows = _rows(folder, applications, ["applied_at", *present])
    found = rows[present].dropna(axis="columns", how="all")
    found = found.loc[:, found.nunique(dropna=False) > 1]
    if folder.dates == "calendar":
        found.insert(0, "month", months(rows["applied_at"]))
    return found


def persons(folder: TableFolder, applications: pd.Index) -> pd.DataFrame:
    """Protected attributes of applicants, for the analysis of fairness alone; one that is never filled is left out.

    Returns
    -------
    DataFrame
        `gender`, `age_years`, `marital_status`, in the order of `applications`.
    """
    names = [column.name for table, column in protected_columns() if table == APPLICATIONS.name]
    return _rows(folder, applications, names).dropna(axis="columns", how="all")


def _rows(folder: TableFolder, applications: pd.Index, columns: list[str]) -> pd.DataFrame:
    table = folder.read("applications", ["application_id", *columns])
    return table.set_index("application_id").loc[applications]
