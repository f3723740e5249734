"""Plots of the model-risk report with the words around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from evaluation.metric import Array, Metric
from evaluation.report import plots
from evaluation.report.facts import Facts, has_both, name_of
from evaluation.report.inputs import Month, Split
from evaluation.tables import calibration_table, wilson
from reporting.page import Plot, Text
from reporting.plots import densities, grouped_bars, lines

MONTH = Text("申请月份", "month of application")
LOG_ODDS = Text("对数几率", "log-odds")
ATTRIBUTION = Text("归因（对数几率）", "attribution (log-odds)")


def ends(splits: Sequence[Split]) -> list[Split]:
    """The test first, so that it has the first colour, then the training sample."""
    return list(splits) if len(splits) == 1 else [splits[-1], splits[0]]


def _legend(splits: list[Split]) -> list[tuple[str, Text]]:
    return [(colour, name_of(split)) for colour, split in zip("abc", splits, strict=False)]


def discrimination(splits: Sequence[Split]) -> list[Plot]:
    """ROC of test and training, and the distributions of good and bad loans; none where a sample has one class."""
    drawn = [split for split in ends(splits) if has_both(split)]
    test, made = splits[-1], []
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
    if has_both(test):
        made.append(
            Plot(
                plots.ks(test.y, test.pd),
                Text("KS：好坏客户的累计分布（测试）", "KS: cumulative distributions of good and bad loans (test)"),
                LOG_ODDS,
                Text("累计占比", "cumulative share"),
                [("a", Text("好", "good")), ("b", Text("坏", "bad"))],
            )
        )
    return made


def calibration(splits: Sequence[Split]) -> list[Plot]:
    """Bad rate against PD by decile, and where the log-odds of the samples lie."""
    test, made = splits[-1], []
    table = calibration_table(test.y, test.pd)
    if has_both(test):
        columns = [table[name].to_numpy(dtype=np.float64) for name in ("mean_pd", "observed", "low", "high")]
        made.append(
            Plot(
                plots.reliability(*columns),
                Text("可靠性图（测试，按PD十分位，95%区间）", "Reliability (test, by decile of PD, 95 % intervals)"),
                Text("平均PD", "mean PD"),
                Text("实际坏账率", "observed bad rate"),
            )
        )
    drawn = [split for split in ends(splits) if len(np.asarray(split.pd))]
    if drawn:
        made.append(
            Plot(
                densities("log-odds", [_log_odds(split.pd) for split in drawn]),
                Text("对数几率的分布", "Distribution of log-odds"),
                LOG_ODDS,
                Text("占比", "share of rows"),
                _legend(drawn),
            )
        )
    return made


def _log_odds(pd: npt.ArrayLike) -> Array:
    inside = np.clip(np.asarray(pd, dtype=np.float64), 1e-9, 1 - 1e-9)
    return np.asarray(np.log(inside / (1 - inside)))


def rows_by_month(months: list[Month]) -> Plot:
    """Labelled applications of each month."""
    return Plot(
        grouped_bars("month-rows", _few([one.month for one in months]), [[one.rows for one in months]]),
        Text("各月有表现的申请", "Labelled applications by month"),
        MONTH,
        Text("行数", "rows"),
    )


def bad_rate_by_month(months: list[Month]) -> Plot:
    """Bad rate of each month with its interval."""
    place = np.arange(len(months))
    bad, rows = np.array([one.bad for one in months]), np.array([one.rows for one in months])
    ticks = [one.month for one in months]
    return Plot(
        lines("month-bad-rate", [(place, bad / rows)], ticks=ticks, band=wilson(bad, rows)),
        Text("各月坏账率（95%区间）", "Bad rate by month (95 % interval)"),
        MONTH,
        Text("坏账率", "bad rate"),
    )


def _few(names: list[str]) -> list[str]:
    """Names of bars, every so many, so that they do not run into each other."""
    every = -(-len(names) // 6)
    return [name if k % every == 0 else "" for k, name in enumerate(names)]


def over_time(
    name: str,
    periods: Sequence[str],
    figures: Sequence[Metric],
    title: Text,
    axis: Text,
    *,
    limit: Sequence[float] = (),
) -> Plot | None:
    """A figure with its interval by period, and a limit as a second line; None with fewer than two defined periods."""
    known = [(k, one) for k, one in enumerate(figures) if one.value is not None]
    if len(known) < 2:
        return None
    place = np.array([k for k, _ in known])
    value = np.array([one.value for _, one in known], dtype=np.float64)
    low, high = (
        np.array([bound if bound is not None else one.value for _, one in known for bound in (getattr(one, side),)])
        for side in ("low", "high")
    )
    curves = [(place, value), *([(np.arange(len(limit)), np.asarray(limit))] if limit else [])]
    drawn = lines(name, curves, ticks=list(periods), band=(low, high), per_cent=False, from_zero=bool(limit))
    legend = [("a", axis), ("b", Text("警戒线", "limit"))] if limit else []
    return Plot(drawn, title, MONTH, axis, legend)


def summary(facts: Facts, rows: npt.NDArray[np.int64], columns: list[int]) -> Plot | None:
    """The cloud of attributions of the strongest features."""
    report = facts.report
    if not len(rows) or not columns:
        return None
    values = report.explained.rows.to_numpy(dtype=np.float64)[rows][:, columns]
    given = np.asarray(report.explained.attributions.features)[rows][:, columns]
    return Plot(
        plots.beeswarm([report.features.declared[k].name for k in columns], values, given),
        Text(f"归因摘要（前{len(columns)}个特征）", f"Attribution summary (top {len(columns)} features)"),
        Text("归因（对数几率），右侧升高风险", "attribution (log-odds); right raises risk"),
        Text("特征", "feature"),
        [
            ("low", Text("特征值低", "low value")),
            ("high", Text("特征值高", "high value")),
            ("grey", Text("缺失", "missing")),
        ],
    )


def dependence(facts: Facts, rows: npt.NDArray[np.int64], column: int) -> Plot:
    """Attribution of a feature against its value."""
    feature, explained = facts.report.features.declared[column], facts.report.explained
    values = explained.rows.iloc[rows, column].to_numpy(dtype=np.float64)
    return Plot(
        plots.dependence(feature.name, values, np.asarray(explained.attributions.features)[rows, column]),
        Text(feature.zh, feature.en),
        Text(f"{feature.name}（{feature.unit}）", f"{feature.name} ({feature.unit})"),
        ATTRIBUTION,
        [("b", Text("各十分位的中位数", "median by decile"))],
    )


def interaction(facts: Facts, pair: Any, rows: npt.NDArray[np.int64]) -> Plot:
    """What two features add together, against the first, in the colours of the second."""
    explained = facts.report.explained
    first, second = (explained.rows[name].to_numpy(dtype=np.float64)[rows] for name in (pair.first, pair.second))
    return Plot(
        plots.interaction(f"{pair.first}-{pair.second}", first, second, pair.values),
        Text(f"交互：{pair.first} × {pair.second}", f"Interaction: {pair.first} × {pair.second}"),
        Text(pair.first, pair.first),
        Text("交互归因（对数几率）", "interaction (log-odds)"),
        [
            ("low", Text(f"{pair.second} 低", f"{pair.second} low")),
            ("high", Text(f"{pair.second} 高", f"{pair.second} high")),
            ("grey", Text("缺失", "missing")),
        ],
    )
