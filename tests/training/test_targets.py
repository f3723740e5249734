"""Targets: who defaulted, who is left out and why, by outcomes written by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from data_contracts.errors import TrainingError
from data_contracts.folder import write_tables
from training.experiment import Target
from training.targets import label, label_outcomes

OUTCOMES = pd.DataFrame(
    [
        # application, months on book, highest dpd so far
        ("on time", 3, 0), ("on time", 6, 0),
        ("a day short", 3, 29), ("a day short", 6, 29), ("a day short", 9, 90),
        ("late", 3, 5), ("late", 6, 30),
        ("young", 3, 60),
        ("unknown", 6, None),
    ],
    columns=["application_id", "months_on_book", "dpd_max"],
).assign(defaulted=None)  # fmt: skip
APPLICATIONS = pd.Series(["on time", "a day short", "late", "young", "unknown", "refused", "never drawn"])


def test_days_past_due_within_the_performance_window():
    labels = label_outcomes(OUTCOMES, APPLICATIONS, Target(kind="dpd", dpd=30, months_on_book=6))
    assert labels.defaulted.to_dict() == {"a day short": 0, "late": 1, "on time": 0}
    assert labels.defaulted.dtype == "int64"


def test_who_is_left_out_is_counted_by_reason():
    left_out = label_outcomes(OUTCOMES, APPLICATIONS, Target(kind="dpd", dpd=30, months_on_book=6)).left_out
    assert [(left.en, left.count) for left in left_out] == [
        ("without an outcome: refused, or never drawn", 2),
        ("immature: not yet 6 months on book", 2),  # one younger than that, one whose dpd nobody knows
    ]
    assert all(left.zh for left in left_out)
    assert sum(left.count for left in left_out) + 3 == len(APPLICATIONS)


@pytest.mark.parametrize(
    ("dpd", "months", "defaulted"),
    [
        (29, 6, {"a day short": 1, "late": 1, "on time": 0}),
        (1, 3, {"a day short": 1, "late": 1, "on time": 0, "young": 1}),
        (30, 9, {"a day short": 1}),
        (30, 12, {}),
    ],
)
def test_another_definition_of_default(dpd, months, defaulted):
    labels = label_outcomes(OUTCOMES, APPLICATIONS, Target(kind="dpd", dpd=dpd, months_on_book=months))
    assert labels.defaulted.to_dict() == defaulted


def test_the_lenders_own_label():
    outcomes = pd.DataFrame({"application_id": ["a", "b", "c"], "defaulted": pd.array([True, False, None], "boolean")})
    labels = label_outcomes(outcomes, pd.Series(["a", "b", "c", "d"]), Target(kind="label"))
    assert labels.defaulted.to_dict() == {"a": 1, "b": 0}
    assert [(left.en.split()[0], left.count) for left in labels.left_out] == [("without", 1), ("with", 1)]


def test_the_order_of_the_outcomes_does_not_matter():
    target = Target(kind="dpd")
    shuffled = label_outcomes(OUTCOMES.sample(frac=1.0, random_state=3), APPLICATIONS, target)
    pd.testing.assert_series_equal(shuffled.defaulted, label_outcomes(OUTCOMES, APPLICATIONS, target).defaulted)


@pytest.fixture
def folder(tmp_path):
    """A folder of applications and, where given, outcomes."""

    def write(outcomes: pd.DataFrame | None):
        day = pd.Timestamp("2024-01-01")
        names = APPLICATIONS.to_list()
        tables = {"applications": pd.DataFrame({"application_id": names, "customer_id": names, "applied_at": day})}
        if outcomes is not None:
            tables["outcomes"] = outcomes.assign(customer_id=outcomes["application_id"], occurred_at=day, known_at=day)
        return write_tables(tmp_path / "tables", tables, lender="by_hand", dates="calendar")

    return write


def test_a_folder_gives_what_its_outcomes_give(folder):
    labels = label(folder(OUTCOMES), Target(kind="dpd"))
    assert labels.defaulted.to_dict() == {"a day short": 0, "late": 1, "on time": 0}


def test_without_outcomes_there_is_nothing_to_learn(folder):
    with pytest.raises(TrainingError, match="has no outcomes"):
        label(folder(None), Target(kind="dpd"))


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (Target(kind="dpd", months_on_book=12), r"0 class\(es\) over 0 applications .*5 immature"),
        (Target(kind="dpd", dpd=700), r"1 class\(es\) over 3 applications"),
        (Target(kind="label"), r"0 class\(es\) over 0 applications .*5 with an outcome but no label"),
    ],
)
def test_one_class_cannot_be_learnt(folder, target, told):
    with pytest.raises(TrainingError, match=told):
        label(folder(OUTCOMES), target)
