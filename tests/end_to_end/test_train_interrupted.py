"""A training that is interrupted or killed registers nothing, and the same command goes on to the same bundle."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.command_line import COMMAND, ENVIRONMENT, Ran, run
from tests.end_to_end.conftest import Trained
from workspace import Home


def trained_parts(home: Path) -> set[str]:
    return {path.name for path in home.glob("checkpoints/*/*") if path.suffix != ".draft"}


def begun(trained: Trained, home: Path, *, parts: int) -> subprocess.Popen[str]:
    """`lendwell train` as a process of its own that has trained as many parts."""
    command = [*COMMAND, "--json", "train", str(trained.experiment), "--data", str(trained.tables), "--home", str(home)]
    process = subprocess.Popen(
        command, cwd=home.parent, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 180
    while len(trained_parts(home)) < parts:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no part was trained in 180 seconds"
        time.sleep(0.02)
    return process


def ended(process: subprocess.Popen[str]) -> Ran:
    out, err = process.communicate(timeout=180)
    return Ran(process.returncode, out, err)


def test_interrupted_and_killed_it_goes_on_to_the_same_bundle(trained: Trained, tmp_path: Path) -> None:
    home = tmp_path / "home"
    interrupted = begun(trained, home, parts=1)
    interrupted.send_signal(signal.SIGINT)
    told = ended(interrupted)
    assert (told.code, told.out) == (130, "")
    assert "Interrupted. Nothing was registered; the same command goes on" in told.err
    assert "Traceback" not in told.err
    assert Home(home).registry().client.search_registered_models() == []

    kept = trained_parts(home)
    killed = begun(trained, home, parts=len(kept) + 1)
    killed.kill()
    assert ended(killed).code == -signal.SIGKILL
    registry = Home(home).registry()
    assert registry.client.search_registered_models() == []
    assert kept < trained_parts(home)
    refused = run("promote", "quick", "--approver", "reviewer", "--home", home)
    assert "has no model 'quick'" in refused.err

    again = run("--json", "train", trained.experiment, "--data", trained.tables, "--home", home)
    assert again.code == 0, again.err
    assert again.facts["model"] == "quick/1"
    assert again.facts["bundle_identity"] == trained.steps["train"].facts["bundle_identity"]
    assert registry.load("quick")[0].identity == again.facts["bundle_identity"]
    assert not (home / "checkpoints").exists()
    runs = registry.client.search_runs([registry.client.get_experiment_by_name("quick").experiment_id])
    assert [found.info.status for found in runs] == ["FINISHED"]
    _the_run_tells_all(home, again)


def test_killed_while_its_run_is_logged_it_leaves_no_version_and_no_running_run(
    trained: Trained, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    process = begun(trained, home, parts=1)
    deadline = time.monotonic() + 180
    while not statuses(home):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no run was logged in 180 seconds"
    process.kill()
    assert ended(process).code == -signal.SIGKILL
    assert statuses(home) == ["RUNNING"]
    assert Home(home).registry().client.search_registered_models() == []
    again = run("--json", "train", trained.experiment, "--data", trained.tables, "--home", home)
    assert again.code == 0, again.err
    assert (again.facts["model"], len(again.facts["runs_marked_failed"])) == ("quick/1", 1)
    assert again.facts["bundle_identity"] == trained.steps["train"].facts["bundle_identity"]
    assert sorted(statuses(home)) == ["FAILED", "FINISHED"]


def statuses(home: Path) -> list[str]:
    """Of all runs in MLflow's store, read as quickly as can be."""
    with closing(sqlite3.connect(home / "mlflow.db")) as store:
        return [status for (status,) in store.execute("SELECT status FROM runs")]


def test_the_same_training_is_not_begun_twice(trained: Trained, tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = begun(trained, home, parts=1)
    told = run("train", trained.experiment, "--data", trained.tables, "--home", home)
    assert told.code == 2
    assert "Another process trains quick on these tables right now. Wait until it has ended" in told.err
    assert first.poll() is None
    first.kill()
    first.communicate()


def _the_run_tells_all(home: Path, again: Ran) -> None:
    """Parameters, figures a fold with intervals, hashes, curves and drawings."""
    client = Home(home).registry().client
    logged = client.get_run(again.facts["run_id"])
    assert logged.data.params["boosted.n_estimators"] == "20"
    assert logged.data.params["part.boosted.reg_lambda"]
    assert logged.data.params["seed"] == "7"
    metrics = logged.data.metrics
    assert metrics["oof_auc_boosted_low"] <= metrics["oof_auc_boosted"] <= metrics["oof_auc_boosted_high"]
    assert metrics["oof_auc_calibrated"] == again.facts["out_of_fold_auc"]["calibrated"]
    assert 0 <= metrics["oof_ece"] < 1
    tags = logged.data.tags
    assert {len(tags[name]) for name in ("data_identity", "feature_set_identity", "lock_sha256")} == {64}
    assert tags["commit"]
    for name in ("boosted", "tabular_net", "sequence_net", "blend", "calibrated"):
        by_fold = client.get_metric_history(logged.info.run_id, f"fold_auc_{name}")
        assert sorted(point.step for point in by_fold) == [1, 2]
    assert len(client.get_metric_history(logged.info.run_id, "tuning_auc")) == 2
    artifacts = Path(logged.info.artifact_uri.removeprefix("file://"))
    found = {path.relative_to(artifacts).as_posix() for path in artifacts.rglob("*") if path.is_file()}
    assert found >= {
        "folds/folds.json", "curves/test.svg", "tuning/search.svg", "tuning/trials.csv", "tuning/importances.json",
        "report/model_risk_report.html",
    }  # fmt: skip
    for drawing in artifacts.rglob("*.svg"):
        text = drawing.read_text(encoding="utf-8")
        assert "var(--" not in text
        assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_trials_lie_where_the_url_says_and_a_search_too_short_warns(trained: Trained, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'studies.db'}"
    home = tmp_path / "home"
    words = ("tune", trained.experiment, "--data", trained.tables, "--home", home, "--storage", storage)
    told = run("--json", *words, "--trials", 1)
    assert told.code == 0, told.err
    assert [warned["code"] for warned in told.facts["warnings"]] == ["search_too_short"]
    assert (told.facts["trials"], told.facts["ended"]) == (1, {"complete": 1})
    assert (tmp_path / "studies.db").is_file()
    assert not home.exists()
    people = run(*words, "--trials", 1)
    assert "Only 1 trial finished, so nothing was compared: raise --trials or --seconds." in people.out


def test_a_full_disk_is_told_and_registers_nothing(
    trained: Trained, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(small_disk))
    words = ("train", trained.experiment, "--data", trained.tables, "--home", tmp_path / "home")
    told = run(*words)
    assert told.code == 1
    assert "The disk is full" in told.err
    assert "Nothing was registered; make room and run the same command again" in told.err
    assert Home(tmp_path / "home").registry().client.search_registered_models() == []
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    again = run("--json", *words)
    assert again.code == 0, again.err
    assert again.facts["bundle_identity"] == trained.steps["train"].facts["bundle_identity"]
