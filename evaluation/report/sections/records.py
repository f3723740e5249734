"""Which records: where they come from and may be used for, and which applications were learnt from and measured on."""

from __future__ import annotations

from typing import Any

import numpy as np

from data_contracts.quality.coverage import PROVIDER_NAMES
from data_contracts.quality.report import DECISION_POINTS, LEVELS
from evaluation.lineage import Origin
from evaluation.report import drawings
from evaluation.report.facts import Facts, Finding, Section, name_of
from evaluation.report.inputs import Month
from reporting.page import Text, Unknown

_SHOWN_BATCHES, _SHOWN_FAULTS = 12, 20
_FEW_BAD = 100


def _data(facts: Facts) -> dict[str, Any]:
    origin = facts.report.origin
    if isinstance(origin, Unknown):
        return {"origin": origin}
    accepted = [one for one in origin.batches if one.accepted]
    return {
        "origin": origin,
        "accepted": len(accepted),
        "refused": len(origin.batches) - len(accepted),
        "batches": origin.batches[-_SHOWN_BATCHES:],
        "intake": _intake(origin),
        "faults": origin.faults[:_SHOWN_FAULTS],
        "more_faults": max(0, len(origin.faults) - _SHOWN_FAULTS),
        "providers": PROVIDER_NAMES,
        "decision_points": DECISION_POINTS,
        "levels": LEVELS,
        "findings": _findings_of_data(origin),
    }


def _intake(origin: Origin) -> str | Unknown:
    """`told`, or why nothing is known of the coming of the records."""
    if origin.told:
        return "told"
    return Unknown(
        Text(
            "部分批次不是经 lendwell import 接收（例如由模拟器直接写出）：没有来源文件、接收时间与接收检查的记录。",
            "Some batches did not come by lendwell import (the simulator writes its own, for one): neither source "
            "files nor time of receipt nor what an intake found are on record.",
        )
    )


def _findings_of_data(origin: Origin) -> list[Finding]:
    found = []
    if origin.refused:
        names = ", ".join(table.name for table in origin.refused)
        found.append(
            Finding(
                "bad",
                Text(
                    f"模型使用了在该决策点未获授权的数据表：{names}。",
                    f"The model looks at tables that may not decide here: {names}.",
                ),
            )
        )
    used = {table.provider for table in origin.tables if table.used}
    for provider, of in origin.coverage["providers"].items():
        if provider not in used:
            continue
        name = PROVIDER_NAMES[provider]
        if of["meets"] is False:
            target = origin.coverage["target"]
            text = Text(
                f"{name.zh}覆盖率{of['share']:.1%}低于目标{target:.0%}。",
                f"Coverage of {name.en.lower()} is {of['share']:.1%}, below the target of {target:.0%}.",
            )
            found.append(Finding("warn", text))
        if of.get("without_consent"):
            text = Text(
                f"{name.zh}有{of['without_consent']}笔申请使用了记录但无有效授权。",
                f"{of['without_consent']} applications have records of {name.en.lower()} without a consent in force.",
            )
            found.append(Finding("bad", text))
    return found


def _sample(facts: Facts) -> dict[str, Any]:
    sample, months = facts.report.sample, facts.report.sample.months
    bad, rows = int(np.sum(np.asarray(facts.report.test.y))), len(np.asarray(facts.report.test.y))
    findings = []
    if bad < _FEW_BAD:
        findings.append(
            Finding(
                "warn",
                Text(
                    f"测试样本仅有{bad}个坏客户，所有指标的区间都较宽。",
                    f"The test has only {bad} defaults; every figure's interval is wide.",
                ),
            )
        )
    if len(sample.splits) == 1:
        text = Text("没有单独的训练样本可作对照。", "There is no separate training sample to compare with.")
        findings.append(Finding("open", text))
    return {
        "sample": sample,
        "splits": [(split, name_of(split), np.asarray(split.y)) for split in sample.splits],
        "rows": rows,
        "months": months,
        "month_plots": [] if isinstance(months, Unknown) or len(months) < 2 else _by_month(list(months)),
        "findings": findings,
    }


def _by_month(months: list[Month]) -> list[Any]:
    return [drawings.rows_by_month(months), drawings.bad_rate_by_month(months)]


DATA = Section("data", Text("数据血缘、授权与质量", "Data: lineage, authorisation, quality"), _data)
SAMPLE = Section("sample", Text("样本、目标、窗口与被拒申请", "Sample, target, windows, rejects"), _sample)
