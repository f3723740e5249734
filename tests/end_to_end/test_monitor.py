"""The monitor through the real command line: looks, outcomes, a watch that ends on SIGTERM, a challenger on drift."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_contracts.folder import TableFolder
from serving.client import requests_from_tables
from serving.decision_log import Decision, DecisionLog, new_decision_id
from serving.scorer import Scorer
from tests.command_line import COMMAND, ENVIRONMENT, Ran, refused, run
from tests.end_to_end.conftest import QUICK, Trained
from workspace import Home

N = 120
RETRAIN = (
    QUICK[: QUICK.index("[tuning]")].replace("n_estimators = 20", "n_estimators = 4").replace("seed = 0", "seed = 1")
)


@dataclass(frozen=True)
class Monitored:
    """A home of its own whose log holds answers, half of them of yesterday, and the applications they went to."""

    home: Path
    tables: Path
    applications: list[str]

    def run(self, *words: object) -> Ran:
        return run("--json", *words, "--home", self.home)


def log_answers(place: Home, tables: Path, applications: list[str], *, incomes: float = 1.0, mark: str = "") -> None:
    """Score applications as the endpoint does and log the answers, half of them as of yesterday."""
    bundle, registered = place.registry().load("quick")
    scorer, now = Scorer(bundle, registered.version), datetime.now(UTC).replace(tzinfo=None)
    with DecisionLog.open(place.log) as log:
        for at, request in enumerate(requests_from_tables(TableFolder.open(tables), applications)):
            told = request.application
            income = told.income_monthly and int(told.income_monthly * incomes)
            changed = {"application_id": told.application_id + mark, "income_monthly": income}
            asked = request.model_copy(update={"application": told.model_copy(update=changed)})
            scored = scorer.score(asked)
            log.append(
                asked,
                Decision(
                    decision_id=new_decision_id(),
                    request_id=f"r{at}",
                    decided_at=now - timedelta(days=at % 2, minutes=1),
                    decision_point="application",
                    bundle_name=bundle.name,
                    bundle_version=registered.version,
                    bundle_identity=bundle.identity,
                    feature_set_identity=bundle.feature_set.identity,
                    features=scored.features,
                    log_odds=scored.log_odds,
                    pd=scored.pd,
                    score=scored.score,
                    response={"reasons": [reason.model_dump() for reason in scored.reasons]},
                ),
            )


@pytest.fixture(scope="module")
def monitored(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Monitored:
    home = tmp_path_factory.mktemp("monitored") / "home"
    shutil.copytree(trained.home, home, ignore=shutil.ignore_patterns("decisions.db*"))
    everyone = TableFolder.open(trained.tables).read("applications", ["application_id", "customer_id"])
    apart = everyone.drop_duplicates("customer_id")  # a customer who comes again counts once
    applications = apart["application_id"].sample(N, random_state=1).tolist()
    log_answers(Home(home), trained.tables, applications)
    return Monitored(home, trained.tables, applications)


def test_a_look_tells_drift_by_day_and_performance_as_outcomes_mature(monitored: Monitored, tmp_path: Path) -> None:
    words = ("monitor", "--model", "quick", "--out", tmp_path / "drift", "--alerts", tmp_path / "alerts.jsonl")
    before = monitored.run(*words, "--metrics", tmp_path / "lendwell.prom")
    assert before.code == 0, before
    assert (before.facts["rows"], before.facts["realised_auc"]) == (N, None)
    told = json.loads((tmp_path / "drift" / "drift.json").read_text())
    assert [day["rows"] for day in told["days"]] == [N // 2, N // 2]
    assert {one["name"] for one in told["mix"]} == {"reason", "product", "channel", "amount"}
    assert told["expected"]["auc"]["value"] is not None
    assert "lendwell_monitor_decisions" in (tmp_path / "lendwell.prom").read_text()

    outcomes = pd.DataFrame({"application_id": monitored.applications})
    outcomes["defaulted"] = (np.arange(N) % 4 == 0).astype(int)
    outcomes["observed_at"] = "2026-01-01"
    outcomes.to_csv(tmp_path / "outcomes.csv", index=False)
    taken = monitored.run("outcomes", "import", tmp_path / "outcomes.csv")
    assert (taken.code, taken.facts["new"]) == (0, N), taken
    assert monitored.run("outcomes", "import", tmp_path / "outcomes.csv").facts["known"] == N
    after = monitored.run(*words)
    performance = json.loads((tmp_path / "drift" / "drift.json").read_text())["performance"]
    assert (performance[-1]["month"], performance[-1]["matured"], performance[-1]["bad"]) == ("all", N, N // 4)
    assert after.facts["realised_auc"] == performance[-1]["auc"]["value"]


def test_what_cannot_be_looked_at_is_told(monitored: Monitored, tmp_path: Path) -> None:
    future = ("monitor", "--model", "quick", "--since", "2099-01-01", "--home", monitored.home)
    assert "holds no answer of quick/1 since 2099-01-01" in refused(*future, code=1)
    retrain = ("monitor", "--model", "quick", "--on-drift", "retrain", "--home", monitored.home)
    assert "needs --data" in refused(*retrain, code=1)
    nowhere = ("outcomes", "import", tmp_path / "absent.csv", "--home", tmp_path / "nowhere")
    assert "There is no decision log" in refused(*nowhere, code=2)
    absent = ("outcomes", "import", tmp_path / "absent.csv", "--home", monitored.home)
    assert "There is no file of outcomes" in refused(*absent, code=2)


def test_a_watch_looks_again_and_a_failing_webhook_does_not_end_it(monitored: Monitored, tmp_path: Path) -> None:
    words = ("--watch", "--times", 2, "--every", 0.1, "--webhook", "ftp://127.0.0.1/", "--out", tmp_path / "drift")
    ran = monitored.run("monitor", "--model", "quick", *words)
    told = [json.loads(line) for line in ran.out.splitlines()]
    assert (ran.code, [facts["round"] for facts in told]) == (0, [1, 2]), ran
    assert told[1]["alerts"] == []  # what was told is not told again on the same day
    nothing = monitored.run("monitor", "--model", "unknown", "--watch", "--times", 1, "--out", tmp_path / "drift")
    assert nothing.code == 0
    assert "unknown" in json.loads(nothing.out)["error"]


def test_sigterm_ends_a_watch_after_its_round(monitored: Monitored, tmp_path: Path) -> None:
    words = [
        "monitor",
        "--model",
        "quick",
        "--watch",
        "--every",
        "600",
        "--out",
        "drift",
        "--home",
        str(monitored.home),
    ]
    with subprocess.Popen(
        [*COMMAND, "--json", *words], cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as watch:
        assert watch.stdout is not None
        first = json.loads(watch.stdout.readline())
        watch.send_signal(signal.SIGTERM)
        assert (watch.wait(30), first["round"]) == (0, 1)
        assert watch.stdout.read() == ""


def test_drift_opens_one_challenger_and_promotes_nobody(monitored: Monitored, tmp_path: Path) -> None:
    """Incomes come ten times too high; the look finds it, trains, judges, and leaves the rest to a person."""
    home, experiment = tmp_path / "home", tmp_path / "retrain.toml"
    shutil.copytree(monitored.home, home)
    experiment.write_text(RETRAIN)
    log_answers(Home(home), monitored.tables, monitored.applications, incomes=10.0, mark="-again")
    words = ("--on-drift", "retrain", "--data", monitored.tables, "--experiment", experiment, "--author", "the watch")
    ran = run("--json", "monitor", "--model", "quick", *words, "--out", tmp_path / "drift", "--home", home)
    assert (ran.code, ran.facts["verdict"]) == (0, "drifted"), ran
    assert "application_income_monthly" in ran.facts["drifted"]
    opened = ran.facts["retrained"]
    assert (opened["challenger"], opened["opened"]) == ("quick/2", True)
    assert isinstance(opened["passed"], bool)
    registry = Home(home).registry()
    assert registry.find("quick@challenger").version == "2"
    assert registry.find("quick").version == "1"  # still the champion
    again = run("--json", "monitor", "--model", "quick", *words, "--out", tmp_path / "drift", "--home", home)
    assert (again.facts["retrained"]["challenger"], again.facts["retrained"]["opened"]) == ("quick/2", False)
