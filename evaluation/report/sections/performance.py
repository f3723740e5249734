"""How well the model ranks, and whether its PDs are the bad rates that come true."""

from __future__ import annotations

from typing import Any

from evaluation import tables
from evaluation.report import drawings
from evaluation.report.facts import Facts, Finding, Section, name_of
from reporting.page import Text

METRICS = (
    ("auc", Text("AUC", "AUC")),
    ("gini", Text("基尼系数", "Gini")),
    ("ks", Text("KS", "KS")),
    ("pr_auc", Text("PR-AUC（平均精确率）", "PR-AUC (average precision)")),
    ("h_measure", Text("H度量", "H-measure")),
    ("brier", Text("Brier分数", "Brier score")),
    ("log_loss", Text("对数损失", "Log loss")),
    ("calibration_slope", Text("校准斜率", "Calibration slope")),
    ("calibration_intercept", Text("校准截距", "Calibration intercept")),
    ("ece", Text("期望校准误差（ECE）", "Expected calibration error (ECE)")),
)


def _discrimination(facts: Facts) -> dict[str, Any]:
    sample, test = facts.report.sample, facts.report.test
    findings = []
    auc = facts.test["auc"]
    if not auc.defined:
        text = Text(f"测试AUC无法计算：{auc.note_zh}。", f"The AUC of the test cannot be computed: {auc.note}.")
        findings.append(Finding("bad", text))
    elif auc.low is not None and auc.low <= 0.5:
        text = Text("测试AUC的95%区间含0.5：区分能力未证实。", "The test's AUC is not above 0.5 beyond chance.")
        findings.append(Finding("bad", text))
    return {
        "samples": [(name_of(split), facts.report.figures[split.name]) for split in sample.splits],
        "metrics": METRICS,
        "plots": drawings.discrimination(sample.splits),
        "cutoffs": tables.cutoff_table(test.y, test.pd).to_dict("records"),
        "findings": findings,
    }


def _calibration(facts: Facts) -> dict[str, Any]:
    sample, test = facts.report.sample, facts.report.test
    slope, findings = facts.test["calibration_slope"], []
    if slope.low is not None and slope.high is not None and not slope.low <= 1 <= slope.high:
        findings.append(
            Finding(
                "warn",
                Text(
                    f"测试样本的校准斜率为{slope.value:.3f}，其95%区间不含1。",
                    f"The calibration slope on the test is {slope.value:.3f}; its 95 % interval excludes 1.",
                ),
            )
        )
    return {
        "test": facts.test,
        "plots": drawings.calibration(sample.splits),
        "rows": tables.calibration_table(test.y, test.pd).to_dict("records"),
        "findings": findings,
    }


DISCRIMINATION = Section("discrimination", Text("区分能力", "Discrimination"), _discrimination)
CALIBRATION = Section("calibration", Text("校准", "Calibration"), _calibration)
