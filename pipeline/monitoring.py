"""Steps that watch a champion at work: drift and performance, outcomes, a challenger on drift, parity of features."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from data_contracts.errors import LendwellError, RegistryError, SourceError
from pipeline import governance, training
from records import Facts, Progress, part_of
from workspace import Home, write_whole

if TYPE_CHECKING:
    from evaluation.metric import Metric
    from serving.monitoring.sinks import Sinks
    from training.registry import Registered, Registry

DAYS = 30
_PERFORMANCE_DAYS = 730


@dataclass
class Watch:
    """What a look takes; its sinks know what earlier looks of the same watch have handed to them.

    Parameters
    ----------
    model : str
        `NAME`, `NAME@ALIAS` or `NAME/VERSION`; found anew at each look, so that a new champion is watched at once.
    out : Path
        Folder of drift.html and drift.json.
    since : datetime, optional
        Only decisions from then on, UTC without a zone; the last `days` without it.
    days : int
        That a look goes back.
    approval_rate, cutoff_pd
        Where the cut-off lies at which approval rates are told: at a PD, or where this share of the training applicants
        is approved.
    sinks : Sinks, optional
        Where alerts go, beside what is returned.
    """

    model: str
    out: Path
    since: datetime | None = None
    days: int = DAYS
    approval_rate: float = 0.7
    cutoff_pd: float | None = None
    sinks: Sinks | None = None


def monitor(watch: Watch, home: Home, *, now: datetime | None = None, progress: Progress | None = None) -> Facts:
    """Look at what a bundle has answered: drift, performance, alerts; writes HTML and JSON and hands alerts over."""
    from serving.decision_log import DecisionLog, feature_matrix
    from serving.monitoring.alerts import alerts_of
    from serving.monitoring.examination import examine
    from serving.monitoring.outcomes import OutcomeStore
    from serving.monitoring.reading import read_decisions
    from serving.monitoring.realised import realised
    from serving.monitoring.report import build_drift_report
    from serving.monitoring.sinks import Sinks

    if watch.out.exists() and not watch.out.is_dir():
        raise SourceError(f"{watch.out} is no folder; name one for drift.html and drift.json with --out.")
    at = now or datetime.now(UTC)
    until = at.astimezone(UTC).replace(tzinfo=None) + timedelta(seconds=1)
    since = watch.since or until - timedelta(days=watch.days)
    registry = home.registry()
    bundle, registered = registry.load(watch.model)
    with DecisionLog.open(home.log) as log, OutcomeStore.open(home.outcomes) as store:
        decisions = read_decisions(log, bundle.identity, since, until)
        outcomes = store.current()
        if not len(decisions):
            raise LendwellError(
                f"The decision log holds no answer of {registered.label} since {since:%Y-%m-%d %H:%M}. "
                "Score requests through `lendwell serve` first, or look further back with --since."
            )
        earlier = min(since, until - timedelta(days=_PERFORMANCE_DAYS))
        scored = read_decisions(log, bundle.identity, earlier, until, numbers_only=True) if len(outcomes) else decisions
    features = feature_matrix(decisions, bundle.feature_set.names)
    found = examine(
        bundle, decisions, features,
        approval_rate=watch.approval_rate, cutoff_pd=watch.cutoff_pd, progress=part_of(progress, 0.1, 0.9),
    )  # fmt: skip
    training_auc = _training_auc(registry, registered)
    performance = realised(scored, outcomes, training_auc)
    alerts = alerts_of(found, performance, model=registered.label, at=at)
    facts = [
        ("model", registered.label),
        ("bundle", bundle.identity),
        ("from", f"{found.first:%Y-%m-%d %H:%M}"),
        ("to", f"{found.last:%Y-%m-%d %H:%M}"),
        ("decisions", f"{len(decisions)}"),
    ]
    page = build_drift_report(found, performance, alerts, facts=facts, training_auc=training_auc)
    told = found.to_dict() | {
        "performance": [one.to_dict() for one in performance],
        "alerts": [alert.to_dict() for alert in alerts],
    }
    text = json.dumps(told, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    watch.out.mkdir(parents=True, exist_ok=True)
    write_whole(watch.out / "drift.html", lambda path: path.write_text(page, encoding="utf-8"))
    write_whole(watch.out / "drift.json", lambda path: path.write_text(text, encoding="utf-8"))
    sinks = watch.sinks = watch.sinks or Sinks()
    fresh, undelivered = sinks.send(found, alerts, model=registered.name, at=at)
    return {
        "model": registered.label,
        "verdict": found.verdict,
        "rows": found.drift.rows,
        "repeated": found.repeated,
        "score_psi": found.drift.score.psi,
        "drifted": [row.name for row in found.drift.drifted],
        "drifted_days": [day.day for day in found.days if day.verdict == "drifted"],
        "approval_rate": {"training": found.approval.before, "now": found.approval.now},
        "expected_auc": found.expected.auc.value,
        "realised_auc": performance[-1].auc.value if performance else None,
        "alerts": [alert.to_dict() for alert in fresh],
        **({"undelivered": undelivered} if undelivered else {}),
        "report": str(watch.out / "drift.html"),
        "json": str(watch.out / "drift.json"),
    }


def _training_auc(registry: Registry, registered: Registered) -> Metric | None:
    """AUC on the test rows of the training, where the version's run tells it."""
    from evaluation.metric import Metric

    told = registry.run_metrics(registered)
    if not {"auc", "auc_low", "auc_high"} <= told.keys():
        return None
    return Metric(told["auc"], told["auc_low"], told["auc_high"], int(told.get("test_rows", 0)))


def import_outcomes(path: Path, home: Home, *, now: datetime | None = None) -> Facts:
    """Take outcomes of scored applications in, under the decision log's pseudonyms."""
    from serving.decision_log import DecisionLog
    from serving.monitoring.outcomes import OutcomeStore

    at = (now or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None)
    if home.log.startswith("sqlite:///") and not Path(home.log.removeprefix("sqlite:///")).is_file():
        raise SourceError(
            f"There is no decision log {home.log}, under whose key outcomes are kept. Name its home with --home, or "
            "the log with --log-url."
        )
    with DecisionLog.open(home.log) as log, OutcomeStore.open(home.outcomes) as store:
        receipt = store.take_in(path, log.pseudonym, at)
        return {"file": str(path), **vars(receipt), "outcomes": len(store.current())}


@dataclass(frozen=True)
class Retraining:
    """What is trained on drift: an experiment of the watched model, on a folder of fresh tables."""

    experiment: str
    data: Path
    author: str | None = None


def open_challenger(
    watch: Watch, retraining: Retraining, home: Home, *, now: datetime | None = None, progress: Progress | None = None
) -> Facts:
    """Train on fresh data, register it as challenger and put it before its gate; promotion stays with a person.

    Where a challenger waits already, nothing is trained.
    """
    from training.experiment import read_experiment

    name = home.registry().find(watch.model).name
    declared = read_experiment(retraining.experiment)
    if declared.name != name:
        raise LendwellError(f"Experiment {declared.name} makes no challenger of {name}; name one of that name.")
    try:
        waiting = home.registry().find(f"{name}@challenger")
        return {"challenger": waiting.label, "opened": False, "why": "a challenger waits already"}
    except RegistryError:
        pass
    trained = training.train(
        retraining.experiment, retraining.data, home,
        author=retraining.author, now=now, progress=part_of(progress, 0.0, 0.8),
    )  # fmt: skip
    judged = governance.gate(
        trained["model"], retraining.data, home, by=retraining.author, now=now, progress=part_of(progress, 0.8, 1.0)
    )
    return {
        "challenger": trained["model"],
        "opened": True,
        "aliases": trained["aliases"],
        "auc": trained["auc"],
        "passed": judged["passed"],
        "verdict_sha256": judged["verdict_sha256"],
        "failed": [one["criterion"] for one in judged["criteria"] if one["result"] in ("failed", "not_computable")],
    }


def look(watch: Watch, home: Home, retraining: Retraining | None = None) -> Callable[[], Facts]:
    """One look after another: each monitors, and on drift opens a challenger where that was asked for."""

    def once() -> Facts:
        facts = monitor(watch, home)
        if retraining is not None and facts["verdict"] == "drifted":
            facts["retrained"] = open_challenger(watch, retraining, home)
        return facts

    return once


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
    found = check_parity(request_log or home.requests, bundle.feature_set, since, progress)
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
