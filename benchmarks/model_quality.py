"""The hybrid's promise: at least as good as what a lender would train instead, on rows that nobody tuned on.

    python -m benchmarks.model_quality --set NAME [--full] [--autogluon] [--protected] [--rows N] [--source DIR]

Five outer folds, the same for all models, customers kept whole, over all labelled rows of a set. The hybrid is trained
by the function that `lendwell train` calls, with the parameters of the set's experiment; with `--full` the experiment's
search is run anew within the training rows of each fold, and AutoGluon is asked too. Peers run in an environment of
their own: LightGBM and CatBoost on the hybrid's own features (`ours`) and on the raw columns with plain aggregates
(`raw`), a scorecard by optbinning on `ours`. `--rows` takes a sample, for a first look within a minute.

The last line on stdout is one JSON object. `auc` of each model is the mean of its AUC in each fold, `auc_pooled` that
of all out-of-fold PDs together. `gain` is the hybrid's `auc` minus that of `best_peer`, the best of all peers on either
input, chosen by this same figure, which favours the peer; `gain_low` and `gain_high` are the 95 % interval of a paired
bootstrap that draws customers within each fold. `fit_cpu_seconds` is processor time of a fit, on average over folds;
that of the hybrid holds its inner folds and, with `--full`, its search. `ece` is the expected calibration error of the
out-of-fold PD over `ece_bins` bins of equal size. Docs: `docs/quality.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

import records
from benchmarks._areas import fold_areas, resampled_areas
from benchmarks._hybrid_runs import HybridRuns, run_hybrid
from benchmarks._peer_runs import PeerError, PeerRun, peer_python, run_peer, say, write_rows
from benchmarks._raw_columns import raw_columns
from data_contracts.errors import LendwellError
from data_contracts.folder import TableFolder
from data_contracts.tables import APPLICATIONS
from evaluation.metrics import ece
from features.sets import feature_set
from training import run
from training.estimator import class_folds
from training.experiment import Experiment, experiment_names, read_experiment
from training.observations import observe
from training.run import Rows

SETS = {
    "simulated": ("simulated", ""),
    "home_credit": ("home-credit", "home_credit"),
    "taiwan": ("taiwan", "taiwan_credit_card"),
    "give_me_some_credit": ("give-me-some-credit", "give_me_some_credit"),
    "superlender": ("superlender", "superlender"),
    "card_monthly_status": ("card-monthly-status", "card_monthly_status"),
}
_ROOT = Path(__file__).resolve().parents[1]
_FOLDS, _BINS, _RESAMPLES = 5, 10, 1000
_ON_OURS, _ON_RAW = ("lightgbm", "catboost", "scorecard"), ("lightgbm", "catboost")
Floats = npt.NDArray[np.float64]
Facts = dict[str, Any]


def main() -> None:
    """Measure and print."""
    asked = _asked()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="lendwell-benchmark-") as name:
        place = Path(name)
        experiment, folder = _tables(asked, place)
        rows = _sampled(run.prepare_for(experiment, folder), asked.rows, experiment.seed)
        customers = rows.customers.to_numpy().astype(str)
        fold = _folds(rows.defaulted, customers, experiment.seed)
        say(f"{asked.set}: {len(fold)} rows, {rows.features.shape[1]} features")
        rows, protected = _with_protected(experiment, folder, rows, give=asked.protected)
        varying = rows.features.loc[:, rows.features.nunique(dropna=False) > 1]
        given = frozenset(protected["given"])
        raw = raw_columns(asked.set, _source(asked), pd.DataFrame({"customer_id": rows.customers,
                          "applied_at": rows.applied_at}), given)  # fmt: skip
        inputs = {"ours": varying} if raw is None else {"ours": varying, "raw": raw}
        for word, features in inputs.items():
            write_rows(place / f"{word}.parquet", features, rows.defaulted, customers, fold)
        peers, not_run = _peers(inputs, place, asked)
        hybrid = run_hybrid(experiment, folder, rows, fold, search=asked.full)
        truth = _truth(folder, rows)
    if asked.out:
        _write(asked.out, rows, fold, hybrid, peers)
    measured = {
        "set": asked.set,
        "experiment": experiment.name,
        "rows": len(fold),
        "customers": len(np.unique(customers)),
        "bad_rate": round(float(rows.defaulted.mean()), 5),
        "features": rows.features.shape[1],
        "varying_features": varying.shape[1],
        "raw_columns": None if raw is None else raw.shape[1],
        "protected": protected,
        "folds": _FOLDS,
        **_figures(rows.defaulted, customers, fold, hybrid, peers, truth),
        **not_run,
        "full": asked.full,
        "seconds": round(time.perf_counter() - started, 1),
    }
    print(json.dumps(measured))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="AUC of the hybrid, its parts and its peers on the same folds.")
    parser.add_argument("--set", choices=list(SETS), required=True)
    parser.add_argument("--full", action="store_true", help="search within each fold, and AutoGluon; hours on big sets")
    parser.add_argument("--autogluon", action="store_true", help="AutoGluon too, in an environment of its own")
    parser.add_argument("--autogluon-seconds", type=float, default=120.0, help="of AutoGluon, for each fold and input")
    parser.add_argument("--protected", action="store_true", help="give age, gender and marital status to everybody")
    parser.add_argument("--rows", type=int, help="a sample of so many rows, customers kept whole")
    parser.add_argument("--source", type=Path, help="folder of the raw files")
    parser.add_argument("--experiment", help="name or TOML of another experiment than the set's own")
    parser.add_argument("--customers", type=int, default=20_000, help="of the simulated lender")
    parser.add_argument("--out", type=Path, help="write every model's out-of-fold PD there, as Parquet")
    return parser.parse_args()


def _tables(asked: argparse.Namespace, place: Path) -> tuple[Experiment, TableFolder]:
    """The set's experiment and its tables, taken in as `lendwell import` does and looked at where it is of cards."""
    stand_in = asked.set if asked.set in experiment_names() else "home_credit"
    experiment = read_experiment(asked.experiment or stand_in)
    if asked.set == "simulated":
        records.simulate(place / "tables", customers=asked.customers, months=36, seed=7)
    else:
        records.import_lender(SETS[asked.set][0], _source(asked), place / "tables")
    folder = TableFolder.open(place / "tables")
    if experiment.target.kind == "card_dpd":
        folder = observe(folder, experiment.target, place / "observed")
    return experiment, folder


def _source(asked: argparse.Namespace) -> Path:
    if asked.source:
        return Path(asked.source)
    return Path(os.environ.get("LENDWELL_REAL_DATA", _ROOT.parent / "shared" / "data")) / SETS[asked.set][1]


def _sampled(rows: Rows, wanted: int | None, seed: int) -> Rows:
    """So many rows of customers drawn at random, all rows where nothing is wanted."""
    if wanted is None or wanted >= len(rows.defaulted):
        return rows
    names = np.random.default_rng(seed).permutation(np.sort(rows.customers.unique().astype(str)))
    counts = rows.customers.value_counts().reindex(names)
    at = np.flatnonzero(rows.customers.isin(names[: int((counts.cumsum() <= wanted).sum())]).to_numpy())
    return replace(
        rows,
        features=rows.features.iloc[at],
        events=rows.events.take(at),
        defaulted=rows.defaulted[at],
        customers=rows.customers.iloc[at],
        applied_at=rows.applied_at.iloc[at],
    )


def _folds(defaulted: npt.NDArray[np.int64], customers: npt.NDArray[np.str_], seed: int) -> npt.NDArray[np.int64]:
    groups = None if len(np.unique(customers)) == len(customers) else customers
    fold = np.zeros(len(defaulted), dtype=np.int64)
    for number, (_, test) in enumerate(class_folds(defaulted, _FOLDS, seed, groups, use="the benchmark")):
        fold[test] = number
    return fold


def _with_protected(
    experiment: Experiment, folder: TableFolder, rows: Rows, *, give: bool
) -> tuple[Rows, dict[str, list[str]]]:
    """Rows with what is protected as features beside the others, where it shall be given, and who is given what."""
    permits = list(feature_set(experiment.feature_set).permits)
    known = folder.read("applications").set_index("application_id").loc[rows.features.index]
    there = [column.name for column in APPLICATIONS.columns if column.protected and known[column.name].notna().any()]
    if not give:
        return rows, {"given": permits, "left_out": [name for name in there if name not in permits]}
    added = pd.get_dummies(known[[name for name in there if name not in permits]], dtype=float).astype(float)
    return replace(rows, features=pd.concat([rows.features, added], axis=1)), {"given": there, "left_out": []}


def _peers(inputs: dict[str, pd.DataFrame], place: Path, asked: argparse.Namespace) -> tuple[dict[str, PeerRun], Facts]:
    """Every peer on every input it is given, and why one could not be run."""
    python = peer_python("peers")
    wanted = [(model, word) for word in inputs for model in (_ON_OURS if word == "ours" else _ON_RAW)]
    with ThreadPoolExecutor(2) as pool:
        runs = pool.map(lambda one: run_peer(python, one[0], place / f"{one[1]}.parquet"), wanted)
        found = {f"{model}_{word}": each for (model, word), each in zip(wanted, runs, strict=True)}
    if not (asked.autogluon or asked.full):
        return found, {"autogluon": "not asked for; --autogluon or --full"}
    try:
        python = peer_python("autogluon")
        for word in inputs:
            rows = place / f"{word}.parquet"
            found[f"autogluon_{word}"] = run_peer(python, "autogluon", rows, asked.autogluon_seconds)
    except PeerError as fault:
        return found, {"autogluon": str(fault)}
    return found, {"autogluon": f"medium_quality, at most {asked.autogluon_seconds:g} s a fold"}


def _truth(folder: TableFolder, rows: Rows) -> Floats | None:
    """True PD of the simulated lender."""
    path = folder.path / "truth" / "truth.parquet"
    if not path.is_file():
        return None
    truth = pd.read_parquet(path, columns=["application_id", "true_pd"]).set_index("application_id")["true_pd"]
    return truth.loc[rows.features.index].to_numpy()


def _figures(
    defaulted: npt.NDArray[np.int64],
    customers: npt.NDArray[np.str_],
    fold: npt.NDArray[np.int64],
    hybrid: HybridRuns,
    peers: dict[str, PeerRun],
    truth: Floats | None,
) -> Facts:
    scores = {"hybrid": hybrid.pd, **{name: peer.pd for name, peer in peers.items()}}
    by_fold = fold_areas(defaulted, scores, fold)
    auc = {name: float(areas.mean()) for name, areas in by_fold.items()}
    pooled = {name: float(fold_areas(defaulted, {name: score}, np.zeros_like(fold))[name][0])
              for name, score in scores.items()}  # fmt: skip
    best = max(peers, key=lambda name: auc[name])
    drawn = resampled_areas(
        defaulted, {"hybrid": hybrid.pd, "peer": peers[best].pd}, fold, customers, resamples=_RESAMPLES
    )
    low, high = np.quantile(drawn["hybrid"], [0.025, 0.975])
    gain_low, gain_high = np.quantile(drawn["hybrid"] - drawn["peer"], [0.025, 0.975])
    calibration = {name: ece(defaulted, score, bins=_BINS) for name, score in scores.items()}
    chance = calibration["hybrid"].note
    cpu = {"hybrid": hybrid.fit_cpu_seconds, **hybrid.part_cpu_seconds}
    cpu |= {name: peer.fit_cpu_seconds for name, peer in peers.items()}
    figures = {
        "auc": _rounded(auc),
        "auc_parts": _parts(defaulted, fold, hybrid),
        "auc_low": round(float(low), 5),
        "auc_high": round(float(high), 5),
        "auc_pooled": _rounded(pooled),
        "auc_by_fold": {name: [round(float(area), 5) for area in by_fold[name]] for name in ("hybrid", best)},
        "best_peer": best,
        "gain": round(auc["hybrid"] - auc[best], 5),
        "gain_low": round(float(gain_low), 5),
        "gain_high": round(float(gain_high), 5),
        "ece": _rounded({name: metric.value or 0.0 for name, metric in calibration.items()}),
        "ece_bins": _BINS,
        "ece_note": chance,
        "fit_cpu_seconds": {name: round(float(np.mean(each)), 1) for name, each in cpu.items()},
        "weights": [_rounded(weights, 3) for weights in hybrid.weights],
        "dropped": {name: len(by) for name, by in hybrid.inside.items()},
        "calibrators": hybrid.calibrators,
        "tuned": hybrid.tuned if any(hybrid.tuned) else None,
        "versions": sorted({peer.version for peer in peers.values()}),
    }
    if truth is not None:
        oracle = float(fold_areas(defaulted, {"truth": truth}, fold)["truth"].mean())
        figures["oracle_auc"] = round(oracle, 5)
        figures["share_of_oracle"] = round((auc["hybrid"] - 0.5) / (oracle - 0.5), 4)
    return figures


def _parts(defaulted: npt.NDArray[np.int64], fold: npt.NDArray[np.int64], hybrid: HybridRuns) -> Facts:
    """Mean AUC of each part over the folds in which it counts; for the others, that within their training rows."""
    told: Facts = {}
    for name, score in hybrid.parts.items():
        counts = np.isfinite(score)
        inside = hybrid.inside.get(name, {})
        areas = fold_areas(defaulted[counts], {name: score[counts]}, fold[counts])[name]
        told[name] = {
            "auc": round(float(areas.mean()), 5) if counts.any() else None,
            "folds": len(areas),
            "auc_where_dropped": round(float(np.mean(list(inside.values()))), 5) if inside else None,
        }
    return told


def _rounded(values: dict[str, float], digits: int = 5) -> dict[str, float]:
    return {name: round(float(value), digits) for name, value in values.items()}


def _write(path: Path, rows: Rows, fold: Any, hybrid: HybridRuns, peers: dict[str, PeerRun]) -> None:
    table = pd.DataFrame(
        {"customer_id": rows.customers, "fold": fold, "defaulted": rows.defaulted, "hybrid": hybrid.pd}
    )
    table = table.assign(**{f"{name}_log_odds": part for name, part in hybrid.parts.items()})
    table.assign(**{name: peer.pd for name, peer in peers.items()}).to_parquet(path)


if __name__ == "__main__":
    try:
        main()
    except (LendwellError, PeerError) as fault:
        raise SystemExit(str(fault)) from fault
