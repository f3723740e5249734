"""Random records that meet the contracts, with all that is awkward: ties, boundaries, late news, corrections, gaps."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from data_contracts.declare import Column, Table
from data_contracts.tables import APPLICATIONS, EVENT_TABLES

AS_OF = datetime(2023, 6, 15, 4, 30)
DAY = timedelta(days=1)
US = timedelta(microseconds=1)
WINDOWS = (7, 30, 90, 95, 180, 190, 365, 370, 730, 1460)


def applicant(
    rng: np.random.Generator, number: int, most: int = 12
) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """One application and its records by table; some are learned only after `as_of`, some are corrected."""
    application = {column.name: _value(rng, column) for column in APPLICATIONS.columns}
    application |= {"application_id": f"a{number:05d}", "customer_id": f"c{number:05d}", "applied_at": AS_OF}
    records = {table.name: _records(rng, table, number, most) for table in EVENT_TABLES}
    for payment in records["payments"]:  # a corrected one may have moved to another instalment
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
        of = at // 3 if "occurred_at" in table.key else at  # an account has several months
        row = _record(rng, table) | {"customer_id": f"c{number:05d}", table.key[0]: f"{table.name}-{number}-{of}"}
        rows += [row, *_corrections(rng, table, row)]
    unique = {tuple(row[name] for name in table.row_key): row for row in rows}
    return list(unique.values())


def _record(rng: np.random.Generator, table: Table) -> dict[str, Any]:
    row = {column.name: _value(rng, column) for column in table.columns}
    row["occurred_at"] = _moment(rng)
    row["known_at"] = row["occurred_at"] + rng.choice([0, 0, 0, 1, 40]) * DAY
    if row.get("closed_at"):
        row["closed_at"] = min(row["closed_at"], row["known_at"])
    if table.name == "instalments":
        row["due_at"] = row["occurred_at"] + int(rng.integers(0, 60)) * DAY
    return row


def _corrections(rng: np.random.Generator, table: Table, row: dict[str, Any]) -> list[dict[str, Any]]:
    """Later versions of a record: the same told again, or otherwise in all but its key."""
    versions = [row]
    while rng.random() < 0.3:
        before = versions[-1]
        other = _record(rng, table) if rng.random() < 0.7 else dict(before)
        other |= {name: before[name] for name in ("customer_id", *table.key)}
        learned = (AS_OF, AS_OF + US, before["known_at"] + DAY, before["known_at"] + 40 * DAY)[rng.integers(0, 4)]
        other["known_at"] = max(learned, before["known_at"] + US, other["occurred_at"])
        versions.append(other)
    return versions[1:]


def _moment(rng: np.random.Generator) -> datetime:
    """A time before `as_of`: often on the edge of a window, at `as_of` itself or equal to another record's."""
    choice = rng.random()
    if choice < 0.25:
        edge = AS_OF - int(rng.choice(WINDOWS)) * DAY
        return edge + int(rng.integers(-1, 2)) * US
    if choice < 0.3:
        return AS_OF
    if choice < 0.35:
        return AS_OF + US
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
