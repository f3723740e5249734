"""The space of a search: checked as a whole, and drawn from within its bounds."""

from __future__ import annotations

import optuna
import pytest

from data_contracts.errors import DeclarationError
from training.search_space import TUNABLE, check_space, suggest


def test_every_fault_of_the_space_is_listed():
    space = {
        "depth": {"low": 1, "hihg": 2},
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
        "depth: is not tunable; did you mean max_depth?",
        "depth: high missing",
        "max_depth: low and high must be whole numbers, not 1.5 and 2",
        "learning_rate: unknown key 'logg'",
        "learning_rate: log needs low above 0, not 0",
        "subsample: low 0.9 is above high 0.5",
        "gamma: high missing",
        "max_bin: choices must be a list of whole numbers, not []",
        "reg_alpha: must be a table",
    ):
        assert fault in str(error.value)


def test_what_a_parameter_may_never_be_is_not_searched():
    space = {
        "subsample": {"low": 0.0, "high": 1.5},
        "max_bin": {"choices": [1, 64]},
        "gamma": {"low": 0.0, "high": 5.0},
    }
    with pytest.raises(DeclarationError) as error:
        check_space(space)
    assert str(error.value).split(": ", 1)[1].split("; ") == [
        "subsample: must be a number above 0 and at most 1, not 0.0",
        "subsample: must be a number above 0 and at most 1, not 1.5",
        "max_bin: must be a whole number of at least 2, not 1",
    ]


def test_values_are_drawn_as_declared():
    space = {
        "max_depth": {"low": 2, "high": 6, "step": 2},
        "learning_rate": {"low": 0.02, "high": 0.2, "log": True},
        "max_bin": {"choices": [64, 256]},
    }
    check_space(space)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [{name: suggest(study.ask(), name, declared) for name, declared in space.items()} for _ in range(30)]
    assert {one["max_depth"] for one in drawn} == {2, 4, 6}
    assert {one["max_bin"] for one in drawn} == {64, 256}
    assert all(0.02 <= one["learning_rate"] <= 0.2 for one in drawn)
    assert set(space) < set(TUNABLE)
