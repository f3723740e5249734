"""Random records that meet the contracts, with everything that is awkward: ties, boundaries, late news, gaps."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from data_contracts.declare import Column, Table
from data_contracts.tables import APPLICATIONS, EVENT_TABLES

AS_OF = datetime(2023, 6, 15, 4, 30)
DAY = timedelta(days=1)
WINDOWS = (7, 30, 90, 95, 180, 190, 365, 370, 730, 1460)


def applicant(
    rng: np.random.Generator, number: int, most: int = 12
) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """One application and its records by table; some of them are learned only after `as_of`."""
    application = {column.name: _value(rng, column) for column in APPLICATIONS.columns}
    application |= {"application_id": f"a{number:05d}", "customer_id": f"c{number:05d}", "applied_at": AS_OF}
    records = {table.name: _records(rng, table, number, most) for table in EVENT_TABLES}
    for payment in records["payments"]:
        if records["instalments"] and rng.random() < 0.8:
            payment["instalment_id"] = rng.choice([row["instalment_id"] for row in records["instalments"]])
    return application, records


def frames(
    applicants: list[tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]],
) -> dict[str, pd.DataFrame]:
    """Canonical tables of many applicants, in shuffled row order."""
    tables = {"applications": pd.DataFrame([application for application, _ in applicants])}
    for table in EVENT_TABLES:
        rows = [row for _, records in applicants for row in records[table.name]]
        frame = pd.DataFrame(rows, columns=list(table.names))
        tables[table.name] = frame.sample(frac=1.0, random_state=1)
    return {name: frame.convert_dtypes(dtype_backend="numpy_nullable") for name, frame in tables.items()}


def _records(rng: np.random.Generator, table: Table, number: int, most: int) -> list[dict[str, Any]]:
    rows = []
    for at in range(int(rng.integers(0, most + 1))):
        row = {column.name: _value(rng, column) for column in table.columns}
        row["customer_id"] = f"c{number:05d}"
        row["occurred_at"] = _moment(rng)
        row["known_at"] = row["occurred_at"] + rng.choice([0, 0, 0, 1, 40]) * DAY
        row[table.key[0]] = f"{table.name}-{number}-{at if rng.random() < 0.8 else at // 2}"
        if table.name == "instalments":
            row["due_at"] = row["occurred_at"] + int(rng.integers(0, 60)) * DAY
        rows.append(row)
    unique = {tuple(row[name] for name in table.row_key): row for row in rows}
    return list(unique.values())


def _moment(rng: np.random.Generator) -> datetime:
    """A time before `as_of`: often on the edge of a window, at `as_of` itself or equal to another record's."""
    choice = rng.random()
    if choice < 0.25:
        edge = AS_OF - int(rng.choice(WINDOWS)) * DAY
        return edge + timedelta(microseconds=int(rng.integers(-1, 2)))
    if choice < 0.3:
        return AS_OF
    if choice < 0.35:
        return AS_OF + timedelta(microseconds=1)
    return AS_OF - timedelta(seconds=int(rng.integers(0, 1500 * 86400) // 43200 * 43200))


def _value(rng: np.random.Generator, column: Column) -> Any:
    if column.nullable and rng.random() < 0.25:
        return None
    if column.dtype == "string":
        categories = column.categories or ("s0", "s1", "s2", "s3")
        # The first is drawn more often, so that some filters let several records of a table through.
        return categories[0] if rng.random() < 0.2 else str(rng.choice(categories))
    if column.dtype == "bool":
        return bool(rng.integers(0, 2))
    if column.dtype == "timestamp":
        return _moment(rng)
    low, high = column.low or 0, min(column.high or 1e7, 1e7)
    if column.dtype == "int64":
        if rng.random() < 0.3:  # conditions turn at small numbers
            return int(min(max(low, 0) + rng.integers(0, 3), high))
        return int(rng.integers(max(-1e7, low), high + 1))
    return float(rng.uniform(low, high))
