from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from data_contracts.errors import SourceError
from data_contracts.folder import write_tables
from lenders.card_monthly_status import import_tables
from tests.raw_folder import Row, found, raw_folder, rows_of

PERSON: Row = {
    "ID": 1, "CODE_GENDER": "M", "FLAG_OWN_CAR": "Y", "FLAG_OWN_REALTY": "N", "CNT_CHILDREN": 1,
    "AMT_INCOME_TOTAL": 120000.0, "NAME_INCOME_TYPE": "Working", "NAME_EDUCATION_TYPE": "Higher education",
    "NAME_FAMILY_STATUS": "Married", "NAME_HOUSING_TYPE": "Rented apartment", "DAYS_BIRTH": -14610,
    "DAYS_EMPLOYED": 365243, "FLAG_WORK_PHONE": 1, "FLAG_EMAIL": 0, "OCCUPATION_TYPE": None, "CNT_FAM_MEMBERS": 3.0,
}  # fmt: skip


def months(statuses: str, customer: int = 1, last: int = 0) -> list[Row]:
    """Rows of `credit_record`, the oldest month first."""
    first = last - len(statuses) + 1
    return [{"ID": customer, "MONTHS_BALANCE": first + k, "STATUS": status} for k, status in enumerate(statuses)]


def test_months_alone_become_card_months_and_nothing_else(tmp_path: Path) -> None:
    tables, dates = import_tables(raw_folder(tmp_path, {"credit_record": months("X0C12345")}))
    assert (list(tables), dates) == (["card_months"], "relative")
    rows = rows_of(tables)["card_months"]
    assert [row["dpd"] for row in rows] == [None, 1, 0, 30, 60, 90, 120, 150]
    told = [(row["occurred_at"] + pd.Timedelta(hours=8)).strftime("%Y-%m-%d") for row in rows]
    assert told[0] == "2019-05-31"
    assert told[-2:] == ["2019-11-30", "2019-12-31"]
    assert {(row["card_id"], row["customer_id"]) for row in rows} == {("1", "1")}


def test_without_applications_the_tables_can_be_kept(tmp_path: Path) -> None:
    tables, dates = import_tables(raw_folder(tmp_path / "raw", {"credit_record": months("00")}))
    kept = write_tables(tmp_path / "kept", tables, lender="card_monthly_status", dates=dates)
    assert kept.tables == ("card_months",)
    assert found(tables) == {}


def test_with_applications_vintages_follow(tmp_path: Path) -> None:
    people = [PERSON, PERSON | {"ID": 2}]  # of the second no month is known
    source = raw_folder(tmp_path, {"credit_record": months("X021C", last=-3), "application_record": people})
    tables = rows_of(import_tables(source)[0])
    (application,) = tables["applications"]
    assert application["applied_at"] + pd.Timedelta(hours=8) == pd.Timestamp("2019-05-01")
    assert (application["income_monthly"], application["age_years"], application["gender"]) == (10_000_00, 40.0, "male")
    assert (application["education"], application["housing"], application["employment"]) == (
        "bachelor",
        "rented",
        "employee",
    )
    assert (application["employed_months"], application["owns_car"], application["owns_home"]) == (None, True, False)
    assert [(row["months_on_book"], row["dpd_max"]) for row in tables["outcomes"]] == [
        (1, 0),
        (2, 1),
        (3, 60),
        (4, 60),
        (5, 60),
    ]
    assert all(row["known_at"] > application["applied_at"] for row in tables["outcomes"])


def test_an_id_that_names_two_people_names_nobody(tmp_path: Path) -> None:
    people = [PERSON, PERSON | {"CODE_GENDER": "F"}, PERSON | {"ID": 2}]
    record = months("00") + months("00", customer=2)
    tables = rows_of(import_tables(raw_folder(tmp_path, {"credit_record": record, "application_record": people}))[0])
    assert [row["application_id"] for row in tables["applications"]] == ["2"]
    assert {row["application_id"] for row in tables["outcomes"]} == {"2"}
    assert {row["customer_id"] for row in tables["card_months"]} == {"1", "2"}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"has no credit_record .*it holds nothing"):
        import_tables(tmp_path)


def test_real_months_give_the_roll_rates_of_the_raw_states(real_data: Path) -> None:
    tables, _ = import_tables(real_data / "card_monthly_status")
    assert tables["card_months"].num_rows == 839812
    assert found(tables) == {}
    card_months = tables["card_months"].to_pandas()
    after = card_months.groupby("card_id")["dpd"].shift(-1)
    from_30 = card_months["dpd"] == 30
    rolled = (from_30 & (after == 60)).sum(), (from_30 & (after == 1)).sum(), (from_30 & (after == 0)).sum()
    assert rolled == (445, 4336, 822)  # of 8,710 states 1 with a month after: to 2, to 0, to C in the raw file
