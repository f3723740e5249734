from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts import suites
from data_contracts.errors import ContractError, SourceError
from data_contracts.findings import Finding
from data_contracts.folder import TableFolder, to_arrow, write_tables
from data_contracts.suites import check_tables, require_valid
from data_contracts.tables import TABLES

DAY = pd.Timestamp("2024-03-01 04:00")
MISSING = None


def days(number: float) -> pd.Timestamp:
    return DAY + pd.Timedelta(days=number)


def frame(name: str, rows: list[dict[str, Any]], usual: dict[str, Any]) -> pd.DataFrame:
    """Rows of a canonical table; what a row does not give is `usual`, and missing where `usual` does not give it."""
    made = [{column: (usual | row).get(column) for column in TABLES[name].names} for row in rows]
    return pd.DataFrame(made, columns=list(TABLES[name].names)).astype(object).where(lambda table: table.notna(), None)


def applications(*rows: dict[str, Any]) -> dict[str, pd.DataFrame]:
    usual = {"application_id": "a1", "customer_id": "c1", "applied_at": DAY, "product": "cash", "amount_requested": 1}
    return {"applications": frame("applications", list(rows), usual)}


def transactions(*rows: dict[str, Any]) -> dict[str, pd.DataFrame]:
    usual = {
        "transaction_id": "t1", "customer_id": "c1", "occurred_at": days(-2), "known_at": days(-1), "amount": 100,
        "direction": "out", "category": "dining", "channel": "pos", "counterparty_kind": "merchant",
    }  # fmt: skip
    return {"transactions": frame("transactions", list(rows), usual)}


def tradelines(*rows: dict[str, Any]) -> dict[str, pd.DataFrame]:
    usual = {
        "tradeline_id": "b1", "customer_id": "c1", "occurred_at": days(-9), "known_at": days(-1), "kind": "card",
        "status": "active",
    }  # fmt: skip
    return {"tradelines": frame("tradelines", list(rows), usual)}


def months(*rows: dict[str, Any]) -> dict[str, pd.DataFrame]:
    usual = {
        "tradeline_id": "b1", "customer_id": "c1", "occurred_at": days(-9), "known_at": days(-8), "status": "open",
    }  # fmt: skip
    return {"tradeline_months": frame("tradeline_months", list(rows), usual)}


def payments(*rows: dict[str, Any]) -> dict[str, pd.DataFrame]:
    usual = {
        "payment_id": "p1", "loan_id": "l1", "customer_id": "c1", "occurred_at": days(-9), "known_at": days(-9),
        "amount": 5,
    }  # fmt: skip
    return {"payments": frame("payments", list(rows), usual)}


def instalments(*rows: dict[str, Any]) -> dict[str, pd.DataFrame]:
    usual = {
        "instalment_id": "i1", "loan_id": "l1", "customer_id": "c1", "occurred_at": days(-9), "known_at": days(-9),
        "due_at": days(-9), "number": 1, "amount_due": 5,
    }  # fmt: skip
    return {"instalments": frame("instalments", list(rows), usual)}


# a case is: tables, and the one finding there must be: table, column, words of its rule, rows, first offending values
FAULTS = {
    "missing value": (
        applications({}, {"application_id": "a2", "applied_at": MISSING}),
        ("applications", "applied_at", "given", 1, ()),
    ),
    "below its range": (
        transactions({"amount": 0}, {"transaction_id": "t2", "amount": -5}, {"transaction_id": "t3", "amount": 1}),
        ("transactions", "amount", "from 1 to 10,000,000,000,000 fen", 2, ("0", "-5")),
    ),
    "above its range, among missing values": (
        tradelines({"overdue_days": 20001}, {"tradeline_id": "b2"}),
        ("tradelines", "overdue_days", "from 0 to 20,000 days", 1, ("20001",)),
    ),
    "infinite": (
        applications({"age_years": float("inf")}),
        ("applications", "age_years", "from 16 to 110 years", 1, ("inf",)),
    ),
    "no category": (
        transactions({"direction": "sideways"}, {"transaction_id": "t2"}),
        ("transactions", "direction", "one of in, out", 1, ("'sideways'",)),
    ),
    "key twice": (
        transactions({}, {"transaction_id": "t2"}, {}),
        ("transactions", "transaction_id", "unique", 2, ("'t1'", "'t1'")),
    ),
    "version twice": (
        tradelines({}, {"known_at": days(-2)}, {}),
        (
            "tradelines", "tradeline_id, known_at", "unique", 2,
            ("tradeline_id='b1' known_at=2024-02-29 04:00:00", "tradeline_id='b1' known_at=2024-02-29 04:00:00"),
        ),
    ),
    "known before it happened": (
        transactions({"occurred_at": days(-1), "known_at": days(-2)}),
        (
            "transactions", "known_at, occurred_at", "in order, known_at not before occurred_at", 1,
            ("2024-02-28 04:00:00 / 2024-02-29 04:00:00",),
        ),
    ),
    "reference to nothing": (
        tradelines({}) | months({}, {"tradeline_id": "b9"}, {"tradeline_id": "b8"}),
        ("tradeline_months", "tradeline_id", "found in table tradelines", 2, ("'b9'", "'b8'")),
    ),
    "reference to nothing, among missing ones": (
        instalments({})
        | payments({"instalment_id": "i7"}, {"payment_id": "p2"}, {"payment_id": "p3", "instalment_id": "i1"}),
        ("payments", "instalment_id", "found in table instalments", 1, ("'i7'",)),
    ),
    "stale": (
        applications({}) | transactions({"occurred_at": days(-62), "known_at": days(-61)}),
        (
            "transactions", "known_at", "fresh, the newest within 60 days of the newest application", 1,
            ("2023-12-31 04:00:00",),
        ),
    ),
    "wrong type": (
        transactions({"amount": "much"}),
        ("transactions", "amount", "of type int64, it is string", 1, ()),
    ),
    "fractions of a fen": (
        transactions({"amount": 1.5}),
        ("transactions", "amount", "of type int64, it is double", 1, ()),
    ),
    "types mixed": (
        transactions({"amount": 1}, {"transaction_id": "t2", "amount": "2"}),
        ("transactions", "amount", "of type int64, it is string", 2, ()),
    ),
    "column gone": (
        {"transactions": transactions({}, {"transaction_id": "t2"})["transactions"].drop(columns="category")},
        ("transactions", "category", "there", 2, ()),
    ),
    "column unknown": (
        {"payments": payments({})["payments"].assign(iban="DE00")},
        ("payments", "iban", "absent, or one of the table's columns (payment_id, loan_id, ", 1, ()),
    ),
    "table unknown": (
        {"salaries": pd.DataFrame({"customer_id": ["c1"]})},
        ("salaries", "", "one of the canonical tables (applications, ", 0, ()),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("tables", "expected"), FAULTS.values(), ids=FAULTS)
def test_each_rule_finds_its_fault_and_nothing_else(tables: Any, expected: tuple[str, str, str, int, Any]) -> None:
    (finding,) = check_tables(tables)
    assert (finding.table, finding.column, finding.rows, finding.examples) == (*expected[:2], *expected[3:])
    assert finding.rule.startswith(expected[2])


@pytest.mark.parametrize(
    "tables",
    [
        pytest.param(
            applications({"owns_car": True, "age_years": 16.0}, {"application_id": "a2"}), id="ends of ranges"
        ),
        pytest.param(transactions({"known_at": days(-2)}), id="known as it happened"),
        pytest.param(tradelines({}, {"known_at": days(-2)}), id="two versions of a key"),
        pytest.param(months({"tradeline_id": "b9"}), id="reference to a table that is not there"),
        pytest.param(instalments({}) | payments({"instalment_id": MISSING}), id="no reference"),
        pytest.param(
            applications({}) | transactions({"occurred_at": days(-61), "known_at": days(-60)}), id="just fresh"
        ),
        pytest.param(transactions(), id="no rows"),
        pytest.param({}, id="no tables"),
        pytest.param(
            {"transactions": transactions({})["transactions"].astype({"category": "category", "amount": "int32"})},
            id="other types of the same values",
        ),
        pytest.param({"transactions": to_arrow(TABLES["transactions"], transactions({})["transactions"])}, id="arrow"),
        pytest.param(
            {"payments": payments({})["payments"].drop(columns="instalment_id")}, id="nullable column left out"
        ),
    ],
)
def test_valid_tables_pass(tables: Any) -> None:
    assert check_tables(tables) == []


def test_a_folder_is_checked_as_it_lies_on_disk(tmp_path: Path) -> None:
    tables = tradelines({"overdue_days": 3}) | months({"overdue_bucket": 9})
    write_tables(tmp_path / "canonical", tables, lender="tiny", dates="calendar")
    expected = [Finding("tradeline_months", "overdue_bucket", "from 0 to 5 count", 1, ("9",))]
    assert check_tables(tmp_path / "canonical") == expected
    assert check_tables(TableFolder.open(tmp_path / "canonical")) == expected


def test_a_file_with_a_column_less_or_of_another_type_is_found(tmp_path: Path) -> None:
    folder = write_tables(tmp_path / "canonical", tradelines({}), lender="tiny", dates="calendar")
    table = pq.read_table(folder.file("tradelines")).drop_columns("closed_at")
    table = table.set_column(2, "occurred_at", pa.array(["yesterday"]))
    pq.write_table(table, folder.file("tradelines"))
    assert [(finding.column, finding.rule) for finding in check_tables(folder)] == [
        ("closed_at", "there"),
        ("occurred_at", "of type timestamp[us], it is string"),
    ]


def test_damaged_files_are_errors_of_the_source(tmp_path: Path) -> None:
    many = transactions(*({"transaction_id": f"t{number}"} for number in range(20_000)))
    folder = write_tables(tmp_path / "canonical", many, lender="tiny", dates="calendar")
    file = folder.file("transactions")
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    with pytest.raises(SourceError, match="transactions"):
        check_tables(folder)
    file.write_bytes(whole[:1000] + bytes(9000) + whole[10_000:])
    with pytest.raises(SourceError, match="Table transactions cannot be read"):
        check_tables(folder)


def test_findings_add_up_over_the_pieces_of_a_long_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suites, "ROWS_AT_ONCE", 2048)  # DuckDB hands out rows by 2048
    amounts = np.ones(10_000, dtype=np.int64)
    amounts[[5, 4000, 9999]] = [0, -1, -2]
    table = pd.concat([transactions({})["transactions"]] * 10_000, ignore_index=True)
    table["amount"] = amounts
    table["transaction_id"] = [f"t{min(number, 9_998)}" for number in range(10_000)]
    found = {finding.column: (finding.rows, set(finding.examples)) for finding in check_tables({"transactions": table})}
    assert found == {"amount": (3, {"0", "-1", "-2"}), "transaction_id": (2, {"'t9998'"})}


def test_at_most_five_offending_values_are_shown_and_long_ones_are_cut() -> None:
    rows = [{"transaction_id": f"t{number}", "direction": "x" * 99} for number in range(7)]
    (finding,) = check_tables(transactions(*rows))
    assert (finding.rows, finding.examples) == (7, (f"'{'x' * 60}…'",) * 5)


def test_one_message_lists_every_finding_and_the_way_out() -> None:
    tables = transactions({"amount": 0, "direction": "sideways"}) | applications({"product": "yacht"})
    with pytest.raises(ContractError) as raised:
        require_valid(tables)
    first, *listed, way_out = str(raised.value).splitlines()
    assert first == "The tables break their contract, 3 rules do not hold:"
    assert listed[:2] == [
        "  transactions.amount: must be from 1 to 10,000,000,000,000 fen; 1 row is not, first: 0",
        "  transactions.direction: must be one of in, out; 1 row is not, first: 'sideways'",
    ]
    assert listed[2].startswith("  applications.product: must be one of emergency_cash, ")
    assert way_out.startswith("Mend these records where they come from")
    assert raised.value.exit_code == 2


def test_valid_tables_are_required_silently(capsys: pytest.CaptureFixture[str]) -> None:
    require_valid(applications({}) | transactions({}))
    assert capsys.readouterr() == ("", "")


def test_no_network_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the check of a contract opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert len(check_tables(transactions({"amount": 0}))) == 1


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_rule_of_every_table_is_compiled(table: Any) -> None:
    meta = [expectation.meta for expectation in suites.row_suite(table, table.foreign_keys).expectations]
    given = {fact["column"] for fact in meta if fact["rule"] == "given"}
    assert given == {column.name for column in table.columns if not column.nullable}
    listed = {fact["column"] for fact in meta if fact["rule"].startswith("one of")}
    assert listed == {column.name for column in table.columns if column.categories}
    ranged = {fact["column"] for fact in meta if fact["rule"].startswith("from ")}
    assert ranged == {column.name for column in table.columns if column.low is not None or column.dtype == "float64"}
    assert sum(fact["rule"].startswith("in order") for fact in meta) == len(table.ordered)
    assert sum(fact["rule"].startswith("found in") for fact in meta) == len(table.foreign_keys)
