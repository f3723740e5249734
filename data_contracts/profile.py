"""What a batch looks like, so that the next can be held against it: rows a day, and distributions of chosen columns.

A profile looks at what was learned in the last 92 days before the newest record: a first batch brings years of history,
a later one a month, and only their recent parts are alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
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
CHANGES = ("volume", "distribution")
"""Rules that hold a batch against the last accepted one: they may be broken by a real change."""
_CERTAIN = 1e-6

Profile = dict[str, Any]


def profile(engine: duckdb.DuckDBPyConnection, view: str, table: Table, *, like: Profile | None = None) -> Profile:
    """Describe the recent rows of a view that holds rows of a table.

    Parameters
    ----------
    like : dict, optional
        An earlier profile: numbers are counted in its bins, so that the two compare.

    Returns
    -------
    dict
        `rows`, `days` (as many equally busy ones would hold them: late stragglers are no days) and `customers` of the
        recent part, and for each profiled column `counts` by bin, with `edges` of numbers.
    """
    learned = "known_at" if "known_at" in table.names else "applied_at"
    recent = (
        f'(SELECT * FROM "{view}" WHERE {learned} > (SELECT max({learned}) FROM "{view}") - INTERVAL {RECENT_DAYS} DAY)'
    )
    have = {name for name, *_ in engine.sql(f'DESCRIBE "{view}"').fetchall()}
    customers = "count(DISTINCT customer_id)" if "customer_id" in have else "count(*)"
    ((rows, days, of),) = engine.sql(
        f"WITH recent AS {recent}, daily AS (SELECT count(*) AS n FROM recent GROUP BY date_trunc('day', {learned})) "
        f"SELECT sum(n)::BIGINT, sum(n) ** 2 / sum(n * n), (SELECT {customers} FROM recent) FROM daily"
    ).fetchall()
    columns = {}
    for name in table.profiled:
        if name in have:
            before = (like or {}).get("columns", {}).get(name, {})
            columns[name] = _column(engine, recent, table.column(name), before.get("edges"))
    return {"rows": rows or 0, "days": round(days or 0, 3), "customers": of, "columns": columns}


def changes(before: Profile, now: Profile, table: Table) -> Iterator[tuple[str, str, float, float, float, str, str]]:
    """Measure a profile against an earlier one: (column, rule, measured, low, high, en, zh).

    Notes
    -----
    The PSI of two samples of n and m rows from one distribution is about (1/n + 1/m) times a chi-square variable with
    (bins - 1) degrees of freedom; what chance explains is taken off, and what it could explain is not told. Rows of one
    customer are alike (the instalments of a loan are equal), so n and m are numbers of customers.
    """
    if min(before["customers"], now["customers"]) >= FEWEST and now["days"] >= 7 and before["days"] >= 7:
        rate = (now["rows"] / now["days"]) / (before["rows"] / before["days"])
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
