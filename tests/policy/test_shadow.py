from __future__ import annotations

import json
from datetime import datetime
from types import SimpleNamespace

import pytest

from policy.shadow import agreement, decide_in_shadow

NOON = datetime(2026, 7, 1, 4)
ASKED = {
    "product": "emergency_cash", "amount_requested": 300_000, "term_months": 3, "age_years": 25.0,
    "income_monthly": 900_000,
}  # fmt: skip
FEATURES = {"loans_instalment_sum": 0.0, "tradelines_instalment_sum": 0.0, "loans_active_principal_sum": 0.0}
SCORED = SimpleNamespace(pd=0.05, score=600.0, reasons=())


class Broken:
    """A shadow whose rules cannot be read at night."""

    def __init__(self) -> None:
        self.identities = {"strategy": "broken"}

    def decide(self, *_: object) -> None:
        raise ZeroDivisionError


def test_shadows_decide_the_same_application_beside_the_live_policy(policy) -> None:
    stricter = policy.with_strategy(policy.strategy.changed("emergency_cash", approve_pd=0.04))
    live = policy.decide(ASKED, FEATURES, SCORED, NOON, {"data": "d1"})
    same, other = decide_in_shadow(live, {"same": policy, "stricter": stricter}, ASKED, FEATURES, SCORED, NOON)
    assert (same["agrees"], same["differs"], same["outcome"]) == (True, [], "approve")
    assert (other["agrees"], other["outcome"], other["error"]) == (False, "refer", None)
    assert other["differs"][0] == "cut_offs"
    assert other["reasons"][0] == "S03"
    assert live.outcome == "approve"


def test_a_record_holds_no_fact_of_the_applicant_and_is_json(policy) -> None:
    live = policy.decide(ASKED, FEATURES, SCORED, NOON)
    (found,) = decide_in_shadow(live, {"same": policy}, ASKED, FEATURES, SCORED, NOON)
    text = json.dumps(found)
    assert "900000" not in text
    assert "income" not in text


def test_a_shadow_that_fails_disturbs_nobody(policy) -> None:
    live = policy.decide(ASKED, FEATURES, SCORED, NOON)
    broken, same = decide_in_shadow(live, {"broken": Broken(), "same": policy}, ASKED, FEATURES, SCORED, NOON)
    assert (broken["error"], broken["outcome"], broken["agrees"]) == ("ZeroDivisionError", None, False)
    assert same["agrees"]
    told = agreement([(live.outcome, broken), (live.outcome, same)])
    assert told == {"decisions": 2, "agree": 1, "errors": 1, "moves": {"approve to approve": 1}}


@pytest.mark.parametrize("records", [[], [("approve", {"outcome": None, "agrees": False, "error": "KeyError"})]])
def test_agreement_of_nothing(records) -> None:
    assert agreement(records)["agree"] == 0
