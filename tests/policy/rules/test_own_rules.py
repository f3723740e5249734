"""Lendwell's own rules: each holds its cases, and whole applicants get what a risk officer expects."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from policy.rules import RuleBook
from policy.rules.cases import failures, untested
from policy.rules.lint import lint

DAY = date(2026, 1, 1)
YOUNG = {  # asks for 3,000 CNY for two months; a clean, short history
    "product": "emergency_cash", "channel": "app", "age_years": 25.0, "employment": "employee", "housing": "rented",
    "application_amount_requested": 3000.0, "application_term_months": 2.0, "application_income_monthly": 6000.0,
    "application_instalment_monthly": 1530.0, "application_instalment_to_income": 0.255, "pd": 0.02,
    "application_employed_months": 20.0, "application_device_customers": 1.0, "application_phone_age_days": 400.0,
    "tradelines_count": 2.0, "tradelines_active_count": 1.0, "tradelines_bad_count": 0.0, "tradelines_overdue_sum": 0.0,
    "tradeline_months_late1_count_365d": 0.0, "inquiries_sought_count_30d": 1.0, "inquiries_count_7d": 1.0,
    "loans_active_count": 0.0, "loans_active_principal_sum": 0.0, "consent_bureau": True, "consent_consumption": True,
}  # fmt: skip
OWNER = {  # asks for 250,000 CNY; sales of 1.2 million a year
    "product": "business", "channel": "branch", "age_years": 45.0, "employment": "business_owner", "pd": 0.03,
    "application_amount_requested": 250_000.0, "application_term_months": 24.0, "application_income_monthly": 20_000.0,
    "application_employed_months": 90.0, "application_phone_age_days": 2000.0, "consent_bureau": True,
    "consent_business": True, "invoices_sale_count_365d": 80.0, "invoices_revenue_sum_365d": 1_200_000.0,
    "invoices_revenue_trend": 1.0, "invoices_requested_to_revenue": 0.21, "tradelines_bad_count": 0.0,
    "loans_active_principal_sum": 0.0, "tradelines_unsecured_sum": 40_000.0, "tradelines_count": 4.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def book():
    return RuleBook.load()


@pytest.fixture(scope="module")
def rules(book):
    return book.on(DAY)


def test_there_are_200_rules_in_force_and_more(rules):
    assert len(rules.rules) >= 200


def test_every_version_of_every_rule_has_cases_on_both_sides_and_holds_them(book):
    assert untested(book.rules, book.cases) == []
    assert failures(book.rules, book.cases) == []


def test_the_linter_finds_nothing_to_mend(book):
    assert [finding for finding in lint(book, DAY) if finding.level != "note"] == []


@pytest.mark.parametrize(
    ("applicant", "but", "severity", "fired"),
    [
        (YOUNG, {}, None, []),
        (YOUNG, {"age_years": 17.9}, "decline", ["ELI-001"]),
        (YOUNG, {"age_years": 19.0}, "flag", ["CMP-022"]),
        (YOUNG, {"employment": "student"}, "decline", ["ELI-008"]),
        (YOUNG, {"consent_bureau": False}, "decline", ["CMP-001"]),
        (YOUNG, {"pd": None}, "refer", ["PRD-004"]),
        (YOUNG, {"pd": 0.36}, "decline", ["PRD-001"]),
        (YOUNG, {"application_device_customers": 7.0}, "decline", ["IDD-001"]),
        (YOUNG, {"application_device_customers": None}, "refer", ["IDD-006"]),
        (YOUNG, {"application_device_customers": 4.0, "application_phone_age_days": 10.0}, "decline",
         ["IDD-004", "IDD-002", "IDD-008"]),
        (YOUNG, {"inquiries_sought_count_30d": 4.0}, "refer", ["INQ-005"]),
        (YOUNG, {"inquiries_sought_count_30d": 6.0}, "decline", ["INQ-004"]),
        (YOUNG, {"tradeline_months_late1_count_365d": 6.0}, "refer", ["BUR-027"]),
        (YOUNG, {"tradeline_months_bucket_max_1460d": 5.0}, "refer", ["BUR-040"]),  # no month of the last year is known
        (YOUNG, {"transactions_loan_drawdown_sum_90d": 30_000.0}, "refer", ["CON-038"]),  # no ratio: none was repaid
        (YOUNG, {"loans_active_principal_sum": 198_000.0}, "decline", ["CMP-004", "CMP-005", "EXP-004", "EXP-010"]),
        (OWNER, {}, None, []),
        (OWNER, {"invoices_revenue_trend": 0.2}, "refer", ["BIZ-007"]),
        (OWNER, {"invoices_revenue_trend": 0.1}, "decline", ["BIZ-006"]),
        (OWNER, {"tradelines_bad_count": 1.0}, "decline", ["BUR-004"]),
        (OWNER, {"employment": "public"}, "decline", ["ELI-011"]),
        (OWNER, {"age_years": 64.0}, "decline", ["ELI-006", "ELI-004"]),
        (OWNER, {"loans_active_principal_sum": 760_000.0}, "refer", ["CMP-007"]),
        (OWNER, {"consent_business": False}, "decline", ["CMP-003"]),
        (OWNER, {"invoices_sale_count_365d": 0.0}, "decline", ["BIZ-001"]),
        (OWNER, {"product": "revolving"}, "decline", ["ELI-033"]),
    ],
)  # fmt: skip
def test_whole_applicants_get_what_a_risk_officer_expects(rules, applicant, but, severity, fired):
    verdict = rules.decide(applicant | but)
    assert {one.rule.id for one in verdict.fired} == set(fired)
    assert verdict.severity == severity


def test_no_rule_reads_a_protected_attribute_but_age(rules):
    assert {"gender", "marital_status"} & {field.name for field in rules.fields} == set()


def test_a_case_that_expects_otherwise_is_told(book):
    case = next(case for case in book.cases if case.rule == "ELI-001" and case.expect == "fires")
    wrong = replace(case, expect="silent")
    assert failures(book.rules, [case, wrong]) == [wrong]


def test_a_threshold_that_was_moved_breaks_its_cases(book):
    """Cases stand at the very bounds, so that no edit of a number goes by without its case."""
    condition = next(rule for rule in book.rules if rule.id == "ELI-001").conditions[0]
    moved = [
        replace(rule, conditions=(replace(condition, high=condition.high + 0.2),)) if rule.id == "ELI-001" else rule
        for rule in book.rules
    ]
    assert [case.rule for case in failures(moved, book.cases)] == ["ELI-001"]
