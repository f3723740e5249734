"""The figures that a gate may set bounds to, in the order in which a verdict tells them."""

from __future__ import annotations

from dataclasses import dataclass

from reporting.page import Text


@dataclass(frozen=True)
class Criterion:
    """A figure that a version is judged by.

    Parameters
    ----------
    title : Text
        What it is.
    bounds : tuple of str
        Which of `least` and `most` make sense: a PSI is the better the smaller, so it takes no `least`.
    interval : bool
        Whether it has an interval that may be held against the bounds.
    """

    title: Text
    bounds: tuple[str, ...]
    interval: bool


_LEAST, _MOST = ("least",), ("most",)

CRITERIA: dict[str, Criterion] = {
    "auc_difference": Criterion(
        Text("AUC：挑战模型减冠军模型（同一批申请）", "AUC, challenger minus champion on the same applications"),
        _LEAST,
        True,
    ),
    "auc": Criterion(Text("AUC（首个模型）", "AUC of a first model"), _LEAST, True),
    "calibration_slope": Criterion(Text("校准斜率", "Slope of calibration"), (*_LEAST, *_MOST), True),
    "calibration_error": Criterion(Text("期望校准误差", "Expected calibration error"), _MOST, True),
    "mean_pd_ratio": Criterion(Text("平均PD与实际坏账率之比", "Mean PD to observed bad rate"), (*_LEAST, *_MOST), True),
    "score_psi": Criterion(Text("评分PSI（训练与测试）", "PSI of the score, training against test"), _MOST, True),
    "gini_fall": Criterion(Text("各月Gini的下降", "Fall of the Gini over the months"), _MOST, True),
    "adverse_impact_gender": Criterion(Text("不利影响比率（性别）", "Adverse impact ratio by gender"), _LEAST, True),
    "adverse_impact_age": Criterion(Text("不利影响比率（年龄段）", "Adverse impact ratio by age band"), _LEAST, True),
    "reason_agreement": Criterion(
        Text("线上原因与重新归因一致的比例", "Share of served reasons that fresh attributions agree with"), _LEAST, True
    ),
    "additivity": Criterion(
        Text("归因之和与对数几率的最大差", "Largest gap between attributions and log-odds"), _MOST, False
    ),
    "latency_p99_ms": Criterion(
        Text("单笔评分处理器耗时P99（毫秒）", "p99 of scoring one request in process, in ms of processor time"),
        _MOST,
        True,
    ),
    "parity_mismatches": Criterion(
        Text("线上与批量不一致的请求数", "Requests whose features or score differ between batch and online"),
        _MOST,
        False,
    ),
}
