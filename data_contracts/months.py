"""Records by the month in which the lender learned them: how files are partitioned, and how batches come in life."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def learned_column(rows: pa.Table) -> str:
    """Name of the column that says when the lender learned a row: `known_at`, or `applied_at` of applications."""
    return "known_at" if "known_at" in rows.column_names else "applied_at"


def months_learned(rows: pa.Table) -> npt.NDArray[np.datetime64]:
    """Month (UTC) in which each row was learned; each must say when it was."""
    return np.asarray(rows[learned_column(rows)].to_numpy().astype("datetime64[M]"))


def by_month(rows: pa.Table, months: npt.NDArray[np.datetime64]) -> Iterator[tuple[np.datetime64, pa.Table]]:
    """Rows of each month that there is, in order.

    Examples
    --------
    >>> rows = pa.table({"known_at": pa.array([datetime(2024, 3, 1), datetime(2024, 2, 29)], pa.timestamp("us"))})
    >>> [(str(month), part.num_rows) for month, part in by_month(rows, months_learned(rows))]
    [('2024-02', 1), ('2024-03', 1)]
    """
    order = np.argsort(months, kind="stable")
    found, starts = np.unique(months[order], return_index=True)
    for month, start, stop in zip(found, starts, [*starts[1:], len(order)], strict=True):
        yield month, rows.take(pa.array(order[start:stop]))


def utc(moment: datetime) -> datetime:
    """Return a moment in UTC without a zone, as records have it; one without a zone is UTC already."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
