"""Splits: out of time where dates are real, and never one customer on both sides."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data_contracts.errors import TrainingError
from training.experiment import Split
from training.splits import divide

OUT_OF_TIME = Split(method="out_of_time", test_share=0.25)
RANDOM = Split(method="random", test_share=0.25)


def applications(customers: list[str], seed: int = 0) -> tuple[pd.Series, pd.Series]:
    """One application a day, in shuffled row order."""
    days = pd.Series(pd.date_range("2024-01-01", periods=len(customers)))
    order = np.random.default_rng(seed).permutation(len(customers))
    return pd.Series(customers)[order].reset_index(drop=True), days[order].reset_index(drop=True)


@pytest.fixture
def returning():
    """A hundred applications; the customers of days 5 and 7 come again on days 80 and 90."""
    names = [f"c{day}" for day in range(100)]
    names[80], names[90] = "c5", "c7"
    return applications(names)


def test_the_test_is_the_latest_quarter(returning):
    customers, applied_at = returning
    sample = divide(customers, applied_at, OUT_OF_TIME, seed=0)
    assert sample.cutoff == pd.Timestamp("2024-03-16")  # day 75 of 0 to 99
    assert applied_at[sample.test].min() == sample.cutoff
    assert applied_at[sample.train].max() < sample.cutoff
    assert len(sample.test) == 25 - 2


def test_who_was_seen_in_the_training_is_left_out_of_the_test(returning):
    customers, applied_at = returning
    sample = divide(customers, applied_at, OUT_OF_TIME, seed=0)
    assert set(customers[sample.train]) & set(customers[sample.test]) == set()
    assert [left.count for left in sample.left_out] == [2]
    assert len(sample.train) == 75
    assert not {"c5", "c7"} & set(customers[sample.test])


def test_applications_of_one_moment_stay_on_one_side():
    applied_at = pd.Series([pd.Timestamp("2024-01-01")] * 60 + [pd.Timestamp("2024-02-01")] * 40)
    customers = pd.Series([f"c{row}" for row in range(100)])
    sample = divide(customers, applied_at, OUT_OF_TIME, seed=0)
    assert sample.test.tolist() == list(range(60, 100))  # 40 rather than 25, for all 40 came at once
    assert sample.left_out == ()


def test_at_random_by_customer():
    customers, applied_at = applications([f"c{row % 60}" for row in range(180)])
    sample = divide(customers, applied_at, RANDOM, seed=1)
    assert customers[sample.test].nunique() == 15  # a quarter of 60 customers, with all that is theirs
    assert len(sample.test) == 45
    assert set(customers[sample.train]) & set(customers[sample.test]) == set()
    assert sorted([*sample.train, *sample.test]) == list(range(180))
    assert (sample.left_out, sample.cutoff) == ((), None)


def test_the_seed_draws_the_customers():
    customers, applied_at = applications([f"c{row}" for row in range(200)])
    drawn = [divide(customers, applied_at, RANDOM, seed=seed).test.tolist() for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_same_customers_are_drawn_in_any_order_of_the_rows():
    drawn = []
    for order in (0, 1):
        customers, applied_at = applications([f"c{row}" for row in range(200)], seed=order)
        drawn.append(set(customers[divide(customers, applied_at, RANDOM, seed=1).test]))
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("split", [OUT_OF_TIME, RANDOM])
@pytest.mark.parametrize(("rows", "train", "test"), [(76, 57, 19), (0, 0, 0)])
def test_too_few_rows_on_a_side(split, rows, train, test):
    customers, applied_at = applications([f"c{row}" for row in range(rows)])
    with pytest.raises(TrainingError, match=f"{rows} labelled applications give {train} rows .* and {test} to test on"):
        divide(customers, applied_at, split, seed=0)
    customers, applied_at = applications([f"c{row}" for row in range(80)])
    assert len(divide(customers, applied_at, split, seed=0).test) == 20
