"""Experiments: TOML that is checked as a whole, so that one message lists every fault."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from data_contracts.errors import DeclarationError
from features.sets import feature_set
from training.experiment import Experiment, Target, experiment_names, read_experiment

GOOD = """
name = "cash_loans"
feature_set = "application_v1"

[target]
kind = "dpd"
dpd = 60

[split]
method = "out_of_time"
"""


@pytest.fixture
def toml(tmp_path: Path):
    def write(text: str) -> str:
        path = tmp_path / "experiment.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def faults(path: str) -> list[str]:
    with pytest.raises(DeclarationError) as caught:
        read_experiment(path)
    return str(caught.value).splitlines()[1:]


@pytest.mark.parametrize("name", experiment_names())
def test_every_experiment_that_comes_with_lendwell(name):
    experiment = read_experiment(name)
    assert experiment.name == name
    assert feature_set(experiment.feature_set).names
    assert experiment.text.startswith("#")
    assert "text" not in experiment.model_dump()
    assert read_experiment(name.replace("_", "-")) == experiment


def test_there_are_experiments_for_lenders_of_both_kinds():
    assert {"simulated", "home_credit", "taiwan", "card_monthly_status"} <= set(experiment_names())


def test_what_is_not_declared_has_its_default(toml):
    experiment = read_experiment(toml(GOOD))
    assert (experiment.target.dpd, experiment.target.months_on_book) == (60, 6)
    assert experiment.parts == ("boosted", "tabular_net", "sequence_net")
    assert (experiment.tuning.trials, experiment.boosted) == (0, {})


def test_what_a_bundle_keeps_reads_back(toml):
    experiment = read_experiment(toml(GOOD))
    again = Experiment.model_validate(experiment.model_dump(mode="json"))
    assert again == experiment.model_copy(update={"text": ""})


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("dpd = 60", "dpdd = 60", "- target.dpdd: there is no such key; did you mean dpd?"),
        ("dpd = 60", "dpd = 0", "- target.dpd: Input should be greater than or equal to 1"),
        ('kind = "dpd"', 'kind = "rumour"', "- target.kind: Input should be 'dpd', 'label' or 'card_dpd'"),
        ('name = "cash_loans"', "", "- name: is missing"),
        ('"cash_loans"', '"Cash Loans"', "- name: String should match pattern '^[a-z][a-z0-9_]{0,63}$'"),
        ("[split]\nmethod", "[spilt]\nmethod", "- spilt: there is no such key; did you mean split?"),
        ("[target]", "parts = []\n[target]", "- parts: Tuple should have at least 1 item after validation, not 0"),
        ("application_v1", "application_v0", "- There is no feature set 'application_v0'; there are: application_v1"),
        ("[split]", "[boosted]\ngama = 3\n[split]", "- boosted.gama: there is no such key; did you mean gamma?"),
        ("[split]", '[boosted]\nmax_depth = "deep"\n[split]', "- boosted.max_depth: 'deep' is no int"),
        ("[split]", "[boosted]\nn_seeds = true\n[split]", "- boosted.n_seeds: True is no int"),
        (
            "[split]",
            "boosted = 3\n[split]",
            "- target.boosted: there is no such key; keys: dpd, every_months, indeterminate_from, kind, ",
        ),
        (
            "dpd = 60",
            "dpd = 60\nindeterminate_from = 60",
            "- target.indeterminate_from: 60 is not below dpd 60, so nobody would be between",
        ),
        (
            "dpd = 60",
            "observed_from = 2024-03-01\nobserved_until = 2024-02-29",
            "- target.observed_until: 2024-02-29 lies before observed_from 2024-03-01",
        ),
        (
            "dpd = 60",
            'observed_from = "last year"',
            "- target.observed_from: Input should be a valid date or datetime, input is too short",
        ),
        ("dpd = 60", "every_months = 6", "- target.every_months: kind 'dpd' does not look at it; leave it out"),
        ('kind = "dpd"', 'kind = "label"', "- target.dpd: kind 'label' does not look at it; leave it out"),
        (
            'kind = "dpd"',
            'kind = "card_dpd"',
            '- target.kind: card_dpd looks at cards in use; give decision_point = "behaviour"',
        ),
        (
            "[split]",
            "[tuning]\ntrials = 3\n[tuning.space]\nmax_depth = { low = 4, high = 2 }\n[split]",
            "- search space of the tuning: max_depth: low 4 is above high 2",
        ),
        (
            "[split]",
            "[boosted]\nmonotone = 'up'\n[split]",
            "- boosted.monotone: must be a table with -1, 0 or 1 by feature",
        ),
        ("[target]", "parts = ['boosted', 'boosted']\n[target]", "- parts: boosted stands there twice"),
        (
            "[target]",
            "parts = ['tabular_net']\n[tuning]\ntrials = 3\nspace = { max_depth = { low = 1, high = 2 } }\n[target]",
            "- tuning: the search is of XGBoost, which is not among the parts; add boosted, or leave it out",
        ),
    ],
)  # fmt: skip
def test_a_fault_is_named_by_its_place(toml, before, after, fault):
    assert before in GOOD
    assert any(told.startswith(fault) for told in faults(toml(GOOD.replace(before, after))))


def test_a_number_may_be_whole_where_a_fraction_is_meant(toml):
    experiment = read_experiment(toml(GOOD + "[boosted]\nreg_lambda = 2\n"))
    assert experiment.boosted == {"reg_lambda": 2}


def test_a_target_with_windows_reads_back_from_what_a_bundle_keeps(toml):
    windows = "dpd = 60\nindeterminate_from = 10\nobserved_from = 2023-01-01\nobserved_until = 2023-12-31"
    experiment = read_experiment(toml(GOOD.replace("dpd = 60", windows)))
    assert experiment.target.observed_from == date(2023, 1, 1)
    again = Experiment.model_validate(json.loads(json.dumps(experiment.model_dump(mode="json"))))
    assert again.target == experiment.target
    assert experiment.split.embargo


def test_faults_of_a_target_are_listed_beside_each_other(toml):
    wrong = 'kind = "card_dpd"\ndpd = 10\nindeterminate_from = 20\nmonths_on_book = 9\nleast_months = 0'
    listed = faults(toml(GOOD.replace('kind = "dpd"\ndpd = 60', wrong)))
    assert [line.split(":")[0] for line in sorted(listed)] == [
        "- target.indeterminate_from",
        "- target.kind",
        "- target.least_months",
        "- target.months_on_book",
    ]


def test_a_target_in_python_must_fit_together():
    with pytest.raises(ValidationError, match="indeterminate_from: 30 is not below dpd 30"):
        Target(kind="dpd", dpd=30, indeterminate_from=30)


def test_all_faults_are_listed_at_once(toml):
    wrong = GOOD.replace("dpd = 60", "dpd = -1").replace("method", "methood")
    listed = faults(toml(wrong + "[sequence_net]\nhiddn = 8\n[tabular_net]\nk = 1.5\n"))
    assert [line.split(":")[0] for line in sorted(listed)] == [
        "- sequence_net.hiddn",
        "- split.method",
        "- split.methood",
        "- tabular_net.k",
        "- target.dpd",
    ]


def test_values_that_make_no_sense_are_listed_before_anything_is_computed(toml):
    wrong = """
[boosted]
n_seeds = 0
subsample = 1.5
[tabular_net]
dropout = 1.0
[sequence_net]
batch_size = 0
[tuning]
trials = 1
[tuning.space]
max_bin = { choices = [1, 64] }
"""
    assert sorted(faults(toml(GOOD + wrong))) == [
        "- boosted.n_seeds: must be a whole number of at least 1, not 0",
        "- boosted.subsample: must be a number above 0 and at most 1, not 1.5",
        "- search space of the tuning: max_bin: must be a whole number of at least 2, not 1",
        "- sequence_net.batch_size: must be a whole number of at least 1, not 0",
        "- tabular_net.dropout: must be a number of at least 0 and below 1, not 1.0",
    ]


def test_no_toml_at_all(toml):
    with pytest.raises(DeclarationError, match=r"is no valid TOML: .* \(at line 1, column 6\)"):
        read_experiment(toml("name - 3"))


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "experiment.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DeclarationError, match="is no text in UTF-8"):
        read_experiment(str(path))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nobody", "There is no experiment 'nobody'; there are .*home_credit.*or give the path of a .toml file"),
        ("none/here.toml", "There is no experiment file none/here.toml"),
    ],
)
def test_an_experiment_that_is_not_there(name, told):
    with pytest.raises(DeclarationError, match=told):
        read_experiment(name)


def test_declared_in_python_it_is_checked_too():
    with pytest.raises(ValidationError, match=r"boosted\.depth: there is no such key"):
        Experiment.model_validate(
            {
                "name": "x",
                "feature_set": "application_v1",
                "target": {"kind": "label"},
                "split": {"method": "random"},
                "boosted": {"depth": 3},
            }
        )
