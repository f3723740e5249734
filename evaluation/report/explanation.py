"""Attributions as a reader sees them: importance, groups, the waterfall of one applicant, whether they add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evaluation.report.inputs import FeatureLike, ReportInput
from reporting.page import Text

Array = npt.NDArray[np.float64]

GROUPS = {
    "application": Text("申请", "Application"),
    "bureau": Text("征信", "Credit bureau"),
    "consumption": Text("消费", "Consumption"),
    "repayment": Text("还款", "Repayment"),
    "business": Text("经营", "Business"),
    "sequences": Text("事件序列", "Event sequences"),
}
SOURCES = {
    "tradelines": Text("征信账户", "bureau accounts"),
    "tradeline_months": Text("征信月度状态", "bureau account months"),
    "inquiries": Text("征信查询", "bureau inquiries"),
    "transactions": Text("账户交易", "transactions"),
    "loans": Text("本机构贷款", "own loans"),
    "loan_months": Text("本机构贷款月度状态", "own loan months"),
    "instalments": Text("应还分期", "instalments"),
    "payments": Text("还款", "payments"),
    "card_months": Text("信用卡账单", "card statements"),
    "invoices": Text("经营发票", "invoices"),
}


@dataclass(frozen=True)
class Importance:
    """Mean absolute attribution of a feature or a sequence source, and its share of the whole."""

    name: str
    text: Text
    mean_abs: float
    share: float
    width: float  # per cent of the longest bar


@dataclass(frozen=True)
class Step:
    """One bar of a waterfall: from `start` to `start + value` in log-odds, with its place on the bar in per cent."""

    text: Text
    shown: str
    value: float
    total: float
    left: float
    width: float


@dataclass(frozen=True)
class Applicant:
    """One explained row, known by its number only."""

    row: int
    log_odds: float
    pd: float
    residual: float
    steps: tuple[Step, ...]
    reasons: tuple[tuple[Text, float], ...]  # what the applicant would be told, with its log-odds
    groups: tuple[tuple[str, float], ...]  # what each source of features, and the events, add up to
    base_at: float  # per cent


def source_text(source: str) -> Text:
    """The name of a sequence source for a reader."""
    known = SOURCES.get(source, Text(source, source))
    return Text(f"序列：{known.zh}", f"Sequence: {known.en}")


def feature_text(feature: FeatureLike) -> Text:
    """The description of a feature in both languages."""
    return Text(feature.zh, feature.en)


def _all(report: ReportInput) -> tuple[list[str], list[Text], list[str], Array]:
    """Names, texts, groups and attributions of features and sources together."""
    given, declared = report.explained.attributions, report.features.declared
    names = [feature.name for feature in declared] + [f"sequence:{source}" for source in given.sources]
    texts = [feature_text(feature) for feature in declared] + [source_text(source) for source in given.sources]
    groups = [feature.group for feature in declared] + ["sequences"] * len(given.sources)
    values = np.hstack([np.asarray(given.features), np.asarray(given.sequences)])
    return names, texts, groups, values


def _ranked(names: Sequence[str], texts: Sequence[Text], means: Array) -> list[Importance]:
    total, longest = float(means.sum()) or 1.0, float(means.max(initial=0.0)) or 1.0
    order = sorted(range(len(names)), key=lambda k: (-means[k], names[k]))
    return [
        Importance(names[k], texts[k], float(means[k]), float(means[k]) / total, 100 * float(means[k]) / longest)
        for k in order
    ]


def importances(report: ReportInput) -> list[Importance]:
    """Features and sequence sources, strongest first."""
    names, texts, _, values = _all(report)
    return _ranked(names, texts, np.abs(values).mean(axis=0) if len(values) else np.zeros(len(names)))


def group_importances(report: ReportInput) -> list[Importance]:
    """Source groups, strongest first: attributions are summed within a group before their size is taken."""
    _, _, groups, values = _all(report)
    names = list(dict.fromkeys(groups))
    member = np.array([[group == name for name in names] for group in groups], dtype=np.float64).reshape(-1, len(names))
    means = np.abs(values @ member).mean(axis=0) if len(values) else np.zeros(len(names))
    return _ranked(names, [GROUPS.get(name, Text(name, name)) for name in names], means)


def residuals(report: ReportInput) -> Array:
    """How far the attributions of each explained row are from its log-odds, shape (n,)."""
    *_, values = _all(report)
    log_odds = np.asarray(report.explained.log_odds, dtype=np.float64)
    return np.asarray(report.explained.attributions.base + values.sum(axis=1) - log_odds)


def typical_rows(log_odds: npt.ArrayLike, count: int) -> list[int]:
    """Row numbers spread over the range of risk, safest first, at most `count`.

    Examples
    --------
    >>> typical_rows([-1.0, -5.0, -3.0, 2.0, -2.0], 3)
    [1, 4, 3]
    """
    order = np.argsort(np.asarray(log_odds), kind="stable")
    if len(order) == 0:
        return []
    places = np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))
    return [int(order[place]) for place in places]


def applicant(report: ReportInput, row: int, *, strongest: int = 10) -> Applicant:
    """The waterfall of one row: base, the strongest attributions, all the others together, the log-odds."""
    names, texts, groups, values = _all(report)
    own = values[row]
    of_group = [(group, float(own[[one == group for one in groups]].sum())) for group in dict.fromkeys(groups)]
    order = sorted(range(len(own)), key=lambda k: (-abs(own[k]), names[k]))
    base, log_odds = float(report.explained.attributions.base), float(np.asarray(report.explained.log_odds)[row])
    bars: list[tuple[Text, str, float]] = []
    for k in order[:strongest]:
        bars.append((texts[k], _shown(report, row, k), float(own[k])))
    if len(order) > strongest:
        others = len(order) - strongest
        rest = float(own[order[strongest:]].sum())
        bars.append((Text(f"其余{others}项", f"{others} others"), "", rest))
    ends = np.concatenate([[base], base + np.cumsum([value for *_, value in bars])])
    low, span = float(ends.min()), float(np.ptp(ends)) or 1.0
    steps, total = [], base
    for text, shown, value in bars:
        start, total = total, total + value
        left = 100 * (min(start, total) - low) / span
        steps.append(Step(text, shown, value, total, left, 100 * abs(value) / span))
    pd = float(1 / (1 + np.exp(-log_odds)))
    told = report.explained.reasons[row] if report.explained.reasons else ()
    reasons = tuple((Text(one.zh, one.en), one.log_odds) for one in told)
    at = 100 * (base - low) / span
    return Applicant(row, log_odds, pd, total - log_odds, tuple(steps), reasons, tuple(of_group), at)


def _shown(report: ReportInput, row: int, column: int) -> str:
    """A feature's value with its unit, in four digits; a dash where it is missing."""
    if column >= len(report.features.declared):
        return ""
    value = float(report.explained.rows.iloc[:, column].to_numpy(dtype=np.float64)[row])
    if not np.isfinite(value):
        return "–"
    digits = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{digits} {report.features.declared[column].unit}"
