"""Whether groups of applicants fare alike at the cut-off."""

from __future__ import annotations

from typing import Any

from evaluation.fairness import FOUR_FIFTHS, Fairness
from evaluation.metric import Metric
from evaluation.report.facts import Facts, Finding, Section
from reporting.page import Plot, Text, Unknown
from reporting.plots import INK, A, draw

ATTRIBUTES = {
    "gender": Text("性别", "Sex"),
    "age_band": Text("年龄段", "Age band"),
    "marital_status": Text("婚姻状况", "Marital status"),
}
_ASKED = ("gender", "age_band")


def _fairness(facts: Facts) -> dict[str, Any]:
    treatment = facts.report.treatment
    found = treatment if isinstance(treatment, Unknown) else treatment.fairness
    if isinstance(treatment, Unknown) or isinstance(found, Unknown):
        return {"found": found}
    absent = [ATTRIBUTES[name] for name in _ASKED if name not in {one.attribute for one in found}]
    return {
        "found": found,
        "names": ATTRIBUTES,
        "least": FOUR_FIFTHS,
        "approved": treatment.approved,
        "absent": [
            Unknown(Text(f"数据中没有{name.zh}，未分析。", f"{name.en} is not in the records and was not looked at."))
            for name in absent
        ],
        "plots": [plot for one in found if (plot := _rates(one)) is not None],
        "findings": [finding for one in found for finding in _findings(one)],
    }


def _findings(one: Fairness) -> list[Finding]:
    ratio, name = one.adverse_impact_ratio, ATTRIBUTES.get(one.attribute, Text(one.attribute, one.attribute))
    if ratio.value is None:
        text = Text(
            f"{name.zh}：不利影响比无法计算：{ratio.note_zh}。", f"{name.en}: no adverse impact ratio: {ratio.note}."
        )
        return [Finding("open", text)]
    if ratio.value >= FOUR_FIFTHS:
        return []
    text = Text(
        f"{name.zh}：不利影响比{ratio.value:.2f}，低于{FOUR_FIFTHS}（五分之四规则）。",
        f"{name.en}: the adverse impact ratio is {ratio.value:.2f}, below {FOUR_FIFTHS} (four-fifths rule).",
    )
    return [Finding("bad" if ratio.high is not None and ratio.high < FOUR_FIFTHS else "warn", text)]


def _rates(one: Fairness) -> Plot | None:
    """Share approved of each group with its interval."""
    groups = [group for group in one.groups if group.approved.value is not None]
    if len(groups) < 2:
        return None
    rates: list[Metric] = [group.approved for group in groups]
    value = [100 * (rate.value or 0.0) for rate in rates]
    below = [100 * ((rate.value or 0.0) - (rate.low if rate.low is not None else rate.value or 0.0)) for rate in rates]
    above = [
        100 * ((rate.high if rate.high is not None else rate.value or 0.0) - (rate.value or 0.0)) for rate in rates
    ]

    def paint(axes: Any) -> None:
        axes.errorbar(range(len(groups)), value, yerr=[below, above], fmt="o", color=A, markersize=5, capsize=3)
        axes.axhline(FOUR_FIFTHS * max(value), color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.set_xticks(range(len(groups)), [group.name for group in groups])
        axes.set_xlim(-0.6, len(groups) - 0.4)

    name = ATTRIBUTES.get(one.attribute, Text(one.attribute, one.attribute))
    return Plot(
        draw(f"approved-{one.attribute}", paint),
        Text(f"{name.zh}：批准率（95%区间）", f"{name.en}: share approved (95 % interval)"),
        Text("群体；虚线为最高者的五分之四", "group; the dashed line is four fifths of the highest"),
        Text("批准率 %", "approved, %"),
    )


FAIRNESS = Section("fairness", Text("公平性", "Fairness"), _fairness)
