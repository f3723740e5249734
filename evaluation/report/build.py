"""The model-risk report: one HTML file that a reviewer opens from disk and signs or refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from data_contracts.quality.coverage import PROVIDER_NAMES
from evaluation import metrics, tables
from evaluation.metrics import Metric
from evaluation.report import explanation, plots
from evaluation.report.inputs import Exclusion, Part, ReportInput, Split
from reporting.page import Plot, Text, fingerprint, render
from reporting.plots import densities

__all__ = ["Exclusion", "Part", "ReportInput", "Split", "Text", "build_report"]

SECTIONS: tuple[tuple[str, Text], ...] = (
    ("identity", Text("模型标识", "Identity")),
    ("sample", Text("样本与目标", "Sample and target")),
    ("features", Text("特征", "Features")),
    ("method", Text("方法", "Method")),
    ("discrimination", Text("区分能力", "Discrimination")),
    ("calibration", Text("校准", "Calibration")),
    ("parts", Text("组件与混合模型", "Parts against the hybrid")),
    ("sources", Text("缺少数据来源时", "Without a source")),
    ("global", Text("全局解释", "Global explanation")),
    ("local", Text("个案解释", "Local explanation")),
    ("additivity", Text("可加性", "Additivity")),
    ("limitations", Text("局限", "Limitations")),
    ("hashes", Text("哈希", "Hashes")),
)
SPLIT_NAMES = {
    "train": Text("训练", "Train"),
    "validation": Text("验证", "Validation"),
    "calibration": Text("校准", "Calibration"),
    "test": Text("测试", "Test"),
}
METRICS = (
    ("auc", Text("AUC", "AUC")),
    ("gini", Text("基尼系数", "Gini")),
    ("ks", Text("KS", "KS")),
    ("brier", Text("Brier分数", "Brier score")),
    ("log_loss", Text("对数损失", "Log loss")),
    ("calibration_slope", Text("校准斜率", "Calibration slope")),
    ("calibration_intercept", Text("校准截距", "Calibration intercept")),
    ("ece", Text("期望校准误差(ECE)", "Expected calibration error (ECE)")),
)
ADDITIVITY_LIMIT = 1e-4
_FEW_BAD = 100
_SHOWN, _DEPENDENCE, _POINTS = 15, 4, 2000


def build_report(report: ReportInput) -> str:
    """Write the report as one self-contained HTML text; the same input gives the same bytes.

    Parameters
    ----------
    report : ReportInput
        Facts, samples with their PDs, and attributions of a sample of the test.

    Returns
    -------
    str
        HTML in Chinese and English, switched by the reader or by `#zh` and `#en` behind the address; no network.

    Raises
    ------
    ValueError
        Where shapes do not fit together; the message names every mismatch.
    """
    report.check()
    figures = {split.name: metrics.evaluate(split.y, split.pd, seed=report.seed) for split in report.splits}
    test = report.splits[-1]
    ranked = explanation.importances(report)
    residual = explanation.residuals(report)
    rows = explanation.typical_rows(report.log_odds, report.applicants)
    context: dict[str, Any] = {
        "title": Text(f"模型风险报告：{report.model}", f"Model-risk report: {report.model}"),
        "sections": SECTIONS,
        "report": report,
        "splits": [(split, _name(split), np.asarray(split.y), figures[split.name]) for split in report.splits],
        "test": figures[test.name],
        "test_name": _name(test),
        "metric_names": METRICS,
        "feature_rows": _feature_rows(report, ranked),
        "parts_alone": _parts(test, report.seed),
        "providers": PROVIDER_NAMES,
        "roc_plots": _discrimination_plots(report.splits),
        "cutoffs": tables.cutoff_table(test.y, test.pd).to_dict("records"),
        "calibration_plots": _calibration_plots(report.splits),
        "calibration_rows": tables.calibration_table(test.y, test.pd).to_dict("records"),
        "ranked": ranked[:_SHOWN],
        "groups": explanation.group_importances(report),
        "explained_rows": len(report.explained),
        "summary_plot": _summary_plot(report, ranked),
        "dependence_plots": _dependence_plots(report, ranked),
        "applicants": [explanation.applicant(report, row) for row in rows],
        "residual_max": float(np.abs(residual).max()) if len(residual) else None,
        "additivity_limit": ADDITIVITY_LIMIT,
        "limitations": [*_found_limitations(report, figures[test.name]), *report.limitations],
        "source": report.data_identity,
        "fingerprint": fingerprint(report.bundle_identity, report.data_identity, report.experiment),
    }
    return render("model_report.html.j2", context, "evaluation.report")


def _name(split: Split) -> Text:
    return SPLIT_NAMES.get(split.name, Text(split.name, split.name))


def _feature_rows(report: ReportInput, ranked: list[explanation.Importance]) -> list[dict[str, Any]]:
    by_name = {item.name: (place, item) for place, item in enumerate(ranked, start=1)}
    missing = report.missing_rates or report.explained.isna().mean().to_dict()
    rows = []
    for feature in report.features:
        place, item = by_name[feature.name]
        rows.append({"feature": feature, "missing": missing.get(feature.name), "place": place, "importance": item})
    return sorted(rows, key=lambda row: row["place"])


def _parts(test: Split, seed: int) -> list[tuple[str, Metric, Metric | None]]:
    """AUC of each part alone and how far the hybrid is above it, on the test."""
    rows: list[tuple[str, Metric, Metric | None]] = [("hybrid", metrics.auc(test.y, test.pd), None)]
    for name, score in test.parts.items():
        rows.append((name, metrics.auc(test.y, score), metrics.auc_difference(test.y, test.pd, score, seed=seed)))
    return rows


def _has_both(split: Split) -> bool:
    return len(np.unique(np.asarray(split.y))) == 2


def _log_odds(pd: npt.ArrayLike) -> npt.NDArray[np.float64]:
    inside = np.clip(np.asarray(pd, dtype=np.float64), 1e-9, 1 - 1e-9)
    return np.asarray(np.log(inside / (1 - inside)))


def _ends(splits: list[Split]) -> list[Split]:
    """The test first, so that it has the first colour, then the training sample."""
    return splits if len(splits) == 1 else [splits[-1], splits[0]]


def _legend(splits: list[Split]) -> list[tuple[str, Text]]:
    return [(colour, _name(split)) for colour, split in zip("abc", splits, strict=False)]


def _discrimination_plots(splits: Any) -> list[Plot]:
    drawn = [split for split in _ends(list(splits)) if _has_both(split)]
    test = splits[-1]
    made = []
    if drawn:
        made.append(
            Plot(
                plots.roc([(split.y, split.pd) for split in drawn]),
                Text("ROC曲线", "ROC curve"),
                Text("误报率（好客户被拒）", "false positive rate (good loans refused)"),
                Text("命中率（坏客户被拒）", "true positive rate (bad loans refused)"),
                _legend(drawn),
            )
        )
    if _has_both(test):
        made.append(
            Plot(
                plots.ks(test.y, test.pd),
                Text("KS：好坏客户的累计分布（测试）", "KS: cumulative distributions of good and bad loans (test)"),
                Text("对数几率", "log-odds"),
                Text("累计占比", "cumulative share"),
                [("a", Text("好", "good")), ("b", Text("坏", "bad"))],
            )
        )
    return made


def _calibration_plots(splits: Any) -> list[Plot]:
    test = splits[-1]
    made = []
    table = tables.calibration_table(test.y, test.pd)
    if _has_both(test):
        columns = [table[name].to_numpy(dtype=np.float64) for name in ("mean_pd", "observed", "low", "high")]
        made.append(
            Plot(
                plots.reliability(*columns),
                Text("可靠性图（测试，按PD十分位，95%区间）", "Reliability (test, by decile of PD, 95 % intervals)"),
                Text("平均PD", "mean PD"),
                Text("实际坏账率", "observed bad rate"),
            )
        )
    drawn = [split for split in _ends(list(splits)) if len(np.asarray(split.pd))]
    if drawn:
        made.append(
            Plot(
                densities("log-odds", [_log_odds(split.pd) for split in drawn]),
                Text("对数几率的分布", "Distribution of log-odds"),
                Text("对数几率", "log-odds"),
                Text("占比", "share of rows"),
                _legend(drawn),
            )
        )
    return made


def _sampled(report: ReportInput) -> npt.NDArray[np.int64]:
    n = len(report.explained)
    return np.unique(np.linspace(0, n - 1, min(n, _POINTS)).astype(np.int64)) if n else np.empty(0, dtype=np.int64)


def _columns(report: ReportInput, ranked: list[explanation.Importance], count: int) -> list[int]:
    place = {feature.name: k for k, feature in enumerate(report.features)}
    return [place[item.name] for item in ranked if item.name in place][:count]


def _summary_plot(report: ReportInput, ranked: list[explanation.Importance]) -> Plot | None:
    rows, columns = _sampled(report), _columns(report, ranked, _SHOWN)
    if not len(rows) or not columns:
        return None
    values = report.explained.to_numpy(dtype=np.float64)[rows][:, columns]
    drawn = plots.beeswarm(
        [report.features[k].name for k in columns],
        values,
        np.asarray(report.attributions.features)[rows][:, columns],
    )
    legend = [
        ("low", Text("特征值低", "low value")),
        ("high", Text("特征值高", "high value")),
        ("grey", Text("缺失", "missing")),
    ]
    title = Text(f"归因摘要(前{len(columns)}个特征)", f"Attribution summary (top {len(columns)} features)")
    return Plot(
        drawn,
        title,
        Text("归因（对数几率），右侧升高风险", "attribution (log-odds); right raises risk"),
        Text("特征", "feature"),
        legend,
    )


def _dependence_plots(report: ReportInput, ranked: list[explanation.Importance]) -> list[Plot]:
    rows = _sampled(report)
    made = []
    for k in _columns(report, ranked, _DEPENDENCE) if len(rows) else []:
        feature = report.features[k]
        values = report.explained.iloc[rows, k].to_numpy(dtype=np.float64)
        drawn = plots.dependence(feature.name, values, np.asarray(report.attributions.features)[rows, k])
        unit = Text(f"{feature.name}（{feature.unit}）", f"{feature.name} ({feature.unit})")
        made.append(
            Plot(
                drawn,
                explanation.feature_text(feature),
                unit,
                Text("归因（对数几率）", "attribution (log-odds)"),
                [("b", Text("各十分位的中位数", "median by decile"))],
            )
        )
    return made


def _found_limitations(report: ReportInput, test: dict[str, Metric]) -> list[Text]:
    """What the figures themselves warn of."""
    found = []
    bad = int(np.asarray(report.splits[-1].y).sum())
    if bad < _FEW_BAD:
        found.append(
            Text(
                f"测试样本仅有{bad}个坏客户，所有指标的区间都较宽。",
                f"The test has only {bad} defaults; every figure's interval is wide.",
            )
        )
    slope = test["calibration_slope"]
    if slope.low is not None and slope.high is not None and not slope.low <= 1 <= slope.high:
        found.append(
            Text(
                f"测试样本的校准斜率为{slope.value:.3f}，其95%区间不含1。",
                f"The calibration slope on the test is {slope.value:.3f}; its 95 % interval excludes 1.",
            )
        )
    for part in report.parts:
        if part.dropped is not None:
            found.append(Text(f"组件{part.name}未进入混合模型。", f"Part {part.name} did not enter the hybrid."))
    if len(report.splits) == 1:
        found.append(Text("没有单独的训练样本可作对照。", "There is no separate training sample to compare with."))
    return found
