"""A decision by the real command line: the same application, the trained champion, rules, products and strategy."""

from __future__ import annotations

import re

from data_contracts.folder import TableFolder
from tests.command_line import ROOT, refused, run
from tests.end_to_end.conftest import Trained


def test_applications_are_decided_with_amount_rate_schedule_and_reasons(trained: Trained) -> None:
    lenient = trained.folder / "lenient.toml"  # so that the tiny model's PDs lead to offers
    base = (ROOT / "policy" / "strategy.toml").read_text(encoding="utf-8")
    for name, value in {"approve_pd": 0.9, "decline_pd": 0.95, "lgd": 0.01, "expected_loss_most": 1e6}.items():
        base = re.sub(rf"(?m)^{name} = \S+", f"{name} = {value}", base)
    lenient.write_text(base, encoding="utf-8")
    applications = TableFolder.open(trained.tables).read("applications")
    for row in applications[applications["product"] == "emergency_cash"].head(8).itertuples():
        words = ("policy", "decide", "--data", trained.tables, "--application", row.application_id, "--model", "quick")
        words += ("--strategy", lenient, "--home", trained.home)
        facts = run(*words, "--json").facts
        assert facts["reasons"] or facts["outcome"] == "approve"
        if facts["outcome"] == "approve":
            break
    assert 0 < facts["amount"] <= row.amount_requested
    assert sum(one["principal"] for one in facts["schedule"]) == facts["amount"]
    assert facts["annual_effective"] <= 0.24
    assert "outcome           approve" in run(*words).out


def test_an_application_that_is_not_there_is_told(trained: Trained) -> None:
    words = ("policy", "decide", "--data", trained.tables, "--application", "nobody", "--model", "quick")
    assert "has no application of that id" in refused(*words, "--home", trained.home, code=2)
