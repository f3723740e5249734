from __future__ import annotations

from datetime import datetime

import pandas as pd
import pyarrow as pa
import pytest

from data_contracts.errors import SourceError
from data_contracts.monthly import monthly_deliveries

RECEIVED = datetime(2024, 5, 10)


def applications(*days: str | None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "application_id": [f"a{at}" for at in range(len(days))],
            "customer_id": [f"c{at}" for at in range(len(days))],
            "applied_at": [pd.NaT if day is None else pd.Timestamp(day) for day in days],
            "product": "cash",
            "amount_requested": 1,
        }
    )


def events(key: str, *rows: tuple[str, str], **usual: str) -> pd.DataFrame:
    """Records of a customer, learned on a day."""
    known = [pd.Timestamp(day) for _, day in rows]
    return pd.DataFrame(
        {key: range(len(rows)), "customer_id": [who for who, _ in rows], "occurred_at": known, "known_at": known}
    ).assign(**{key: [f"{key}{at}" for at in range(len(rows))]}, **usual)


def counted(tables: dict[str, pd.DataFrame]) -> dict[str, dict[str, int]]:
    return {
        part: {name: rows.num_rows for name, rows in some.items() if rows.num_rows}
        for part, _, some in monthly_deliveries(tables, RECEIVED)
    }


def test_history_and_the_opening_months_come_first_then_a_month_each() -> None:
    payments = events("payment_id", ("c0", "2020-01-01"), ("c0", "2024-01-31"), ("c0", "2024-02-01"))
    given = {
        "applications": applications("2023-11-10", "2024-01-31 23:59", "2024-02-01", "2024-04-30"),
        "payments": payments,
    }
    assert counted(given) == {
        "until 2024-01": {"applications": 2, "payments": 2},
        "2024-02": {"applications": 1, "payments": 1},
        "2024-04": {"applications": 1},
    }


def test_a_part_came_at_the_end_of_its_month_and_not_after_all_was_received() -> None:
    given = {"applications": applications("2024-02-03", "2024-05-02")}
    assert [(part, came) for part, came, _ in monthly_deliveries(given, RECEIVED)] == [
        ("until 2024-04", datetime(2024, 5, 1)),
        ("2024-05", RECEIVED),
    ]
    young = {"applications": applications("2024-04-03", "2024-05-02")}
    assert [(part, came) for part, came, _ in monthly_deliveries(young, RECEIVED)] == [("2024-05", RECEIVED)]


def test_rows_whose_time_is_missing_or_impossible_are_in_the_first_and_last() -> None:
    payments = events("payment_id", ("c0", "2090-01-01"), ("c0", "2024-04-01"))
    given = {"applications": applications("2024-01-10", None), "payments": payments}
    assert counted(given) == {
        "until 2024-03": {"applications": 2},
        "2024-04": {"payments": 1},
        "2024-05": {"payments": 1},
    }


def test_a_single_wrong_date_does_not_begin_the_months() -> None:
    given = {"applications": applications("1994-03-01", *["2024-01-10"] * 1500, "2024-04-01")}
    assert counted(given) == {"until 2024-03": {"applications": 1501}, "2024-04": {"applications": 1}}


def test_records_that_need_a_consent_come_with_it() -> None:
    rows = (("c0", "2024-01-15"), ("c0", "2024-05-05"), ("c1", "2024-01-15"))
    given = {
        "applications": applications("2024-01-10"),
        "inquiries": events("inquiry_id", *rows, reason="self", institution_kind="bank"),
        "payments": events("payment_id", *rows),
        "consents": events("consent_id", ("c0", "2024-04-02"), provider="bureau", decision_point="application"),
    }
    found = counted(given)
    assert {part: of.get("inquiries", 0) for part, of in found.items()} == {
        "until 2024-03": 1, "2024-04": 1, "2024-05": 1
    }  # fmt: skip
    assert found["until 2024-03"]["payments"] == 2, "own records need none"
    assert found["2024-04"]["consents"] == 1


def test_an_empty_table_is_delivered_once() -> None:
    given = {"applications": applications("2024-01-10", "2024-04-10"), "payments": events("payment_id")}
    first, second = (some for _, _, some in monthly_deliveries(given, RECEIVED))
    assert first["payments"].num_rows == 0
    assert "payments" not in second


def test_what_cannot_be_split_is_in_the_first() -> None:
    odd = pa.table({"known_at": ["yesterday"], "payment_id": ["p"]})
    given = {"applications": applications("2024-01-10", "2024-04-10"), "payments": odd, "diary": odd}
    first, second = (some for _, _, some in monthly_deliveries(given, RECEIVED))
    assert first["payments"].num_rows == first["diary"].num_rows == 1
    assert set(second) == {"applications"}


@pytest.mark.parametrize("tables", [{}, {"applications": applications(None)}])
def test_without_a_dated_application_there_are_no_months(tables: dict[str, pd.DataFrame]) -> None:
    with pytest.raises(SourceError, match="No application says when it was made"):
        list(monthly_deliveries(tables, RECEIVED))
