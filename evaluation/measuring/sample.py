"""Which applications and features the figures of a report are of."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from data_contracts.tables import APPLICATIONS
from evaluation.measuring.subject import Subject
from evaluation.report.inputs import FeatureFacts, Month
from features.catalogue import catalogue_rows
from reporting.page import Text, Unknown


def months_of(subject: Subject) -> list[Month] | Unknown:
    """Labelled applications and defaults by month."""
    if subject.folder.dates != "calendar":
        return Unknown(
            Text(
                "机构的日期是虚构的相对日期，按月统计没有意义。",
                "The lender's dates are made up to count from; months mean nothing.",
            )
        )
    rows = subject.rows
    counted = pd.Series(rows.defaulted).groupby(rows.applied_at.dt.strftime("%Y-%m").to_numpy()).agg(["size", "sum"])
    return [Month(str(month), int(size), int(bad)) for month, size, bad in counted.itertuples()]


def products_of(subject: Subject) -> list[str]:
    """Products of the labelled applications."""
    table = subject.folder.read("applications", ["application_id", "product"]).set_index("application_id")
    found: Iterable[str] = table.loc[subject.rows.features.index, "product"].dropna().unique()
    return sorted(map(str, found))


def features_of(subject: Subject) -> FeatureFacts:
    """What the model looks at, and what it leaves aside."""
    declared, rows = subject.bundle.feature_set, subject.rows.features
    read = {column for row in catalogue_rows(declared) for column in row["columns"]}
    keys = {"application_id", "customer_id", "applied_at"}
    return FeatureFacts(
        declared=declared.features,
        missing={str(name): float(rate) for name, rate in rows.isna().mean().items()},
        unread=[
            column.name
            for column in APPLICATIONS.columns
            if f"{APPLICATIONS.name}.{column.name}" not in read and column.name not in keys and not column.protected
        ],
        constant=_constant(rows),
    )


def _constant(rows: pd.DataFrame) -> list[str]:
    values = rows.to_numpy(dtype=np.float64)
    known = ~np.isnan(values)
    low = np.where(known, values, np.inf).min(axis=0, initial=np.inf)
    high = np.where(known, values, -np.inf).max(axis=0, initial=-np.inf)
    never, always = ~known.any(axis=0), known.all(axis=0)
    return [str(name) for name, one in zip(rows.columns, never | (always & (low == high)), strict=True) if one]
