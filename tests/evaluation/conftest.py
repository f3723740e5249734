"""Fixtures of the room: a small but whole input of the model-risk report, made from known numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaluation.report.build import Exclusion, Part, ReportInput, Split, Text


@dataclass(frozen=True)
class Declared:
    """A feature's declaration, as far as the report reads it."""

    name: str
    en: str
    zh: str
    unit: str
    risk: int
    group: str


FEATURES = (
    Declared(
        "bureau_overdue_count_24m", "Overdue months at other lenders", "近24个月他行逾期月数", "count", 1, "bureau"
    ),
    Declared("application_income_monthly", "Declared income", "申报月收入", "CNY", -1, "application"),
    Declared(
        "repayment_dpd_max_180d", "Highest days past due in 180 days", "近180天最大逾期天数", "days", 1, "repayment"
    ),
)


def _split(rng: np.random.Generator, name: str, n: int, **facts: Any) -> Split:
    log_odds = rng.normal(-2, 1, n)
    pd_ = 1 / (1 + np.exp(-log_odds))
    y = (rng.random(n) < pd_).astype(int)
    return Split(name, y, pd_, {"boosted": log_odds + rng.normal(0, 0.3, n), "net": rng.normal(size=n)}, **facts)


def _report_input(**changes: Any) -> ReportInput:
    rng = np.random.default_rng(5)
    n = 60
    explained = pd.DataFrame(
        {
            "bureau_overdue_count_24m": rng.poisson(1.0, n).astype(float),
            "application_income_monthly": rng.lognormal(9, 0.5, n),
            "repayment_dpd_max_180d": np.where(rng.random(n) < 0.5, np.nan, rng.poisson(4, n)),
        },
        index=[f"secret-{k}" for k in range(n)],
    )
    attributions = rng.normal(size=(n, 3)) * np.array([0.9, 0.5, 0.1])
    sequences = rng.normal(size=(n, 1)) * 0.2
    given = SimpleNamespace(base=-2.0, features=attributions, sequences=sequences, sources=("transactions",))
    facts: dict[str, Any] = {
        "model": "application",
        "decision_point": "application",
        "lender": "simulated",
        "bundle_identity": "b1" * 32,
        "feature_set": "application_v1",
        "feature_set_identity": "f5" * 32,
        "data_identity": "da" * 32,
        "experiment": 'name = "application"  # <experiment>\n',
        "split_method": Text("按申请时间划分", "Out of time by applied_at"),
        "seeds": {"torch": 7, "folds": 3},
        "target": Text("12个月内逾期90天以上", "More than 90 days past due within 12 months"),
        "splits": (_split(rng, "train", 3000, in_sample=True), _split(rng, "test", 2000, period="2023")),
        "exclusions": (Exclusion(Text("表现期未满", "Performance window not over"), 1234),),
        "features": FEATURES,
        "explained": explained,
        "attributions": given,
        "log_odds": -2.0 + attributions.sum(axis=1) + sequences.sum(axis=1),
        "parts": (Part("boosted", 0.7), Part("net", 0.0, Text("权重为零", "its weight is zero"))),
        "calibrator": "Platt",
        "hashes": {"model/boosted.ubj": "0c" * 32},
        "limitations": (Text("记录是模拟的。", "The records are simulated."),),
    }
    return ReportInput(**{**facts, **changes})


@pytest.fixture(scope="session")
def report_input() -> Callable[..., ReportInput]:
    """Make an input that fits together; keyword arguments replace its fields."""
    return _report_input
