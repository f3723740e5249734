from __future__ import annotations

import json

import pandas as pd
import pytest

from data_contracts.errors import DeclarationError, SourceError
from data_contracts.folder import write_tables
from data_contracts.quality.coverage import coverage

NOON = pd.Timestamp("2024-03-15 12:00")
A_MOMENT = pd.Timedelta(microseconds=1)
DAY = pd.Timedelta(days=1)


def applications(*rows):
    names = ["application_id", "customer_id", "applied_at", "product"]
    return pd.DataFrame(rows, columns=names).assign(amount_requested=100_000)


def inquiries(*rows):
    """Rows of customer and known_at."""
    return pd.DataFrame(
        {
            "inquiry_id": [f"q{number}" for number in range(len(rows))],
            "customer_id": [customer for customer, _ in rows],
            "occurred_at": [known for _, known in rows],
            "known_at": [known for _, known in rows],
            "reason": "self",
            "institution_kind": "bank",
        }
    )


def loan_months(*rows: tuple[str, pd.Timestamp]) -> pd.DataFrame:
    made = [
        {"loan_id": "l", "customer_id": who, "occurred_at": at, "known_at": at, "status": "active"} for who, at in rows
    ]
    return pd.DataFrame(made)


def loans(*rows):
    """Rows of customer, when it was decided, when it was known, status."""
    frame = pd.DataFrame(rows, columns=["customer_id", "occurred_at", "known_at", "status"])
    return frame.assign(loan_id=[f"l{number}" for number in range(len(rows))], product="cash")


def consents(*rows):
    """Rows of consent, customer, provider, decision point, given, known, expires."""
    names = ["consent_id", "customer_id", "provider", "decision_point", "occurred_at", "known_at", "expires_at"]
    return pd.DataFrame(rows, columns=names)


def cards(*rows):
    """Rows of customer and known_at."""
    return pd.DataFrame(
        {
            "card_id": [f"k{number}" for number in range(len(rows))],
            "customer_id": [customer for customer, _ in rows],
            "occurred_at": [known for _, known in rows],
            "known_at": [known for _, known in rows],
        }
    )


def write(path, dates="calendar", **tables):
    return write_tables(path / "tables", tables, lender="tiny", dates=dates)


@pytest.mark.parametrize(("known_at", "there"), [(NOON, True), (NOON - DAY, True), (NOON + A_MOMENT, False)])
def test_a_source_is_there_when_a_record_of_it_was_known_by_then(tmp_path, known_at, there):
    folder = write(tmp_path, applications=applications(("a", "c", NOON, "cash")), inquiries=inquiries(("c", known_at)))
    rows = coverage(folder).applications
    assert rows.loc["a", ["bureau", "consumption", "repayment", "business"]].tolist() == [there, False, False, False]


def test_each_application_counts_by_its_own_moment_and_its_own_customer(tmp_path):
    folder = write(
        tmp_path,
        applications=applications(
            ("a3", "late", NOON + 40 * DAY, "cash"),
            ("a1", "late", NOON, "cash"),
            ("a2", "early", NOON, "education"),
            ("a4", "nobody", NOON, "education"),
        ),
        inquiries=inquiries(("late", NOON + DAY), ("late", NOON + 2 * DAY), ("early", NOON - DAY), ("other", NOON)),
    )
    found = coverage(folder)
    assert found.applications["bureau"].to_dict() == {"a1": False, "a2": True, "a3": True, "a4": False}
    bureau = found.summary()["providers"]["bureau"]
    assert (bureau["concerned"], bureau["present"], bureau["share"], bureau["meets"]) == (4, 2, 0.5, False)
    assert bureau["share_of_customers"] == pytest.approx(2 / 3)  # at their latest application: not nobody
    assert bureau["by_product"] == {
        "cash": {"concerned": 2, "share": 0.5},
        "education": {"concerned": 2, "share": 0.5},
    }
    assert bureau["by_month"] == {
        "2024-03": {"concerned": 3, "share": pytest.approx(1 / 3)},
        "2024-04": {"concerned": 1, "share": 1.0},
    }
    assert bureau["tables"] == ["inquiries"]


def test_repayment_is_asked_of_returning_customers_only(tmp_path):
    folder = write(
        tmp_path,
        applications=applications(
            ("first", "new", NOON, "cash"),
            ("again", "old", NOON, "cash"),
            ("refused", "asked", NOON, "cash"),
            ("own", "drawn", NOON, "cash"),
            ("unknown", "slow", NOON, "cash"),
        ),
        loans=loans(
            ("old", NOON - 99 * DAY, NOON - 99 * DAY, "closed"),
            ("asked", NOON - 9 * DAY, NOON - 9 * DAY, "refused"),
            ("drawn", NOON, NOON, "granted"),  # of this very application
            ("slow", NOON - 9 * DAY, NOON + DAY, "granted"),
        ),
        loan_months=loan_months(("old", NOON - 9 * DAY)),  # a loan alone does not say how it was repaid
    )
    found = coverage(folder)
    assert found.applications.index[found.applications["repayment_concerned"]].tolist() == ["again", "unknown"]
    summary = found.summary()
    repayment = summary["providers"]["repayment"]
    assert (summary["returning"], repayment["concerned"], repayment["present"], repayment["share"]) == (2, 2, 1, 0.5)
    assert repayment["share_of_all"] == 1 / 5


def test_business_records_are_asked_of_business_loans_only_and_complete_asks_what_concerns(tmp_path):
    sale = pd.DataFrame({"invoice_id": ["i"], "customer_id": "shop", "occurred_at": NOON, "known_at": NOON})
    folder = write(
        tmp_path,
        applications=applications(
            ("a", "shop", NOON, "business"), ("b", "mill", NOON, "business"), ("c", "worker", NOON, "cash")
        ),
        invoices=sale.assign(direction="sale", status="valid", amount=5),
        inquiries=inquiries(("shop", NOON), ("mill", NOON), ("worker", NOON)),
        card_months=cards(("shop", NOON), ("mill", NOON), ("worker", NOON)),
    )
    summary = coverage(folder).summary()
    assert summary["providers"]["business"]["share"] == 0.5
    assert summary["providers"]["repayment"]["share"] is None
    assert summary["providers"]["repayment"]["meets"] is None
    assert summary["complete"] == pytest.approx(2 / 3)  # all but the mill


@pytest.mark.parametrize(("target", "meets"), [(0.5, True), (0.51, False)])
def test_the_target_is_met_from_its_own_value_on(tmp_path, target, meets):
    folder = write(
        tmp_path,
        applications=applications(("a", "c", NOON, "cash"), ("b", "d", NOON, "cash")),
        inquiries=inquiries(("c", NOON)),
    )
    assert coverage(folder, target=target).summary()["providers"]["bureau"]["meets"] is meets


def test_only_tables_that_may_be_used_at_the_decision_point_count(tmp_path):
    folder = write(
        tmp_path, applications=applications(("a", "c", NOON, "cash")), inquiries=inquiries(("c", NOON)),
        card_months=cards(("c", NOON)),
    )  # fmt: skip
    assert coverage(folder, "collection").applications.loc["a", ["bureau", "consumption"]].tolist() == [False, True]
    with pytest.raises(DeclarationError, match="there are application, behaviour"):
        coverage(folder, "origination")  # type: ignore[arg-type]


CONSENT = ("k", "c", "bureau", "application", NOON - DAY, NOON - DAY, None)


@pytest.mark.parametrize(
    ("given", "covered"),
    [
        ([CONSENT], True),
        ([("k", "other", *CONSENT[2:])], False),
        ([("k", "c", "consumption", *CONSENT[3:])], False),
        ([("k", "c", "bureau", "behaviour", *CONSENT[4:])], False),
        ([(*CONSENT[:4], NOON, NOON, None)], True),
        ([(*CONSENT[:4], NOON + A_MOMENT, NOON + A_MOMENT, None)], False),
        ([(*CONSENT[:6], NOON + A_MOMENT)], True),
        ([(*CONSENT[:6], NOON)], False),
        # withdrawn before, and known before; known only afterwards; withdrawn and given anew
        ([CONSENT, (*CONSENT[:5], NOON - A_MOMENT, NOON - A_MOMENT)], False),
        ([CONSENT, (*CONSENT[:5], NOON + A_MOMENT, NOON - A_MOMENT)], True),
        ([(*CONSENT[:6], NOON - A_MOMENT), ("k2", *CONSENT[1:])], True),
    ],
)
def test_a_consent_covers_as_it_was_known_then(tmp_path, given, covered):
    folder = write(
        tmp_path,
        applications=applications(("a", "c", NOON, "cash")),
        inquiries=inquiries(("c", NOON)),
        consents=consents(*given),
    )
    found = coverage(folder)
    assert found.applications["bureau_consent"].tolist() == [covered]
    bureau = found.summary()["providers"]["bureau"]
    assert (bureau["consented"], bureau["without_consent"]) == (float(covered), int(not covered))


def test_records_that_need_no_consent_are_not_counted_as_used_without_one(tmp_path):
    folder = write(
        tmp_path,
        applications=applications(("a", "c", NOON, "cash")),
        card_months=cards(("c", NOON)),
        consents=consents(("k", "d", "bureau", "application", NOON, NOON, None)),
    )
    consumption = coverage(folder).summary()["providers"]["consumption"]
    assert (consumption["present"], consumption["consented"], consumption["without_consent"]) == (1, 0.0, 0)
    assert "consented" not in coverage(folder).summary()["providers"]["repayment"]


def test_summary_is_json_even_of_nobody_and_made_up_dates_have_no_months(tmp_path):
    folder = write(tmp_path, "relative", applications=applications(("a", "c", NOON, "cash")))
    summary = coverage(folder).summary()
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert summary["providers"]["bureau"]["by_month"] == {}
    empty = applications(("a", "c", NOON, "cash")).iloc[:0]
    summary = coverage(write(tmp_path, applications=empty)).summary()
    assert json.loads(json.dumps(summary, allow_nan=False))["complete"] is None


def test_without_applications_there_is_nothing_to_cover(tmp_path):
    folder = write(tmp_path, inquiries=inquiries(("c", NOON)))
    with pytest.raises(SourceError, match="no table applications"):
        coverage(folder)
