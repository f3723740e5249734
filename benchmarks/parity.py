"""The promise of one declaration: batch and online give the same number for 20,000 random applications.

    python -m benchmarks.parity [--cases N] [--seed N]

The records are hard, not likely: told late or not yet, told again the same or otherwise, missing, NaN and infinite, on
the microsecond at which a window begins or the decision is taken, at one moment with others, of any size; many
applicants have none of a table, some customers apply twice. The last line on stdout is one JSON object: `cases`
(applications), `features`, `compared` values, `mismatches` (values apart by more than 1e-9 of the value, or of 1 where
it is smaller, or missing on one side alone), `max_abs_relative_difference`, `seconds`, and what the records held.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from benchmarks._records import ids
from data_contracts.declare import Column, Table
from data_contracts.folder import write_tables
from data_contracts.tables import APPLICATIONS, TABLES
from features import batch
from features.algebra import FeatureSet
from features.online import compile_plan
from features.sets import feature_set

Ints = npt.NDArray[np.int64]
Columns = dict[str, Any]
Record = dict[str, Any]
_TOLERANCE = 1e-9
_DAY = 86_400_000_000
_NOW = int(np.datetime64("2025-06-01T03:04:05.678901", "us").astype(np.int64))
_CUSTOMERS_PER_CASE = 0.8
_MANY, _HOW_OFTEN = (0, 1, 2, 4, 9, 25), (0.3, 0.2, 0.2, 0.17, 0.1, 0.03)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Every feature of random applicants, by batch and online.")
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    released = feature_set("application_v1")
    started = time.perf_counter()
    tables = random_tables(np.random.default_rng(asked.seed), asked.cases, released)
    held = _held(tables)
    _say("records are made")
    with tempfile.TemporaryDirectory(prefix="lendwell-benchmark-") as place:
        folder = write_tables(Path(place) / "tables", tables, lender="random", dates="calendar")
        _say("records are written")
        by_batch = batch.compute(folder, released)
    _say("batch is done")
    by_online = _by_online(tables, released, by_batch.index)
    _say("online is done")
    measured = {
        "cases": len(by_batch),
        "features": len(released.features),
        **_differences(by_batch, by_online),
        "seconds": round(time.perf_counter() - started, 1),
        **held,
    }
    print(json.dumps(measured))


def random_tables(rng: np.random.Generator, cases: int, released: FeatureSet) -> dict[str, pa.Table]:
    """Canonical tables of random applicants; rows lie in no order."""
    customers = max(1, round(cases * _CUSTOMERS_PER_CASE))
    moments = _NOW + rng.integers(-700 * _DAY, 0, customers)
    edges = np.array(sorted({a.days for a in released.aggregates if a.days is not None})) * _DAY
    tables = {"applications": _applications(rng, cases, moments)}
    names = [name for name in released.tables if name != "applications"]
    return tables | {name: _events(rng, TABLES[name], moments, edges) for name in names}


def _applications(rng: np.random.Generator, cases: int, moments: Ints) -> pa.Table:
    """A customer's second application comes within the windows of the first one, or a year before all is known."""
    at = np.arange(cases) % len(moments)
    again = np.arange(cases) >= len(moments)
    applied = moments[at] + again * rng.choice([-400, -45, -1, 30], cases) * _DAY
    known = {"application_id": ids("A", np.arange(cases)), "customer_id": ids("C", at), "applied_at": _times(applied)}
    return pa.table(
        {c.name: known[c.name] if c.name in known else _values(rng, c, applied) for c in APPLICATIONS.columns}
    )


def _events(rng: np.random.Generator, table: Table, moments: Ints, edges: Ints) -> pa.Table:
    """Records of a table; a quarter of the rows are later versions of others, of which some say the same again."""
    counts = rng.choice(_MANY, len(moments), p=_HOW_OFTEN)
    first = int(counts.sum())
    version_of = np.concatenate([np.arange(first), rng.integers(0, first, first // 3)])
    later = np.arange(len(version_of)) >= first
    who = np.repeat(np.arange(len(moments)), counts)[version_of]
    place = (np.arange(first) - np.repeat(counts.cumsum() - counts, counts))[version_of]
    told = np.where(later & (rng.random(len(later)) < 0.3), version_of, np.arange(len(later)))
    moment = moments[who]
    occurred = _moments(rng, moment, edges)[version_of if "occurred_at" in table.key else told]
    known = occurred + rng.choice([0, 0, 0, 1, 40], len(occurred)) * _DAY
    before = known[version_of]
    learned = np.choose(rng.integers(0, 4, len(known)), [moment, moment + 1, before + _DAY, before + 40 * _DAY])
    known = np.where(later, np.maximum(np.maximum(learned, before + 1), occurred), known)
    # An account has several months.
    number = who * 1000 + (place // 3 if "occurred_at" in table.key else place)
    fixed = {
        table.key[0]: ids(table.name[0].upper(), number),
        "customer_id": ids("C", who),
        "occurred_at": _times(occurred),
        "known_at": _times(known),
    }
    columns: dict[str, pa.Array] = {}
    for column in table.columns:
        if column.name in fixed:
            columns[column.name] = fixed[column.name]
            continue
        edge = _moments(rng, moment, edges) if column.dtype == "timestamp" else moment
        values = _settled(rng, who) if column.name == "instalment_id" else _values(rng, column, edge)
        columns[column.name] = values.take(pa.array(told))
    rows = pa.table(columns)
    single = ~rows.select(list(table.row_key)).to_pandas().duplicated().to_numpy()
    return rows.take(pa.array(rng.permutation(np.flatnonzero(single))))


def _settled(rng: np.random.Generator, who: Ints) -> pa.Array:
    """The instalment that a payment settles: one of the same customer's, one that is not there, or none."""
    return _some(rng, ids("I", who * 1000 + rng.integers(0, 6, len(who))))


def _moments(rng: np.random.Generator, moment: Ints, edges: Ints) -> Ints:
    """Times about the moments of decision: on the edge of a window, at the decision, at one time with others."""
    n = len(moment)
    on_edge = moment - rng.choice(edges, n) + rng.integers(-1, 2, n)
    some_time = (moment - (rng.random(n) * 1500 * _DAY).astype(np.int64)) // (_DAY // 2) * (_DAY // 2)
    kind = rng.choice(5, n, p=[0.25, 0.05, 0.05, 0.05, 0.6])
    return np.choose(kind, [on_edge, moment, moment + 1, moment + 20 * _DAY, some_time])


def _values(rng: np.random.Generator, column: Column, times: Ints) -> pa.Array:
    """Values as a contract allows them, small ones and the first category more often; a quarter missing."""
    n = len(times)
    match column.dtype:
        case "string":
            words = column.categories or ("s0", "s1", "s2", "s3")
            codes = np.where(rng.random(n) < 0.2, 0, rng.integers(0, len(words), n))
            values: Any = pa.array(words).take(pa.array(codes))
        case "timestamp":
            values = _times(times)
        case "bool":
            values = pa.array(rng.random(n) < 0.5)
        case "int64":
            low, high = int(max(column.low or 0, -1e7)), int(min(column.high or 1e7, 1e7))
            small = np.clip(rng.integers(0, 3, n), low, high)
            values = pa.array(np.where(rng.random(n) < 0.3, small, rng.integers(low, high + 1, n)))
        case _:
            drawn = rng.uniform(column.low or 0.0, min(column.high or 1e7, 1e7), n)
            strange = rng.choice([np.nan, np.inf, -np.inf], n)
            values = pa.array(np.where(rng.random(n) < 0.03, strange, drawn))
    return _some(rng, values) if column.nullable else values


def _some(rng: np.random.Generator, values: pa.Array) -> pa.Array:
    """A quarter missing."""
    return values.take(pa.array(np.arange(len(values)), mask=rng.random(len(values)) < 0.25))


def _times(microseconds: Ints) -> pa.Array:
    return pa.array(microseconds).cast(pa.timestamp("us"))


def _by_online(tables: dict[str, pa.Table], released: FeatureSet, order: pd.Index[Any]) -> npt.NDArray[np.float64]:
    """What the service would compute of each application's own records, in the order of `order`."""
    plan = compile_plan(released)
    applications = {row["application_id"]: row for row in tables["applications"].to_pylist()}
    by_customer: dict[str, dict[str, list[Record]]] = {}
    none: dict[str, list[Record]] = {name: [] for name in tables if name != "applications"}
    for row in applications.values():
        by_customer.setdefault(row["customer_id"], {name: [] for name in none})
    for name in none:
        for row in tables[name].to_pylist():
            by_customer[row["customer_id"]][name].append(row)
    _say("rows of Python are made")
    found = np.empty((len(order), len(released.features)))
    for at, identity in enumerate(order):
        row = applications[identity]
        found[at] = plan.compute(row, by_customer[row["customer_id"]], row["applied_at"])
    return found


def _differences(by_batch: pd.DataFrame, online: npt.NDArray[np.float64]) -> dict[str, Any]:
    """How far the two are apart, in the words of the algebra's promise; names of features that differ go to stderr."""
    values = by_batch.to_numpy()
    far = np.abs(values - online) / np.maximum(1.0, np.abs(values))
    different = (np.isnan(values) != np.isnan(online)) | (far > _TOLERANCE)
    for at in np.flatnonzero(different.any(axis=0)):
        row, name = int(np.argmax(different[:, at])), by_batch.columns[int(at)]
        _say(f"{name}: {different[:, at].sum()} differ, as {values[row, at]!r} and {online[row, at]!r}")
    return {
        "compared": int(values.size),
        "given": round(float((~np.isnan(values)).mean()), 3),
        "mismatches": int(different.sum()),
        "max_abs_relative_difference": float(np.nanmax(far, initial=0.0)),
    }


def _held(tables: dict[str, pa.Table]) -> dict[str, Any]:
    """How many records are of each hard kind."""
    moments = dict(
        zip(*(tables["applications"][name].to_pylist() for name in ("customer_id", "applied_at")), strict=True)
    )
    records = late = corrections = at_decision = missing = 0
    for name, table in tables.items():
        if name == "applications":
            continue
        frame = table.to_pandas()
        moment = frame["customer_id"].map(moments)
        records += len(frame)
        late += int((frame["known_at"] > moment).sum())
        at_decision += int(((frame["known_at"] == moment) | (frame["occurred_at"] == moment)).sum())
        corrections += int(frame.duplicated(list(TABLES[name].key)).sum())
        missing += sum(column.null_count for column in table.columns)
    return {
        "records": records, "late": late, "corrections": corrections, "at_the_decision": at_decision,
        "missing_values": missing,
    }  # fmt: skip


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
