from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from data_contracts.errors import ContractError
from policy.rules import Met, Rule, RuleSet
from policy.rules.conditions import parse


def rule(*conditions: str, name: str = "TST-001", severity: str = "refer") -> Rule:
    asked = tuple(map(parse, conditions))
    return Rule(name, 1, "credit_risk", date(2021, 1, 1), None, severity, asked, "why", "原因", "t", "t, row 2")


@pytest.mark.parametrize(
    ("condition", "facts", "fires"),
    [
        ("age_years < 18", {"age_years": 17.99}, True),
        ("age_years < 18", {"age_years": 18}, False),
        ("age_years <= 18", {"age_years": 18}, True),
        ("age_years > 18", {"age_years": 18}, False),
        ("age_years >= 18", {"age_years": 18.0}, True),
        ("tradelines_count = 3", {"tradelines_count": 3.0}, True),
        ("tradelines_count 3..5", {"tradelines_count": 5}, True),
        ("tradelines_count 3..5", {"tradelines_count": 5.1}, False),
        ("pd > 5 %", {"pd": 0.051}, True),
        ("pd > 5%", {"pd": 0.05}, False),
        ("pd \uff1e 5\uff05", {"pd": 0.051}, True),  # as a Chinese keyboard writes it
        ("tradelines_count \u2265 3", {"tradelines_count": 3}, True),
        ("product in education\uff0crenovation", {"product": "renovation"}, True),
        ("pd is missing", {}, True),
        ("pd is missing", {"pd": float("nan")}, True),
        ("pd is missing", {"pd": 0.0}, False),
        ("pd is known", {"pd": 0.0}, True),
        ("pd is known", {"pd": None}, False),
        ("pd < 1", {"pd": None}, False),
        ("pd < 1", {"pd": float("nan")}, False),
        ("application_owns_home is false", {"application_owns_home": 0.0}, True),
        ("application_owns_home is false", {"application_owns_home": False}, True),
        ("application_owns_home is true", {"application_owns_home": False}, False),
        ("application_owns_home is false", {}, False),
        ("product in education, renovation", {"product": "education"}, True),
        ("product in education, renovation", {"product": "business"}, False),
        ("channel != branch", {"channel": "app"}, True),
        ("channel not in branch, app", {"channel": "app"}, False),
        ("channel != branch", {}, False),
        ("channel is known", {"channel": "a word that no rule names"}, True),
        ("channel is missing", {"channel": ""}, True),
        ("channel is missing", {"channel": float("nan")}, True),
        ("debt_monthly > 5000", {"debt_monthly": 500_001}, True),  # whole fen at rest, CNY in the table
        ("debt_monthly > 5000", {"debt_monthly": 500_000}, False),
        ("application_amount_requested > 5000", {"application_amount_requested": 5000.01}, True),
    ],
)
def test_a_condition_is_met_by_its_values_alike_for_one_and_for_many(condition, facts, fires):
    rules = RuleSet([rule(condition)])
    assert [one.rule.id for one in rules.decide(facts).fired] == (["TST-001"] if fires else [])
    frame = pd.DataFrame([facts] if facts else [{"application_id": "A1"}])
    assert rules.fire(frame).tolist() == [[fires]]


def test_a_verdict_tells_the_worst_first_with_the_values_that_met_the_conditions():
    rules = RuleSet(
        [
            rule("age_years < 30", name="TST-001", severity="flag"),
            rule("product in education", "debt_monthly > 10", name="TST-002", severity="decline"),
            rule("age_years < 18", name="TST-003", severity="decline"),
            rule("pd > 0.1", name="TST-004"),
            rule("pd > 0.1", "age_years > 40", name="TST-005"),
        ]
    )
    verdict = rules.decide({"product": "education", "age_years": 20, "debt_monthly": 250_000})
    assert verdict.severity == "decline"
    assert [one.rule.id for one in verdict.fired] == ["TST-002", "TST-001"]
    assert verdict.fired[0].met == (
        Met("product", "in education", "education"),
        Met("debt_monthly", "> 10", 2500.0),
    )
    assert verdict.undecided == ("TST-004",)  # TST-005 is silent whatever the PD
    assert verdict.trace == ((True,), (True, True), (False,), (None,), (None, False))
    assert verdict.values == {"age_years": 20.0, "debt_monthly": 2500.0, "pd": None, "product": "education"}
    assert verdict.record()["fired"][1] == {
        "id": "TST-001", "version": 1, "severity": "flag", "en": "why", "zh": "原因",
        "met": [{"field": "age_years", "test": "< 30", "value": 20.0}],
    }  # fmt: skip


def test_where_nothing_fires_there_is_no_severity():
    verdict = RuleSet([rule("age_years < 18")]).decide({"age_years": 30})
    assert (verdict.severity, verdict.fired, verdict.undecided) == (None, (), ())


def test_what_is_derived_is_worked_out_and_missing_where_a_part_is():
    rules = RuleSet([rule("exposure_own_to_income > 2")])
    facts = {"loans_active_principal_sum": 5000.0, "application_amount_requested": 5001.0}
    assert rules.decide({**facts, "application_income_monthly": 5000.0}).severity == "refer"
    assert rules.decide({**facts, "application_income_monthly": 5000.5}).severity is None
    for income in (None, 0.0):
        verdict = rules.decide({**facts, "application_income_monthly": income})
        assert (verdict.severity, verdict.undecided) == (None, ("TST-001",))


def test_many_are_judged_over_the_bounds_of_blocks_and_the_worst_of_each_is_told():
    rules = RuleSet([rule("age_years < 18", severity="decline"), rule("product in business", name="TST-002")])
    ages = np.arange(3000) % 50
    frame = pd.DataFrame({"age_years": ages, "product": pd.Categorical(np.where(ages % 2, "business", "education"))})
    fired = rules.fire(frame)
    assert (fired[:, 0] == (ages < 18)).all()
    assert (fired[:, 1] == (ages % 2 == 1)).all()
    assert rules.worst(fired)[:4].tolist() == [3, 3, 3, 3]
    assert rules.worst(fired)[18:20].tolist() == [0, 2]


def test_what_is_no_number_is_refused_with_the_name_of_its_field():
    rules = RuleSet([rule("age_years < 18")])
    with pytest.raises(ContractError, match=r"age_years is str; give a number, or None for missing\."):
        rules.decide({"age_years": "seventeen"})
    with pytest.raises(ContractError, match="Column age_years holds what is no number"):
        rules.fire(pd.DataFrame({"age_years": ["seventeen"]}))
