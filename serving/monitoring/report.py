"""The drift report: who is scored today against whom the model was trained on, as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from evaluation.drift import DriftResult, DriftRow
from evaluation.report.inputs import FeatureLike
from reporting import plots
from reporting.page import Plot, Text, number, render

SECTIONS: tuple[tuple[str, Text], ...] = (
    ("verdict", Text("结论", "Verdict")),
    ("score", Text("分数", "Score")),
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


def build_drift_report(
    result: DriftResult,
    *,
    facts: Sequence[tuple[Text | str, Text | str]],
    features: Mapping[str, FeatureLike] | Sequence[FeatureLike] = (),
    title: Text | None = None,
) -> str:
    """Write a drift result as self-contained HTML; the same input gives the same bytes.

    Parameters
    ----------
    result : DriftResult
    facts : sequence of (name, value)
        What was compared: model, bundle, period, lender ..., shown at the top in this order.
    features : mapping by name or sequence of FeatureLike
        Declarations, for their Chinese and English descriptions; a feature without one is shown by its name.
    title : Text, optional

    Returns
    -------
    str
        HTML in Chinese and English, switched by the reader or by `#zh` and `#en` behind the address; no network.
    """
    declared = dict(features) if isinstance(features, Mapping) else {feature.name: feature for feature in features}
    rows = [_row(row, declared) for row in sorted(result.features, key=lambda row: (-row.excess_psi, row.name))]
    context: dict[str, Any] = {
        "title": title or Text("漂移监控报告", "Drift report"),
        "sections": SECTIONS,
        "result": result,
        "facts": list(facts),
        "verdict": VERDICTS[result.verdict],
        "verdicts": VERDICTS,
        "rows": rows,
        "top": rows[:_TOP],
        "longest": _longest(result),
        "missingness": sum(1 for row in result.features if abs(row.missing_rate - row.reference_missing_rate) >= 0.05),
        "score_plot": _score_plot(result.score),
    }
    return render("drift_report.html.j2", context, "serving.monitoring")


def _longest(result: DriftResult) -> float:
    """PSI that fills a bar; a feature that broke entirely must not flatten all the others."""
    largest = max((max(row.psi, row.psi_threshold) for row in result.features), default=0.0)
    return min(largest, 0.5) or 1.0


def _row(row: DriftRow, declared: Mapping[str, FeatureLike]) -> dict[str, Any]:
    feature = declared.get(row.name)
    text = Text(feature.zh, feature.en) if feature else Text(row.name, row.name)
    shares = [np.asarray(bins, dtype=np.float64) / max(sum(bins), 1) for bins in (row.expected, row.actual)]
    highest = float(np.maximum(*shares).max()) or 1.0
    bars = [(100 * float(then) / highest, 100 * float(now) / highest) for then, now in zip(*shares, strict=True)]
    return {"row": row, "text": text, "bars": bars}


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
