from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from policy.rules import Rule, RuleBook
from policy.rules.cases import Case
from policy.rules.conditions import parse
from policy.rules.lint import lint

DAY = date(2026, 1, 1)


def rule(number: int, severity: str, *conditions: str, begins=date(2021, 1, 1), ends=None, version=1) -> Rule:
    return Rule(
        f"TST-{number}", version, "credit_risk", begins, ends, severity, tuple(map(parse, conditions)), "why", "原因",
        "tests", f"tests.csv, row {number + 1}",
    )  # fmt: skip


def found(*rules: Rule, frame=None) -> list[tuple[str, str, tuple[str, ...]]]:
    """What the linter finds beside untested rules."""
    findings = lint(RuleBook(rules), DAY, frame)
    return [(one.level, one.kind, one.rules) for one in findings if one.kind != "never_tested"]


@pytest.mark.parametrize(
    "conditions",
    [
        ("pd > 0.5", "pd < 0.5"),
        ("pd > 1",),  # by contract a probability
        ("age_years < 16",),
        ("tradelines_count > 2", "tradelines_count < 3"),  # no count lies between
        ("product in education", "product = business"),
        ("channel = app", "channel != app"),
        ("pd is missing", "pd > 0"),
        ("pd is missing", "pd is known"),
        ("application_owns_home is true", "application_owns_home is false"),
        ("employment in student", "employment not in student, other"),
    ],
)
def test_a_rule_that_nobody_can_meet_is_an_error(conditions):
    assert found(rule(1, "flag", *conditions)) == [("error", "unreachable", ("TST-1",))]


@pytest.mark.parametrize(
    "conditions",
    [
        ("pd > 0.5", "pd < 0.6"),
        ("pd >= 1",),
        ("tradelines_count > 2", "tradelines_count < 4"),
        ("channel != app", "channel != branch"),
        ("product in education, business", "product = business"),
        ("inquiries_sought_decayed > 2", "inquiries_sought_decayed < 3"),  # counted with weights: not whole
    ],
)
def test_a_rule_that_somebody_can_meet_is_none(conditions):
    assert found(rule(1, "flag", *conditions)) == []


def test_the_same_conditions_with_another_severity_contradict_however_they_are_written():
    rules = [
        rule(1, "flag", "tradelines_count > 2", "pd > 0.1"),
        rule(2, "decline", "pd > 10%", "tradelines_count >= 3"),
    ]
    assert found(*rules) == [("error", "contradictory", ("TST-2", "TST-1"))]


def test_the_same_conditions_and_severity_are_a_duplicate():
    rules = [rule(1, "flag", "product in education, business"), rule(2, "flag", "product in business, education")]
    assert found(*rules) == [("error", "duplicate", ("TST-2", "TST-1"))]


def test_rules_that_are_never_in_force_together_are_no_duplicates():
    rules = [rule(1, "flag", "pd > 0.1", ends=date(2026, 6, 30)), rule(2, "flag", "pd > 0.1", begins=date(2026, 7, 1))]
    assert found(*rules) == []


def test_a_rule_that_went_out_of_force_with_none_following_is_told():
    assert found(rule(1, "flag", "pd > 0.1", ends=date(2025, 6, 30))) == [("warning", "not_in_force", ("TST-1",))]


def test_a_rule_adds_nothing_where_a_wider_one_of_the_same_or_a_worse_severity_fires():
    wide, narrow = ("pd > 0.1",), ("pd > 0.2", "product in education")
    assert found(rule(1, "decline", *wide), rule(2, "refer", *narrow)) == [("warning", "subsumed", ("TST-2", "TST-1"))]
    assert found(rule(1, "refer", *wide), rule(2, "refer", *narrow)) == [("warning", "subsumed", ("TST-2", "TST-1"))]
    assert found(rule(1, "flag", *wide), rule(2, "refer", *narrow)) == []  # the narrow one is the worse
    assert found(rule(1, "decline", "pd > 0.1", "age_years > 20"), rule(2, "refer", "pd > 0.2")) == []


def test_a_rule_for_all_products_covers_one_for_some():
    rules = [rule(1, "decline", "pd > 0.1"), rule(2, "decline", "product in business", "pd > 0.1")]
    assert found(*rules) == [("warning", "subsumed", ("TST-2", "TST-1"))]


@pytest.mark.parametrize(
    ("bands", "findings"),
    [
        (["tradelines_count 3..5", "tradelines_count >= 6"], []),
        (["tradelines_count 3..5", "tradelines_count >= 7"], ["gap"]),
        (["tradelines_count 3..5", "tradelines_count >= 5"], ["overlap"]),
        (["loans_rate_last 0.1..0.2", "loans_rate_last > 0.2"], []),
        (["loans_rate_last 0.1..0.2", "loans_rate_last >= 0.21"], ["gap"]),
        (["loans_rate_last < 0.1", "loans_rate_last >= 0.1"], []),
        (["loans_rate_last >= 0.1", "loans_rate_last >= 0.2"], []),  # stricter the further
        (["age_years < 18", "age_years > 65"], []),  # what lies between is what one wants
        (["age_years < 18", "age_years 60..65", "age_years > 65"], []),
        (["age_years < 18", "age_years 20..25", "age_years > 65"], ["gap", "gap"]),
    ],
)
def test_gaps_and_overlaps_between_bands_of_a_field(bands, findings):
    severities = ["flag", "refer", "decline"]
    rules = [rule(at, severities[at], "product = business", band) for at, band in enumerate(bands)]
    assert [kind for _, kind, _ in found(*rules)] == findings


def test_bands_are_compared_where_all_else_is_the_same():
    assert found(rule(1, "flag", "product = business", "pd 0.1..0.2"), rule(2, "decline", "pd > 0.3")) == []


def test_bands_of_each_time_are_compared_with_one_another():
    before = {"ends": date(2024, 12, 31)}
    after = {"begins": date(2025, 1, 1), "version": 2}
    rules = [
        rule(1, "refer", "pd 0.1..0.2", **before), rule(2, "decline", "pd > 0.2", **before),
        rule(1, "refer", "pd 0.1..0.15", **after), rule(2, "decline", "pd > 0.2", **after),
    ]  # fmt: skip
    assert found(*rules) == [("warning", "gap", ("TST-2", "TST-1"))]


def test_days_without_a_rule_between_its_versions_are_told():
    rules = [
        rule(1, "flag", "pd > 0.1", ends=date(2024, 12, 30)),
        rule(1, "flag", "pd > 0.2", begins=date(2025, 1, 1), version=2),
    ]
    assert found(*rules) == [("warning", "not_in_force", ("TST-1",))]
    rules[0] = rule(1, "flag", "pd > 0.1", ends=date(2024, 12, 31))
    assert found(*rules) == []


def test_rules_without_cases_on_both_sides_are_untested():
    rules = [rule(at, "flag", f"pd > 0.{at}") for at in (1, 2, 3)]
    cases = [
        Case("TST-1", 1, "fires", {"pd": 0.9}, "c.csv", 2),
        Case("TST-1", 1, "silent", {"pd": 0.1}, "c.csv", 3),
        Case("TST-2", 1, "fires", {"pd": 0.9}, "c.csv", 4),
    ]
    untested = [one for one in lint(RuleBook(rules, cases), DAY) if one.kind == "never_tested"]
    assert [(one.rules, one.problem) for one in untested] == [
        (("TST-2",), "version 1 has no test case on which it is silent"),
        (("TST-3",), "version 1 has no test case on which it fires and none on which it is silent"),
    ]


def test_rules_that_never_fire_on_the_applications_given_are_told():
    frame = pd.DataFrame({"age_years": [17.0, 40.0]})
    assert found(rule(1, "decline", "age_years < 18"), rule(2, "decline", "age_years > 65"), frame=frame) == [
        ("note", "never_fired", ("TST-2",))
    ]
