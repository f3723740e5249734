"""The report's promise: 10,000 rows and 300 features in 60 s on 2 cores, a file under 8 MB.

    python -m benchmarks.report [--customers N] [--folder FOLDER]

A hybrid of the simulated experiment is trained on two fifths of a simulated lender's customers and measured on the
others, about 10,000 labelled applications, on all features of its set. The last line on stdout is one JSON
object: `rows` and `features` of the test; `seconds` and `cpu_seconds` from bundle and tables to the report's text;
`feature_seconds`, the part of it in which features are computed; `steps` with the processor seconds of the others;
`megabytes` of the file; `figures`, how many it draws.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import records
from data_contracts.folder import TableFolder
from evaluation.run import evaluate
from training import run
from training.bundle import Bundle
from training.experiment import Split, read_experiment

_TESTED = 0.6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Seconds and megabytes of the model-risk report.")
    parser.add_argument("--customers", type=int, default=15_000, help="of the simulated lender")
    parser.add_argument("--folder", type=Path, help="where tables and bundle are made, and found another time")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lendwell-benchmark-") as draft:
        place = asked.folder or Path(draft)
        bundle, folder = _trained(place, asked.customers)
        print(json.dumps(measure(bundle, folder)))


def measure(bundle: Bundle, folder: TableFolder) -> dict[str, Any]:
    """Write the report once and tell what it took."""
    clock = _Clock()
    started = time.perf_counter(), time.process_time()
    found = evaluate(bundle, folder, created="2026-01-01", progress=clock)
    seconds, used = time.perf_counter() - started[0], time.process_time() - started[1]
    clock("end", 1.0)
    return {
        "rows": found.rows,
        "features": len(bundle.feature_set.names),
        "cores": len(os.sched_getaffinity(0)),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(used, 1),
        "feature_seconds": round(clock.features, 1),
        "steps": clock.steps,
        "megabytes": round(len(found.report.encode()) / 1e6, 3),
        "figures": found.report.count("<figure"),
    }


class _Clock:
    """Processor seconds of each step of an evaluation, from the steps that it tells."""

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}
        self.features = 0.0
        self._step, self._since, self._began = "", time.process_time(), time.perf_counter()

    def __call__(self, step: str, share: float) -> None:
        if step.startswith("evaluation: scores"):
            self.features = time.perf_counter() - self._began
        now = time.process_time()
        if self._step.startswith("evaluation"):
            self.steps[self._step.removeprefix("evaluation: ")] = round(now - self._since, 2)
        self._step, self._since = step, now


def _trained(place: Path, customers: int) -> tuple[Bundle, TableFolder]:
    """A bundle of the simulated experiment, without its search, whose test is most of a simulated lender."""
    if not (place / "bundle").is_dir():
        records.simulate(place / "tables", customers=customers, months=36, seed=7)
    folder, declared = TableFolder.open(place / "tables"), read_experiment("simulated")
    if not (place / "bundle").is_dir():
        experiment = declared.model_copy(update={"split": Split(method="random", test_share=_TESTED)})
        rows = run.prepare_for(experiment, folder)
        print(f"training on {len(rows.sample.train)} rows", file=sys.stderr, flush=True)
        run.train(experiment, folder, rows).save(place / "bundle")
    return Bundle.load(place / "bundle"), folder


if __name__ == "__main__":
    main()
