"""Which model: what it is and is for, what it looks at, how it was made and what stands beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evaluation import metrics
from evaluation.measuring.persons import Treatment
from evaluation.metric import Metric
from evaluation.monotonicity import Monotonicity
from evaluation.report import explanation
from evaluation.report.facts import Facts, Finding, Section
from reporting.page import Text, Unknown

PARTS = {
    "boosted": Text("树（XGBoost）", "Trees (XGBoost)"),
    "tabular_net": Text("表格网络（TabM）", "Tabular net (TabM)"),
    "sequence_net": Text("序列网络", "Sequence net"),
}
_MANY_CONSTANT = 0.2
_LARGE_STEP, _SHOWN = 0.05, 10
_TELLING = {"auc": 0.8, "r2": 0.5}


def _identity(facts: Facts) -> dict[str, Any]:
    identity = facts.report.identity
    return {
        "identity": identity,
        "owner": identity.owner,
        "seeds": facts.report.method.seeds,
        "same_data": identity.data == identity.trained_on,
    }


def _features(facts: Facts) -> dict[str, Any]:
    report = facts.report
    return {
        "facts": report.features,
        "treatment": report.treatment,
        "proxies": report.treatment if isinstance(report.treatment, Unknown) else report.treatment.proxies,
        "rows": _rows(facts),
        "groups": explanation.GROUPS,
        "directed": sum(feature.risk != 0 for feature in report.features.declared),
        "directions": report.directions,
        "violated": _violated(report.directions),
        "findings": _findings_of_features(facts),
    }


def _catalogue(facts: Facts) -> dict[str, Any]:
    return {"rows": _rows(facts), "groups": explanation.GROUPS}


def _rows(facts: Facts) -> list[dict[str, Any]]:
    """Every feature with its declaration, missing rate and importance, the most important first."""
    report = facts.report
    by_name = {item.name: (place, item) for place, item in enumerate(facts.ranked, start=1)}
    missing = report.features.missing or report.explained.rows.isna().mean().to_dict()
    rows = []
    for feature in report.features.declared:
        place, item = by_name[feature.name]
        rows.append({"feature": feature, "missing": missing.get(feature.name), "place": place, "importance": item})
    return sorted(rows, key=lambda row: row["place"])


def _violated(directions: Sequence[Monotonicity] | Unknown) -> list[Monotonicity]:
    if isinstance(directions, Unknown):
        return []
    return sorted((one for one in directions if one.violations), key=lambda one: (-one.worst, one.feature))


def _findings_of_features(facts: Facts) -> list[Finding]:
    features, treatment = facts.report.features, facts.report.treatment
    uses = [] if isinstance(treatment, Unknown) else treatment.uses
    found = [Finding("warn", use.statement) for use in uses if not use.absent]
    found += _findings_of_proxies(treatment)
    if len(features.constant) > _MANY_CONSTANT * max(len(features.declared), 1):
        count, of = len(features.constant), len(features.declared)
        found.append(
            Finding(
                "warn",
                Text(
                    f"{of}个特征中有{count}个在样本中取值恒定或全部缺失。",
                    f"{count} of {of} features have one value, or none, over the whole sample.",
                ),
            )
        )
    large = [one for one in _violated(facts.report.directions) if one.worst > _LARGE_STEP]
    if large:
        names = ", ".join(one.feature for one in large[:_SHOWN])
        text = Text(
            f"{len(large)}个特征在混合模型中有超过{_LARGE_STEP}对数几率的反方向变动：{names}。",
            f"{len(large)} features move the hybrid against their declared direction by more than {_LARGE_STEP} in "
            f"log-odds: {names}.",
        )
        found.append(Finding("warn", text))
    return found


def _findings_of_proxies(treatment: Treatment | Unknown) -> list[Finding]:
    told = treatment if isinstance(treatment, Unknown) else treatment.proxies
    found = []
    for one in () if isinstance(told, Unknown) else told:
        if one.told.value is None or one.told.value < _TELLING[one.kind]:
            continue
        name = one.attribute if one.level is None else f"{one.attribute} = {one.level}"
        figure = "AUC" if one.kind == "auc" else "R²"
        strongest = ", ".join(feature.feature for feature in one.features[:3])
        text = Text(
            f"特征可推断{name}（{figure} {one.told.value:.2f}），主要经由：{strongest}。",
            f"The features tell {name} ({figure} {one.told.value:.2f}), above all {strongest}.",
        )
        found.append(Finding("warn", text))
    return found


def _method(facts: Facts) -> dict[str, Any]:
    report = facts.report
    return {
        "method": report.method,
        "names": PARTS,
        "parts": _parts(facts),
        "alternative": report.alternative,
        "findings": [*_findings_of_parts(facts), *_findings_of_alternative(facts)],
    }


def _findings_of_parts(facts: Facts) -> list[Finding]:
    dropped = [_part(part.name) for part in facts.report.method.parts if part.dropped is not None]
    return [Finding("warn", Text(f"{one.zh}未进入混合模型。", f"{one.en}: not in the hybrid.")) for one in dropped]


def _part(name: str) -> Text:
    return PARTS.get(name, Text(name, name))


def _parts(facts: Facts) -> list[tuple[str, Metric, Metric | None]]:
    """AUC of each part alone and how far the hybrid is above it, on the test."""
    test, seed = facts.report.test, facts.report.seed
    rows: list[tuple[str, Metric, Metric | None]] = [("hybrid", facts.test["auc"], None)]
    for name, score in test.parts.items():
        rows.append((name, metrics.auc(test.y, score), metrics.auc_difference(test.y, test.pd, score, seed=seed)))
    return rows


def _findings_of_alternative(facts: Facts) -> list[Finding]:
    alternative = facts.report.alternative
    if isinstance(alternative, Unknown) or alternative.auc_gain.low is None or alternative.auc_gain.low > 0:
        return []
    text = Text(
        f"混合模型相对简单评分卡的AUC优势未超出抽样误差（差值{alternative.auc_gain.value:+.4f}）。",
        f"The hybrid's AUC is not above that of a plain scorecard beyond chance ({alternative.auc_gain.value:+.4f}).",
    )
    return [Finding("warn", text)]


IDENTITY = Section(
    "identity", Text("模型标识、责任人、用途与使用限制", "Identity, owner, use and limits of use"), _identity
)
FEATURES = Section(
    "features", Text("特征、方向、剔除与代理变量", "Features, directions, exclusions, proxies"), _features
)
CATALOGUE = Section("catalogue", Text("附录：全部特征", "Annex: all features"), _catalogue)
METHOD = Section("method", Text("方法与备选方案", "Method and alternatives"), _method)
