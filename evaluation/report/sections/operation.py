"""The model at work: whether the served one is the measured one, and from what on its monitoring speaks up."""

from __future__ import annotations

from typing import Any

from evaluation.report.facts import Facts, Finding, Section
from reporting.page import Text, Unknown

_SHOWN_LIMITS = 10


def _implementation(facts: Facts) -> dict[str, Any]:
    found = facts.report.implementation
    if isinstance(found, Unknown):
        return {"test": found}
    findings = []
    if not found.passed:
        text = Text(
            f"线上计算与批量不一致：{len(found.deviations)}个特征不同，PD最大相差{found.pd_difference:.2e}。",
            f"Online and batch disagree: {len(found.deviations)} features differ, PDs by up to "
            f"{found.pd_difference:.2e}.",
        )
        findings.append(Finding("bad", text))
    return {"test": found, "deviations": found.deviations[:_SHOWN_LIMITS], "findings": findings}


def _monitoring(facts: Facts) -> dict[str, Any]:
    limits = facts.report.monitoring
    if isinstance(limits, Unknown):
        return {"limits": limits}
    by_name = {limit.name: limit for limit in limits.features}
    strongest = [by_name[item.name] for item in facts.ranked if item.name in by_name][:_SHOWN_LIMITS]
    return {"limits": limits, "strongest": strongest}


IMPLEMENTATION = Section(
    "implementation",
    Text("实施测试（训练与服务一致）", "Implementation test (train equals serve)"),
    _implementation,
)
MONITORING = Section("monitoring", Text("监控阈值", "Monitoring thresholds"), _monitoring)
