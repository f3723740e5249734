"""Whether the model stays what it was, and how the lender's book fared from month to month."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from evaluation.measuring.course import Course
from evaluation.report import drawings, time_drawings
from evaluation.report.facts import Facts, Finding, Section
from evaluation.segments import Segment
from evaluation.stability import PeriodDrift
from evaluation.vintages import BUCKETS, ENDED
from reporting.page import Plot, Text, Unknown

_SHOWN_FEATURES = 10


def _stability(facts: Facts) -> dict[str, Any]:
    course, segments = facts.report.course, facts.report.segments
    if isinstance(course, Unknown):
        return {"course": course}
    by_month = [] if isinstance(segments, Unknown) else [one for one in segments if one.dimension == "month"]
    return {
        "course": course,
        "vintages": course.vintages,
        "rolls": course.rolls,
        "plots": _plots(course, by_month),
        "few_months": len(by_month) < 2,
        "drift": course.drift,
        "features": _worst_features(course.drift),
        "vintage_plot": None if isinstance(course.vintages, Unknown) else time_drawings.vintages(course.vintages),
        "roll_rows": [] if isinstance(course.rolls, Unknown) else _matrix(course.rolls),
        "buckets": (*BUCKETS, ENDED),
        "findings": _findings(course),
    }


def _plots(course: Course, by_month: Sequence[Segment]) -> list[Plot]:
    periods = [one.period for one in course.drift]
    drawn = [
        drawings.over_time(
            "month-auc",
            [one.level for one in by_month],
            [one.metrics["auc"] for one in by_month],
            Text("各月AUC（测试，95%区间）", "AUC by month (test, 95 % intervals)"),
            Text("AUC", "AUC"),
        ),
        drawings.over_time(
            "score-psi",
            periods,
            [one.score_psi for one in course.drift],
            Text("各月评分PSI（对训练样本）", "PSI of the score by month, against training"),
            Text("PSI", "PSI"),
            limit=[one.result.score.psi_threshold for one in course.drift],
        ),
    ]
    return [plot for plot in drawn if plot is not None]


def _worst_features(drift: Sequence[PeriodDrift]) -> list[tuple[str, str, float, float, int]]:
    """Features by their largest PSI beyond its threshold: name, month, PSI, threshold, and months in which drifted."""
    found: dict[str, tuple[str, str, float, float, int]] = {}
    for one in drift:
        for row in one.result.features:
            before = found.get(row.name)
            times = (before[4] if before else 0) + row.drifted
            if before is None or row.psi - row.psi_threshold > before[2] - before[3]:
                found[row.name] = (row.name, one.period, row.psi, row.psi_threshold, times)
            else:
                found[row.name] = (*before[:4], times)
    return sorted(found.values(), key=lambda row: (-row[4], row[3] - row[2], row[0]))[:_SHOWN_FEATURES]


def _matrix(rolls: pd.DataFrame) -> list[tuple[str, int, list[tuple[float, int]]]]:
    """Rows of the matrix of roll rates: bucket, months in it, and share and number that moved to each bucket."""
    return [
        (
            str(start),
            int(rows["n"].iloc[0]),
            [(float(rate), int(moved)) for rate, moved in zip(rows["rate"], rows["moved"], strict=True)],
        )
        for start, rows in rolls.groupby("from", sort=False)
    ]


def _findings(course: Course) -> list[Finding]:
    found = []
    drifted = [one.period for one in course.drift if one.result.score.drifted]
    if drifted:
        listed = ", ".join(drifted)
        text = Text(
            f"评分分布在{listed}相对训练样本发生漂移。",
            f"The score has drifted from training in {listed}.",
        )
        found.append(Finding("warn", text))
    figure = course.gini.figure
    if not figure.defined:
        text = Text(f"基尼稳定性无法计算：{figure.note_zh}。", f"Gini stability cannot be computed: {figure.note}.")
        found.append(Finding("open", text))
    return found


STABILITY = Section("stability", Text("稳定性", "Stability"), _stability)
