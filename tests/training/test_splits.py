"""Splits: out of time where dates are real, and never one customer on both sides."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data_contracts.errors import TrainingError
from training.experiment import Split
from training.splits import Sample, divide, require_both_classes

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


def test_what_was_not_known_when_the_test_began_is_not_learnt_from(returning):
    """Outcomes come after thirty days: those of days 45 on came after the test began on day 75."""
    customers, applied_at = returning
    known_at = applied_at + pd.Timedelta(days=30)
    sample = divide(customers, applied_at, OUT_OF_TIME, seed=0, known_at=known_at)
    assert sample.cutoff == pd.Timestamp("2024-03-16")
    assert known_at[sample.train].max() == sample.cutoff
    assert len(sample.train) == 46
    assert [(left.en.split(",")[0], left.count) for left in sample.left_out] == [
        ("of the training period", 29),
        ("of the test period", 2),
    ]
    assert all(left.zh for left in sample.left_out)
    assert len(sample.train) + len(sample.test) + 31 == len(customers)
    free = divide(customers, applied_at, OUT_OF_TIME.model_copy(update={"embargo": False}), seed=0, known_at=known_at)
    assert len(free.train) == 75


def test_who_left_the_training_may_be_tested(returning):
    customers, applied_at = returning
    known_at = applied_at + pd.Timedelta(days=69)  # of days 0 to 6 alone the outcome was known
    customers = customers.where(applied_at > applied_at.min() + pd.Timedelta(days=19), "c5")  # 20 rows to learn from
    known_at = known_at.where(applied_at > applied_at.min() + pd.Timedelta(days=19), applied_at)
    sample = divide(customers, applied_at, OUT_OF_TIME, seed=0, known_at=known_at)
    assert len(sample.train) == 20
    assert set(customers[sample.train]) == {"c5"}
    assert len(sample.test) == 24  # c5 of day 80 is out, c7 of day 90 is in


def test_customers_drawn_at_random_need_no_embargo(returning):
    customers, applied_at = returning
    known_at = applied_at + pd.Timedelta(days=400)
    assert len(divide(customers, applied_at, RANDOM, seed=0, known_at=known_at).left_out) == 0


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


@pytest.mark.parametrize(
    ("defaulted", "told"),
    [
        ([0, 0, 0, 1], "2 rows to train on hold 0 defaults"),
        ([1, 1, 0, 1], "2 rows to train on hold 2 defaults"),
        ([0, 1, 0, 0], "2 rows to test on hold 0 defaults"),
        ([0, 1, 1, 1], "2 rows to test on hold 2 defaults"),
    ],
)
def test_either_side_needs_good_and_bad_loans(defaulted, told):
    sample = Sample(np.array([0, 1]), np.array([2, 3]), (), None)
    with pytest.raises(TrainingError, match=rf"The {told}; .* {sum(defaulted)} defaults among 4 labelled .*Bring more"):
        require_both_classes(np.array(defaulted), sample)
    require_both_classes(np.array([0, 1, 1, 0]), sample)
