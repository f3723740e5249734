"""The queue of a person on the command line: list, show, decide, once."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from data_contracts.messages import parse_request
from serving.decision_log import Decision, DecisionLog
from tests.command_line import refused, run

ID = "a" * 32


def home_with_a_referral(folder: Path, body: dict[str, Any]) -> Path:
    """A home whose log holds one referred decision."""
    home = folder / "home"
    home.mkdir()
    reasons = [{"code": "S03", "zh": "评分处于人工审核区间", "en": "The score calls for a person's judgement"}]
    told = {"outcome": "refer", "product": "renovation", "amount": 8_000_000, "pd": 0.07, "reasons": reasons}
    with DecisionLog.open(f"sqlite:///{home}/decisions.db") as log:
        request = parse_request(json.dumps(body))
        log.append(request, Decision(ID, "r", datetime(2026, 7, 1), "application", told, kind="decision"))
    return home


def test_a_referred_application_is_listed_shown_and_decided_once(tmp_path: Path, request_body: dict) -> None:
    home = home_with_a_referral(tmp_path, request_body)
    facts = run("review", "list", "--home", home, "--json").facts
    assert (facts["waiting"], facts["referred"][0]["decision_id"]) == (1, ID)
    assert (
        "S03 The score calls for a person's judgement 评分处于人工审核区间" in run("review", "list", "--home", home).out
    )
    decide = ("review", "decide", ID, "--home", home, "--outcome", "approve", "--by", "credit officer")
    assert run(*decide, "--reason", "income verified", "--json").facts["by"] == "credit officer"
    assert run("review", "list", "--home", home, "--json").facts == {"waiting": 0, "referred": []}
    assert run("review", "list", "--decided", "--home", home, "--json").facts["referred"][0]["outcome"] == "approve"
    assert run("review", "show", ID, "--home", home, "--json").facts["decision"]["amount"] == 8_000_000
    told = refused(*decide, "--reason", "again", code=2)
    assert "was decided before: approve by credit officer" in told


def test_what_is_not_there_is_told(tmp_path: Path, request_body: dict) -> None:
    home = home_with_a_referral(tmp_path, request_body)
    assert "has no decision bbb" in refused("review", "show", "bbb", "--home", home, code=5)
