"""What a simulated lender promises, as checks with a bound."""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from evaluation.realism import figures
from evaluation.realism.measure import Measured
from evaluation.realism.public_figures import PublicFigures
from reporting.page import Text, number

SINGLE_FEATURE_LIMIT = 0.72
ORACLE_AUC = (0.80, 0.88)
DEFAULT_RATE = (0.03, 0.25)  # public data: 0.067 to 0.224
ROLL_DISTANCE_LIMIT = 0.15
CALIBRATION = (-0.01, 0.01)


class Check(NamedTuple):
    """A promise: what was measured, what it should be, and whether it holds (None where nothing could be measured)."""

    name: Text
    value: float | None
    bound: str
    holds: bool | None


def judge(measured: Measured, truth: pd.DataFrame, public: PublicFigures) -> list[Check]:
    """Check every promise."""
    best = float(measured.singles["auc"].iloc[0]) if len(measured.singles) else None
    rolled = public.roll_counts["card_monthly_status"]
    distance = None if measured.rolls is None else figures.roll_distance(measured.rolls, rolled)
    granted = truth["granted"].astype(bool)
    mean_pd = [float(truth.loc[rows, "true_pd"].mean()) for rows in (granted, ~granted)]
    drift = float(truth["true_pd"].mean() - truth["defaults"].mean())
    oracle = {name: metric.value for name, metric in measured.oracle.items()}
    everybody, chosen = Text("全部申请", "all applicants"), Text("已批准", "those granted")
    return [
        below(Text("单特征AUC的最大值", "Best AUC of a single feature"), best, SINGLE_FEATURE_LIMIT),
        within(_of(Text("真实PD的AUC", "AUC of the true PD"), everybody), oracle["all"], ORACLE_AUC),
        within(_of(Text("真实PD的AUC", "AUC of the true PD"), chosen), oracle["granted"], ORACLE_AUC),
        within(
            Text("违约率与公开数据同一量级", "Default rate of the order of public data"),
            measured.default_rate,
            DEFAULT_RATE,
        ),
        below(
            Text("滚动率与card_monthly_status的平均差异", "Roll rates: mean distance from card_monthly_status"),
            distance,
            ROLL_DISTANCE_LIMIT,
        ),
        below(
            Text("获批者与被拒者平均真实PD之比", "Mean true PD of those granted over those refused"),
            mean_pd[0] / mean_pd[1] if mean_pd[1] > 0 else None,
            1.0,
        ),
        within(Text("平均真实PD减违约率", "Mean true PD less the rate of default"), drift, CALIBRATION),
    ]


def below(name: Text, value: float | None, limit: float) -> Check:
    """Check that a value is less than a limit."""
    bound = f"< {number(limit, 2)}"
    if value is None or not math.isfinite(value):
        return Check(name, None, bound, None)
    return Check(name, value, bound, value < limit)


def within(name: Text, value: float | None, bounds: tuple[float, float]) -> Check:
    """Check that a value is neither less than the first nor more than the second bound.

    Examples
    --------
    >>> within(Text("值", "value"), 0.88, (0.80, 0.88))[1:]
    (0.88, '0.80 – 0.88', True)
    """
    low, high = bounds
    bound = f"{number(low, 2)} – {number(high, 2)}"
    if value is None or not math.isfinite(value):
        return Check(name, None, bound, None)
    return Check(name, value, bound, low <= value <= high)


def _of(figure: Text, rows: Text) -> Text:
    return Text(f"{figure.zh}（{rows.zh}）", f"{figure.en}, {rows.en}")
