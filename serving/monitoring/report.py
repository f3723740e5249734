"""The drift report: who is scored today against whom the model was trained on, as one HTML file with its history."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from evaluation.drift import DriftResult, DriftRow
from evaluation.drift.shares import SharesDrift
from evaluation.metric import Metric
from evaluation.without_labels import BLIND
from reporting import plots
from reporting.page import Plot, Text, number, render
from serving.monitoring.alerts import Alert
from serving.monitoring.examination import Day, Examination
from serving.monitoring.realised import LEAST_OF_EACH, Realised
from serving.monitoring.wording import ASPECTS, DIMENSIONS

SECTIONS: tuple[tuple[str, Text], ...] = (
    ("verdict", Text("结论", "Verdict")),
    ("history", Text("逐日历史", "History by day")),
    ("score", Text("分数", "Score")),
    ("mix", Text("原因与申请构成", "Reasons and mix of requests")),
    ("segments", Text("客群", "Segments")),
    ("joint", Text("全部特征联合", "All features at once")),
    ("performance", Text("模型表现", "Performance")),
    ("top", Text("变化最大的特征", "Features that moved most")),
    ("features", Text("全部特征", "All features")),
    ("method", Text("方法与阈值", "Method and thresholds")),
)
VERDICTS = {
    "stable": (Text("稳定", "stable"), "good"),
    "drifted": (Text("已漂移", "drifted"), "bad"),
    "too_few_rows": (Text("样本不足", "too few rows"), "warn"),
}
_TOP = 20
_COLUMNS = 10  # features beside each other in the history
_STRONG = 0.25  # excess PSI that fills a cell


def build_drift_report(
    found: Examination,
    performance: Sequence[Realised] = (),
    alerts: Sequence[Alert] = (),
    *,
    facts: Sequence[tuple[Text | str, Text | str]],
    training_auc: Metric | None = None,
    title: Text | None = None,
) -> str:
    """Write a look as self-contained HTML; the same input gives the same bytes.

    Parameters
    ----------
    found : Examination
    performance : sequence of Realised
        By month, all months last.
    alerts : sequence of Alert
        Worst first.
    facts : sequence of (name, value)
        What was compared: model, bundle, period ..., shown at the top in this order.
    training_auc : Metric, optional
    title : Text, optional

    Returns
    -------
    str
        HTML in Chinese and English, switched by the reader or by `#zh` and `#en` behind the address; no network.
    """
    result = found.drift
    declared = found.looked.bundle.feature_set.features
    texts = {one.name: Text(one.zh, one.en) for one in declared}
    ordered = sorted(result.features, key=lambda row: (not row.drifted, -row.excess_psi, row.name))
    by_day = {row.name: [day.drift.features[at] for day in found.days] for at, row in enumerate(result.features)}
    rows = [_row(row, texts[row.name], by_day[row.name]) for row in ordered]
    context: dict[str, Any] = {
        "title": title or Text("漂移监控报告", "Drift report"),
        "sections": SECTIONS,
        "found": found,
        "result": result,
        "facts": list(facts),
        "alerts": alerts,
        "verdict": VERDICTS[found.verdict],
        "verdicts": VERDICTS,
        "aspects": {name: Text(zh, en) for name, (en, zh) in ASPECTS.items()},
        "dimensions": {name: Text(zh, en) for name, (en, zh) in DIMENSIONS.items()},
        "rows": rows,
        "top": rows[:_TOP],
        "columns": [item["row"] for item in rows[:_COLUMNS]],
        "cells": [[_cell(by_day[item["row"].name][at]) for item in rows[:_COLUMNS]] for at in range(len(found.days))],
        "longest": _longest(result),
        "missingness": sum(1 for row in result.features if abs(row.missing_rate - row.reference_missing_rate) >= 0.05),
        "score_plot": _score_plot(result.score),
        "history_plots": _history_plots(found.days, found.approval.before),
        "reasons": {one.reason.code: Text(one.reason_zh, one.reason_en) for one in declared},
        "mix": [(one, _shares(one), one in found.mix.drifted) for one in found.mix.shares],
        "performance": performance,
        "training_auc": training_auc,
        "least_of_each": LEAST_OF_EACH,
        "blind": Text(BLIND[1], BLIND[0]),
    }
    return render("drift_report.html.j2", context, "serving.monitoring")


def _longest(result: DriftResult) -> float:
    """PSI that fills a bar; a feature that broke entirely must not flatten all the others."""
    largest = max((max(row.psi, row.psi_threshold) for row in result.features), default=0.0)
    return min(largest, 0.5) or 1.0


def _row(row: DriftRow, text: Text, days: Sequence[DriftRow]) -> dict[str, Any]:
    shares = [np.asarray(bins, dtype=np.float64) / max(sum(bins), 1) for bins in (row.expected, row.actual)]
    highest = float(np.maximum(*shares).max()) or 1.0
    bars = [(100 * float(then) / highest, 100 * float(now) / highest) for then, now in zip(*shares, strict=True)]
    course = [(100 * min(one.excess_psi / _STRONG, 1.0), one.drifted) for one in days]
    return {"row": row, "text": text, "bars": bars, "course": course}


def _cell(row: DriftRow) -> dict[str, Any]:
    return {"row": row, "share": min(row.excess_psi / _STRONG, 1.0)}


def _shares(one: SharesDrift) -> list[tuple[str, float, float]]:
    return [(level, *one.share(level)) for level in one.levels]


def _history_plots(days: Sequence[Day], approved_before: float) -> list[Plot]:
    """Small multiples over the days: score, approval, drifted features, expected AUC."""
    if len(days) < 2:
        return []
    at, names = np.arange(len(days)), [day.day[5:] for day in days]

    def drawn(name: str, text: Text, curves: Sequence[Any], legend: Text | None = None, **how: Any) -> Plot:
        points = [(at, np.asarray(curve, dtype=np.float64)) for curve in curves]
        svg = plots.lines(name, points, ticks=names, colours=(plots.A, plots.MUTED), **{"per_cent": False, **how})
        return Plot(svg, text, Text("日", "day"), text, [("muted", legend)] if legend else [])

    score = [day.drift.score for day in days]
    areas = [day.expected.auc for day in days]
    auc, *band = ([getattr(one, side) for one in areas] for side in ("value", "low", "high"))
    low, high = (np.asarray(end, dtype=np.float64) for end in band)  # None becomes NaN
    without, training = Text("无漂移时", "without drift"), Text("训练时", "in training")
    approved = [[day.approved for day in days], np.full(len(days), approved_before)]
    psis = [[one.psi for one in score], [one.chance_psi for one in score]]
    expected = Text("预期AUC（无标签）", "Expected AUC, without labels")
    return [
        drawn("day-score", Text("分数PSI", "PSI of the score"), psis, without),
        drawn("day-approval", Text("批准率", "Approval rate"), approved, training, per_cent=True, from_zero=False),
        drawn("day-features", Text("漂移特征数", "Drifted features"), [[len(day.drift.drifted) for day in days]]),
        drawn("day-auc", expected, [auc], band=(low, high), from_zero=False),
    ]


def _labels(edges: Sequence[float]) -> list[str]:
    if not edges:
        return ["all"]
    shown = [number(edge, 2) for edge in edges]
    middle = [f"{low} .. {high}" for low, high in pairwise(shown)]
    return [f"<= {shown[0]}", *middle, f"> {shown[-1]}"]


def _score_plot(score: DriftRow) -> Plot | None:
    if not sum(score.actual):
        return None
    shares = [np.asarray(bins[:-1], dtype=np.float64) / max(sum(bins), 1) for bins in (score.expected, score.actual)]
    return Plot(
        plots.grouped_bars("score", _labels(score.edges), shares, colours=(plots.MUTED, plots.A), broad=True),
        Text("分数分布：训练时与当前", "Distribution of the score: in training and now"),
        Text("分数区间（训练十分位）", "score, by decile of training"),
        Text("占比", "share of rows"),
        [("muted", Text("训练时", "in training")), ("a", Text("当前", "now"))],
    )
