from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.compute as pc
import pytest

from data_contracts.errors import SourceError
from lenders.superlender import import_tables
from tests.raw_folder import Row, found, raw_folder, rows_of

LOAN: Row = {
    "customerid": "c", "systemloanid": 20, "loannumber": 2, "approveddate": "2017-07-05 17:04:41.000000",
    "creationdate": "2017-07-05 16:04:18.000000", "loanamount": 15000.0, "totaldue": 17250.0, "termdays": 30,
    "referredby": None, "good_bad_flag": "Bad",
}  # fmt: skip
EARLIER: Row = {
    "customerid": "c", "systemloanid": 10, "loannumber": 1, "approveddate": "2017-05-01 10:00:30.000000",
    "creationdate": "2017-05-01 09:00:10.000000", "loanamount": 10000.0, "totaldue": 13000.0, "termdays": 30,
    "closeddate": "2017-06-02 12:00:00.000000", "referredby": None, "firstduedate": "2017-05-31 00:00:00.000000",
    "firstrepaiddate": "2017-06-02 11:50:00.000000",
}  # fmt: skip


def imported(path: Path, loan: Row = {}, earlier: Row = {}, **more: list[Row]) -> dict[str, list[Row]]:  # noqa: B006
    files = {"trainperf": [LOAN | loan], "trainprevloans": [EARLIER | earlier], **more}
    return rows_of(import_tables(raw_folder(path, files))[0])


def test_an_application_is_decided_upon_when_it_was_created(tmp_path: Path) -> None:
    (application,) = imported(tmp_path)["applications"]
    assert application == {
        "application_id": "20", "customer_id": "c", "applied_at": pd.Timestamp("2017-07-05 16:04:18"),
        "product": "cash", "amount_requested": 15_000_00, "term_months": 1, "channel": "direct",
        "instalment_monthly": 17_250_00, "age_years": None, "education": None, "employment": None,
    }  # fmt: skip


@pytest.mark.parametrize(("days", "months", "instalment"), [(15, 1, 17_250_00), (60, 2, 8_625_00), (90, 3, 5_750_00)])
def test_terms(tmp_path: Path, days: int, months: int, instalment: int) -> None:
    (application,) = imported(tmp_path, {"termdays": days, "referredby": "x"})["applications"]
    assert (application["term_months"], application["instalment_monthly"]) == (months, instalment)
    assert application["channel"] == "referral"


def test_an_earlier_loan_is_granted_first_and_closed_when_that_was_known(tmp_path: Path) -> None:
    granted, closed = imported(tmp_path)["loans"]
    approved_at, closed_at = pd.Timestamp("2017-05-01 09:00:30"), pd.Timestamp("2017-06-02 11:00:00")  # UTC
    assert (granted["status"], granted["known_at"], granted["closed_at"]) == ("granted", approved_at, None)
    assert (closed["status"], closed["known_at"], closed["closed_at"]) == ("closed", closed_at, closed_at)
    assert granted["occurred_at"] == closed["occurred_at"] == approved_at
    assert granted["annual_rate"] == pytest.approx(0.3 * 365 / 30)


def test_one_instalment_is_due_by_the_end_of_its_day_and_paid_with_the_closing(tmp_path: Path) -> None:
    tables = imported(tmp_path)
    (due,), (paid,) = tables["instalments"], tables["payments"]
    assert (due["due_at"], due["amount_due"]) == (pd.Timestamp("2017-05-31 23:00"), 13_000_00)
    assert due["known_at"] == pd.Timestamp("2017-05-01 09:00:30")
    assert (paid["known_at"], paid["amount"]) == (pd.Timestamp("2017-06-02 11:00"), 13_000_00)
    assert paid["instalment_id"] == due["instalment_id"] == "10-1"


def test_of_several_instalments_the_first_is_paid_with_the_first_repayment(tmp_path: Path) -> None:
    tables = imported(tmp_path, earlier={"termdays": 90, "totaldue": 100.0, "firstrepaiddate": "2017-05-30 09:00:00"})
    assert [(row["number"], row["due_at"].day, row["amount_due"]) for row in tables["instalments"]] == [
        (1, 31, 33_33),
        (2, 30, 33_33),
        (3, 30, 33_34),
    ]
    first, *later = [row["known_at"] for row in tables["payments"]]
    assert first == pd.Timestamp("2017-05-30 08:00")
    assert later == [pd.Timestamp("2017-06-02 11:00")] * 2


def test_a_loan_closed_after_the_application_is_not_known_to_it(tmp_path: Path) -> None:
    tables = imported(tmp_path, earlier={"closeddate": "2017-07-05 17:04:30"})  # 12 s after the application, in UTC
    (application,) = tables["applications"]
    seen = [row["status"] for row in tables["loans"] if row["known_at"] <= application["applied_at"]]
    assert seen == ["granted"]
    assert tables["payments"][0]["known_at"] > application["applied_at"]


def test_the_outcome_is_known_when_the_term_is_over(tmp_path: Path) -> None:
    (outcome,) = imported(tmp_path)["outcomes"]
    assert (outcome["defaulted"], outcome["known_at"]) == (True, pd.Timestamp("2017-08-09 16:04:18"))


def test_demographics_are_joined_once_where_they_are_there(tmp_path: Path) -> None:
    person = {
        "customerid": "c", "birthdate": "1987-07-06 00:00:00", "employment_status_clients": "Self-Employed",
        "level_of_education_clients": "Graduate",
    }  # fmt: skip
    (application,) = imported(tmp_path, traindemographics=[person, person])["applications"]
    assert (application["education"], application["employment"]) == ("bachelor", "self_employed")
    assert application["age_years"] == pytest.approx(30, abs=0.01)


def test_test_files_without_a_label_are_read_too(tmp_path: Path) -> None:
    unlabelled = {name: value for name, value in LOAN.items() if name != "good_bad_flag"}
    source = raw_folder(tmp_path, {"testperf": [unlabelled], "testprevloans": [EARLIER]}, ending="csv")
    tables, dates = import_tables(source)
    assert (sorted(tables), dates) == (["applications", "instalments", "loans", "payments"], "calendar")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    source = raw_folder(tmp_path, {"trainperf": [LOAN]})
    with pytest.raises(SourceError, match=r"has no trainprevloans or testprevloans .*holds trainperf\.parquet"):
        import_tables(source)


def test_a_bad_date_is_told_with_its_file(tmp_path: Path) -> None:
    source = raw_folder(tmp_path, {"trainperf": [LOAN | {"creationdate": "31/12/2017"}], "trainprevloans": [EARLIER]})
    with pytest.raises(SourceError, match=r"trainperf\.parquet cannot be read: .*31/12/2017"):
        import_tables(source)


def test_real_loans_keep_every_row_and_meet_the_contract(real_data: Path) -> None:
    tables, _ = import_tables(real_data / "superlender")
    assert {name: table.num_rows for name, table in tables.items()} == {
        "applications": 3514,
        "loans": 2 * 14507,
        "instalments": 14507 + 773 + 2 * 22,
        "payments": 14507 + 773 + 2 * 22,
        "outcomes": 3514,
    }
    assert pc.mean(tables["outcomes"]["defaulted"].cast("float64")).as_py() == pytest.approx(0.2217, abs=1e-4)
    assert found(tables) == {}


def test_real_loans_were_all_closed_before_the_next_was_asked_for(real_data: Path) -> None:
    """On one clock 603 were not, which shows that `creationdate` is on another."""
    tables, _ = import_tables(real_data / "superlender")
    applied = tables["applications"].select(["customer_id", "applied_at"])
    loans = tables["loans"].join(applied, "customer_id").to_pandas()
    assert len(loans) == 2 * 14507
    assert (loans["known_at"] <= loans["applied_at"]).all()
    an_hour_later = loans["known_at"] + pd.Timedelta(hours=1)
    assert ((an_hour_later > loans["applied_at"]) & (loans["status"] == "closed")).sum() == 603
