"""The request's contract: what is taken, what is refused, and that a refusal names the field and no value."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from pydantic import ValidationError

from data_contracts.errors import RequestError
from data_contracts.messages import MOST_RECORDS_OF_A_TABLE, RECORDS, faults, is_json, parse_request, read_request
from data_contracts.tables import EVENT_TABLES

APPLICATION = {
    "application_id": "A-1",
    "customer_id": "C-secret",
    "applied_at": "2025-03-01T08:00:00+08:00",
    "product": "cash",
    "amount_requested": 1_000_000,
}


def inquiry(**changes: Any) -> dict[str, Any]:
    return {
        "inquiry_id": "i1",
        "occurred_at": "2025-02-01T00:00:00Z",
        "known_at": "2025-02-02T00:00:00Z",
        "reason": "loan_approval",
        "institution_kind": "bank",
        **changes,
    }


def instalment(**changes: Any) -> dict[str, Any]:
    return {
        "instalment_id": "n1",
        "loan_id": "l1",
        "occurred_at": "2025-01-01",
        "known_at": "2025-01-01",
        "due_at": "2025-02-01",
        "number": 1,
        "amount_due": 50_000,
        **changes,
    }


def loan(**changes: Any) -> dict[str, Any]:
    row = {"loan_id": "l1", "occurred_at": "2025-01-01", "known_at": "2025-01-01", "product": "cash"}
    return {**row, "status": "granted", **changes}


def request(**tables: Any) -> str:
    return json.dumps({"application": APPLICATION, **tables})


def problems(text: str | bytes) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        parse_request(text)
    return {fault.field: fault.problem for fault in faults(caught.value)}


def test_offsets_are_converted_to_utc_and_naive_times_read_as_utc() -> None:
    parsed = parse_request(request(inquiries=[inquiry(occurred_at="2025-02-01T23:30:00-01:00", known_at="2025-02-03")]))
    row = parsed.records()["inquiries"][0]
    assert parsed.as_of == datetime(2025, 3, 1)
    assert row["occurred_at"] == datetime(2025, 2, 2, 0, 30)
    assert row["known_at"] == datetime(2025, 2, 3)


def test_absent_and_null_are_missing_sources_and_empty_is_known_to_be_empty() -> None:
    parsed = parse_request(request(loans=None, payments=[], inquiries=[inquiry()]))
    records = parsed.records()
    assert records["loans"] is None
    assert records["transactions"] is None
    assert records["payments"] == []
    assert len(records["inquiries"]) == 1
    assert set(records) == {table.name for table in EVENT_TABLES}
    assert set(parsed.missing_sources) == set(records) - {"payments", "inquiries"}


def test_columns_left_out_are_none() -> None:
    parsed = parse_request(request(inquiries=[inquiry()]))
    assert parsed.records()["inquiries"][0]["institution"] is None
    assert parsed.application_record()["income_monthly"] is None
    assert parsed.application_record()["amount_requested"] == 1_000_000


@pytest.mark.parametrize("table", EVENT_TABLES, ids=lambda table: table.name)
def test_records_are_the_declared_columns_without_the_owner(table: Any) -> None:
    assert tuple(RECORDS[table.name].model_fields) == tuple(name for name in table.names if name != "customer_id")


@pytest.mark.parametrize(
    ("tables", "field", "words"),
    [
        ({"inquiries": [inquiry(customer_id="C-secret")]}, "inquiries[0].customer_id", "not a field"),
        ({"inquiries": [inquiry(reason="curiosity")]}, "inquiries[0].reason", "loan_approval"),
        ({"inquiries": [inquiry(inquiry_id="x" * 129)]}, "inquiries[0].inquiry_id", "at most 128"),
        ({"inquiries": [inquiry(inquiry_id="")]}, "inquiries[0].inquiry_id", "at least 1"),
        ({"inquiries": [inquiry(occurred_at="yesterday")]}, "inquiries[0].occurred_at", "ISO 8601"),
        ({"inquiries": [inquiry(occurred_at=1_735_689_600)]}, "inquiries[0].occurred_at", "ISO 8601"),
        ({"inquiries": [inquiry(known_at="2025-03-01T00:00:00.000001Z")]}, "inquiries[0].known_at", "applied_at"),
        ({"inquiries": [inquiry(known_at="2025-01-31")]}, "inquiries[0].known_at", "before occurred_at"),
        ({"inquiries": [inquiry(), inquiry()]}, "inquiries[1].inquiry_id", "same inquiry_id"),
        ({"instalments": [instalment(amount_due=-1)]}, "instalments[0].amount_due", "greater than or equal to 0"),
        ({"instalments": [instalment(amount_due=1.5)]}, "instalments[0].amount_due", "integer"),
        ({"instalments": [instalment(amount_due="100")]}, "instalments[0].amount_due", "integer"),
        ({"instalments": [instalment(amount_due=10**30)]}, "instalments[0].amount_due", "less than or equal"),
        ({"instalments": [instalment(amount_due=True)]}, "instalments[0].amount_due", "integer"),
        ({"instalments": [instalment(amount_due=None)]}, "instalments[0].amount_due", "integer"),
        ({"loans": [loan(closed_at="2025-04-01")]}, "loans[0].closed_at", "applied_at"),
        ({"loans": [loan(annual_rate=float("nan"))]}, "loans[0].annual_rate", "finite"),
        ({"loans": [loan(annual_rate=float("inf"))]}, "loans[0].annual_rate", "finite"),
        ({"loans": {"loan_id": "l1"}}, "loans", "array"),
        ({"loan": []}, "loan", "not a field"),
        ({"application": {**APPLICATION, "owns_car": "yes"}}, "application.owns_car", "boolean"),
        ({"application": {**APPLICATION, "age_years": 15}}, "application.age_years", "greater than or equal to 16"),
        ({"application": {**APPLICATION, "x" * 100: 1}}, "application.(unnamed)", "not a field"),
        ({"application": None}, "application", "object"),
    ],
)
def test_a_fault_names_its_field_and_no_value(tables: dict[str, Any], field: str, words: str) -> None:
    told = problems(json.dumps({"application": APPLICATION, **tables}))
    assert words in told[field]
    assert "C-secret" not in str(told)


def test_only_a_due_date_may_lie_ahead() -> None:
    parsed = parse_request(request(instalments=[instalment(due_at="2031-01-01")]))
    assert parsed.records()["instalments"][0]["due_at"] == datetime(2031, 1, 1)


def test_versions_of_one_loan_are_told_apart_by_what_was_known_when() -> None:
    parse_request(request(loans=[loan(), loan(known_at="2025-02-01", status="closed")]))
    assert "loans[1].loan_id" in problems(request(loans=[loan(), loan(status="closed")]))


def test_too_many_records_are_refused() -> None:
    many = [inquiry(inquiry_id=f"i{at}") for at in range(MOST_RECORDS_OF_A_TABLE)]
    parse_request(request(inquiries=many))
    assert "5000" in problems(request(inquiries=[*many, inquiry(inquiry_id="more")]))["inquiries"]
    rows = {
        "inquiries": many,
        "instalments": [instalment(instalment_id=f"n{at}") for at in range(MOST_RECORDS_OF_A_TABLE)],
        "loans": [loan(loan_id=f"l{at}") for at in range(MOST_RECORDS_OF_A_TABLE)],
        "loan_months": [
            {"loan_id": f"l{at}", "occurred_at": "2025-01-01", "known_at": "2025-01-01", "status": "active"}
            for at in range(MOST_RECORDS_OF_A_TABLE)
        ],
    }
    parse_request(request(**rows))
    payment = {"payment_id": "p", "loan_id": "l", "occurred_at": "2025-01-01", "known_at": "2025-01-01", "amount": 1}
    assert "20000" in problems(request(**rows, payments=[payment]))["request"]


@pytest.mark.parametrize("text", ["", "{", '{"application": ', b"\xff\xfe", "[" * 1000, '{"application": "\ud800"}'])
def test_what_is_no_json_is_known_as_such(text: str | bytes) -> None:
    body = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    with pytest.raises(ValidationError) as caught:
        parse_request(body)
    assert not is_json(caught.value)


def test_a_fault_of_the_contract_is_json() -> None:
    with pytest.raises(ValidationError) as caught:
        parse_request("[]")
    assert is_json(caught.value)


def test_read_request_tells_a_person_every_field() -> None:
    with pytest.raises(RequestError, match=r"application\.product: .*application\.term: not a field"):
        read_request(json.dumps({"application": {**APPLICATION, "product": "yacht", "term": 12}}))


def test_logged_text_has_one_form_and_no_identifier_and_reads_back() -> None:
    tables = {"inquiries": [inquiry()], "loans": [loan(application_id="A-0")]}
    first = parse_request(request(**tables, payments=None))
    turned = {key: APPLICATION[key] for key in reversed(APPLICATION)} | {"applied_at": "2025-03-01T00:00:00Z"}
    second = parse_request(
        json.dumps({"loans": tables["loans"], "inquiries": tables["inquiries"], "application": turned})
    )
    text = first.logged_text(lambda identifier: f"hash of {len(identifier)}")
    assert text == second.logged_text(lambda identifier: f"hash of {len(identifier)}")
    for identifier in ("A-1", "A-0", "C-secret"):
        assert identifier not in text
    again = parse_request(text)
    assert again.records() == {
        **first.records(),
        "loans": [{**first.records()["loans"][0], "application_id": "hash of 3"}],
    }
    assert first.application_record()["customer_id"] == "C-secret"
