from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

import policy.rules
from policy.rules import Rule, RuleBook
from policy.rules.cases import failures
from policy.rules.conditions import parse
from policy.rules.propose import propose, write_cases


@pytest.mark.parametrize(
    ("conditions", "cases"),
    [
        (("age_years < 18",), [("fires", "age_years = 17.9"), ("silent", "age_years = 18")]),
        (("tradelines_count > 2",), [("fires", "tradelines_count = 3"), ("silent", "tradelines_count = 2")]),
        (
            ("pd >= 0.1", "pd < 0.2"),
            [("fires", "pd = 0.1"), ("fires", "pd = 0.19"), ("silent", "pd = 0.09"), ("silent", "pd = 0.2")],
        ),
        (
            ("product in education", "application_owns_home is true"),
            [
                ("fires", "product = education; application_owns_home = true"),
                ("silent", "product = business; application_owns_home = true"),
                ("silent", "product = education; application_owns_home = false"),
            ],
        ),
        (("pd is missing",), [("fires", ""), ("silent", "pd = 0")]),
        (("channel is known",), [("fires", "channel = other"), ("silent", "")]),
    ],
)
def test_cases_stand_at_the_bounds_and_leave_one_condition_at_a_time(conditions, cases):
    asked = tuple(map(parse, conditions))
    rule = Rule("TST-1", 1, "credit_risk", date(2021, 1, 1), None, "flag", asked, "a", "b", "t", "t, row 2")
    proposed = [
        (expect, "; ".join(f"{name} = {value}" for name, value in facts.items())) for expect, facts in propose(rule)
    ]
    assert proposed == cases


def test_what_is_proposed_is_read_and_held(tmp_path):
    own = Path(policy.rules.__file__).parent / "tables"
    shutil.copytree(own, tmp_path / "rules", ignore=shutil.ignore_patterns("cases"))
    rules = RuleBook.load(tmp_path / "rules").rules
    (tmp_path / "rules" / "cases").mkdir()
    written = write_cases(tmp_path / "rules" / "cases" / "all.csv", rules)
    book = RuleBook.load(tmp_path / "rules")
    assert len(book.cases) == written
    assert failures(book.rules, book.cases) == []
