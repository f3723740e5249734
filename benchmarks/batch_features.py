"""The batch engine's promise: a set of features for 20,000 applications with 4 million records, as fast as SQL by hand.

    python -m benchmarks.batch_features [--applications N] [--records N]

The last line on stdout is one JSON object: `seconds` of the whole `application_v1`, `peak_gib` of the process that
computes it, `growth_exponent` of its processor time from a quarter of the applications to all. For fifty of the
features, the same on each side: `ratio_to_sql` (our seconds to those of SQL that was written for them by hand) and
`ratio_to_pandas` (seconds of pandas to ours), with `max_abs_relative_difference` between the sides and
`differing_missing`. Every side runs in a process of its own, on the same Parquet files, a file a month, with two
threads; libraries are imported and warm; the best of two runs counts, of pandas its only one. `cpu_ratio_to_sql`
compares processor time, which tells more on a machine that others use too.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._by_pandas import by_pandas
from benchmarks._by_sql import FIFTY, by_sql
from benchmarks._records import lender_tables
from data_contracts.folder import TableFolder, write_tables
from features import batch
from features.algebra import FeatureSet
from features.checks import with_references
from features.sets import feature_set

_ROOT = Path(__file__).resolve().parents[1]
_WARM = 400
Matrix = pd.DataFrame


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Seconds and memory of the batch engine, SQL by hand and pandas.")
    parser.add_argument("--applications", type=int, default=20_000)
    parser.add_argument("--records", type=int, default=4_000_000)
    parser.add_argument(
        "--side", nargs=2, metavar=("SIDE", "PLACE"), help="run one side alone, on folders that are there"
    )
    asked = parser.parse_args()
    if asked.side:
        print(json.dumps(_SIDES[asked.side[0]](Path(asked.side[1]))))
        return
    with tempfile.TemporaryDirectory(prefix="lendwell-benchmark-") as name:
        place = Path(name)
        for part, divisor in (("full", 1), ("quarter", 4), ("warm", max(1, asked.applications // _WARM))):
            tables = lender_tables(asked.applications // divisor, asked.records // divisor)
            write_tables(place / part, tables, lender="benchmark", dates="calendar")
            del tables
            _say(f"{part} is written")
        whole = _run("whole", place)
        runs = [_run(side, place) for side in ("ours", "sql", "ours", "sql", "pandas")]
        measured = {
            "applications": asked.applications,
            "records": asked.records,
            **{name: round(value, 3) for name, value in whole.items()},
            **_compared(runs),
        }
        measured |= _differences(place)
    print(json.dumps(measured))


def fifty() -> FeatureSet:
    """The subset, with the features that its expressions read."""
    released = feature_set("application_v1")
    return FeatureSet("fifty", 1, with_references(released.features, FIFTY))


def _whole(place: Path) -> dict[str, float]:
    """Seconds of the whole set over all applications and over a quarter, and the most memory the process ever held."""
    released = feature_set("application_v1")
    seconds, processor = {}, {}
    for part in ("warm", "quarter", "full"):
        folder = TableFolder.open(place / part)
        started, used = time.perf_counter(), time.process_time()
        matrix = batch.compute(folder, released)
        seconds[part], processor[part] = time.perf_counter() - started, time.process_time() - used
    return {
        "features": matrix.shape[1],
        "seconds": seconds["full"],
        "quarter_seconds": seconds["quarter"],
        "whole_cpu_seconds": processor["full"],
        "growth_exponent": math.log(processor["full"] / processor["quarter"]) / math.log(4),
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def _side(name: str, compute: Callable[[TableFolder], Matrix]) -> Callable[[Path], dict[str, Any]]:
    """Seconds of a side, its memory, and its matrix as a file to be compared."""

    def run(place: Path) -> dict[str, Any]:
        compute(TableFolder.open(place / "warm"))
        folder = TableFolder.open(place / "full")
        started, used = time.perf_counter(), time.process_time()
        matrix = compute(folder)
        seconds, processor = time.perf_counter() - started, time.process_time() - used
        matrix[list(FIFTY)].to_parquet(place / f"{name}.parquet")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        return {"side": name, "seconds": seconds, "cpu_seconds": processor, "peak_gib": peak}

    return run


_SIDES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "whole": _whole,
    "ours": _side("ours", lambda folder: batch.compute(folder, fifty())),
    "sql": _side("sql", by_sql),
    "pandas": _side("pandas", by_pandas),
}


def _run(side: str, place: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.batch_features", "--side", side, str(place)]
    done = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    _say(f"{side}: {result['seconds']:.2f} s")
    return result


def _compared(runs: list[dict[str, Any]]) -> dict[str, Any]:
    best, used = (
        {side: min(run[figure] for run in runs if run["side"] == side) for side in ("ours", "sql", "pandas")}
        for figure in ("seconds", "cpu_seconds")
    )
    return {
        "subset_features": len(FIFTY),
        "subset_seconds": round(best["ours"], 3),
        "sql_seconds": round(best["sql"], 3),
        "pandas_seconds": round(best["pandas"], 2),
        "ratio_to_sql": round(best["ours"] / best["sql"], 3),
        "cpu_seconds": {side: round(seconds, 2) for side, seconds in used.items()},
        "cpu_ratio_to_sql": round(used["ours"] / used["sql"], 3),
        "ratio_to_pandas": round(best["pandas"] / best["ours"], 2),
    }


def _differences(place: Path) -> dict[str, Any]:
    """The largest difference of either other side from ours, to the value or 1, and places where one alone has one."""
    ours = pd.read_parquet(place / "ours.parquet")
    largest, missing = 0.0, 0
    for side in ("sql", "pandas"):
        theirs = pd.read_parquet(place / f"{side}.parquet").loc[ours.index, ours.columns]
        far = ((ours - theirs).abs() / np.maximum(1.0, ours.abs())).max()
        largest = max(largest, float(far.max()))
        missing += int((ours.isna() != theirs.isna()).to_numpy().sum())
        for name in far.index[(far > 1e-9) | (ours.isna() != theirs.isna()).any()]:
            _say(f"{side} differs in {name} by {far[name]:.3g}")
    return {"max_abs_relative_difference": largest, "differing_missing": missing}


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
