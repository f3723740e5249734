"""The demo: the whole way once, on the real components, with seconds and figures of each step in `summary.json`."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pipeline
import records
from data_contracts.errors import SourceError
from data_contracts.folder import TableFolder
from records import Facts, Progress
from workspace import Home

SCORED_REQUESTS = 200
_EXPERIMENTS = {"simulated": "simulated", "home-credit": "home_credit"}
_APPROVER = "reviewer of the demo"
_MARK = "summary.json"


def run(
    out: Path,
    *,
    lender: str = "simulated",
    source: Path | None = None,
    customers: int = 20_000,
    experiment: str | None = None,
    progress: Progress | None = None,
) -> Facts:
    """Go from raw records to a monitored champion and return what `summary.json` holds.

    Parameters
    ----------
    out : Path
        Folder for everything; what an earlier demo left there is replaced.
    lender : str
        `simulated`, or a lender of `lendwell import`.
    source : Path, optional
        The lender's raw files; needed unless the lender is simulated.
    customers : int
        Size of the simulated lender.
    experiment : str, optional
        What to train, by name or path of its TOML; the lender's own by default.

    Raises
    ------
    SourceError
        The lender is unknown, its source missing, or `out` holds something else.
    """
    from training.experiment import read_experiment

    if lender not in _EXPERIMENTS:
        raise SourceError(f"The demo knows no lender {lender!r}; it knows {', '.join(_EXPERIMENTS)}.")
    if lender != "simulated" and source is None:
        raise SourceError(f"Give --source, the folder of {lender}'s raw files.")
    declared = read_experiment(experiment or _EXPERIMENTS[lender])
    _clear(out)
    steps = _Steps(progress)
    tables, home = out / "tables", Home(out / "home")
    with steps("records", 0.0, 0.1) as step:
        if source is not None and lender != "simulated":
            facts = records.import_lender(lender, source, tables, progress=step.progress)
        else:
            facts = records.simulate(tables, customers=customers, months=36, seed=7, progress=step.progress)
        step.rows = sum(facts["rows"].values())
    with steps("contracts", 0.1, 0.18) as step:
        checked = records.validate(tables, report=out / "quality.html")
        step.rows = sum(checked["rows"].values())
    with steps("features", 0.18, 0.24) as step:
        made = pipeline.write_features(tables, "application_v1", str(out / "features.parquet"), progress=step.progress)
        step.rows = made["rows"]
    report = out / "model_risk_report.html"
    with steps("train", 0.24, 0.84) as step:
        trained = pipeline.train(experiment or declared.name, tables, home, report=report, progress=step.progress)
        step.rows = trained["rows"]["train"] + trained["rows"]["test"]
    with steps("gate and promote", 0.84, 0.88) as step:
        judged = pipeline.gate(trained["model"], tables, home, progress=step.progress)
        step.rows = judged["evidence"]["rows"]
        if judged["passed"]:  # otherwise the first version answers as provisional champion
            pipeline.promote(trained["model"], home, approver=_APPROVER)
    with steps("score-batch", 0.88, 0.9) as step:
        step.rows = pipeline.score_batch(declared.name, tables, out / "scores.parquet", home, progress=step.progress)[
            "rows"
        ]
    with steps("serve and score", 0.9, 0.97) as step:
        answer = _served(declared.name, tables, out, home, step.progress)
        step.rows = SCORED_REQUESTS
    with steps("monitor", 0.97, 1.0) as step:
        drift = pipeline.monitor(pipeline.Watch(declared.name, out / "drift"), home)
        step.rows = drift["rows"]
    summary = {
        "lender": lender,
        "steps": steps.done,
        "seconds": round(sum(step["seconds"] for step in steps.done), 1),
        "model": {
            "name": trained["model"],
            "aliases": trained["aliases"],
            **{name: trained[name] for name in ("bundle_identity", "weights", "dropped", "rows")},
            **{name: trained[name] for name in ("auc", "auc_low", "auc_high", "ks", "brier", "additivity_error")},
        },
        "gate": {
            "passed": judged["passed"],
            "verdict_sha256": judged["verdict_sha256"],
            "criteria": {one["criterion"]: one["result"] for one in judged["criteria"]},
        },
        "coverage": checked["coverage"],
        "answer": answer,
        "drift": {name: drift[name] for name in ("verdict", "rows", "score_psi", "drifted")},
        "reports": {"quality": checked["report"], "model_risk": str(report), "drift": drift["report"]},
    }
    (out / _MARK).write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return summary


def _served(model: str, tables: Path, out: Path, home: Home, progress: Progress | None) -> Facts:
    """Start the endpoint, score the latest applications through it, and hold the answers against `score-batch`."""
    import pandas as pd

    from serving.client import ScoreClient, requests_from_tables
    from serving.launch import running_service

    folder = TableFolder.open(tables)
    applications = folder.read("applications", ["application_id", "applied_at"])
    if folder.dates == "relative":  # the latest hours of one made-up week are no sample of anything
        chosen_rows = applications.sample(min(SCORED_REQUESTS, len(applications)), random_state=0)
    else:
        chosen_rows = applications.sort_values(["applied_at", "application_id"]).tail(SCORED_REQUESTS)
    requests = requests_from_tables(folder, chosen_rows["application_id"].tolist())
    registry = home.registry()
    chosen = registry.find(model)
    bundle = registry.download(chosen, out / "serving" / "bundle")
    with running_service(bundle, home.log, version=chosen.version) as url, ScoreClient(url) as client:
        answers = []
        for at, request in enumerate(requests):
            if progress:
                progress("serve and score", at / len(requests))
            answers.append(client.score(request))
    last = answers[-1]
    batch = pd.read_parquet(out / "scores.parquet").set_index("application_id")["pd"]
    difference = max(abs(answer.pd - batch[answer.application_id]) for answer in answers)
    return {
        **last.model_dump(include={"pd", "score", "log_odds", "sum_of_attributions_minus_log_odds", "bundle"}),
        "reasons": [reason.model_dump() for reason in last.reasons],
        "requests": len(answers),
        "largest_difference_to_score_batch": float(difference),
    }


def _clear(out: Path) -> None:
    """Remove what an earlier demo wrote, and nothing else."""
    if not out.exists():
        return
    if not out.is_dir() or (any(out.iterdir()) and not (out / "home").is_dir() and not (out / _MARK).is_file()):
        raise SourceError(f"{out} exists and was not written by the demo; name another folder with --out.")
    for name in ("tables", "home", "drift", "serving"):
        shutil.rmtree(out / name, ignore_errors=True)
    for name in ("features.parquet", "scores.parquet", "quality.html", "model_risk_report.html", _MARK):
        (out / name).unlink(missing_ok=True)


class _Step:
    """One step while it runs: its part of the bar, and the rows it went over."""

    def __init__(self, progress: Progress | None) -> None:
        self.progress = progress
        self.rows: int | None = None


class _Steps:
    """Times the steps and keeps one bar over all of them."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self.done: list[dict[str, Any]] = []

    @contextmanager
    def __call__(self, name: str, low: float, high: float) -> Iterator[_Step]:
        tell = self._progress
        if tell is not None:
            tell(name, low)
        step = _Step(None if tell is None else lambda text, share: tell(text, low + (high - low) * share))
        started = time.perf_counter()
        yield step
        self.done.append({"step": name, "seconds": round(time.perf_counter() - started, 2), "rows": step.rows})
