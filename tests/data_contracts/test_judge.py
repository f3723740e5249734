from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts import judge as judging
from data_contracts import suites
from data_contracts.errors import ContractError, SourceError
from data_contracts.folder import TableFolder, to_arrow, write_batch, write_manifest, write_tables
from data_contracts.judge import check_tables, judge, require_valid
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


def inquiries(*rows: dict[str, Any]) -> dict[str, pd.DataFrame]:
    usual = {
        "inquiry_id": "q1", "customer_id": "c1", "occurred_at": days(-9), "known_at": days(-8), "reason": "self",
        "institution_kind": "bank",
    }  # fmt: skip
    return {"inquiries": frame("inquiries", list(rows), usual)}


def loans(*rows: dict[str, Any]) -> dict[str, pd.DataFrame]:
    usual = {
        "loan_id": "l1", "customer_id": "c1", "occurred_at": days(-20), "known_at": days(-20), "product": "cash",
        "status": "granted",
    }  # fmt: skip
    return {"loans": frame("loans", list(rows), usual)}


def loan_months(*rows: dict[str, Any]) -> dict[str, pd.DataFrame]:
    usual = {
        "loan_id": "l1", "customer_id": "c1", "occurred_at": days(-9), "known_at": days(-8), "status": "active",
    }  # fmt: skip
    return {"loan_months": frame("loan_months", list(rows), usual)}


def card_months(*rows: dict[str, Any]) -> dict[str, pd.DataFrame]:
    usual = {"card_id": "k1", "customer_id": "c1", "occurred_at": days(-9), "known_at": days(-8)}
    return {"card_months": frame("card_months", list(rows), usual)}


def invoices(*rows: dict[str, Any]) -> dict[str, pd.DataFrame]:
    usual = {
        "invoice_id": "v1", "customer_id": "c1", "occurred_at": days(-9), "known_at": days(-8), "direction": "sale",
        "status": "valid", "amount": 10_000,
    }  # fmt: skip
    return {"invoices": frame("invoices", list(rows), usual)}


def consents(*rows: dict[str, Any]) -> dict[str, pd.DataFrame]:
    usual = {
        "consent_id": "s1", "customer_id": "c1", "occurred_at": days(-90), "known_at": days(-90),
        "provider": "consumption", "decision_point": "application",
    }  # fmt: skip
    return {"consents": frame("consents", list(rows), usual)}


def outcomes(*rows: dict[str, Any]) -> dict[str, pd.DataFrame]:
    usual = {
        "application_id": "a1", "customer_id": "c1", "occurred_at": days(90), "known_at": days(90),
        "months_on_book": 3, "dpd_max": 0,
    }  # fmt: skip
    return {"outcomes": frame("outcomes", list(rows), usual)}


ODD = days(-9) + pd.Timedelta(minutes=7)  # a feed that tells the minute
CASH = {"product": "cash"}
SALARY = {"category": "salary", "direction": "in"}
# a case is: tables, and the one finding there must be: table, rule, level, rows that break it
BROKEN = {
    "value missing": (applications({}, {"application_id": "a2", "applied_at": MISSING}), "applications given reject 1"),
    "below its range": (
        transactions({"amount": 0}, {"transaction_id": "t2", "amount": -5}, {"transaction_id": "t3", "amount": 1}),
        "transactions range reject 0 1",
    ),
    "above its range, among missing values": (
        tradelines({"overdue_days": 20001}, {"tradeline_id": "b2", "occurred_at": days(-8)}),
        "tradelines range reject 0",
    ),
    "infinite": (applications({"age_years": float("inf")}), "applications range reject 0"),
    "no category": (
        transactions({"direction": "sideways", "category": "other"}, {"transaction_id": "t2"}),
        "transactions category reject 0",
    ),
    "key twice": (
        transactions({}, {"transaction_id": "t2"}, {"amount": 7}),
        "transactions unique reject 0 2",
    ),
    "told twice word for word: the first stays": (
        transactions({}, {"transaction_id": "t2"}, {}),
        "transactions not_repeated reject 2",
    ),
    "one version twice": (
        tradelines({}, {"known_at": days(-2)}, {"balance": 7}), "tradelines unique reject 0 2",
    ),
    "text damaged": (
        inquiries({"institution": "é“¶è¡Œ"}, {"inquiry_id": "q2"}, {"inquiry_id": "q3", "institution": "招商银行"}),
        "inquiries clean_text reject 0",
    ),
    "text not decoded": (inquiries({"institution": "bank\ufffd"}), "inquiries clean_text reject 0"),
    "text empty": (inquiries({"inquiry_id": ""}), "inquiries clean_text reject 0"),
    "text with blanks at its end": (inquiries({"inquiry_id": "q1 "}), "inquiries clean_text reject 0"),
    "reference to nothing": (
        tradelines({}) | months({}, {"tradeline_id": "b9"}, {"tradeline_id": "b8"}),
        "tradeline_months tradeline_id_in_tradelines reject 1 2",
    ),
    "reference to nothing, among missing ones": (
        instalments({})
        | payments({"instalment_id": "i7"}, {"payment_id": "p2"}, {"payment_id": "p3", "instalment_id": "i1"}),
        "payments instalment_id_in_instalments reject 0",
    ),
    "another customer than the account's": (
        tradelines({}) | months({}, {"occurred_at": days(-8), "customer_id": "c2"}),
        "tradeline_months same_as_in_tradelines reject 1",
    ),
    "known before it happened": (
        transactions({"occurred_at": days(-1), "known_at": days(-2)}),
        "transactions known_at_not_before_occurred_at reject 0",
    ),
    "transaction known late": (transactions({"occurred_at": days(-22)}), "transactions known_late flag 0"),
    "inquiry known late": (inquiries({"occurred_at": days(-39)}), "inquiries known_late flag 0"),
    "month known late": (months({"occurred_at": days(-84)}), "tradeline_months known_late flag 0"),
    "payment known late": (payments({"occurred_at": days(-40)}), "payments known_late flag 0"),
    "statement known late": (card_months({"occurred_at": days(-84)}), "card_months known_late flag 0"),
    "loan's month known late": (loan_months({"occurred_at": days(-84)}), "loan_months known_late flag 0"),
    "invoice known late": (invoices({"occurred_at": days(-99)}), "invoices known_late flag 0"),
    "amount of another product": (
        applications({"product": "emergency_cash", "amount_requested": 100_000_00}),
        "applications amount_of_product flag 0",
    ),
    "income of another unit": (
        applications({"income_monthly": 8_000}, {"application_id": "a2", "income_monthly": 800_000}),
        "applications income_plausible flag 0",
    ),
    "employed as a child": (
        applications({"age_years": 20.0, "employed_months": 99.0}), "applications employed_since_youth flag 0",
    ),
    "instalment above the amount": (
        applications({"instalment_monthly": 200_000}), "applications instalment_within_amount flag 0",
    ),
    "another gender than before": (
        applications({"gender": "male"}, {"application_id": "a2", "applied_at": days(9), "gender": "female"}),
        "applications same_person flag 1",
    ),
    "ten years older in a week": (
        applications({"age_years": 30.0}, {"application_id": "a2", "applied_at": days(9), "age_years": 40.0}),
        "applications same_person flag 1",
    ),
    "opened long ago": (
        tradelines({"occurred_at": pd.Timestamp("1970-01-01")}), "tradelines opened_in_living_memory flag 0",
    ),
    "opened twice": (
        tradelines({}, {"known_at": days(-2)}, {"known_at": days(-3), "occurred_at": days(-5)}),
        "tradelines opened_once flag 2",
    ),
    "a purchase under another name": (
        transactions({"occurred_at": ODD}, {"transaction_id": "t2", "occurred_at": ODD, "known_at": DAY}),
        "transactions told_once flag 1",
    ),
    "an amount beyond its like": (
        transactions(
            *({"transaction_id": f"t{number}", "amount": 100 + number} for number in range(100)),
            {"transaction_id": "t999", "amount": 10_000_000},
        ),
        "transactions usual_size flag 100",
    ),
    "an invoice beyond its like": (
        invoices(
            *({"invoice_id": f"v{number}", "amount": 100 + number} for number in range(100)),
            {"invoice_id": "v999", "amount": -10_000_000},
        ),
        "invoices usual_size flag 100",
    ),
    "an invoice under another name": (
        invoices({"occurred_at": ODD}, {"invoice_id": "v2", "occurred_at": ODD, "known_at": DAY}),
        "invoices told_once flag 1",
    ),
    "an inquiry under another name": (
        inquiries({"occurred_at": ODD}, {"inquiry_id": "q2", "occurred_at": ODD, "known_at": DAY}),
        "inquiries told_once flag 1",
    ),
    "a payment under another name": (
        payments(*({"payment_id": name, "occurred_at": ODD, "known_at": DAY} for name in ("p1", "p2"))),
        "payments told_once flag 1",
    ),
    "rate in per cent": (
        loans(*({"loan_id": f"l{number}", "annual_rate": rate} for number, rate in enumerate([7.2, 0.07, 0.08]))),
        "loans annual_rate_as_ratio flag 0",
    ),
    "decided before it was applied for": (
        applications({}) | loans({"application_id": "a1"}), "loans not_before_applied flag 0",
    ),
    "closed before it was opened": (
        tradelines({"status": "closed", "closed_at": days(-10)}),
        "tradelines closed_at_not_before_occurred_at reject 0",
    ),
    "due before it was opened": (
        tradelines({"due_at": days(-10)}), "tradelines due_at_not_before_occurred_at reject 0",
    ),
    "closed after it was told": (
        tradelines({"status": "closed", "closed_at": DAY}), "tradelines known_at_not_before_closed_at flag 0",
    ),
    "overdue above the highest": (
        tradelines({"overdue_amount": 9, "overdue_amount_max": 8, "overdue_days": 3}),
        "tradelines overdue_within_max reject 0",
    ),
    "overdue above the balance": (
        tradelines({"overdue_amount": 9, "balance": 8, "overdue_days": 3}), "tradelines overdue_within_balance flag 0",
    ),
    "overdue in days only": (
        tradelines({"overdue_amount": 0, "overdue_days": 3}), "tradelines overdue_days_and_amount flag 0",
    ),
    "balance of another unit": (
        tradelines({"balance": 100_000, "credit_limit": 1_000}), "tradelines balance_within_amount flag 0",
    ),
    "tradeline's instalment above its amount": (
        tradelines({"instalment_monthly": 200, "amount": 100}), "tradelines instalment_within_amount flag 0",
    ),
    "closed without a day": (tradelines({"status": "closed"}), "tradelines closed_has_its_day flag 0"),
    "two owners of an account": (
        tradelines({}, {"known_at": days(-2)}, {"known_at": days(-3), "customer_id": "c2"}),
        "tradelines one_owner reject 2",
    ),
    "an account under another name": (
        tradelines(*({"tradeline_id": name, "occurred_at": ODD} for name in ("b1", "b2"))),
        "tradelines told_once flag 1",
    ),
    "overdue, its month is not": (
        tradelines({"overdue_days": 25, "overdue_amount": 5}) | months({"overdue_bucket": 0}),
        "tradelines in_step_with_months flag 0",
    ),
    "a month before the opening": (
        tradelines({}) | months({"occurred_at": days(-60), "known_at": days(-50)}),
        "tradeline_months not_before_opening flag 0",
    ),
    "three buckets in a month": (
        months({"overdue_bucket": 0}, {"occurred_at": days(25), "known_at": days(26), "overdue_bucket": 3}),
        "tradeline_months one_bucket_a_month flag 1",
    ),
    "groceries coming in": (
        transactions({"category": "groceries", "direction": "in"}), "transactions direction_of_category flag 0",
    ),
    "salary of another unit": (
        transactions(
            *(SALARY | {"transaction_id": f"t{number}", "amount": 800_000} for number in range(3)),
            SALARY | {"transaction_id": "t9", "amount": 8_000},
        ),
        "transactions salary_as_usual flag 3",
    ),
    "loan closed before it began": (
        loans({"status": "closed", "closed_at": days(-30)}), "loans closed_at_not_before_occurred_at reject 0",
    ),
    "loan closed after it was told": (
        loans({"status": "closed", "closed_at": DAY}), "loans known_at_not_before_closed_at flag 0",
    ),
    "loan's instalment above its principal": (
        loans({"principal": 100, "instalment_monthly": 200}), "loans instalment_within_principal flag 0",
    ),
    "two owners of a loan": (
        loans({}, {"known_at": days(-2)}, {"known_at": days(-3), "customer_id": "c2"}), "loans one_owner reject 2",
    ),
    "due before it was scheduled": (
        instalments({"due_at": days(-10)}), "instalments due_at_not_before_occurred_at reject 0",
    ),
    "paid before the loan": (
        loans({}) | payments({"occurred_at": days(-21), "known_at": days(-21)}), "payments not_before_drawn flag 0",
    ),
    "paid more than is due": (
        instalments({"amount_due": 100_000})
        | payments(
            {"instalment_id": "i1", "amount": 100_000},
            {"instalment_id": "i1", "amount": 90_000, "payment_id": "p2", "occurred_at": days(-8), "known_at": DAY},
        ),
        "payments within_instalment flag 1",
    ),
    "more cash than was drawn": (card_months({"drawn": 5, "drawn_cash": 6}), "card_months cash_within_drawn flag 0"),
    "card's balance of another unit": (
        card_months({"credit_limit": 100, "balance": 400}), "card_months balance_within_limit flag 0",
    ),
    "two owners of a card": (
        card_months({}, {"occurred_at": days(-8)}, {"occurred_at": days(-10), "customer_id": "c2"}),
        "card_months one_owner reject 2",
    ),
    "tax of the other sign": (invoices({"tax": -600}), "invoices tax_of_amount flag 0"),
    "an outcome that says nothing": (
        applications(CASH) | outcomes({"dpd_max": MISSING}), "outcomes says_how_it_went reject 0",
    ),
    "later than the months on book": (
        applications(CASH) | outcomes({"dpd_max": 94}), "outcomes dpd_within_months flag 0",
    ),
    "the worst heals": (
        applications(CASH)
        | outcomes({"dpd_max": 60}, {"occurred_at": days(180), "known_at": days(180), "months_on_book": 6}),
        "outcomes worst_does_not_heal flag 1",
    ),
    "consent ends before it begins": (
        consents({"expires_at": days(-91)}), "consents expires_at_not_before_occurred_at reject 0",
    ),
    "no consent": (
        consents({})
        | applications({"customer_id": "c2"})
        | transactions({}, *({"transaction_id": f"t{k}", "customer_id": f"c{k}"} for k in (2, 3))),
        "transactions consented reject 1",
    ),
    "learned after the consent had ended": (
        consents({}, {"known_at": days(-60), "expires_at": days(-30)})
        | applications({})
        | transactions({}, {"transaction_id": "t2", "occurred_at": days(-40), "known_at": days(-35)}),
        "transactions consented reject 0",
    ),
    "kept too long": (
        applications({})
        | transactions({}, {"transaction_id": "t2", "occurred_at": days(-1829), "known_at": days(-1828)}),
        "transactions within_retention flag 1",
    ),
    "stale": (
        applications({}) | transactions({"occurred_at": days(-62), "known_at": days(-61)}), "transactions fresh batch",
    ),
    "wrong type": (transactions({"amount": "much"}), "transactions type batch"),
    "fractions of a fen": (transactions({"amount": 1.5}), "transactions type batch"),
    "types mixed": (transactions({"amount": 1}, {"transaction_id": "t2", "amount": "2"}), "transactions type batch"),
    "column gone": (
        {"transactions": transactions({}, {"transaction_id": "t2"})["transactions"].drop(columns="category")},
        "transactions columns batch",
    ),
    "column unknown": (
        {"payments": payments({})["payments"].assign(iban="DE00")}, "payments columns batch",
    ),
    "table unknown": ({"salaries": pd.DataFrame({"customer_id": ["c1"]})}, "salaries table batch"),
}  # fmt: skip


@pytest.mark.parametrize(("tables", "expected"), BROKEN.values(), ids=BROKEN)
def test_each_rule_finds_its_fault_and_nothing_else(tables: Any, expected: str) -> None:
    table, rule, level, *rows = expected.split()
    judged = judge(tables)
    assert [(found.table, found.rule, found.level) for found in judged.findings] == [(table, rule, level)]
    assert all(found.en and found.zh for found in judged.findings)
    kept = {"reject": judged.rejected, "flag": judged.flagged, "batch": {}}
    for name, by_table in kept.items():
        broken = {rule: [int(row) for row in rows]} if name == level != "batch" else {}
        found = {key: numbers.tolist() for key, numbers in by_table.get(table, {}).items()}
        assert found == broken


def test_every_rule_of_every_table_has_a_case_that_breaks_it() -> None:
    told = {tuple(expected.split()[:2]) for _, expected in BROKEN.values()}
    learned = "known_at_not_before_occurred_at"
    for table in TABLES.values():
        for rule in table.rules:
            assert (table.name, rule.name) in told or rule.name == learned, f"{table.name}.{rule.name}"


@pytest.mark.parametrize(
    "tables",
    [
        pytest.param(
            applications({"owns_car": True, "age_years": 16.0}, {"application_id": "a2"}), id="ends of ranges"
        ),
        pytest.param(transactions({"known_at": days(-2)}), id="known as it happened"),
        pytest.param(tradelines({}, {"known_at": days(-2)}), id="two versions of a key"),
        pytest.param(transactions({}, {"known_at": DAY, "amount": 7}), id="a correction"),
        pytest.param(months({"tradeline_id": "b9"}), id="reference to a table that is not there"),
        pytest.param(instalments({}) | payments({"instalment_id": MISSING}), id="no reference"),
        pytest.param(
            applications({}) | transactions({"occurred_at": days(-61), "known_at": days(-60)}), id="just fresh"
        ),
        pytest.param(
            tradelines({"closed_at": days(-2), "status": "closed", "overdue_days": 0, "overdue_amount": 0}),
            id="closed on its day",
        ),
        pytest.param(
            months({"overdue_bucket": 0}, {"occurred_at": days(80), "known_at": days(80), "overdue_bucket": 3}),
            id="three buckets in three months",
        ),
        pytest.param(consents({}) | inquiries(), id="consent to one provider asks nothing of tables without rows"),
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
    tables = tradelines({"overdue_days": 3, "overdue_amount": 1}) | months({"status": "shut"})
    write_tables(tmp_path / "canonical", tables, lender="tiny", dates="calendar")
    for source in (tmp_path / "canonical", TableFolder.open(tmp_path / "canonical")):
        (finding,) = check_tables(source)
        assert str(finding) == (
            "tradeline_months.status: must be one of open, closed, unknown; 1 row is not, first: 'shut'"
        )


def test_a_file_with_a_column_less_or_of_another_type_is_found(tmp_path: Path) -> None:
    folder = write_tables(tmp_path / "canonical", tradelines({}), lender="tiny", dates="calendar")
    (file,) = folder.files("tradelines")
    table = pq.read_table(file).drop_columns("closed_at")
    table = table.set_column(2, "occurred_at", pa.array(["yesterday"]))
    pq.write_table(table, file)
    assert [(finding.column, finding.en) for finding in check_tables(folder)] == [
        ("closed_at", "there"),
        ("occurred_at", "of type timestamp[us], it is string"),
    ]


def test_damaged_files_are_errors_of_the_source(tmp_path: Path) -> None:
    many = transactions(*({"transaction_id": f"t{number}"} for number in range(20_000)))
    folder = write_tables(tmp_path / "canonical", many, lender="tiny", dates="calendar")
    file = Path(folder.files("transactions")[0])
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    with pytest.raises(SourceError, match="transactions"):
        check_tables(folder)
    file.write_bytes(whole[:1000] + bytes(9000) + whole[10_000:])
    with pytest.raises(SourceError, match="Table transactions cannot be read"):
        check_tables(folder)


def test_findings_add_up_over_the_pieces_of_a_long_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "ROWS_AT_ONCE", 2048)  # DuckDB hands out rows by 2048
    amounts = np.ones(10_000, dtype=np.int64)
    amounts[[5, 4000, 9999]] = [0, -1, -2]
    table = pd.concat([transactions({})["transactions"]] * 10_000, ignore_index=True)
    table["amount"] = amounts
    table["transaction_id"] = [f"t{min(number, 9_998)}" for number in range(10_000)]
    judged = judge({"transactions": table})
    assert {found.column: (found.rows, found.examples) for found in judged.findings} == {
        "amount": (3, ("0", "-1", "-2")),
        "transaction_id, known_at": (2, ("transaction_id='t9998' known_at=2024-02-29 04:00:00",) * 2),
    }
    rejected = {rule: rows.tolist() for rule, rows in judged.rejected["transactions"].items()}
    assert rejected == {"range": [5, 4000, 9999], "unique": [9998, 9999]}


def test_at_most_five_offending_values_are_shown_and_long_ones_are_cut() -> None:
    rows = [{"transaction_id": f"t{number}", "direction": "x" * 99, "category": "other"} for number in range(7)]
    (finding,) = check_tables(transactions(*rows))
    assert (finding.rows, finding.examples) == (7, (f"'{'x' * 60}…'",) * 5)


def test_one_message_lists_every_finding_and_the_way_out() -> None:
    tables = transactions({"amount": 0, "direction": "sideways", "category": "other"}) | applications(
        {"product": "yacht"}
    )
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


def test_flags_do_not_stop() -> None:
    tables = applications({"income_monthly": 8_000})
    require_valid(tables)
    assert [finding.level for finding in check_tables(tables)] == ["flag"]


def test_nothing_is_known_after_it_was_received() -> None:
    tables = transactions({}, {"transaction_id": "t2", "known_at": days(3)}) | applications({})
    judged = judge(tables, received_at=days(1).to_pydatetime())
    assert [(found.table, found.rule) for found in judged.findings] == [("transactions", "not_from_the_future")]
    assert judged.rejected["transactions"]["not_from_the_future"].tolist() == [1]


def test_references_and_rules_over_rows_see_what_was_accepted_before(tmp_path: Path) -> None:
    before = tradelines({}) | months({"overdue_bucket": 0})
    accepted = write_tables(tmp_path / "accepted", before, lender="tiny", dates="calendar")
    new = months({"occurred_at": days(25), "known_at": days(26), "overdue_bucket": 2}, {"tradeline_id": "b7"})
    judged = judge(new, accepted=accepted)
    assert {rule: rows.tolist() for rule, rows in judged.rejected["tradeline_months"].items()} == {
        "tradeline_id_in_tradelines": [1]
    }
    assert {rule: rows.tolist() for rule, rows in judged.flagged["tradeline_months"].items()} == {
        "one_bucket_a_month": [0]
    }


def test_a_table_that_came_before_and_not_now_is_told(tmp_path: Path) -> None:
    accepted = write_tables(tmp_path / "accepted", inquiries({}) | transactions({}), lender="tiny", dates="calendar")
    judged = judge(transactions({"transaction_id": "t2"}) | inquiries(), accepted=accepted)
    assert [(found.table, found.rule, found.level) for found in judged.findings] == [("inquiries", "delivered", "flag")]


def feed(seed: int, *, rows: int = 6_000, scale: float = 1.0, hours: int = 0) -> dict[str, pd.DataFrame]:
    """A month of transactions of one supplier."""
    rng = np.random.default_rng(seed)
    at = days(30 * seed) + pd.to_timedelta(rng.uniform(0, 30, rows), unit="D")
    at = at.floor("D") + pd.to_timedelta(rng.normal(360, 180, rows).clip(0, 900).round() + 60 * hours, unit="min")
    usual = transactions({})["transactions"].iloc[0].to_dict()
    table = pd.DataFrame({name: [usual[name]] * rows for name in TABLES["transactions"].names})
    table["transaction_id"] = [f"{seed}-{number}" for number in range(rows)]
    table["customer_id"] = [f"c{number % 1_000}" for number in range(rows)]
    table["amount"] = (rng.lognormal(9, 1, rows) * scale).astype(np.int64) + 1
    return {"transactions": table.assign(occurred_at=at, known_at=at)}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"rows": 3_000}, [("", "volume")]),
        ({"scale": 0.01}, [("amount", "distribution")]),
        ({"hours": 8}, [("occurred_at", "distribution")]),
    ],
)
def test_a_batch_is_held_against_the_last_accepted_one(
    tmp_path: Path, change: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    first = feed(0)
    profiles = judge(first).profiles
    arrow = {name: to_arrow(TABLES[name], table) for name, table in first.items()}
    folder = tmp_path / "accepted"
    folder.mkdir()
    batch = write_batch(folder, arrow, "calendar", {"profiles": profiles})
    write_manifest(folder, "tiny", "calendar", [batch], [])
    judged = judge(feed(1, **change), accepted=TableFolder.open(folder))
    assert [(found.column, found.rule) for found in judged.findings] == expected
    assert all(found.level == "batch" and found.examples for found in judged.findings)
    assert not judged.rejected
    assert not judged.flagged


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_rule_of_every_table_is_compiled(table: Any) -> None:
    meta = [expectation.meta for expectation in suites.row_suite(table, table.rules).expectations]
    of = {rule: {fact["column"] for fact in meta if fact["rule"] == rule} for rule in ("given", "category", "range")}
    assert of["given"] == {column.name for column in table.columns if not column.nullable}
    assert of["category"] == {column.name for column in table.columns if column.categories}
    ranged = {column.name for column in table.columns if column.low is not None or column.dtype == "float64"}
    assert of["range"] == ranged
    assert {rule.name for rule in table.rules} <= {fact["rule"] for fact in meta}
