"""What the strategy commands print for people, and the words they refuse."""

from __future__ import annotations

import pytest

from commands import strategy
from tests.command_line import run

MEANS = {"approved": 0.5, "amount": 150_000.0, "expected_profit": 20.0}


def share(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def test_a_change_is_a_line_a_component_in_cny(capsys: pytest.CaptureFixture[str]) -> None:
    moved = {"approved": share(0.25), "amount": share(50_000.0), "expected_profit": share(5.0)}
    facts = {"applications": 1200, "changed": 300, "before": MEANS, "after": MEANS, "by_component": {"cut_offs": moved}}
    strategy._change(facts)
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert told[0][:2] == ["1,200", "applications,"]
    assert ["cut", "offs", "0.2500", "500.0", "5.0"] in told
    assert ["before", "0.5000", "1,500.0", "20.0"] in told


def test_one_application_tells_what_moved_it(capsys: pytest.CaptureFixture[str]) -> None:
    after = {**MEANS, "approved": 1.0}
    strategy._change({"before": MEANS, "after": after, "steps": [{"component": "rules", "approved": 0.5}]})
    assert ["rules", "0.5000", "0.0", "0.0"] in [line.split() for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--min-approval", "emergency_cash"), "is no PRODUCT=SHARE"),
        (("--min-approval", "lottery=0.5"), "There is no product lottery"),
        (("--max-bad-rate", "1.5"), "bad_rate_most is 1.5; a rate lies from 0 to 1"),
    ],
)
def test_constraints_that_are_none_are_refused_before_any_work(words, told, tmp_path) -> None:
    ran = run("--json", "policy", "optimise", "--data", tmp_path / "none", "--model", "none", *words)
    assert ran.code in (1, 2)
    assert told in ran.facts["error"]["message"]


def test_a_strategy_to_compare_with_must_be_there(tmp_path) -> None:
    ran = run("--json", "policy", "backtest", "--data", tmp_path, "--model", "none", "--against", "old.toml")
    assert "There is no strategy file old.toml; --against takes legacy" in ran.facts["error"]["message"]
