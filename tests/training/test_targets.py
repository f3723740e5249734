"""Targets: who defaulted, who is left out and why, by outcomes written by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from data_contracts.errors import TrainingError
from data_contracts.folder import write_tables
from training.experiment import Target
from training.targets import label, label_outcomes

DAY = pd.Timestamp("2024-01-01")
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
OUTCOMES["occurred_at"] = OUTCOMES["known_at"] = DAY + OUTCOMES["months_on_book"] * pd.Timedelta(days=30)
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
    defaulted = pd.array([True, False, None], "boolean")
    outcomes = pd.DataFrame({"application_id": ["a", "b", "c"], "defaulted": defaulted}).assign(
        occurred_at=DAY, known_at=DAY
    )
    labels = label_outcomes(outcomes, pd.Series(["a", "b", "c", "d"]), Target(kind="label"))
    assert labels.defaulted.to_dict() == {"a": 1, "b": 0}
    assert [(left.en.split()[0], left.count) for left in labels.left_out] == [("without", 1), ("with", 1)]


def test_the_order_of_the_outcomes_does_not_matter():
    target = Target(kind="dpd")
    shuffled = label_outcomes(OUTCOMES.sample(frac=1.0, random_state=3), APPLICATIONS, target)
    pd.testing.assert_series_equal(shuffled.defaulted, label_outcomes(OUTCOMES, APPLICATIONS, target).defaulted)


@pytest.mark.parametrize(
    ("corrected_dpd", "defaulted"),
    [
        (31, {"a day short": 1, "late": 1, "on time": 0}),
        (None, {"late": 1, "on time": 0}),  # what the newest version does not know is not known
    ],
)
def test_of_a_corrected_outcome_the_newest_version_counts(corrected_dpd, defaulted):
    before = OUTCOMES[(OUTCOMES["application_id"] == "a day short") & (OUTCOMES["months_on_book"] == 6)]
    correction = before.assign(known_at=before["known_at"] + pd.Timedelta(days=1), dpd_max=[corrected_dpd])
    for order in ([OUTCOMES, correction], [correction, OUTCOMES]):
        outcomes = pd.concat([rows.astype({"dpd_max": "Int64"}) for rows in order])
        labels = label_outcomes(outcomes, APPLICATIONS, Target(kind="dpd", dpd=30, months_on_book=6))
        assert labels.defaulted.to_dict() == defaulted


def test_a_label_that_was_corrected_or_given_again_counts_as_it_was_known_last():
    rows = [
        # application, days to the month, days until known, label
        ("a", 30, 1, True), ("a", 30, 9, False),
        ("b", 60, 0, True), ("b", 30, 50, False),
    ]  # fmt: skip
    outcomes = pd.DataFrame(rows, columns=["application_id", "month", "lag", "defaulted"])
    outcomes["occurred_at"] = DAY + pd.to_timedelta(outcomes["month"], unit="D")
    outcomes["known_at"] = outcomes["occurred_at"] + pd.to_timedelta(outcomes["lag"], unit="D")
    for order in (outcomes, outcomes[::-1]):
        labels = label_outcomes(order, pd.Series(["a", "b"]), Target(kind="label"))
        assert labels.defaulted.to_dict() == {"a": 0, "b": 1}


def test_who_is_neither_good_nor_bad_is_left_out_and_counted():
    target = Target(kind="dpd", dpd=30, months_on_book=6, indeterminate_from=20)
    labels = label_outcomes(OUTCOMES, APPLICATIONS, target)
    assert labels.defaulted.to_dict() == {"late": 1, "on time": 0}
    told = labels.left_out[-1]
    assert (told.en, told.count) == ("indeterminate: 20 to 29 days past due at worst", 1)
    assert "20至29天" in told.zh
    assert sum(left.count for left in labels.left_out) + 2 == len(APPLICATIONS)
    lowest = label_outcomes(OUTCOMES, APPLICATIONS, target.model_copy(update={"indeterminate_from": 29}))
    assert lowest.left_out[-1].en == "indeterminate: 29 to 29 days past due at worst"
    assert label_outcomes(OUTCOMES, APPLICATIONS, target.model_copy(update={"dpd": 29})).defaulted["a day short"] == 1


def test_only_applications_of_the_observation_window_count():
    """Days are China's: 1 March begins at 16:00 UTC of the day before."""
    told = ("02-29 15:59:59", "02-29 16:00", "03-10", "03-31 15:59:59", "03-31 16:00", "03-05", "06-01")
    moments = [pd.Timestamp(f"2024-{moment}") for moment in told]
    target = Target(kind="dpd", dpd=30, months_on_book=6, observed_from="2024-03-01", observed_until="2024-03-31")
    labels = label_outcomes(OUTCOMES, APPLICATIONS, target, pd.Series(moments))
    assert labels.defaulted.to_dict() == {"a day short": 0, "late": 1}
    assert [(left.en, left.count) for left in labels.left_out] == [
        ("outside the observation window 2024-03-01 to 2024-03-31", 3),
        ("without an outcome: refused, or never drawn", 1),
        ("immature: not yet 6 months on book", 1),
    ]
    assert "2024-03-01至2024-03-31" in labels.left_out[0].zh
    since = target.model_copy(update={"observed_until": None})
    assert label_outcomes(OUTCOMES, APPLICATIONS, since, pd.Series(moments)).left_out[0].count == 1


def test_each_label_says_when_it_was_known():
    correction = OUTCOMES[(OUTCOMES["application_id"] == "late") & (OUTCOMES["months_on_book"] == 6)]
    correction = correction.assign(known_at=correction["known_at"] + pd.Timedelta(days=50))
    labels = label_outcomes(pd.concat([OUTCOMES, correction]), APPLICATIONS, Target(kind="dpd"))
    half_a_year = DAY + pd.Timedelta(days=180)
    assert labels.known_at.to_dict() == {
        "on time": half_a_year, "a day short": half_a_year, "late": half_a_year + pd.Timedelta(days=50),
    }  # fmt: skip
    assert labels.known_at.index.equals(labels.defaulted.index)


@pytest.fixture
def folder(tmp_path):
    """A folder of applications and, where given, outcomes."""

    def write(outcomes: pd.DataFrame | None):
        names = APPLICATIONS.to_list()
        tables = {"applications": pd.DataFrame({"application_id": names, "customer_id": names, "applied_at": DAY})}
        if outcomes is not None:
            tables["outcomes"] = outcomes.assign(customer_id=outcomes["application_id"])
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
