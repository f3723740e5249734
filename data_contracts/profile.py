"""What a batch looks like, so that the next can be held against it: rows a day, and distributions of chosen columns.

A profile looks at what was learned since the batch before, and in 92 days at most: a first batch brings years of
history, a later one a month, and only their recent parts are alike. All tables of a batch are looked at over the same
days, so that one that ends early or begins late is seen to be short of rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from data_contracts.declare import Column, Table

RECENT_DAYS = 92
BINS = 10
LARGEST_PSI = 0.2
"""PSI beyond chance that a batch may differ by; 0.1 is usually called a shift worth a look, 0.25 a break."""
VOLUME = 0.6
"""A day's rows may fall to this share of what they were, or rise to its inverse."""
FEWEST = 100
FEWEST_DAYS = 7
CHANGES = ("volume", "distribution")
"""Rules that hold a batch against the last accepted one: they may be broken by a real change."""
_CERTAIN = 1e-6

Profile = dict[str, Any]


@dataclass(frozen=True)
class Days:
    """What is recent in a batch: learned after `since`, up to `until`; where both are None, all of it.

    Parameters
    ----------
    since, until : datetime or None
        UTC.
    """

    since: datetime | None = None
    until: datetime | None = None

    @property
    def number(self) -> float:
        """How many days; 0 where rows a day mean nothing."""
        return (self.until - self.since) / timedelta(days=1) if self.since and self.until else 0.0

    @classmethod
    def between(cls, starts: Sequence[datetime], ends: Sequence[datetime], before: datetime | None) -> Days:
        """Days of a batch whose tables begin and end so, after one that ended at `before`.

        Examples
        --------
        >>> march, april = datetime(2024, 3, 1), datetime(2024, 4, 1)
        >>> Days.between([march, march], [april, datetime(2024, 3, 15)], None).number
        31.0
        >>> Days.between([march], [march], april)  # the same days again: nothing is new in them
        Days(since=None, until=None)
        """
        if not ends:
            return cls()
        until = sorted(ends)[len(ends) // 2]  # one that ends early, or in a future, is not what the others do
        earliest = until - timedelta(days=RECENT_DAYS)
        since = max(earliest, min(starts) if before is None else before)
        return cls(since, until) if until - since >= timedelta(days=FEWEST_DAYS) else cls()


def profile(
    engine: duckdb.DuckDBPyConnection, view: str, table: Table, days: Days, *, like: Profile | None = None
) -> Profile:
    """Describe the recent rows of a view that holds rows of a table.

    Parameters
    ----------
    days : Days
        What is recent.
    like : dict, optional
        An earlier profile: numbers are counted in its bins, so that the two compare.

    Returns
    -------
    dict
        `rows`, `days` and `customers` of the recent part, `until` when it reaches, and for each profiled column
        `counts` by bin, with `edges` of numbers.
    """
    learned = "known_at" if "known_at" in table.names else "applied_at"
    within = f"{learned} > TIMESTAMP '{days.since}' AND {learned} <= TIMESTAMP '{days.until}'" if days.since else "true"
    recent = f'(SELECT * FROM "{view}" WHERE {within})'
    have = {name for name, *_ in engine.sql(f'DESCRIBE "{view}"').fetchall()}
    customers = "count(DISTINCT customer_id)" if "customer_id" in have else "count(*)"
    ((rows, of),) = engine.sql(f"SELECT count(*), {customers} FROM {recent}").fetchall()
    columns = {}
    for name in table.profiled:
        if name in have:
            before = (like or {}).get("columns", {}).get(name, {})
            columns[name] = _column(engine, recent, table.column(name), before.get("edges"))
    until = days.until.isoformat() if days.until else None
    return {"rows": rows, "days": round(days.number, 3), "until": until, "customers": of, "columns": columns}


def changes(before: Profile, now: Profile, table: Table) -> Iterator[tuple[str, str, float, float, float, str, str]]:
    """Measure a profile against an earlier one: (column, rule, measured, low, high, en, zh).

    Notes
    -----
    The PSI of two samples of n and m rows from one distribution is about (1/n + 1/m) times a chi-square variable with
    (bins - 1) degrees of freedom; what chance explains is taken off, and what it could explain is not told. Rows of one
    customer are alike (the instalments of a loan are equal), so n and m are numbers of customers.
    """
    daily = before["rows"] / before["days"] if before["days"] else 0.0
    if min(before["customers"], daily * now["days"]) >= FEWEST:
        rate = now["rows"] / now["days"] / daily
        en = f"as many rows a day as in the last batch, {VOLUME:g} to {1 / VOLUME:.3g} times"
        yield "", "volume", rate, VOLUME, 1 / VOLUME, en, f"日均行数为上一批次的{VOLUME:g}至{1 / VOLUME:.3g}倍"
    for name, described in now["columns"].items():
        earlier = before["columns"].get(name)
        if earlier is None:
            continue
        sizes = before["customers"], now["customers"]
        excess = _excess_psi(earlier["counts"], described["counts"], sizes)
        en = f"distributed as in the last batch, PSI beyond chance at most {LARGEST_PSI:g}"
        zh = f"分布与上一批次一致，扣除偶然后PSI不超过{LARGEST_PSI:g}"
        yield name, "distribution", excess, 0.0, LARGEST_PSI, en, zh


def _column(engine: duckdb.DuckDBPyConnection, rows: str, column: Column, edges: list[float] | None) -> dict[str, Any]:
    name = f'"{column.name}"'
    if column.dtype == "timestamp":  # what a time zone moves
        value = f"hour({name} + INTERVAL 8 HOUR)"
    elif column.categories or column.dtype in ("string", "bool"):
        value = f"CAST({name} AS VARCHAR)"
    else:
        if edges is None:
            levels = [k / BINS for k in range(1, BINS)]
            ((found,),) = engine.sql(f"SELECT quantile_disc({name}, {levels}) FROM {rows}").fetchall()
            edges = sorted({float(edge) for edge in found or ()})
        cases = " ".join(f"WHEN {name} <= {edge!r} THEN {at}" for at, edge in enumerate(edges))
        value = f"CASE WHEN {name} IS NULL THEN NULL {cases} ELSE {len(edges)} END"
    counted = engine.sql(f"SELECT {value} AS bin, count(*) FROM {rows} GROUP BY 1 ORDER BY 1").fetchall()
    counts = {"missing" if key is None else str(key): int(times) for key, times in counted}
    return {"counts": counts} if edges is None else {"counts": counts, "edges": edges}


def _excess_psi(before: Mapping[str, int], now: Mapping[str, int], customers: tuple[int, int]) -> float:
    """PSI less what chance explains; 0 where the difference may be chance or customers are too few to tell."""
    bins = sorted({*before, *now})
    first, second = (np.array([counts.get(name, 0) for name in bins], np.float64) for counts in (before, now))
    n, m = customers
    if len(bins) < 2 or min(n, m) < FEWEST:
        return 0.0
    noise = 1 / n + 1 / m
    psi = float(_psi(first / first.sum(), second / second.sum(), 0.5 / min(n, m)))
    if psi <= chi2.isf(_CERTAIN, len(bins) - 1) * noise or not math.isfinite(psi):
        return 0.0
    return max(psi - (len(bins) - 1) * noise, 0.0)


def _psi(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64], least: float) -> np.float64:
    first, second = np.maximum(first, least), np.maximum(second, least)
    found: np.float64 = np.sum((second - first) * np.log(second / first))
    return found
