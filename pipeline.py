"""The steps from tables to a monitored champion, each a function of paths that returns plain facts; see also `records`.

In a notebook, use the rooms' own functions; these here add the contracts' check, the registry and the files.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_contracts.errors import LendwellError, SourceError
from data_contracts.folder import TableFolder
from records import Facts, Progress, day, part_of
from workspace import Home, opened, require_file, with_columns, with_contracts, write_whole

if TYPE_CHECKING:
    from training.bundle import Bundle
    from training.run import Rows


def observe(experiment_name: str, data: Path, out: Path) -> Facts:
    """Write the folder of looks at a lender's cards that a behaviour experiment trains on, and what it is scored on."""
    from training.experiment import read_experiment
    from training.observations import observe as look

    target = read_experiment(experiment_name).target
    folder = look(with_contracts(TableFolder.open(data)), target, out)
    made = folder.batches[0].facts
    return {
        "folder": str(out),
        "looks": folder.rows("applications"),
        "customers": folder.read("applications", ["customer_id"])["customer_id"].nunique(),
        "left_out": {left["en"]: left["count"] for left in made["observed"]["left_out"]},
        "data_identity": folder.identity,
    }


def write_features(
    data: Path, feature_set_name: str, out: str, *, engine: str = "duckdb", progress: Progress | None = None
) -> Facts:
    """Compute a feature set for every application and write it: as a Parquet file, or by Spark as a folder of them."""
    from features import batch, spark
    from features.sets import feature_set

    declared = feature_set(feature_set_name)
    if engine == "spark":
        place = out if "://" in out else Path(out)
        return spark.write(with_columns(opened(data)), declared, place, progress=progress)
    if engine != "duckdb":
        raise SourceError(f"There is no engine {engine!r}; --engine takes duckdb or spark.")
    file = Path(out)
    require_file(file)
    matrix = batch.compute(with_contracts(opened(data)), declared, progress=progress)
    write_whole(file, lambda path: matrix.reset_index().to_parquet(path, index=False))
    return {"file": str(file), "rows": len(matrix), "features": len(declared.names), "identity": declared.identity}


def explain_features(data: Path, feature_set_name: str) -> dict[str, str]:
    """SQL by which DuckDB computes a feature set: by source, and what puts the sources together."""
    from features import batch
    from features.sets import feature_set

    return batch.explain(opened(data), feature_set(feature_set_name))


def audit_features(
    data: Path,
    feature_set_name: str,
    *,
    sample: int = 500,
    seed: int = 0,
    out: Path | None = None,
    progress: Progress | None = None,
) -> Facts:
    """Compute a sample of applications with and without what was learned after `as_of`; tells what differs."""
    from features.audit import audit
    from features.sets import feature_set

    if out is not None:
        require_file(out)
    declared = feature_set(feature_set_name)
    found = audit(with_columns(opened(data)), declared, sample=sample, seed=seed, progress=progress).to_dict()
    facts = {"feature_set": declared.name, "identity": declared.identity, **found}
    if not found["records_removed"]:
        facts["warning"] = (
            "No record became known after its application's as_of, so there was no future to remove: "
            "a larger --sample may hold some, or the tables hold none."
        )
    if out is not None:
        written = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
        write_whole(out, lambda path: path.write_text(written, encoding="utf-8"))
    return facts


def write_catalogue(feature_set_name: str, out: Path) -> Facts:
    """Write the searchable catalogue of a feature set as HTML."""
    from features.catalogue import catalogue_html
    from features.sets import feature_set

    declared = feature_set(feature_set_name)
    require_file(out)
    page = catalogue_html(declared)
    write_whole(out, lambda path: path.write_text(page, encoding="utf-8"))
    return {"file": str(out), "features": len(declared.names), "identity": declared.identity}


def tune(
    experiment_name: str,
    data: Path,
    home: Home,
    *,
    trials: int | None,
    seconds: float | None,
    progress: Progress | None = None,
) -> Facts:
    """Search an experiment's parameters; the trials are kept, and `train` on the same data starts from them."""
    from training import run
    from training.experiment import read_experiment

    experiment, folder = read_experiment(experiment_name), with_contracts(opened(data))
    rows = run.prepare_for(experiment, folder, progress)
    found = run.search(
        experiment,
        rows,
        trials=trials,
        seconds=seconds,
        storage=home.studies,
        study=_study(experiment, folder),
        progress=progress,
    )
    if found is None:
        raise LendwellError(f"Experiment {experiment.name} has no budget; give --trials or --seconds.")
    return {
        "best_auc": found.best_auc,
        "best_params": found.best_params,
        "importances": found.importances,
        "trials": len(found.trials),
        "ended": found.counts,
        "warnings": [warned.model_dump() for warned in found.warnings],
    }


@contextmanager
def _room_told() -> Iterator[None]:
    """A full disk is one clear error, whichever library came upon it."""
    try:
        yield
    except Exception as fault:
        told = str(fault).lower()
        full = isinstance(fault, OSError) and fault.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if isinstance(fault, LendwellError) or not (full or "no space left" in told):  # safetensors has its own kind
            raise
        raise LendwellError(
            f"The disk is full ({fault}): that of --home, or that of temporary files, {tempfile.gettempdir()} "
            "(TMPDIR). Nothing was registered; make room and run the same command again, it goes on from what is done."
        ) from fault


@_room_told()
def train(
    experiment_name: str,
    data: Path,
    home: Home,
    *,
    report: Path | None = None,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Facts:
    """Train an experiment, measure it on its test rows, log run, bundle and report, and register the bundle."""
    from evaluation import run_record as record
    from evaluation.run import evaluate
    from training import run
    from training.experiment import read_experiment

    experiment, folder = read_experiment(experiment_name), opened(data)
    if report is not None:
        require_file(report)
    registry = home.registry()
    with_contracts(folder)
    rows = run.prepare_for(experiment, folder, part_of(progress, 0.0, 0.2))
    study = _study(experiment, folder)
    best = run.search(experiment, rows, storage=home.studies, study=study, progress=part_of(progress, 0.2, 0.4))
    checkpoints = home.path / "checkpoints" / study
    trained = run.train(
        experiment, folder, rows, best=best, progress=part_of(progress, 0.4, 0.85), checkpoints=checkpoints
    )
    with tempfile.TemporaryDirectory() as draft:
        place = Path(draft)
        bundle = trained.save(place / "bundle")
        measured = evaluate(bundle, folder, rows=rows, created=day(now), progress=part_of(progress, 0.85, 1.0))
        page = place / "model_risk_report.html"
        page.write_text(measured.report, encoding="utf-8")
        folds, by_fold = record.out_of_fold(bundle.model, rows)
        artifacts = {"report": page, "folds": place / "folds.json", "curves": place / "curves"}
        artifacts["folds"].write_text(json.dumps(folds, indent=2) + "\n", encoding="utf-8")
        record.draw_curves(bundle, rows, artifacts["curves"])
        if best is not None:
            artifacts["tuning"] = place / "tuning"
            record.write_search(best, artifacts["tuning"])
        run_id = registry.log_run(
            experiment.name,
            params={**_flat(dict(bundle.facts["experiment"])), **_part_params(bundle)},
            metrics={
                **measured.figures(),
                **record.overall(folds),
                **_weights(bundle.model),
                "train_rows": len(rows.sample.train),
                "test_rows": measured.rows,
                **({} if best is None else {"tuning_best_auc": best.best_auc, "tuning_trials": len(best.trials)}),
            },
            tags={
                "bundle_identity": bundle.identity,
                "feature_set_identity": bundle.feature_set.identity,
                "data_identity": folder.identity,
                "lock_sha256": _lock_hash(),
                "commit": _commit(),
            },
            bundle=place / "bundle",
            artifacts=artifacts,
            curves={**by_fold, **record.learning(bundle.model), **({} if best is None else record.by_trial(best))},
        )
        registered = registry.register(experiment.name, run_id)
        if report is not None:
            write_whole(report, lambda path: shutil.copyfile(page, path))
    shutil.rmtree(checkpoints, ignore_errors=True)  # kept until here, so that an interrupted run goes on from them
    with suppress(OSError):  # others may be there
        checkpoints.parent.rmdir()
    return {
        "model": registered.label,
        "aliases": list(registered.aliases),
        "run_id": run_id,
        "bundle_identity": bundle.identity,
        "rows": _counts(rows),
        "weights": bundle.model.weights_,
        "dropped": bundle.model.dropped_,
        "tuned": bundle.facts["tuned"],
        **measured.figures(),
        "out_of_fold_auc": {row["model"]: row["auc"] for row in folds if row["fold"] == 0},
        "warnings": [] if best is None else [warned.model_dump() for warned in best.warnings],
        **({"report": str(report)} if report else {}),
    }


def evaluate_model(
    model: str,
    data: Path,
    out: Path,
    home: Home,
    *,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Facts:
    """Measure a registered bundle on a folder with outcomes and write the reviewer's report."""
    from evaluation.run import evaluate

    require_file(out)
    bundle, registered = home.registry().load(model)
    measured = evaluate(bundle, with_contracts(opened(data)), created=day(now), progress=progress)
    write_whole(out, lambda path: path.write_text(measured.report, encoding="utf-8"))
    return {"model": registered.label, "rows": measured.rows, **measured.figures(), "report": str(out)}


def compare(
    champion: str,
    challenger: str,
    data: Path,
    out: Path,
    home: Home,
    *,
    truth: Path | None = None,
    approval_rate: float | None = None,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Facts:
    """Compare two registered bundles on the same applications of a folder and write the page that shows it."""
    from evaluation.comparison import compare as compare_bundles
    from evaluation.comparison import read_truth
    from evaluation.report.comparison import build_comparison
    from reporting.page import Text

    require_file(out)
    told = None if truth is None else read_truth(truth)
    registry = home.registry()
    (first, of_first), (second, of_second) = registry.load(champion), registry.load(challenger)
    folder = with_contracts(opened(data))
    found = compare_bundles(first, second, folder, truth=told, approval_rate=approval_rate, progress=progress)
    facts = [
        (Text("冠军模型", "Champion"), f"{of_first.label} {first.identity}"),
        (Text("挑战模型", "Challenger"), f"{of_second.label} {second.identity}"),
        (Text("数据标识", "Data identity"), folder.identity),
        (Text("真值文件", "Truth"), "–" if truth is None else truth.name),
    ]
    page = build_comparison(found, champion=of_first.label, challenger=of_second.label, facts=facts, created=day(now))
    write_whole(out, lambda path: path.write_text(page, encoding="utf-8"))
    return {
        "champion": of_first.label,
        "challenger": of_second.label,
        **found.to_dict(),
        "report": str(out),
    }


def promote(model: str, home: Home) -> Facts:
    """Make a version the champion."""
    registered = home.registry().promote(model)
    return {"model": registered.label, "aliases": list(registered.aliases)}


def score_batch(model: str, data: Path, out: Path, home: Home, *, progress: Progress | None = None) -> Facts:
    """Score every application of a folder and write `application_id, pd, score`."""
    import pandas as pd
    from scipy.special import expit

    from features import batch, sequences

    require_file(out)
    folder = with_columns(opened(data))
    bundle, registered = home.registry().load(model)
    matrix = batch.compute(folder, bundle.feature_set, progress=progress)
    background = bundle.background_sequences
    events = None if background is None else sequences.from_folder(folder, background.source.shape[1])
    if progress:
        progress("scores", 0.9)
    log_odds = bundle.model.decision_function(matrix, events)
    scored = pd.DataFrame(
        {"application_id": matrix.index, "pd": expit(log_odds), "score": bundle.scale.points(log_odds)}
    )
    write_whole(out, lambda path: scored.to_parquet(path, index=False))
    return {
        "model": registered.label,
        "bundle_identity": bundle.identity,
        "rows": len(scored),
        "pd_mean": float(scored["pd"].mean()) if len(scored) else None,
        "file": str(out),
    }


def score(
    home: Home,
    *,
    model: str,
    request: Path | None = None,
    data: Path | None = None,
    application: str | None = None,
    url: str | None = None,
) -> Facts:
    """Score one applicant: a request as JSON, or an application out of tables; by the endpoint where a URL is given."""
    from data_contracts.messages import read_request
    from serving.client import ScoreClient, request_from_tables

    if request is not None:
        if not request.is_file():
            raise SourceError(f"There is no request file {request}.")
        asked = read_request(request.read_bytes())
    elif data is not None and application is not None:
        asked = request_from_tables(TableFolder.open(data), application)
    else:
        raise SourceError("Give a request file, or --data and --application.")
    if url is not None:
        with ScoreClient(url) as client:
            return client.score(asked).model_dump()
    from serving.scorer import Scorer

    bundle, registered = home.registry().load(model)
    scored = Scorer(bundle, registered.version).score(asked)
    return {
        "model": registered.label,
        "pd": scored.pd,
        "score": scored.score,
        "log_odds": scored.log_odds,
        "reasons": [reason.model_dump() for reason in scored.reasons],
        "warnings": [warned.model_dump() for warned in scored.warnings],
        "sum_of_attributions_minus_log_odds": scored.residual,
    }


def serve(
    model: str, home: Home, *, host: str, port: int, sample_requests: float = 0.0, request_log: Path | None = None
) -> int:
    """Serve a registered bundle until interrupted, keeping a share of raw requests for `monitor_parity`."""
    from serving import launch

    launch.require_free(host, port)
    registry = home.registry()
    chosen = registry.find(model)
    with tempfile.TemporaryDirectory(prefix="lendwell-serving-") as folder:
        bundle = registry.download(chosen, Path(folder) / "bundle")
        return launch.serve(
            bundle,
            home.log,
            host,
            port,
            version=chosen.version,
            request_log=_requests(home, request_log),
            request_sample=sample_requests,
        )


def monitor(model: str, out: Path, home: Home, *, since: datetime | None = None) -> Facts:
    """Compare the scored requests of a bundle in the decision log with its reference; writes HTML and JSON."""
    from evaluation.drift import compare
    from serving.decision_log import DecisionLog, feature_matrix
    from serving.monitoring.report import build_drift_report

    if out.exists() and not out.is_dir():
        raise SourceError(f"{out} is no folder; name one for drift.html and drift.json with --out.")
    bundle, registered = home.registry().load(model)
    with DecisionLog.open(home.log) as log:
        decisions = log.read(since=since, bundle=bundle.identity)
    if not len(decisions):
        raise LendwellError(
            f"The decision log holds no answer of {registered.label} yet. "
            "Score requests through `lendwell serve` first."
        )
    features = feature_matrix(decisions, bundle.feature_set.names)
    result = compare(bundle.reference, features, decisions["log_odds"].to_numpy())
    first, last = decisions["decided_at"].min(), decisions["decided_at"].max()
    facts = [
        ("model", registered.label),
        ("bundle", bundle.identity),
        ("from", f"{first:%Y-%m-%d %H:%M}"),
        ("to", f"{last:%Y-%m-%d %H:%M}"),
        ("decisions", f"{len(decisions)}"),
    ]
    page = build_drift_report(result, facts=facts, features=bundle.feature_set.features)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "drift.html", lambda path: path.write_text(page, encoding="utf-8"))
    write_whole(out / "drift.json", lambda path: path.write_text(result.to_json(), encoding="utf-8"))
    return {
        "model": registered.label,
        "verdict": result.verdict,
        "rows": result.rows,
        "score_psi": result.score.psi,
        "drifted": [row.name for row in result.drifted],
        "report": str(out / "drift.html"),
        "json": str(out / "drift.json"),
    }


def monitor_parity(
    model: str,
    out: Path,
    home: Home,
    *,
    since: datetime | None = None,
    request_log: Path | None = None,
    progress: Progress | None = None,
) -> Facts:
    """Recompute the sampled raw requests of a bundle's feature set in batch; writes what differs as HTML and JSON."""
    from serving.monitoring.parity import check_parity
    from serving.monitoring.parity_report import build_parity_report

    if out.exists() and not out.is_dir():
        raise SourceError(f"{out} is no folder; name one for parity.html and parity.json with --out.")
    bundle, registered = home.registry().load(model)
    found = check_parity(_requests(home, request_log), bundle.feature_set, since, progress)
    if not found.requests:
        raise LendwellError(
            f"No request that was answered on the feature set of {registered.label} has been kept"
            f"{'' if since is None else f' since {since:%Y-%m-%d %H:%M}'} "
            f"({found.other_feature_set} on other feature sets, {found.unreadable} unreadable). "
            "Keep some with `lendwell serve --sample-requests 0.05`."
        )
    page = build_parity_report(found, model=registered.label, features=bundle.feature_set.features)
    write_whole(out / "parity.html", lambda path: path.write_text(page, encoding="utf-8"))
    write_whole(out / "parity.json", lambda path: path.write_text(found.to_json(), encoding="utf-8"))
    files = {"report": str(out / "parity.html"), "json": str(out / "parity.json")}
    return {"model": registered.label, **found.to_dict(), **files}


def _requests(home: Home, given: Path | None) -> Path:
    return given or home.path / "requests"


def _counts(rows: Rows) -> Facts:
    left_out = {left.en: left.count for left in rows.left_out}
    bad = {
        name: int(rows.defaulted[at].sum()) for name, at in (("train", rows.sample.train), ("test", rows.sample.test))
    }
    return {"train": len(rows.sample.train), "test": len(rows.sample.test), "defaults": bad, "left_out": left_out}


def _study(experiment: Any, folder: TableFolder) -> str:
    """A study belongs to one experiment's text and one state of the data."""
    declared = json.dumps(experiment.model_dump(mode="json", exclude={"tuning": {"trials", "seconds"}}), sort_keys=True)
    mark = hashlib.sha256((declared + folder.identity).encode()).hexdigest()[:16]
    return f"{experiment.name}-{mark}"


def _part_params(bundle: Bundle) -> Facts:
    """What the search found, and all parameters of the parts that count, defaults too."""
    found = {f"tuned.{key}": value for key, value in bundle.facts["tuned"].items()}
    for name, part in bundle.model.parts_.items():
        found |= {f"part.{name}.{key}": value for key, value in part.get_params().items() if key != "monotone"}
    return found


def _flat(settings: Facts, prefix: str = "") -> Facts:
    found: Facts = {}
    for key, value in settings.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def _weights(model: Any) -> dict[str, float]:
    return {f"weight_{name}": float(weight) for name, weight in model.weights_.items()}


def _lock_hash() -> str:
    lock = Path(__file__).with_name("requirements.lock")
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else "unknown"


def _commit() -> str:
    words = ("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    command = ["git", "-C", str(Path(__file__).parent), *words]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
