"""One trained home for all: a small simulated lender, a quick experiment, the real command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.command_line import Ran, start

QUICK = """
name = "quick"
feature_set = "application_v1"
folds = 2
sequence_length = 16

[target]
kind = "dpd"
dpd = 30
months_on_book = 6

[split]
method = "out_of_time"
test_share = 0.3

[boosted]
n_estimators = 20
min_child_weight = 2.0
max_depth = 2
n_seeds = 1
early_stopping_rounds = 0

[tabular_net]
k = 2
d_block = 8
max_epochs = 3
n_seeds = 1

[sequence_net]
hidden = 8
max_epochs = 2

[tuning]
trials = 2

[tuning.space]
max_depth = { low = 1, high = 2 }
"""


@dataclass(frozen=True)
class Trained:
    """Where a trained lender lies, and how each step so far ended."""

    folder: Path
    steps: dict[str, Ran]

    @property
    def tables(self) -> Path:
        return self.folder / "tables"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def experiment(self) -> Path:
        return self.folder / "quick.toml"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Simulate, validate, train and score in batch, each step a process of its own."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "quick.toml").write_text(QUICK)
    at_home = ("--data", "tables", "--home", "home")
    steps = {
        "simulate": ("simulate", "--out", "tables", "--customers", 1000, "--months", 24),
        "validate": ("validate", "tables"),
        "train": ("train", "quick.toml", *at_home, "--report", "report.html"),
        "score-batch": ("score-batch", "--model", "quick", *at_home, "--out", "scores.parquet"),
    }
    ended = {}
    for name, words in steps.items():
        ended[name] = start("--json", *words, cwd=folder)
        assert ended[name].code == 0, ended[name].err
    return Trained(folder, ended)
