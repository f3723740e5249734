"""The online engine's promise: all features of one applicant in well under a millisecond, on one thread.

    python -m benchmarks.online_features [--calls N]

One applicant with 300 records in all event tables, in the proportions of the simulated lender. The last line on stdout
is one JSON object: `features`, `aggregates` they are made of, `records`, `p50_us` and `p99_us` of `Plan.compute` from
rows of Python to the whole `application_v1`, with the garbage collector as the service keeps it. `ratio_polars` and
`ratio_duckdb` say how many times as long the same aggregates alone take in Polars (`polars_us`, eager or lazy,
whichever is faster; `polars_frames_us` of it to make frames of the rows) and in DuckDB (the SQL of our own batch
engine, compiled before, on tables in memory; `duckdb_load_us` of it to bring the rows in). Both are spared the choice
of versions. All are measured in turn; what the peers give was compared with ours for all `peer_aggregates`:
`max_abs_relative_difference`, `differing_missing`.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks._polars import PolarsPlan
from benchmarks._records import SHARES, lender_tables
from data_contracts.folder import arrow_schema, write_tables
from data_contracts.tables import TABLES
from features import batch
from features.algebra import Feature, FeatureSet, Reason
from features.online import compile_plan
from features.sets import feature_set
from features.versions import newest

_RECORDS = 300
_ROUNDS = 10
_WARM = 1  # calls of each round that are not counted: the others have taken the caches
Row = dict[str, Any]
Rows = dict[str, list[Row]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Microseconds for one applicant: ours, Polars, DuckDB.")
    parser.add_argument("--calls", type=int, default=15_000)
    asked = parser.parse_args()
    released = feature_set("application_v1")
    application, records, as_of = applicant()
    plan = compile_plan(released)
    alone = aggregates_alone(released)
    values = compile_plan(alone).compute(application, records, as_of)
    eager, lazy = PolarsPlan(alone, lazy=False), PolarsPlan(alone, lazy=True)
    with duckdb.connect(config={"threads": 1}) as connection:
        in_sql, by_sql = _duckdb(connection, alone, application, records, as_of)
        calls: dict[str, tuple[Callable[[], Any], int]] = {
            "ours": (lambda: plan.compute(application, records, as_of), -(-asked.calls // _ROUNDS)),
            "polars_eager": (lambda: eager.compute(eager.frames(records, as_of)), 8),
            "polars_lazy": (lambda: lazy.compute(lazy.frames(records, as_of)), 4),
            "polars_frames": (lambda: eager.frames(records, as_of), 8),
            "duckdb": (in_sql, 2),
            "duckdb_load": (lambda: _load(connection, application, records, as_of), 2),
        }
        took = _in_turn(calls)
        by_polars = dict(zip(eager.keys, eager.compute(eager.frames(records, as_of)), strict=True))
    peers: dict[str, list[Any]] = {
        "polars": [by_polars[aggregate.key] for aggregate in alone.aggregates],
        "duckdb": by_sql,
    }
    measured = {
        "features": len(released.features),
        "aggregates": len(released.aggregates),
        "records": sum(map(len, records.values())),
        "records_by_table": {name: len(rows) for name, rows in records.items()},
        "calls": len(took["ours"]),
        **_figures(took),
        "peer_aggregates": len(values),
        **_differences(values, peers, alone.names),
    }
    print(json.dumps(measured))
    gc.unfreeze()


def _figures(took: Mapping[str, list[float]]) -> dict[str, float]:
    median = {name: float(np.median(times)) for name, times in took.items()}
    with_polars = min(median["polars_eager"], median["polars_lazy"])
    figures = {
        "p50_us": median["ours"],
        "p99_us": float(np.quantile(took["ours"], 0.99)),
        "ratio_polars": with_polars / median["ours"],
        "ratio_polars_without_frames": (with_polars - median["polars_frames"]) / median["ours"],
        "ratio_duckdb": median["duckdb"] / median["ours"],
        "polars_us": with_polars,
    }
    figures |= {f"{name}_us": value for name, value in median.items() if name != "ours"}
    return {name: round(value, 2) for name, value in figures.items()}


def applicant(seed: int = 3) -> tuple[Row, Rows, datetime]:
    """An application with exactly 300 records that are known, the applicant's records, and the moment.

    Of many applicants the one whose records lie in the tables as those of all do; what is too many of the oldest
    transactions is left out.
    """
    tables = lender_tables(400, 400 * _RECORDS, seed)
    applications = {row["customer_id"]: row for row in tables.pop("applications").to_pylist()}  # each one's last
    known: dict[str, Rows] = {customer: {name: [] for name in SHARES} for customer in applications}
    for name in SHARES:
        for row in tables[name].to_pylist():
            application = applications.get(row["customer_id"])
            if application and row["known_at"] <= application["applied_at"]:
                known[row["customer_id"]][name].append(row)
    chosen = min(known, key=lambda customer: _unlike(known[customer]))
    records = known[chosen]
    records["transactions"] = records["transactions"][sum(map(len, records.values())) - _RECORDS :]
    return applications[chosen], records, applications[chosen]["applied_at"]


def _unlike(records: Rows) -> float:
    """How far the records are from 300 in the proportions of all; an applicant without enough of them is no choice."""
    surplus = sum(map(len, records.values())) - _RECORDS
    if not all(records.values()) or not 0 <= surplus < len(records["transactions"]):
        return math.inf
    return sum(
        abs(len(rows) - surplus * (name == "transactions") - _RECORDS * SHARES[name]) for name, rows in records.items()
    )


def aggregates_alone(released: FeatureSet) -> FeatureSet:
    """The aggregates of a set, each a feature of its own."""
    told = Reason("R00", "benchmark", "基准测试")
    features = (
        Feature(f"a{at}", aggregate, "benchmark", "基准测试", "any", told, aggregate.source.group)
        for at, aggregate in enumerate(released.aggregates)
    )
    return FeatureSet("aggregates", 1, tuple(features))


def _duckdb(
    connection: Any, alone: FeatureSet, application: Row, records: Rows, as_of: datetime
) -> tuple[Callable[[], None], list[float]]:
    """A call of the batch engine's own SQL over tables in memory, and the values it gives."""
    with tempfile.TemporaryDirectory(prefix="lendwell-benchmark-") as place:
        tables = _arrow(application, records, as_of)
        folder = write_tables(Path(place) / "tables", tables, lender="benchmark", dates="relative")
        queries = batch.explain(folder, alone)
        values = batch.compute(folder, alone).iloc[0].tolist()
    queries.pop("matrix")  # it only brings the sources together

    def compute() -> None:
        _load(connection, application, records, as_of)
        for query in queries.values():
            connection.execute(query).fetchall()

    return compute, values


def _load(connection: Any, application: Row, records: Rows, as_of: datetime) -> None:
    for name, table in _arrow(application, records, as_of).items():
        # the whole number by which the batch engine knows an application
        number = pa.array([1], pa.int32())
        connection.register(name, table.append_column("applicant", number) if name == "applications" else table)


def _arrow(application: Row, records: Rows, as_of: datetime) -> dict[str, pa.Table]:
    """Tables of what counts at `as_of`: versions are told in Python, on so few rows SQL takes longer for it."""
    rows = {name: newest(found, itemgetter(*TABLES[name].key), as_of) for name, found in records.items()}
    rows["applications"] = [application]
    return {name: pa.Table.from_pylist(found, schema=arrow_schema(TABLES[name])) for name, found in rows.items()}


def _in_turn(calls: Mapping[str, tuple[Callable[[], Any], int]]) -> dict[str, list[float]]:
    """Wall microseconds of calls, each so many times a round: whatever else the machine does slows all of them."""
    took: dict[str, list[float]] = {name: [] for name in calls}
    gc.collect()
    gc.freeze()
    for turn in range(_ROUNDS + 1):
        for name, (call, times) in calls.items():
            for at in range(times + _WARM):
                started = time.perf_counter_ns()
                call()
                if turn and at >= _WARM:
                    took[name].append((time.perf_counter_ns() - started) / 1000)
        _say(f"round {turn} of {_ROUNDS}")
    return took


def _differences(ours: Any, peers: Mapping[str, list[Any]], names: tuple[str, ...]) -> dict[str, Any]:
    largest, missing = 0.0, 0
    for peer, values in peers.items():
        theirs = np.array(values, dtype=np.float64)  # None becomes NaN
        far = np.abs(ours - theirs) / np.maximum(1.0, np.abs(ours))
        lacking = np.isnan(ours) != np.isnan(theirs)
        largest = max(largest, float(np.nanmax(far)))
        missing += int(lacking.sum())
        for at in np.flatnonzero(lacking | (far > 1e-9)):
            _say(f"{peer} differs in {names[at]}: {ours[at]} {theirs[at]}")
    return {"max_abs_relative_difference": largest, "differing_missing": missing}


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
