"""Which version counts, in rows and in SQL."""

from __future__ import annotations

from datetime import datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from data_contracts.engine import connect
from data_contracts.folder import TableFolder, write_tables
from data_contracts.tables import INSTALMENTS, LOAN_MONTHS, PAYMENTS
from features import batch
from features.sets import feature_set
from features.versions import newest, without_superseded

AS_OF = datetime(2025, 3, 10)
US = timedelta(microseconds=1)


def row(name: str, known: datetime, amount: int, customer: str = "c1") -> dict[str, Any]:
    """A payment of the first of March, 2025."""
    paid = {"payment_id": name, "loan_id": "l", "occurred_at": datetime(2025, 3, 1), "known_at": known}
    return paid | {"customer_id": customer, "amount": amount}


VERSIONS = [
    row("p", AS_OF - 9 * US, 1),
    row("p", AS_OF, 2),
    row("p", AS_OF + US, 3),
    row("q", AS_OF - US, 10),
    row("r", AS_OF + US, 20),
]


@pytest.mark.parametrize(
    ("as_of", "amounts"),
    [
        (AS_OF - 10 * US, {}),
        (AS_OF - 9 * US, {"p": 1}),
        (AS_OF - US, {"p": 1, "q": 10}),
        (AS_OF, {"p": 2, "q": 10}),
        (AS_OF + US, {"p": 3, "q": 10, "r": 20}),
    ],
)
def test_the_newest_version_known_counts_in_any_order(as_of: datetime, amounts: dict[str, int]) -> None:
    for rows in (VERSIONS, VERSIONS[::-1], VERSIONS[2:] + VERSIONS[:2]):
        found = newest(rows, itemgetter("payment_id"), as_of)
        assert {one["payment_id"]: one["amount"] for one in found} == amounts
        assert len(found) == len(amounts)


def test_a_key_of_several_columns() -> None:
    months = [{"loan_id": "l", "occurred_at": AS_OF - 30 * day, "known_at": AS_OF} for day in (US, 2 * US)]
    assert newest(months, itemgetter(*LOAN_MONTHS.key), AS_OF) == months


def test_the_rows_that_were_given_stay_as_they_were() -> None:
    rows = VERSIONS[::-1]
    newest(rows, itemgetter("payment_id"), AS_OF)
    assert rows == VERSIONS[::-1]


def written(path: Path, rows: list[dict[str, Any]]) -> TableFolder:
    asked = {"applied_at": AS_OF, "product": "cash", "amount_requested": 1}
    tables = {
        "applications": pd.DataFrame([{"application_id": f"a{c}", "customer_id": f"c{c}", **asked} for c in (1, 2)]),
        "payments": pd.DataFrame(rows),
        "instalments": pd.DataFrame(columns=list(INSTALMENTS.names)),
    }
    return write_tables(path / "tables", tables, lender="by_hand", dates="calendar")


def amounts(folder: TableFolder) -> list[int]:
    """What SQL lets through for each application."""
    query = (
        f"select amount from (select customer_id, applied_at as as_of from {folder.scan('applications')}) "
        f"join {folder.scan('payments')} as t using (customer_id) {without_superseded(folder, PAYMENTS)}"
        "where t.known_at <= as_of order by amount"
    )
    with connect(threads=1) as engine:
        return [amount for (amount,) in engine.execute(query).fetchall()]


def test_sql_lets_the_same_through(tmp_path: Path) -> None:
    assert amounts(written(tmp_path, VERSIONS)) == [2, 10]


def test_versions_are_those_of_one_customer(tmp_path: Path) -> None:
    """A request holds the records of one customer, so no engine may look at those of another."""
    folder = written(tmp_path, [row("p", AS_OF - US, 1), row("p", AS_OF, 2, customer="c2")])
    assert folder.corrected == ("payments",)
    assert amounts(folder) == [1, 2]
    paid = batch.compute(folder, feature_set("application_v1"))["payments_count_180d"]
    assert paid.to_list() == [1.0, 1.0]


def test_corrections_cost_nothing_where_there_are_none(tmp_path: Path) -> None:
    once = written(tmp_path / "once", [VERSIONS[0], VERSIONS[3]])
    assert without_superseded(once, PAYMENTS) == ""
    assert not any("superseded_at" in sql for sql in batch.explain(once, feature_set("application_v1")).values())
    again = batch.explain(written(tmp_path / "again", VERSIONS), feature_set("application_v1"))
    told = {name for name, sql in again.items() if "superseded_at" in sql}
    assert "versions_payments" in told
    assert {name.removesuffix("_in_order") for name in told} == {"versions_payments", "of_payments", "of_instalments"}
