from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.errors import SourceError
from data_contracts.folder import write_tables
from data_contracts.judge import judge
from lenders.tables import import_tables
from tests.raw_folder import found, rows_of

APPLICATIONS = (
    "application_id,customer_id,applied_at,product,amount_requested,term_months,income_monthly,age_years,owns_car\n"
    "A1,C1,2024-05-01T09:30:00+08:00,emergency_cash,300000,3.0,800000,31.5,true\n"
    "A2,C2,2024-05-01 01:30:00,emergency_cash,200000,,,,False\n"
)
PAYMENTS = (
    "payment_id,loan_id,customer_id,occurred_at,known_at,amount\nP1,007,C1,2024-04-01,2024-04-02T00:00:00Z,12345\n"
)


def delivered(path: Path, **texts: str) -> Path:
    path.mkdir(exist_ok=True)
    for name, text in texts.items():
        (path / f"{name}.csv").write_text(text, encoding="utf-8")
    return path


def test_csv_takes_the_types_of_the_contract(tmp_path: Path) -> None:
    tables, dates = import_tables(delivered(tmp_path, applications=APPLICATIONS, payments=PAYMENTS))
    rows = rows_of(tables)
    first, second = rows["applications"]
    assert (dates, list(tables)) == ("calendar", ["applications", "payments"])
    assert first["applied_at"] == second["applied_at"] == pd.Timestamp("2024-05-01 01:30")
    assert (first["amount_requested"], first["term_months"], first["age_years"]) == (300_000, 3, 31.5)
    assert (second["term_months"], second["income_monthly"], second["owns_car"]) == (None, None, False)
    assert rows["payments"][0]["loan_id"] == "007"  # text stays text
    assert found(tables) == {}


def test_parquet_and_csv_of_the_same_tables_are_the_same(tmp_path: Path) -> None:
    from_csv, dates = import_tables(delivered(tmp_path / "csv", applications=APPLICATIONS, payments=PAYMENTS))
    kept = write_tables(tmp_path / "kept", from_csv, lender="tables", dates=dates)
    (tmp_path / "parquet").mkdir()
    for name in kept.tables:
        pq.write_table(kept.read_arrow(name), tmp_path / "parquet" / f"{name}.parquet")
    from_parquet, _ = import_tables(tmp_path / "parquet")
    again = write_tables(tmp_path / "again", from_parquet, lender="tables", dates=dates)
    assert again.identity == kept.identity


def test_nan_in_parquet_is_missing(tmp_path: Path) -> None:
    ages = pa.table({"application_id": ["1", "2"], "age_years": [float("nan"), 30.0]})
    pq.write_table(ages, tmp_path / "applications.parquet")
    tables, _ = import_tables(tmp_path)
    assert tables["applications"]["age_years"].to_pylist() == [None, 30.0]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("amount_requested", "1.5"),
        ("amount_requested", "3,000"),
        ("amount_requested", "99999999999999999999"),
        ("applied_at", "13/05/2024"),
        ("age_years", "young"),
        ("owns_car", "maybe"),
    ],
)
def test_what_is_not_of_its_type_is_left_for_the_contract_to_find(
    tmp_path: Path, column: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    usual: dict[str, Any] = {
        "application_id": "A1", "customer_id": "C1", "applied_at": "2024-05-01", "product": "cash",
        "amount_requested": "1", "age_years": "30", "owns_car": "true",
    }  # fmt: skip
    pd.DataFrame([usual, usual | {"application_id": "A2", column: value}]).to_csv(
        tmp_path / "applications.csv", index=False
    )
    with caplog.at_level(logging.WARNING, "lenders"):
        tables, _ = import_tables(tmp_path)
    assert tables["applications"][column].to_pylist()[1] == value
    (finding,) = judge(tables).findings
    assert (finding.column, finding.rule, finding.level) == (column, "type", "batch")
    assert f"applications.csv, column {column}: 1 values are no " in caplog.text
    assert value not in caplog.text


def test_unknown_columns_and_missing_ones_are_left_for_the_contract_to_find(tmp_path: Path) -> None:
    text = APPLICATIONS.replace("application_id", "application").replace("customer_id", "customer_id")
    tables, _ = import_tables(delivered(tmp_path, applications=text))
    told = {(one.column, one.rule) for one in judge(tables).findings}
    assert told == {("application_id", "columns"), ("application", "columns")}


def test_files_of_no_table_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "lenders"):
        import_tables(delivered(tmp_path, applications=APPLICATIONS, paiments=PAYMENTS))
    assert "not read, for no canonical table is called so: paiments.csv" in caplog.text


def nothing(path: Path) -> None:
    path.mkdir(exist_ok=True)


def other_names(path: Path) -> None:
    delivered(path, loans_2024=PAYMENTS)


def both_endings(path: Path) -> None:
    delivered(path, payments=PAYMENTS)
    pq.write_table(pa.table({"payment_id": ["1"]}), path / "payments.parquet")


def cut_short(path: Path) -> None:
    delivered(path, payments=PAYMENTS + "P2,007,C1,2024-0")


def in_another_encoding(path: Path) -> None:
    (path / "payments.csv").write_bytes(PAYMENTS.replace("P1", "还款").encode("gb18030"))


def damaged_far_below(path: Path) -> None:
    header, line = PAYMENTS.splitlines()
    lines = [header, *([line] * 1999), line.replace("007", "还款")]
    (path / "payments.csv").write_bytes("\n".join(lines).encode("gb18030"))


def damaged(path: Path) -> None:
    (path / "payments.parquet").write_bytes(b"PAR1 and no more")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (nothing, ["holds no canonical table", "it holds nothing", "applications.csv", "tradelines"]),
        (other_names, ["it holds loans_2024.csv", "Name the files after their tables"]),
        (both_endings, ["both payments.parquet and payments.csv"]),
        (cut_short, ["payments.csv cannot be read", "Line: 3"]),
        (in_another_encoding, ["payments.csv is no CSV text in UTF-8", "save it as CSV in UTF-8"]),
        (damaged_far_below, ["payments.csv cannot be read", "Line: 2001", "Get the file again"]),
        (damaged, ["payments.parquet is no whole Parquet file"]),
    ],
)
def test_bad_deliveries_name_cause_and_way_out(tmp_path: Path, fault: Any, words: list[str]) -> None:
    fault(tmp_path)
    with pytest.raises(SourceError) as raised:
        import_tables(tmp_path)
    assert [word for word in words if word not in str(raised.value)] == []
