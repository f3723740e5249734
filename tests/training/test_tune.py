"""Tuning: declared space checked as a whole, seeded, resumable, within its budget."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_contracts.errors import DeclarationError, TrainingError
from training.boosted import BoostedClassifier
from training.tune import check_space, tune

SPACE = {
    "max_depth": {"low": 1, "high": 3},
    "learning_rate": {"low": 0.05, "high": 0.3, "log": True},
    "max_bin": {"choices": [32, 64]},
}
BASE = BoostedClassifier(n_estimators=5, early_stopping_rounds=0, min_child_weight=1, monotone={"utilisation": 1})


@pytest.fixture
def loans():
    rng = np.random.default_rng(5)
    X = pd.DataFrame(rng.normal(size=(300, 2)), columns=["utilisation", "noise"])
    return X, (X["utilisation"] + rng.normal(size=300) > 0.5).astype(int).to_numpy()


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


def test_every_fault_of_the_space_is_listed():
    space = {
        "depth": {"low": 1, "high": 2},
        "max_depth": {"low": 1.5, "high": 2},
        "learning_rate": {"low": 0, "high": 0.1, "log": True, "logg": True},
        "subsample": {"low": 0.9, "high": 0.5},
        "gamma": {"low": 0.0},
        "max_bin": {"choices": []},
        "reg_alpha": 3,
    }
    with pytest.raises(DeclarationError) as error:
        check_space(space)
    for fault in (
        "depth: is not tunable",
        "max_depth: low and high must be whole numbers, not 1.5 and 2",
        "learning_rate: unknown key 'logg'",
        "learning_rate: log needs low above 0, not 0",
        "subsample: low 0.9 is above high 0.5",
        "gamma: high missing",
        "max_bin: choices must be a list of whole numbers, not []",
        "reg_alpha: must be a table",
    ):
        assert fault in str(error.value)


def test_no_budget_and_no_storage(loans):
    X, y = loans
    with pytest.raises(DeclarationError, match="no budget"):
        tune(X, y, SPACE)
    with pytest.raises(TrainingError, match="storage of the tuning"):
        tune(X, y, SPACE, n_trials=1, storage="nowhere://x")
