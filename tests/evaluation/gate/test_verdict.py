"""Evidence held against a gate: every criterion passing, failing, not computable and not asked."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from evaluation.gate.criteria import CRITERIA
from evaluation.gate.declaration import Gate, declared_gate, read_gate
from evaluation.gate.verdict import Evidence, Identity, Verdict, judge
from evaluation.metric import Metric
from reporting.page import Text

AT = datetime(2026, 7, 1, 9)
CANDIDATE, CHAMPION = Identity("cash/2", "b2" * 32), Identity("cash/1", "b1" * 32)

# What keeps the default gate's bound by a little, and what breaks it by a little.
KEEPS = {
    "auc_difference": Metric(0.0, -0.0099, 0.01, 500),
    "calibration_slope": Metric(1.0, 0.71, 1.39, 500),
    "calibration_error": Metric(0.03, 0.01, 0.05, 500),
    "mean_pd_ratio": Metric(1.0, 0.76, 1.32, 500),
    "score_psi": Metric(0.2, None, None, 500),
    "gini_fall": Metric(0.1, -0.1, 0.3, 500),
    "adverse_impact_gender": Metric(0.8, 0.7, 0.9, 500),
    "adverse_impact_age": Metric(0.81, 0.7, 0.9, 500),
    "reason_agreement": Metric(0.99, 0.97, 1.0, 200),
    "additivity": Metric(1e-4, None, None, 200),
    "latency_p99_ms": Metric(50.0, 40.0, None, 200),
    "parity_mismatches": Metric(0.0, None, None, 200),
}
BREAKS = {
    "auc_difference": Metric(0.05, -0.011, 0.1, 500),
    "auc": Metric(0.7, 0.599, 0.8, 500),
    "calibration_slope": Metric(1.0, 0.69, 1.3, 500),
    "calibration_error": Metric(0.031, 0.01, 0.05, 500),
    "mean_pd_ratio": Metric(1.2, 1.1, 1.34, 500),
    "score_psi": Metric(0.201, None, None, 500),
    "gini_fall": Metric(0.101, -0.1, 0.3, 500),
    "adverse_impact_gender": Metric(0.799, 0.7, 0.9, 500),
    "adverse_impact_age": Metric(0.5, 0.4, 0.9, 500),
    "reason_agreement": Metric(0.985, 0.97, 1.0, 200),
    "additivity": Metric(1.1e-4, None, None, 200),
    "latency_p99_ms": Metric(50.1, 40.0, None, 200),
    "parity_mismatches": Metric(1.0, None, None, 200),
}
FIRST = {
    **{name: metric for name, metric in KEEPS.items() if name != "auc_difference"},
    "auc": Metric(0.7, 0.6, 0.8, 9),
}
COMPARED = {"auc": Text("已比较。", "Compared instead.")}


def judged(figures: dict[str, Metric], gate: Gate | None = None, absent: dict[str, Text] | None = None) -> Verdict:
    evidence = Evidence(figures, COMPARED if absent is None else absent, {"rows": 500, "data_identity": "da" * 32})
    return judge(gate or read_gate("default"), evidence, candidate=CANDIDATE, champion=CHAMPION, judged_at=AT)


def result_of(verdict: Verdict, name: str) -> tuple[str, Text]:
    (found,) = (one for one in verdict.criteria if one.name == name)
    return found.result, found.reason


def test_what_keeps_every_bound_passes() -> None:
    verdict = judged(KEEPS)
    assert verdict.passed
    assert [one.name for one in verdict.criteria] == list(CRITERIA)
    assert {one.result for one in verdict.criteria if one.name != "auc"} == {"passed"}
    assert result_of(verdict, "auc") == ("not_asked", Text("已比较。", "Compared instead."))
    first = judged(FIRST, absent={"auc_difference": Text("首个。", "First.")})
    assert (first.passed, result_of(first, "auc")[0], result_of(first, "auc_difference")[0]) == (
        True,
        "passed",
        "not_asked",
    )


@pytest.mark.parametrize("name", CRITERIA)
def test_one_broken_bound_fails_alone(name: str) -> None:
    verdict = judged({**(FIRST if name == "auc" else KEEPS), name: BREAKS[name]}, absent={"auc": COMPARED["auc"]} if
                     name != "auc" else {"auc_difference": Text("首个。", "First.")})  # fmt: skip
    assert not verdict.passed
    assert [one.name for one in verdict.criteria if one.result == "failed"] == [name]
    _, reason = result_of(verdict, name)
    assert "breaks its bound" in reason.en
    assert "不符合界限" in reason.zh


@pytest.mark.parametrize("name", KEEPS)
def test_what_cannot_be_computed_has_not_passed(name: str) -> None:
    verdict = judged({**KEEPS, name: Metric(None, None, None, 3, "no default among the rows", "样本中没有坏客户")})
    assert not verdict.passed
    assert result_of(verdict, name) == (
        "not_computable",
        Text("无法计算：样本中没有坏客户。", "It cannot be computed: no default among the rows."),
    )
    unmeasured = judged({kept: metric for kept, metric in KEEPS.items() if kept != name})
    assert (unmeasured.passed, result_of(unmeasured, name)[0]) == (False, "not_computable")


def test_an_interval_that_is_asked_for_and_is_not_there() -> None:
    lone = Metric(1.0, None, None, 2, "no interval: a class has a single row", "无区间：某一类别只有一个样本")
    result, reason = result_of(judged({**KEEPS, "calibration_slope": lone}), "calibration_slope")
    assert (result, reason.en) == ("not_computable", "It has no interval: no interval: a class has a single row.")
    open_above = {"name": "fast", "latency_p99_ms": {"most": 60.0, "by": "interval"}}
    assert not judged(KEEPS, declared_gate(open_above)).passed


def test_what_a_gate_does_not_ask_is_told() -> None:
    gate = declared_gate({"name": "only", "additivity": {"most": 1e-4}})
    verdict = judged({**BREAKS, "additivity": KEEPS["additivity"]}, gate)
    assert verdict.passed
    assert {one.result for one in verdict.criteria if one.name != "additivity"} == {"not_asked"}
    assert result_of(verdict, "score_psi")[1].en == "The gate does not ask for it."


def test_a_verdict_in_which_nothing_was_asked_has_not_passed() -> None:
    gate = declared_gate({"name": "only", "auc": {"least": 0.6}})
    assert not judged(KEEPS, gate).passed


def test_the_reason_names_figure_bound_and_what_to_know() -> None:
    slope = Metric(1.0, 0.5, 1.2, 90, "few rows", "样本少")
    _, reason = result_of(judged({**KEEPS, "calibration_slope": slope}), "calibration_slope")
    assert reason.en == "The interval 0.5 to 1.2 breaks its bound: at least 0.7 and at most 1.4; few rows."
    assert reason.zh == "区间0.5至1.2不符合界限：不低于0.7且不高于1.4；样本少。"


def test_the_same_evidence_gives_the_same_bytes() -> None:
    verdict = judged(KEEPS)
    assert verdict.sha256 == judged(dict(KEEPS)).sha256
    local = datetime(2026, 7, 1, 17, tzinfo=timezone(timedelta(hours=8)))
    evidence = Evidence(KEEPS, COMPARED, {"rows": 500, "data_identity": "da" * 32})
    same = judge(verdict.gate, evidence, candidate=CANDIDATE, champion=CHAMPION, judged_at=local)
    assert same.to_json() == verdict.to_json()
    assert judged({**KEEPS, "additivity": Metric(0.0, None, None, 200)}).sha256 != verdict.sha256


def test_a_verdict_holds_all_that_is_needed_to_judge_again() -> None:
    told = json.loads(judged(KEEPS).to_json())
    assert told["passed"] is True
    assert told["judged_at"] == "2026-07-01T09:00:00.000Z"
    assert told["candidate"] == {"model": "cash/2", "bundle": "b2" * 32}
    assert told["champion"] == {"model": "cash/1", "bundle": "b1" * 32}
    assert told["gate"]["identity"] == read_gate("default").identity
    assert told["evidence"] == {"rows": 500, "data_identity": "da" * 32}
    (slope,) = (one for one in told["criteria"] if one["criterion"] == "calibration_slope")
    assert {name: slope[name] for name in ("result", "value", "low", "high", "rows", "threshold")} == {
        "result": "passed",
        "value": 1.0,
        "low": 0.71,
        "high": 1.39,
        "rows": 500,
        "threshold": {"least": 0.7, "most": 1.4, "by": "interval"},
    }
    assert all(one["title"]["zh"] and one["title"]["en"] for one in told["criteria"])
