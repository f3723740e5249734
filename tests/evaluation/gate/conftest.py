"""A small simulated lender and two bundles of trees trained on it, made once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from data_contracts.folder import TableFolder
from lenders import simulated
from training import run
from training.bundle import Bundle
from training.experiment import Experiment

TREES = {
    "name": "trees",
    "feature_set": "application_v1",
    "parts": ["boosted"],
    "folds": 2,
    "sequence_length": 8,
    "target": {"kind": "dpd", "dpd": 30, "months_on_book": 6},
    "split": {"method": "out_of_time", "test_share": 0.4},
    "boosted": {"n_estimators": 15, "max_depth": 2, "min_child_weight": 1.0, "n_seeds": 1, "early_stopping_rounds": 0},
}


@dataclass(frozen=True)
class Two:
    """A folder of tables, and two bundles of the same experiment with other trees, as folders."""

    folder: TableFolder
    first: Path
    second: Path

    @property
    def champion(self) -> Bundle:
        return Bundle.load(self.first)

    @property
    def challenger(self) -> Bundle:
        return Bundle.load(self.second)


@pytest.fixture(scope="session")
def two(tmp_path_factory: pytest.TempPathFactory) -> Two:
    place = tmp_path_factory.mktemp("two")
    folder = simulated.write(simulated.simulate(customers=700, months=24, seed=5), place / "tables")
    for name, trees in (("first", 15), ("second", 25)):
        experiment = Experiment.model_validate(TREES | {"boosted": TREES["boosted"] | {"n_estimators": trees}})
        run.train(experiment, folder, run.prepare_for(experiment, folder)).save(place / name)
    return Two(folder, place / "first", place / "second")
