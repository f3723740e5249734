"""Where the model is weak, and what it does when its input is not what it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data_contracts.quality.coverage import PROVIDER_NAMES
from evaluation.measuring.probes import PROMISED
from evaluation.report.facts import Facts, Finding, Section
from evaluation.robustness import Noise
from reporting.page import Plot, Text, Unknown
from reporting.plots import lines

_LARGE_DRIFT_OF_PD = 0.25


DIMENSIONS = {
    "all": Text("全部", "All"),
    "month": Text("按月份", "By month"),
    "product": Text("按产品", "By product"),
    "channel": Text("按渠道", "By channel"),
    "city_tier": Text("按城市级别", "By city tier"),
    "employment": Text("按职业状况", "By employment"),
    "education": Text("按学历", "By education"),
    "housing": Text("按住房", "By housing"),
}


def _segments(facts: Facts) -> dict[str, Any]:
    segments, overfit = facts.report.segments, facts.report.overfit
    by_dimension: dict[str, list[Any]] = {}
    for one in () if isinstance(segments, Unknown) else segments:
        by_dimension.setdefault(one.dimension, []).append(one)
    return {
        "segments": segments,
        "by_dimension": by_dimension,
        "names": DIMENSIONS,
        "overfit": overfit,
        "slices": facts.report.slices,
        "findings": [*_findings_of_segments(facts), *_findings_of_slices(facts)],
    }


def _findings_of_segments(facts: Facts) -> list[Finding]:
    """Groups whose AUC is below that of the whole beyond chance, taken by themselves."""
    segments, whole = facts.report.segments, facts.test["auc"].value
    found: list[Finding] = []
    if isinstance(segments, Unknown) or whole is None:
        return found
    for one in segments:
        auc = one.metrics["auc"]
        if auc.high is not None and auc.value is not None and auc.high < whole:
            name = DIMENSIONS.get(one.dimension, Text(one.dimension, one.dimension))
            text = Text(
                f"{name.zh}{one.level}：AUC {auc.value:.3f}（区间上限{auc.high:.3f}）低于全部样本的{whole:.3f}。",
                f"{name.en} {one.level}: AUC {auc.value:.3f}, at most {auc.high:.3f}, against {whole:.3f} of all rows.",
            )
            found.append(Finding("warn", text))
    return found


def _findings_of_slices(facts: Facts) -> list[Finding]:
    search = facts.report.slices
    confirmed = [] if isinstance(search, Unknown) else [one for one in search.slices if one.confirmed]
    return [
        Finding(
            "warn",
            Text(
                f"薄弱客群（已在另一半样本上证实）：{one}，{one.n}行，坏客户{one.bad}个。",
                f"Weak slice, confirmed on rows that the search had not seen: {one}; {one.n} rows, {one.bad} defaults.",
            ),
        )
        for one in confirmed
    ]


def _robustness(facts: Facts) -> dict[str, Any]:
    findings = []
    for item in facts.report.without:
        it = item.silence
        given = it.mean_pd - it.mean_pd_change
        if given and abs(it.mean_pd_change) > _LARGE_DRIFT_OF_PD * given:
            name = PROVIDER_NAMES[item.provider]
            text = Text(
                f"缺少{name.zh}时平均PD由{given:.2%}变为{it.mean_pd:.2%}：届时不应按原阈值使用。",
                f"Without {name.en.lower()} the mean PD moves from {given:.2%} to {it.mean_pd:.2%}: the cut-off does "
                "not hold then.",
            )
            findings.append(Finding("warn", text))
    noise = facts.report.noise
    return {
        "noise": noise,
        "noise_plot": None if isinstance(noise, Unknown) or len(noise) < 2 else _noise_plot(noise),
        "without": facts.report.without,
        "auc": facts.test["auc"],
        "providers": PROVIDER_NAMES,
        "findings": findings,
    }


def _noise_plot(noise: Sequence[Noise]) -> Plot:
    sizes = [one.size for one in noise]
    changes = [one.auc_change for one in noise]
    band = ([one.low or 0.0 for one in changes], [one.high or 0.0 for one in changes])
    return Plot(
        lines("noise", [(sizes, [one.value or 0.0 for one in changes])], band=band, per_cent=False, from_zero=False),
        Text("噪声对AUC的影响（95%区间）", "Change of AUC by noise (95 % interval)"),
        Text("噪声（各特征离散程度的倍数）", "noise, in typical spreads of each feature"),
        Text("AUC变化", "change of AUC"),
    )


def _reliability(facts: Facts) -> dict[str, Any]:
    found = facts.report.reliability
    if isinstance(found, Unknown):
        return {"levels": found}
    short = [one for one in found if one.short]
    return {
        "levels": found,
        "promised": PROMISED,
        "names": {**DIMENSIONS, "outcome": Text("按结果", "By outcome")},
        "outcomes": {"good": Text("好", "good"), "bad": Text("坏", "bad"), "all": Text("全部", "all")},
        "findings": [
            Finding(
                "warn",
                Text(
                    f"{one.dimension} {one.level}：一致性集合仅覆盖{one.coverage.value:.1%}，承诺为{PROMISED:.0%}。",
                    f"{one.dimension} {one.level}: conformal sets cover {one.coverage.value:.1%}, less than the "
                    f"{PROMISED:.0%} promised.",
                ),
            )
            for one in short
        ],
    }


SEGMENTS = Section("segments", Text("分群表现与薄弱客群", "Segments and weak slices"), _segments)
ROBUSTNESS = Section("robustness", Text("稳健性", "Robustness"), _robustness)
RELIABILITY = Section("reliability", Text("单笔PD的可靠性", "Reliability of single PDs"), _reliability)
