"""Tuning: seeded, resumable, within its budget."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState

from data_contracts.errors import DeclarationError, TrainingError
from tests.command_line import ENVIRONMENT
from training.boosted import BoostedClassifier
from training.tune import tune

SPACE = {
    "max_depth": {"low": 1, "high": 3},
    "learning_rate": {"low": 0.05, "high": 0.3, "log": True},
    "max_bin": {"choices": [32, 64]},
}
BASE = BoostedClassifier(n_estimators=5, early_stopping_rounds=0, min_child_weight=1, monotone={"utilisation": 1})


WORKER = """
import sys
import numpy as np
from tests.training.test_tune import SLOW, SPACE, some_loans
from training.tune import tune
tune(*some_loans(), SPACE, base=SLOW, n_trials=int(sys.argv[2]), storage=sys.argv[1])
"""
SLOW = BoostedClassifier(**{**BASE.get_params(), "n_estimators": 400})


def some_loans():
    rng = np.random.default_rng(5)
    X = pd.DataFrame(rng.normal(size=(300, 2)), columns=["utilisation", "noise"])
    return X, (X["utilisation"] + rng.normal(size=300) > 0.5).astype(int).to_numpy()


@pytest.fixture
def loans():
    return some_loans()


@contextmanager
def worker(storage: str, trials: int) -> Iterator[subprocess.Popen[str]]:
    """A process that searches on the storage."""
    command = [sys.executable, "-c", WORKER, storage, str(trials)]
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def trials_of(storage: str) -> list[optuna.trial.FrozenTrial]:
    """Trials of a study that other processes work on; none where it is not there yet."""
    try:
        return optuna.load_study(study_name="boosted", storage=storage).get_trials()
    except Exception:
        return []


def until(found) -> None:
    deadline = time.monotonic() + 90
    while not found():
        assert time.monotonic() < deadline, "nothing after 90 seconds"
        time.sleep(0.2)


def test_finds_parameters_within_the_space(loans):
    X, y = loans
    told: list[float] = []
    found = tune(X, y, SPACE, base=BASE, n_trials=6, progress=lambda text, share: told.append(share))
    assert set(found.best_params) == set(SPACE)
    assert 1 <= found.best_params["max_depth"] <= 3
    assert found.best_auc == found.trials["value"][found.trials["state"] == "COMPLETE"].max() > 0.7
    assert told[-1] == 1.0
    BoostedClassifier(**found.best_params).fit(X, y)


def test_same_seed_same_search(loans):
    X, y = loans
    first, second = (tune(X, y, SPACE, base=BASE, n_trials=3, random_state=4) for _ in range(2))
    assert first.best_params == second.best_params
    assert first.trials["value"].tolist() == second.trials["value"].tolist()


def test_goes_on_where_it_stopped(loans, tmp_path: Path):
    X, y = loans
    storage = f"sqlite:///{tmp_path / 'tune.db'}"
    first = tune(X, y, SPACE, base=BASE, n_trials=2, storage=storage)
    then = tune(X, y, SPACE, base=BASE, n_trials=4, storage=storage)
    assert (len(first.trials), len(then.trials)) == (2, 4)
    assert then.trials["params_learning_rate"].nunique() == 4  # no trial is drawn twice
    assert len(tune(X, y, SPACE, base=BASE, n_trials=4, storage=storage).trials) == 4
    with pytest.raises(TrainingError, match="another space"):
        tune(X, y, {"max_depth": {"low": 1, "high": 2}}, base=BASE, n_trials=4, storage=storage)


def test_seconds_end_the_search(loans):
    X, y = loans
    found = tune(X, y, SPACE, base=BASE, seconds=0.5, groups=np.arange(300) // 2)
    assert 1 <= len(found.trials) < 200


def test_a_killed_search_goes_on_as_if_it_had_not_been_killed(tmp_path: Path):
    storage = f"sqlite:///{tmp_path / 'tune.db'}"
    with worker(storage, 5000) as killed:

        def in_the_middle() -> bool:
            assert killed.poll() is None, killed.stderr.read()
            killed.send_signal(signal.SIGSTOP)  # it is killed where it stands, in a trial that has begun
            trials = trials_of(storage)
            running = [trial for trial in trials if trial.state == TrialState.RUNNING]
            if len(trials) > 2 and running and "turn" in running[0].user_attrs:
                return True
            killed.send_signal(signal.SIGCONT)
            return False

        until(in_the_middle)
    left = [trial.state for trial in trials_of(storage)]
    assert left.count(TrialState.RUNNING) == 1
    done = len(left) - left.count(TrialState.RUNNING)
    wanted = done + 2
    resumed = tune(*some_loans(), SPACE, base=SLOW, n_trials=wanted, storage=storage)
    assert "running" not in resumed.counts
    assert resumed.counts.get("fail", 0) == left.count(TrialState.RUNNING)
    assert resumed.counts["complete"] + resumed.counts.get("pruned", 0) == wanted
    whole = tune(*some_loans(), SPACE, base=SLOW, n_trials=wanted)
    assert (resumed.best_params, resumed.best_auc) == (whole.best_params, whole.best_auc)
    finished = resumed.trials[resumed.trials["state"] != "FAIL"]
    assert finished["value"].tolist() == whole.trials["value"].tolist()


def test_two_processes_share_a_study_on_postgresql(postgres: str):
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE tuning")
    storage = postgres.replace("/postgres?", "/tuning?")
    with worker(storage, 12) as first, worker(storage, 12) as second:
        for process in (first, second):
            _, told = process.communicate(timeout=120)
            assert process.returncode == 0, told
    found = tune(*some_loans(), SPACE, base=SLOW, n_trials=12, storage=storage)
    assert found.counts.keys() <= {"complete", "pruned"}
    assert 12 <= len(found.trials) <= 13  # each finishes the trial that it was at
    assert found.trials["params_learning_rate"].nunique() == len(found.trials)
    assert found.trials["user_attrs_worker"].nunique() == 2


def test_what_a_search_says_of_itself(loans):
    X, y = loans
    found = tune(X, y, SPACE, base=BASE, n_trials=6)
    assert sum(found.importances.values()) == pytest.approx(1.0)
    assert list(found.importances.values()) == sorted(found.importances.values(), reverse=True)
    assert found.counts == {"complete": len(found.trials)} or "pruned" in found.counts
    assert found.warnings == []
    short = tune(X, y, SPACE, base=BASE, n_trials=1)
    assert short.importances == {}
    assert [warned.code for warned in short.warnings] == ["search_too_short"]
    assert all(warned.zh and "--trials" in warned.en for warned in short.warnings)


def test_a_search_that_is_no_better_than_chance_says_so():
    rng = np.random.default_rng(0)
    X, y = pd.DataFrame({"utilisation": np.ones(200)}), rng.integers(0, 2, 200)
    found = tune(X, y, SPACE, base=BASE, n_trials=2)
    assert found.best_auc == 0.5
    assert found.importances == {}
    assert [warned.code for warned in found.warnings] == ["search_found_nothing"]


def test_no_budget_and_no_storage(loans):
    X, y = loans
    with pytest.raises(DeclarationError, match="no budget"):
        tune(X, y, SPACE)
    for storage in ("nowhere://x", "no url", "sqlite:////proc/none/tune.db"):
        with pytest.raises(TrainingError, match=r"storage of the tuning at .*Check --storage \(sqlite:///FILE or"):
            tune(X, y, SPACE, n_trials=1, storage=storage)
    with pytest.raises(TrainingError, match=r"127\.0\.0\.1:9/studies") as caught:
        tune(X, y, SPACE, n_trials=1, storage="postgresql://searcher:secret@127.0.0.1:9/studies")
    assert "secret" not in str(caught.value)
