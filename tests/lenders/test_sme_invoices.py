from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.compute as pc
import pytest

from data_contracts.errors import SourceError
from lenders.sme_invoices import import_tables
from tests.raw_folder import Row, found, raw_folder, rows_of

FIRM: Row = {"企业代号": "E1", "企业名称": "***有限公司", "信誉评级": "A", "是否违约": "否"}
BOUGHT: Row = {
    "企业代号": "E1", "发票号码": 753804, "开票日期": "2017/1/18", "销方单位代号": "A07242", "金额": 20349.51,
    "税额": 610.49, "价税合计": 20960.0, "发票状态": "有效发票",
}  # fmt: skip
SOLD: Row = {
    "企业代号": "E1", "发票号码": 2827091, "开票日期": "2020/2/9", "购方单位代号": "B16066", "金额": -100.0,
    "税额": -3.0, "价税合计": -103.0, "发票状态": "作废发票 ",
}  # fmt: skip


def files(firm: Row = {}) -> dict[str, list[Row]]:  # noqa: B006
    return {"firms": [FIRM | firm], "input_invoices": [BOUGHT], "output_invoices": [SOLD]}


def test_invoices_of_both_directions(tmp_path: Path) -> None:
    bought, sold = rows_of(import_tables(raw_folder(tmp_path, files()))[0])["invoices"]
    assert bought == {
        "invoice_id": "purchase-E1-A07242-20170118-753804", "customer_id": "E1",
        "occurred_at": pd.Timestamp("2017-01-17 16:00"), "known_at": pd.Timestamp("2017-01-17 16:00"),
        "direction": "purchase", "status": "valid", "amount": 20_349_51, "tax": 610_49, "counterparty_id": "A07242",
    }  # fmt: skip
    assert (sold["direction"], sold["status"], sold["amount"], sold["tax"]) == ("sale", "void", -100_00, -3_00)
    assert sold["counterparty_id"] == "B16066"


def test_firms_are_decided_upon_the_day_after_the_last_invoice(tmp_path: Path) -> None:
    tables = rows_of(import_tables(raw_folder(tmp_path, files()))[0])
    (firm,), (outcome,) = tables["applications"], tables["outcomes"]
    assert firm["applied_at"] + pd.Timedelta(hours=8) == pd.Timestamp("2020-02-10")
    assert (firm["product"], firm["application_id"], outcome["defaulted"]) == ("business", "E1", False)
    assert outcome["known_at"] > firm["applied_at"]
    assert not any("A" in str(value) for value in firm.values())  # the bank's own rating stays out


def test_firms_without_a_credit_record_have_no_outcome(tmp_path: Path) -> None:
    firms = [{"企业代号": "E1", "企业名称": "***有限公司"}]
    tables, dates = import_tables(raw_folder(tmp_path, files() | {"firms": firms}))
    assert (list(tables), dates) == (["applications", "invoices"], "relative")


def test_sheets_saved_as_csv_under_their_own_names(tmp_path: Path) -> None:
    own = raw_folder(tmp_path / "own", files({"是否违约": "是"}))
    sheets = {"企业信息": [FIRM | {"是否违约": "是"}], "进项发票信息": [BOUGHT], "销项发票信息": [SOLD]}
    assert rows_of(import_tables(raw_folder(tmp_path / "csv", sheets, ending="csv"))[0]) == rows_of(
        import_tables(own)[0]
    )


def test_all_missing_files_are_named_at_once(tmp_path: Path) -> None:
    source = raw_folder(tmp_path, {"firms": [FIRM]})
    with pytest.raises(SourceError, match="no input_invoices or 进项发票信息, no output_invoices or 销项发票信息"):
        import_tables(source)


def test_invoices_of_other_firms_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stranger = BOUGHT | {"企业代号": "E999"}
    source = raw_folder(tmp_path, files() | {"input_invoices": [BOUGHT, stranger]})
    assert import_tables(source)[0]["invoices"].num_rows == 2
    assert "input_invoices.parquet: 1 of 2 rows left out, they come twice, or their firm is in no list" in caplog.text
    assert "E999" not in caplog.text


def test_an_invoice_that_comes_twice_with_all_its_values_counts_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    again = [SOLD, SOLD | {"发票状态": "作废发票"}, SOLD | {"金额": -200.0}]
    tables, _ = import_tables(raw_folder(tmp_path, files() | {"output_invoices": again}))
    assert tables["invoices"]["amount"].to_pylist() == [20_349_51, -200_00, -100_00]
    assert "output_invoices.parquet: 1 of 3 rows left out" in caplog.text
    assert found(tables)["invoices", "unique", "reject"] == 2  # which of the other two is right, nobody can tell here


def test_real_invoices_count_once_and_meet_the_contract(real_data: Path) -> None:
    tables, _ = import_tables(real_data / "sme_invoices")
    rows = {name: table.num_rows for name, table in tables.items()}
    assert rows == {"applications": 123, "invoices": 210947 - 803 + 162484 - 4436, "outcomes": 123}
    assert pc.sum(tables["outcomes"]["defaulted"]).as_py() == 27
    told = found(tables)
    assert told.pop(("invoices", "tax_of_amount", "flag")) == 3
    assert {level for _, _, level in told} <= {"flag"}
