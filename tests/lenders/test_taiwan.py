from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.compute as pc
import pytest

from data_contracts.errors import SourceError
from lenders.taiwan import import_tables
from tests.raw_folder import Row, found, raw_folder, rows_of

CLIENT: Row = {
    "ID": 7, "LIMIT_BAL": 20000.0, "SEX": 2, "EDUCATION": 2, "MARRIAGE": 1, "AGE": 24,
    "PAY_0": 2, "PAY_2": 0, "PAY_3": -1, "PAY_4": -2, "PAY_5": 1, "PAY_6": 8,
    **{f"BILL_AMT{k}": 100.0 * k for k in range(1, 7)},
    **{f"PAY_AMT{k}": 10.0 * k for k in range(1, 7)},
    "Default": 1,
}  # fmt: skip


def imported(path: Path, *changes: Row, name: str = "UCI_Credit_Card", ending: str = "parquet") -> dict[str, list[Row]]:
    rows = [CLIENT | change for change in changes or ({},)]
    return rows_of(import_tables(raw_folder(path, {name: rows}, ending=ending))[0])


@pytest.mark.parametrize(
    ("change", "column", "answer"),
    [
        ({}, "applied_at", pd.Timestamp("2005-09-30 16:00")),  # 1 October in China
        ({}, "amount_requested", 20_000_00),
        ({}, "product", "revolving"),
        ({}, "age_years", 24.0),
        ({"SEX": 1}, "gender", "male"),
        ({"SEX": 2}, "gender", "female"),
        ({"EDUCATION": 1}, "education", "postgraduate"),
        ({"EDUCATION": 3}, "education", "secondary"),
        ({"EDUCATION": 4}, "education", "unknown"),
        ({"EDUCATION": 0}, "education", "unknown"),
        ({"MARRIAGE": 2}, "marital_status", "single"),
        ({"MARRIAGE": 3}, "marital_status", "unknown"),
    ],
)
def test_application_attributes(tmp_path: Path, change: Row, column: str, answer: Any) -> None:
    (application,) = imported(tmp_path, change)["applications"]
    assert application[column] == answer


def test_six_statements_each_with_its_own_month(tmp_path: Path) -> None:
    months = imported(tmp_path)["card_months"]
    told = [
        (month["occurred_at"] + pd.Timedelta(hours=8), month["balance"], month["paid"], month["dpd"])
        for month in months
    ]
    assert told == [
        (pd.Timestamp("2005-04-30"), 600_00, 60_00, 240),
        (pd.Timestamp("2005-05-31"), 500_00, 50_00, 30),
        (pd.Timestamp("2005-06-30"), 400_00, 40_00, 0),
        (pd.Timestamp("2005-07-31"), 300_00, 30_00, 0),
        (pd.Timestamp("2005-08-31"), 200_00, 20_00, 0),
        (pd.Timestamp("2005-09-30"), 100_00, 10_00, 60),
    ]
    assert {month["credit_limit"] for month in months} == {20_000_00}


def test_the_label_is_of_the_month_after_the_decision(tmp_path: Path) -> None:
    tables = imported(tmp_path, {"ID": 1, "Default": 0}, {"ID": 2})
    assert [(row["application_id"], row["defaulted"]) for row in tables["outcomes"]] == [("1", False), ("2", True)]
    assert tables["outcomes"][0]["known_at"] > tables["applications"][0]["applied_at"]


def test_without_the_label_there_are_no_outcomes(tmp_path: Path) -> None:
    source = raw_folder(tmp_path, {"UCI_Credit_Card": [{k: v for k, v in CLIENT.items() if k != "Default"}]})
    assert sorted(import_tables(source)[0]) == ["applications", "card_months"]


def test_names_of_uci_and_kaggle_are_read_too(tmp_path: Path) -> None:
    renamed = {("default.payment.next.month" if k == "Default" else k): v for k, v in CLIENT.items()}
    source = raw_folder(tmp_path / "csv", {"default of credit card clients": [renamed]}, ending="csv")
    assert rows_of(import_tables(source)[0]) == imported(tmp_path / "own")


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    source = raw_folder(tmp_path, {"UCI_Credit_Card": [{k: v for k, v in CLIENT.items() if k != "PAY_0"}]})
    with pytest.raises(SourceError, match=r"UCI_Credit_Card\.parquet lacks the column PAY_0"):
        import_tables(source)


def test_real_clients_keep_every_row_and_meet_the_contract(real_data: Path) -> None:
    tables, dates = import_tables(real_data / "taiwan_credit_card")
    rows = {name: table.num_rows for name, table in tables.items()}
    assert rows == {"applications": 23968, "card_months": 6 * 23968, "outcomes": 23968}
    assert dates == "relative"
    assert pc.mean(tables["outcomes"]["defaulted"].cast("float64")).as_py() == pytest.approx(0.2242, abs=1e-4)
    assert found(tables) == {("card_months", "balance_within_limit", "flag"): 32}
