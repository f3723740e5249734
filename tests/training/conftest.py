"""A tiny simulated lender and a bundle trained on it, made once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from data_contracts.folder import TableFolder
from lenders import simulated
from tests.postgres import running_postgres
from training import run
from training.bundle import Bundle
from training.experiment import Experiment
from training.run import Rows

TINY = {
    "name": "tiny",
    "feature_set": "application_v1",
    "folds": 2,
    "sequence_length": 8,
    "target": {"kind": "dpd", "dpd": 5, "months_on_book": 3},
    "split": {"method": "out_of_time", "test_share": 0.3},
    "boosted": {"n_estimators": 10, "max_depth": 2, "min_child_weight": 1.0, "n_seeds": 1, "early_stopping_rounds": 0},
    "tabular_net": {"k": 2, "d_block": 8, "max_epochs": 3, "n_seeds": 1},
    "sequence_net": {"hidden": 8, "max_epochs": 3},
}


@dataclass(frozen=True)
class Tiny:
    """The lender's tables, the experiment, its rows and the bundle trained on them, saved."""

    folder: TableFolder
    experiment: Experiment
    rows: Rows
    bundle: Bundle
    path: Path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    home = tmp_path_factory.mktemp("tiny")
    folder = simulated.write(simulated.simulate(customers=500, months=18, seed=3), home / "tables")
    experiment = Experiment.model_validate(TINY)
    rows = run.prepare_for(experiment, folder)
    bundle = run.train(experiment, folder, rows).save(home / "bundle")
    return Tiny(folder, experiment, rows, bundle, home / "bundle")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a real PostgreSQL server."""
    with running_postgres() as server:
        yield server.get_uri()
