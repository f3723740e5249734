"""The whole way through the real command line: records in, a served, explained and monitored champion out."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from data_contracts.folder import TableFolder
from data_contracts.messages import parse_request
from serving.decision_log import DecisionLog
from tests.command_line import COMMAND, ENVIRONMENT, ROOT, run, start
from tests.end_to_end.conftest import QUICK, Trained


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def served(trained: Trained) -> Iterator[str]:
    """`lendwell serve` as a process of its own, ready to answer; yields its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [*COMMAND, "serve", "--model", "quick", "--home", "home", "--port", str(port)]
    with (trained.folder / "serve.txt").open("wb") as output:
        service = subprocess.Popen(command, cwd=trained.folder, stdout=output, stderr=output, env=ENVIRONMENT)
    try:
        deadline = time.monotonic() + 90
        while True:
            with suppress(httpx.HTTPError):
                if httpx.get(f"{url}/readyz", trust_env=False, timeout=2).status_code == 200:
                    break
            assert service.poll() is None, (trained.folder / "serve.txt").read_text()
            assert time.monotonic() < deadline, "not ready after 90 seconds"
            time.sleep(0.1)
        yield url
    finally:
        service.terminate()
        assert service.wait(30) == 0


def test_records_become_a_served_explained_and_monitored_champion(trained: Trained, tmp_path: Path) -> None:
    told = trained.steps["train"].facts
    assert told["aliases"] == ["champion"]
    assert 0.0 < told["auc_low"] <= told["auc"] <= told["auc_high"] <= 1.0
    assert 0.0 <= told["ks"] <= 1.0
    assert 0.0 <= told["brier"] <= 1.0
    assert told["additivity_error"] < 1e-6
    assert "<html" in (trained.folder / "report.html").read_text(encoding="utf-8")

    scores = pd.read_parquet(trained.folder / "scores.parquet")
    assert list(scores.columns) == ["application_id", "pd", "score"]
    applications = TableFolder.open(trained.tables).read("applications")["application_id"]
    assert sorted(scores["application_id"]) == sorted(applications)
    assert scores["pd"].between(0, 1).all()
    assert scores["pd"].corr(scores["score"], method="spearman") == pytest.approx(-1.0)

    chosen = scores.sort_values("pd").iloc[[0, len(scores) // 2, -1]].set_index("application_id")
    with served(trained) as url:
        for application, row in chosen.iterrows():
            asked = run("--json", "score", "--data", trained.tables, "--application", application, "--url", url)
            assert asked.code == 0, asked.err
            answer = asked.facts
            assert answer["pd"] == pytest.approx(row["pd"], abs=1e-9)
            assert answer["score"] == pytest.approx(row["score"], abs=1e-6)
            assert answer["bundle"]["identity"] == told["bundle_identity"]
            assert abs(answer["sum_of_attributions_minus_log_odds"]) < 1e-6
            assert len(answer["reasons"]) <= 4
            assert all(reason["zh"] and reason["en"] for reason in answer["reasons"])
            alone = run(
                "--json", "score", "--data", trained.tables, "--application", application,
                "--model", "quick", "--home", trained.home,
            )  # fmt: skip
            assert alone.facts["pd"] == answer["pd"]
            assert alone.facts["reasons"] == answer["reasons"]
            with DecisionLog.open(f"sqlite:///{trained.home}/decisions.db") as log:
                assert log.get(answer["decision_id"])[0].pd == answer["pd"]
    assert answer["reasons"], "the riskiest applicant of all has reasons"

    watched = start("--json", "monitor", "--model", "quick", "--home", "home", "--out", "drift", cwd=trained.folder)
    assert watched.code == 0, watched.err
    assert watched.facts["rows"] == 3
    drift = json.loads((trained.folder / "drift" / "drift.json").read_text())
    assert drift["rows"] == 3
    assert "<html" in (trained.folder / "drift" / "drift.html").read_text(encoding="utf-8")

    replayed = start("--json", "replay", "--all", "--home", "home", cwd=trained.folder)
    assert (replayed.code, replayed.facts["replayed"], replayed.facts["first_differences"]) == (0, 3, []), replayed.err
    verified = run("--json", "log", "verify", "--home", trained.home)
    assert (verified.code, verified.facts["whole"], verified.facts["entries"]) == (0, True, 3)
    with DecisionLog.open(f"sqlite:///{trained.home}/decisions.db") as log:
        decision, text = log.get(answer["decision_id"])
    other = f"sqlite:///{tmp_path}/decisions.db"
    with DecisionLog.open(other) as log:
        log.append(parse_request(text), replace(decision, bundle_identity="c" * 64))
    absent = run("--json", "replay", "--all", "--home", trained.home, "--log-url", other)
    assert (absent.code, absent.facts["same"], absent.facts["not_replayed"]) == (3, False, {"c" * 64: 1})


def test_a_champion_measured_again_gives_the_same_figures(trained: Trained, tmp_path: Path) -> None:
    told = trained.steps["train"].facts
    report = tmp_path / "again.html"
    at_home = ("--model", "quick", "--data", trained.tables, "--home", trained.home)
    measured = run("--json", "evaluate", *at_home, "--out", report).facts
    assert measured["model"] == "quick/1"
    assert measured["rows"] == told["rows"]["test"]
    assert {name: measured[name] for name in ("auc", "auc_low", "auc_high", "ks", "brier")} == {
        name: told[name] for name in ("auc", "auc_low", "auc_high", "ks", "brier")
    }
    assert "<html" in report.read_text(encoding="utf-8")


def test_the_demo_on_real_records_and_a_batch_it_has_never_seen(real_data: Path, tmp_path: Path) -> None:
    applications = pd.read_parquet(real_data / "home_credit" / "application_train.parquet")
    for name, rows in {"known": applications.iloc[:1000], "unseen": applications.iloc[1000:1100]}.items():
        (tmp_path / name).mkdir()
        for file in (real_data / "home_credit").glob("*.parquet"):
            (tmp_path / name / file.name).symlink_to(file)
        (tmp_path / name / "application_train.parquet").unlink()
        rows.to_parquet(tmp_path / name / "application_train.parquet", index=False)
    label = QUICK.replace('kind = "dpd"', 'kind = "label"').replace("out_of_time", "random")
    (tmp_path / "quick.toml").write_text(label)

    words = ("demo", "--lender", "home-credit", "--source", "known", "--experiment", "quick.toml", "--out", "demo")
    ended = start(*words, cwd=tmp_path)
    assert ended.code == 0, ended.err
    summary = json.loads((tmp_path / "demo" / "summary.json").read_text(encoding="utf-8"))
    _holds_what_a_reviewer_asks(summary, tmp_path)
    assert summary["model"]["rows"]["train"] + summary["model"]["rows"]["test"] == 1000

    assert run("import", "home-credit", tmp_path / "unseen", "--out", tmp_path / "tables").code == 0
    scored = run(
        "--json", "score-batch", "--model", "quick", "--data", tmp_path / "tables",
        "--out", tmp_path / "scores.parquet", "--home", tmp_path / "demo" / "home",
    )  # fmt: skip
    assert scored.code == 0, scored.err
    assert scored.facts["bundle_identity"] == summary["model"]["bundle_identity"]
    assert len(pd.read_parquet(tmp_path / "scores.parquet")) == 100


def _holds_what_a_reviewer_asks(summary: dict[str, Any], folder: Path) -> None:
    steps = [step["step"] for step in summary["steps"]]
    assert steps == [
        "records", "contracts", "features", "train", "gate and promote", "score-batch", "serve and score", "monitor"
    ]  # fmt: skip
    for step in summary["steps"]:
        assert step["seconds"] >= 0
        assert step["rows"] >= 0
    model, answer = summary["model"], summary["answer"]
    assert model["aliases"] == ["champion"]
    assert summary["gate"]["criteria"]["parity_mismatches"] == "passed"
    assert summary["gate"]["criteria"]["gini_fall"] == "not_asked"  # its dates are made up
    assert model["auc_low"] <= model["auc"] <= model["auc_high"]
    assert {"ks", "brier"} <= set(model)
    assert {"pd", "score", "reasons", "sum_of_attributions_minus_log_odds"} <= set(answer)
    assert abs(answer["sum_of_attributions_minus_log_odds"]) < 1e-6
    assert answer["largest_difference_to_score_batch"] < 1e-9
    for page in summary["reports"].values():
        assert "<html" in (folder / page).read_text(encoding="utf-8")


def test_the_module_runs_from_anywhere(tmp_path: Path) -> None:
    assert str(ROOT) not in str(tmp_path)
    ended = start("--json", "simulate", "--customers", 20, "--months", 12, "--out", "tables", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert ended.facts["folder"] == "tables"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tables"]
