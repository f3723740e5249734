"""A lender's whole history split into the monthly deliveries in which it would have come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.errors import SourceError
from data_contracts.findings import Tables, conform
from data_contracts.months import by_month, learned_column, months_learned, utc
from data_contracts.tables import TABLES

Months = npt.NDArray[np.datetime64]
OPENING = 3
"""Months with applications that the first delivery holds; a batch is compared by its last 92 days."""
_LONG_AGO = np.datetime64("1900-01", "M")
_FIRST = 1000  # one application in so many may lie before the first month: its date is wrong


def monthly_deliveries(tables: Tables, received_at: datetime) -> Iterator[tuple[str, datetime, dict[str, pa.Table]]]:
    """Split records into deliveries as they would have come: (part, when it came, its tables).

    The first holds all that was learned until the end of the third month with applications, then comes a month each: a
    lender that has just opened grows too fast for its batches to be held against each other. Records that need a
    consent come with the customer's first consent at the earliest: only then may the lender ask for them.

    Parameters
    ----------
    tables : mapping of str to DataFrame or pyarrow.Table
        Canonical tables; `applications` among them.
    received_at : datetime
        When they were received in truth, UTC unless it has a zone: no part came later.

    Raises
    ------
    SourceError
        Where no application says when it was made.

    Notes
    -----
    Rows that do not say when they were learned are in the first part, those that say a time after `received_at` in the
    last: to be held there.
    """
    arrow: dict[str, Any] = {
        name: conform(TABLES[name], frame) if name in TABLES else frame for name, frame in tables.items()
    }
    opened, last = _first_month(arrow.get("applications")) + OPENING - 1, np.datetime64(utc(received_at), "M")
    consents = _first_consents(arrow.get("consents"))
    parts: dict[np.datetime64, dict[str, list[pa.Table]]] = {}
    for name, rows in arrow.items():
        for month, part in _timed(rows, consents.get(TABLES[name].use.provider) if name in TABLES else None):
            at = min(opened if month is None else max(month, opened), last)
            parts.setdefault(at, {}).setdefault(name, []).append(part)
    empty = {name: rows.slice(0, 0) for name, rows in arrow.items()}
    for number, at in enumerate(sorted(parts)):
        came = min(datetime.fromisoformat(str((at + 1).astype("datetime64[s]"))), utc(received_at))
        whole = {name: pa.concat_tables(found) for name, found in parts[at].items()}
        # what is empty is known to be so
        yield f"until {at}" if at == opened else str(at), came, whole if number else {**empty, **whole}


def _first_month(applications: Any) -> np.datetime64:
    timed = list(_timed(applications)) if applications is not None else []
    rows = [(month, part.num_rows) for month, part in timed if month is not None]
    if not rows:
        raise SourceError("No application says when it was made; records cannot be taken in month by month.")
    passed = np.cumsum([count for _, count in rows])
    return rows[int(np.argmax(passed > passed[-1] / _FIRST))][0]


def _first_consents(consents: Any) -> Mapping[str, tuple[pa.Array, Months]]:
    """Customers with the month of their first consent, by provider."""
    if consents is None or not {"customer_id", "provider", "known_at"} <= set(consents.column_names):
        return {}
    if not _says_when(consents):
        return {}
    first = consents.group_by(["provider", "customer_id"]).aggregate([("known_at", "min")])
    found: dict[str, tuple[pa.Array, Months]] = {}
    for provider in {table.use.provider for table in TABLES.values() if table.use.consent}:
        of = first.filter(pc.and_(pc.equal(first["provider"], provider), pc.is_valid(first["known_at_min"])))
        months = of["known_at_min"].to_numpy().astype("datetime64[M]")
        found[provider] = of["customer_id"].combine_chunks(), np.asarray(months)
    return found


def _timed(
    rows: Any, consents: tuple[pa.Array, Months] | None = None
) -> Iterator[tuple[np.datetime64 | None, pa.Table]]:
    """Rows by the month in which they come; None for rows that do not say when they were learned."""
    if not len(rows):
        return
    if not isinstance(rows, pa.Table) or not _says_when(rows):
        yield None, rows
        return
    learned = rows[learned_column(rows)]
    if learned.null_count:
        yield None, rows.filter(pc.is_null(learned))
        rows = rows.filter(pc.is_valid(learned))
    if not rows.num_rows:
        return
    months = months_learned(rows)
    if consents is not None and "customer_id" in rows.column_names and pa.types.is_string(rows["customer_id"].type):
        customers, first = consents
        at = pc.fill_null(pc.index_in(rows["customer_id"], value_set=customers), len(first)).to_numpy()
        months = np.maximum(months, np.append(first, _LONG_AGO)[at])
    yield from by_month(rows, months)


def _says_when(rows: pa.Table) -> bool:
    column = learned_column(rows)
    return column in rows.column_names and pa.types.is_timestamp(rows.schema.field(column).type)
