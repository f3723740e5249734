"""Steps to a registered bundle: looks at cards, the search, the training with its record."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_contracts.errors import LendwellError
from data_contracts.folder import TableFolder
from records import Facts, Progress, day, part_of
from workspace import Home, opened, require_file, with_contracts, write_whole

if TYPE_CHECKING:
    from training.bundle import Bundle
    from training.registry import Registry
    from training.run import Rows
    from training.tune import Tuning

_ROOT = Path(__file__).resolve().parents[1]  # of the checkout, where there is one


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

    experiment, folder = read_experiment(experiment_name), opened(data)
    no_budget = LendwellError(f"Experiment {experiment.name} has no budget; give --trials or --seconds.")
    if not run.require_search(experiment, home.studies, trials=trials, seconds=seconds):
        raise no_budget
    rows = run.prepare_for(experiment, with_contracts(folder), progress)
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
        raise no_budget
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


def train(
    experiment_name: str,
    data: Path,
    home: Home,
    *,
    report: Path | None = None,
    author: str | None = None,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Facts:
    """Train an experiment, measure it on its test rows, log run, bundle and report, and register the bundle.

    The author answers for it and cannot approve it; the account that runs this, where none is named.
    """
    from evaluation.gate.people import named
    from evaluation.gate.succession import Succession
    from training import run
    from training.checkpoints import held
    from training.experiment import read_experiment

    experiment, folder = read_experiment(experiment_name), opened(data)
    if report is not None:
        require_file(report)
    who, registry = named(author, "--author"), home.registry()
    home.register().close()  # tells before the work whether it can be reached after it
    left = registry.end_what_was_left(experiment.name)
    run.require_search(experiment, home.studies)
    home.register().close()  # a register that cannot be reached is told before the work
    with_contracts(folder)
    study = _study(experiment, folder)
    with held(home.path / "checkpoints" / study, experiment.name) as checkpoints:
        with _room_told(), tempfile.TemporaryDirectory() as draft:
            rows = run.prepare_for(experiment, folder, part_of(progress, 0.0, 0.2))
            best = run.search(experiment, rows, storage=home.studies, study=study, progress=part_of(progress, 0.2, 0.4))
            tell = part_of(progress, 0.4, 0.85)
            trained = run.train(experiment, folder, rows, best=best, progress=tell, checkpoints=checkpoints)
            facts = _measured_and_registered(
                trained, folder, rows, best, Path(draft), registry,
                author=who, report=report, created=day(now), progress=part_of(progress, 0.85, 1.0),
            )  # fmt: skip
        with home.register() as register:
            Succession(registry, register).standing(experiment.name, now or datetime.now(UTC))
        shutil.rmtree(checkpoints, ignore_errors=True)  # kept until here, so that an interrupted run goes on from them
    return {**facts, **({"runs_marked_failed": left} if left else {})}


def _measured_and_registered(
    trained: Bundle,
    folder: TableFolder,
    rows: Rows,
    best: Tuning | None,
    place: Path,
    registry: Registry,
    *,
    author: str,
    report: Path | None,
    created: str,
    progress: Progress | None,
) -> Facts:
    """Save a bundle into the draft `place`, measure it, log the run and register it; a version appears last of all."""
    from evaluation import run_record as record
    from evaluation.reference_reasons import with_reasons
    from evaluation.run import evaluate

    bundle = with_reasons(trained, rows).save(place / "bundle")
    measured = evaluate(bundle, folder, rows=rows, created=created, progress=progress)
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
        bundle.name,
        params={**_flat(dict(bundle.facts["experiment"])), **_part_params(bundle)},
        metrics={
            **measured.figures(),
            **record.overall(folds),
            **_weights(bundle.model),
            "train_rows": len(rows.sample.train),
            "test_rows": measured.rows,
            **({} if best is None else {"tuning_best_auc": best.best_auc, "tuning_trials": len(best.trials)}),
        },
        tags={"author": author, **_tags(bundle, folder)},
        bundle=place / "bundle",
        artifacts=artifacts,
        curves={**by_fold, **record.learning(bundle.model), **({} if best is None else record.by_trial(best))},
    )
    if report is not None:
        write_whole(report, lambda path: shutil.copyfile(page, path))
    registered = registry.register(bundle.name, run_id)
    return {
        "model": registered.label,
        "author": author,
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


def _counts(rows: Rows) -> Facts:
    left_out = {left.en: left.count for left in rows.left_out}
    bad = {
        name: int(rows.defaulted[at].sum()) for name, at in (("train", rows.sample.train), ("test", rows.sample.test))
    }
    return {"train": len(rows.sample.train), "test": len(rows.sample.test), "defaults": bad, "left_out": left_out}


def _study(experiment: Any, folder: TableFolder) -> str:
    """A study belongs to one experiment's text and one state of the data."""
    left_out: Any = {"tuning": {"trials", "seconds"}, "gate": True}
    declared = json.dumps(experiment.model_dump(mode="json", exclude=left_out), sort_keys=True)
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


def _tags(bundle: Bundle, folder: TableFolder) -> dict[str, str]:
    return {
        "bundle_identity": bundle.identity,
        "feature_set_identity": bundle.feature_set.identity,
        "data_identity": folder.identity,
        "lock_sha256": _lock_hash(),
        "commit": _commit(),
    }


def _lock_hash() -> str:
    lock = _ROOT / "requirements.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else "unknown"


def _commit() -> str:
    words = ("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    command = ["git", "-C", str(_ROOT), *words]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
