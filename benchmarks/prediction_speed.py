"""The bundle's promise: 20,000 rows a second on 2 cores, one row in 1.5 ms, and loaded within a second.

    python -m benchmarks.prediction_speed [--customers N] [--bundle FOLDER [--data TABLES]] [--rows N] [--calls N]

A bundle of the simulated experiment is trained on a small simulated lender and saved, or the one that is named is
taken. Its features are computed before; raw events go in too. Rows are drawn with replacement from real ones: all
labelled applications of the tables, or where a bundle comes without tables the rows against which it explains.

The last line on stdout is one JSON object: `rows_per_second` of `rows` at once, best of three, from features and events
to calibrated PDs, and `parts_seconds` of each part; `p50_us` and `p99_us` of one row by itself, with the garbage
collector as the service keeps it, and `parts_us`; `cpu_seconds` and `p50_cpu_us` tell more on a machine in use;
`load_seconds` of `Bundle.load`, median of five with libraries imported, and `load_seconds_first` of the first. `parts`
says what the bundle is made of.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import records
from data_contracts.folder import TableFolder
from features.sequences import EventSequences
from training import run
from training.bundle import Bundle
from training.experiment import read_experiment

_TIMES, _WARM, _LOADS = 3, 50, 5
Drawn = tuple[pd.DataFrame, EventSequences | None]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Rows a second and microseconds for one row, through a bundle.")
    parser.add_argument("--customers", type=int, default=3_000, help="of the simulated lender that is trained on")
    parser.add_argument("--bundle", type=Path, help="folder of a bundle, instead of one that is trained here")
    parser.add_argument("--data", type=Path, help="tables from which the rows of --bundle come")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--calls", type=int, default=3_000, help="of one row")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lendwell-benchmark-") as place:
        path = asked.bundle or _trained(Path(place), asked.customers)
        loads = [_seconds(Bundle.load, path) for _ in range(_LOADS)]
        bundle = Bundle.load(path)
        data = asked.data if asked.bundle else Path(place) / "tables"
        features, events = _rows(bundle, data, asked.rows)
    _say(f"{bundle.name}: {features.shape[0]} rows of {features.shape[1]} features")
    at_once, used = _at_once(bundle, features, events)
    took = _one_by_one(bundle, features, events, asked.calls)
    measured = {
        "bundle": bundle.name,
        "parts": _parts(bundle),
        "features": features.shape[1],
        "events": None if events is None else events.source.shape[1],
        "rows": asked.rows,
        "cores": len(os.sched_getaffinity(0)),
        "seconds": round(at_once["all"], 3),
        "cpu_seconds": round(used, 3),
        "rows_per_second": round(asked.rows / at_once["all"]),
        "parts_seconds": {name: round(seconds, 3) for name, seconds in at_once.items() if name != "all"},
        "calls": len(took["all"]),
        "p50_us": round(float(np.median(took["all"])), 1),
        "p99_us": round(float(np.quantile(took["all"], 0.99)), 1),
        "p50_cpu_us": round(float(np.median(took["cpu"])), 1),
        "parts_us": {name: round(float(np.median(took[name])), 1) for name in bundle.model.parts_},
        "load_seconds": round(statistics.median(loads), 4),
        "load_seconds_first": round(loads[0], 4),
    }
    print(json.dumps(measured))
    gc.unfreeze()


def _trained(place: Path, customers: int) -> Path:
    """A bundle of the simulated experiment, without its search, on a small lender."""
    records.simulate(place / "tables", customers=customers, months=36, seed=7)
    folder, experiment = TableFolder.open(place / "tables"), read_experiment("simulated")
    rows = run.prepare_for(experiment, folder)
    _say(f"training on {len(rows.sample.train)} rows")
    run.train(experiment, folder, rows).save(place / "bundle")
    return place / "bundle"


def _rows(bundle: Bundle, data: Path | None, wanted: int) -> Drawn:
    rng = np.random.default_rng(0)
    with_events = bundle.background_sequences is not None
    if data is None:
        features, events = bundle.background_features, bundle.background_sequences
    else:
        experiment = read_experiment(bundle.facts["experiment"]["name"])
        rows = run.prepare_for(experiment, TableFolder.open(data))
        features, events = rows.features, rows.events if with_events else None
    at = rng.integers(0, len(features), wanted)
    return features.iloc[at].reset_index(drop=True), None if events is None else events.take(at)


def _parts(bundle: Bundle) -> dict[str, str]:
    weights = bundle.model.weights_
    told = {name: f"weight {weights[name]:.2f}" for name in bundle.model.parts_}
    boosted: Any = bundle.model.parts_.get("boosted")
    if boosted is not None:
        told["boosted"] += f", {boosted.n_seeds} times {boosted.rounds_} trees"
    return told


def _at_once(bundle: Bundle, features: pd.DataFrame, events: EventSequences | None) -> tuple[dict[str, float], float]:
    """Wall seconds of all rows at once, best of three, of the hybrid and of each part; processor seconds of all."""
    model: Any = bundle.model
    used = time.process_time()
    seconds = {"all": min(_seconds(model.predict_proba, features, events) for _ in range(_TIMES))}
    used = (time.process_time() - used) / _TIMES
    values = features.to_numpy()
    for name, part in model.parts_.items():
        given = events if name == "sequence_net" else values
        seconds[name] = min(_seconds(part.log_odds, given) for _ in range(_TIMES))
    return seconds, used


def _one_by_one(
    bundle: Bundle, features: pd.DataFrame, events: EventSequences | None, calls: int
) -> dict[str, list[float]]:
    """Microseconds of one row by itself, another each time: the whole hybrid, and each of its parts in turn."""
    model: Any = bundle.model
    took: dict[str, list[float]] = {"all": [], "cpu": [], **{name: [] for name in model.parts_}}
    values = features.to_numpy()
    gc.collect()
    gc.freeze()
    for at in range(min(calls, len(features) - _WARM) + _WARM):
        row, event = features.iloc[[at]], None if events is None else events.take([at])
        started = time.thread_time()
        seconds = {"all": _seconds(model.log_odds, row, event)}
        seconds["cpu"] = time.thread_time() - started
        for name, part in model.parts_.items():
            seconds[name] = _seconds(part.log_odds, event if name == "sequence_net" else values[[at]])
        if at >= _WARM:
            for name, found in seconds.items():
                took[name].append(found * 1e6)
    return took


def _seconds(call: Callable[..., Any], *given: Any) -> float:
    started = time.perf_counter()
    call(*given)
    return time.perf_counter() - started


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
